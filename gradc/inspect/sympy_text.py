"""Expressions as strings that sympy parses, in the user's names."""

from __future__ import annotations

import keyword
import re
from fractions import Fraction
from typing import Final

from gradc.inspect.expression import Apply, Expr, Symbol
from gradc.inspect.notation import ATOM, POWER, PREFIX, PRODUCT, RELATION, Notation, Printed
from gradc.inspect.places import triangle_of
from gradc.inspect.text import matrix_product

_PLAIN: Final = re.compile(r"[A-Za-z](\d\w*|_\w+)?|[A-Za-z]+_(hat|bar|new|old|\d+)|u\d+")
"""Names of this form mean nothing to sympy (``_MEANT`` apart) and stand as they are, others as ``Symbol('name')``."""

_SAFE: Final = frozenset({
    "alpha", "delta", "epsilon", "eta", "kappa", "mu", "nu", "phi", "psi", "rho", "sigma", "tau", "theta", "xi",
    "omega", "loss", "cost", "rate",
})  # fmt: skip
_MEANT: Final = frozenset(["E", "I", "N", "O", "Q", "S", "E1", "n_order"])
_CALLS: Final = {
    "relu": "Max({0}, 0)",
    "relu_prime": "relu_prime({0})",
    "winner": "Heaviside({0} - ({1}), 1/2)",
    "indicator": "Piecewise((1, {0}), (0, True))",
    "select": "Piecewise(({1}, {0}), ({2}, True))",
    "logistic": "1/(1 + exp(-({0})))",
    "softplus": "log(1 + exp({0}))",
    "logistic_bce": "(log(1 + exp({0})) - ({1})*({0}))",
    "log1p": "log(1 + {0})",
    "log_ndtr": "log(erfc(-({0})/sqrt(2))/2)",
    "expm1": "(exp({0}) - 1)",
    "exp2": "exp(({0})*log(2))",
    "log2": "log({0}, 2)",
    "log10": "log({0}, 10)",
    "gammaln": "loggamma({0})",
    "hypot": "sqrt(({0})**2 + ({1})**2)",
    "arcsin": "asin({0})",
    "arccos": "acos({0})",
    "arctan": "atan({0})",
    "arctan2": "atan2({0}, {1})",
    "arcsinh": "asinh({0})",
    "arccosh": "acosh({0})",
    "arctanh": "atanh({0})",
    "maximum": "Max({0}, {1})",
    "minimum": "Min({0}, {1})",
    "abs": "Abs({0})",
    "broadcast_to": "{0}",
    "reshape": "{0}",
    "floor_div": "floor(({0})/({1}))",
    "mod": "Mod({0}, {1})",
    "eq": "Eq({0}, {1})",
    "ne": "Ne({0}, {1})",
    "lt": "({0} < {1})",
    "le": "({0} <= {1})",
    "gt": "({0} > {1})",
    "ge": "({0} >= {1})",
    "logical_and": "And({0}, {1})",
    "logical_or": "Or({0}, {1})",
    "logical_xor": "Xor({0}, {1})",
    "logical_not": "Not({0})",
}
"""Everything else is a function of its own name: ``exp(z)``, ``matmul(W, x)``."""


class Sympy(Notation):
    """What ``sympy.sympify`` reads. Shapes are not told: an array's symbol stands for one element of it."""

    times = "*"
    loose_times = "*"
    before_sum = "*"
    most_terms = 10**9

    def symbol(self, symbol: Symbol) -> str:
        if symbol.role == "constant":
            return {"inf": "oo"}.get(symbol.name, symbol.name)
        return sympy_name(symbol.name)

    def slope(self, of: str, wrt: str) -> str:
        name = f"d{of}_d{wrt}"
        return name if name.isidentifier() else sympy_name(name)

    def number(self, value: Fraction) -> Printed:
        if value.denominator == 1:
            return str(value), ATOM if value >= 0 else PREFIX
        return f"({value})", ATOM

    def bracketed(self, text: str, binds: int) -> str:
        return f"({text})"

    def power(self, base: Expr, exponent: Expr) -> Printed:
        return f"{self.at(base, ATOM)}**{self.at(exponent, ATOM)}", POWER

    def function(self, expression: Apply) -> Printed:
        name = expression.function
        if name == "contract":
            return self._contract(expression), ATOM
        if name == "item" and isinstance(expression.args[0], Symbol):
            index = ", ".join(str(i) for i in expression.param("index"))
            return sympy_name(f"{expression.args[0].name}[{index}]"), ATOM
        if name == "polygamma":
            return f"polygamma({expression.param('n')}, {self(expression.args[0])})", ATOM
        if name == "log_ndtr" and expression.param("n"):
            return f"log_ndtr_{expression.param('n')}({self(expression.args[0])})", ATOM
        if name == "reduce_sum":
            return f"total({self(expression.args[0])})", ATOM
        if name == "constant":
            return "Symbol('constant')", ATOM
        if name == "select" and (triangle := triangle_of(expression)) is not None:
            return f"{triangle[0]}({self(expression.args[1])}, {triangle[1]})", ATOM
        template = _CALLS.get(name)
        if template is None:
            return f"{name}({', '.join(self(a) for a in expression.args)})", ATOM
        texts = [self.at(a, RELATION) for a in expression.args]
        return template.format(*texts), PRODUCT if template.startswith("1/") or template == "{0}" else ATOM

    def _contract(self, expression: Apply) -> str:
        a, b = (self(e) for e in expression.args)
        lhs, rhs, out = (expression.param(k) for k in ("lhs", "rhs", "out"))
        product = matrix_product(lhs, rhs, out)
        if product is None:
            return f"einsum(Symbol('{lhs},{rhs}->{out}'), {a}, {b})"
        swapped, left_turned, right_turned = product
        left, right = (b, a) if swapped else (a, b)
        return f"matmul({_turned(left, left_turned)}, {_turned(right, right_turned)})"


def _turned(text: str, turned: bool) -> str:
    return f"transposed({text})" if turned else text


def sympy_name(name: str) -> str:
    """A user's name as sympy reads it as a plain symbol: ``Symbol('beta')`` for what means something to sympy."""
    if (_PLAIN.fullmatch(name) or name in _SAFE) and name not in _MEANT and not keyword.iskeyword(name):
        return name
    escaped = name.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"Symbol('{escaped}')"
