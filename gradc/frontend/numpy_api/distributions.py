"""Densities and probabilities of ``scipy.stats``: families of distributions, recognised by their names.

A family is told in its standard form; place and scale are SciPy's ``(x - loc) / scale``. Results are f64, NaN where
parameters are not valid, and outside of the support 0, 1 or the logarithms of these, with slope 0.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from gradc.errors import TraceError
from gradc.frontend.numpy_api import special
from gradc.frontend.numpy_api.notation import Array, composed, filled
from gradc.frontend.numpy_api.registry import Implementation, of_object
from gradc.frontend.numpy_api.special_incomplete import (
    bdtr,
    bdtrc,
    betainc,
    betaincc,
    fdtr,
    fdtrc,
    gammainc,
    gammaincc,
    stdtr,
)
from gradc.frontend.numpy_api.special_inverses import (
    betainccinv,
    betaincinv,
    gammainccinv,
    gammaincinv,
    ratio_quantile,
    stdtrit,
)
from gradc.frontend.numpy_api.special_more import betaln, xlog1py, xlogy
from gradc.ops import gamma as gammas

Formula = Callable[..., Any]

LOG_2PI: Final = math.log(2 * math.pi)
_ALWAYS: Final[Formula] = lambda *shapes: True  # noqa: E731 - a family of which all parameters are valid


@dataclass(frozen=True, eq=False)
class Family:
    """A family in standard form; its formulas take a number ``y`` and the shape parameters, all arrays of f64.

    density       the logarithm of the density, or of the probability of an integer, within the support
    formulas      of others: ``cdf``, ``sf``, ``logcdf``, ``logsf``, where what is missing is made of ``cdf``, if there
                  is one; ``ppf``, the inverse of ``cdf``, and ``isf``, that of ``sf``
    valid         whether shape parameters are
    support       the ends of the support, numbers or formulas of the shape parameters
    is_discrete   whether it is one of integers, which has no scale
    """

    name: str
    shapes: tuple[str, ...]
    density: Formula
    formulas: Mapping[str, Formula] = field(default_factory=dict)
    valid: Formula = _ALWAYS
    support: tuple[Any, Any] = (-math.inf, math.inf)
    is_discrete: bool = False

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of SciPy's object that are told."""
        densities = ("pmf", "logpmf") if self.is_discrete else ("pdf", "logpdf")
        probabilities = ("cdf", "sf", "logcdf", "logsf") if "cdf" in self.formulas else ()
        return (*densities, *probabilities, *(("ppf", "isf") if "ppf" in self.formulas else ()))

    def at(self, method: str, x: Any, shapes: list[Any], loc: Any, scale: Any) -> Any:
        """What a method gives at ``x``."""
        if scale is not None:
            scale = np.where(scale > 0, scale, math.nan)  # which whatever is made of it then is
        if method in ("ppf", "isf"):
            return self._quantile(method, _wide(x), [_wide(shape) for shape in shapes], loc, scale)
        y = x if loc is None else x - loc
        y = _wide(y if scale is None else y / scale)
        shapes = [_wide(shape) for shape in shapes]
        found = self._within(method, y, shapes)
        if method == "pdf" and scale is not None:
            found = found / scale
        if method == "logpdf" and scale is not None:
            found = found - np.log(scale)
        found = self._outside(method, y, shapes, found)
        usable = self.valid(*shapes)
        return found if usable is True else np.where(usable, found, math.nan)

    def _quantile(self, method: str, q: Any, shapes: list[Any], loc: Any, scale: Any) -> Any:
        """The number below, or above, which a probability is; an end of the support for 0 and 1, NaN outside."""
        lower, upper = [end(*shapes) if callable(end) else end for end in self.support]
        first, last = (lower, upper) if method == "ppf" else (upper, lower)
        found = np.where(q == 0.0, first, np.where(q == 1.0, last, self.formulas[method](q, *shapes)))
        found = np.where((q >= 0.0) & (q <= 1.0), found, math.nan)
        usable = self.valid(*shapes)
        found = found if usable is True else np.where(usable, found, math.nan)
        found = found if scale is None else found * scale
        return found if loc is None else found + loc

    def _within(self, method: str, y: Any, shapes: list[Any]) -> Any:
        """The formula of a method."""
        if method in ("logpdf", "logpmf"):
            return self.density(y, *shapes)
        if method in ("pdf", "pmf"):
            return np.exp(self.density(y, *shapes))
        if self.is_discrete:
            y = np.floor(y)
        if method in self.formulas:
            return self.formulas[method](y, *shapes)
        if method.startswith("log"):
            return np.log(self._within(method[3:], y, shapes))
        return 1.0 - self.formulas["cdf"](y, *shapes)

    def _outside(self, method: str, y: Any, shapes: list[Any], found: Any) -> Any:
        """The result with what it is below and above the support."""
        lower, upper = [end(*shapes) if callable(end) else end for end in self.support]
        logarithm, kind = method.startswith("log"), method.removeprefix("log")
        ends = {"cdf": (0.0, 1.0), "sf": (1.0, 0.0)}.get(kind, (0.0, 0.0))
        below, above = [(-math.inf if end == 0 else 0.0) if logarithm else end for end in ends]
        if kind == "pmf":
            found = np.where(np.floor(y) == y, found, np.where(np.isnan(y), y, below))
        if not isinstance(lower, float) or lower > -math.inf:
            found = np.where(y < lower, below, found)
        if not isinstance(upper, float) or upper < math.inf:
            found = np.where(y > upper if kind in ("pdf", "pmf") else y >= upper, above, found)
        return found


