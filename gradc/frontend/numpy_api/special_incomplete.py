"""Incomplete gamma and beta functions of ``scipy.special``, and the distribution functions that they are."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gradc.frontend.numpy_api.notation import Array
from gradc.frontend.numpy_api.special import ndtr
from gradc.frontend.numpy_api.special_notation import applied, number_of, of_scipy, operands_of
from gradc.ops import incomplete, incomplete_beta


@of_scipy("gammainc", "a", "x")
def gammainc(a: Any, x: Any) -> Any:
    """The lower incomplete gamma function, regularized. Raises DerivativeError where it is differentiated by ``a``."""
    return applied(incomplete.gammainc, a, x)


@of_scipy("gammaincc", "a", "x")
def gammaincc(a: Any, x: Any) -> Any:
    """The upper one, ``1 - gammainc(a, x)``. Raises DerivativeError where it is differentiated by ``a``."""
    return applied(incomplete.gammaincc, a, x)


@of_scipy("chdtr", "v", "x")
def chdtr(v: Any, x: Any) -> Any:
    """The distribution function of chi-square with ``v`` degrees of freedom. As ``gammainc`` by ``v``."""
    v, x = operands_of("chdtr", v, x)
    return gammainc(v * 0.5, x * 0.5)


@of_scipy("chdtrc", "v", "x")
def chdtrc(v: Any, x: Any) -> Any:
    """``1 - chdtr(v, x)``."""
    v, x = operands_of("chdtrc", v, x)
    return gammaincc(v * 0.5, x * 0.5)


@of_scipy("gdtr", "a", "b", "x")
def gdtr(a: Any, b: Any, x: Any) -> Any:
    """The distribution function of the gamma distribution with rate ``a`` and shape ``b``. As ``gammainc`` by ``b``."""
    a, b, x = operands_of("gdtr", a, b, x)
    return gammainc(b, a * x)


@of_scipy("gdtrc", "a", "b", "x")
def gdtrc(a: Any, b: Any, x: Any) -> Any:
    """``1 - gdtr(a, b, x)``."""
    a, b, x = operands_of("gdtrc", a, b, x)
    return gammaincc(b, a * x)


@of_scipy("pdtr", "k", "m")
def pdtr(k: Any, m: Any) -> Any:
    """The distribution function of Poisson's distribution with mean ``m``."""
    k, m = operands_of("pdtr", k, m)
    return gammaincc(np.floor(k) + 1.0, m)


@of_scipy("pdtrc", "k", "m")
def pdtrc(k: Any, m: Any) -> Any:
    """``1 - pdtr(k, m)``."""
    k, m = operands_of("pdtrc", k, m)
    return gammainc(np.floor(k) + 1.0, m)


@of_scipy("betainc", "a", "b", "x")
def betainc(a: Any, b: Any, x: Any) -> Any:
    """The incomplete beta function, regularized. Raises DerivativeError where it is differentiated by a or b."""
    return applied(incomplete_beta.betainc, a, b, x)


@of_scipy("betaincc", "a", "b", "x")
def betaincc(a: Any, b: Any, x: Any) -> Any:
    """``1 - betainc(a, b, x)``. Raises DerivativeError where it is differentiated by a or b."""
    return applied(incomplete_beta.betaincc, a, b, x)


# Distributions by the incomplete beta function.


_MANY: Final = 1e3
"""From so many degrees of freedom on Student's distribution is told by the normal one."""


def _as_normal(df: Any, t: Any) -> Any:
    """The number of which the normal distribution function is Student's for many degrees of freedom (G. W. Hill,
    Algorithm 395, Communications of the ACM 13, 1970), for ``t**2`` up to ``df / 10``."""
    u = t * t / df
    logarithm: Any = number_of(df, 0.0)
    for k in range(17, 0, -1):
        logarithm = number_of(df, (-1) ** (k + 1) / k) + u * logarithm
    a = df - 0.5
    z = t * np.sqrt(a / df * logarithm)
    square, size = z * z, 48.0 * a * a
    second = ((0.4 * square + 3.3) * square + 24.0) * square + 85.5
    return z + z / size * (square + 3.0 - second / (size + 0.8 * square * square + 100.0))


