"""Repeated nests as one: a stretch of a kernel in which the same nests come again and again, as those of the equal
layers of a network do, becomes an internal function and a loop that calls it.

Nests are the same where they differ in the buffers that they name alone. What differs from step to step is chosen by
the loop's variable (``choose h = h_2, h_3, h_4 at k``), so code is as long as one step, and every number is computed as
it was. A step's buffers lie apart where one of them is written: the arena is laid out for that
(``gradc.loops.shaping.arena``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from gradc.loops.language.accesses import share
from gradc.loops.language.program import (
    Accumulate,
    Buffer,
    Call,
    Check,
    Choose,
    Comment,
    Contraction,
    For,
    Function,
    LoopProgram,
    Statement,
    Store,
    View,
    contiguous_strides,
    size,
    variable,
)
from gradc.loops.language.ranges import Ranges
from gradc.loops.language.traversal import declared_names, statements_of
from gradc.loops.shaping.canonical import Canonical, Renamed, canonical
from gradc.loops.shaping.expand import unused_name
from gradc.loops.shaping.work import work_of

LEAST_COUNT: Final = 4
"""Fewer steps than this stay as they are."""
LEAST_SAVED: Final = 16
"""Statements that a stretch has more than one step."""
LEAST_WORK: Final = 500
"""Operations of a step, below which what is lost by the call and by looking buffers up would be felt."""

_CANDIDATES: Final = 16
_ROUNDS: Final = 16


class Span(NamedTuple):
    """The first and the last statement of a step, by their place in the kernel's outermost block."""

    first: int
    last: int


Stays = Callable[[Statement], bool]
"""Whether a statement is to stay in the outermost block."""


LayOut = Callable[[LoopProgram, Sequence[Span]], LoopProgram]
"""The program with its arena laid out so that the arrays of each step lie apart."""


def with_repeats(program: LoopProgram, stays: Stays, lay_out: LayOut = lambda program, steps: program) -> LoopProgram:
    """The program laid out, with its repeated nests as loops. Symbolic ones stay as they are."""
    kernel = _Kernel(program, stays)
    stretches = kernel.stretches()
    program = lay_out(program, sorted(span for stretch in stretches for span in kernel.spans(stretch)))
    kernel.program, kernel.buffers = program, program.buffer
    fitted = [f for f in (kernel.fitted(stretch) for stretch in stretches) if f is not None]
    if not fitted:
        return program
    body: list[Statement] = []
    names = set(program.buffer) | declared_names(program.body) | {f.name for f in program.functions}
    functions: list[Function] = []
    place = 0
    for fit in sorted(fitted, key=lambda f: f.begin):
        function, loop = fit.rolled(unused_name("repeated", names), names)
        functions.append(function)
        body += [*program.body[place : fit.begin], loop]
        place = fit.end
    body += program.body[place:]
    return replace(program, body=tuple(body), functions=(*program.functions, *functions))


class _Stretch(NamedTuple):
    """Some steps of ``period`` statements each, comments not counted."""

    start: int
    period: int
    steps: int


