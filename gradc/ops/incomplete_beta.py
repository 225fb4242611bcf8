"""The incomplete beta functions, regularized, in float64 of whatever dtype the numbers are; the derivative by x alone.

The continued fraction of A. R. Didonato and A. H. Morris (Algorithm 708, ACM Transactions on Mathematical Software 18,
1992), an even part of DLMF 8.17.22, on the side of the mean where it is short. Near that of large a and b it is long:
where it has not settled, which happens from about 700 for both on, the result is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops.elementwise import equal, select
from gradc.ops.incomplete import incomplete, wave


def _peak(b: Any, first: Any, second: Any, x: Any, y: Any) -> Any:
    """``x**a y**b gamma(a + b + 1) / (gamma(a + 1) gamma(b + 1))``, whose exponents add up and do not cancel.

    The place of each wave may be any multiple of its part; of at least 1, so that it is 0 for no small x.
    """
    total = b.add(first, second)
    size = b.maximum(total, 1.0)
    both = b.mul(wave(b, first, b.mul(size, x)), wave(b, second, b.mul(size, y)))
    return b.div(both, wave(b, total, size))


def _loops(*, upper: bool) -> Callable[..., Any]:
    def loops(b: Any, of_a: Any, of_b: Any, of_x: Any) -> Any:
        first, second, x = (b.convert(v, np.float64) for v in (of_a, of_b, of_x))
        y = b.sub(1.0, x)
        border = b.add(first, b.select(b.gt(first, 10.0), b.constant(-1.0, np.float64), 1.0))
        turned = b.gt(b.mul(x, b.add(b.add(first, second), 2.0)), border)
        near, far = b.select(turned, second, first), b.select(turned, first, second)
        at, beside = b.select(turned, y, x), b.select(turned, x, y)
        fraction = b.beta_fraction(near, far, at, beside)
        share = b.mul(b.div(far, b.add(near, far)), near)
        part = b.minimum(b.mul(b.mul(_peak(b, near, far, at, beside), share), fraction), 1.0)
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


def _loops_density(b: Any, of_a: Any, of_b: Any, of_x: Any) -> Any:
    first, second, x = (b.convert(v, np.float64) for v in (of_a, of_b, of_x))
    total = b.add(first, second)
    size = b.maximum(total, 1.0)
    both = b.mul(_one_less(b, first, b.mul(size, x)), _one_less(b, second, b.mul(size, b.sub(1.0, x))))
    found = b.mul(b.div(both, _one_less(b, total, size)), size)
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
    _loops(upper=False),
    lambda a, b, x: beta_density(a, b, x),
    r"I_{{{2}}}\left({0}, {1}\right)",
)
betaincc = _of_beta(
    "betaincc",
    _loops(upper=True),
    lambda a, b, x: -beta_density(a, b, x),
    r"1 - I_{{{2}}}\left({0}, {1}\right)",
)
