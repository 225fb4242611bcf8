r"""Mathematics in LaTeX: ``w11_1`` is printed w_{11}^{(1)}, ``y_hat`` \hat{y}, Greek names as letters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final

from gradc.inspect.expression import AXES, ONE, ZERO, Apply, Expr, Number, Symbol, narrow, record_of
from gradc.inspect.notation import ATOM, POWER, PREFIX, PRODUCT, SUM, Notation, Printed
from gradc.inspect.places import (
    is_flattened,
    new_axes,
    picked,
    read_diagonal,
    subscript,
    triangle_of,
    written_diagonal,
    written_place,
)
from gradc.inspect.text import filled, is_prefix, matrix_product, own_template
from gradc.ir.op import Op

_GREEK: Final = frozenset({
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma",
    "Phi", "Psi", "Omega",
})  # fmt: skip
_ACCENTS: Final = {"hat": r"\hat", "bar": r"\bar", "tilde": r"\tilde", "dot": r"\dot", "vec": r"\vec"}
_OWN: Final = {
    "relu": r"\mathrm{{ReLU}}\left({0}\right)",
    "relu_prime": r"\mathrm{{ReLU}}'\left({0}\right)",
    "winner": r"\left[{0} > {1}\right]",
    "indicator": r"\left[{0}\right]",
    "broadcast_to": "{0}",
}


def _record_template(op: Op, expression: Apply) -> str:
    """The formula of an op's record."""
    return op.latex if isinstance(op.latex, str) else op.latex(dict(expression.params))


