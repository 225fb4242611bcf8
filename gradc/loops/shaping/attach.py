"""Loop nests over a contraction's result become its epilogue, where the backend can run them as it stores the sums.

A nest qualifies where it is the first to touch the result, reads of it the element of its own iteration alone, and may
run earlier than it stands. What it adds up over rows stays a nest, over what the epilogue stores. A result that nothing
else reads is not stored at all: the contraction works in the array of what is made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gradc.loops.language.accesses import meet, reads_of, writes_of
from gradc.loops.language.expressions import load_from
from gradc.loops.language.program import (
    Accumulate,
    Buffer,
    Call,
    Comment,
    Contraction,
    Epilogue,
    Expression,
    For,
    If,
    Let,
    Load,
    LoopProgram,
    Statement,
    Store,
    Variable,
    rewrite,
    size,
    variable,
    walk,
    whole,
)
from gradc.loops.language.traversal import declared_names, expressions_of
from gradc.loops.shaping.expand import unused_name

Fuses = Callable[[Call], bool]
"""Whether a backend runs the epilogue of a contraction where it stores the sums."""


def with_epilogues(program: LoopProgram, fuses: Fuses) -> LoopProgram:
    """The program with such nests as epilogues; itself where there are none."""
    body = _Attacher(program, fuses).block(program.body)
    if body == program.body:
        return program
    named = {name for statement in body for name in reads_of(statement) | writes_of(statement)}
    buffers = tuple(buffer for buffer in program.buffers if buffer.kind != "arena" or buffer.name in named)
    return replace(program, body=body, buffers=buffers)


@dataclass(frozen=True, slots=True)
class _Nest:
    """A perfect nest over all of a result: a name for each axis, what an epilogue does, and what is left for a nest."""

    index: tuple[str, ...]
    body: tuple[Let | Store, ...]
    rest: Statement | None

    @property
    def written(self) -> set[str]:
        return {s.buffer for s in self.body if isinstance(s, Store)}

    @property
    def loaded(self) -> set[str]:
        return {part.buffer for part in self._parts if isinstance(part, Load)}

    @property
    def scalars(self) -> set[str]:
        return {part.name for part in self._parts if isinstance(part, Variable)}

    @property
    def _parts(self) -> list[Expression]:
        return list(walk(*(e for s in self.body for e in expressions_of(s))))


class _Attacher:
    def __init__(self, program: LoopProgram, fuses: Fuses) -> None:
        self._buffers = program.buffer
        self._fuses = fuses
        self._names = set(program.buffer) | declared_names(program.body)
        self._known: dict[int, tuple[Statement, set[str], set[str]]] = {}
        self._readers: dict[str, list[Statement]] = {}
        self._neighbours: dict[str, set[str]] = {}
        arena = [buffer for buffer in program.buffers if buffer.kind == "arena"]
        self._fixed = isinstance(program.arena_bytes, int)
        self._places = [(x.name, int(x.offset), int(x.offset + x.bytes)) for x in arena] if self._fixed else []
        for statement in program.body:
            for name in self._reads(statement):
                self._readers.setdefault(name, []).append(statement)

    def _accesses(self, statement: Statement) -> tuple[Statement, set[str], set[str]]:
        """A statement, which stays so that no other one gets its identity, and what it reads and writes."""
        known = self._known.get(id(statement))
        if known is None:
            known = self._known[id(statement)] = statement, reads_of(statement), writes_of(statement)
        return known

    def _reads(self, statement: Statement) -> set[str]:
        return self._accesses(statement)[1]

    def _writes(self, statement: Statement) -> set[str]:
        return self._accesses(statement)[2]

    def _touches(self, statement: Statement, out: Buffer) -> bool:
        """Whether a statement reads or writes memory of a buffer."""
        if out.kind == "arena" and not self._fixed:
            return meet(self._reads(statement) | self._writes(statement), {out.name}, self._buffers)
        if out.name not in self._neighbours:
            found = {out.name}
            if out.kind == "arena":
                start, end = int(out.offset), int(out.offset + out.bytes)
                found |= {name for name, first, last in self._places if first < end and start < last}
            self._neighbours[out.name] = found
        shared = self._neighbours[out.name]
        return not (shared.isdisjoint(self._reads(statement)) and shared.isdisjoint(self._writes(statement)))

    def block(self, block: tuple[Statement, ...]) -> tuple[Statement, ...]:
        statements = list(block)
        for position, statement in enumerate(statements):
            match statement:
                case For(body=body):
                    statements[position] = replace(statement, body=self.block(body))
                case If(then=then, otherwise=otherwise):
                    statements[position] = replace(statement, then=self.block(then), otherwise=self.block(otherwise))
        position = 0
        while position < len(statements):
            statement = statements[position]
            if isinstance(statement, Call) and isinstance(statement.callee, Contraction):
                self._try(statements, position, statement)
            position += 1
        return tuple(statement for statement in statements if statement is not _GONE)

    def _try(self, statements: list[Statement], position: int, call: Call) -> None:
        """Give the contraction at ``position`` an epilogue if the statements after it have one."""
        out = self._buffers.get(call.views[2].buffer)
        if out is None or call.epilogue is not None or call.views[2] != whole(out):
            return
        between: list[Statement] = []
        for later in range(position + 1, len(statements)):
            statement = statements[later]
            if self._touches(statement, out):
                break
            between.append(statement)
        else:
            return
        element = variable(unused_name("total", set(self._names)), out.dtype)
        nest = self._nest(statement, out, element)
        if nest is None or not self._apart(nest, call):
            return
        if self._moves_up(nest, between):
            place = position
        elif self._moves_down(call, between):
            place = later
        else:
            return
        with_nest = replace(call, epilogue=Epilogue(str(element), nest.index, nest.body))
        made = self._in_place(with_nest, nest, out, statement)
        if self._fuses(made):
            self._names.add(str(element))
            statements[position] = statements[later] = _GONE
            statements[place] = made
            if nest.rest is not None:
                statements[later + 1 : later + 1] = [nest.rest]

    def _apart(self, nest: _Nest, call: Call) -> bool:
        """Whether the nest's body may run along with the contraction: law 10."""
        operands = {view.buffer for view in call.views[:2]}
        result = {call.views[2].buffer}
        return not meet(nest.written, operands, self._buffers) and not meet(nest.loaded, result, self._buffers)

    def _moves_up(self, nest: _Nest, between: Sequence[Statement]) -> bool:
        """Whether the nest's body may run before the statements between."""
        return not any(
            meet(nest.written, self._reads(s) | self._writes(s), self._buffers)
            or meet(nest.loaded | nest.scalars, self._writes(s), self._buffers)
            for s in between
        )

    def _moves_down(self, call: Call, between: Sequence[Statement]) -> bool:
        """Whether the contraction may run after the statements between, none of which touches its result."""
        return not any(meet(self._reads(call), self._writes(s), self._buffers) for s in between)

    def _in_place(self, call: Call, nest: _Nest, out: Buffer, origin: Statement) -> Call:
        """The contraction into the array of what is made of its result, where nothing else reads that."""
        readers = self._readers.get(out.name, [])
        if out.kind != "arena" or readers != [origin]:
            return call
        place = tuple(map(variable, nest.index))
        for statement in nest.body:
            if not isinstance(statement, Store) or statement.index != place:
                continue
            home = self._buffers[statement.buffer]
            same = home.shape == out.shape and home.dtype == out.dtype
            if same and not meet(nest.loaded, {home.name}, self._buffers):
                return replace(call, views=(*call.views[:2], whole(home), *call.views[3:]))
        return call

    def _nest(self, statement: Statement, out: Buffer, element: Expression) -> _Nest | None:
        loops: list[For] = []
        block: tuple[Statement, ...] = (statement,)
        while len(block) == 1 and isinstance(block[0], For):
            loops.append(block[0])
            block = block[0].body
        index = self._place(loops, block, out)
        if index is None:
            return None
        own = {variable(loop.var) for loop in loops}
        image: dict[Expression, Expression] = {
            part: element
            for s in block
            for part in walk(*expressions_of(s))
            if isinstance(part, Load) and part.buffer == out.name
        }
        body: list[Let | Store] = []
        sums: list[Accumulate] = []
        for s in block:
            match s:
                case Let(name=name, value=value):
                    body.append(Let(name, rewrite(value, image)))
                case Store(buffer=buffer, index=at, value=value) if own <= set(at) and buffer in self._buffers:
                    body.append(Store(buffer, at, rewrite(value, image)))
                case Accumulate() if s.buffer != out.name:
                    sums.append(s)
                case _:
                    return None
        stored: dict[Expression, Store] = {
            s.value: s for s in body if isinstance(s, Store) and isinstance(s.value, Variable)
        }
        rest = self._rest(loops, sums, body, stored)
        kept = _needed(body)
        if (sums and rest is None) or not kept or not self._by_element(kept):
            return None
        return _Nest(index, kept, rest)

    def _place(self, loops: list[For], block: tuple[Statement, ...], out: Buffer) -> tuple[str, ...] | None:
        """A name for each axis of the result, where the loops run over all of it and read the element at their own."""
        extents = {variable(loop.var): loop.hi for loop in loops if loop.lo == size(0) and loop.step == 1}
        if len(extents) != len(loops) or any(loop.carry for loop in loops):
            return None
        places = {
            part.index
            for s in block
            for part in walk(*expressions_of(s))
            if isinstance(part, Load) and part.buffer == out.name
        }
        if len(places) != 1:
            return None
        (place,) = places
        if len(place) != len(out.shape) or not place:
            return None
        names: list[str] = []
        for position, length in zip(place, out.shape, strict=True):
            if position in extents and extents.pop(position) == size(length):
                names.append(str(position))
            elif position == size(0) and length == 1:
                names.append(unused_name("one", self._names))
            else:
                return None
        return tuple(names) if not extents else None

    def _rest(
        self,
        loops: list[For],
        sums: list[Accumulate],
        body: list[Let | Store],
        stored: dict[Expression, Store],
    ) -> Statement | None:
        """The nest that adds up what the epilogue stores; None where it needs something that is not stored."""
        if not sums:
            return None
        image: dict[Expression, Expression] = {
            value: load_from(store.buffer, value.dtype, store.index) for value, store in stored.items()
        }
        found: list[Statement] = []
        missing = {s.name for s in body if isinstance(s, Let)} - {str(value) for value in stored}
        for statement in sums:
            parts = list(walk(*expressions_of(statement)))
            if any(isinstance(part, Load) or (isinstance(part, Variable) and part.name in missing) for part in parts):
                return None
            found.append(replace(statement, value=rewrite(statement.value, image)))
        nest: tuple[Statement, ...] = tuple(found)
        for loop in reversed(loops):
            nest = (replace(loop, body=nest),)
        return nest[0]

    def _by_element(self, body: tuple[Let | Store, ...]) -> bool:
        """Whether memory that is stored to is read in the same element alone, and before."""
        stores = [s for s in body if isinstance(s, Store)]
        for position, statement in enumerate(body):
            for part in walk(*expressions_of(statement)):
                if not isinstance(part, Load):
                    continue
                for store in stores:
                    if meet({part.buffer}, {store.buffer}, self._buffers):
                        one, other = self._buffers[part.buffer], self._buffers[store.buffer]
                        same = (one.offset, one.shape, one.dtype) == (other.offset, other.shape, other.dtype)
                        if not same or part.index != store.index or store in body[:position]:
                            return False
        return True


def _needed(body: list[Let | Store]) -> tuple[Let | Store, ...]:
    """The stores, and the lets that they need."""
    kept: list[Let | Store] = []
    used: set[str] = set()
    for statement in reversed(body):
        if isinstance(statement, Store) or statement.name in used:
            kept.append(statement)
            used |= {part.name for part in walk(*expressions_of(statement)) if isinstance(part, Variable)}
    stores = any(isinstance(statement, Store) for statement in kept)
    return tuple(reversed(kept)) if stores else ()


_GONE = Comment("")
"""Stands in a block for a nest that became an epilogue."""
