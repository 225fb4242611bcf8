"""Rolling: an unrolled recurrence becomes a ``scan`` (``gradc.ops.control``), so that what follows costs one step.

The rolled graph computes what the graph computes, node for node. The stretch of repeated nodes
(``gradc.passes.periods``) goes into the step's body; what is the same in every step and what differs (slices of one
array at equal distances, other constants) become its operands; values that are used after the stretch are its last
states or rows that it emits. A graph of which that cannot be said, or with values of several dtypes crossing the
steps, stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from gradc.ir.graph import CONSTANT, Builder, Graph, Node, Value
from gradc.ops.control import Parts, Pullback, pulled_operands, scan
from gradc.ops.elementwise import convert
from gradc.ops.shape import concatenate, reshaped, slice_, transpose
from gradc.passes import periods
from gradc.passes.periods import Stretch, arrays_behind, leaves, longest_stretch
from gradc.passes.step import Body

_MOST_STRETCHES: Final = 8
_LARGE: Final = 4096
"""Steps on values of this many elements without contractions gain more by being fused than compiling them takes,"""
_LONG: Final = 20_000
"""unless they are this many nodes. Separate arguments of this many elements in each step are not copied into one array,
which rolling them would take: what is equal in such steps is found in the loop program (``loops.shaping.repeats``)."""


class Step(NamedTuple):
    """A step's body, with its pullback where it has one."""

    body: Graph
    pullback: Pullback | None


Finish = Callable[[Graph, int, int, Sequence[bool], Sequence[bool]], Step | None]
"""Makes the step that runs of a body with so many states and rows. A flag for each input of the body tells whether a
cotangent is wanted, one for each emitted value whether it has one. None where the recurrence is to stay unrolled."""


