"""A trace in progress: its builder, what it captured, which numbers became static, and its place among other traces."""

from __future__ import annotations

import array
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeGuard

import numpy as np

from gradc.errors import DtypeError, GradcError, ShapeError, TraceError
from gradc.frontend.caught import note
from gradc.frontend.follower import Follower
from gradc.frontend.frames import user_frame
from gradc.frontend.lines import line_text, refuse
from gradc.frontend.names import Recorder
from gradc.frontend.numpy_api import promote
from gradc.frontend.sizes import Size
from gradc.frontend.tape import NOTHING, Kind, Tape, TracedBase
from gradc.ir.aval import Aval, aval_of
from gradc.ir.graph import INPUT, Builder, Value
from gradc.ops.shape import concatenate, dim_value, iota, reshaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from gradc.frontend.again import Outcome, Place

CURRENT: Final[ContextVar[Session | None]] = ContextVar("gradc_trace", default=None)

RUNNING: Final = np.zeros(1, np.int64)
"""How many traces are in progress in all threads. Machine code reads it: calls inside a trace belong to its graph."""

_COUNTING: Final = threading.Lock()

_SEQUENCES: Final = frozenset((range, deque))
"""Sequences, besides list and tuple, of which NumPy makes arrays."""
_BUFFERS: Final = frozenset((array.array, memoryview))

_NUMBERS: Final = frozenset((float, int, bool, complex))

ESCAPED: Final = (
    "a traced value is used outside of its trace, after the end of that or in another thread; "
    "return it from the function instead of keeping it, and compute in one thread"
)

ASIDE: Final[ContextVar[str]] = ContextVar("gradc_aside", default="")
"""The function under functools.cache that is called outside of the trace."""

_KEPT: Final = (
    "{} keeps its results, and this one would depend on a traced value that is not among its arguments; "
    "pass it as an argument, or take functools.cache off"
)


class Traced(Protocol):
    """What this package needs of a traced array."""

    session: Session
    scalar: bool

    @property
    def storage(self) -> Any: ...

    @property
    def path(self) -> Any: ...

    def mark(self) -> int:
        """What stands for its value on the tape, as far as that is known without making new nodes."""

    @property
    def aval(self) -> Aval: ...

    def current(self) -> Value:
        """The value it stands for now."""

    def node(self) -> int | None:
        """The id of its node, where that is known without making new ones."""

    def frozen(self) -> Traced:
        """Its present value, as an array of its own."""

    def constant(self) -> np.ndarray | None:
        """The array where it depends on constants and Python integers alone."""

    def plain(self) -> Any:
        """What NumPy has there, an array or a number, where it depends on constants and Python integers alone."""

    def assign(self, result: Any) -> None:
        """Write a result over the whole array."""

    def add_at(self, index: Any, value: Any) -> None:
        """``np.add.at(self, index, value)``."""

    def __setitem__(self, index: Any, value: Any) -> None: ...


def is_traced(x: object) -> TypeGuard[Traced]:
    """Whether ``x`` is a traced array."""
    return isinstance(x, TracedBase)


