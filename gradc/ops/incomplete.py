"""The incomplete gamma functions, regularized, in float64 of whatever dtype the numbers are; the derivative by x alone.

Up to ``x = a + 1`` the series of powers, beyond it Legendre's continued fraction (DLMF 8.7.1 and 8.9.2), and for large
a, where both are long, Temme's expansion in error functions (DLMF 8.12.3). For a below 1 the complement near x = 0 is
taken from the other series of powers (DLMF 8.7.1 after 8.5.1), without cancelling for small a.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from gradc.errors import DerivativeError
from gradc.ir.op import Context, Op
from gradc.ops.special import special

_EULER: Final = 0.5772156649015329
_LARGE: Final = 30.0
"""From this a on, Temme's expansion is right to the last bit."""
_WINDOW: Final = (0.5, 1.3)
"""Where x over a is, it is used."""
_ENDED: Final = 1e3
"""Beyond it the wave of an a up to 10 is 0."""


def below_largest(b: Any, order: Any, difference: Any, place: Any) -> Any:
    """``a (mu - log(1 + mu))``, where mu is ``difference`` over a, the order, and ``place`` is ``a + difference``: how
    far the exponent of ``x**a exp(-x)`` is from its largest value; near 0 by the series of an area tangent, which does
    not cancel."""
    mu = b.div(difference, order)
    near = b.logical_and(b.gt(mu, -0.5), b.lt(mu, 1.0))
    close = b.select(near, difference, 0.0)
    s = b.div(close, b.add(close, b.mul(order, 2.0)))
    square = b.mul(s, s)
    inside = b.sub(b.mul(close, s), b.mul(order, b.mul(b.mul(b.mul(square, s), 2.0), b.area_series(square))))
    return b.select(near, inside, b.mul(order, b.sub(mu, b.log(b.div(place, order)))))


def wave(b: Any, a: Any, x: Any) -> Any:
    """``x**a exp(-x) / gamma(a + 1)`` for any a: with Stirling's series where a is large."""
    large = b.maximum(a, 10.0)
    distance = below_largest(b, large, b.sub(x, large), x)
    above = b.div(b.exp(b.neg(b.add(distance, b.stirling(large)))), b.sqrt(b.mul(large, 2.0 * math.pi)))
    small, place = b.minimum(a, 10.0), b.minimum(x, _ENDED)
    root = b.exp(b.mul(place, -0.5))
    whole = b.floor(small)
    even = b.eq(b.mul(b.floor(b.mul(whole, 0.5)), 2.0), whole)
    positive = b.logical_or(b.gt(small, -1.0), b.logical_not(even))
    sign = b.select(positive, b.constant(1.0, np.float64), -1.0)
    over_gamma = b.mul(sign, b.exp(b.neg(b.gammaln(b.add(small, 1.0)))))
    below = b.mul(b.mul(b.mul(b.pow(place, small), root), over_gamma), root)
    below = b.select(b.eq(over_gamma, 0.0), 0.0, below)
    return b.select(b.ge(a, 10.0), above, below)


def _complement(b: Any, a: Any, x: Any) -> Any:
    """Q for a below 1 and small x: ``1 - x**a / gamma(a + 1) (1 + a sum((-x)**n / (n! (a + n))))``."""
    exponent = b.mul(a, b.sub(b.log(x), b.sub(b.mul(a, b.log_gamma_bend(a)), _EULER)))
    return b.neg(b.add(b.expm1(exponent), b.mul(b.mul(b.exp(exponent), a), b.gamma_complement(a, x))))


def _uniform(b: Any, a: Any, x: Any, *, upper: bool) -> Any:
    """Temme's expansion of Q, or of P."""
    difference = b.sub(x, a)
    distance = below_largest(b, a, difference, x)
    eta = b.copysign(b.sqrt(b.div(b.mul(distance, 2.0), a)), difference)
    scale = b.div(b.exp(b.neg(distance)), b.sqrt(b.mul(a, 2.0 * math.pi)))
    rest = b.mul(scale, b.gamma_middle(a, eta))
    place = b.copysign(b.sqrt(distance), difference)
    half = b.mul(b.erfc(place if upper else b.neg(place)), 0.5)
    return b.add(half, rest) if upper else b.sub(half, rest)


