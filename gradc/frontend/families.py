"""Methods of the distributions of ``scipy.stats``, where they meet traced values."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

from gradc.errors import TraceError
from gradc.frontend.numpy_api.distributions import told_for
from gradc.frontend.session import current_session, holds_traced
from gradc.frontend.tracer import perform

StandIn = Callable[..., Any]

_UNIVARIATE: Final = "scipy.stats._distn_infrastructure"
_MULTIVARIATE: Final = "scipy.stats._multivariate"
_PROBABILITIES: Final = ("cdf", "sf", "logcdf", "logsf")
_QUANTILES: Final = ("ppf", "isf")

METHODS: Final = (
    (_UNIVARIATE, "rv_continuous", ("pdf", "logpdf", *_PROBABILITIES, *_QUANTILES)),
    (_UNIVARIATE, "rv_discrete", ("pmf", "logpmf", *_PROBABILITIES, *_QUANTILES)),
    (_MULTIVARIATE, "multivariate_normal_gen", ("pdf", "logpdf", "entropy")),
    (_MULTIVARIATE, "dirichlet_gen", ("pdf", "logpdf")),
)
"""Where distributions have them: module, class, and the names."""

FREEZING: Final = (
    (_UNIVARIATE, "rv_generic", "freeze"),
    (_MULTIVARIATE, "multivariate_normal_gen", "__call__"),
    (_MULTIVARIATE, "dirichlet_gen", "__call__"),
)
"""How they are given parameters."""

FROZEN: Final = (
    (_MULTIVARIATE, "multivariate_normal_frozen", ("mean", "cov", "allow_singular")),
    (_MULTIVARIATE, "dirichlet_frozen", ("alpha",)),
)
"""Those with parameters that compute by themselves, and where they have them."""


def replaced() -> Iterator[tuple[type, str, StandIn]]:
    """The classes of the modules that are there, names of methods, and what takes their place."""
    for module, kind, names in METHODS:
        for home in _there(module, kind):
            yield from [(home, name, _telling(vars(home)[name], name)) for name in names if name in vars(home)]
    for module, kind, name in FREEZING:
        for home in _there(module, kind):
            yield home, name, _freezing(vars(home)[name])
    for module, kind, parameters in FROZEN:
        for home in _there(module, kind):
            for name in ("pdf", "logpdf"):
                yield home, name, _telling_frozen(vars(home)[name], name, parameters)


def _there(module: str, kind: str) -> list[type]:
    found = getattr(sys.modules.get(module), kind, None)
    return [found] if isinstance(found, type) else []


def _telling(original: StandIn, name: str) -> StandIn:
    @functools.wraps(original)
    def stand_in(self: Any, *args: Any, **kwargs: Any) -> Any:
        if current_session() is None or not holds_traced([*args, *kwargs.values()]):
            return original(self, *args, **kwargs)
        if name in _QUANTILES and "q" in kwargs:
            args = (kwargs.pop("q"), *args)
        return perform(lambda session: told_for(self, name).call(session.lift, (name, *args), kwargs))

    return stand_in


def _telling_frozen(original: StandIn, name: str, parameters: tuple[str, ...]) -> StandIn:
    @functools.wraps(original)
    def stand_in(self: Any, x: Any) -> Any:
        if current_session() is None or not holds_traced([x]):
            return original(self, x)
        given = {parameter: getattr(self, parameter) for parameter in parameters}
        return getattr(self._dist, name)(x, **given)

    return stand_in


def _freezing(original: StandIn) -> StandIn:
    @functools.wraps(original)
    def stand_in(self: Any, *args: Any, **kwargs: Any) -> Any:
        if current_session() is None or not holds_traced([*args, *kwargs.values()]):
            return original(self, *args, **kwargs)
        return Frozen(self, args, kwargs)

    return stand_in


class Frozen:
    """A distribution with parameters that are traced."""

    def __init__(self, distribution: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._distribution = distribution
        self._args = args
        self._kwargs = kwargs

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        method = getattr(self._distribution, name)
        if not callable(method):
            raise TraceError(f"scipy.stats: {name} of a distribution with traced parameters is not supported")
        return lambda *args, **kwargs: method(*args, *self._args, **kwargs, **self._kwargs)
