"""Functions that do not dispatch on traced arrays, replaced while a function is traced.

One mechanism: a stand-in takes the place of the function in its module and wherever the traced function's code can
reach the function by another name (``from numpy import zeros``). It passes straight through unless it is called by
the user's code in a thread that is tracing. Places are counted under a lock, so that traces nest and threads trace at
once; when the last trace that needs a place has ended, what stood there stands there again.
"""

from __future__ import annotations

import functools
import random
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gradc.frontend.creation import CREATION, Handler
from gradc.frontend.frames import is_internal
from gradc.frontend.lines import refuse
from gradc.frontend.numpy_api.registry import Implementation, places
from gradc.frontend.reach import Container, Walk
from gradc.frontend.session import current_session, holds_traced
from gradc.frontend.tracer import perform

_RANDOM: Final = (
    "a random draw while tracing would be the same number in every call of the compiled function; "
    "draw outside and pass the numbers as an argument"
)
_GENERATORS: Final = (np.random.Generator, np.random.RandomState, random.Random)


StandIn = Callable[..., Any]


class _Known:
    """The functions that are replaced, by identity, each with its place and the one stand-in made for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[int, tuple[Any, Any]] = {}
        self._stand_ins: set[int] = set()
        self.homes: dict[tuple[str, str], None] = {}
        for original, handler in CREATION.items():
            self._enter("numpy", original.__name__, _creating(original, handler))
        for module in ("numpy.random", "random"):
            for name, content in list(vars(sys.modules[module]).items()):
                if callable(content) and not name.startswith("_") and not isinstance(content, types.ModuleType):
                    make = _refused_class if isinstance(content, type) else _refused
                    if not isinstance(content, type) or content in _GENERATORS:
                        self._enter(module, name, make(content))

    def refresh(self) -> None:
        """Take in functions of modules that were imported since."""
        for place, record in places().items():
            module, _, name = place.partition(":")
            if module in sys.modules and (module, name) not in self.homes:
                with self._lock:
                    if (module, name) not in self.homes:
                        self._enter(module, name, _telling(getattr(sys.modules[module], name), record))

    def concerns(self, x: Any) -> bool:
        """Whether ``x`` is replaced, or is a stand-in already."""
        return id(x) in self._by_id or id(x) in self._stand_ins or isinstance(x, (*_GENERATORS, _RefusedGenerator))

    def stand_in(self, original: Any) -> Any:
        """What takes the place of ``original``; None where nothing does."""
        if isinstance(original, _GENERATORS):
            return _RefusedGenerator(original)
        known = self._by_id.get(id(original))
        return known[1] if known is not None else None

    def _enter(self, module: str, name: str, stand_in: Any) -> None:
        original = getattr(sys.modules[module], name)
        self._by_id[id(original)] = (original, stand_in)
        self._stand_ins.add(id(stand_in))
        self.homes[(module, name)] = None


class _Installed:
    """The stand-ins in place now: by container and key, with what stood there and how many traces need it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._standing: dict[tuple[int, Any], _Standing] = {}

    def __len__(self) -> int:
        return len(self._standing)

    def put(self, container: Container, key: Any, stand_in: Callable[[Any], Any]) -> bool:
        """Have ``stand_in(original)`` stand in a place. False where nothing is to be replaced there."""
        with self._lock:
            entry = self._standing.get((id(container), key))
            if entry is None:
                original = _read(container, key)
                made = stand_in(original)
                if made is None:
                    return False
                _store(container, key, made)
                entry = self._standing[(id(container), key)] = _Standing(container, original, made)
            entry.users += 1
            return True

    def release(self, container: Container, key: Any) -> None:
        """One trace fewer needs the place; the last one restores it, unless the user has put something else there."""
        with self._lock:
            entry = self._standing[(id(container), key)]
            entry.users -= 1
            if entry.users == 0:
                del self._standing[(id(container), key)]
                _restore(entry, key)


@dataclass(slots=True)
class _Standing:
    container: Container
    original: Any
    stand_in: Any
    users: int = 0


def _restore(entry: _Standing, key: Any) -> None:
    container = entry.container
    if isinstance(container, list):  # it may have grown in front of the place
        for position, content in enumerate(container):
            if content is entry.stand_in:
                container[position] = entry.original
    elif _read(container, key) is entry.stand_in:
        _store(container, key, entry.original)


@contextmanager
def intercepted(function: Callable[..., Any], arguments: Any) -> Iterator[None]:
    """Replace, for the time of a trace, what ``function`` and its arguments can reach."""
    known = _known()
    known.refresh()
    walk = Walk(known.concerns)
    walk.visit(function)
    walk.visit(list(arguments))
    homes: list[tuple[Container, Any]] = [(vars(sys.modules[module]), name) for module, name in known.homes]
    taken: list[tuple[Container, Any]] = []
    try:
        for container, key in (*homes, *walk.found):
            if INSTALLED.put(container, key, known.stand_in):
                taken.append((container, key))
        yield
    finally:
        for container, key in reversed(taken):
            INSTALLED.release(container, key)


def _read(container: Container, key: Any) -> Any:
    if isinstance(container, types.CellType):
        return container.cell_contents
    if isinstance(container, dict):
        return container.get(key)
    return container[key] if key < len(container) else None


def _store(container: Container, key: Any, content: Any) -> None:
    if isinstance(container, types.CellType):
        container.cell_contents = content
    else:
        container[key] = content


# The stand-ins. Each passes through unless it is called by the user's code in a thread that is tracing.


def _creating(original: StandIn, handler: Handler) -> StandIn:
    @functools.wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if current_session() is None or is_internal(sys._getframe(1).f_code.co_filename):
            return original(*args, **kwargs)
        return handler(original, args, kwargs)

    return stand_in


def _telling(original: StandIn, record: Implementation) -> StandIn:
    @functools.wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if current_session() is None or not holds_traced([*args, *kwargs.values()]):
            return original(*args, **kwargs)
        return perform(lambda session: record.call(session.lift, args, kwargs))

    return stand_in


def _is_draw(depth: int = 2) -> bool:
    return current_session() is not None and not is_internal(sys._getframe(depth).f_code.co_filename)


def _refused(original: StandIn) -> StandIn:
    @functools.wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if _is_draw():
            raise refuse(_RANDOM)
        return original(*args, **kwargs)

    return stand_in


def _refused_class(original: type) -> type:
    """A class that makes no generator while tracing, and is otherwise the original to everyone."""

    class _Refusing(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            if _is_draw():
                raise refuse(_RANDOM)
            return original(*args, **kwargs)

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, original)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, original)

        def __getattr__(cls, name: str) -> Any:
            return getattr(original, name)

    return _Refusing(original.__name__, (), {"__doc__": original.__doc__})


class _RefusedGenerator:
    """Stands for a random generator that the traced function can reach."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def __getattr__(self, name: str) -> Any:
        if _is_draw():
            raise refuse(_RANDOM)
        return getattr(self._original, name)


INSTALLED: Final = _Installed()


@functools.cache
def _known() -> _Known:
    return _Known()
