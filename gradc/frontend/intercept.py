"""Functions that do not dispatch on traced arrays, replaced while a function is traced.

One mechanism: a stand-in takes the place of the function in its module and wherever the traced function's code can
reach the function by another name (``from numpy import zeros``). It passes straight through unless it is called by
the user's code in a thread that is tracing. Places are counted under a lock, so that traces nest and threads trace at
once; when the last trace that needs a place has ended, what stood there stands there again.
"""

from __future__ import annotations

import collections
import functools
import random
import secrets
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

import numpy as np

from gradc.frontend.cached import is_cached, keeping
from gradc.frontend.callables import located, vectorized
from gradc.frontend.callee import calls_itself
from gradc.frontend.casts import CASTS, OF_NUMPY
from gradc.frontend.concatenators import Concatenator
from gradc.frontend.creation import CREATION, Handler
from gradc.frontend.draws import GENERATORS, RefusedGenerator, refused, refused_always, refused_class, unchanged
from gradc.frontend.families import replaced
from gradc.frontend.frames import is_internal
from gradc.frontend.iterators import ImportsInside, iterators
from gradc.frontend.numpy_api.registry import Implementation, of_arrays, places
from gradc.frontend.reach import Container, Walk, read, store
from gradc.frontend.session import current_session, holds_traced
from gradc.frontend.tracer import perform
from gradc.frontend.typed import BUILTINS, DIRECT, STAND_INS

StandIn = Callable[..., Any]
Place = tuple[Container, Any]


_DRAWING_METHODS: Final = (
    ("scipy.stats._distn_infrastructure", "rv_generic", "rvs"),
    ("scipy.stats._distn_infrastructure", "rv_frozen", "rvs"),
    ("scipy.stats._multivariate", "multi_rv_generic", "_get_random_state"),
)
"""Methods through which scipy.stats draws."""


_AS_ARRAY: Final = np.asarray
_LISTS: Final = frozenset({list, tuple})
_ABSENT: Final = object()
"""What stands in a module's globals at the name of a builtin."""

_HOMES: Final = (np, np.linalg, np.fft)
"""Where NumPy's functions are that take a list for an array, ``np.mean([a, b])``: on lists they do not dispatch."""


