"""Scans as loops: the step becomes an internal function, the recurrence a loop that calls it.

The states stand in two flat buffers that trade places after each step; the rows that a step emits go to their place
in the result. What the step needs as scratch is local to it where it is small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Protocol

import numpy as np

from gradc.ir.aval import Dim
from gradc.ir.graph import Graph, Node
from gradc.loops.language.program import (
    ALIGNMENT,
    Buffer,
    Call,
    Carry,
    Expression,
    For,
    Function,
    Local,
    LoopProgram,
    Statement,
    Store,
    View,
    b,
    contiguous_strides,
    variable,
    whole,
)
from gradc.loops.language.traversal import declared_names
from gradc.loops.lowering.names import Names
from gradc.loops.shaping.rehome import Home, Rehomed
from gradc.ops.control import layout

_MOST_LOCAL: Final = 16 * 1024
"""Bytes of scratch memory that a step has on the stack; more of it stands in the arena."""


class Source(NamedTuple):
    """Where an operand stands: in a buffer, from element ``start``; ``stride`` lies between its rows."""

    buffer: Buffer
    start: int
    stride: int


class LowersStep(Protocol):
    """Lowers a step's body, with names that none of ``taken`` is."""

    def __call__(self, graph: Graph, *, name: str, taken: set[str]) -> LoopProgram: ...


