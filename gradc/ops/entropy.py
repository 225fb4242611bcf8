"""Entropies: products with a logarithm that have their limit where a probability is 0, and exact slopes there.

The slope of ``entr`` at 0 is infinite, as it is; that of ``xlogy`` by x is ``log(y)``, at x = 0 too. Where x and y are
both 0 the slopes by x have no limit, and are 0. Outside of the probabilities slopes are NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradc.ir.graph import Value
from gradc.ir.op import Context, Op
from gradc.ops.elementwise import equal, less, log, log1p, logical_and, logical_or, select
from gradc.ops.special import special


def _zero_where_both_are(x: Value, y: Value, slope: Value, value: float = 0.0) -> Value:
    """A slope, with a value of its own where two numbers are both 0."""
    zero = x.builder.full(0.0, x.aval)
    both = logical_and(equal(x, zero), equal(y, zero))
    return select(both, x.builder.full(value, x.aval), slope)


def _of_probabilities(x: Value, y: Value, slope: Value, value: float = 0.0) -> Value:
    """The same, and NaN where one of both is negative."""
    zero = x.builder.full(0.0, x.aval)
    outside = logical_or(less(x, zero), less(y, zero))
    return select(outside, x.builder.full(math.nan, x.aval), _zero_where_both_are(x, y, slope, value))


def _entropy(
    name: str, loops: Callable[..., Any], partials: Callable[[Context], Sequence[Any]], latex: str, *, captured: bool
) -> Op:
    arity = 1 if name == "entr" else 2
    return special(name, partials, loops, latex, flops=30, arity=arity, captured=captured)


# x log(y).


def _loops_xlogy(b: Any, x: Any, y: Any) -> Any:
    none = b.logical_and(b.eq(x, 0.0), b.logical_not(b.isnan(y)))
    return b.select(none, 0.0, b.mul(x, b.log(y)))


def _partials_xlogy(c: Context) -> Sequence[Any]:
    x, y = c.operands
    return [_zero_where_both_are(x, y, log(y)), _zero_where_both_are(x, y, x / y)]


def _loops_xlog1py(b: Any, x: Any, y: Any) -> Any:
    none = b.logical_and(b.eq(x, 0.0), b.logical_not(b.isnan(y)))
    return b.select(none, 0.0, b.mul(x, b.log1p(y)))


def _partials_xlog1py(c: Context) -> Sequence[Any]:
    x, y = c.operands
    return [_zero_where_both_are(x, 1.0 + y, log1p(y)), _zero_where_both_are(x, 1.0 + y, x / (1.0 + y))]


def _loops_entr(b: Any, x: Any) -> Any:
    outside = b.select(b.eq(x, 0.0), 0.0, b.select(b.isnan(x), x, -math.inf))
    return b.select(b.gt(x, 0.0), b.neg(b.mul(x, b.log(x))), outside)


xlogy = _entropy("xlogy", _loops_xlogy, _partials_xlogy, r"{0} \log {1}", captured=True)
xlog1py = _entropy("xlog1py", _loops_xlog1py, _partials_xlog1py, r"{0} \log\left(1 + {1}\right)", captured=True)
entr = _entropy(
    "entr", _loops_entr, lambda c: [-log(c.operands[0]) - 1.0], r"\operatorname{{H}}\left({0}\right)", captured=True
)

# log(x / y) and what is made of it.


def _loops_log_ratio(b: Any, x: Any, y: Any) -> Any:
    """By ``log1p`` where x is near y; where the quotient leaves the range by the fourth roots of both."""
    ratio = b.div(x, y)
    near = b.logical_and(b.gt(ratio, 0.5), b.lt(ratio, 2.0))
    close = b.log1p(b.select(near, b.div(b.sub(x, y), y), 0.0))
    in_range = b.logical_and(b.gt(ratio, float(np.finfo(x.dtype).tiny)), b.lt(ratio, math.inf))
    inner = b.select(in_range, ratio, b.div(b.sqrt(b.sqrt(x)), b.sqrt(b.sqrt(y))))
    apart = b.mul(b.log(inner), b.select(in_range, b.constant(1.0, x.dtype), 4.0))
    return b.select(b.lt(y, 0.0), math.nan, b.select(near, close, apart))


log_ratio = _entropy(
    "log_ratio",
    _loops_log_ratio,
    lambda c: [1.0 / c.operands[0], -1.0 / c.operands[1]],
    r"\log \frac{{{0}}}{{{1}}}",
    captured=False,
)


def _outside(b: Any, x: Any, y: Any, at_zero: Any) -> Any:
    """What a divergence is where not both numbers are positive."""
    given = b.select(b.logical_or(b.isnan(x), b.isnan(y)), math.nan, b.constant(math.inf, x.dtype))
    return b.select(b.logical_and(b.eq(x, 0.0), b.ge(y, 0.0)), at_zero, given)


def _loops_rel_entr(b: Any, x: Any, y: Any) -> Any:
    inside = b.logical_and(b.gt(x, 0.0), b.gt(y, 0.0))
    return b.select(inside, b.mul(x, _loops_log_ratio(b, x, y)), _outside(b, x, y, 0.0))


def _partials_rel_entr(c: Context) -> Sequence[Any]:
    x, y = c.operands
    return [_of_probabilities(x, y, log_ratio(x, y) + 1.0), _of_probabilities(x, y, -(x / y))]


def _loops_kl_div(b: Any, x: Any, y: Any) -> Any:
    inside = b.logical_and(b.gt(x, 0.0), b.gt(y, 0.0))
    total = b.sub(b.mul(x, _loops_log_ratio(b, x, y)), b.sub(x, y))
    return b.select(inside, total, _outside(b, x, y, y))


def _partials_kl_div(c: Context) -> Sequence[Any]:
    x, y = c.operands
    return [_of_probabilities(x, y, log_ratio(x, y)), _of_probabilities(x, y, 1.0 - x / y, 1.0)]


rel_entr = _entropy("rel_entr", _loops_rel_entr, _partials_rel_entr, r"{0} \log \frac{{{0}}}{{{1}}}", captured=True)
kl_div = _entropy("kl_div", _loops_kl_div, _partials_kl_div, r"{0} \log \frac{{{0}}}{{{1}}} - {0} + {1}", captured=True)
