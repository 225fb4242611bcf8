"""Moving buffers: statements whose buffers become parts of other ones, and whose checks get other codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, cast

from gradc.loops.language.expressions import Expression, Load, load_from, rewrite, walk
from gradc.loops.language.program import (
    Accumulate,
    Buffer,
    Call,
    Check,
    For,
    If,
    Let,
    Local,
    Statement,
    Store,
    View,
    b,
    contiguous_strides,
)


class Home(NamedTuple):
    """The buffer that another one becomes a part of, row by row from element ``start`` on."""

    buffer: str
    start: int


@dataclass
class Rehomed:
    """Rewrites statements in which the ``buffers`` stand at their ``homes``, in buffers of one axis."""

    buffers: Mapping[str, Buffer]
    homes: Mapping[str, Home]
    codes: Mapping[int, int]
    images: dict[Expression, Expression] = field(default_factory=dict)

    def block(self, block: tuple[Statement, ...]) -> tuple[Statement, ...]:
        """The statements, moved."""
        return tuple([self._statement(statement) for statement in block])

    def _statement(self, statement: Statement) -> Statement:
        match statement:
            case For(body=body):
                lo, hi = self._moved(statement.lo), self._moved(statement.hi)
                return replace(statement, lo=lo, hi=hi, body=self.block(body))
            case Let(value=value):
                return replace(statement, value=self._moved(value))
            case Store(buffer=buffer, index=index, value=value) | Accumulate(buffer=buffer, index=index, value=value):
                name, place = self._place(buffer, tuple(self._moved(i) for i in index))
                return replace(statement, buffer=name, index=place, value=self._moved(value))
            case If(condition=condition, then=then, otherwise=otherwise):
                return If(self._moved(condition), self.block(then), self.block(otherwise))
            case Call(callee=callee, views=views, scalars=scalars):
                epilogue = statement.epilogue
                if epilogue is not None:
                    body = cast("tuple[Let | Store, ...]", self.block(epilogue.body))
                    epilogue = replace(epilogue, body=body)
                return Call(callee, tuple(map(self._view, views)), tuple(map(self._moved, scalars)), epilogue)
            case Check(condition=condition, code=code, value=value):
                told = self._moved(value)
                return replace(statement, condition=self._moved(condition), code=self.codes[code], value=told)
            case Local():
                return statement
        return statement

    def _view(self, view: View) -> View:
        offset = self._moved(view.offset)
        home = self.homes.get(view.buffer)
        return View(view.buffer, view.strides, offset) if home is None else View(
            home.buffer, view.strides, b.add(offset, home.start)
        )  # fmt: skip

    def _place(self, buffer: str, index: tuple[Expression, ...]) -> tuple[str, tuple[Expression, ...]]:
        home = self.homes.get(buffer)
        if home is None:
            return buffer, index
        flat: Expression = b.constant(home.start)
        if len(index) == 1 and len(self.buffers[buffer].shape) != 1:
            return home.buffer, (b.add(index[0], home.start),)
        for i, stride in zip(index, contiguous_strides(self.buffers[buffer].shape), strict=True):
            flat = b.add(b.mul(i, int(stride)), flat)
        return home.buffer, (flat,)

    def _moved(self, expression: Expression) -> Expression:
        for part in walk(expression):
            if isinstance(part, Load) and part not in self.images:
                index = tuple(rewrite(i, self.images) for i in part.index)
                name, place = self._place(part.buffer, index)
                self.images[part] = load_from(name, part.dtype, place)
        return rewrite(expression, self.images)
