"""More functions of one variable and of two: their values are NumPy's, their derivatives exact.

Where a derivative could overflow before its result, it is written with ``hypot`` or in factors.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops.elementwise import elementwise, equal, exp, select, sqrt

# Powers, logarithms and roots.

exp2 = elementwise(
    "exp2", np.exp2, "np.exp2({0})", lambda c: [lambda ct: ct * c.result * math.log(2)], latex=r"2^{{{0}}}"
)


def _logarithm(base: int) -> Op:
    return elementwise(
        f"log{base}",
        getattr(np, f"log{base}"),
        f"np.log{base}({{0}})",
        lambda c: [lambda ct: ct / c.operands[0] * (1 / math.log(base))],
        latex=rf"\log_{{{{{base}}}}} {{0}}",
    )


log2 = _logarithm(2)
log10 = _logarithm(10)
cbrt = elementwise(
    "cbrt",
    np.cbrt,
    "np.cbrt({0})",
    lambda c: [lambda ct: ct / (3.0 * c.result * c.result)],
    kinds="f",
    latex=r"\sqrt[3]{{{0}}}",
)


def _hypot_partials(c: Any) -> list[Any]:
    """The direction of (x, y); 0 where both are."""
    zero = c.result.builder.full(0.0, c.result.aval)
    return [select(equal(c.result, zero), zero, operand / c.result) for operand in c.operands]


hypot = elementwise(
    "hypot",
    np.hypot,
    "np.hypot({0}, {1})",
    _hypot_partials,
    kinds="f",
    commutative=True,
    latex=r"\sqrt{{{0}^2 + {1}^2}}",
)

# Trigonometric and hyperbolic functions, and their inverses.

tan = elementwise("tan", np.tan, "np.tan({0})", lambda c: [1.0 + c.result * c.result], latex=r"\tan {0}")
sinh = elementwise("sinh", np.sinh, "np.sinh({0})", lambda c: [cosh(c.operands[0])], latex=r"\sinh {0}")
cosh: Op = elementwise("cosh", np.cosh, "np.cosh({0})", lambda c: [sinh(c.operands[0])], latex=r"\cosh {0}")


def _cathetus(x: Value) -> Value:
    """``sqrt(1 - x**2)``."""
    return sqrt((1.0 - x) * (1.0 + x))


def _one(x: Value) -> Value:
    return x.builder.full(1.0, x.aval)


def _hypotenuse(x: Value) -> Value:
    """``sqrt(1 + x**2)``, which overflows for no real x."""
    return sqrt(1.0 + x * x) if x.aval.dtype.kind == "c" else hypot(x, _one(x))


def _inverse(name: str, partials: Any) -> Op:
    short = name.replace("arc", "ar" if name.endswith("h") else "arc")
    latex = rf"\{short} {{0}}" if not name.endswith("h") else rf"\operatorname{{{{{short}}}}} {{0}}"
    return elementwise(name, getattr(np, name), f"np.{name}({{0}})", partials, latex=latex)


arcsin = _inverse("arcsin", lambda c: [lambda ct: ct / _cathetus(c.operands[0])])
arccos = _inverse("arccos", lambda c: [lambda ct: -(ct / _cathetus(c.operands[0]))])
arctan = _inverse("arctan", lambda c: [lambda ct: ct / (1.0 + c.operands[0] * c.operands[0])])
arcsinh = _inverse("arcsinh", lambda c: [lambda ct: ct / _hypotenuse(c.operands[0])])
arccosh = _inverse("arccosh", lambda c: [lambda ct: ct / (sqrt(c.operands[0] - 1.0) * sqrt(c.operands[0] + 1.0))])
arctanh = _inverse("arctanh", lambda c: [lambda ct: ct / ((1.0 - c.operands[0]) * (1.0 + c.operands[0]))])


def _arctan2_partials(c: Any) -> list[Any]:
    y, x = c.operands
    length = hypot(y, x)
    return [lambda ct: ct * (x / length / length), lambda ct: -(ct * (y / length / length))]


arctan2 = elementwise(
    "arctan2",
    np.arctan2,
    "np.arctan2({0}, {1})",
    _arctan2_partials,
    kinds="f",
    latex=r"\operatorname{{arctan2}}\left({0}, {1}\right)",
)

# Functions that NumPy lacks.


def _evaluate_erfc(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.vectorize(math.erfc, otypes=[np.float64])(x), x.dtype)


erfc = elementwise(
    "erfc",
    _evaluate_erfc,
    "_erfc({0})",
    lambda c: [exp(-(c.operands[0] * c.operands[0])) * (-2.0 / math.sqrt(math.pi))],
    kinds="f",
    captures=("scipy.special:erfc",),
    latex=r"\operatorname{{erfc}} {0}",
    text="erfc({0})",
)
