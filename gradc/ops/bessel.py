"""The modified Bessel functions I and K of the orders 0 and 1, as they are and scaled, within 10 ULP.

I: up to 19 its series of powers, all of whose terms are of one sign, beyond it the asymptotic one, whose terms fall to
2e-17 there (DLMF 10.25.2, 10.40.1). K: up to 1 its logarithm and a polynomial, beyond it one in ``1 / x``
(``bessel_tables.py``). In float64, of whatever dtype x is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np

from gradc.ir.graph import Value
from gradc.ir.op import Context, Op
from gradc.ops import bessel_tables as tables
from gradc.ops.elementwise import absolute, equal, exp, isfinite, less, select, sign
from gradc.ops.special import special

_MIDDLE: Final = 19.0
_NEAR, _FAR = 36, 26
"""How many terms the two series have."""
_TERMS: Final = 12
"""How many terms of the series a derivative takes below 1."""
_MIDDLE_OF_K: Final = 1.0


def _near(order: int) -> list[float]:
    """Of ``(x / 16)**2``, by which none of them leaves the range of f32."""
    return [float(Fraction(64**k, math.factorial(k) * math.factorial(k + order))) for k in range(_NEAR)]


def _far(order: int) -> list[float]:
    """Of ``1 / x``."""
    found, term = [], Fraction(1)
    for k in range(_FAR):
        found.append(float(term))
        term *= Fraction((2 * k + 1) ** 2 - 4 * order**2, 8 * (k + 1))
    return found


def horner(b: Any, x: Any, coefficients: Sequence[float]) -> Any:
    """A polynomial, its lowest power first."""
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
        part = b.mul(low, 0.0625)
        near = horner(b, b.mul(part, part), _near(order))
        if order:
            near = b.mul(near, half)
        near = b.mul(near, b.exp(b.neg(low))) if scaled else near
        far = b.mul(horner(b, b.div(1.0, high), _far(order)), b.div(1.0 / math.sqrt(2.0 * math.pi), b.sqrt(high)))
        if not scaled:
            root = b.exp(b.mul(high, 0.5))
            far = b.select(b.isfinite(size), b.mul(b.mul(far, root), root), size)
        found = b.select(b.le(size, _MIDDLE), near, far)
        found = b.select(b.isnan(z), z, found)
        return b.convert(b.copysign(found, z) if order else found, x.dtype)

    return loops


def over_x(x: Value, function: Value, coefficients: Sequence[float]) -> tuple[Value, Value, Value]:
    """Where x is near 0, a polynomial of ``(x / 2)**2`` for there, and ``function / x`` for elsewhere.

    The polynomial is the series of what has a limit at 0. Its derivatives are exact there too, and the quotient's,
    whose terms grow with each order as x gets small, are not asked for below 1.
    """
    near = less(absolute(x), x.builder.full(1.0, x.aval))
    quarter = x * x * 0.25
    series: Any = x.builder.full(coefficients[-1], x.aval)
    for coefficient in reversed(coefficients[:-1]):
        series = series * quarter + coefficient
    return near, series, function / select(near, x.builder.full(1.0, x.aval), x)


def of_order_one(sign: int, *, slope: bool) -> list[float]:
    """The series of ``I1(x) / x``, or for sign -1 of ``J1(x) / x``, by ``(x / 2)**2``; or that of the derivative."""
    return [
        sign**k * (2 * k + 1 if slope else 1) / (2 * math.factorial(k) * math.factorial(k + 1)) for k in range(_TERMS)
    ]


def _slope_of_i1(c: Context) -> Value:
    """``I0 - I1 / x``; infinite where both overflow."""
    (x,) = c.operands
    near, series, quotient = over_x(x, c.result, of_order_one(1, slope=True))
    zero = x.builder.full(0.0, x.aval)
    return select(near, series, i0(x) - select(isfinite(c.result), quotient, zero))


def at_pole(c: Context, slope: Value, factor: float, power: int) -> Value:
    """The slope of a function with a pole at 0, near which it is ``factor / x**power``; where the function is infinite,
    terms of its slope cancel as infinities."""
    size = absolute(c.operands[0])
    infinite = equal(absolute(c.result), size.builder.full(math.inf, size.aval))
    return select(infinite, factor / (size * size if power == 2 else size), slope)


def _slope_of_i1e(c: Context) -> Value:
    (x,) = c.operands
    near, series, quotient = over_x(x, c.result, of_order_one(1, slope=False))
    return i0e(x) - select(near, series * _shrunk(x), quotient) - sign(x) * c.result


def _shrunk(x: Value) -> Value:
    """``exp(-|x|)``."""
    return exp(-absolute(x))


def bessel(name: str, loops: Callable[..., Any], partial: Callable[[Context], Value], latex: str) -> Op:
    """A Bessel function of SciPy's of this name."""
    return special(name, lambda c: [partial(c)], loops, latex, flops=150)