@dataclass(slots=True, eq=False)
class Session:
    """The state of one trace. Nodes go to ``builder``; ``parent`` is the trace around this one.

    What is on the tape becomes nodes whenever the builder or the recorder is asked for. ``frame`` is the innermost of
    the user's that was met last, None where another trace runs or this one has ended; ``places`` are those of its code,
    ``count`` is the number of the next traced value.

    ``known`` holds the Python numbers behind inputs, ``guards`` those that became static because Python needed them,
    ``sources`` the values of outer traces behind inputs, the last of them (``captured``) met while tracing. ``kept``
    are results of functions that keep them, for this trace alone; ``bools`` nodes that are Python's True and False.
    """

    parent: Session | None
    tape: Tape = field(init=False)
    follower: Follower = field(init=False)
    record: Callable[[Iterable[int]], None] = field(init=False)
    frame: FrameType | None = None
    places: dict[int, Place] = field(default_factory=dict)
    count: int = 0
    ended: bool = False
    known: dict[int, int] = field(default_factory=dict)
    guards: dict[int, int] = field(default_factory=dict)
    sources: dict[int, Traced] = field(default_factory=dict)
    captured: dict[tuple[int, int], Value] = field(default_factory=dict)
    capture_order: list[Traced] = field(default_factory=list)
    constants: dict[int, str] = field(default_factory=dict)
    outcomes: dict[tuple[Any, ...], Outcome] = field(default_factory=dict)
    elements: dict[tuple[int, Any], int] = field(default_factory=dict)
    items: dict[tuple[Kind, Any], Kind] = field(default_factory=dict)
    words: dict[Any, int] = field(default_factory=dict)
    kept: dict[Any, Any] = field(default_factory=dict)
    bools: set[int] = field(default_factory=set)
    _kinds: dict[int, Kind] = field(default_factory=dict)
    _numbers: dict[tuple[type, Any], Value] = field(default_factory=dict)
    _evaluated: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tape = Tape(self)
        self.record = self.tape.entries.extend
        self.follower = Follower(self)

    @property
    def builder(self) -> Builder:
        """The nodes of all that was met."""
        tape = self.tape
        if tape.entries:
            tape.settle()
        return tape.builder

    @property
    def recorder(self) -> Recorder:
        """The names of all that was met."""
        tape = self.tape
        if tape.entries:
            tape.settle()
        return tape.recorder

    def follow(self, frame: FrameType) -> bool:
        """Whether the user's code runs in ``frame``, in this trace, whose ``frame`` it is from then on."""
        return CURRENT.get() is self and self.follower.follow(frame)

    def number(self, value: Value) -> int:
        """The number of a new traced value, which is on no tape."""
        tape = self.tape
        if tape.entries:
            tape.settle()
        tape.image.append(value.id)
        tape.names.append(None)
        self.count += 1
        return self.count - 1

    def kind(self, aval: Aval) -> Kind:
        """The kind of an abstract value of the builder's, where one object stands for all that are equal."""
        kind = self._kinds.get(id(aval))
        if kind is None:
            kind = self._kinds[id(aval)] = Kind(aval)
        return kind

    def kind_of(self, aval: Aval) -> Kind:
        """The kind of the values of any abstract value."""
        return self.kind(self.tape.builder.interned(aval))

    def mark(self, x: Any) -> int:
        """What stands for a traced value of this trace on the tape; NOTHING for anything else."""
        if isinstance(x, TracedBase) and x.session is self:  # type: ignore[attr-defined]
            return x.known if x.known >= 0 else x.mark()  # type: ignore[attr-defined,no-any-return]
        return NOTHING

    def lift(self, x: Any, role: str = "") -> Value:
        """``x`` as a Value of this trace: traced values, arrays, numbers, and sequences of them.

        Raises DtypeError for anything else, TraceError for a value of a trace that has ended.
        """
        kind = type(x)
        if kind in _NUMBERS:
            return self._number(kind, x)
        if is_traced(x):
            return x.current() if x.session is self else self._of_another(x)
        if isinstance(x, (np.ndarray, np.generic)):
            return self._constant(x)
        if kind is Value:
            return x  # type: ignore[no-any-return]
        if kind is Size:
            return self.builder.apply(dim_value, dim=x.dim, dtype=np.dtype(np.int64), weak=True)
        if kind in (list, tuple):
            return self._sequence(x, role)
        if kind in _SEQUENCES:
            return self._sequence(list(x), role)
        if kind in _BUFFERS:
            return self._constant(np.asarray(x))
        if x is None:
            raise DtypeError("None is neither an array nor a number; compare with `is None`, which is static")
        if hasattr(kind, "__array__"):
            return self.lift(x.__array__(), role)
        plain = promote.as_number(x)
        if plain is not x:  # a member of an IntEnum, which NumPy takes as an array of its number
            return self._constant(np.asarray(plain))
        raise DtypeError(f"{role}: ".lstrip(": ") + f"{_article(kind.__name__)} is neither an array nor a number")

    def _number(self, kind: type, x: Any) -> Value:
        key = (kind, x)
        # 0.0 and -0.0 are equal as keys, and NaN is not equal to itself: these take the slow way.
        found = self._numbers.get(key) if x or kind is int else None
        if found is None:
            if kind is int and not -(2**63) <= x < 2**63:
                raise DtypeError(f"the integer {x} does not fit into i64; write it as a float")
            found = self.builder.constant(x, weak=kind is not bool)
            self._numbers[key] = found
        return found

    def _constant(self, x: Any) -> Value:
        aval_of(x)
        value = self.builder.constant(np.asarray(x, x.dtype.newbyteorder("=")))
        if np.ndim(x) and value.id not in self.constants:
            self.constants[value.id] = self._name_of(x)
        return value

    def _sequence(self, x: Any, role: str) -> Value:
        if not holds_traced(x):
            return self._constant(np.asarray(x))
        parts = [self.lift(item, role) for item in x]
        first = parts[0].aval
        for part in parts:
            if part.aval.shape != first.shape:
                raise ShapeError(f"an array of {first} and {part.aval} would be ragged; make their shapes equal")
        dtype = np.result_type(*[part.aval.dtype for part in parts])
        rows = [reshaped(promote.astype(part, dtype), (1, *first.shape)) for part in parts]
        return rows[0] if len(rows) == 1 else self.builder.apply(concatenate, *rows, axis=0)

    def _of_another(self, x: Traced) -> Value:
        ancestor = self.parent
        while ancestor is not None and ancestor is not x.session:
            ancestor = ancestor.parent
        if ancestor is None:
            raise TraceError(ESCAPED)
        outer = x.current()
        key = (id(x.session), outer.id)
        value = self.captured.get(key)
        if value is None:
            value = self.builder.input(f"captured{len(self.capture_order)}", outer.aval)
            self.captured[key] = value
            kept = x.frozen()
            self.capture_order.append(kept)
            self.sources[value.id] = kept
        return value

    def _name_of(self, x: object) -> str:
        """What the user's code calls an array, if it does."""
        frame: FrameType | None = user_frame(sys._getframe(2), self.follower.root)
        while frame is not None:
            for variables in (frame.f_locals, frame.f_globals):
                for name, content in variables.items():
                    if content is x:
                        return str(name)
            frame = user_frame(frame.f_back, self.follower.root)
        return ""

    def concrete(self, value: Value, *, fixing: bool = True) -> np.ndarray | None:
        """The array behind a value that depends on constants and on Python integers alone; those become static.

        None for a value that depends on anything else. The integers are guarded from then on, here and in the
        traces around; without ``fixing`` they have to be so already.
        """
        known = self._evaluated
        if value.id in known:
            return known[value.id]
        nodes = self.builder.nodes
        pending, order = [value.id], list[int]()
        seen, used = set[int](), list[int]()
        while pending:
            index = pending.pop()
            if index in seen or index in known:
                continue
            seen.add(index)
            order.append(index)
            node = nodes[index]
            if node.op is INPUT:
                if not (index in self.known or self._knows_source(index)) if fixing else index not in self.guards:
                    return None
                used.append(index)
            elif node.op is dim_value or node.op is iota:
                return None
            pending += node.operands
        for index in used:
            known[index] = self._guard(index)
        with np.errstate(all="ignore"):
            for index in sorted(order):
                node = nodes[index]
                if node.op is not INPUT:
                    result = np.asarray(node.op.evaluate(*[known[i] for i in node.operands], **node.params))
                    known[index] = result if result.dtype == node.aval.dtype else result.astype(node.aval.dtype)
        return known[value.id]

    def _knows_source(self, index: int) -> bool:
        source = self.sources.get(index)
        return source is not None and source.session.concrete(source.current()) is not None

    def _guard(self, index: int) -> np.ndarray:
        number = self.known.get(index)
        if number is not None:
            self.guards[index] = number
            return np.asarray(number)
        source = self.sources[index]
        array = source.session.concrete(source.current())
        assert array is not None
        return array

    def line(self) -> str:
        """The user's line that is running: ``model.py:12: h = x @ w``."""
        return line_text(user_frame(sys._getframe(1), self.follower.root))

    def located(self, error: GradcError) -> GradcError:
        """The error with the user's line, if it has none yet."""
        if error.line:
            return error
        located = type(error)(str(error), line=self.line(), as_numpy=error.as_numpy)
        note(located, sys._getframe(1))
        return located


