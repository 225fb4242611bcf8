"""What NumPy's functions mean, and a few of SciPy's: each by a pure function over Values."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeVar

import numpy as np

from gradc.errors import TraceError
from gradc.frontend.numpy_api.promote import strong
from gradc.frontend.numpy_api.taking_complex import check_complex
from gradc.ir.graph import Value

Lift = Callable[[Any, str], Value]
"""Makes a Value of an array, a traced value or a number; the second argument names it in messages."""

Implementing = TypeVar("Implementing", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Implementation:
    """A function outside, told in ops.

    ``function`` is pure; its parameters have NumPy's names. Those in ``arrays`` are Values, those in ``sequences``
    are lists of Values (or one Value, whose first axis is the list), those in ``nested`` are lists of lists as deep as
    they came; all others are static and passed as they came. Those in ``counts`` are arrays, or a number or slice that
    has to be known.
    Of ``*operands`` in ``arrays`` every one is made a Value, in ``sequences`` all but strings and lists.

    Of an object, ``methods`` are those of its methods that ``function`` tells, by the name it takes first.

    Ufuncs and a few others know Python numbers (``keeps_weak``); for the rest NumPy makes arrays of them, and so does
    ``call``. A parameter of NumPy that ``function`` does not have is refused by name when it is given.
    """

    name: str
    function: Callable[..., Any]
    target: Callable[..., Any] | str
    arrays: frozenset[str]
    sequences: frozenset[str]
    keeps_weak: bool
    nested: frozenset[str] = frozenset()
    counts: frozenset[str] = frozenset()
    methods: tuple[str, ...] = ()

    @property
    def is_ufunc(self) -> bool:
        """Whether NumPy's function is a ufunc, so that ``function`` takes nothing but array operands."""
        return isinstance(self.target, np.ufunc)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters that are implemented, in order."""
        return tuple(inspect.signature(self.function).parameters)

    @cached_property
    def signature(self) -> inspect.Signature:
        """NumPy's own signature; that of ``function`` where NumPy keeps its own hidden."""
        if not isinstance(self.target, str) and not self.is_ufunc:
            try:
                return inspect.signature(self.target)
            except ValueError:
                pass
        return inspect.signature(self.function)

    def call(self, lift: Lift, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """What the function gives for arguments as the user wrote them: Values, lists of them, or plain objects.

        Raises TraceError for a parameter that is not implemented, DtypeError for complex operands that are not taken.
        """
        listed: list[Any] = []
        named: dict[str, Any] = {}
        for name, value in self._given(args, kwargs).items():
            if name == self._rest:
                listed = [self._listed(item, f"{name}[{k}]", lift) for k, item in enumerate(value)]
            else:
                named[name] = self._lifted(name, value, lift)
        if not self.is_ufunc:
            check_complex(self.name, (*listed, *named.values()))
        return self.function(*[named.pop(name) for name in self._before_rest if listed], *listed, **named)

    @cached_property
    def _rest(self) -> str:
        """The name of ``*operands``, or nothing."""
        kinds = {p.kind: name for name, p in self.signature.parameters.items()}
        return kinds.get(inspect.Parameter.VAR_POSITIONAL, "")

    @cached_property
    def _before_rest(self) -> tuple[str, ...]:
        """The parameters that stand before ``*operands``."""
        names = tuple(self.signature.parameters)
        return names[: names.index(self._rest)] if self._rest else ()

    @cached_property
    def _optional(self) -> frozenset[str]:
        """The parameters of ``function`` for which None is nothing."""
        return frozenset(n for n, p in inspect.signature(self.function).parameters.items() if p.default is None)

    def _given(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name, without those that only repeat NumPy's default."""
        signature = self.signature
        open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
        for name in kwargs:
            if name not in signature.parameters and not (open_ended and name in self.parameters):
                raise self._refusal(name)
        bound = self._plainly_bound(args, kwargs)
        if bound is None:
            try:
                bound = signature.bind(*args, **kwargs).arguments
            except TypeError as error:
                raise TraceError(f"{self.name}: {error}") from None
        given: dict[str, Any] = {}
        for name, value in bound.items():
            parameter = signature.parameters[name]
            if parameter.kind is parameter.VAR_KEYWORD:
                given.update(value)
            elif _is_default(value, parameter.default):
                continue
            elif name in self.parameters:
                given[name] = value
            else:
                raise self._refusal(name)
        return given

    def _plainly_bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
        """What ``signature.bind`` gives, in the common case; None where that has to be asked."""
        names, required, named = self._plain
        if not required <= len(args) <= len(names) or not kwargs.keys() <= named:
            return None
        bound = dict(zip(names, args, strict=False))
        return None if bound.keys() & kwargs.keys() else bound | dict(kwargs)

    @cached_property
    def _plain(self) -> tuple[tuple[str, ...], int, frozenset[str]]:
        """Names of what may be given in order, how many of them have to be, and what may be given by name.

        Nothing may be where the signature takes any number of arguments, or needs one by name.
        """
        parameters = list(self.signature.parameters.values())
        ordered = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        named = [p for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if len({*ordered, *named}) < len(parameters) or any(p.default is p.empty for p in named if p not in ordered):
            return (), 1, frozenset()
        required = len([p for p in ordered if p.default is p.empty])
        return tuple([p.name for p in ordered]), required, frozenset([p.name for p in named])

    def _refusal(self, parameter: str) -> TraceError:
        return TraceError(
            f"{self.name}: the parameter {parameter}= is not supported on traced arrays; "
            f"supported are {', '.join(self.parameters)}"
        )

    def _listed(self, value: Any, name: str, lift: Lift) -> Any:
        static = (str, list, tuple) if self._rest in self.sequences else ()
        return value if isinstance(value, static) else self._operand(value, name, lift)

    def _lifted(self, name: str, value: Any, lift: Lift) -> Any:
        if name in self.nested:
            return self._leaves(value, name, lift)
        if name not in self.arrays and name not in self.sequences:
            return value
        if (value is None and name in self._optional) or (name in self.counts and isinstance(value, slice)):
            return value
        if name in self.sequences and isinstance(value, (list, tuple)):
            return [self._operand(item, f"{name}[{k}]", lift) for k, item in enumerate(value)]
        return self._operand(value, name, lift)

    def _leaves(self, value: Any, name: str, lift: Lift) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._leaves(item, f"{name}[{k}]", lift) for k, item in enumerate(value)]
        return self._operand(value, name, lift)

    def _operand(self, value: Any, name: str, lift: Lift) -> Value:
        operand = lift(value, name)
        return operand if self.keeps_weak else strong(operand)


def _is_default(value: Any, default: Any) -> bool:
    if value is default:
        return True
    plain = (bool, int, str, type(None))
    return isinstance(value, plain) and isinstance(default, plain) and type(value) is type(default) and value == default


_BY_FUNCTION: Final[dict[Any, Implementation]] = {}
_BY_PLACE: Final[dict[str, Implementation]] = {}
_OBJECTS: Final[dict[str, Implementation]] = {}


def implements(
    *targets: Callable[..., Any] | str,
    arrays: tuple[str, ...] = (),
    sequences: tuple[str, ...] = (),
    nested: tuple[str, ...] = (),
    counts: tuple[str, ...] = (),
    methods: tuple[str, ...] = (),
    keeps_weak: bool = False,
) -> Callable[[Implementing], Implementing]:
    """Enter a pure function over Values as the meaning of ``targets``: NumPy functions, or ``"module:attribute"``.

    With ``methods`` the attribute is an object, and they are what the function means.
    """

    def enter(function: Implementing) -> Implementing:
        for target in targets:
            weak = keeps_weak or isinstance(target, np.ufunc)
            record = Implementation(
                _name(target), function, target, frozenset(arrays), frozenset(sequences), weak, frozenset(nested),
                frozenset(counts), methods,
            )  # fmt: skip
            if isinstance(target, str) and methods:
                _OBJECTS[target] = record
            elif isinstance(target, str):
                _BY_PLACE[target] = record
            else:
                _BY_FUNCTION[target] = record
        return function

    return enter


def lookup(function: Any) -> Implementation | None:
    """The record of a function outside, or None. Modules that nobody imported are not imported."""
    found = _BY_FUNCTION.get(function)
    if found is None:
        found = _BY_FUNCTION.get(getattr(function, "__wrapped__", None))  # a trace has its stand-in in the place
        if found is not None:
            return found
        for place, record in _BY_PLACE.items():
            module, _, attribute = place.partition(":")
            held = getattr(sys.modules.get(module), attribute, None)
            if function is held or function is getattr(held, "__wrapped__", held):
                _BY_FUNCTION[function] = found = record
    return found


def of_arrays(function: Any) -> Implementation | None:
    """The record of a function of NumPy that takes arrays and is no ufunc, or None."""
    if isinstance(function, np.ufunc) or not callable(function) or isinstance(function, type):
        return None
    record = _BY_FUNCTION.get(function)
    return record if record is not None and record.arrays | record.sequences else None


def places() -> Mapping[str, Implementation]:
    """The records of functions named by place, ``"scipy.special:softmax"``, that the interception may have to wrap."""
    return _BY_PLACE


def of_object(module: str, name: str) -> Implementation | None:
    """The record of an object of a module, or None."""
    return _OBJECTS.get(f"{module}:{name}")


def records() -> tuple[Implementation, ...]:
    """Everything implemented, one record for each name."""
    found = {record.name: record for record in (*_BY_FUNCTION.values(), *_BY_PLACE.values(), *_OBJECTS.values())}
    return tuple(found[name] for name in sorted(found))


def supported() -> tuple[str, ...]:
    """The names of everything implemented, sorted."""
    return tuple(record.name for record in records())


def of_numpy(*names: str) -> tuple[Callable[..., Any], ...]:
    """NumPy's functions of these names, those that the NumPy in use is too old for left out."""
    return tuple([found for name in names if (found := getattr(np, name, None)) is not None])


def _name(target: Callable[..., Any] | str) -> str:
    if isinstance(target, str):
        return target.replace(":", ".")
    module = getattr(target, "__module__", None) or "numpy"
    return f"{module.replace('numpy', 'np', 1)}.{target.__name__}"