class _Known:
    """The functions that are replaced, by identity, each with its place and the one stand-in made for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[int, tuple[Any, Any]] = {}
        self._stand_ins: set[int] = set()
        self._entered: set[str] = set()
        self.homes: list[tuple[Container, str, Any, Any]] = []
        """Where each function is at home: container and name, the function and its stand-in."""
        for original, handler in CREATION.items():
            self._enter(vars(np), original.__name__, _creating(original, handler))
        for home in _HOMES:
            for name, content in list(vars(home).items()):
                record = None if name.startswith("_") or id(content) in self._by_id else of_arrays(content)
                if record is not None:
                    self._enter(vars(home), name, _taking_lists(content, record))
        self._enter(np.vectorize, "__call__", _vectorizing(vars(np.vectorize)["__call__"]))
        for name in ("r_", "c_"):
            self._enter(vars(np), name, Concatenator(getattr(np, name)))
        for place in iterators():
            self._enter(*place)
        for module in (np.random, random, secrets):
            for name, content in list(vars(module).items()):
                if isinstance(content, type):
                    if content in GENERATORS:
                        self._enter(vars(module), name, refused_class(content))
                elif callable(content) and not name.startswith("_"):
                    self._enter(vars(module), name, refused(content))

    def refresh(self) -> None:
        """Take in functions of modules that were imported since."""
        with self._lock:
            for place, record in places().items():
                module, _, name = place.partition(":")
                if module in sys.modules and place not in self._entered:
                    self._entered.add(place)
                    scope = vars(sys.modules[module])
                    self._enter(scope, name, _telling(scope[name], record))
            for home, name, stand_in in replaced():
                place = f"{home.__module__}:{home.__qualname__}.{name}"
                if place not in self._entered:
                    self._entered.add(place)
                    self._enter(home, name, stand_in)
            for module, class_name, name in _DRAWING_METHODS:
                place = f"{module}:{class_name}.{name}"
                if module in sys.modules and place not in self._entered:
                    self._entered.add(place)
                    kind = getattr(sys.modules[module], class_name, None)
                    if isinstance(kind, type) and name in vars(kind):
                        self._enter(kind, name, refused_always(vars(kind)[name]))

    def concerns(self, x: Any) -> bool:
        """Whether ``x`` is replaced, or is a stand-in already."""
        function = x.__func__ if type(x) is types.MethodType else x
        known = id(function) in self._by_id or id(function) in self._stand_ins or is_cached(x)
        return known or isinstance(x, (*GENERATORS, RefusedGenerator))

    def stand_in(self, original: Any) -> Any:
        """What takes the place of ``original``; None where nothing does."""
        if isinstance(original, GENERATORS):
            return RefusedGenerator(original)
        if id(original) in STAND_INS:
            return STAND_INS[id(original)]
        if id(original) in CASTS:
            return CASTS[id(original)]
        if is_cached(original):
            return keeping(original)
        return self._rebuilt(original)

    def holdable(self, x: Any) -> bool:
        """Whether ``x`` is replaced inside of tuples and partials, or is a stand-in that was put there."""
        return id(x) in self._by_id or id(x) in self._stand_ins

    def _rebuilt(self, x: Any) -> Any:
        """A tuple or a partial with stand-ins in it, or the stand-in of a function; None where there is none."""
        if type(x) is tuple:
            items = [self._rebuilt(item) for item in x]
            if all(item is None for item in items):
                return None
            return tuple([old if new is None else new for old, new in zip(x, items, strict=True)])
        if type(x) is functools.partial:
            func, args = self._rebuilt(x.func), self._rebuilt(x.args)
            if func is None and args is None:
                return None
            return functools.partial(func or x.func, *(args or x.args), **x.keywords)
        return self.told(x)

    def told(self, function: Any) -> Any:
        """The stand-in of a function, bound as the method was that it is of; None where it has none."""
        if type(function) is types.MethodType:
            known = self._by_id.get(id(function.__func__))
            return types.MethodType(known[1], function.__self__) if known is not None else None
        known = self._by_id.get(id(function))
        return known[1] if known is not None else None

    def _enter(self, home: Container, name: str, stand_in: Any) -> None:
        original = read(home, name)
        self._by_id[id(original)] = (original, stand_in)
        self._stand_ins.add(id(stand_in))
        self.homes.append((home, name, original, stand_in))


class _Installed:
    """The stand-ins in place now: those at home, which every trace needs, and others by container and key.

    Of the others it is known what stood there and how many traces need the stand-in.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._standing: dict[tuple[int, Any], _Standing] = {}
        self._at_home: list[tuple[Container, str, Any, Any]] = []
        self._traces = 0
        self._imports = ImportsInside()

    def __len__(self) -> int:
        return len(self._standing) + len(self._at_home)

    def begin(self, homes: list[tuple[Container, str, Any, Any]]) -> None:
        """One trace more needs the stand-ins at home. The list only grows, by modules that were imported since."""
        with self._lock:
            self._traces += 1
            if self._traces == 1:
                sys.meta_path.insert(0, self._imports)
            for home in homes[len(self._at_home) :]:
                container, name, original, stand_in = home
                if read(container, name) is original:
                    store(container, name, stand_in)
                self._at_home.append(home)

    def end(self) -> None:
        """One trace fewer needs them. What the user has put in their place stays."""
        with self._lock:
            self._traces -= 1
            if not self._traces:
                sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self._imports]
                for container, name, original, stand_in in self._at_home:
                    if read(container, name) is stand_in:
                        store(container, name, original)
                self._at_home.clear()

    def put(self, places: Iterable[Place], stand_in: Callable[[Any], Any], taken: list[Place]) -> None:
        """Have ``stand_in(original)`` stand in the places; those where something is replaced are added to ``taken``."""
        with self._lock:
            standing = self._standing
            for place in places:
                container, key = place
                entry = standing.get((id(container), key))
                if entry is None:
                    original = container.get(key, _ABSENT) if type(container) is dict else read(container, key)
                    made = stand_in(BUILTINS.get(key) if original is _ABSENT else original)
                    if made is None:
                        continue
                    store(container, key, made)
                    entry = standing[(id(container), key)] = _Standing(container, original, made)
                entry.users += 1
                taken.append(place)

    def release(self, places: Iterable[Place]) -> None:
        """One trace fewer needs the places; the last one restores them, where the user has put nothing else there."""
        with self._lock:
            for container, key in places:
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
    if isinstance(container, (list, collections.deque)):  # it may have grown in front of the place
        for position, content in enumerate(container):
            if content is entry.stand_in:
                container[position] = entry.original
    elif read(container, key) is entry.stand_in:
        if entry.original is _ABSENT:
            del container[key]
        else:
            store(container, key, entry.original)


