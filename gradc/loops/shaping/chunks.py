"""What iterations of a loop share, and how its chunks get their own: sums, and scratch memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gradc.ir.aval import size_of
from gradc.loops.language.program import (
    I64,
    SEQUENTIAL,
    ZERO,
    Accumulate,
    Buffer,
    Call,
    Constant,
    Contraction,
    Expression,
    For,
    If,
    Load,
    Local,
    Reduction,
    Statement,
    Store,
    Variable,
    b,
    constant,
    variable,
    walk,
)
from gradc.loops.language.traversal import buffers_named, expressions_of, statements_of
from gradc.loops.shaping.expand import neutral


@dataclass(frozen=True, slots=True)
class ChunkSum:
    """What the iterations of a loop accumulate in ``target``: an array, or one element.

    ``parts`` has what each chunk accumulated, one after the other. A single element, and an array of few, is
    accumulated in ``own``, which is local to the chunk, so that registers may hold it.
    """

    op: Reduction
    target: Buffer
    parts: Buffer
    own: Buffer | None

    def begin(self, chunk: str, element: str) -> list[Statement]:
        """Set a chunk's to the neutral element. ``chunk`` is the number's variable, ``element`` one that is free."""
        start = constant(neutral(self.op, self.target.dtype), self.target.dtype)
        if self.own is not None:
            if not self.own.shape:
                return [Local(self.own), Store(self.own.name, (), start)]
            return [Local(self.own), self._over(element, Store(self.own.name, (variable(element),), start))]
        place = self._part(variable(chunk), variable(element))
        return [self._over(element, Store(self.parts.name, place, start))]

    def accumulate(self, statement: Accumulate | Call, chunk: Expression) -> Accumulate | Call:
        """A statement that accumulates in the target, in the chunk's own."""
        if isinstance(statement, Call):
            lhs, rhs, out, *scratch = statement.views
            if self.own is not None:
                out = replace(out, buffer=self.own.name)
            else:
                out = replace(out, buffer=self.parts.name, offset=self._place(chunk, out.offset))
            return replace(statement, views=(lhs, rhs, out, *scratch))
        if self.own is not None:
            return replace(statement, buffer=self.own.name, index=statement.index if self.own.shape else ())
        if len(statement.index) == len(self.target.shape):
            return replace(statement, buffer=self.parts.name, index=(chunk, *statement.index))
        return replace(statement, buffer=self.parts.name, index=self._part(chunk, statement.index[0]))

    def end(self, chunk: str, element: str) -> list[Statement]:
        """Keep what a chunk accumulated for later."""
        if self.own is None:
            return []
        if not self.own.shape:
            return [Store(self.parts.name, (variable(chunk),), b.load(self.own))]
        place = self._part(variable(chunk), variable(element))
        return [self._over(element, Store(self.parts.name, place, b.load(self.own, (variable(element),))))]

    def combine(self, chunk: str, element: str, count: int) -> list[Statement]:
        """Accumulate the chunks' results in the target, in their order."""
        name, place = self.target.name, self._part(variable(chunk), variable(element))
        if self.own is not None and not self.own.shape:
            index = (ZERO,) * len(self.target.shape)
            part = b.load(self.parts, (variable(chunk),))
            body: Statement = Accumulate(self.op, name, index, part, SEQUENTIAL)
        else:
            part = b.load(self.parts, place)
            body = self._over(element, Accumulate(self.op, name, (variable(element),), part, SEQUENTIAL))
        return [For(chunk, ZERO, constant(count, I64), (body,))]

    def _part(self, chunk: Expression, element: Expression) -> tuple[Expression, ...]:
        """The place of an element of the target, counted row by row, in a chunk's part."""
        return (chunk, element) if len(self.target.shape) == 1 else (self._place(chunk, element),)

    def _place(self, chunk: Expression, element: Expression) -> Expression:
        """The same, counted from the first chunk's."""
        return b.add(b.mul(chunk, count_of(self.target)), element)

    def _over(self, element: str, body: Statement) -> Statement:
        return For(element, ZERO, constant(count_of(self.target), I64), (body,), mode="vector")


def count_of(buffer: Buffer) -> int:
    """The elements of a buffer of fixed shape."""
    return int(size_of(buffer.shape))