@dataclass
class Scans:
    """The scans of a kernel: functions of their steps, buffers besides those of the plan, messages of their checks.

    ``finish`` is done to the program of a step before it becomes a function.
    """

    names: Names
    lower: LowersStep
    messages: list[str]
    finish: Callable[[LoopProgram], LoopProgram]
    functions: list[Function] = field(default_factory=list)
    constants: list[Buffer] = field(default_factory=list)
    scratch: list[Buffer] = field(default_factory=list)

    def placed(self, start: Dim) -> tuple[list[Buffer], Dim]:
        """The scratch buffers behind ``start`` bytes of arena, and its new end. Scans are of fixed sizes."""
        placed: list[Buffer] = []
        end = start
        for buffer in self.scratch:
            offset = -(-int(end) // ALIGNMENT) * ALIGNMENT
            placed.append(replace(buffer, offset=offset))
            end = offset + int(buffer.bytes)
        return placed, end

    def statements(self, node: Node, sources: Sequence[Source], out: Buffer) -> list[Statement]:
        """What computes a scan into the buffer of its result."""
        params = node.params
        body, states, count = params["body"], params["states"], params["count"]
        places = layout(body, states)
        step = self._step(body, states)
        loop = variable(self.names.loop(0))
        row = b.sub(count - 1, loop) if params["backwards"] else loop
        views: list[View] = []
        statements: list[Statement] = []
        carry: tuple[Carry, ...] = ()
        if places.state_size:
            carry = (self._carry(out.dtype, places.state_size),)
            statements += self._firsts(carry[0].first, sources[:states], body, places.states)
            views += [View(carry[0].now, (1,)), View(carry[0].next, (1,))]
        if places.row_size:
            views.append(View(out.name, (1,), b.add(b.mul(row, places.row_size), places.state_size)))
        for source, aval in zip(sources[states:], body.input_avals[states:], strict=True):
            place = b.add(b.mul(row, source.stride), source.start)
            views.append(View(source.buffer.name, contiguous_strides(aval.shape), place))
        views += [whole(buffer) for buffer in step.behind]
        call = Call(step.name, tuple(views))
        statements.append(For(self.names.loop(0), b.constant(0), b.constant(count), (call,), carry=carry))
        if places.state_size:
            last = Buffer(carry[0].now, out.dtype, (places.state_size,), "arena")
            statements += self._copied(out.name, 0, last, 0, places.state_size)
        return statements

    def _firsts(self, first: str, sources: Sequence[Source], body: Graph, starts: Sequence[int]) -> list[Statement]:
        copied: list[Statement] = []
        for source, aval, start in zip(sources, body.input_avals, starts, strict=False):
            copied += self._copied(first, start, source.buffer, source.start, int(aval.size))
        return copied

    def _copied(self, target: str, start: int, source: Buffer, place: int, size: int) -> list[Statement]:
        """Elements of one buffer, counted row by row, into another one."""
        if size == 1:
            return [Store(target, (b.constant(start),), _element(source, b.constant(place)))]
        loop = variable(self.names.loop(0))
        store = Store(target, (b.add(loop, start),), _element(source, b.add(loop, place)))
        return [For(self.names.loop(0), b.constant(0), b.constant(size), (store,), mode="vector")]

    def _carry(self, dtype: np.dtype, size: int) -> Carry:
        buffers = [Buffer(self.names.buffer(name), dtype, (size,), "arena") for name in ("states", "next_states")]
        self.scratch += buffers
        now, following = self.names.buffer("now"), self.names.buffer("next")
        return Carry(now, following, buffers[0].name, buffers[1].name)

    # The step.

    def _step(self, body: Graph, states: int) -> _Step:
        """The function of a step: next states and emitted rows are one parameter each."""
        inner = self.finish(self.lower(body, name="one_step", taken=self.names.outer()))
        places = layout(body, states)
        self.names.taken |= {*inner.buffer, *declared_names(inner.body), *(f.name for f in inner.functions)}
        now, following, row = (self.names.buffer(name) for name in ("now", "next", "emitted"))
        dtype = inner.outputs[0].dtype
        parameters: list[Buffer] = []
        homes: dict[str, Home] = {}
        if places.state_size:
            parameters.append(Buffer(now, dtype, (places.state_size,), "parameter"))
            parameters.append(Buffer(following, dtype, (places.state_size,), "parameter", writable=True))
        if places.row_size:
            parameters.append(Buffer(row, dtype, (places.row_size,), "parameter", writable=True))
        for source, result, start in zip(inner.inputs, inner.outputs, places.states, strict=False):
            homes[source.name] = Home(now, start)
            homes[result.name] = Home(following, start)
        for result, start in zip(inner.outputs[states:], places.emitted, strict=True):
            homes[result.name] = Home(row, start)
        parameters += [replace(buffer, kind="parameter", comment="") for buffer in inner.inputs[states:]]
        constants = [buffer for buffer in inner.buffers if buffer.kind == "constant"]
        arena = [buffer for buffer in inner.buffers if buffer.kind == "arena"]
        is_small = sum(int(buffer.bytes) for buffer in arena) <= _MOST_LOCAL
        locals_ = [Local(replace(buffer, kind="local", offset=0)) for buffer in arena] if is_small else []
        behind = []
        for buffer in [*constants, *([] if is_small else arena)]:
            writable = buffer.kind == "arena"
            parameter = replace(buffer, kind="parameter", offset=0, data=b"", writable=writable, comment="")
            parameters.append(parameter)
            behind.append(replace(buffer, name=self.names.buffer(buffer.name)))
        self.constants += [buffer for buffer in behind if buffer.kind == "constant"]
        self.scratch += [buffer for buffer in behind if buffer.kind == "arena"]
        moved = Rehomed(inner.buffer, homes, self._codes(inner.messages)).block(inner.body)
        name = self.names.buffer("one_step")
        self.functions += [*inner.functions, Function(name, tuple(parameters), (), (*locals_, *moved))]
        return _Step(name, behind)

    def _codes(self, messages: Sequence[str]) -> dict[int, int]:
        """The codes of a step's messages among those of the kernel."""
        codes = {}
        for code, text in enumerate(messages, 1):
            if text not in self.messages:
                self.messages.append(text)
            codes[code] = self.messages.index(text) + 1
        return codes


class _Step(NamedTuple):
    """A step's function, and the buffers that it gets behind its operands: constants, and scratch memory."""

    name: str
    behind: list[Buffer]


def _element(buffer: Buffer, place: Expression) -> Expression:
    """The element of a buffer that is at a place, counted row by row."""
    return b.load(buffer, [place] if buffer.shape else [])