@of_scipy("stdtr", "df", "t")
def stdtr(df: Any, t: Any) -> Any:
    """Student's distribution function. As ``betainc`` by ``df``.

    By two equal orders, ``I(df / 2, df / 2; x)`` with ``x = (1 + t / sqrt(t**2 + df)) / 2`` in a form that loses no
    digits: its slope is finite at 0, unlike that of DLMF's 8.17.23 in ``df / (t**2 + df)``. That x is rounded, which
    counts where df is large: there it is told by the normal distribution.
    """
    df, t = operands_of("stdtr", df, t)
    half, zero = df * 0.5, number_of(df, 0.0)
    is_negative = t < zero
    size = np.where(is_negative, -t, t)
    length = np.hypot(t, np.sqrt(df))
    x = np.where(size == np.inf, zero, (df / length) / (length + size) * 0.5)
    found = np.where(is_negative, betainc(half, half, x), betaincc(half, half, x))
    is_near = (df >= _MANY) & (size * size < 0.1 * df)
    many, place = np.where(is_near & (df < np.inf), df, number_of(df, _MANY)), np.where(is_near, t, zero)
    number = np.where(df == np.inf, t, _as_normal(many, place))
    normal: Any = Array(ndtr(number.value))
    found = np.where(is_near | (df == np.inf), normal, found)
    return np.where((df > zero) & ~np.isnan(t), found, number_of(df, np.nan))


def _ratio(dfn: Any, dfd: Any, x: Any) -> tuple[Any, Any, Any, Any]:
    """Whether the ratio of two variances is large, then the orders and the argument, at most 1/2, of what is beyond."""
    first, second = dfn * 0.5, dfd * 0.5
    is_large = dfn * x > dfd
    at = np.where(is_large, 1.0 / (1.0 + (dfn / dfd) * x), 1.0 / (1.0 + (dfd / dfn) / x))
    return is_large, np.where(is_large, second, first), np.where(is_large, first, second), at


def _of_ratio(name: str, dfn: Any, dfd: Any, x: Any, near: Any, far: Any) -> Any:
    dfn, dfd, x = operands_of(name, dfn, dfd, x)
    is_large, first, second, at = _ratio(dfn, dfd, x)
    found = np.where(is_large, far(first, second, at), near(first, second, at))
    usable = (dfn > number_of(dfn, 0.0)) & (dfd > number_of(dfn, 0.0)) & (x >= number_of(dfn, 0.0))
    return np.where(usable, found, number_of(dfn, np.nan))


@of_scipy("fdtr", "dfn", "dfd", "x")
def fdtr(dfn: Any, dfd: Any, x: Any) -> Any:
    """The distribution function of the ratio of two variances. As ``betainc`` by ``dfn`` and ``dfd``."""
    return _of_ratio("fdtr", dfn, dfd, x, betainc, betaincc)


@of_scipy("fdtrc", "dfn", "dfd", "x")
def fdtrc(dfn: Any, dfd: Any, x: Any) -> Any:
    """``1 - fdtr(dfn, dfd, x)``."""
    return _of_ratio("fdtrc", dfn, dfd, x, betaincc, betainc)


def _counted(name: str, k: Any, n: Any, p: Any, function: Any, below: float, all_of_them: float) -> Any:
    """What a count up to ``k`` of ``n`` gives: an incomplete beta function, and numbers where there is none."""
    k, n, p = operands_of(name, k, n, p, as_in="fdtr")
    k = np.floor(k)
    zero, one = number_of(k, 0.0), number_of(k, 1.0)
    found = function(k + one, n - k, p)
    found = np.where(k == n, number_of(k, all_of_them), np.where(k < zero, number_of(k, below), found))
    return np.where((p >= zero) & (p <= one) & (k <= n), found, number_of(k, np.nan))


@of_scipy("bdtr", "k", "n", "p")
def bdtr(k: Any, n: Any, p: Any) -> Any:
    """The binomial distribution function: up to ``k`` of ``n`` events of probability ``p``."""
    return _counted("bdtr", k, n, p, betaincc, np.nan, 1.0)


@of_scipy("bdtrc", "k", "n", "p")
def bdtrc(k: Any, n: Any, p: Any) -> Any:
    """``1 - bdtr(k, n, p)``."""
    return _counted("bdtrc", k, n, p, betainc, 1.0, 0.0)


def _waited(name: str, k: Any, n: Any, p: Any, function: Any) -> Any:
    k, n, p = operands_of(name, k, n, p, as_in="fdtr")
    k = np.floor(k)
    n = np.floor(n)
    zero, one = number_of(k, 0.0), number_of(k, 1.0)
    usable = (k >= zero) & (n > zero) & (p >= zero) & (p <= one)
    return np.where(usable, function(n, k + one, p), number_of(k, np.nan))


@of_scipy("nbdtr", "k", "n", "p")
def nbdtr(k: Any, n: Any, p: Any) -> Any:
    """The negative binomial distribution function: up to ``k`` failures before ``n`` successes, both whole."""
    return _waited("nbdtr", k, n, p, betainc)


@of_scipy("nbdtrc", "k", "n", "p")
def nbdtrc(k: Any, n: Any, p: Any) -> Any:
    """``1 - nbdtr(k, n, p)``."""
    return _waited("nbdtrc", k, n, p, betaincc)
