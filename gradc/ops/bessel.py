"""The modified Bessel functions I0 and I1, as they are and times ``exp(-|x|)``, within 10 ULP.

Up to 19 their series of powers, all of whose terms are of one sign, beyond it the asymptotic one, whose terms fall to
2e-17 there (DLMF 10.25.2, 10.40.1). In float64, of whatever dtype x is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

import numpy as np

from gradc.ir.graph import Value
from gradc.ir.op import Context, Op
from gradc.ops.elementwise import absolute, elementwise, exp, less, select, sign
from gradc.ops.helpers import evaluated

_MIDDLE: Final = 19.0
_NEAR, _FAR = 36, 26
"""How many terms the two series have."""


def _near(order: int) -> list[float]:
    """Of ``(x / 2)**2``."""
    return [float(Fraction(1, math.factorial(k) * math.factorial(k + order))) for k in range(_NEAR)]


def _far(order: int) -> list[float]:
    """Of ``1 / x``."""
    found, term = [], Fraction(1)
    for k in range(_FAR):
        found.append(float(term))
        term *= Fraction((2 * k + 1) ** 2 - 4 * order**2, 8 * (k + 1))
    return found


def _horner(b: Any, x: Any, coefficients: list[float]) -> Any:
    total = b.constant(coefficients[-1], np.float64)
    for coefficient in reversed(coefficients[:-1]):
        total = b.add(b.mul(total, x), coefficient)
    return total


def _loops(order: int, *, scaled: bool) -> Callable[..., Any]:
    def loops(b: Any, x: Any) -> Any:
        z = b.convert(x, np.float64)
        size = b.abs(z)
        low, high = b.minimum(size, _MIDDLE), b.maximum(size, _MIDDLE)
        half = b.mul(low, 0.5)
        near = _horner(b, b.mul(half, half), _near(order))
        if order:
            near = b.mul(near, half)
        near = b.mul(near, b.exp(b.neg(low))) if scaled else near
        far = b.mul(_horner(b, b.div(1.0, high), _far(order)), b.div(1.0 / math.sqrt(2.0 * math.pi), b.sqrt(high)))
        if not scaled:
            root = b.exp(b.mul(high, 0.5))
            far = b.select(b.isfinite(size), b.mul(b.mul(far, root), root), size)
        found = b.select(b.le(size, _MIDDLE), near, far)
        found = b.select(b.isnan(z), z, found)
        return b.convert(b.copysign(found, z) if order else found, x.dtype)

    return loops


def _slope_of_i1(c: Context) -> Value:
    """``I0 - I1 / x``, and near 0 the derivative of the series, which is as smooth there."""
    (x,) = c.operands
    quarter = x * x * 0.25
    series: Any = x.builder.full(0.0, x.aval)
    for k in range(5, -1, -1):
        series = series * quarter + (2 * k + 1) / (2 * math.factorial(k) * math.factorial(k + 1))
    near = less(absolute(x), x.builder.full(0.1, x.aval))
    apart = select(near, x.builder.full(1.0, x.aval), x)
    return select(near, series, i0(x) - c.result / apart)


def _slope_of_i1e(c: Context) -> Value:
    (x,) = c.operands
    quarter = x * x * 0.25
    series: Any = x.builder.full(0.0, x.aval)
    for k in range(5, -1, -1):
        series = series * quarter + 1 / (2 * math.factorial(k) * math.factorial(k + 1))
    near = less(absolute(x), x.builder.full(0.1, x.aval))
    apart = select(near, x.builder.full(1.0, x.aval), x)
    by_x = select(near, series * _shrunk(x), c.result / apart)
    return i0e(x) - by_x - sign(x) * c.result


def _shrunk(x: Value) -> Value:
    """``exp(-|x|)``."""
    return exp(-absolute(x))


def _bessel(name: str, order: int, latex: str, partial: Callable[[Context], Value], *, scaled: bool = False) -> Op:
    return elementwise(
        name,
        evaluated(f"_{name}"),
        f"_{name}({{0}})",
        lambda c: [partial(c)],
        kinds="f",
        loops=_loops(order, scaled=scaled),
        flops=lambda result, *avals: result.size * 150,
        captures=(f"scipy.special:{name}",),
        latex=latex,
        text=f"{name}({{0}})",
    )


i0: Op = _bessel("i0", 0, r"I_0\left({0}\right)", lambda c: i1(c.operands[0]))
i1: Op = _bessel("i1", 1, r"I_1\left({0}\right)", _slope_of_i1)
i0e: Op = _bessel(
    "i0e", 0, r"e^{{-\left|{0}\right|}} I_0\left({0}\right)",
    lambda c: i1e(c.operands[0]) - sign(c.operands[0]) * c.result, scaled=True,
)  # fmt: skip
i1e: Op = _bessel("i1e", 1, r"e^{{-\left|{0}\right|}} I_1\left({0}\right)", _slope_of_i1e, scaled=True)
