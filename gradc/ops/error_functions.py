"""The error function's relatives: the complement times ``exp(x**2)``, and the inverses of erf and erfc, within 8 ULP.

The inverses start from a rational guess (Abramowitz and Stegun, 26.2.23) or the first terms of a series, and take three
steps of Halley's method, each of which triples the digits.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops.elementwise import exp
from gradc.ops.special import special

_STEPS: Final = 3
_SLOPE: Final = 2.0 / math.sqrt(math.pi)
_SCALED: Final = (
    3.093226583830838e-10, -6.255766439518075e-11, -5.1561861565166395e-09, -2.551993504058055e-09,
    3.941838305010959e-08, 2.166247267241668e-08, -2.6021705136960196e-07, -5.606223945821546e-08,
    1.7531716883552848e-06, -9.740244744013555e-07, -1.1445047946585976e-05, 2.238432573107579e-05,
    5.164943471278954e-05, -0.000290154075774528, 0.00029371358546110594, 0.001755625847022551,
    -0.009746579546082752, 0.028362277420151644, -0.058693398590679784, 0.09230432116026986,
    -0.10880393014170199, 0.08227673849014927, 0.0035854154854636057, -0.140240598585547, 1.2375126308378275,
)  # fmt: skip
"""``(1 + 2 x) erfcx(x)`` by ``(x - 3.75) / (x + 3.75)``, the highest power first (Shepherd and Laframboise, 1981)."""


_TINY: Final = {4: 2.0**-110, 8: 2.0**-1000}
"""By the bytes of a dtype: below, its numbers are about to lose digits."""
_FAR: Final = 27.0
_BEYOND: Final = tuple((-1) ** (k + 1) * math.prod(range(1, 2 * k, 2)) / 2.0**k for k in range(7, 0, -1))
"""``(2k - 1)!! / 2**k``, of signs that take turns, from k = 7 down to 1: the asymptotic series (DLMF 7.12.1)."""


def _beyond(b: Any, square: Any) -> Any:
    series = b.constant(_BEYOND[0], np.float64)
    for coefficient in _BEYOND[1:]:
        series = b.add(b.mul(series, square), coefficient)
    return series


def scaled_complement(b: Any, size: Any) -> Any:
    """``exp(x**2) erfc(x)`` of numbers that are not negative."""
    near, far = b.minimum(size, _FAR), b.maximum(size, _FAR)
    place = b.div(b.sub(near, 3.75), b.add(near, 3.75))
    total = b.constant(_SCALED[0], np.float64)
    for coefficient in _SCALED[1:]:
        total = b.add(b.mul(total, place), coefficient)
    right = b.div(total, b.add(1.0, b.mul(2.0, near)))
    inverse = b.div(1.0, far)
    square = b.mul(inverse, inverse)
    beyond = b.mul(b.mul(b.sub(1.0, b.mul(_beyond(b, square), square)), inverse), 1.0 / math.sqrt(math.pi))
    return b.select(b.lt(size, _FAR), right, beyond)


def _loops_erfcx(b: Any, x: Any) -> Any:
    z = b.convert(x, np.float64)
    right = scaled_complement(b, b.abs(z))
    left = b.sub(b.mul(2.0, b.exp(b.mul(z, z))), right)
    return b.convert(b.select(b.isnan(z), z, b.select(b.lt(z, 0.0), left, right)), x.dtype)


def _slope_of_erfcx(x: Value, result: Value) -> Value:
    return x * result * 2.0 - _SLOPE


erfcx = special(
    "erfcx",
    lambda c: [_slope_of_erfcx(c.operands[0], c.result)],
    _loops_erfcx,
    r"\operatorname{{erfcx}} {0}",
    flops=70,
)


def _halley(b: Any, x: Any, error: Any, slope: Any) -> Any:
    """A step towards the zero of a function whose second derivative is ``-2 x`` times its first."""
    ratio = b.div(error, slope)
    return b.sub(x, b.div(ratio, b.add(1.0, b.mul(x, ratio))))


def _step_in_logarithms(b: Any, x: Any, logarithm: Any) -> Any:
    """A step of Newton's method towards the zero of ``log(erfc(x)) - logarithm``, for large x."""
    square = b.mul(x, x)
    series = b.div(_beyond(b, b.div(1.0, square)), square)
    there = b.sub(b.log1p(b.neg(series)), b.add(square, b.log(b.mul(x, math.sqrt(math.pi)))))
    return b.add(x, b.mul(b.sub(there, logarithm), b.div(b.sub(1.0, series), b.mul(2.0, x))))