class Latex(Notation):
    """Mathematics for a page. ``names`` overrides how single names are printed."""

    times = r" \, "
    loose_times = r" \cdot "
    elementwise_times = r" \odot "
    dots = r"\dots"

    def __init__(self, names: Mapping[str, str], *, has_matrices: bool = False) -> None:
        self.names = names
        self.has_matrices = has_matrices

    def bracketed(self, text: str, binds: int) -> str:
        left, right = ("[", "]") if binds == SUM and r"\left(" in text else ("(", ")")
        return rf"\left{left}{text}\right{right}"

    def fraction(self, above: Expr, below: Expr) -> Printed:
        return rf"\frac{{{self(above)}}}{{{self(below)}}}", PREFIX

    def symbol(self, symbol: Symbol) -> str:
        if symbol.role == "constant":
            return {"pi": r"\pi", "inf": r"\infty"}.get(symbol.name, rf"\mathrm{{{symbol.name}}}")
        return self.name(symbol.name)

    def name(self, name: str) -> str:
        """A name, overridden or in the way of textbooks."""
        return self.names.get(name) or latex_name(name)

    def slope(self, of: str, wrt: str) -> str:
        return rf"\frac{{\partial {self.name(of)}}}{{\partial {self.name(wrt)}}}"

    def number(self, value: Fraction) -> Printed:
        text, binds = super().number(value)
        mantissa, found, exponent = text.partition("e")
        if not found:
            return text, binds
        power = f"10^{{{int(exponent)}}}"
        return (power, POWER) if mantissa == "1" else (rf"{mantissa} \cdot {power}", PRODUCT)

    def factor(self, factor: Expr, level: int, *, last: bool) -> str:
        return self.at(factor, level if last or not self._before_operand(factor) else POWER)

    def _before_operand(self, expression: Expr) -> str:
        r"""The name of an elementwise function that stands before its operand without brackets, such as ``\log``."""
        if not isinstance(expression, Apply) or ("helper", True) in expression.params:
            return ""
        op = record_of(expression.function)
        template = _record_template(op, expression) if op is not None and op.elementwise else ""
        return template.format("").rstrip() if is_prefix(template) else ""

    def power(self, base: Expr, exponent: Expr) -> Printed:
        function = self._before_operand(base)
        if function and isinstance(exponent, Number) and isinstance(base, Apply):
            return f"{function}^{{{self(exponent)}}} {self.at(base.args[0], ATOM)}", PREFIX
        return f"{{{self.at(base, ATOM)}}}^{{{self(exponent)}}}", POWER

    def function(self, expression: Apply) -> Printed:
        special = _SPECIAL.get(expression.function)
        if special is not None:
            return special(self, expression)
        op = None if ("helper", True) in expression.params else record_of(expression.function)
        template = own_template(_OWN, expression) or (_record_template(op, expression) if op else "")
        if template == "{0}":
            return self.printed(expression.args[0])
        if not template:
            listed = ", ".join(self(a) for a in expression.args)
            return rf"\operatorname{{{escaped(expression.function)}}}\left({listed}\right)", ATOM
        return filled(self, template, expression.args)

    def _contract(self, expression: Apply) -> Printed:
        a, b = expression.args
        lhs, rhs, out = (expression.param(k) for k in ("lhs", "rhs", "out"))
        product = matrix_product(lhs, rhs, out)
        if product is None:
            # The axes of the result are its letters in their order, for it has no letters of its own to tell them.
            letters = dict(zip(dict.fromkeys(out + lhs + rhs), AXES, strict=False))
            summed = "".join(letters[c] for c in dict.fromkeys(lhs + rhs) if c not in out)
            total = rf"\sum_{{{summed}}} " if summed else ""
            operands = [self._element(x, "".join(letters[c] for c in own)) for x, own in ((a, lhs), (b, rhs))]
            return total + " ".join(operands), PRODUCT
        swapped, left_turned, right_turned = product
        left, right = (b, a) if swapped else (a, b)
        return rf"{self._turned(left, left_turned)} \, {self._turned(right, right_turned)}", PRODUCT

    def _element(self, expression: Expr, letters: str) -> str:
        """An element of an array by the letters of its axes."""
        if not letters:
            return self.at(expression, PREFIX)
        text = self._turned(expression, turned=False) if isinstance(narrow(expression), Number) else None
        text = text or self.at(expression, ATOM)
        return f"{{{text}}}_{{{letters}}}" if "_" in text or "^" in text else f"{text}_{{{letters}}}"

    def _turned(self, expression: Expr, turned: bool) -> str:
        if isinstance(expression, Apply) and isinstance(filling := narrow(expression), Number):
            return {ZERO: r"\mathbf{0}", ONE: r"\mathbf{1}"}.get(filling) or rf"{self(expression)} \mathbf{{1}}"
        return rf"{{{self.at(expression, ATOM)}}}^{{\mathsf T}}" if turned else self.at(expression, PREFIX)

    def _reduce_sum(self, expression: Apply) -> Printed:
        axes = expression.param("axes")
        over = "" if len(axes) == len(expression.args[0].shape) else "_{" + ",".join(AXES[a] for a in axes) + "}"
        return rf"\sum{over} {self.at(expression.args[0], PRODUCT)}", SUM

    def _polygamma(self, expression: Apply) -> Printed:
        return rf"\psi^{{({expression.param('n')})}}\left({self(expression.args[0])}\right)", ATOM

    def _log_ndtr(self, expression: Apply) -> Printed:
        order = expression.param("n")
        function = rf"\left(\log \Phi\right)^{{({order})}}" if order else r"\log \Phi"
        return rf"{function}\left({self(expression.args[0])}\right)", ATOM

    def _exp(self, expression: Apply) -> Printed:
        return f"e^{{{self(expression.args[0])}}}", POWER

    def _transpose(self, expression: Apply) -> Printed:
        return rf"{{{self.at(expression.args[0], ATOM)}}}^{{\mathsf T}}", POWER

    def _constant(self, expression: Apply) -> Printed:
        return rf"\text{{{escaped(str(expression.param('value').array.tolist()))}}}", ATOM

    def _others(self, expression: Apply) -> Printed:
        axes = expression.param("axes")
        every = [AXES[k] for k in range(len(expression.shape))]
        other = [f"{c}'" if k in axes else c for k, c in enumerate(every)]
        one, inside = (",".join(every[k] for k in axes), ",".join(other[k] for k in axes))
        return rf"\prod_{{{inside} \neq {one}}} {self._element(expression.args[0], ''.join(other))}", PRODUCT

    def _select(self, expression: Apply) -> Printed:
        if (triangle := triangle_of(expression)) is not None:
            name, diagonal = triangle
            below = f"_{{{diagonal}}}" if diagonal else ""
            return rf"\operatorname{{{name}}}{below}\left({self(expression.args[1])}\right)", ATOM
        op = record_of(expression.function)
        return filled(self, _record_template(op, expression) if op else "", expression.args)

    def _reshape(self, expression: Apply) -> Printed:
        (x,) = expression.args
        if (diagonal := written_diagonal(expression)) is not None:
            return "I" if narrow(diagonal) == ONE else rf"\operatorname{{diag}}\left({self(diagonal)}\right)", ATOM
        if isinstance(x, Apply) and (index := picked(expression)):
            return f"{{{self.at(x.args[0], ATOM)}}}_{{[{index}]}}", ATOM
        if place := new_axes(expression).replace("None", r"\text{None}"):
            return f"{{{self.at(x, ATOM)}}}_{{[{place}]}}", ATOM
        return self.printed(x)

    def _part(self, expression: Apply) -> Printed:
        base = expression.args[0]
        if (matrix := read_diagonal(expression)) is not None:
            return rf"\operatorname{{diag}}\left({self(matrix)}\right)", ATOM
        place = subscript(expression, self)
        if is_flattened(base):
            return rf"\operatorname{{ravel}}\left({self(base)}\right)_{{[{place}]}}", ATOM
        if expression.function == "item" and isinstance(base, Symbol) and base.name not in self.names:
            return latex_name(f"{base.name}[{place}]"), ATOM
        return f"{{{self.at(base, ATOM)}}}_{{[{place}]}}", ATOM

    def _write(self, expression: Apply) -> Printed:
        base, value = expression.args[:2]
        place = written_place(expression, self)
        if narrow(base) == ZERO:
            return rf"\operatorname{{place}}\left({self(value)}, [{place}]\right)", ATOM
        verb = "add" if expression.param("mode") == "add" else "put"
        return rf"\operatorname{{{verb}}}\left({self(base)}, [{place}], {self(value)}\right)", ATOM


