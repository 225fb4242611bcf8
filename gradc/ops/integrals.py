"""The dilogarithm and the exponential integrals, in float64 of whatever dtype x is.

The dilogarithm is Debye's series in ``log(z)`` from 1/2 to 2, whose radius is 2 pi, beyond it that of its reflection
and inversion (L. Lewin, Polylogarithms and Associated Functions, 1.2 and 1.3). The exponential integrals are a
logarithm and a polynomial near 0, and a polynomial times ``exp(x) / x`` far away (DLMF 6.6, ``integral_tables.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

import numpy as np

from gradc.ir.graph import Value
from gradc.ir.op import Context, Op
from gradc.ops import integral_tables as tables
from gradc.ops.bessel import horner
from gradc.ops.elementwise import absolute, exp, less, log1p, select
from gradc.ops.gamma import BERNOULLI
from gradc.ops.special import special

_EULER: Final = 0.5772156649015329
_DEBYE: Final = tuple(float(number / Fraction(math.factorial(2 * k + 1))) for k, number in enumerate(BERNOULLI[:9], 1))
"""``B(2 k) / (2 k + 1)!`` from k = 1 on."""
_EIN: Final = tuple(float(Fraction(1, k * math.factorial(k))) for k in range(1, 25))
"""The series of Ei up to 2, without its logarithm, over x."""
_TERMS: Final = 24
"""How many terms the slope of the dilogarithm takes within 1/8 of 1."""


def _debye(b: Any, t: Any) -> Any:
    """The dilogarithm of ``1 - exp(-t)``."""
    square = b.mul(t, t)
    return b.add(b.sub(t, b.mul(square, 0.25)), b.mul(b.mul(square, t), horner(b, square, _DEBYE)))


def _loops_spence(b: Any, x: Any) -> Any:
    z = b.convert(x, np.float64)
    far = b.gt(z, 2.0)
    size = b.select(far, b.div(1.0, z), z)
    low = b.lt(size, 0.5)
    logarithm, other = b.log(z), b.log1p(b.neg(b.select(low, size, 0.0)))
    small = b.select(low, b.select(far, b.neg(logarithm), logarithm), 0.0)
    inner = _debye(b, b.neg(b.select(low, other, b.select(far, b.neg(logarithm), logarithm))))
    inner = b.select(
        low, b.sub(b.sub(math.pi**2 / 6.0, b.select(b.eq(size, 0.0), 0.0, b.mul(small, other))), inner), inner
    )
    found = b.select(far, b.sub(b.neg(inner), b.mul(b.mul(logarithm, logarithm), 0.5)), inner)
    found = b.select(b.eq(z, math.inf), -math.inf, found)
    return b.convert(b.select(b.isnan(z), z, b.select(b.lt(z, 0.0), math.nan, found)), x.dtype)


def _slope_of_spence(c: Context) -> Value:
    """``log(z) / (1 - z)``, near 1 its series."""
    (z,) = c.operands
    one = z.builder.full(1.0, z.aval)
    rest = z - 1.0
    near = less(absolute(rest), z.builder.full(0.125, z.aval))
    series: Any = z.builder.full(0.0, z.aval)
    for k in range(_TERMS, -1, -1):
        series = series * -rest + 1.0 / (k + 1)
    return -select(near, series, log1p(rest) / select(near, one, rest))


# Exponential integrals.


def _e1(b: Any, x: Any, scale: Any) -> Any:
    """E1 of positive numbers, where ``scale`` is ``exp(-x)``."""
    low, high = b.minimum(x, 1.0), b.maximum(x, 1.0)
    near = b.mul(low, horner(b, b.sub(b.mul(low, 2.0), 1.0), tables.E1[::-1]))
    near = b.sub(near, b.add(b.log(low), _EULER))
    place = b.sub(1.0, b.div(4.0, b.add(high, 2.0)))
    far = horner(b, b.sub(b.mul(place, 1.5), 0.5), tables.E1_FAR[::-1])
    return b.select(b.le(x, 1.0), near, b.mul(scale, b.div(far, high)))


def _loops_exp1(b: Any, x: Any) -> Any:
    z = b.convert(x, np.float64)
    found = _e1(b, z, b.exp(b.neg(z)))
    return b.convert(b.select(b.eq(z, 0.0), math.inf, found), x.dtype)


def _loops_expi(b: Any, x: Any) -> Any:
    z = b.convert(x, np.float64)
    low, high = b.minimum(b.maximum(z, 0.0), 10.0), b.maximum(z, 10.0)
    rest = b.select(b.le(z, 2.0), horner(b, low, _EIN), horner(b, b.sub(b.mul(low, 0.2), 1.0), tables.EI[::-1]))
    near = b.add(b.mul(low, rest), b.add(b.log(low), _EULER))
    root = b.exp(b.mul(high, 0.5))
    far = b.div(horner(b, b.sub(b.div(20.0, high), 1.0), tables.EI_FAR[::-1]), high)
    far = b.select(b.eq(z, math.inf), z, b.mul(b.mul(far, root), root))
    negative = b.lt(z, 0.0)
    size = b.select(negative, b.neg(z), 1.0)
    left = b.neg(_e1(b, size, b.exp(b.neg(size))))
    found = b.select(negative, left, b.select(b.le(z, 10.0), near, far))
    return b.convert(b.select(b.isnan(z), z, b.select(b.eq(z, 0.0), -math.inf, found)), x.dtype)


def _integral(name: str, loops: Callable[..., Any], partial: Callable[[Context], Any], latex: str) -> Op:
    return special(name, lambda c: [partial(c)], loops, latex, flops=150)


spence = _integral("spence", _loops_spence, _slope_of_spence, r"\operatorname{{Li}}_2\left(1 - {0}\right)")
exp1 = _integral("exp1", _loops_exp1, lambda c: -(exp(-c.operands[0]) / c.operands[0]), r"E_1\left({0}\right)")
expi = _integral(
    "expi", _loops_expi, lambda c: exp(c.operands[0]) / c.operands[0], r"\operatorname{{Ei}}\left({0}\right)"
)