@contextmanager
def intercepted(function: Callable[..., Any], arguments: list[Any]) -> Iterator[Callable[..., Any]]:
    """Replace, for the time of a trace, what ``function`` and its arguments can reach; gives what to call in its place.

    That is the function itself, unless it is one of those that are replaced. Functions among the arguments, which are a
    list of trees, are replaced in it.
    """
    known = _known()
    known.refresh()
    walk = Walk(known.concerns, frozenset(BUILTINS), known.holdable)
    walk.visit(function)
    walk.visit(arguments)
    taken: list[Place] = []
    replaceable = walk.replaceable()
    INSTALLED.begin(known.homes)
    try:
        INSTALLED.put(replaceable, known.stand_in, taken)
        types_called = OF_NUMPY.called([key for home, key in replaceable if home is OF_NUMPY])
        with types_called, unchanged([x for x in walk.fixed if isinstance(x, GENERATORS)]):
            yield known.told(function) or function
    finally:
        INSTALLED.release(reversed(taken))
        INSTALLED.end()


# The stand-ins. Each passes through unless it is called by the user's code in a thread that is tracing.


def _creating(original: StandIn, handler: Handler) -> StandIn:
    @functools.wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if current_session() is None:
            return original(*args, **kwargs)
        caller = sys._getframe(1)
        if is_internal(caller.f_code.co_filename) or not calls_itself(caller, stand_in, original.__name__):
            return original(*args, **kwargs)
        return handler(original, args, kwargs)

    DIRECT[id(stand_in)] = lambda *args: handler(original, args, {}) if current_session() else original(*args)
    return stand_in


def _taking_lists(original: StandIn, record: Implementation) -> StandIn:
    """The function with arrays in the place of lists that hold traced values, where it takes arrays."""
    names = tuple(record.signature.parameters)

    @functools.wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if current_session() is None or not any(type(x) in _LISTS for x in (*args, *kwargs.values())):
            return original(*args, **kwargs)
        given = [_of_lists(x, name, record) for x, name in zip_longest(args, names[: len(args)], fillvalue=names[-1])]
        return original(*given, **{name: _of_lists(x, name, record) for name, x in kwargs.items()})

    return stand_in


def _of_lists(x: Any, name: str, record: Implementation) -> Any:
    if name in record.arrays:
        return _stacked(x)
    if name in record.sequences and type(x) in _LISTS:
        return type(x)([_stacked(item) for item in x])
    return x


def _stacked(x: Any) -> Any:
    """A list that holds traced values as the array that NumPy makes of it."""
    if type(x) in _LISTS and holds_traced(x):
        return CREATION[_AS_ARRAY](_AS_ARRAY, (x,), {})
    return x


def _telling(original: StandIn, record: Implementation) -> StandIn:
    @functools.wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if current_session() is None or not holds_traced([*args, *kwargs.values()]):
            return original(*args, **kwargs)
        return perform(lambda session: record.call(session.lift, args, kwargs))

    return stand_in


def _vectorizing(original: StandIn) -> StandIn:
    @functools.wraps(original)
    def stand_in(self: Any, *args: Any, **kwargs: Any) -> Any:
        if current_session() is None or not holds_traced([*args, *kwargs.values()]):
            return original(self, *args, **kwargs)
        return located(vectorized, self, *args, **kwargs)

    return stand_in


INSTALLED: Final = _Installed()


@functools.cache
def _known() -> _Known:
    return _Known()
