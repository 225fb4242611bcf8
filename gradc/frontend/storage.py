"""In-place code on immutable values: a storage is a memory with versions, a view is a path of steps into it.

A path is read off the graph: the chain of slice, reshape and transpose nodes between the array that a function was
given and the view that it returned. Reading applies the steps to the storage's newest value; writing undoes them,
last first, and gives the storage a new value. So every array that shares memory sees every write.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from gradc.frontend.lines import refuse
from gradc.ir.aval import Aval
from gradc.ir.graph import Builder, Value
from gradc.ir.op import Op
from gradc.ops.shape import broadcast_to, inverse_permutation, reshape, slice_, transpose, update_slice

if TYPE_CHECKING:
    from gradc.frontend.session import Session

_VIEW_OPS: Final = (slice_, reshape, transpose, broadcast_to)


class Step(NamedTuple):
    """One step of a view: an op that rearranges, and what it was applied to."""

    op: Op
    params: dict[str, Any]
    source: Aval

    def read(self, base: Value) -> Value:
        """The view of ``base``."""
        return base.builder.apply(self.op, base, **self.params)

    def write(self, base: Value, value: Value) -> Value:
        """``base`` with its view replaced by ``value``."""
        if self.op is slice_:
            return update_slice(base, value, starts=self.params["starts"], steps=self.params["steps"], mode="set")
        if self.op is reshape:
            return reshape(value, shape=self.source.shape)
        if self.op is transpose:
            return transpose(value, axes=inverse_permutation(self.params["axes"]))
        raise refuse("the result of np.broadcast_to is read-only, as in NumPy; write into a copy of it: x.copy()")


Path = tuple[Step, ...]


class Reader:
    """What has read from a storage and remembers it until the storage is written."""

    __slots__ = ()

    def forget(self) -> None:
        """The storage was written."""
        raise NotImplementedError


class Way(NamedTuple):
    """A path that is read off the graph when it is asked for: on from ``before``, from one traced value to another."""

    before: Path | Way
    session: Session
    base: int
    view: int

    def path(self) -> Path:
        """The steps."""
        before = self.before.path() if isinstance(self.before, Way) else self.before
        builder, image = self.session.builder, self.session.tape.image
        between = path_between(builder, image[self.base], image[self.view])
        assert between is not None
        return before + between


class Storage:
    """A memory: its newest value and how often it was written.

    ``refusal`` says why it must not be written (empty where it may). ``contiguous`` is True where its layout is known
    to be C order. ``unsure`` are other storages that NumPy may or may not have kept in the same memory, depending on a
    layout that a trace does not know. ``name`` is the user's, with the depth of the frame that gave it.

    A value that is on the tape is given as its session and number; then it and its name are taken when asked for.
    """

    __slots__ = (
        "__weakref__", "_name", "_number", "_readers", "_session", "_value",
        "contiguous", "refusal", "unsure", "version",
    )  # fmt: skip

    def __init__(
        self, value: Value | None, refusal: str = "", *, session: Session | None = None, number: int = -1
    ) -> None:
        self._value = value
        self._session = session
        self._number = number
        self.refusal = refusal
        self.contiguous = False
        self.version = 0
        self._name: tuple[int, str] | None = None
        self.unsure: tuple[weakref.ref[Storage], ...] = ()
        self._readers: list[weakref.ref[Reader]] = []

    @property
    def value(self) -> Value:
        """The newest value."""
        if self._value is None:
            self._resolve()
        assert self._value is not None
        return self._value

    @property
    def name(self) -> tuple[int, str] | None:
        """The user's name, with the depth of the frame that gave it."""
        if self._value is None:
            self._resolve()
        return self._name

    def _resolve(self) -> None:
        assert self._session is not None
        self._value = Value(self._session.builder, self._session.tape.image[self._number])
        self._name = self._session.tape.names[self._number]

    def read_by(self, reader: Reader) -> None:
        """Have a reader, which knows what stands at its path, forget it at the next write."""
        self._readers.append(weakref.ref(reader))

    def called(self, name: tuple[int, str] | None) -> None:
        """Take a name, with the depth of the frame that gives it; the outermost stays, and the first of one depth."""
        own = self.name
        if name is not None and (own is None or name[0] < own[0]):
            self._name = name

    def link(self, other: Storage) -> None:
        """Note that the two may share memory."""
        self.unsure += (weakref.ref(other),)
        other.unsure += (weakref.ref(self),)
        self.refusal = self.refusal or other.refusal

    def is_linked(self, other: Storage) -> bool:
        """Whether the two may share memory."""
        return any(known() is other for known in self.unsure)

    def write(self, path: Path, value: Value) -> None:
        """Replace the view at ``path``. Raises TraceError where NumPy's meaning cannot be kept."""
        if self.refusal:
            raise refuse(self.refusal)
        if any(other() is not None for other in self.unsure):
            raise refuse(
                "this writes into an array that may share memory with another one that is still in use, depending on "
                "their layout; copy one of them first: x = x.copy()"
            )
        bases = [self.value]
        for step in path[:-1]:
            bases.append(step.read(bases[-1]))
        for step, base in zip(reversed(path), reversed(bases), strict=False):
            value = step.write(base, value)
        self._value = value
        self.version += 1
        for known in self._readers:
            reader = known()
            if reader is not None:
                reader.forget()
        self._readers.clear()

    def read(self, path: Path) -> Value:
        """The newest value of the view at ``path``."""
        value = self.value
        for step in path:
            value = step.read(value)
        return value

    def shares(self, path: Path) -> bool | None:
        """Whether NumPy gives a view for ``path`` (True) or a copy (False); None where the layout is not known.

        Only a reshape depends on the layout.
        """
        if self.refusal or all(step.op is not reshape or _adds_or_drops_ones(step) for step in path):
            return True
        if not self._is_known(path):
            return None
        memory, view = _laid_out(path)
        return memory.size == 0 or bool(np.may_share_memory(memory, view))

    def views(self, path: Path, other: Path) -> tuple[np.ndarray, np.ndarray] | None:
        """Two views of one memory in C order, to ask about their places; None where a size is symbolic."""
        shape = self.value.aval.shape
        if any(not isinstance(d, int) for d in shape) or any(step.source.is_symbolic for step in (*path, *other)):
            return None
        memory = np.empty(shape, np.bool_)
        return _view(memory, path), _view(memory, other)

    def in_order(self, path: Path) -> bool | None:
        """Whether the view at ``path`` lies in memory in C order without gaps; None where that is not known."""
        if not path:
            return self._is_known(path) or None
        return bool(_laid_out(path)[1].flags.c_contiguous) if self._is_known(path) else None

    def _is_known(self, path: Path) -> bool:
        ordered = self.contiguous or self.value.aval.ndim < 2
        return ordered and not any(step.source.is_symbolic for step in path)


def _laid_out(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A memory in C order, and the view of it that a path makes."""
    memory = np.empty(path[0].source.shape, np.bool_)
    return memory, _view(memory, path)


def _view(memory: np.ndarray, path: Path) -> np.ndarray:
    view: Any = memory
    for step in path:
        view = step.op.evaluate(view, **step.params)
    return np.asarray(view)


def _adds_or_drops_ones(step: Step) -> bool:
    """Whether a reshape keeps all axes but those of size 1, which is a view in every layout."""
    return [d for d in step.source.shape if d != 1] == [d for d in step.params["shape"] if d != 1]


def path_between(builder: Builder, base: int, view: int) -> Path | None:
    """The steps from node ``base`` to node ``view``; None where there is anything but rearranging between them."""
    steps: list[Step] = []
    while view != base:
        node = builder.nodes[view]
        if node.op not in _VIEW_OPS:
            return None
        view = node.operands[0]
        steps.append(Step(node.op, node.params, builder.nodes[view].aval))
    return tuple(reversed(steps))