def roll(graph: Graph, finish: Finish, wrt: Sequence[int] = (), primals: int = 0) -> Graph:
    """The same function with its recurrences rolled; the graph itself where it has none.

    ``wrt`` are positions of the inputs whose cotangents are wanted, of the first ``primals`` outputs.
    """
    rolled = _rolled(graph, finish, wrt, primals, periods.LEAST_SAVED)
    most = min(len(graph.nodes) // 2, len(graph.nodes) - periods.LEAST_SAVED)
    if len(rolled.nodes) > most > 0:
        together = _rolled(graph, finish, wrt, primals, periods.LEAST_TOGETHER)
        if len(together.nodes) <= most:
            return together
    return rolled


def _rolled(graph: Graph, finish: Finish, wrt: Sequence[int], primals: int, saved: int) -> Graph:
    for _ in range(_MOST_STRETCHES):
        stretch = longest_stretch(graph, saved)
        rolled = _Roller(graph, stretch, finish, wrt, primals).run() if stretch is not None else None
        if rolled is None:
            break
        graph = rolled
    return graph


def is_rolled(graph: Graph) -> bool:
    """Whether a graph has a recurrence that was rolled."""
    return any(node.op is scan for node in graph.nodes)


class _Roller:
    def __init__(self, graph: Graph, stretch: Stretch, finish: Finish, wrt: Sequence[int], primals: int) -> None:
        self.graph = graph
        self.stretch = stretch
        self.finish = finish
        self.reached = _reached(graph, graph.outputs[:primals])
        self.active = _active(graph, {graph.inputs[i] for i in wrt}, self.reached)
        self.builder = Builder()
        self.image: dict[int, Value] = {}
        self.where = {int(i): divmod(p, stretch.period) for p, i in enumerate(stretch.nodes.reshape(-1).tolist())}
        self.body = Body(graph, stretch)

    def run(self) -> Graph | None:
        graph, builder = self.graph, self.builder
        for i in graph.inputs:
            self.image[i] = builder.input(graph.nodes[i].params["name"], graph.nodes[i].aval)
        is_leaf, behind = leaves(graph), arrays_behind(graph)
        before = self.stretch.before
        early = [n for n in graph.nodes if n.id in before or is_leaf[n.id] or behind[n.id] in before]
        for node in early:
            if node.id not in self.image:
                self._replay(node)
        if not self._roll():
            return None
        for node in graph.nodes:
            if node.id not in self.image and node.id not in self.where:
                self._replay(node)
        return builder.freeze([self.image[i] for i in graph.outputs], graph.output_names)

    def _replay(self, node: Node) -> None:
        builder = self.builder
        builder.origin = self.graph.origins.get(node.id, ())
        value = builder.apply_ids(node.op, tuple([self.image[i].id for i in node.operands]), node.params)
        self.image[node.id] = value
        if node.id in self.graph.names:
            builder.name(value, self.graph.names[node.id])

    def _roll(self) -> bool:
        """Make the scan, and the values of the stretch that are used outside of it."""
        body, count = self.body, self.stretch.count
        outside = self._outside()
        for place, steps in outside.items():
            body.hand_out(place, steps)
        described = body.described()
        if described is None or (self._gains_fused(described) and self.stretch.nodes.size < _LONG):
            return False
        rows = [self._table(ids, chain) for ids, chain in body.rows.values()]
        firsts = [self._first(slot) for slot in body.states]
        fixed = [self.image[i] for i in body.fixed]
        flags = [any(self.active[i] for i in nodes) for nodes in self._stands_for()]
        pulled = self._pulled(flags)
        made = None if pulled is None else self.finish(described, len(firsts), len(rows), flags, pulled)
        if made is None:
            return False
        self.builder.origin = self.graph.origins.get(int(self.stretch.nodes[-1, -1]), ())
        result = scan(
            *firsts, *rows, *fixed,
            body=made.body, states=len(firsts), rows=len(rows), count=count, backwards=False, pullback=made.pullback,
        )  # fmt: skip
        parts = Parts(made.body, len(firsts), count)
        states = {slot: position for position, slot in enumerate(body.states)}
        tables: dict[int, Value] = {}
        for place, steps in outside.items():
            for step in steps:
                node = int(self.stretch.nodes[step, place])
                slot = (place, count - step)
                if slot in states and place not in body.emitted:
                    self.image[node] = parts.state(result, states[slot])
                else:
                    table = tables.setdefault(place, self._emitted(parts, result, place))
                    self.image[node] = _row(table, step)
        return True

    def _gains_fused(self, described: Graph) -> bool:
        """Whether steps written out take less time: fused with each other, or reading large arguments in place."""
        if any(int(node.aval.size) >= _LARGE for node in described.nodes):
            return not any(node.op.name == "contract" for node in described.nodes) or self._reads_apart(_LARGE)
        is_short = self.stretch.nodes.size - self.stretch.period < periods.LEAST_SAVED
        return is_short and sum(periods.flops_of(described)) < periods.HEAVY and self._reads_apart(2)

    def _reads_apart(self, least: int) -> bool:
        """Whether the rows of some step, of at least so many elements, must be copied to stand in one array."""
        nodes = self.graph.nodes
        for ids, chain in self.body.rows.values():
            below = [nodes[i] for i in ids]
            for _ in chain:
                below = [nodes[n.operands[0]] for n in below]
            is_constant = all(n.op is CONSTANT for n in below)
            if int(below[0].aval.size) >= least and not is_constant and self._sliced(below) is None:
                return True
        return False

    def _outside(self) -> dict[int, list[int]]:
        """The nodes of the stretch that are used outside: place to steps."""
        used = set(self.graph.outputs)
        for node in self.graph.nodes:
            if node.id not in self.where:
                used.update(node.operands)
        found: dict[int, list[int]] = {}
        for i in sorted(used):
            if i in self.where:
                step, place = self.where[i]
                found.setdefault(place, []).append(step)
        return found

    def _emitted(self, parts: Parts, result: Value, place: int) -> Value:
        """The rows of a node of the step, one of each step: conditions are conditions again."""
        table = parts.rows(result, self.body.emitted.index(place))
        dtype = self.graph.nodes[int(self.stretch.nodes[0, place])].aval.dtype
        return convert(table, dtype=dtype) if dtype == np.bool_ else table

    def _stands_for(self) -> Iterator[Sequence[int]]:
        """The nodes that each input of the body stands for, one step after the other."""
        for (place, _), first in self.body.states.items():
            yield [*self.stretch.nodes[:, place].tolist(), *([] if first is None else [first])]
        yield from self.body.rows
        yield from ((node,) for node in self.body.fixed)

    def _pulled(self, active: Sequence[bool]) -> list[bool] | None:
        """For each emitted value whether it has a cotangent: in every step, or in none.

        None where it is otherwise, or where some value of a state with cotangents has none: a 0 in the place of no
        cotangent is not the same where it meets an infinite derivative.
        """
        nodes = self.stretch.nodes
        for ((place, _), first), wanted in zip(self.body.states.items(), active, strict=False):
            column = [*nodes[:, place].tolist(), *([] if first is None else [first])]
            if wanted and not all(self.reached[i] for i in column):
                return None
        pulled = []
        for place in self.body.emitted:
            kinds = self.graph.nodes
            having = [self.reached[i] and kinds[i].aval.dtype.kind == "f" for i in nodes[:, place].tolist()]
            if any(having) and not all(having):
                return None
            pulled.append(bool(having[0]))
        return pulled

    def _first(self, slot: tuple[int, int]) -> Value:
        node = self.body.states[slot]
        aval = self.graph.nodes[int(self.stretch.nodes[0, slot[0]])].aval
        return self.builder.full(0, aval) if node is None else self.image[node]

    # Rows.

    def _table(self, ids: tuple[int, ...], chain: tuple[Node, ...]) -> Value:
        """An array of the leaves of all steps, below the movements of ``chain``, which the body makes again."""
        nodes = self.graph.nodes
        below = [nodes[i] for i in ids]
        for _ in chain:
            below = [nodes[n.operands[0]] for n in below]
        if all(n.op is CONSTANT for n in below):
            return self.builder.constant(np.stack([n.params["value"] for n in below]))
        table = self._sliced(below)
        if table is not None:
            return table
        parts = [reshaped(self.image[n.id], (1, *n.aval.shape)) for n in below]
        return concatenate(*parts, axis=0)

    def _sliced(self, below: Sequence[Node]) -> Value | None:
        """Slices of one array that differ in one start, by equal steps, as one slice with that axis in front."""
        first = below[0]
        if any(n.op is not slice_ or n.operands != first.operands for n in below):
            return None
        starts = np.array([n.params["starts"] for n in below], np.int64)
        moving = np.flatnonzero((starts != starts[0]).any(axis=0))
        if len(moving) != 1 or any(n.params["steps"] != first.params["steps"] for n in below):
            return None
        axis = int(moving[0])
        steps = np.diff(starts[:, axis])
        if first.params["sizes"][axis] != 1 or (steps != steps[0]).any():
            return None
        sizes, strides = list(first.params["sizes"]), list(first.params["steps"])
        sizes[axis], strides[axis] = len(below), int(steps[0])
        base = self.image[first.operands[0]]
        part = slice_(base, starts=first.params["starts"], sizes=tuple(sizes), steps=tuple(strides))
        order = (axis, *(a for a in range(len(sizes)) if a != axis))
        moved = part if axis == 0 else transpose(part, axes=order)
        return reshaped(moved, (len(below), *first.aval.shape))


def _row(table: Value, step: int) -> Value:
    shape = table.aval.shape
    starts = (step, *[0] * (len(shape) - 1))
    part = slice_(table, starts=starts, sizes=(1, *shape[1:]), steps=(1,) * len(shape))
    return reshaped(part, shape[1:])


def _active(graph: Graph, wrt: set[int], reached: bytearray) -> bytearray:
    """Which nodes are floats that depend on ``wrt`` and have a cotangent."""
    depends = bytearray(len(graph.nodes))
    for node in graph.nodes:
        if node.id in wrt or any(depends[i] for i in node.operands):
            depends[node.id] = node.aval.dtype.kind == "f"
    return bytearray(d and r for d, r in zip(depends, reached, strict=True))


def _reached(graph: Graph, outputs: Sequence[int]) -> bytearray:
    """Which nodes have a cotangent if the outputs have: those that they are computed of."""
    reached = bytearray(len(graph.nodes))
    for i in outputs:
        reached[i] = 1
    for node in reversed(graph.nodes):
        if reached[node.id]:
            for operand in node.operands if node.op is not scan else pulled_operands(node):
                reached[operand] = 1
    return reached
