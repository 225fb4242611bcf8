"""What a function changes beside its result: a result that depends on it would be that of the first call for ever.

When a function has been traced, what it can reach is compared with what was there before. Where something has changed
it is traced once more: a cache gives the same graph, a counter or a moving average another one, and is refused. Then
everything is put back as the first trace has left it.
"""

from __future__ import annotations

import array
import contextlib
import contextvars
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradc.errors import GradcError, TraceError
from gradc.frontend.draws import GENERATORS, RefusedGenerator
from gradc.frontend.lines import told
from gradc.frontend.reach import ITEMS, Container, Walk, entries, read, store
from gradc.frontend.session import is_traced
from gradc.ir.graph import CONSTANT, INPUT
from gradc.ir.text import param_text

if TYPE_CHECKING:
    from gradc.frontend.tracing import Trace

_SMALL: Final = 4096
"""Elements of an array up to which a write into it is noticed."""

_BUFFERS: Final = (bytearray, array.array)
"""What Python has of arrays."""

_NUMBERS: Final = (bool, int, float, complex, str, type(None))
_STOOD_IN_FOR: Final = (*GENERATORS, RefusedGenerator)
_NOTHING: Final = object()


@dataclass(slots=True)
class Surroundings(Walk):
    """What a function reaches: places with what stands there, and containers with all that they hold."""

    places: list[tuple[Container, Any, Any, str]] = field(default_factory=list)
    contents: list[tuple[Any, Any, int, str]] = field(default_factory=list)
    sets: list[tuple[set[Any], set[Any]]] = field(default_factory=list)
    arrays: list[tuple[Any, bytes, str]] = field(default_factory=list)
    variables: list[tuple[contextvars.ContextVar[Any], Any]] = field(default_factory=list)
    iterators: list[str] = field(default_factory=list)
    owners: dict[int, str] = field(default_factory=dict)

    def _place(self, container: Container, key: Any, content: Any) -> None:
        self._note(container, key, content, "")

    def _note(self, container: Container, key: Any, content: Any, owner: str) -> None:
        if callable(content) or isinstance(content, _STOOD_IN_FOR):  # a trace of another thread may replace it
            self.visit(content)
            return
        name = _name(container, key, owner)
        self.places.append((container, key, content, name))
        self._inside(content, name)

    def _inside(self, content: Any, name: str) -> None:
        """Note what can change in what stands at a place."""
        if _is_memory(content):
            self.arrays.append((content, _bytes(content), name))
        elif isinstance(content, Iterator):
            self.iterators.append(name)
        self.visit(content)

    def _fixed(self, items: Iterable[Any]) -> None:
        for item in itertools.islice(items, ITEMS):
            if callable(item) or isinstance(item, _STOOD_IN_FOR):
                self.visit(item)
            else:
                self._inside(item, f"an object of type {type(item).__name__}")

    def _set(self, items: set[Any]) -> None:
        if len(items) <= ITEMS:
            self.sets.append((items, items.copy()))
        self._fixed(items)

    def _context_variable(self, variable: contextvars.ContextVar[Any]) -> None:
        content = _value(variable)
        self.variables.append((variable, content))
        self._inside(content, f"the context variable {variable.name}")

    def _member(self, kind: type, name: str, content: Any) -> None:
        if not name.startswith("__") and not callable(content):
            self._place(kind, name, content)
        else:
            self.visit(content)

    def _each(self, container: Container) -> None:
        owner = self.owners.get(id(container), "")
        before = container.copy() if len(container) <= ITEMS else None
        self.contents.append((container, before, len(container), owner))
        for key, content in entries(container):
            self._note(container, key, content, owner)

    def _instance(self, x: Any) -> None:
        self.owners[id(getattr(x, "__dict__", None))] = type(x).__name__
        super(Surroundings, self)._instance(x)

    def changed(self) -> str:
        """The first that is otherwise now; empty where nothing is."""
        for container, key, content, name in self.places:
            if not _same(_read(container, key), content):
                return name
        for memory, before, name in self.arrays:
            if _bytes(memory) != before:
                return name
        for container, kept, length, owner in self.contents:
            if not _holds(container, kept, length):
                return f"what is kept in {_kept_in(container, owner)}"
        if any(items != before for items, before in self.sets):
            return "what is kept in a set"
        for variable, content in self.variables:
            if not _same(_value(variable), content):
                return f"the context variable {variable.name}"
        return self.iterators[0] if self.iterators else ""

    def put_back(self) -> None:
        """Make everything what it was."""
        for container, before, length, _ in self.contents:
            if before is None or _holds(container, before, length):
                continue
            if isinstance(container, dict):
                _put_back_keys(container, before)
            else:
                container.clear()
                container.extend(before)
        for container, key, content, _ in self.places:
            if not _same(_read(container, key), content):
                with contextlib.suppress(AttributeError):  # a slot that cannot be set
                    store(container, key, content)
        for items, kept in self.sets:
            items.intersection_update(kept)
            items.update(kept)
        for variable, content in self.variables:
            if content is not _NOTHING and not _same(_value(variable), content):
                variable.set(content)
        for memory, held, _ in self.arrays:
            if _bytes(memory) == held:
                continue
            if type(memory) is np.ndarray:
                memory[...] = np.frombuffer(held, memory.dtype).reshape(memory.shape)
            else:
                memory[:] = held if type(memory) is bytearray else array.array(memory.typecode, held)


