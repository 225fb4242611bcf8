"""Writing into traced arrays, with NumPy's meaning: a write gives the memory a new value."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np

from gradc.errors import DtypeError, GradcError, ShapeError
from gradc.frontend.lines import refuse
from gradc.frontend.numpy_api import indexing, promote
from gradc.frontend.selected import Selected, chosen_by, write
from gradc.frontend.session import Session, holds_traced, is_traced, require_session
from gradc.frontend.sizes import plain_dims
from gradc.ir.graph import Value

FOREIGN: Final = (
    "this writes into an array of the function around this one; copy it first: x = x.copy(), or return the new array"
)


_NUMBER: Final = "a NumPy number cannot be written into; make an array of it first: x = np.array(x)"


class ArrayWriting:
    """Assignments; the class has ``session``, ``storage``, ``path``, ``scalar`` and ``current()``."""

    __slots__ = ()

    def __setitem__(self: Any, index: Any, value: Any) -> None:
        chosen = chosen_by(index, self) if isinstance(value, Selected) or type(index) is tuple else None
        if chosen is not None and (chosen.parts is not None or isinstance(value, Selected)):
            write(self, chosen, value)
            return
        if isinstance(value, Selected):
            raise value.refusal()
        if is_traced(value) and value.storage is self.storage and value.path:
            part = self[index]
            if is_traced(part) and part.storage is self.storage and part.path == value.path:
                return  # `buf[i] += x` writes into the view, and then the view into its own place
        self._set(index, value, "set")

    def _set(self: Any, index: Any, value: Any, mode: str) -> None:
        self.change(
            lambda session: indexing.setitem(
                self.current(), index_of(session, index), session.lift(value, "value"), session.lift, mode
            )
        )

    def add_at(self: Any, index: Any, value: Any) -> None:
        """``np.add.at(self, index, value)``: repeated indices add each of theirs."""
        self._set(index, value, "add")

    def change(self: Any, make: Callable[[Session], Value]) -> None:
        """Write what ``make`` gives as the new value of the whole array."""
        session = require_session()
        session.follower.enter(sys._getframe(1))
        try:
            if self.scalar:
                raise refuse(_NUMBER, as_numpy=True)
            if session is not self.session:
                session.lift(self)
                raise refuse(FOREIGN)
            value = make(session)
            self.storage.called(session.recorder.names.get(self.storage.value.id))
            self.storage.write(self.path, value)
        except GradcError as error:
            raise session.located(error) from None
        self.holds(value)
        if self.storage.name is not None:
            session.recorder.give(self.storage.value.id, *self.storage.name)

    def assign(self: Any, result: Any) -> None:
        """Write a result over the whole array, as ``out=`` and ``+=`` do: its shape must be the array's own."""

        def make(session: Session) -> Value:
            value, aval = session.lift(result), self.aval
            if value.aval.dtype != aval.dtype:
                if not value.aval.weak and not np.can_cast(value.aval.dtype, aval.dtype, "same_kind"):
                    raise DtypeError(
                        f"a result {value.aval} cannot be written into {aval}; convert it with astype first",
                        as_numpy=True,
                    )
                value = promote.astype(value, aval.dtype)
            if value.aval.shape != aval.shape:
                raise ShapeError(f"a result {value.aval} does not fit the array {aval} that it is written into")
            return value

        self.change(make)


def index_of(session: Session, index: Any) -> Any:
    """An index in plain numbers and arrays where it is static, in Values where it is not."""
    if is_traced(index):
        return _known(index.constant(), session.lift(index))
    if type(index) is tuple:
        return tuple([index_of(session, item) for item in index])
    if type(index) is list and holds_traced(index):
        value = session.lift(index)
        return _known(session.concrete(value), value)
    if type(index) is slice:
        return slice(*[_bound(part) for part in (index.start, index.stop, index.step)])
    return plain_dims(index)


def _bound(part: Any) -> Any:
    """A bound of a slice; a traced Python int becomes static."""
    return operator.index(cast(Any, part)) if is_traced(part) else plain_dims(part)


def _known(array: np.ndarray | None, value: Value) -> Any:
    if array is None:
        return value
    return array.item() if array.ndim == 0 else array
