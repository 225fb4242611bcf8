"""Plain-text mathematics: ``(y_hat - y)·v1·ReLU'(z1)``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from gradc.inspect.expression import AXES, ONE, TWO, ZERO, Apply, Expr, Number, Power, Symbol, narrow, record_of
from gradc.inspect.notation import ATOM, POWER, PREFIX, PRODUCT, RELATION, SUM, Notation, Printed, printable
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
from gradc.ir.aval import Aval

_SUPERSCRIPTS: Final = {TWO: "²", Number(TWO.value + 1): "³"}
_OWN: Final = {
    "relu": "ReLU({0})",
    "relu_prime": "ReLU'({0})",
    "winner": "[{0} > {1}]",
    "indicator": "[{0}]",
    "broadcast_to": "{0}",
    "others": "(Π of the others in {0})",
}


class Text(Notation):
    """Mathematics in a terminal. ``has_matrices`` tells products of elements from products of matrices."""

    def __init__(self, *, has_matrices: bool = False) -> None:
        self.has_matrices = has_matrices

    def symbol(self, symbol: Symbol) -> str:
        if symbol.role == "constant":
            return {"pi": "π", "inf": "∞"}.get(symbol.name, symbol.name)
        return printable(symbol.name)

    def slope(self, of: str, wrt: str) -> str:
        return f"d{printable(of)}/d{printable(wrt)}"

    def power(self, base: Expr, exponent: Expr) -> Printed:
        if exponent in _SUPERSCRIPTS and not (isinstance(base, Power)):
            return f"{self.at(base, ATOM)}{_SUPERSCRIPTS[exponent]}", ATOM
        return f"{self.at(base, ATOM)}^{self.at(exponent, ATOM)}", POWER

    def function(self, expression: Apply) -> Printed:
        special = _SPECIAL.get(expression.function)
        if special is not None:
            return special(self, expression)
        template = own_template(_OWN, expression) or record_template(expression)
        return self.printed(expression.args[0]) if template == "{0}" else filled(self, template, expression.args)

    def _contract(self, expression: Apply) -> Printed:
        a, b = expression.args
        lhs, rhs, out = (expression.param(k) for k in ("lhs", "rhs", "out"))
        product = matrix_product(lhs, rhs, out)
        if product is None:
            return f"einsum({lhs},{rhs}->{out}; {self(a)}, {self(b)})", ATOM
        swapped, left_turned, right_turned = product
        left, right = (b, a) if swapped else (a, b)
        return f"{self._turned(left, left_turned)} @ {self._turned(right, right_turned)}", PRODUCT

    def _turned(self, expression: Expr, turned: bool) -> str:
        if isinstance(expression, Apply) and isinstance(filling := narrow(expression), Number):
            return {ZERO: "0", ONE: "ones"}.get(filling) or f"{self(expression)}·ones"
        return f"{self.at(expression, ATOM)}ᵀ" if turned else self.at(expression, PREFIX)

    def _log_ndtr(self, expression: Apply) -> Printed:
        order = expression.param("n")
        return f"{f'(log Φ)^({order})' if order else 'log Φ'}({self(expression.args[0])})", ATOM

    def _transpose(self, expression: Apply) -> Printed:
        return f"{self.at(expression.args[0], ATOM)}ᵀ", ATOM

    def _reduce_sum(self, expression: Apply) -> Printed:
        axes = expression.param("axes")
        over = "" if len(axes) == len(expression.args[0].shape) else "_" + ",".join(AXES[a] for a in axes)
        return f"Σ{over} {self.at(expression.args[0], PRODUCT)}", SUM

    def _constant(self, expression: Apply) -> Printed:
        return " ".join(str(expression.param("value").array.tolist()).split()), ATOM

    def _select(self, expression: Apply) -> Printed:
        if (triangle := triangle_of(expression)) is not None:
            name, diagonal = triangle
            inside = self(expression.args[1])
            return f"{name}({inside}{f', {diagonal}' if diagonal else ''})", ATOM
        return filled(self, record_template(expression), expression.args)

    def _reshape(self, expression: Apply) -> Printed:
        (x,) = expression.args
        if (diagonal := written_diagonal(expression)) is not None:
            return "I" if narrow(diagonal) == ONE else f"diag({self(diagonal)})", ATOM
        if isinstance(x, Apply) and (index := picked(expression)):
            return f"{self.at(x.args[0], ATOM)}[{index}]", ATOM
        if place := new_axes(expression):
            return f"{self.at(x, ATOM)}[{place}]", ATOM
        return self.printed(x)

    def _part(self, expression: Apply) -> Printed:
        if (matrix := read_diagonal(expression)) is not None:
            return f"diag({self(matrix)})", ATOM
        base = expression.args[0]
        text = f"ravel({self(base)})" if is_flattened(base) else self.at(base, ATOM)
        return f"{text}[{subscript(expression, self)}]", ATOM

    def _write(self, expression: Apply) -> Printed:
        base, value = expression.args[:2]
        place = written_place(expression, self)
        if narrow(base) == ZERO:
            return f"place({self(value)}, [{place}])", ATOM
        verb = "add" if expression.param("mode") == "add" else "put"
        return f"{verb}({self(base)}, [{place}], {self(value)})", ATOM


def matrix_product(lhs: str, rhs: str, out: str) -> tuple[bool, bool, bool] | None:
    """How a contraction is a product of two matrices: operands exchanged, the left and the right one transposed.

    A vector that stands alone on the right of an outer product counts as transposed. None where it is none.
    """
    if len(lhs) > 2 or len(rhs) > 2 or len(out) > 2 or not lhs or not rhs:
        return None
    shared = [c for c in lhs if c in rhs]
    if not shared:
        return (out != lhs + rhs, False, True) if len(lhs) == len(rhs) == 1 else None
    if len(shared) != 1 or shared[0] in out:
        return None
    (letter,) = shared
    if not out and len(lhs) == len(rhs) == 1:
        return False, True, False
    if len(lhs) == 1:
        return rhs[0] != letter, False, False
    if out == lhs.replace(letter, "") + rhs.replace(letter, ""):
        return False, lhs[0] == letter, len(rhs) == 2 and rhs[1] == letter
    return True, len(rhs) == 2 and rhs[0] == letter, len(lhs) == 2 and lhs[1] == letter


_SPECIAL: Final[dict[str, Callable[[Text, Apply], Printed]]] = {
    "contract": Text._contract,
    "log_ndtr": Text._log_ndtr,
    "transpose": Text._transpose,
    "reduce_sum": Text._reduce_sum,
    "constant": Text._constant,
    "select": Text._select,
    "reshape": Text._reshape,
    "item": Text._part,
    "slice": Text._part,
    "gather": Text._part,
    "scatter": Text._write,
    "update_slice": Text._write,
}


def own_template(templates: Mapping[str, str], expression: Apply) -> str:
    """The template of a function that is no op; a user's helper may bear the same name."""
    return "" if ("helper", True) in expression.params else templates.get(expression.function, "")


