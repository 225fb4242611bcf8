"""The inverses by x of the incomplete gamma and beta functions, in float64 of whatever dtype the numbers are.

The smaller one of the two tails, as a logarithm, is a concave function of ``log(x)``, or of ``logit(x)``, for all
orders: Newton's method leads to its place from everywhere, and Halley's, which is taken, in three steps from a start
that is right to some tenths. Starts are powers in the tails (DLMF 8.7.1, 8.17.7), the gamma distribution's asymptotic
form far above it (DLMF 8.11.2), and between the cube of a normal number (E. B. Wilson and M. M. Hilferty, PNAS 17,
1931) by a rational function (Abramowitz and Stegun, 26.2.23). The beta distribution's is taken from the gamma's, which
it nears in ``-log(1 - x)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from gradc.ir.graph import Value
from gradc.ir.op import Context, Op
from gradc.ops.elementwise import less, select
from gradc.ops.incomplete import by_x, gamma_density, lower_gamma, upper_gamma, wave
from gradc.ops.incomplete_beta import beta_density, lower_beta, upper_beta, weight
from gradc.ops.special import special

_STEPS: Final = 3
_LEAST: Final = 1e-300
_LONGEST: Final = 4.0
"""A step changes x by a factor of at most its exponential."""


def _normal(b: Any, logarithm: Any) -> Any:
    """The size of the number that a normal one exceeds with a probability up to 1/2, to three digits."""
    t = b.sqrt(b.mul(logarithm, -2.0))
    above = b.add(b.mul(b.add(b.mul(t, 0.010328), 0.802853), t), 2.515517)
    below = b.add(b.mul(b.add(b.mul(b.add(b.mul(t, 0.001308), 0.189269), t), 1.432788), t), 1.0)
    return b.sub(t, b.div(above, below))


def _log_of_tails(b: Any, tail: Any, is_low: Any) -> tuple[Any, Any]:
    """The logarithms of both tails, of which ``tail`` is the smaller one."""
    small, large = b.log(tail), b.log1p(b.neg(tail))
    return b.select(is_low, small, large), b.select(is_low, large, small)


def _start_of_gamma(b: Any, a: Any, tail: Any, is_low: Any) -> Any:
    """The logarithm of x."""
    below, above = _log_of_tails(b, tail, is_low)
    log_gamma = b.gammaln(b.add(a, 1.0))
    power = b.div(b.add(below, log_gamma), a)
    power = b.add(power, b.div(b.exp(b.minimum(power, 0.0)), b.add(a, 1.0)))
    size = _normal(b, b.log(tail))
    root = b.div(b.select(is_low, b.neg(size), size), b.mul(b.sqrt(a), 3.0))
    cube = b.add(b.sub(1.0, b.div(1.0 / 9.0, a)), root)
    middle = b.add(b.log(a), b.mul(b.log(b.maximum(cube, 0.4)), 3.0))
    depth = b.sub(b.sub(b.log(a), above), log_gamma)
    is_small, less_one = b.lt(a, 1.0), b.sub(a, 1.0)
    depth = b.select(is_small, b.maximum(depth, 0.5), depth)
    guess = b.select(b.ge(a, 0.5), b.exp(b.minimum(middle, 700.0)), depth)
    is_far = b.logical_and(b.logical_not(is_low), b.gt(guess, b.mul(b.maximum(a, 1.0), 2.5)))
    far = b.select(is_far, guess, b.add(b.mul(a, 3.0), 10.0))
    for _ in range(2):
        ratio = b.div(less_one, far)
        rest = b.log1p(b.neg(b.minimum(b.maximum(ratio, -1.0), 0.8)))
        moved = b.sub(b.add(depth, b.mul(less_one, b.sub(b.log(far), 1.0))), rest)
        far = b.maximum(b.div(moved, b.sub(1.0, b.minimum(ratio, 0.6))), b.mul(far, 0.3))
    is_middle = b.logical_and(b.ge(a, 0.5), b.gt(cube, 0.4))
    found = b.select(is_middle, middle, power)
    is_deep = b.logical_and(b.logical_and(is_low, b.ge(a, 1.0)), b.lt(cube, 0.75))
    near = found
    for _ in range(2):
        x = b.exp(b.minimum(near, 700.0))
        rest = b.log1p(b.neg(b.minimum(b.div(x, b.add(a, 1.0)), 0.8)))
        error = b.sub(b.sub(b.sub(b.mul(a, near), x), rest), b.add(below, log_gamma))
        near = b.sub(near, b.div(error, b.maximum(b.sub(a, x), b.mul(a, 0.2))))
    return b.select(is_far, b.log(far), b.select(is_deep, near, found))


def _step(b: Any, is_low: Any, tail: Any, found: Any, density: Any, slope: Any) -> Any:
    """Halley's step for the logarithm of a tail; ``slope`` is that of the logarithm of the density."""
    found = b.maximum(found, _LEAST)
    steepness = b.maximum(b.div(density, found), _LEAST)
    signed = b.select(is_low, steepness, b.neg(steepness))
    ratio = b.div(b.log(b.div(found, tail)), signed)
    bend = b.maximum(b.sub(1.0, b.mul(b.mul(ratio, b.sub(slope, signed)), 0.5)), 0.5)
    return b.minimum(b.maximum(b.neg(b.div(ratio, bend)), -_LONGEST), _LONGEST)


