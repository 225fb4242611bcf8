"""The incomplete beta functions, regularized, in float64 of whatever dtype the numbers are; the derivative by x alone.

The continued fraction of A. R. Didonato and A. H. Morris (Algorithm 708, ACM Transactions on Mathematical Software 18,
1992), an even part of DLMF 8.17.22, on the side of the mean where it is short. Near the mean of large a and b it is
long, and Temme's expansion in error functions (DLMF 8.18.9) is used. Where the fraction has not settled the result is
NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops.elementwise import equal, select
from gradc.ops.error_functions import scaled_complement
from gradc.ops.incomplete import below_largest, incomplete, wave

_LARGE: Final = 100.0
"""From orders of this size on densities are bells."""
_LARGEST: Final = 1e100
_MIDDLE: Final = 0.25
"""How far from the mean the expansion goes, in V."""
_EARLIEST: Final = 1.75
"""Of a second order above 50 the fraction is that of the first one up to this x times their sum, at least."""


def _split(b: Any, x: Any) -> tuple[Any, Any]:
    """A number as a sum of two of half its bits (T. J. Dekker, Numer. Math. 18, 1971)."""
    scaled = b.mul(x, 2.0**27 + 1.0)
    high = b.sub(scaled, b.sub(scaled, x))
    return high, b.sub(x, high)


def _deviation(b: Any, first: Any, second: Any, x: Any) -> Any:
    """``a - (a + b) x``, rounded once near the mean, where its parts cancel."""
    total = b.add(first, second)
    part = b.sub(total, first)
    rest = b.add(b.sub(first, b.sub(total, part)), b.sub(second, part))
    product = b.mul(total, x)
    (high, low), (x_high, x_low) = _split(b, total), _split(b, x)
    error = b.add(b.add(b.sub(b.mul(high, x_high), product), b.mul(high, x_low)), b.mul(low, x_high))
    error = b.add(error, b.mul(low, x_low))
    return b.sub(b.sub(first, product), b.add(error, b.mul(rest, x)))


def _bell(b: Any, first: Any, second: Any, x: Any) -> tuple[Any, Any, Any]:
    """Where both orders are large, and there the deviation from the mean and how far the exponent of
    ``x**a (1 - x)**b`` is from its largest value."""
    least, most = b.minimum(first, second), b.maximum(first, second)
    is_large = b.logical_and(b.ge(least, _LARGE), b.le(most, _LARGEST))
    a, c = (b.minimum(b.maximum(order, _LARGE), _LARGEST) for order in (first, second))
    deviation, size = _deviation(b, a, c, x), b.add(a, c)
    distance = b.add(
        below_largest(b, a, b.neg(deviation), b.mul(size, x)),
        below_largest(b, c, deviation, b.mul(size, b.sub(1.0, x))),
    )
    return is_large, deviation, distance


def _scale(b: Any, first: Any, second: Any, distance: Any) -> Any:
    """``x**a (1 - x)**b / beta(a, b)`` over ``sqrt(a b / (2 pi (a + b)))``, for large orders."""
    a, c = b.maximum(first, _LARGE), b.maximum(second, _LARGE)
    rest = b.sub(b.add(b.stirling(a), b.stirling(c)), b.stirling(b.add(a, c)))
    return b.exp(b.neg(b.add(distance, rest)))


def _middle(b: Any, near: Any, far: Any, distance: Any) -> tuple[Any, Any]:
    """Where Temme's expansion holds, and the integral from ``near``'s end over the bell's height."""
    is_near = b.lt(near, far)
    least, most = b.maximum(b.minimum(near, far), _LARGE), b.maximum(b.maximum(near, far), _LARGE)
    width = b.sqrt(b.div(2.0, b.mul(least, b.div(b.add(least, most), most))))
    size = b.sqrt(distance)
    holds = b.le(b.mul(size, width), _MIDDLE)
    place = b.select(holds, size, 0.0)
    tail = b.mul(scaled_complement(b, place), 0.5 * math.sqrt(math.pi))
    step = b.select(is_near, b.neg(width), width)
    return holds, b.mul(b.beta_middle(b.div(least, most), step, place, tail), 1.0 / math.sqrt(math.pi))


def weight(b: Any, first: Any, second: Any, x: Any) -> Any:
    """``x**a (1 - x)**b / beta(a, b)``, whose exponents add up and do not cancel: the density over ``logit(x)``.

    The place of each wave may be any multiple of its part; of at least 1, so that it is 0 for no small x.
    """
    total, y = b.add(first, second), b.sub(1.0, x)
    size = b.maximum(total, 1.0)
    share = b.mul(b.div(first, total), second)
    one = b.div(wave(b, first, b.mul(size, x)), wave(b, total, size))
    small = b.mul(b.mul(one, share), wave(b, second, b.mul(size, y)))
    is_large, _, distance = _bell(b, first, second, x)
    large = b.mul(_scale(b, first, second, distance), b.sqrt(b.mul(share, 1.0 / (2.0 * math.pi))))
    return b.select(is_large, large, small)


