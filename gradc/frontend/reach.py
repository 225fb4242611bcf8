"""What a function can reach by name: the globals, closures, helpers, methods and objects that its code mentions."""

from __future__ import annotations

import collections
import contextlib
import contextvars
import functools
import itertools
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from gradc.frontend.cached import is_cached
from gradc.frontend.casts import CASTS, NAMES, OF_NUMPY, TypesOfNumPy, called, compares
from gradc.frontend.frames import is_internal

Container = Any
"""A dict, a list or deque, a cell, a class, NumPy's types, or an object with slots."""

_LIMIT: Final = 20_000
"""Objects visited at most, so that a function that mentions half of a large library is still traced at once."""

ITEMS: Final = 1000
"""Items looked at in one container."""

_ROWS: Final = (list, collections.deque)

_HOLDERS: Final = (types.SimpleNamespace, collections.UserDict, collections.UserList)
"""Classes of the standard library whose objects have all in their attributes."""

_TOOLS: Final = frozenset({"_pytest", "pluggy", "pytest"})
"""Packages that rewritten tests mention, and that no function computes with."""

_OTHERS: Final = _TOOLS | {
    "abc", "builtins", "collections", "functools", "gradc", "numpy", "scipy", "types", "typing",
}  # fmt: skip
"""Modules and packages of classes that are not the user's."""

_LEAVES: Final = frozenset({bool, np.ndarray, np.float64, np.float32, np.int64, np.bool_})
_PLAIN: Final = (int, float, complex, str, bytes, type(None))


@dataclass(slots=True)
class Walk:
    """Finds the places, among everything reachable, that hold an object for which ``wanted`` is true.

    ``fixed`` are such objects in places that cannot be changed: tuples, defaults of parameters. ``builtins`` are names
    that are found where code mentions them and its globals do not have them. ``compared`` are scalar types of NumPy
    that are mentioned by code that compares identities. Tuples, partials and defaults that hold what is ``holdable``
    are found as a whole, for others to be put in their places.
    """

    wanted: Callable[[Any], bool]
    builtins: frozenset[str] = frozenset()
    holdable: Callable[[Any], bool] = lambda x: False
    found: list[tuple[Container, Any]] = field(default_factory=list)
    fixed: list[Any] = field(default_factory=list)
    compared: set[str] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)

    def replaceable(self) -> list[tuple[Container, Any]]:
        """What was found, without types of NumPy that a stand-in would not be identical with."""
        return [(home, key) for home, key in self.found if not (home is OF_NUMPY and key in self.compared)]

    def visit(self, x: Any) -> None:
        """Walk through what ``x`` leads to."""
        kind = type(x)
        if kind in _LEAVES or isinstance(x, _PLAIN) or id(x) in self.seen or len(self.seen) > _LIMIT:
            return
        self.seen.add(id(x))
        if kind is types.FunctionType:
            self._function(x)
        elif kind is types.MethodType:
            self._fixed((x.__func__, x.__self__))
        elif isinstance(x, functools.partial):
            self._fixed((x.func, *x.args))
            self._each(x.keywords)
        elif kind is types.BuiltinMethodType:
            self._fixed([x.__self__])
        elif isinstance(x, (staticmethod, classmethod)):
            self.visit(x.__func__)
        elif isinstance(x, property):
            self._each([x.fget, x.fset])
        elif isinstance(x, functools.cached_property):
            self.visit(x.func)
        elif is_cached(x):
            self.visit(x.__wrapped__)
        elif isinstance(x, (dict, *_ROWS)):
            self._each(x)
        elif isinstance(x, _HOLDERS):
            self._each(vars(x))
        elif isinstance(x, (tuple, frozenset)):
            self._fixed(x)
        elif isinstance(x, set):
            self._set(x)
        elif isinstance(x, types.MappingProxyType):
            self._fixed(x.values())
        elif isinstance(x, contextvars.ContextVar):
            self._context_variable(x)
        elif isinstance(x, type):
            self._type(x)
        elif not isinstance(x, types.ModuleType):
            self._instance(x)

    def _place(self, container: Container, key: Any, content: Any) -> None:
        if self.wanted(content):
            self.found.append((container, key))
            if not is_cached(content):
                return
        elif self.holds(content):
            self.found.append((container, key))
        self.visit(content)

    def holds(self, x: Any) -> bool:
        """Whether a tuple or a partial holds what is ``holdable``, at any depth; large ones are not looked through."""
        waiting, looked = [x], 0
        while waiting and looked < _LIMIT:
            holder = waiting.pop()
            if type(holder) is functools.partial:
                items = (holder.func, *holder.args)
            elif type(holder) is tuple:
                items = holder[:ITEMS]
            else:
                continue
            looked += 1 + len(items)
            if any(map(self.holdable, items)):
                return True
            waiting += [item for item in items if type(item) in (tuple, functools.partial)]
        return False

    def _fixed(self, items: Iterable[Any]) -> None:
        for item in itertools.islice(items, ITEMS):
            if self.wanted(item):
                self.fixed.append(item)
            else:
                self.visit(item)

    def _set(self, items: set[Any]) -> None:
        self._fixed(items)

    def _context_variable(self, variable: contextvars.ContextVar[Any]) -> None:
        with contextlib.suppress(LookupError):
            self._fixed([variable.get()])

    def _each(self, container: Container) -> None:
        for key, content in entries(container):
            self._place(container, key, content)

    def _function(self, function: types.FunctionType) -> None:
        code = function.__code__
        if is_internal(code.co_filename):
            wrapped = getattr(function, "__wrapped__", None)
            if wrapped is not None:
                self.visit(wrapped)
            return
        scope = function.__globals__
        names = set(_names(code))
        if "globals" in names:
            names.update(_texts(code))
        for name in sorted(names):
            if name in scope:
                self._variable(scope, name, name, scope[name], names, code)
            elif name in self.builtins:
                self.found.append((scope, name))
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                content = cell.cell_contents
            except ValueError:
                continue
            self._variable(cell, None, name, content, names, code)
        if self.holds(function.__defaults__):
            self.found.append((function, "__defaults__"))
        self._fixed(function.__defaults__ or ())
        self._each(function.__kwdefaults__ or {})
        self._each(vars(function))

    def _variable(
        self, container: Container, key: Any, name: str, content: Any, names: set[str], code: types.CodeType
    ) -> None:
        """What a name of some code stands for. A scalar type is replaced where the code calls it."""
        if content is np:
            mentioned = NAMES & names
            if mentioned:
                self.found += [(OF_NUMPY, part) for part in sorted(mentioned & called(code))]
                self.compared |= mentioned if compares(code) else set()
        elif isinstance(content, types.ModuleType):
            self._module(content, names)
        elif id(content) not in CASTS:
            self._place(container, key, content)
        elif name in called(code):
            self.found.append((container, key))

    def _module(self, module: types.ModuleType, names: set[str]) -> None:
        scope = vars(module)
        file = scope.get("__file__")
        if not isinstance(file, str) or is_internal(file) or module.__name__.partition(".")[0] in _TOOLS:
            return
        for name in sorted(names & scope.keys()):
            content = scope[name]
            if isinstance(content, types.ModuleType):
                if id(content) not in self.seen:
                    self.seen.add(id(content))
                    self._module(content, names)
            else:
                self._place(scope, name, content)

    def _type(self, kind: type) -> None:
        if not _is_users(kind):
            return
        for base in kind.__mro__:
            if _is_users(base):
                for name, member in list(vars(base).items()):
                    self._member(base, name, member)

    def _member(self, kind: type, name: str, content: Any) -> None:
        replaced = is_cached(content) or (self.wanted(content) and not callable(content))
        if replaced or (type(content) is tuple and self.holds(content)):
            self.found.append((kind, name))
        self.visit(content)

    def _instance(self, x: Any) -> None:
        kind: Any = type(x)
        if not _is_users(kind):
            return
        self.visit(kind)
        attributes = getattr(x, "__dict__", None)
        if isinstance(attributes, dict):
            self._each(attributes)
        for name in _slots(kind):
            if hasattr(x, name):
                self._place(x, name, getattr(x, name))