def _of_tail(b: Any, z: Any, tiny: float | None = None) -> Any:
    """The inverse of erfc from 0 to 1. Below ``tiny``, where numbers are about to lose their digits, by logarithms."""
    logarithm = b.log(z)
    depth = b.sqrt(b.mul(-2.0, b.sub(logarithm, math.log(2.0))))
    below = b.add(1.0, b.mul(depth, b.add(0.99229, b.mul(depth, 0.04481))))
    guess = b.mul(math.sqrt(0.5), b.sub(depth, b.div(b.add(2.30753, b.mul(depth, 0.27061)), below)))
    x = guess
    for _ in range(_STEPS):
        x = _halley(b, x, b.sub(b.erfc(x), z), b.mul(-_SLOPE, b.exp(b.neg(b.mul(x, x)))))
    if tiny is None:
        return x
    far = _step_in_logarithms(b, _step_in_logarithms(b, guess, logarithm), logarithm)
    return b.select(b.lt(z, tiny), far, x)


def _of_middle(b: Any, y: Any) -> Any:
    """The inverse of erf from -1/2 to 1/2."""
    square = b.mul(y, y)
    series = b.add(b.mul(b.add(b.mul(square, 0.12756), 0.23201), square), 0.8862269254527580)
    x = b.mul(series, y)
    for _ in range(_STEPS):
        x = _halley(b, x, b.sub(b.erf(x), y), b.mul(_SLOPE, b.exp(b.neg(b.mul(x, x)))))
    return x


def _loops_erfinv(b: Any, x: Any) -> Any:
    y = b.convert(x, np.float64)
    size = b.abs(y)
    middle = _of_middle(b, b.maximum(b.minimum(y, 0.5), -0.5))
    tail = b.copysign(_of_tail(b, b.select(b.logical_and(b.gt(size, 0.5), b.lt(size, 1.0)), b.sub(1.0, size), 0.5)), y)
    inside = b.select(b.le(size, 0.5), middle, tail)
    ends = b.select(b.eq(size, 1.0), b.copysign(math.inf, y), math.nan)
    return b.convert(b.select(b.lt(size, 1.0), inside, ends), x.dtype)


def _loops_erfcinv(b: Any, x: Any) -> Any:
    z = b.convert(x, np.float64)
    middle = _of_middle(b, b.maximum(b.minimum(b.sub(1.0, z), 0.5), -0.5))
    low = b.select(b.lt(z, 1.0), z, b.sub(2.0, z))
    tail = _of_tail(b, b.select(b.logical_and(b.gt(low, 0.0), b.lt(low, 0.5)), low, 0.5), _TINY[x.dtype.itemsize])
    tail = b.select(b.lt(z, 1.0), tail, b.neg(tail))
    inside = b.select(b.lt(low, 0.5), tail, middle)
    ends = b.select(b.eq(z, 0.0), math.inf, b.select(b.eq(z, 2.0), -math.inf, b.constant(math.nan, np.float64)))
    return b.convert(b.select(b.gt(low, 0.0), inside, ends), x.dtype)


def _inverse(name: str, loops: Any, sign: float) -> Op:
    """The slope of an inverse is 1 over that of the function."""
    latex = rf"\operatorname{{{{{name.removesuffix('inv')}}}}}^{{{{-1}}}} {{0}}"
    return special(name, lambda c: [exp(c.result * c.result) * (sign / _SLOPE)], loops, latex, flops=400)


erfinv = _inverse("erfinv", _loops_erfinv, 1.0)
erfcinv = _inverse("erfcinv", _loops_erfcinv, -1.0)