def current_session() -> Session | None:
    """The trace that this thread is in."""
    return CURRENT.get()


def enter(session: Session) -> Token[Session | None]:
    """Make a trace the one that this thread is in, until ``leave``."""
    with _COUNTING:
        RUNNING[0] += 1
    if session.parent is not None:
        session.parent.frame = None
    return CURRENT.set(session)


def leave(token: Token[Session | None]) -> None:
    """Make the trace around the present one, if any, the present one again."""
    CURRENT.reset(token)
    with _COUNTING:
        RUNNING[0] -= 1


def require_session() -> Session:
    """The trace that this thread is in. Raises TraceError outside of one, where traced values cannot be used."""
    session = CURRENT.get()
    if session is None:
        raise refuse(_KEPT.format(ASIDE.get()) if ASIDE.get() else ESCAPED)
    return session


@contextmanager
def aside(session: Session, name: str) -> Iterator[None]:
    """Leave the present trace for the time of a call of the function ``name``, which keeps its results."""
    session.frame = None
    token, named = CURRENT.set(None), ASIDE.set(name)
    try:
        yield
    finally:
        ASIDE.reset(named)
        CURRENT.reset(token)


def holds_traced(x: Any) -> bool:
    """Whether a sequence, however nested, has a traced value or a symbolic size in it, or ``x`` is one."""
    if type(x) in (list, tuple):
        return any(holds_traced(item) for item in x)
    return is_traced(x) or type(x) is Size


def _article(noun: str) -> str:
    return f"an {noun}" if noun[:1].lower() in "aeiou" else f"a {noun}"