def _tails(b: Any, p: Any, *, upper: bool) -> tuple[Any, Any]:
    """Whether the lower tail is the smaller one, and how large that is; of 0 and 1 that of any other number."""
    is_first = b.le(p, 0.5)
    tail = b.select(is_first, p, b.sub(1.0, p))
    return (b.logical_not(is_first) if upper else is_first), b.select(b.gt(tail, 0.0), tail, 0.5)


def _with_ends(b: Any, found: Any, p: Any, orders: Sequence[Any], *, upper: bool) -> Any:
    """The result with those for 0 and 1, and NaN outside and for orders that are not positive and finite."""
    nothing, all_of_it = (math.inf, 0.0) if upper else (0.0, math.inf)
    found = b.select(b.eq(p, 0.0), nothing, b.select(b.eq(p, 1.0), all_of_it, found))
    usable = b.logical_and(b.ge(p, 0.0), b.le(p, 1.0))
    for order in orders:
        usable = b.logical_and(usable, b.logical_and(b.gt(order, 0.0), b.lt(order, math.inf)))
    return b.select(usable, found, math.nan)


def _loops_gamma(*, upper: bool) -> Callable[..., Any]:
    def loops(b: Any, of_a: Any, of_p: Any) -> Any:
        a, p = b.convert(of_a, np.float64), b.convert(of_p, np.float64)
        is_low, tail = _tails(b, p, upper=upper)
        x = b.exp(_start_of_gamma(b, a, tail, is_low))
        for _ in range(_STEPS):
            found = b.select(is_low, lower_gamma(b, a, x), upper_gamma(b, a, x))
            step = _step(b, is_low, tail, found, b.mul(a, wave(b, a, x)), b.sub(a, x))
            x = b.select(b.gt(x, 0.0), b.mul(x, b.exp(step)), x)
        return b.convert(_with_ends(b, x, p, [a], upper=upper), of_a.dtype)

    return loops


# The beta distribution, in the odds x / (1 - x), of which neither x nor 1 - x loses digits.


def _start_of_beta(b: Any, first: Any, second: Any, tail: Any, is_low: Any) -> Any:
    """The logarithm of the odds."""
    turned = b.gt(first, second)
    least, most = b.minimum(first, second), b.maximum(first, second)
    is_low = b.logical_xor(is_low, turned)
    below, above = _log_of_tails(b, tail, is_low)
    log_beta = b.sub(b.add(b.gammaln(least), b.gammaln(most)), b.gammaln(b.add(least, most)))
    start = _start_of_gamma(b, least, tail, is_low)
    near = b.maximum(b.sub(least, 1.0 / 3.0), 0.5)
    median = b.div(near, b.log1p(b.div(near, b.maximum(b.sub(most, 1.0 / 3.0), 0.5))))
    scale = b.select(b.ge(least, 1.0), median, b.maximum(b.add(most, b.mul(b.sub(least, 1.0), 0.5)), 0.25))
    size = b.div(b.exp(start), scale)
    odds = b.select(b.lt(size, 600.0), b.log(b.expm1(b.minimum(size, 600.0))), size)
    middle = b.select(b.lt(size, 1e-3), b.add(b.sub(start, b.log(scale)), b.mul(size, 0.5)), odds)
    low = b.div(b.add(b.add(below, b.log(least)), log_beta), least)
    high = b.div(b.add(b.add(above, b.log(most)), log_beta), most)
    x, y = b.exp(b.minimum(low, 0.0)), b.exp(b.minimum(high, 0.0))
    low_odds = b.sub(low, b.log1p(b.neg(b.minimum(x, 0.6))))
    high_odds = b.sub(b.log1p(b.neg(b.minimum(y, 0.6))), high)
    share = b.log(b.div(least, b.add(least, most)))
    other = b.log1p(b.neg(b.div(least, b.add(least, most))))
    part, rest = b.div(b.exp(b.mul(least, share)), least), b.div(b.exp(b.mul(most, other)), most)
    both_small = b.select(b.lt(b.exp(below), b.div(part, b.add(part, rest))), low_odds, high_odds)
    found = b.select(b.ge(most, 1.0), middle, both_small)
    # The first terms of the series of powers are enough where the next ones are small.
    next_low = b.mul(x, b.add(b.div(b.mul(least, b.add(most, 1.0)), b.add(least, 1.0)), 1.0))
    next_high = b.mul(y, b.add(b.div(b.mul(most, b.add(least, 1.0)), b.add(most, 1.0)), 1.0))
    found = b.select(b.logical_and(b.logical_not(is_low), b.lt(next_high, 0.2)), high_odds, found)
    found = b.select(b.logical_and(is_low, b.lt(next_low, 0.2)), low_odds, found)
    return b.select(turned, b.neg(found), found)


