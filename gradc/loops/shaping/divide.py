"""Dividing large loop nests into parts that may run side by side.

The outermost loop of a nest is cut into chunks of equal length, iterations of a ``parallel`` loop around it. The cut
depends on the sizes alone, and so does the order of every sum: what all iterations accumulate into is accumulated in
each chunk from the neutral element on, and the chunks' results are combined in their order when all are there. So the
bits do not depend on how many threads there are, nor on which of them takes a chunk.

An array that holds something within one iteration only (a row of a softmax) becomes the chunk's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gradc.loops.language.independence import meetings
from gradc.loops.language.program import (
    ALIGNMENT,
    I64,
    ZERO,
    Accumulate,
    Buffer,
    Call,
    Constant,
    Expression,
    For,
    Lanes,
    Let,
    Local,
    LoopProgram,
    Reduction,
    Statement,
    b,
    constant,
    variable,
)
from gradc.loops.language.ranges import Ranges
from gradc.loops.language.traversal import buffers_named, declared_names, statements_of
from gradc.loops.shaping.chunks import (
    ChunkSum,
    accumulated,
    accumulates_in,
    count_of,
    is_set_first,
    is_summed_in_place,
    with_accumulations,
)
from gradc.loops.shaping.expand import unused_name
from gradc.loops.shaping.work import work_of

MOST: Final = 64
"""The most chunks of a nest."""

MOST_WITH_SUMS: Final = 8
"""The most chunks of a nest that accumulates in an array: each chunk has one of its own."""

FEW: Final = 32
"""The most elements of an array of sums that registers may hold."""

OWN_BYTES: Final = 48 * 1024
"""Local memory of all arrays that become a chunk's own."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How large chunks are.

    grain  their least work, in operations: some 10 microseconds
    row    chunks of a loop over single elements are multiples of this many: whole vectors, cache lines of their own
    share  setting and combining the chunks' sums takes at most one part of so many of the nest's work
    """

    grain: int = 1 << 16
    row: int = 64
    share: int = 16


CUT: Final = Cut()


def divide(program: LoopProgram, cut: Cut = CUT) -> LoopProgram:
    """The program with its large nests divided, where their outermost iterations are independent or can be made so."""
    return _Divider(program, cut).run() if isinstance(program.arena_bytes, int) else program


@dataclass
class _Divider:
    """Goes through the statements of a program. ``parts`` are the arrays of chunks' sums, ``own`` what became local."""

    program: LoopProgram
    cut: Cut
    parts: list[Buffer] = field(default_factory=list)
    own: set[str] = field(default_factory=set)
    own_bytes: int = 0

    def run(self) -> LoopProgram:
        program = self.program
        self.taken = set(program.buffer) | declared_names(program.body)
        self.chunk, self.element = (unused_name(name, self.taken) for name in ("chunk", "element"))
        self.named = [frozenset(buffers_named((statement,))) for statement in program.body]
        self.buffers = dict(program.buffer)
        self.lets: dict[str, Expression] = {}
        self.ranges = Ranges()
        body: list[Statement] = []
        for position, statement in enumerate(program.body):
            divided = self._divided(statement, position) if isinstance(statement, For) else None
            body += divided or [statement]
            self._declare(statement)
        kept = [buffer for buffer in program.buffers if buffer.name not in self.own]
        end = max([int(program.arena_bytes), *(int(p.offset + p.bytes) for p in self.parts)])
        return replace(program, body=tuple(body), buffers=(*kept, *self.parts), arena_bytes=end)

    def _declare(self, statement: Statement) -> None:
        match statement:
            case Let(name=name, value=value) if value.dtype.kind in "iub":
                self.ranges = self.ranges.inside(name, self.ranges.of(value))
                self.lets[name] = value
            case Local(buffer=local):
                self.buffers[local.name] = local
            case For(carry=carry):
                self.buffers |= {state.now: self.buffers[state.first] for state in carry}

    def _divided(self, loop: For, position: int) -> list[Statement] | None:
        """The statements in place of a nest; None where it stays as it is."""
        lo, hi = loop.lo, loop.hi
        if loop.mode == "parallel" or loop.carry:
            return None
        if not isinstance(lo, Constant) or not isinstance(hi, Constant):
            return None
        extent = -(-(int(hi.value) - int(lo.value)) // loop.step)
        work = work_of((loop,), self.ranges) if extent > 1 else 0
        if work < 2 * self.cut.grain or not self._is_fixed(position):
            return None
        shared = self._shared(loop, position)
        if shared is None:
            return None
        sums, scratch = shared
        length = self._length(loop, extent, work, max([count_of(self.buffers[name]) for name in sums], default=0))
        if length >= extent:
            return None
        self._keep(scratch)
        count, each = -(-extent // length), length * loop.step
        start = b.add(b.mul(variable(self.chunk), each), lo)
        end = b.add(start, each) if length * count == extent else b.minimum(b.add(start, each), hi)
        return self._written(replace(loop, lo=start, hi=end), self._sums(loop, sums, count), scratch, count)

    def _is_fixed(self, position: int) -> bool:
        """Whether the sizes of what a statement uses are numbers."""
        named = [self.buffers[name] for name in self.named[position] if name in self.buffers]
        return all(isinstance(buffer.bytes, int) for buffer in named)

    def _length(self, loop: For, extent: int, work: int, summed: int) -> int:
        """The iterations of a chunk; ``summed`` is how many elements its largest sum has."""
        cut = self.cut
        most = MOST_WITH_SUMS if summed > 1 else MOST
        count = min(most, extent, work // cut.grain, work // (cut.share * max(summed, 1)))
        if count < 2:
            return extent
        multiple = 1 if any(isinstance(s, For) for s in loop.body) else cut.row
        for statement in statements_of(loop.body):
            order = _lanes_over(statement, loop)
            if order is not None:
                multiple = math.lcm(multiple, order.block or order.lanes)
        return _up(_up(extent, count) // count, multiple)

    def _shared(self, loop: For, position: int) -> tuple[dict[str, Reduction], list[Buffer]] | None:
        """The buffers into which several iterations accumulate, and those that each uses as scratch memory.

        None where iterations depend on each other otherwise.
        """
        sums: dict[str, Reduction] = {}
        scratch: dict[str, Buffer] = {}
        for statement in statements_of(loop.body):
            # Lanes of the loop itself are independent, the chunks' sums are not.
            if isinstance(statement, Accumulate) and _lanes_over(statement, loop) is not None:
                op = accumulated(statement.buffer, loop)
                if op is None:
                    return None
                sums[statement.buffer] = op
        for pair in meetings(loop, self.buffers, self.lets, self.ranges):
            names = {access.buffer for access in pair}
            if names & (sums.keys() | scratch.keys()):
                continue
            for name in sorted(names):
                op = accumulated(name, loop)
                if op is not None:
                    sums[name] = op
                    break
                if self._is_scratch(name, loop, position):
                    scratch[name] = self.buffers[name]
                    break
            else:
                return None
        if self.own_bytes + _bytes(scratch.values()) > OWN_BYTES:
            return None
        return dict(sorted(sums.items())), [scratch[name] for name in sorted(scratch)]

    def _is_scratch(self, name: str, loop: For, position: int) -> bool:
        """Whether a buffer holds something within single iterations of the loop alone."""
        buffer = self.buffers[name]
        elsewhere = any(name in named for k, named in enumerate(self.named) if k != position)
        return buffer.kind == "arena" and not elsewhere and is_set_first(buffer, loop.body)

    def _keep(self, scratch: Sequence[Buffer]) -> None:
        """Remember what became local."""
        self.own |= {buffer.name for buffer in scratch}
        self.own_bytes += _bytes(scratch)

    def _sums(self, loop: For, shared: Mapping[str, Reduction], count: int) -> list[ChunkSum]:
        """The sums of ``count`` chunks. Their arrays follow on the arena; those of other nests take turns with them."""
        sums = []
        end = _up(int(self.program.arena_bytes), ALIGNMENT)
        for name, op in shared.items():
            target = self.buffers[name]
            single = count_of(target) == 1
            shape = (count,) if single else (count, *target.shape)
            parts = Buffer(unused_name(f"{name}_parts", self.taken), target.dtype, shape, "arena", end)
            local = single or (count_of(target) <= FEW and is_summed_in_place(name, loop))
            kept = () if single else target.shape
            own = Buffer(unused_name(f"{name}_part", self.taken), target.dtype, kept, "local") if local else None
            end = _up(end + _bytes([parts]), ALIGNMENT)
            self.parts.append(parts)
            sums.append(ChunkSum(op, target, parts, own))
        return sums

    def _written(self, loop: For, sums: Sequence[ChunkSum], scratch: Sequence[Buffer], count: int) -> list[Statement]:
        """The chunks, and after them what combines their sums. ``loop`` is that of one chunk, but for its sums."""
        chunk = variable(self.chunk)
        by_name = {part.target.name: part for part in sums}

        def redirected(statement: Accumulate | Call) -> Accumulate | Call:
            part = by_name.get(accumulates_in(statement) or "")
            return part.accumulate(statement, chunk) if part is not None else statement

        own: list[Statement] = [Local(replace(buffer, kind="local", offset=0)) for buffer in scratch]
        begin = [s for part in sums for s in part.begin(self.chunk, self.element)]
        inner = replace(loop, body=with_accumulations(loop.body, redirected))
        finish = [s for part in sums for s in part.end(self.chunk, self.element)]
        outer = For(self.chunk, ZERO, constant(count, I64), (*own, *begin, inner, *finish), mode="parallel")
        return [outer, *(s for part in sums for s in part.combine(self.chunk, self.element, count))]


def _lanes_over(statement: Statement, loop: For) -> Lanes | None:
    """The order of an accumulation in lanes of the loop; None for other statements."""
    order = statement.order if isinstance(statement, Accumulate) else None
    return order if isinstance(order, Lanes) and order.over == loop.var else None


def _up(number: int, multiple: int) -> int:
    """The next multiple."""
    return (number + multiple - 1) // multiple * multiple


def _bytes(buffers: Iterable[Buffer]) -> int:
    return sum(int(buffer.bytes) for buffer in buffers)
