"""From the arguments of a call to its leaves: signatures, and binding to them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.errors import ArgumentError
from gradc.frontend.dlpack import is_foreign, shared
from gradc.frontend.layout import Call
from gradc.frontend.tree import LEAF, TreeDef, flatten

_OF_NUMPY: Final = (np.ufunc, type(np.savetxt))
"""The classes of NumPy's functions. During a trace, which may be the first to import this, others have stand-ins."""
_LEAVES: Final = (np.ndarray, float, int)
_ONE_EACH: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a callable; a ufunc takes its operands alone, ``x0, x1, ...``."""
    if not isinstance(function, np.ufunc):
        try:
            return inspect.signature(function)
        except (ValueError, TypeError):
            pass
    count = getattr(function, "nin", 1)
    return inspect.Signature([inspect.Parameter(f"x{k}", inspect.Parameter.POSITIONAL_ONLY) for k in range(count)])


def has_values_for_defaults(function: Callable[..., Any]) -> bool:
    """Whether the defaults of a function are values. Those of NumPy's own functions may mean "not given"."""
    innermost = inspect.unwrap(function, stop=lambda f: isinstance(f, _OF_NUMPY))
    return not isinstance(innermost, _OF_NUMPY) and hasattr(innermost, "__code__")


def with_seed(signature: inspect.Signature, name: str) -> inspect.Signature:
    """The signature with one more parameter, keyword-only, at the end: for a cotangent or for tangents."""
    parameters = list(signature.parameters.values())
    seed = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)
    at = next((k for k, p in enumerate(parameters) if p.kind is p.VAR_KEYWORD), len(parameters))
    return signature.replace(parameters=[*parameters[:at], seed, *parameters[at:]])


class Binder:
    """Binds calls to a signature; with ``defaults`` they are filled in, but for a bare ``object()``, "not given".

    ``inspect.Signature.bind`` does it, and says what is wrong, where a call has more to it than arguments in order and
    names of parameters: it takes several times as long.
    """

    def __init__(self, signature: inspect.Signature, label: str, *, defaults: bool = True) -> None:
        self.signature = signature
        self.label = label
        self.defaults = defaults
        parameters = list(signature.parameters.values())
        self._is_plain = all(p.kind in _ONE_EACH for p in parameters)
        self._names = tuple([p.name for p in parameters])
        self._positional = sum(p.kind is not inspect.Parameter.KEYWORD_ONLY for p in parameters)
        self._only = sum(p.kind is inspect.Parameter.POSITIONAL_ONLY for p in parameters)
        given = {p.name: p.default for p in parameters if p.default is not p.empty} if defaults else {}
        self._defaults = {name: value for name, value in given.items() if type(value) is not object}
        self._unsaid = given.keys() - self._defaults.keys()

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """The call. Raises ArgumentError as Python would raise TypeError."""
        values = self._in_order(args, kwargs) if self._is_plain else None
        bound = self._bound(args, kwargs) if values is None else zip(self._names, values, strict=True)
        leaves: list[Any] = []
        trees: list[tuple[str, TreeDef]] = []
        for name, value in bound:
            if type(value) in _LEAVES:
                leaves.append(value)
                trees.append((name, LEAF))
            else:
                found, tree = flatten(value)
                if any(map(is_foreign, found)):
                    paths = tree.paths(name)
                    found = [shared(v, p) if is_foreign(v) else v for v, p in zip(found, paths, strict=True)]
                leaves += found
                trees.append((name, tree))
        return Call(self.signature, tuple(trees), tuple(leaves))

    def _in_order(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any] | None:
        """A value for each parameter, None where some have none or some arguments have no parameter."""
        names, count = self._names, len(args)
        if count > self._positional or count < self._only:
            return None
        values = list(args)
        named = 0
        for name in names[count:]:
            if name in kwargs:
                values.append(kwargs[name])
                named += 1
            elif name in self._defaults:
                values.append(self._defaults[name])
            else:
                return None
        return values if named == len(kwargs) else None

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(f"{self.label}{self.signature}: {error}") from None
        if self.defaults:
            bound.apply_defaults()
        said = bound.arguments
        for name in self._unsaid:
            if said[name] is self.signature.parameters[name].default:
                del said[name]
        return said.items()