def entries(container: Container) -> list[tuple[Any, Any]]:
    """Keys and contents of a dict, a list or a deque; the first thousand."""
    items = container.items() if isinstance(container, dict) else enumerate(container)
    return list(itertools.islice(items, ITEMS))


def read(container: Container, key: Any) -> Any:
    """What stands in a container at a key; None where nothing does."""
    if type(container) is dict:  # asked for each function of NumPy's that is replaced
        return container.get(key)
    if isinstance(container, types.CellType):
        return container.cell_contents
    if isinstance(container, TypesOfNumPy):
        return container.get(key)
    if isinstance(container, type):
        return vars(container).get(key)
    if isinstance(container, dict):
        return container.get(key)
    if isinstance(container, _ROWS):
        return container[key] if key < len(container) else None
    return getattr(container, key, None)


def store(container: Container, key: Any, content: Any) -> None:
    """Put something in a container at a key."""
    if type(container) is dict:
        container[key] = content
    elif isinstance(container, types.CellType):
        container.cell_contents = content
    elif isinstance(container, TypesOfNumPy):
        container.put(key, content)
    elif isinstance(container, type):
        setattr(container, key, content)
    elif isinstance(container, (dict, *_ROWS)):
        container[key] = content
    else:
        object.__setattr__(container, key, content)


def _is_users(kind: type) -> bool:
    return str(getattr(kind, "__module__", "")).partition(".")[0] not in _OTHERS


@functools.lru_cache(maxsize=1024)
def _slots(kind: type) -> tuple[str, ...]:
    """The slots of the user's classes among those that ``kind`` derives from."""
    members = [item for base in kind.__mro__ if _is_users(base) for item in vars(base).items()]
    return tuple([name for name, member in members if isinstance(member, types.MemberDescriptorType)])


def _texts(code: types.CodeType) -> Iterator[str]:
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, types.CodeType):
            yield from _texts(constant)


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