def with_accumulations(
    block: tuple[Statement, ...], change: Callable[[Accumulate | Call], Accumulate | Call]
) -> tuple[Statement, ...]:
    """The block with other accumulations and calls in place of its own."""

    def changed(statement: Statement) -> Statement:
        match statement:
            case Accumulate() | Call():
                return change(statement)
            case For(body=body):
                return replace(statement, body=with_accumulations(body, change))
            case If(then=then, otherwise=otherwise):
                parts = (with_accumulations(branch, change) for branch in (then, otherwise))
                return If(statement.condition, *parts)
        return statement

    return tuple(changed(s) for s in block)


def accumulates_in(statement: Statement) -> str | None:
    """The buffer in which a statement accumulates; None for one that does not, or does more with what it has."""
    match statement:
        case Accumulate(buffer=buffer):
            return buffer
        case Call(callee=Contraction(accumulate=True), views=(_, _, out, *_), epilogue=None):
            return out.buffer
    return None


def accumulated(name: str, loop: For) -> Reduction | None:
    """The one op with which a loop accumulates in a buffer that it does nothing else with; None where it does more."""
    found: set[Reduction] = set()
    for statement in statements_of((loop,)):
        if any(isinstance(part, Load) and part.buffer == name for part in walk(*expressions_of(statement))):
            return None
        match statement:
            case Accumulate(buffer=buffer, op=op) if buffer == name:
                found.add(op)
            case Store(buffer=buffer) if buffer == name:
                return None
            case Local(buffer=local) if local.name == name:
                return None
            case Call(views=views) if any(view.buffer == name for view in views):
                if accumulates_in(statement) != name:
                    return None
                found.add("add")
    return found.pop() if len(found) == 1 else None


def is_summed_in_place(name: str, loop: For) -> bool:
    """Whether a loop accumulates in the elements of a buffer at places that loops count, each by itself."""
    found = [s for s in statements_of((loop,)) if accumulates_in(s) == name]
    return all(
        isinstance(s, Accumulate) and all(isinstance(index, (Variable, Constant)) for index in s.index) for s in found
    )


def is_set_first(buffer: Buffer, block: tuple[Statement, ...]) -> bool:
    """Whether a block sets all of a buffer before it does anything else with it."""
    first = next((s for s in block if _names(s, buffer)), None)
    if first is None or _sets_all(buffer, first):
        return first is not None
    return isinstance(first, For) and _fixed_range(first) is not None and is_set_first(buffer, first.body)


def _sets_all(buffer: Buffer, statement: Statement) -> bool:
    """Whether a statement, perhaps in loops, stores every element of a buffer, and reads none before."""
    ranges: dict[str, int] = {}
    rest: list[Statement] = []
    while isinstance(statement, For):
        length = _fixed_range(statement)
        uses = [s for s in statement.body if _names(s, buffer)]
        if length is None or not uses or (isinstance(uses[0], For) and len(uses) > 1):
            return False
        ranges[statement.var] = length
        statement, *rest = uses
    if not isinstance(statement, Store) or statement.buffer != buffer.name or len(statement.index) != len(buffer.shape):
        return False
    own = [part for s in (statement, *rest) for part in walk(*expressions_of(s)) if isinstance(part, Load)]
    if any(part.buffer == buffer.name for part in walk(*expressions_of(statement)) if isinstance(part, Load)):
        return False
    if any(part.buffer == buffer.name and part.index != statement.index for part in own):
        return False
    if any(
        isinstance(s, (For, Call)) or (isinstance(s, (Store, Accumulate)) and s.buffer == buffer.name) for s in rest
    ):
        return False
    lengths = [ranges.pop(i.name, 0) if isinstance(i, Variable) else int(i is ZERO) for i in statement.index]
    return lengths == list(buffer.shape)


def _names(statement: Statement, buffer: Buffer) -> bool:
    return buffer.name in set(buffers_named((statement,)))


def _fixed_range(loop: For) -> int | None:
    """The iterations of a loop that counts from 0 to a number; None for others and for one that does not run."""
    lo, hi = loop.lo, loop.hi
    counts = lo is ZERO and isinstance(hi, Constant) and loop.step == 1 and not loop.carry
    return int(hi.value) or None if counts and isinstance(hi, Constant) else None