def _kept_in(container: Container, owner: str) -> str:
    name = type(container).__name__
    return f"attributes of {owner}" if owner else f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _value(variable: contextvars.ContextVar[Any]) -> Any:
    try:
        return variable.get()
    except LookupError:  # it has none yet, and no default
        return _NOTHING


def _is_memory(x: Any) -> bool:
    """Whether numbers can be written into it, and they are few."""
    if type(x) is np.ndarray:
        return x.size <= _SMALL and x.flags.writeable and not x.dtype.hasobject
    return type(x) in _BUFFERS and len(x) <= _SMALL


def _bytes(memory: Any) -> bytes:
    found: bytes = bytes(memory) if type(memory) is bytearray else memory.tobytes()
    return found


def _holds(container: Any, before: Any, length: int) -> bool:
    """Whether a container has as many items as before, a dict the same keys in the same order."""
    if len(container) != length or not isinstance(container, dict) or before is None:
        return len(container) == length
    return all(a is b for a, b in zip(container, before, strict=True))


def _put_back_keys(container: dict[Any, Any], before: dict[Any, Any]) -> None:
    for key in [key for key in container if key not in before]:
        del container[key]
    for key, content in before.items():
        container.setdefault(key, content)
    if not _holds(container, before, len(before)):
        for key in before:
            container[key] = container.pop(key)


def _name(container: Container, key: Any, owner: str) -> str:
    if key is None:
        return "a variable of the function around it"
    if owner:
        return f"{owner}.{key}"
    if isinstance(container, dict):
        return f"the global {key}" if "__builtins__" in container else f"the item {key!r} of a dict"
    if isinstance(container, type):
        return f"{container.__name__}.{key}"
    kind = type(container).__name__
    return f"the item {key} of a {kind}" if isinstance(key, int) else f"{kind}.{key}"


def surroundings(function: Callable[..., Any], arguments: Sequence[Any]) -> Surroundings:
    """What a function and its static arguments reach, as it is now."""
    found = Surroundings(lambda x: False)
    found.visit(function)
    found.visit(list(arguments))
    return found


def _read(container: Container, key: Any) -> Any:
    try:
        return read(container, key)
    except ValueError:  # an empty cell
        return _NOTHING


def _same(now: Any, before: Any) -> bool:
    if now is before:
        return True
    return type(now) is type(before) and type(now) in _NUMBERS and not is_traced(now) and bool(now == before)


def check_stable(first: Trace, again: Callable[[], Trace], place: str) -> None:
    """Raise TraceError where the function, traced once more, is another one. ``place`` is what it has changed."""
    try:
        second = again()
    except Exception as error:
        line = error.line if isinstance(error, GradcError) else ""
        raise TraceError(
            f"the function changes {place}, and what it does when it is called again depends on that; "
            "pass it as an argument and return its new value",
            line=line,
        ) from error
    known = set(_keys(first))
    keys = _keys(second)
    if all(keys[i] in known for i in second.graph.outputs) and first.out_tree == second.out_tree:
        return
    graph = second.graph
    new = next((i for i, key in enumerate(keys) if key not in known and i in graph.origins), None)
    raise TraceError(
        f"the result depends on {place}, which the function changes: every call of a compiled function would get that "
        "of the first; pass it as an argument and return its new value",
        line="" if new is None else told(graph.origins[new][0]),
    )


def _keys(trace: Trace) -> list[bytes]:
    """What stands for each node: equal for those that compute the same. What is known is known by its value."""
    graph = trace.graph
    keys: list[bytes] = []
    values: dict[int, np.ndarray] = {}
    for i, node in enumerate(graph.nodes):
        said = hashlib.sha256(str(node.aval).encode())
        known = trace.guards.get(node.params["index"]) if node.op is INPUT else None
        if known is not None:
            values[i] = np.asarray(known, node.aval.dtype)
            said.update(values[i].tobytes())
        elif node.op is CONSTANT or (node.operands and all(k in values for k in node.operands)):
            with np.errstate(all="ignore"):
                made = node.op.evaluate(*[values[k] for k in node.operands], **node.params)
            values[i] = np.ascontiguousarray(made, node.aval.dtype).reshape(np.shape(made))
            said.update(values[i].tobytes())
        elif node.op is INPUT:
            said.update(f"input {node.params['index']}".encode())
        else:
            params = [f"{name}={param_text(value)}" for name, value in sorted(node.params.items())]
            said.update(" ".join([node.op.name, *params]).encode())
            for k in node.operands:
                said.update(keys[k])
        keys.append(said.digest())
    return keys