def _wide(x: Any) -> Any:
    return x if x.dtype == np.float64 else x.astype(np.float64)


_FORMULAS: Final = ("cdf", "sf", "logcdf", "logsf", "ppf", "isf")
FAMILIES: Final[dict[str, Family]] = {}


def _family(name: str, shapes: tuple[str, ...], density: Formula, /, **more: Any) -> None:
    """Enter a family, and a record by which its methods are called and listed."""
    formulas: dict[str, Formula] = {key: more.pop(key) for key in _FORMULAS if key in more}
    family = FAMILIES[name] = Family(name, shapes, density, formulas, **more)
    point = "k" if family.is_discrete else "x"

    def told(method: Any, loc: Any = None, scale: Any = None, **given: Any) -> Any:
        return family.at(method, given[point], [given[shape] for shape in shapes], loc, scale)

    told.__doc__ = f"{', '.join(f'``{method}``' for method in family.methods)}."
    ordinary, places = inspect.Parameter.POSITIONAL_OR_KEYWORD, ("loc",) if family.is_discrete else ("loc", "scale")
    required = [inspect.Parameter(key, ordinary) for key in ("method", point, *shapes)]
    optional = [inspect.Parameter(key, ordinary, default=None) for key in places]
    told.__signature__ = inspect.Signature([*required, *optional])  # type: ignore[attr-defined]
    composed(f"scipy.stats:{name}", arrays=(point, *shapes, *places), methods=family.methods)(told)


def _of(function: Any) -> Formula:
    """A function over Values as one over Arrays."""
    return lambda y, *rest: Array(function(y.value, *rest))


gammaln = _of(gammas.gammaln)
_ndtr, _log_ndtr, _ndtri = _of(special.ndtr), _of(special.log_ndtr), _of(special.ndtri)
_logit = _of(special.logit)
_expit, _log_expit = _of(special.expit), _of(special.log_expit)


def _positive(*shapes: Any) -> Any:
    """Whether all are."""
    found = shapes[0] > 0
    for shape in shapes[1:]:
        found = found & (shape > 0)
    return found