i0: Op = bessel("i0", _loops(0, scaled=False), lambda c: i1(c.operands[0]), r"I_0\left({0}\right)")
i1: Op = bessel("i1", _loops(1, scaled=False), _slope_of_i1, r"I_1\left({0}\right)")
i0e: Op = bessel(
    "i0e", _loops(0, scaled=True), lambda c: i1e(c.operands[0]) - sign(c.operands[0]) * c.result,
    r"e^{{-\left|{0}\right|}} I_0\left({0}\right)",
)  # fmt: skip
i1e: Op = bessel("i1e", _loops(1, scaled=True), _slope_of_i1e, r"e^{{-\left|{0}\right|}} I_1\left({0}\right)")


def _loops_of_k(order: int, *, scaled: bool) -> Callable[..., Any]:
    near_table, far_table = ((tables.K0, tables.K0E), (tables.K1, tables.K1E))[order]

    def loops(b: Any, x: Any) -> Any:
        z = b.convert(x, np.float64)
        low, high = b.minimum(z, _MIDDLE_OF_K), b.maximum(z, _MIDDLE_OF_K)
        half = b.mul(low, 0.5)
        square, part = b.mul(half, half), b.mul(low, 0.0625)
        first_kind = horner(b, b.mul(part, part), _near(order)[:_TERMS])
        near = horner(b, b.sub(b.mul(8.0, square), 1.0), near_table[::-1])
        logarithm = b.sub(b.log(low), math.log(2.0))  # half of the smallest number is 0
        if order:
            near = b.add(b.div(1.0, low), b.mul(low, b.add(b.mul(b.mul(logarithm, 0.5), first_kind), near)))
        else:
            near = b.sub(near, b.mul(logarithm, first_kind))
        far = b.div(horner(b, b.sub(b.div(2.0, high), 1.0), far_table[::-1]), b.sqrt(high))
        near, far = (b.mul(near, b.exp(low)), far) if scaled else (near, b.mul(far, b.exp(b.neg(high))))
        found = b.select(b.le(z, _MIDDLE_OF_K), near, far)
        found = b.select(b.eq(z, 0.0), math.inf, b.select(b.lt(z, 0.0), math.nan, found))
        return b.convert(found, x.dtype)

    return loops


def _slope_of_k1(c: Context) -> Value:
    (x,) = c.operands
    return -k0(x) - c.result / x


def _slope_of_k1e(c: Context) -> Value:
    (x,) = c.operands
    return c.result - k0e(x) - c.result / x


k0: Op = bessel("k0", _loops_of_k(0, scaled=False), lambda c: -k1(c.operands[0]), r"K_0\left({0}\right)")
k1: Op = bessel(
    "k1", _loops_of_k(1, scaled=False), lambda c: at_pole(c, _slope_of_k1(c), -1.0, 2),
    r"K_1\left({0}\right)",
)  # fmt: skip
k0e: Op = bessel(
    "k0e", _loops_of_k(0, scaled=True), lambda c: at_pole(c, c.result - k1e(c.operands[0]), -1.0, 1),
    r"e^{{{0}}} K_0\left({0}\right)",
)  # fmt: skip
k1e: Op = bessel(
    "k1e", _loops_of_k(1, scaled=True), lambda c: at_pole(c, _slope_of_k1e(c), -1.0, 2),
    r"e^{{{0}}} K_1\left({0}\right)",
)  # fmt: skip