def _loops_odds(*, upper: bool) -> Callable[..., Any]:
    def loops(b: Any, of_a: Any, of_b: Any, of_p: Any) -> Any:
        first, second, p = (b.convert(v, np.float64) for v in (of_a, of_b, of_p))
        is_low, tail = _tails(b, p, upper=upper)
        odds = b.exp(_start_of_beta(b, first, second, tail, is_low))
        for _ in range(_STEPS):
            is_small = b.lt(odds, 1.0)
            near, far = b.select(is_small, first, second), b.select(is_small, second, first)
            ratio = b.select(is_small, odds, b.div(1.0, odds))
            place = b.div(ratio, b.add(ratio, 1.0))
            ends_here = b.logical_not(b.logical_xor(is_low, is_small))
            found = b.select(ends_here, lower_beta(b, near, far, place), upper_beta(b, near, far, place))
            slope = b.sub(b.mul(near, b.sub(1.0, place)), b.mul(far, place))
            slope = b.select(is_small, slope, b.neg(slope))
            step = _step(b, is_low, tail, found, weight(b, near, far, place), slope)
            inside = b.logical_and(b.gt(odds, 0.0), b.lt(odds, math.inf))
            odds = b.select(inside, b.mul(odds, b.exp(step)), odds)
        return b.convert(_with_ends(b, odds, p, [first, second], upper=upper), of_a.dtype)

    return loops


def _slope_of_odds(c: Context, sign: float) -> Any:
    """1 over the density by the odds, of the smaller one of x and 1 - x."""
    a, b, _ = c.operands
    odds = c.result
    one = odds.builder.full(1.0, odds.aval)
    is_small = less(odds, one)
    ratio = select(is_small, odds, 1.0 / odds)
    place: Value = ratio / (ratio + 1.0)
    density = beta_density(select(is_small, a, b), select(is_small, b, a), place)
    return lambda ct: ct * ((odds + 1.0) * (odds + 1.0) / density * sign)


def _inverse(
    name: str, orders: str, partial: Callable[[Context], Any], loops: Callable[..., Any], latex: str, of: str = ""
) -> Op:
    """The inverse of a function of the ``orders`` and of x by x, which is differentiated by the probability."""
    arity = len(orders) + 1
    partials = by_x(of or name, orders, partial)
    return special(name, partials, loops, latex, flops=2500 * arity, arity=arity, captured=not of)


gammaincinv = _inverse(
    "gammaincinv", "a", lambda c: 1.0 / gamma_density(c.operands[0], c.result),
    _loops_gamma(upper=False), r"P^{{-1}}\left({0}, {1}\right)",
)  # fmt: skip
gammainccinv = _inverse(
    "gammainccinv", "a", lambda c: -1.0 / gamma_density(c.operands[0], c.result),
    _loops_gamma(upper=True), r"Q^{{-1}}\left({0}, {1}\right)",
)  # fmt: skip
beta_odds = _inverse(
    "beta_odds", "ab", lambda c: _slope_of_odds(c, 1.0),
    _loops_odds(upper=False), r"\frac{{x}}{{1 - x}}, I_x\left({0}, {1}\right) = {2}", of="betaincinv",
)  # fmt: skip
"""The odds ``x / (1 - x)`` of the x of which ``betainc`` is p."""
beta_odds_upper = _inverse(
    "beta_odds_upper", "ab", lambda c: _slope_of_odds(c, -1.0),
    _loops_odds(upper=True), r"\frac{{x}}{{1 - x}}, 1 - I_x\left({0}, {1}\right) = {2}", of="betainccinv",
)  # fmt: skip
"""The same of ``betaincc``."""