class _Kernel:
    """The outermost block of a kernel: its statements without comments, and which of them are the same."""

    def __init__(self, program: LoopProgram, stays: Stays) -> None:
        self.program = program
        self.buffers = program.buffer
        fixed = isinstance(program.arena_bytes, int) and not program.symbols
        self.places = [k for k, s in enumerate(program.body) if fixed and not isinstance(s, Comment)]
        self.items: list[Canonical] = []
        known: dict[Statement, int] = {}
        tokens: list[int] = []
        if len(self.places) >= LEAST_SAVED:
            for k in self.places:
                item = canonical(program.body[k], self.buffers)
                self.items.append(item)
                alone = (isinstance(item.statement, Check) and item.statement.stops) or stays(program.body[k])
                tokens.append(-1 - k if alone else known.setdefault(item.statement, len(known)))
        self.tokens = np.array(tokens, np.int64)
        self.users: dict[str, list[int]] = {}
        for position, item in enumerate(self.items):
            for name in item.scalars:
                self.users.setdefault(name, []).append(position)

    def stretches(self) -> list[_Stretch]:
        """Stretches that do not overlap, those that save most first."""
        free = np.ones(len(self.tokens), bool)
        found: list[_Stretch] = []
        periods = self._periods()
        for _ in range(_ROUNDS):
            best = max((s for p in periods for s in self._of_period(p, free)), key=_saved, default=None)
            if best is None:
                break
            free[best.start : best.start + best.period * best.steps] = False
            found.append(best)
        return found

    def _periods(self) -> list[int]:
        """The most frequent distances between statements that are the same, short ones first."""
        if not len(self.tokens):
            return []
        order = np.argsort(self.tokens, kind="stable")
        again = self.tokens[order][1:] == self.tokens[order][:-1]
        distances = np.diff(order)[again]
        counts = np.bincount(distances[distances <= len(order) // LEAST_COUNT], minlength=1)
        ranked = np.argsort(-counts * np.arange(len(counts)), kind="stable")[:_CANDIDATES]
        return sorted(int(p) for p in ranked if p > 0 and counts[p] > 0)

    def _of_period(self, period: int, free: np.ndarray) -> Iterator[_Stretch]:
        usable = free[period:] & free[:-period]
        same = np.concatenate([[False], (self.tokens[period:] == self.tokens[:-period]) & usable, [False]])
        edges = np.flatnonzero(same[1:] != same[:-1])
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            stretch = _Stretch(start, period, (stop - start) // period + 1)
            if stretch.steps >= LEAST_COUNT and _saved(stretch) >= LEAST_SAVED and self._works(stretch):
                yield stretch

    def _works(self, stretch: _Stretch) -> bool:
        """Whether a step has enough to do."""
        step = tuple(self.items[k].statement for k in range(stretch.start, stretch.start + stretch.period))
        return work_of(step, Ranges()) >= LEAST_WORK

    def spans(self, stretch: _Stretch) -> list[Span]:
        """The steps of a stretch by their places in the block."""
        firsts = range(stretch.start, stretch.start + stretch.period * stretch.steps, stretch.period)
        return [Span(self.places[k], self.places[k + stretch.period - 1]) for k in firsts]

    def fitted(self, stretch: _Stretch) -> _Fit | None:
        """The longest part of a stretch in which all steps can be one function; None where none is worth it."""
        steps = [_Step(self, stretch, t) for t in range(stretch.steps)]
        middle = stretch.steps // 2
        fits = [step.is_closed() and step.form == steps[middle].form for step in steps]
        if not fits[middle]:
            return None
        first = max((t + 1 for t in range(middle) if not fits[t]), default=0)
        stop = min((t for t in range(middle, stretch.steps) if not fits[t]), default=stretch.steps)
        if stop - first < LEAST_COUNT or (stop - first - 1) * stretch.period < LEAST_SAVED:
            return None
        fit = _Fit(self, steps[first:stop])
        return fit if fit.lies_apart() else None


def _saved(stretch: _Stretch) -> int:
    return (stretch.steps - 1) * stretch.period


class _Step:
    """One step of a stretch: the memory that it names, statement by statement."""

    def __init__(self, kernel: _Kernel, stretch: _Stretch, number: int) -> None:
        self.kernel = kernel
        self.start = stretch.start + number * stretch.period
        self.stop = self.start + stretch.period
        items = kernel.items[self.start : self.stop]
        self.names = [name for item in items for name in item.buffers]
        declared = [name for item in items for name in item.own]
        self.scalars = [declared.index(n) if n in declared else -1 for item in items for n in item.scalars]
        self.memory = [_memory(kernel.buffers[name]) for name in self.names]
        kinds = tuple(kernel.buffers[name].kind for name in self.names)
        pattern = tuple(self.memory.index(place) for place in self.memory)
        self.form = kinds, pattern, tuple(self.scalars)

    def is_closed(self) -> bool:
        """Whether no scalar or local array comes from outside or is used there."""
        own = {name for item in self.kernel.items[self.start : self.stop] for name in item.own}
        users = (user for name in own for user in self.kernel.users.get(name, ()))
        return -1 not in self.scalars and all(user in range(self.start, self.stop) for user in users)


class _Slot(NamedTuple):
    """What a parameter of the function stands for: a buffer for each step, and whether it is written."""

    buffers: tuple[Buffer, ...]
    writes: bool

    @property
    def is_constant(self) -> bool:
        """Whether it is one constant, which functions may name themselves."""
        return self.buffers[0].kind == "constant" and len(set(self.buffers)) == 1


class _Fit:
    """Steps that become one function."""

    def __init__(self, kernel: _Kernel, steps: Sequence[_Step]) -> None:
        self.kernel = kernel
        first, last = steps[0], steps[-1]
        self.begin, self.end = kernel.places[first.start], kernel.places[last.stop - 1] + 1
        self.step = kernel.program.body[self.begin : kernel.places[first.stop - 1] + 1]
        self.count = len(steps)
        written = _written(self.step, kernel.program.functions)
        places: dict[tuple[object, ...], int] = {}
        self.slot_of: dict[str, int] = {}
        self.slots: list[_Slot] = []
        for position, name in enumerate(first.names):
            memory = tuple(step.memory[position] for step in steps)
            slot = places.setdefault(memory, len(self.slots))
            self.slot_of[name] = slot
            if slot == len(self.slots):
                buffers = tuple(kernel.buffers[step.names[position]] for step in steps)
                self.slots.append(_Slot(buffers, False))
            if name in written:
                self.slots[slot] = self.slots[slot]._replace(writes=True)

    def lies_apart(self) -> bool:
        """Whether in every step what is written shares no memory with another buffer of the step."""
        for one, slot in enumerate(self.slots):
            for other, another in enumerate(self.slots):
                if one != other and slot.writes and any(map(share, slot.buffers, another.buffers)):
                    return False
        return True

    def rolled(self, function: str, names: set[str]) -> tuple[Function, For]:
        """The function of a step under its name, and the loop that calls it; ``names`` are taken."""
        own = names | declared_names(self.step)
        loop = variable(unused_name("k", own))
        parameters: list[Buffer] = []
        views: list[View] = []
        choices: list[Statement] = []
        images: dict[int, str] = {}
        for position, slot in enumerate(self.slots):
            like = slot.buffers[0]
            if slot.is_constant:
                images[position] = like.name
                continue
            varies = len(set(slot.buffers)) > 1
            stem = re.sub(r"_\d+$", "", like.name)
            name = images[position] = unused_name(f"{stem}_{loop}" if varies else stem, own)
            parameters.append(Buffer(name, like.dtype, like.shape, "parameter", writable=slot.writes))
            if varies:
                choices.append(Choose(name, tuple(buffer.name for buffer in slot.buffers), loop))
            views.append(View(name if varies else like.name, contiguous_strides(like.shape)))
        renamed = Renamed({name: images[slot] for name, slot in self.slot_of.items()})
        body = (*choices, Call(function, tuple(views)))
        return (
            Function(function, tuple(parameters), (), renamed.block(self.step)),
            For(str(loop), size(0), size(self.count), body),
        )


def _memory(buffer: Buffer) -> tuple[object, ...]:
    """Equal for buffers that are one: in the arena, by place."""
    if buffer.kind == "arena":
        return buffer.offset, buffer.shape, buffer.dtype
    return (buffer.name,)


def _written(step: Sequence[Statement], functions: Sequence[Function]) -> set[str]:
    """The buffers that a step writes."""
    writable = {f.name: [p.writable for p in f.parameters] for f in functions}
    found: set[str] = set()
    for statement in statements_of(tuple(step)):
        match statement:
            case Call(callee=Contraction(), views=views):
                found |= {view.buffer for view in views[2:]}
            case Call(callee=str() as callee, views=views):
                found |= {view.buffer for view, writes in zip(views, writable[callee], strict=True) if writes}
            case Store(buffer=name) | Accumulate(buffer=name):
                found.add(name)
            case For(carry=carry):
                found |= {name for carried in carry for name in (carried.first, carried.second)}
    return found
