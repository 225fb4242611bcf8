"""The Bessel functions J and Y of the orders 0 and 1.

Up to 4 polynomials of the square, with the logarithm of Y; beyond it the waves of Hankel's functions, whose size and
phase are polynomials of ``(4 / x)**2`` (DLMF 10.17, ``bessel_tables.py``). In float64, of whatever dtype x is. Errors
are within 9 units of 2**-52 of the size of the wave, ``sqrt(2 / (pi x))``, up to 4, and within 3 beyond, near zeros
too; near 0 they are within 3 ULP.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.ir.graph import Value
from gradc.ir.op import Context, Op
from gradc.ops import bessel_tables as tables
from gradc.ops.bessel import at_pole, bessel, horner, of_order_one, over_x
from gradc.ops.elementwise import select

_MIDDLE: Final = 4.0
_SLOPE: Final = 2.0 / math.pi


def _near(b: Any, low: Any, order: int, *, second: bool) -> Any:
    """Of numbers that are not negative, up to the middle."""
    square = b.mul(low, low)
    t = b.sub(b.mul(square, 2.0 / _MIDDLE**2), 1.0)
    first = b.add(b.mul(square, horner(b, t, (tables.J1 if order else tables.J0)[::-1])), 0.5 if order else 1.0)
    first = b.mul(low, first) if order else first
    if not second:
        return first
    logarithm = b.mul(b.log(low), first)
    rest = horner(b, t, (tables.Y1 if order else tables.Y0)[::-1])
    if not order:
        return b.add(b.mul(_SLOPE, logarithm), rest)
    return b.add(b.mul(_SLOPE, b.sub(logarithm, b.div(1.0, low))), b.mul(low, rest))


def _far(b: Any, high: Any, order: int, *, second: bool) -> Any:
    """The wave ``sqrt(2 / (pi x)) (P cos(phase) - Q sin(phase))``; its sines and cosines are those of x."""
    inverse = b.div(_MIDDLE, high)
    t = b.sub(b.mul(b.mul(inverse, inverse), 2.0), 1.0)
    even = horner(b, t, (tables.P1 if order else tables.P0)[::-1])
    odd = b.div(horner(b, t, (tables.Q1 if order else tables.Q0)[::-1]), high)
    sine, cosine = b.sin(high), b.cos(high)
    total, difference = b.add(sine, cosine), b.sub(sine, cosine)
    if order:
        total, difference = difference, b.neg(total)
    wave = (
        b.add(b.mul(even, difference), b.mul(odd, total))
        if second
        else b.sub(b.mul(even, total), b.mul(odd, difference))
    )
    return b.div(b.mul(wave, math.sqrt(1.0 / math.pi)), b.sqrt(high))


def _loops(order: int, *, second: bool) -> Callable[..., Any]:
    def loops(b: Any, x: Any) -> Any:
        z = b.convert(x, np.float64)
        size = z if second else b.abs(z)
        near = _near(b, b.minimum(size, _MIDDLE), order, second=second)
        far = _far(b, b.maximum(size, _MIDDLE), order, second=second)
        far = b.select(b.eq(size, math.inf), 0.0, far)
        found = b.select(b.le(size, _MIDDLE), near, far)
        if second:
            found = b.select(b.eq(z, 0.0), -math.inf, b.select(b.lt(z, 0.0), math.nan, found))
        elif order:
            found = b.select(b.lt(z, 0.0), b.neg(found), b.select(b.eq(z, 0.0), z, found))
        return b.convert(found, x.dtype)

    return loops


def _slope_of_j1(c: Context) -> Value:
    """``J0 - J1 / x``."""
    (x,) = c.operands
    near, series, quotient = over_x(x, c.result, of_order_one(-1, slope=True))
    return select(near, series, j0(x) - quotient)


j0: Op = bessel("j0", _loops(0, second=False), lambda c: -j1(c.operands[0]), r"J_0\left({0}\right)")
j1: Op = bessel("j1", _loops(1, second=False), _slope_of_j1, r"J_1\left({0}\right)")
y0: Op = bessel("y0", _loops(0, second=True), lambda c: -y1(c.operands[0]), r"Y_0\left({0}\right)")
y1: Op = bessel(
    "y1", _loops(1, second=True),
    lambda c: at_pole(c, y0(c.operands[0]) - c.result / c.operands[0], _SLOPE, 2),
    r"Y_1\left({0}\right)",
)  # fmt: skip
