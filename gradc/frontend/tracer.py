"""The traced array: what the user's function receives in place of its arrays and numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, ClassVar, Final, Self

import numpy as np

from gradc.errors import GradcError
from gradc.frontend import again, arrayfunctions, ufuncs
from gradc.frontend.again import ALONE, FUNCTIONS
from gradc.frontend.bytecode import Site
from gradc.frontend.conversions import Conversions
from gradc.frontend.items import item
from gradc.frontend.lines import refuse
from gradc.frontend.methods import ArrayMethods, with_all_attributes
from gradc.frontend.numpy_api import indexing, promote
from gradc.frontend.numpy_api.operators import OPERATORS
from gradc.frontend.operators import COMPARISONS, OF_INTEGERS, as_integers, is_left_to, with_operators
from gradc.frontend.selected import Selected, chosen_by
from gradc.frontend.session import CURRENT, ESCAPED, Session, require_session
from gradc.frontend.sizes import Size, sized
from gradc.frontend.storage import Path, Reader, Storage, Way, path_between
from gradc.frontend.tape import NOTHING, Kind, TracedBase, mark_of
from gradc.frontend.writing import FOREIGN, ArrayWriting, index_of
from gradc.ir.aval import Aval, shape_text
from gradc.ir.graph import Value
from gradc.ops.shape import reshape

_SEQUENCES: Final = frozenset({list, tuple, str, bytes})
_PYTHON: Final = {"i": int, "f": float, "c": complex}


@with_all_attributes
@with_operators
class Tracer(Conversions, ArrayWriting, ArrayMethods, Reader, TracedBase):
    """An array or a Python number while its function is traced.

    It is a view at ``path`` into ``storage``; the path is empty for an array with memory of its own. ``scalar`` marks
    what NumPy gives as a number, not an array: it is immutable, and ``s += 1`` makes a new one.

    ``known`` is the number of its value on the tape and ``kind`` what operations on it depend on; -1 and None where it
    was written since it was last asked. ``memory`` and ``way`` are its storage and path, made when they are asked for.
    """

    __array_priority__: ClassVar[float] = 1000.0
    __slots__ = ("__weakref__", "kind", "known", "memory", "scalar", "session", "way")

    def __init__(
        self,
        session: Session,
        storage: Storage,
        path: Path = (),
        *,
        scalar: bool = False,
        value: Value | None = None,
    ) -> None:
        self.session = session
        self.memory: Storage | None = storage
        self.way: Path | Way = path
        self.scalar = scalar
        self.holds(storage.value if value is None else value)

    # What it stands for

    @property
    def storage(self) -> Storage:
        """The memory that it is a view of, made when it is asked for."""
        memory = self.memory
        if memory is None:
            memory = self.memory = Storage(None, session=self.session, number=self.known)
            memory.read_by(self)
        return memory

    @property
    def path(self) -> Path:
        """Where it stands in its storage, read off the graph when it is asked for."""
        way = self.way
        if isinstance(way, Way):
            way = self.way = way.path()
        return way

    def current(self) -> Value:
        """The value it stands for now, writes through any view included."""
        session = self.session
        if session.ended:
            raise refuse(ESCAPED)
        builder = session.builder
        if self.known < 0:
            self.holds(self.storage.read(self.path))
        return Value(builder, session.tape.image[self.known])

    def holds(self, value: Value) -> None:
        """Note what stands at its path in the newest version of its memory."""
        self.known: int = self.session.number(value)
        self.kind: Kind | None = self.session.kind(value.aval)
        self.storage.read_by(self)

    def forget(self) -> None:
        self.known = -1
        self.kind = None

    def mark(self) -> int:
        if self.known >= 0:
            return self.known
        return NOTHING if self.way else mark_of(self.storage.value.id)

    def node(self) -> int | None:
        """The id of its node; None for a view, which is an entry of its own once it is read."""
        return self.session.tape.node(self.mark())

    def is_all_of(self, other: Tracer) -> bool:
        """Whether it is the very array ``other``, no view of a part."""
        return self.storage is other.storage and self.path == other.path

    def frozen(self) -> Tracer:
        """Its present value, as an array of its own."""
        return Tracer(self.session, Storage(self.current()), scalar=self.scalar)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What NumPy would have here, so that ``isinstance`` in the user's code takes the branch it takes untraced."""
        aval = self.kind.aval if self.kind is not None else self.storage.value.aval
        if not self.scalar:
            return np.ndarray
        return _PYTHON[aval.dtype.kind] if aval.weak else aval.dtype.type

    @property
    def aval(self) -> Aval:
        """Its abstract value."""
        kind = self.kind
        return self.current().aval if kind is None or self.session.ended else kind.aval

    @property
    def shape(self) -> tuple[Any, ...]:
        aval = self.aval
        return aval.shape if not aval.is_symbolic else tuple([sized(dim, _number_of) for dim in aval.shape])

    @shape.setter
    def shape(self, shape: Any) -> None:
        made: Any = np.reshape(self, shape)
        if self.storage.refusal or made.storage is not self.storage:
            raise refuse(
                "x.shape = ... is for arrays that the function made, in order; use x.reshape, which gives a view"
            )
        self.way = made.way
        self.holds(made.current())

    @property
    def dtype(self) -> np.dtype:
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        return self.aval.ndim

    @property
    def size(self) -> Any:
        return sized(self.aval.size, _number_of)

    @property
    def itemsize(self) -> int:
        return self.aval.dtype.itemsize

    @property
    def nbytes(self) -> Any:
        return self.size * self.itemsize

    # NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if method == "__call__" and not keywords:
            session, frame = require_session(), sys._getframe(1)
            made = again.met(session, Tracer, ufunc, inputs, frame)
            made = made if made is not None else again.operation(session, Tracer, ufunc, inputs, frame)
            if made is not None:
                return made
        if Selected in map(type, inputs):
            return NotImplemented
        return perform(lambda session: ufuncs.apply(session, ufunc, method, inputs, keywords))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in FUNCTIONS:
            made = again.call(require_session(), Tracer, function, args, kwargs, sys._getframe(1))
            if made is not None:
                return made
        bases: tuple[Tracer, ...] = arrayfunctions.viewed(function, args, kwargs)
        return perform(
            lambda session: arrayfunctions.apply(session, function, args, kwargs),
            bases=bases,
            array=function in arrayfunctions.GIVE_ARRAYS,
            flat=arrayfunctions.flattens(function),
        )

    # Where Python needs something plain (see also conversions)

    def constant(self) -> np.ndarray | None:
        """The array, read-only, where it depends on constants and Python integers alone; else None.

        Python integers become static by it.
        """
        array = self.session.concrete(self.current())
        if array is None:
            return None
        array = array.view()
        array.setflags(write=False)
        return array

    def plain(self) -> Any:
        """The array or number that NumPy has there, where it depends on constants and Python integers alone."""
        array = self.constant()
        if array is None or not self.scalar:
            return array
        return array.item() if self.aval.weak else array[()]

    def __len__(self) -> int:
        shape = self.aval.shape
        if not shape:
            raise refuse("a number has no len(); its shape is ()", as_numpy=True)
        if not isinstance(shape[0], int):
            raise refuse(f"len() needs a fixed size and this array has {shape_text(shape)}; use x.shape[0]")
        return shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.aval.shape:
            raise refuse("a number cannot be iterated over; its shape is ()", as_numpy=True)
        size = len(self)
        return iter(
            perform(
                lambda session: [indexing.getitem(session.lift(self), k, session.lift) for k in range(size)],
                bases=(self,),
                index=True,
            )
        )

    # Indexing (see also writing)

    def taken(self, index: Any, frame: FrameType) -> Any:
        """``self[index]``."""
        made = item(require_session(), self, index, frame)
        if made is not None:
            return made
        if (chosen := chosen_by(index, self)) is not None:
            return Selected.of(*chosen.of(self))
        view = index is Ellipsis or (type(index) is tuple and any(part is Ellipsis for part in index))
        return perform(
            lambda session: indexing.getitem(session.lift(self), index_of(session, index), session.lift),
            bases=(self,),
            index=True,
            array=view,
        )

    # Operators

    def operate(self, name: str, left: Any, right: Any, frame: FrameType) -> Any:
        """What an operator gives."""
        operands = (left,) if right is ALONE else (left, right)
        session = CURRENT.get()
        if session is self.session:
            if session.bools and name in OF_INTEGERS:
                operands = as_integers(session.bools, operands)
            made = again.operation(session, Tracer, name, operands, frame)
            if made is not None:
                return made
        return self._worked_out(name, operands, frame)

    def _worked_out(self, name: str, operands: tuple[Any, ...], frame: FrameType) -> Any:
        if self.scalar and any(type(x) in _SEQUENCES for x in operands) and self.aval.weak:
            return NotImplemented  # a Python number: `[x] * n` repeats the list
        if any(is_left_to(x, self.scalar, name, weak=self.aval.weak) for x in operands):
            return NotImplemented
        session = require_session()
        site = session.follower.enter(frame)
        try:
            lifted = [session.lift(promote.as_number(x) if self.aval.weak else x) for x in operands]
            value = OPERATORS[name](*lifted)
        except GradcError as error:
            raise session.located(error) from None
        if name in COMPARISONS and all(x.aval.weak for x in lifted):
            session.bools.add(value.id)
        made = Tracer(session, Storage(value), scalar=not value.aval.shape)
        made.named(site)
        return made

    def update(self, name: str, other: Any, frame: FrameType) -> Self:
        """``x += other`` of an array, which is written."""
        made = self.operate(name, self, other, frame)
        if made is NotImplemented:
            return made  # type: ignore[no-any-return]
        self.assign(made)
        self.named(self.session.follower.enter(frame))
        return self

    def named(self, site: Site) -> None:
        """Take the name that the instruction at ``site`` stores it under; an alias keeps the name of its storage."""
        node = self.node()
        if node is not None and site.targets:
            recorder, storage = self.session.recorder, self.storage
            given = recorder.name(site, (node,))
            if not self.path:
                storage.called(given if storage.name is None else recorder.names.get(node))

    # Copies and conversions

    def copy(self, order: str = "C") -> Tracer:
        if self.scalar:
            return self
        made: Tracer = perform(lambda session: session.lift(self), array=True)
        made.storage.contiguous = order == "C"
        return made

    def astype(
        self, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        wanted = np.dtype(dtype)
        if not np.can_cast(self.dtype, wanted, casting):  # type: ignore[arg-type]
            raise refuse(f"{self.aval} cannot be cast to {wanted} under the rule {casting!r}", as_numpy=True)
        if not copy and self.dtype == wanted:
            return self
        return perform(lambda session: promote.astype(session.lift(self), wanted), array=not self.scalar)

    def python_number(self, made: Callable[[Value], Value] = promote.python_number) -> Any:
        """A NumPy number as the Python number that its ``item()`` is, or that ``made`` gives."""
        return perform(lambda session: made(session.lift(self)))


def perform(
    make: Callable[[Session], Any],
    *,
    bases: tuple[Tracer, ...] = (),
    array: bool = False,
    index: bool = False,
    flat: bool | None = False,
) -> Any:
    """What ``make`` gives in the present trace, as traced arrays with the user's names; errors get the user's line.

    ``bases`` are the arrays of which results are views that only rearrange one. Without axes a result is an array
    all the same (``array``), or a number, and a copy where it is no view (``index``); or as np.ravel's (``flat``; where
    that is None a view in any layout).
    """
    session = require_session()
    site = session.follower.enter(sys._getframe(1))
    try:
        result = make(session)
    except GradcError as error:
        raise session.located(error) from None
    if isinstance(result, Value):
        made = _wrap(session, result, bases, array, index, flat)
        made.named(site)
        return made
    if isinstance(result, (tuple, list)):
        wrapped = [_wrapped(session, r, bases, array, index, flat) for r in result]
        nodes = [node for r in wrapped if isinstance(r, Tracer) and (node := r.node()) is not None]
        if site.targets and len(nodes) == len(wrapped):
            session.recorder.name(site, nodes)
        return type(result)(*wrapped) if hasattr(result, "_fields") else type(result)(wrapped)
    return result


def _wrapped(session: Session, result: Any, *how: Any) -> Any:
    """A part of a result, or a list of parts."""
    if isinstance(result, Value):
        return _wrap(session, result, *how)
    return [_wrapped(session, r, *how) for r in result] if type(result) is list else result


def _wrap(session: Session, value: Value, bases: tuple[Tracer, ...], array: bool, index: bool, flat: Any) -> Tracer:
    bases = tuple([base for base in bases if not base.scalar])
    if not bases or (index and not array and not value.aval.shape):
        return Tracer(session, Storage(value), scalar=not value.aval.shape and not array)
    foreign = [base for base in bases if base.session is not session]
    if foreign:
        return Tracer(session, Storage(value, refusal=FOREIGN))
    storage = Storage(value)
    for base in bases:
        path = path_between(session.builder, base.current().id, value.id)
        if path is None:
            continue
        whole = base.path + path
        shared = flat is None or base.storage.shares(whole)
        if flat and not base.storage.refusal:
            shared = base.storage.in_order(whole[:-1] if path and whole[-1].op is reshape else whole)
        if shared:
            return Tracer(session, base.storage, whole, value=value)
        if shared is None:
            storage.link(base.storage)
        return Tracer(session, storage)
    if not index:
        for base in bases:
            storage.link(base.storage)
    return Tracer(session, storage)


def _number_of(size: Size) -> Any:
    """The traced number of a symbolic size."""
    return perform(lambda session: session.lift(size))