def _loops(*, upper: bool) -> Callable[..., Any]:
    def loops(b: Any, first: Any, second: Any) -> Any:
        a, x = b.convert(first, np.float64), b.convert(second, np.float64)
        border = b.maximum(b.add(a, 1.0), 1.5)
        low = b.lt(x, border)
        peak = wave(b, a, x)
        large = b.maximum(a, _LARGE)
        inside = b.minimum(b.maximum(x, b.mul(large, _WINDOW[0])), b.mul(large, _WINDOW[1]))
        is_uniform = b.logical_and(b.ge(a, _LARGE), b.eq(inside, x))
        p, q = (
            b.mul(peak, b.gamma_series(a, b.minimum(x, border))),
            b.mul(b.mul(peak, a), b.gamma_fraction(a, b.maximum(x, border))),
        )
        if upper:
            small = b.minimum(a, 1.0)
            near = b.select(b.lt(a, 1.0), _complement(b, small, b.minimum(x, 2.0)), b.sub(1.0, p))
            found = b.select(low, near, q)
        else:
            found = b.select(low, p, b.sub(1.0, q))
        found = b.select(is_uniform, _uniform(b, large, inside, upper=upper), found)
        nothing, all_of_it = (1.0, 0.0) if upper else (0.0, 1.0)
        at_end = b.logical_or(b.eq(x, math.inf), b.eq(a, 0.0))
        at_start = b.logical_or(b.eq(x, 0.0), b.eq(a, math.inf))
        undefined = b.logical_or(b.logical_or(b.lt(a, 0.0), b.lt(x, 0.0)), b.logical_or(b.isnan(a), b.isnan(x)))
        undefined = b.logical_or(undefined, b.logical_and(at_end, at_start))
        found = b.select(at_end, all_of_it, b.select(at_start, nothing, found))
        return b.convert(b.select(undefined, math.nan, found), first.dtype)

    return loops


lower_gamma, upper_gamma = _loops(upper=False), _loops(upper=True)
"""The rules of both functions."""


def _loops_density(b: Any, first: Any, second: Any) -> Any:
    a, x = b.convert(first, np.float64), b.convert(second, np.float64)
    less = b.logical_and(b.lt(b.abs(a), 0.5), b.gt(x, 0.0))
    peak = wave(b, b.select(less, a, b.sub(a, 1.0)), x)
    found = b.select(less, b.div(b.mul(peak, a), x), peak)
    found = b.select(b.eq(x, math.inf), 0.0, found)
    return b.convert(b.select(b.logical_or(b.lt(x, 0.0), b.isnan(x)), math.nan, found), first.dtype)


def by_x(name: str, orders: str, slope: Callable[[Context], Any]) -> Callable[[Context], Sequence[Any]]:
    """The derivatives of a function of ``orders``, a letter each, and of a number, by which it has the ``slope``.

    Raises DerivativeError for those by the orders.
    """

    def partials(c: Context) -> Sequence[Any]:
        *by_orders, _ = c.active
        if any(by_orders):
            known, it = ("derivative by {} is", "it") if len(orders) == 1 else ("derivatives by {} are", "them")
            listed = " and ".join(orders)
            raise DerivativeError(
                f"scipy.special.{name}: the {known.format(listed)} not known, and the result depends on {it}; "
                f"hold {listed} fixed with gradc.stop_gradient"
            )
        return [*([None] * len(orders)), slope(c)]

    return partials


def incomplete(
    name: str, of: str, orders: str, loops: Callable[..., Any], slope: Callable[..., Any], latex: str, flops: int,
) -> Op:  # fmt: skip
    """A function of the ``orders``, a letter each, and of x, by which it has a derivative: ``of`` is SciPy's function
    that it is, or the derivative of."""
    arity = len(orders) + 1
    return special(
        name,
        by_x(of, orders, lambda c: slope(*c.operands)),
        loops,
        latex,
        flops=flops,
        arity=arity,
        captured=name == of,
    )


def _of_gamma(name: str, loops: Callable[..., Any], slope: Callable[..., Any], latex: str) -> Op:
    of = "gammainc" if name == "gamma_density" else name
    return incomplete(name, of, "a", loops, slope, latex, 900)


gamma_density: Op = _of_gamma(
    "gamma_density",
    _loops_density,
    lambda a, x: gamma_density(a - 1.0, x) - gamma_density(a, x),
    r"\frac{{{1}^{{{0} - 1}} e^{{-{1}}}}}{{\Gamma\left({0}\right)}}",
)
"""``x**(a - 1) exp(-x) / gamma(a)`` for any a."""
gammainc = _of_gamma(
    "gammainc",
    lower_gamma,
    lambda a, x: gamma_density(a, x),
    r"P\left({0}, {1}\right)",
)
gammaincc = _of_gamma(
    "gammaincc",
    upper_gamma,
    lambda a, x: -gamma_density(a, x),
    r"Q\left({0}, {1}\right)",
)