def _cotangent(q: Any) -> Any:
    """``1 / tan(pi q)``, by the angle from the axis that is near."""
    inside = np.tan(math.pi * (0.5 - q))
    return np.where(q < 0.25, 1.0 / np.tan(math.pi * q), np.where(q > 0.75, -1.0 / np.tan(math.pi * (1.0 - q)), inside))


def _probability(p: Any) -> Any:
    return (p >= 0) & (p <= 1)


# Families of the real line.

_family(
    "norm", (), lambda y: -0.5 * (y * y) - 0.5 * LOG_2PI,
    cdf=_ndtr, sf=lambda y: _ndtr(-y), logcdf=_log_ndtr, logsf=lambda y: _log_ndtr(-y),
    ppf=_ndtri, isf=lambda q: -_ndtri(q),
)  # fmt: skip
_family(
    "logistic", (), lambda y: -np.abs(y) - 2.0 * np.log1p(np.exp(-np.abs(y))),
    cdf=_expit, sf=lambda y: _expit(-y), logcdf=_log_expit, logsf=lambda y: _log_expit(-y),
    ppf=_logit, isf=lambda q: -_logit(q),
)  # fmt: skip
_family(
    "laplace", (), lambda y: -np.abs(y) - math.log(2),
    cdf=lambda y: np.where(y > 0, 1.0 - 0.5 * np.exp(-np.abs(y)), 0.5 * np.exp(-np.abs(y))),
    sf=lambda y: np.where(y > 0, 0.5 * np.exp(-np.abs(y)), 1.0 - 0.5 * np.exp(-np.abs(y))),
    ppf=lambda q: np.where(q > 0.5, -np.log(2.0 * (1.0 - q)), np.log(2.0 * q)),
    isf=lambda q: np.where(q > 0.5, np.log(2.0 * (1.0 - q)), -np.log(2.0 * q)),
)  # fmt: skip
_family(
    "cauchy", (), lambda y: -math.log(math.pi) - np.log1p(y * y),
    cdf=lambda y: np.arctan2(1.0, -y) / math.pi, sf=lambda y: np.arctan2(1.0, y) / math.pi,
    ppf=lambda q: -_cotangent(q), isf=lambda q: _cotangent(q),
)  # fmt: skip
_family(
    "gumbel_r", (), lambda y: -y - np.exp(-y),
    cdf=lambda y: np.exp(-np.exp(-y)), sf=lambda y: -np.expm1(-np.exp(-y)), logcdf=lambda y: -np.exp(-y),
    ppf=lambda q: -np.log(-np.log(q)), isf=lambda q: -np.log(-np.log1p(-q)),
)  # fmt: skip
_family(
    "gumbel_l", (), lambda y: y - np.exp(y),
    cdf=lambda y: -np.expm1(-np.exp(y)), sf=lambda y: np.exp(-np.exp(y)), logsf=lambda y: -np.exp(y),
    ppf=lambda q: np.log(-np.log1p(-q)), isf=lambda q: np.log(-np.log(q)),
)  # fmt: skip


def _t(y: Any, df: Any) -> Any:
    half = 0.5 * df
    finite = gammaln(half + 0.5) - gammaln(half) - 0.5 * np.log(df * math.pi) - (half + 0.5) * np.log1p(y * y / df)
    return np.where(df == math.inf, -0.5 * (y * y) - 0.5 * LOG_2PI, finite)


_family(
    "t", ("df",), _t, valid=_positive, cdf=lambda y, df: stdtr(df, y), sf=lambda y, df: stdtr(df, -y),
    ppf=lambda q, df: stdtrit(df, q), isf=lambda q, df: -stdtrit(df, q),
)  # fmt: skip

# Families of positive numbers, and of an interval.