def record_template(expression: Apply) -> str:
    """The text of an op's record, or else its NumPy text without ``np.``"""
    op = record_of(expression.function)
    if op is None or ("helper", True) in expression.params:
        return _call(expression)
    if op.text:
        return op.text if isinstance(op.text, str) else op.text(dict(expression.params))
    if isinstance(op.numpy, str):
        return op.numpy.replace("np.", "") or _call(expression)
    avals = [Aval(a.shape, np.dtype(np.float64)) for a in expression.args]
    template = op.numpy(dict(expression.params), Aval(expression.shape, np.dtype(np.float64)), *avals)
    return re.sub(r"\bnp\.|\b_(?=[a-z])|, keepdims=True", "", template)


def _call(expression: Apply) -> str:
    return f"{expression.function}({', '.join(f'{{{k}}}' for k in range(len(expression.args)))})"


def filled(notation: Notation, template: str, args: tuple[Expr, ...]) -> Printed:
    """A template with its operands; in brackets where nothing around the place brackets them already."""
    infix = template.startswith("{0} ")
    texts = []
    for k, arg in enumerate(args):
        before = template[: max(0, template.find(f"{{{k}}}"))].rstrip()
        relation = infix or before.endswith((">", "<", "="))
        level = (
            RELATION if before.endswith(("(", "[", "{", "|", ",", "cases}}", "&", r"\\")) else SUM if relation else ATOM
        )
        texts.append(notation.at(arg, level))
    if infix:
        return template.format(*texts), RELATION
    if template.startswith("{0}^"):
        return template.format(*texts), PRODUCT if "{1}" in template else POWER
    return template.format(*texts), PREFIX if is_prefix(template) else ATOM


def is_prefix(template: str) -> bool:
    r"""Whether a function stands before its operand without brackets, as in ``\log x``."""
    return template.startswith("\\") and template.endswith(" {0}")