def _loops(*, upper: bool) -> Callable[..., Any]:
    def loops(b: Any, of_a: Any, of_b: Any, of_x: Any) -> Any:
        first, second, x = (b.convert(v, np.float64) for v in (of_a, of_b, of_x))
        y = b.sub(1.0, x)
        is_large, deviation, distance = _bell(b, first, second, x)
        border = b.select(b.gt(first, 10.0), first, b.add(first, 1.0))
        border = b.select(b.gt(second, 0.5 * _LARGE), b.maximum(border, _EARLIEST), border)
        turned = b.select(is_large, b.lt(deviation, 0.0), b.gt(b.mul(x, b.add(b.add(first, second), 2.0)), border))
        near, far = b.select(turned, second, first), b.select(turned, first, second)
        at, beside = b.select(turned, y, x), b.select(turned, x, y)
        part = b.mul(weight(b, first, second, x), b.beta_fraction(near, far, at, beside))
        holds, middle = _middle(b, near, far, distance)
        middle = b.mul(_scale(b, first, second, distance), middle)
        part = b.minimum(b.select(b.logical_and(is_large, holds), middle, part), 1.0)
        whole = b.logical_not(turned) if upper else turned
        found = b.select(whole, b.sub(1.0, part), part)
        nothing, all_of_it = (1.0, 0.0) if upper else (0.0, 1.0)
        no_first = b.logical_or(b.eq(first, 0.0), b.eq(second, math.inf))
        no_second = b.logical_or(b.eq(second, 0.0), b.eq(first, math.inf))
        found = b.select(no_first, all_of_it, b.select(no_second, nothing, found))
        found = b.select(b.eq(x, 0.0), nothing, b.select(b.eq(x, 1.0), all_of_it, found))
        found = b.select(b.logical_and(no_first, no_second), math.nan, found)
        outside = b.logical_or(b.logical_or(b.lt(x, 0.0), b.gt(x, 1.0)), b.isnan(b.add(b.add(first, second), x)))
        outside = b.logical_or(outside, b.logical_or(b.lt(first, 0.0), b.lt(second, 0.0)))
        return b.convert(b.select(outside, math.nan, found), of_a.dtype)

    return loops


def _one_less(b: Any, order: Any, place: Any) -> Any:
    """The wave of ``order - 1``, of small orders, which that would round, by their own."""
    less = b.logical_and(b.lt(b.abs(order), 0.5), b.gt(place, 0.0))
    found = wave(b, b.select(less, order, b.sub(order, 1.0)), place)
    return b.select(less, b.div(b.mul(found, order), place), found)


lower_beta, upper_beta = _loops(upper=False), _loops(upper=True)
"""The rules of both functions."""


def _loops_density(b: Any, of_a: Any, of_b: Any, of_x: Any) -> Any:
    first, second, x = (b.convert(v, np.float64) for v in (of_a, of_b, of_x))
    total = b.add(first, second)
    size = b.maximum(total, 1.0)
    one = b.div(_one_less(b, first, b.mul(size, x)), _one_less(b, total, size))
    found = b.mul(b.mul(one, _one_less(b, second, b.mul(size, b.sub(1.0, x)))), size)
    is_large, _, distance = _bell(b, first, second, x)
    height = b.sqrt(b.mul(b.mul(first, b.div(second, total)), 1.0 / (2.0 * math.pi)))
    large = b.div(b.div(b.mul(_scale(b, first, second, distance), height), x), b.sub(1.0, x))
    inside = b.logical_and(b.gt(x, 0.0), b.lt(x, 1.0))
    found = b.select(b.logical_and(is_large, inside), large, found)
    outside = b.logical_or(b.logical_or(b.lt(x, 0.0), b.gt(x, 1.0)), b.isnan(x))
    return b.convert(b.select(outside, math.nan, found), of_a.dtype)


def _of_beta(name: str, loops: Callable[..., Any], slope: Callable[..., Any], latex: str) -> Op:
    of = "betainc" if name == "beta_density" else name
    return incomplete(name, of, "ab", loops, slope, latex, 1500)


def _slope_of_density(a: Value, b: Value, x: Value) -> Value:
    """The difference of two densities, finite at the ends where it is; where a + b is 1, these have poles."""
    difference = (a + b - 1.0) * (beta_density(a - 1.0, b, x) - beta_density(a, b - 1.0, x))
    at_poles = beta_density(a, b, x) * ((a - 1.0) / x - (b - 1.0) / (1.0 - x))
    return select(equal(a + b, a.builder.full(1.0, a.aval)), at_poles, difference)


beta_density: Op = _of_beta(
    "beta_density",
    _loops_density,
    lambda a, b, x: _slope_of_density(a, b, x),
    r"\frac{{{2}^{{{0} - 1}} (1 - {2})^{{{1} - 1}}}}{{\mathrm{{B}}\left({0}, {1}\right)}}",
)
"""``x**(a - 1) (1 - x)**(b - 1) / beta(a, b)`` for any a and b."""
betainc = _of_beta(
    "betainc",
    lower_beta,
    lambda a, b, x: beta_density(a, b, x),
    r"I_{{{2}}}\left({0}, {1}\right)",
)
betaincc = _of_beta(
    "betaincc",
    upper_beta,
    lambda a, b, x: -beta_density(a, b, x),
    r"1 - I_{{{2}}}\left({0}, {1}\right)",
)