_family(
    "expon", (), lambda y: -y, support=(0.0, math.inf),
    cdf=lambda y: -np.expm1(-y), sf=lambda y: np.exp(-y), logsf=lambda y: -y,
    ppf=lambda q: -np.log1p(-q), isf=lambda q: -np.log(q),
)  # fmt: skip
_family(
    "uniform", (), lambda y: 0.0 * y, support=(0.0, 1.0), cdf=lambda y: y, sf=lambda y: 1.0 - y,
    ppf=lambda q: q, isf=lambda q: 1.0 - q,
)  # fmt: skip
_family(
    "halfnorm", (), lambda y: -0.5 * (y * y) + 0.5 * math.log(2 / math.pi), support=(0.0, math.inf),
    cdf=lambda y: 1.0 - 2.0 * _ndtr(-y), sf=lambda y: 2.0 * _ndtr(-y),
    ppf=lambda q: _ndtri(0.5 * (1.0 + q)), isf=lambda q: -_ndtri(0.5 * q),
)  # fmt: skip
_family(
    "rayleigh", (), lambda y: np.log(y) - 0.5 * (y * y), support=(0.0, math.inf),
    cdf=lambda y: -np.expm1(-0.5 * (y * y)), sf=lambda y: np.exp(-0.5 * (y * y)), logsf=lambda y: -0.5 * (y * y),
    ppf=lambda q: np.sqrt(-2.0 * np.log1p(-q)), isf=lambda q: np.sqrt(-2.0 * np.log(q)),
)  # fmt: skip
_family(
    "lognorm", ("s",), lambda y, s: -0.5 * (np.log(y) / s) ** 2 - np.log(s * y) - 0.5 * LOG_2PI,
    support=(0.0, math.inf), valid=_positive,
    cdf=lambda y, s: _ndtr(np.log(y) / s), sf=lambda y, s: _ndtr(-(np.log(y) / s)),
    logcdf=lambda y, s: _log_ndtr(np.log(y) / s), logsf=lambda y, s: _log_ndtr(-(np.log(y) / s)),
    ppf=lambda q, s: np.exp(s * _ndtri(q)), isf=lambda q, s: np.exp(-s * _ndtri(q)),
)  # fmt: skip
_family(
    "gamma", ("a",), lambda y, a: xlogy(a - 1.0, y) - y - gammaln(a), support=(0.0, math.inf), valid=_positive,
    cdf=lambda y, a: gammainc(a, y), sf=lambda y, a: gammaincc(a, y),
    ppf=lambda q, a: gammaincinv(a, q), isf=lambda q, a: gammainccinv(a, q),
)  # fmt: skip
_family(
    "invgamma", ("a",), lambda y, a: -(a + 1.0) * np.log(y) - gammaln(a) - 1.0 / y,
    support=(0.0, math.inf), valid=_positive,
    cdf=lambda y, a: gammaincc(a, 1.0 / y), sf=lambda y, a: gammainc(a, 1.0 / y),
    ppf=lambda q, a: 1.0 / gammainccinv(a, q), isf=lambda q, a: 1.0 / gammaincinv(a, q),
)  # fmt: skip
_family(
    "chi2", ("df",),
    lambda y, df: xlogy(0.5 * df - 1.0, y) - 0.5 * y - gammaln(0.5 * df) - 0.5 * math.log(2) * df,
    support=(0.0, math.inf), valid=_positive,
    cdf=lambda y, df: gammainc(0.5 * df, 0.5 * y), sf=lambda y, df: gammaincc(0.5 * df, 0.5 * y),
    ppf=lambda q, df: 2.0 * gammaincinv(0.5 * df, q), isf=lambda q, df: 2.0 * gammainccinv(0.5 * df, q),
)  # fmt: skip
_family(
    "weibull_min", ("c",), lambda y, c: np.log(c) + xlogy(c - 1.0, y) - y**c, support=(0.0, math.inf), valid=_positive,
    cdf=lambda y, c: -np.expm1(-(y**c)), sf=lambda y, c: np.exp(-(y**c)), logsf=lambda y, c: -(y**c),
    ppf=lambda q, c: (-np.log1p(-q)) ** (1.0 / c), isf=lambda q, c: (-np.log(q)) ** (1.0 / c),
)  # fmt: skip
_family(
    "pareto", ("b",), lambda y, b: np.log(b) - (b + 1.0) * np.log(y), support=(1.0, math.inf), valid=_positive,
    cdf=lambda y, b: 1.0 - y**-b, sf=lambda y, b: y**-b,
    ppf=lambda q, b: (1.0 - q) ** (-1.0 / b), isf=lambda q, b: q ** (-1.0 / b),
)  # fmt: skip
_family(
    "beta", ("a", "b"), lambda y, a, b: xlog1py(b - 1.0, -y) + xlogy(a - 1.0, y) - betaln(a, b),
    support=(0.0, 1.0), valid=_positive,
    cdf=lambda y, a, b: betainc(a, b, y), sf=lambda y, a, b: betaincc(a, b, y),
    ppf=lambda q, a, b: betaincinv(a, b, q), isf=lambda q, a, b: betainccinv(a, b, q),
)  # fmt: skip
_family(
    "f", ("dfn", "dfd"),
    lambda y, n, m: 0.5 * n * np.log(n) + 0.5 * m * np.log(m) + xlogy(0.5 * n - 1.0, y)
    - 0.5 * (n + m) * np.log(m + n * y) - betaln(0.5 * n, 0.5 * m),
    support=(0.0, math.inf), valid=_positive,
    cdf=lambda y, n, m: fdtr(n, m, y), sf=lambda y, n, m: fdtrc(n, m, y),
    ppf=lambda q, n, m: ratio_quantile(n, m, q), isf=lambda q, n, m: ratio_quantile(n, m, q, upper=True),
)  # fmt: skip
_family(
    "chi", ("df",),
    lambda y, df: math.log(2) - 0.5 * math.log(2) * df - gammaln(0.5 * df) + xlogy(df - 1.0, y) - 0.5 * (y * y),
    support=(0.0, math.inf), valid=_positive,
    cdf=lambda y, df: gammainc(0.5 * df, 0.5 * (y * y)), sf=lambda y, df: gammaincc(0.5 * df, 0.5 * (y * y)),
    ppf=lambda q, df: np.sqrt(2.0 * gammaincinv(0.5 * df, q)),
    isf=lambda q, df: np.sqrt(2.0 * gammainccinv(0.5 * df, q)),
)  # fmt: skip
_family(
    "maxwell", (), lambda y: 0.5 * math.log(2 / math.pi) + 2.0 * np.log(y) - 0.5 * (y * y), support=(0.0, math.inf),
    cdf=lambda y: gammainc(filled(y, 1.5), 0.5 * (y * y)), sf=lambda y: gammaincc(filled(y, 1.5), 0.5 * (y * y)),
    ppf=lambda q: np.sqrt(2.0 * gammaincinv(filled(q, 1.5), q)),
    isf=lambda q: np.sqrt(2.0 * gammainccinv(filled(q, 1.5), q)),
)  # fmt: skip
_family(
    "halfcauchy", (), lambda y: math.log(2 / math.pi) - np.log1p(y * y), support=(0.0, math.inf),
    cdf=lambda y: 2.0 / math.pi * np.arctan(y), sf=lambda y: 2.0 / math.pi * np.arctan2(1.0, y),
    ppf=lambda q: np.tan(0.5 * math.pi * q), isf=lambda q: 1.0 / np.tan(0.5 * math.pi * q),
)  # fmt: skip
_family(
    "lomax", ("c",), lambda y, c: np.log(c) - (c + 1.0) * np.log1p(y), support=(0.0, math.inf), valid=_positive,
    cdf=lambda y, c: -np.expm1(-c * np.log1p(y)), sf=lambda y, c: np.exp(-c * np.log1p(y)),
    logsf=lambda y, c: -c * np.log1p(y),
    ppf=lambda q, c: np.expm1(-np.log1p(-q) / c), isf=lambda q, c: np.expm1(-np.log(q) / c),
)  # fmt: skip
_family(
    "powerlaw", ("a",), lambda y, a: np.log(a) + xlogy(a - 1.0, y), support=(0.0, 1.0), valid=_positive,
    cdf=lambda y, a: y**a, sf=lambda y, a: -np.expm1(a * np.log(y)), logcdf=lambda y, a: a * np.log(y),
    ppf=lambda q, a: q ** (1.0 / a), isf=lambda q, a: np.exp(np.log1p(-q) / a),
)  # fmt: skip

