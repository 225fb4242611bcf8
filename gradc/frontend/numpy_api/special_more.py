"""More functions of ``scipy.special``, told in others. Entropies have their limits where a probability is 0."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradc.errors import TraceError
from gradc.frontend.numpy_api.notation import Array
from gradc.frontend.numpy_api.special_notation import applied, number_of, of_scipy, operands_of
from gradc.ops import entropy
from gradc.ops import gamma as gammas

# Entropies.


@of_scipy("xlogy", "x", "y")
def xlogy(x: Any, y: Any) -> Any:
    """``x log(y)``, 0 where x is 0; its slope by x is ``log(y)`` there too."""
    return applied(entropy.xlogy, x, y)


@of_scipy("xlog1py", "x", "y")
def xlog1py(x: Any, y: Any) -> Any:
    """``x log(1 + y)``, 0 where x is 0; its slope by x is ``log(1 + y)`` there too."""
    return applied(entropy.xlog1py, x, y)


@of_scipy("entr", "x")
def entr(x: Any) -> Any:
    """``-x log(x)``, 0 at 0, where its slope is infinite, and minus infinity below."""
    return applied(entropy.entr, x)


@of_scipy("rel_entr", "x", "y")
def rel_entr(x: Any, y: Any) -> Any:
    """``x log(x / y)``, 0 where x is 0 and y is not negative, infinity outside."""
    return applied(entropy.rel_entr, x, y)


@of_scipy("kl_div", "x", "y")
def kl_div(x: Any, y: Any) -> Any:
    """``x log(x / y) - x + y``, y where x is 0 and y is not negative, infinity outside."""
    return applied(entropy.kl_div, x, y)


# Losses.


@of_scipy("huber", "delta", "r")
def huber(delta: Any, r: Any) -> Any:
    """``r**2 / 2`` up to ``delta``, linear beyond; infinity where delta is negative."""
    delta, r = operands_of("huber", delta, r)
    size = np.abs(r)
    loss = np.where(size <= delta, 0.5 * r * r, delta * (size - 0.5 * delta))
    return np.where(delta < 0, number_of(r, math.inf), loss)


@of_scipy("pseudo_huber", "delta", "r")
def pseudo_huber(delta: Any, r: Any) -> Any:
    """``delta**2 (sqrt(1 + (r / delta)**2) - 1)``; infinity where delta is negative, 0 where it is 0."""
    delta, r = operands_of("pseudo_huber", delta, r)
    usable = delta != 0
    scale = np.where(usable, delta, number_of(delta, 1))
    ratio = r / scale
    square = ratio * ratio
    # sqrt(1 + s) - 1 without cancellation.
    loss = scale * scale * (square / (np.sqrt(1.0 + square) + 1.0))
    return np.where(delta < 0, number_of(r, math.inf), np.where(usable | np.isnan(r), loss, number_of(r, 0)))


@of_scipy("softplus", "x")
def softplus(x: Any) -> Any:
    """``log(1 + exp(x))``."""
    (x,) = operands_of("softplus", x)
    return np.logaddexp(x, number_of(x, 0))


# Powers that Box and Cox transform with.


@of_scipy("boxcox", "x", "lmbda")
def boxcox(x: Any, lmbda: Any) -> Any:
    """``(x**lmbda - 1) / lmbda``, the logarithm where lmbda is 0."""
    x, lmbda = operands_of("boxcox", x, lmbda)
    return _over(np.log(x), lmbda)


@of_scipy("boxcox1p", "x", "lmbda")
def boxcox1p(x: Any, lmbda: Any) -> Any:
    """The same of ``1 + x``."""
    x, lmbda = operands_of("boxcox1p", x, lmbda)
    return _over(np.log1p(x), lmbda)


def _over(logarithm: Any, lmbda: Any) -> Any:
    """``(exp(lmbda l) - 1) / lmbda``, by a series where lmbda l is small, so that its slopes are right at 0 too."""
    z = lmbda * logarithm
    near = np.abs(z) < 0.1
    small = np.where(near, z, number_of(z, 0))
    series: Any = number_of(z, 1 / math.factorial(13))
    for k in range(11, -1, -1):
        series = series * small + number_of(z, 1 / math.factorial(k + 1))
    apart = np.where(near, number_of(z, 1), lmbda)
    return np.where(near, logarithm * series, np.expm1(np.where(near, number_of(z, 1), z)) / apart)


@of_scipy("inv_boxcox", "x", "lmbda")
def inv_boxcox(x: Any, lmbda: Any) -> Any:
    """``(lmbda x + 1)**(1 / lmbda)``, the exponential where lmbda is 0."""
    x, lmbda = operands_of("inv_boxcox", x, lmbda)
    return np.exp(_inverse(x, lmbda))


@of_scipy("inv_boxcox1p", "x", "lmbda")
def inv_boxcox1p(x: Any, lmbda: Any) -> Any:
    """The same less 1."""
    x, lmbda = operands_of("inv_boxcox1p", x, lmbda)
    return np.expm1(_inverse(x, lmbda))


def _inverse(x: Any, lmbda: Any) -> Any:
    """``log1p(lmbda x) / lmbda``, x where lmbda is 0."""
    none = lmbda == 0
    apart = np.where(none, number_of(x, 1), lmbda)
    return np.where(none, x, np.log1p(lmbda * x) / apart)


@of_scipy("exprel", "x")
def exprel(x: Any) -> Any:
    """``(exp(x) - 1) / x``, 1 at 0."""
    (x,) = operands_of("exprel", x)
    near = np.abs(x) < 1.0
    small = np.where(near, x, number_of(x, 0))
    series: Any = number_of(x, 1 / math.factorial(22))
    for k in range(20, -1, -1):
        series = series * small + number_of(x, 1 / math.factorial(k + 1))
    apart = np.where(near, number_of(x, 1), x)
    far = np.where(x == math.inf, x, np.expm1(apart) / apart)
    return np.where(near, series, far)


@of_scipy("cosm1", "x")
def cosm1(x: Any) -> Any:
    """``cos(x) - 1``, without cancellation: ``-2 sin(x / 2)**2``."""
    (x,) = operands_of("cosm1", x)
    half = np.sin(x * 0.5)
    return -2.0 * half * half


@of_scipy("powm1", "x", "y")
def powm1(x: Any, y: Any) -> Any:
    """``x**y - 1`` for positive x, without cancellation."""
    x, y = operands_of("powm1", x, y)
    positive = x > 0
    base = np.where(positive, x, number_of(x, 1))
    return np.where(positive, np.expm1(y * np.log(base)), np.power(np.where(positive, number_of(x, 0), x), y) - 1.0)


def _in_degrees(name: str, function: Any) -> None:
    @of_scipy(name, "x")
    def of_degrees(x: Any) -> Any:
        """The function of an angle in degrees, exact at multiples of 90."""
        (x,) = operands_of(name, x)
        turns = np.rint(x / 90.0)
        rest = (x - 90.0 * turns) * number_of(x, math.pi / 180.0)
        return function(np.sin(rest), np.cos(rest), turns % 4.0)


def _sine(s: Any, c: Any, quadrant: Any) -> Any:
    return np.where(quadrant == 0, s, np.where(quadrant == 1, c, np.where(quadrant == 2, -s, -c)))


_in_degrees("sindg", _sine)
_in_degrees("cosdg", lambda s, c, quadrant: _sine(s, c, (quadrant + 1.0) % 4.0))


@of_scipy("radian", "d", "m", "s")
def radian(d: Any, m: Any, s: Any) -> Any:
    """Degrees, minutes and seconds as radians."""
    d, m, s = operands_of("radian", d, m, s)
    return ((s / 60.0 + m) / 60.0 + d) * number_of(d, math.pi / 180.0)


@of_scipy("round", "x")
def round_(x: Any) -> Any:
    """The nearest integer, a tie to the even one."""
    (x,) = operands_of("round", x)
    return np.rint(x)


@of_scipy("tandg", "x")
def tandg(x: Any) -> Any:
    """The tangent of an angle in degrees, exact at multiples of 45; infinity at its poles, as SciPy says."""
    return _tangent("tandg", x, 0.0)


@of_scipy("cotdg", "x")
def cotdg(x: Any) -> Any:
    """The cotangent of an angle in degrees, exact at multiples of 45; infinity at its poles, as SciPy says."""
    return _tangent("cotdg", x, 90.0)


def _tangent(name: str, x: Any, minuend: float) -> Any:
    """Of the rest of the angle after whole half turns, which is from -90 to 90; the cotangent is that of 90 - x."""
    (x,) = operands_of(name, x)
    angle = minuend - x if minuend else x
    rest = angle - 180.0 * np.rint(angle / 180.0)
    pole = np.abs(rest) == 90.0
    steep = np.abs(rest) > 45.0
    near = np.where(steep, np.copysign(90.0 - np.abs(rest), rest), rest)
    slope = np.tan(np.where(pole, number_of(x, 1), near) * number_of(x, math.pi / 180.0))
    exact = np.where(np.abs(near) == 45.0, np.sign(near), slope)
    return np.where(pole, number_of(x, math.inf), np.where(steep, 1.0 / exact, exact))


# The gamma function and what is made of it.


def _gammaln(x: Any) -> Any:
    return Array(gammas.gammaln(x.value))


def _sign_of_gamma(x: Any) -> Any:
    """1 or -1, as the intervals between the poles at 0, -1, -2 ... take turns; at a pole as SciPy says."""
    return np.where((x > 0) | (np.floor(x) % 2.0 == 0), number_of(x, 1), number_of(x, -1))


@of_scipy("gammasgn", "x")
def gammasgn(x: Any) -> Any:
    """The sign of the gamma function; NaN at its poles below 0."""
    (x,) = operands_of("gammasgn", x)
    pole = (x < 0) & (np.floor(x) == x)
    signed = np.where(x == 0, np.copysign(number_of(x, 1), x), _sign_of_gamma(x))
    return np.where(pole | np.isnan(x), number_of(x, math.nan), signed)


@of_scipy("multigammaln", "a")
def multigammaln(a: Any, d: Any) -> Any:
    """The logarithm of the multivariate gamma function of dimension ``d``, an int."""
    (a,) = operands_of("gammaln", a)
    count = int(d)
    if count != d or count < 1:
        raise TraceError(f"scipy.special.multigammaln: d must be a positive int, not {d!r}")
    found: Any = number_of(a, count * (count - 1) * 0.25 * math.log(math.pi))
    for k in range(count):
        found = found + _gammaln(a - k / 2.0)
    return found


@of_scipy("betaln", "a", "b")
def betaln(a: Any, b: Any) -> Any:
    """The logarithm of the size of the beta function."""
    a, b = operands_of("betaln", a, b)
    return _gammaln(a) + _gammaln(b) - _gammaln(a + b)


@of_scipy("gamma", "z")
def gamma(z: Any) -> Any:
    """The gamma function by its logarithm: its relative error grows as that of ``exp`` of it."""
    (x,) = operands_of("gamma", z)
    return gammasgn(x) * np.exp(_gammaln(x))


@of_scipy("rgamma", "z")
def rgamma(z: Any) -> Any:
    """1 over the gamma function, 0 at its poles."""
    (x,) = operands_of("rgamma", z)
    return _sign_of_gamma(x) * np.exp(-_gammaln(x))


@of_scipy("loggamma", "z")
def loggamma(z: Any) -> Any:
    """The logarithm of the gamma function; of negative numbers NaN."""
    (x,) = operands_of("loggamma", z)
    return np.where(x < 0, number_of(x, math.nan), _gammaln(x))


@of_scipy("beta", "a", "b")
def beta(a: Any, b: Any) -> Any:
    """The beta function by its logarithm."""
    a, b = operands_of("beta", a, b)
    return gammasgn(a) * gammasgn(b) * gammasgn(a + b) * np.exp(betaln(a, b))


@of_scipy("binom", "x", "y")
def binom(x: Any, y: Any) -> Any:
    """The binomial coefficient of real numbers, by logarithms of gamma functions."""
    n, k = operands_of("binom", x, y)
    sign = _sign_of_gamma(n + 1.0) * _sign_of_gamma(k + 1.0) * _sign_of_gamma(n - k + 1.0)
    return sign * np.exp(_gammaln(n + 1.0) - _gammaln(k + 1.0) - _gammaln(n - k + 1.0))


@of_scipy("factorial", "n")
def factorial(n: Any, exact: Any = False) -> Any:
    """``gamma(n + 1)``, 0 for negative numbers. Raises TraceError for ``exact=True``."""
    x = _inexact("factorial", exact, n)[0]
    return np.where(x < 0, number_of(x, 0), gamma(np.where(x < 0, number_of(x, 0), x) + 1.0))


@of_scipy("comb", "N", "k")
def comb(N: Any, k: Any, exact: Any = False) -> Any:
    """``binom(N, k)``, 0 unless 0 <= k <= N, NaN of NaN. Raises TraceError for ``exact=True``."""
    n, k = _inexact("comb", exact, N, k)
    inside = ((k <= n) & (n >= 0) & (k >= 0)) | np.isnan(n) | np.isnan(k)
    return np.where(
        inside, binom(np.where(inside, n, number_of(n, 1)), np.where(inside, k, number_of(k, 0))), number_of(n, 0)
    )


@of_scipy("perm", "N", "k")
def perm(N: Any, k: Any, exact: Any = False) -> Any:
    """``poch(N - k + 1, k)``, 0 unless 0 <= k <= N, NaN of NaN. Raises TraceError for ``exact=True``."""
    n, k = _inexact("perm", exact, N, k)
    inside = ((k <= n) & (n >= 0) & (k >= 0)) | np.isnan(n) | np.isnan(k)
    n, k = np.where(inside, n, number_of(n, 1)), np.where(inside, k, number_of(k, 0))
    return np.where(inside, poch(n - k + 1.0, k), number_of(n, 0))


def _inexact(name: str, exact: Any, *values: Any) -> list[Any]:
    if exact:
        raise TraceError(f"scipy.special.{name}: exact=True counts in Python ints of any size; leave it out")
    return operands_of({"factorial": "gamma", "comb": "binom", "perm": "poch"}[name], *values)


@of_scipy("poch", "z", "m")
def poch(z: Any, m: Any) -> Any:
    """``gamma(z + m) / gamma(z)``, by logarithms."""
    z, m = operands_of("poch", z, m)
    return _sign_of_gamma(z + m) * _sign_of_gamma(z) * np.exp(_gammaln(z + m) - _gammaln(z))
