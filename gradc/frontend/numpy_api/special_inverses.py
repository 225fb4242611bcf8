"""Inverses of incomplete gamma and beta functions of ``scipy.special``, and the quantiles that they are.

They are differentiated by the probability, not by the orders (DerivativeError). NaN where an order is not positive and
finite.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gradc.frontend.numpy_api.notation import Array
from gradc.frontend.numpy_api.special import ndtri
from gradc.frontend.numpy_api.special_notation import applied, number_of, of_scipy, operands_of
from gradc.ops import incomplete_inverses as inverses
from gradc.ops.incomplete_inverses import beta_odds, beta_odds_upper


@of_scipy("gammaincinv", "a", "y")
def gammaincinv(a: Any, y: Any) -> Any:
    """The x of which ``gammainc(a, x)`` is y. Raises DerivativeError where it is differentiated by ``a``."""
    return applied(inverses.gammaincinv, a, y)


@of_scipy("gammainccinv", "a", "y")
def gammainccinv(a: Any, y: Any) -> Any:
    """The x of which ``gammaincc(a, x)`` is y. Raises DerivativeError where it is differentiated by ``a``."""
    return applied(inverses.gammainccinv, a, y)


@of_scipy("chdtri", "v", "p")
def chdtri(v: Any, p: Any) -> Any:
    """The x of which ``chdtrc(v, x)`` is p. As ``gammainccinv`` by ``v``."""
    v, p = operands_of("chdtri", v, p)
    return 2.0 * gammainccinv(v * 0.5, p)


@of_scipy("gdtrix", "a", "b", "p")
def gdtrix(a: Any, b: Any, p: Any) -> Any:
    """The x of which ``gdtr(a, b, x)`` is p. As ``gammaincinv`` by ``b``."""
    a, b, p = operands_of("gdtrix", a, b, p)
    return gammaincinv(b, p) / a


@of_scipy("pdtri", "k", "y")
def pdtri(k: Any, y: Any) -> Any:
    """The mean m of which ``pdtr(k, m)`` is y."""
    k, y = operands_of("pdtri", k, y)
    return gammainccinv(np.floor(k) + 1.0, y)


def odds(first: Any, second: Any, p: Any, *, upper: bool = False) -> Any:
    """``x / (1 - x)`` of the x of which ``betainc``, or ``betaincc``, is p."""
    operands = operands_of("betainccinv" if upper else "betaincinv", first, second, p)
    return Array((beta_odds_upper if upper else beta_odds)(*[x.value for x in operands]))


def _share(found: Any) -> Any:
    """x of its odds."""
    is_small = found < 1
    return np.where(is_small, found / (1.0 + found), 1.0 / (1.0 + 1.0 / np.where(is_small, number_of(found, 1), found)))


@of_scipy("betaincinv", "a", "b", "y")
def betaincinv(a: Any, b: Any, y: Any) -> Any:
    """The x of which ``betainc(a, b, x)`` is y. Raises DerivativeError where it is differentiated by a or b."""
    return _share(odds(a, b, y))


@of_scipy("betainccinv", "a", "b", "y")
def betainccinv(a: Any, b: Any, y: Any) -> Any:
    """The x of which ``betaincc(a, b, x)`` is y. Raises DerivativeError where it is differentiated by a or b."""
    return _share(odds(a, b, y, upper=True))


@of_scipy("bdtri", "k", "n", "y")
def bdtri(k: Any, n: Any, y: Any) -> Any:
    """The probability p of which ``bdtr(k, n, p)`` is y, of at least 0 and fewer than ``n`` events."""
    k, n, y = operands_of("bdtri", k, n, y, as_in="fdtr")
    k = np.floor(k)
    return betainccinv(k + 1.0, n - k, y)


@of_scipy("nbdtri", "k", "n", "y")
def nbdtri(k: Any, n: Any, y: Any) -> Any:
    """The probability p of which ``nbdtr(k, n, p)`` is y, of whole numbers ``k`` and ``n``."""
    k, n, y = operands_of("nbdtri", k, n, y, as_in="fdtr")
    return betaincinv(np.floor(n), np.floor(k) + 1.0, y)


def ratio_quantile(dfn: Any, dfd: Any, p: Any, *, upper: bool = False) -> Any:
    """The ratio of two variances of which ``fdtr``, or ``fdtrc``, is p."""
    return odds(dfn * 0.5, dfd * 0.5, p, upper=upper) * (dfd / dfn)


@of_scipy("fdtri", "dfn", "dfd", "p")
def fdtri(dfn: Any, dfd: Any, p: Any) -> Any:
    """The x of which ``fdtr(dfn, dfd, x)`` is p. As ``betaincinv`` by ``dfn`` and ``dfd``."""
    return ratio_quantile(*operands_of("fdtri", dfn, dfd, p))


_MANY: Final = 1e3
"""From so many degrees of freedom on Student's quantiles are told by those of the normal distribution."""


def _from_normal(df: Any, w: Any) -> Any:
    """Student's quantile for many degrees of freedom, of the normal one: the inverse of Hill's expansion, by which
    ``stdtr`` is told."""
    a = df - 0.5
    size = 48.0 * a * a
    z = w
    for _ in range(4):
        square = z * z
        second = ((0.4 * square + 3.3) * square + 24.0) * square + 85.5
        z = w - z / size * (square + 3.0 - second / (size + 0.8 * square * square + 100.0))
    part = z * z / a
    growth: Any = number_of(df, 1.0)
    for k in range(14, 1, -1):  # expm1(part) / part
        growth = 1.0 + growth * part * number_of(df, 1.0 / k)
    return z * np.sqrt(df / a * growth)


@of_scipy("stdtrit", "df", "p")
def stdtrit(df: Any, p: Any) -> Any:
    """The t of which ``stdtr(df, t)`` is p, as normal quantiles for infinite ``df``. As ``betaincinv`` by ``df``."""
    df, p = operands_of("stdtrit", df, p)
    zero, infinite = number_of(df, 0.0), df == np.inf
    half = np.where(infinite, number_of(df, 1.0), df) * 0.5
    found = odds(half, half, p)
    root = np.sqrt(found)
    at_end = (p <= zero) | (p >= number_of(p, 1.0))
    beside = np.where(at_end, number_of(df, 1.0), root)
    few = np.sqrt(df) * 0.5 * (beside - 1.0 / beside)
    normal: Any = Array(ndtri(p.value))
    is_near = (df >= _MANY) & (normal * normal < 0.09 * df) & ~at_end & ~infinite
    many = _from_normal(np.where(is_near, df, number_of(df, _MANY)), np.where(is_near, normal, zero))
    inside = np.where(infinite, normal, np.where(is_near, many, few))
    ends = np.where(
        p == zero, number_of(p, -np.inf), np.where(p == number_of(p, 1.0), number_of(p, np.inf), p * np.nan)
    )
    return np.where(df > zero, np.where(at_end, ends, inside), number_of(df, np.nan))
