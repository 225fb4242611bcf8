"""Distributes loops over their statements: what iterations can do at once comes out of loops that hold loops.

Where each row of a nest ends in a function that takes many operations, ``tanh(w[i] @ x)``, the loop becomes two or
three: one for the sums, one for the functions, which runs in vectors, and one for the rest. A sum down the columns of
an array, ``v @ w``, adds up whole rows. Values that pass from one loop to the next stand in small local arrays, and
every element is computed by the same operations in the same order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from gradc.loops.language.accesses import meet, share
from gradc.loops.language.expressions import MATHEMATICS
from gradc.loops.language.independence import conflict, may_run_as_one
from gradc.loops.language.program import (
    SEQUENTIAL,
    ZERO,
    Accumulate,
    Apply,
    Buffer,
    Constant,
    Expression,
    For,
    If,
    Let,
    Load,
    Local,
    Statement,
    Store,
    Variable,
    b,
    variable,
    walk,
)
from gradc.loops.language.ranges import Ranges
from gradc.loops.language.traversal import buffers_named, expressions_of, statements_of, with_expressions

FEWEST: Final = 2
"""The least iterations of a loop that is distributed."""

MOST_BYTES: Final = 4096
"""The most bytes that all local arrays of a loop take."""

MOST_READ_AGAIN: Final = 2**15
"""The most bytes of all arrays that several parts touch: they stay in the cache from one loop to the next."""

DEAR: Final = MATHEMATICS
"""The functions that are worth a loop of their own."""

Block = tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Scalars:
    """The word that a person reads for the name of a scalar, and a new name that is read as a word."""

    word: Callable[[str], str]
    name: Callable[[str], str]


def distribute(
    block: Block, names: Scalars, buffers: Mapping[str, Buffer], ranges: Ranges | None = None
) -> tuple[Statement, ...]:
    """The block with loops distributed; ``buffers`` are those around it, by name, ``ranges`` those of its variables."""
    known, inside = dict(buffers), ranges or Ranges()
    result: list[Statement] = []
    for statement in block:
        match statement:
            case Local(buffer=buffer):
                known[buffer.name] = buffer
                result.append(statement)
            case For(body=body):
                interval = inside.of_loop(statement.lo, statement.hi, statement.step)
                new = distribute(body, names, known, inside.inside(statement.var, interval))
                result += _distributed(replace(statement, body=new), names, known, inside)
            case If(then=then, otherwise=otherwise):
                branches = [distribute(branch, names, known, inside) for branch in (then, otherwise)]
                result.append(If(statement.condition, *branches))
            case _:
                result.append(statement)
    return tuple(result)


def _distributed(loop: For, names: Scalars, buffers: Mapping[str, Buffer], ranges: Ranges) -> Sequence[Statement]:
    """The loops in place of one; itself where it stays whole."""
    is_plain = loop.lo is ZERO and loop.step == 1 and not loop.carry and loop.mode == "seq"
    if not is_plain or not isinstance(loop.hi, Constant) or loop.hi.value < FEWEST:
        return [loop]
    if not all(isinstance(s, (For, Let, Store, Accumulate, Local)) for s in statements_of(loop.body)):
        return [loop]
    known = {**buffers, **{s.buffer.name: s.buffer for s in statements_of(loop.body) if isinstance(s, Local)}}
    return _Distributor(loop, names, known, ranges).run() or [loop]


class _Distributor:
    """Distributes a loop. ``arrays`` hold what passes from one of its parts to another, read as ``read`` says."""

    def __init__(self, loop: For, names: Scalars, buffers: dict[str, Buffer], ranges: Ranges) -> None:
        self.loop = loop
        self.var = variable(loop.var)
        self.names = names
        self.buffers = buffers
        self.ranges = ranges
        self.arrays: list[Local] = []
        self.read: dict[Expression, Expression] = {}

    def run(self) -> list[Statement]:
        """The loops in place of it; none where it stays whole."""
        body = self.loop.body
        nests: list[Statement] = []
        tried: list[Block] = []
        for statement in self.loop.body:
            if isinstance(statement, For) and self._adds_columns(statement):
                clear, add = self._columns(statement)
                nests += [self._loop((clear,)), replace(statement, body=(self._loop((add,)),))]
                tried += [(clear,), (replace(statement, body=(add,)),)]
                body = self._without(body, statement)
        parts = self._apart(_parts(body, self.buffers, by_columns=bool(nests)))
        if not parts or not self._means_the_same([*tried, *parts]):
            return []
        return [*self.arrays, *nests, *map(self._loop, parts)]

    def _loop(self, body: Block) -> For:
        """A loop over statements; in vectors, where these may run at once."""
        at_once = all(isinstance(s, (Let, Store)) or (isinstance(s, Accumulate) and self.var in s.index) for s in body)
        return replace(self.loop, body=body, mode="vector" if at_once else "seq")

    # Parts, and what passes between them.

    def _apart(self, parts: Sequence[Block]) -> list[Block]:
        """The parts, each with what later ones need kept."""
        found = []
        for position, part in enumerate(parts):
            own = tuple([with_expressions(statement, dict(self.read)) for statement in part])
            kept = self._kept(part, [s for later in parts[position + 1 :] for s in statements_of(later)])
            found.append((*own, *kept))
        return found

    def _kept(self, part: Block, later: Sequence[Statement]) -> list[Statement]:
        """Stores of the scalars that later statements use."""
        used = {e for statement in later for e in walk(*expressions_of(statement))}
        kept: list[Statement] = []
        for statement in part:
            match statement:
                case Let(name=name) if statement.variable in used:
                    place = self._place_of(statement, part)
                    if place is None:
                        kept.append(self._keep(self.names.word(name), statement.variable))
                    else:
                        self.read[statement.variable] = place
                case Local(buffer=local) if not local.shape and b.load(local) in used:
                    kept.append(self._keep(f"{self.names.word(local.name)}s", b.load(local)))
        return kept

    def _place_of(self, let: Let, part: Block) -> Expression | None:
        """Where a scalar of a part can be read again: as an element of an array that it was, or was stored into."""
        body = self.loop.body
        if isinstance(let.value, Load) and self._stays(let.value.buffer, 0) and not self._is_own(let.value.index):
            return let.value
        for statement in part:
            if isinstance(statement, Store) and statement.value is let.variable and self.var in statement.index:
                at_var = not self._is_own(statement.index)
                if at_var and statement in body and self._stays(statement.buffer, 1):
                    return b.load(self.buffers[statement.buffer], statement.index)
        return None

    def _is_own(self, index: Sequence[Expression]) -> bool:
        """Whether an index is told by scalars that the body makes."""
        made = {s.variable for s in statements_of(self.loop.body) if isinstance(s, Let)}
        return bool(made & set(walk(*index)))

    def _stays(self, name: str, times: int) -> bool:
        """Whether the loop writes into an array so many times, and into none that may share its memory."""
        writes = [s.buffer for s in statements_of(self.loop.body) if isinstance(s, (Store, Accumulate))]
        array = self.buffers[name]
        others = [self.buffers[other] for other in writes if other != name]
        apart = array.kind in ("local", "arena", "constant", "input") and not any(
            _may_share(array, other) for other in others
        )
        return apart and writes.count(name) == times

    def _keep(self, word: str, value: Expression) -> Store:
        """The store of a scalar into an array, where later parts read it."""
        array = self._array(word, value.dtype)
        self.read[value] = b.load(array, (self.var,))
        return Store(array.name, (self.var,), value)

    def _array(self, word: str, dtype: np.dtype) -> Buffer:
        assert isinstance(self.loop.hi, Constant), "other loops stay whole"
        array = Buffer(self.names.name(word), dtype, (int(self.loop.hi.value),), "local")
        self.buffers[array.name] = array
        self.arrays.append(Local(array))
        return array

    # Sums down the columns.

    def _adds_columns(self, inner: For) -> bool:
        """Whether a loop adds up elements of rows that the distributed loop runs along, into a scalar of the body."""
        if len(inner.body) != 1 or inner.lo is not ZERO or inner.step != 1 or not isinstance(inner.hi, Constant):
            return False
        (term,) = inner.body
        if not isinstance(term, Accumulate) or term.order is not SEQUENTIAL or not self._is_sum(term.buffer):
            return False
        parts = list(walk(term.value))
        own = {s.variable for s in self.loop.body if isinstance(s, Let)}
        locals_here = {s.buffer.name for s in self.loop.body if isinstance(s, Local)}
        places = [part.index for part in parts if isinstance(part, Load) and self.var in walk(*part.index)]
        if own & set(parts) or any(isinstance(part, Load) and part.buffer in locals_here for part in parts):
            return False
        return bool(places) and all(place[-1] is self.var and self.var not in walk(*place[:-1]) for place in places)

    def _is_sum(self, name: str) -> bool:
        """Whether a buffer is a scalar of the body that starts from a constant and is written in one loop."""
        starts = [s for s in self.loop.body if isinstance(s, Store) and s.buffer == name]
        writes = [s for s in statements_of(self.loop.body) if isinstance(s, (Store, Accumulate)) and s.buffer == name]
        declared = any(isinstance(s, Local) and s.buffer.name == name for s in self.loop.body)
        return declared and len(starts) == 1 and len(writes) == 2 and isinstance(starts[0].value, Constant)

    def _columns(self, inner: For) -> tuple[Store, Accumulate]:
        """The start of an array of sums, and the sum of a term into it."""
        (term,) = inner.body
        assert isinstance(term, Accumulate), "it adds columns"
        local = self.buffers[term.buffer]
        (start,) = [s.value for s in self.loop.body if isinstance(s, Store) and s.buffer == local.name]
        array = self._array(f"{self.names.word(local.name)}s", local.dtype)
        self.read[b.load(local)] = b.load(array, (self.var,))
        return Store(array.name, (self.var,), start), replace(term, buffer=array.name, index=(self.var,))

    def _without(self, body: Block, inner: For) -> Block:
        """The body without a loop that adds columns, and without its sum."""
        (term,) = inner.body
        assert isinstance(term, Accumulate), "it adds columns"
        name = term.buffer
        return tuple([
            s for s in body
            if s is not inner and not (isinstance(s, Store) and s.buffer == name)
            and not (isinstance(s, Local) and s.buffer.name == name)
        ])  # fmt: skip

    # Whether this changes nothing.

    def _means_the_same(self, parts: Sequence[Block]) -> bool:
        """Whether the parts may run one after the other, each for all iterations, and those without order at once.

        Arrays that several of them touch must stay in the cache between."""
        if sum(int(local.buffer.bytes) for local in self.arrays) > MOST_BYTES:
            return False
        touched = Counter(name for part in parts for name in set(buffers_named(part)))
        again = [self.buffers[name] for name, times in touched.items() if times > 1]
        most = _iterations((self.loop,))
        if sum(_bytes(buffer, most) for buffer in again if buffer.kind != "local") > MOST_READ_AGAIN:
            return False
        for position, part in enumerate(parts):
            inner = {s.buffer.name for s in statements_of(part) if isinstance(s, Local)}
            if inner & {name for later in parts[position + 1 :] for name in buffers_named(later)}:
                return False
            if self._loop(part).mode == "vector" and conflict(self._loop(part), self.buffers, {}, self.ranges):
                return False
            for later in parts[position + 1 :]:
                one, other = (replace(self.loop, body=block, mode="seq") for block in (part, later))
                if not may_run_as_one(one, other, self.buffers, self.ranges):
                    return False
        return True


def _may_share(one: Buffer, other: Buffer) -> bool:
    """Whether two arrays may be the same memory: parts of the arena, or an input that a result takes the place of."""
    if one.kind == other.kind == "arena":
        return share(one, other)
    return {one.kind, other.kind} == {"input", "output"}


def _bytes(buffer: Buffer, most: float) -> float:
    """The most bytes of an array that statements touch which run ``most`` times; of a symbolic size as many as that."""
    whole = buffer.bytes if isinstance(buffer.bytes, int) else math.inf
    return min(whole, buffer.dtype.itemsize * most)


def _iterations(block: Block) -> float:
    """How often the statements run that run most; infinite where a bound is not a constant."""
    most = 1.0
    for statement in block:
        if isinstance(statement, For):
            times = float(statement.hi.value) if isinstance(statement.hi, Constant) else math.inf
            most = max(most, times * _iterations(statement.body))
    return most


def _parts(body: Block, buffers: Mapping[str, Buffer], *, by_columns: bool) -> list[Block]:
    """The body in parts, of which one can run at once: around its first dear function, if there is one.

    ``by_columns`` says that sums are taken out already, so that the first scalars will do.
    """
    simple = [isinstance(statement, (Let, Store)) for statement in body]
    dear = [k for k, statement in enumerate(body) if simple[k] and _is_dear(statement)]
    wanted = [*dear, *(k for k, one in enumerate(simple) if one and by_columns)]
    if not wanted:
        return [body] if by_columns and body else []
    first = last = wanted[0]
    while first > 0 and simple[first - 1]:
        first -= 1
    while last < len(body) and simple[last]:
        last += 1
    more, rest = _taken_along(body[last:], buffers)
    parts = [part for part in (body[:first], body[first:last] + more, rest) if part]
    return parts if by_columns or len(parts) > 1 else []


def _taken_along(block: Block, buffers: Mapping[str, Buffer]) -> tuple[Block, Block]:
    """The scalars and stores of a block that may as well run before all else in it, and what is left of it.

    An array may take the memory of another that the statement before it reads for the last time.
    """
    taken: list[Statement] = []
    left: list[Statement] = []
    for statement in block:
        others = tuple(left)
        own = {part for part in walk(*expressions_of(statement)) if isinstance(part, Variable)}
        made = {s.variable for s in statements_of(others) if isinstance(s, Let)}
        touched = {*buffers_named(others), *(s.buffer.name for s in statements_of(others) if isinstance(s, Local))}
        apart = not own & made and not meet(touched, buffers_named((statement,)), buffers)
        (taken if apart and isinstance(statement, (Let, Store)) else left).append(statement)
    return tuple(taken), tuple(left)


def _is_dear(statement: Statement) -> bool:
    """Whether a statement applies a function of many operations to numbers."""
    parts = walk(*expressions_of(statement))
    return any(isinstance(part, Apply) and part.primitive in DEAR for part in parts)