_SPECIAL: Final[dict[str, Callable[[Latex, Apply], Printed]]] = {
    "contract": Latex._contract,
    "reduce_sum": Latex._reduce_sum,
    "exp": Latex._exp,
    "transpose": Latex._transpose,
    "constant": Latex._constant,
    "others": Latex._others,
    "select": Latex._select,
    "polygamma": Latex._polygamma,
    "log_ndtr": Latex._log_ndtr,
    "item": Latex._part,
    "reshape": Latex._reshape,
    "slice": Latex._part,
    "gather": Latex._part,
    "scatter": Latex._write,
    "update_slice": Latex._write,
}


def latex_name(name: str) -> str:
    r"""A name as a textbook prints it: indices below, the layer above, accents on top.

    ``w11_1`` is w_{11}^{(1)}, ``y_hat`` \hat{y}, ``w['hidden']`` w_{\text{hidden}}, ``loss`` \mathrm{loss}.
    """
    root, *path = re.findall(r"[^\[\].'\"]+", name) or [name]
    head, *rest = root.split("_")
    letters, digits = re.fullmatch(r"(.*?)(\d*)", head, re.DOTALL).groups()  # type: ignore[union-attr]
    base = _base(letters or digits or "x")
    below = [digits] if digits and letters else []
    above: list[str] = []
    for part in filter(None, rest):
        if part in _ACCENTS:
            base = f"{_ACCENTS[part]}{{{base}}}"
        elif part.isdigit():
            (above if below else below).append(f"({part})" if below else part)
        else:
            (above if below else below).append(rf"\text{{{escaped(part)}}}")
    below += [p if p.isdigit() else rf"\text{{{escaped(p)}}}" for p in path]
    return base + (f"_{{{','.join(below)}}}" if below else "") + (f"^{{{','.join(above)}}}" if above else "")


def _base(letters: str) -> str:
    if letters in _GREEK:
        return f"\\{letters}"
    if len(letters) == 1:
        kind, _, name = unicodedata.name(letters, "").lower().partition(" letter ")
        if kind in ("greek small", "greek capital") and name in _GREEK:
            return f"\\{name if kind == 'greek small' else name.capitalize()}"
        if letters.isascii():
            return letters
    return rf"\mathrm{{{escaped(letters)}}}"


_ESCAPES: Final = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "|": "$|$", "<": "$<$", ">": "$>$", "σ": r"$\sigma$", "Σ": r"$\sum$", "·": r"$\cdot$", "²": "$^2$", "…": r"\dots{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
}  # fmt: skip


def escaped(text: str) -> str:
    """Text that means nothing to LaTeX but itself."""
    return "".join(_ESCAPES.get(c) or (" " if c.isspace() else c) for c in text if c.isprintable() or c.isspace())