# Families of integers.

_family(
    "bernoulli", ("p",), lambda k, p: xlogy(k, p) + xlog1py(1.0 - k, -p), support=(0.0, 1.0), valid=_probability,
    is_discrete=True, cdf=lambda k, p: np.where(k < 1, 1.0 - p, 1.0), sf=lambda k, p: np.where(k < 1, p, 0.0),
)  # fmt: skip
_family(
    "binom", ("n", "p"),
    lambda k, n, p: gammaln(n + 1.0) - (gammaln(k + 1.0) + gammaln(n - k + 1.0)) + xlogy(k, p) + xlog1py(n - k, -p),
    support=(0.0, lambda n, p: n), valid=lambda n, p: (n >= 0) & (np.floor(n) == n) & _probability(p),
    is_discrete=True, cdf=lambda k, n, p: bdtr(k, n, p), sf=lambda k, n, p: bdtrc(k, n, p),
)  # fmt: skip
_family(
    "nbinom", ("n", "p"),
    lambda k, n, p: gammaln(n + k) - gammaln(k + 1.0) - gammaln(n) + n * np.log(p) + xlog1py(k, -p),
    support=(0.0, math.inf), valid=lambda n, p: (n > 0) & (p > 0) & (p <= 1), is_discrete=True,
    cdf=lambda k, n, p: betainc(n, k + 1.0, p), sf=lambda k, n, p: betaincc(n, k + 1.0, p),
)  # fmt: skip
_family(
    "geom", ("p",), lambda k, p: xlog1py(k - 1.0, -p) + np.log(p), support=(1.0, math.inf),
    valid=lambda p: (p > 0) & (p <= 1), is_discrete=True,
    cdf=lambda k, p: -np.expm1(np.log1p(-p) * k), sf=lambda k, p: np.exp(np.log1p(-p) * k),
    logsf=lambda k, p: np.log1p(-p) * k,
)  # fmt: skip
_family(
    "poisson", ("mu",), lambda k, mu: xlogy(k, mu) - gammaln(k + 1.0) - mu, support=(0.0, math.inf),
    valid=lambda mu: mu >= 0, is_discrete=True,
    cdf=lambda k, mu: gammaincc(k + 1.0, mu), sf=lambda k, mu: gammainc(k + 1.0, mu),
)  # fmt: skip


def told_for(distribution: Any, method: str) -> Implementation:
    """The record of one of SciPy's distributions. Raises TraceError where it, or the method, is not told."""
    name = getattr(distribution, "name", type(distribution).__name__.removesuffix("_gen"))
    own = getattr(sys.modules.get("scipy.stats"), str(name), None)
    record = of_object("scipy.stats", str(name)) if type(own) is type(distribution) else None
    if record is None:
        raise TraceError(
            f"scipy.stats: the distribution {name} is not supported on traced arrays; supported are "
            f"{', '.join(sorted(FAMILIES))}: write its density in functions of NumPy"
        )
    record = of_object("scipy.stats", f"{name}.{method}") or record
    if method not in record.methods:
        raise TraceError(
            f"{record.name}.{method} is not supported on traced arrays; supported are {', '.join(record.methods)}"
        )
    return record
