"""From a graph to stages: which values get loops of their own, and which are computed where they are used.

One pass from the results back to the inputs. It carries, for every node, the places that demand it: (stage, index)
pairs. Ops that only move elements change the index and vanish. A node that is demanded in one place becomes part of
that stage; a cheap one may be computed in several; all others become stages. So nothing dear is computed twice,
and no chain of nodes, however long, is followed by recursion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from gradc.ir.graph import CONSTANT, Graph, Node
from gradc.loops.decompose import REDUCTIONS
from gradc.loops.indexing import AnyIndex, Indices, axes_of, axis, datum, flat_index, is_data, strides_of
from gradc.ops.index import index_position

StageKind = Literal["map", "reduce", "write", "call"]
Element = tuple[int, Indices]
"""An element of a node's value: the node and an index over the axes of a stage."""


@dataclass(frozen=True, slots=True)
class Member:
    """A node computed at an index, from elements found at other nodes."""

    node: int
    index: Indices
    operands: tuple[Element, ...]


_WEIGHTS: Final = {
    **dict.fromkeys(("exp", "log", "log1p", "expm1", "tanh", "sin", "cos", "erf", "pow"), 20),
    **dict.fromkeys(("logistic", "softplus", "logistic_bce"), 40),
    **dict.fromkeys(("div", "floor_div", "mod", "sqrt", "gather"), 5),
}  # fmt: skip
_CHEAP: Final = 4
_MOST_COPIES: Final = 4
_MOST_MEMBERS: Final = 400

_MOVES: Final = frozenset({"broadcast_to", "reshape", "transpose", "slice"})
_LEAVES: Final = frozenset({"input", "constant", "dim_value"})


@dataclass(eq=False, slots=True)
class Stage:
    """Loops that compute or write one value, of node ``node``.

    kind      ``map`` stores an element for each iteration, ``reduce`` combines terms, ``write`` puts a part into place
              (of ``update_slice``, ``scatter``, ``concatenate``), ``call`` is a contraction
    extents   the lengths of its loops, in order; axes of one element have no loop
    source    the element that an iteration stores or combines
    place     where in the array of ``node`` it goes
    reduced   reduce: the axes that are summed over;  ``combine``: with which primitive
    members   what an iteration computes, in order
    views     call: the arrays of the two operands, as elements over the operands' own axes
    reads     elements of other stages' nodes that an iteration needs; None stands for the whole array
    """

    node: int
    order: tuple[int, int]
    kind: StageKind
    extents: tuple[int, ...] = ()
    source: Element | None = None
    place: Indices = ()
    reduced: frozenset[int] = frozenset()
    combine: str = ""
    members: list[Member] = field(default_factory=list)
    views: list[Element] = field(default_factory=list)
    reads: list[tuple[int, Indices | None]] = field(default_factory=list)

    @property
    def defines_value(self) -> bool:
        """Whether it makes all of the node's value, element by element."""
        return self.kind in ("map", "reduce")


Demands = dict[tuple[Stage, Indices | None], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages of a graph in an order that can be run.

    ``makers`` are the stages that write each node's array. ``home[n]`` is the node in whose array node n lives: a
    write whose base is not needed afterwards works in the array of the base. ``results[k]`` is the node of output k.
    """

    graph: Graph
    stages: tuple[Stage, ...]
    makers: dict[int, list[Stage]]
    home: dict[int, int]
    results: tuple[int, ...]

    def origin(self, node: int) -> Node:
        """The node of the graph that a planned node is, or is a copy of."""
        nodes = self.graph.nodes
        return nodes[node] if node < len(nodes) else nodes[self.graph.outputs[node - len(nodes)]]


def identity(shape: tuple[int, ...]) -> tuple[Indices, tuple[int, ...]]:
    """The index of an array's own elements, and the lengths of the loops over them."""
    indices: list[AnyIndex] = []
    extents: list[int] = []
    for length in shape:
        indices.append(axis(len(extents), length))
        if length != 1:
            extents.append(length)
    return tuple(indices), tuple(extents)


class _Planner:
    """The state of the backward pass."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = graph.nodes
        self.demands: list[Demands] = [{} for _ in graph.nodes]
        self.stages: list[Stage] = []
        self.makers: dict[int, list[Stage]] = {}
        self.forced: set[int] = set()
        self.dropped: set[Stage] = set()
        self.cheap = _cheap(graph)
        self.rules: dict[str, Callable[[Node], None]] = {
            **dict.fromkeys(_MOVES, self._visit_move),
            **dict.fromkeys(_LEAVES, lambda node: None),
            **dict.fromkeys(REDUCTIONS, self._reduce),
            "contract": self._call,
            "update_slice": self._update,
            "scatter": self._update,
            "concatenate": self._concatenate,
        }

    def run(self) -> Plan:
        graph = self.graph
        results = self._results()
        for node in reversed(graph.nodes):
            if 0 in node.aval.shape:
                continue
            self.rules.get(node.op.name, self._visit_map)(node)
        for stage in self.stages:
            stage.members.reverse()
        home = self._homes(set(results))
        kept = [stage for stage in self.stages if stage not in self.dropped]
        kept.sort(key=lambda stage: stage.order)
        return Plan(graph, tuple(kept), self.makers, home, results)

    def _results(self) -> tuple[int, ...]:
        """The node of each output. Copies, of a node returned twice, an input or a constant, have ids of their own."""
        results: list[int] = []
        for position, node in enumerate(self.graph.outputs):
            empty = 0 in self.nodes[node].aval.shape
            if node in results or self.nodes[node].op.name in _LEAVES or empty:
                copy = len(self.nodes) + position
                results.append(copy)
                if not empty:
                    self._copy(copy, node)
            else:
                results.append(node)
                self.forced.add(node)
        return tuple(results)

    # Demands.

    def _resolve(self, node: int, index: Indices) -> Element:
        """Follow ops that only move elements, up to one that has an array of its own."""
        nodes = self.nodes
        while nodes[node].op.name in _MOVES and node not in self.forced:
            mover = nodes[node]
            assert mover.op.loops is not None
            (node,) = mover.operands
            index = mover.op.loops(index, nodes[node].aval, **mover.params)
        return node, index

    def _demand(self, stage: Stage, node: int, index: Indices) -> Element:
        element = self._resolve(node, index)
        self.demands[element[0]].setdefault((stage, element[1]))
        return element

    def _compute(self, stage: Stage, node: Node, index: Indices) -> None:
        """Make the node at an index part of the stage."""
        if node.op.name == "gather":
            operands = self._gathered(stage, node, index)
        else:
            operands = tuple([self._demand(stage, operand, index) for operand in node.operands])
        stage.members.append(Member(node.id, index, operands))

    def _gathered(self, stage: Stage, node: Node, index: Indices) -> tuple[Element, ...]:
        array, *indices = node.operands
        numbers, place = self._at_data(stage, index, self.nodes[array], indices, node.params["axes"])
        found = (array, place) if 0 in self.nodes[array].aval.shape else self._demand(stage, array, place)
        return (found, *numbers)

    def _at_data(
        self, stage: Stage, index: Indices, array: Node, indices: Sequence[int], axes: tuple[int, ...]
    ) -> tuple[list[Element], Indices]:
        """The elements of the index arrays, and the place in ``array`` that they give."""
        rank = self.nodes[indices[0]].aval.ndim
        start = index_position(axes)
        at = index[start : start + rank]
        rest = iter((*index[:start], *index[start + rank :]))
        numbers = [self._demand(stage, i, at) for i in indices]
        by_axis = dict(zip(axes, numbers, strict=True))
        place = tuple(
            self._number(by_axis[a], length, a) if a in by_axis else next(rest)
            for a, length in enumerate(_shape(array))
        )
        return numbers, place

    def _number(self, element: Element, length: int, into: int) -> AnyIndex:
        """An element of an index array as an index; a constant that counts in equal steps becomes arithmetic."""
        node, at = element
        if self.nodes[node].op is CONSTANT and len(at) <= 1:
            steps = equal_steps(self.nodes[node].params["value"], length)
            if steps is not None:
                return steps[0] + (at[0] * steps[1] if at else 0)
        return datum(node, at, length, into)

    def _begin(self, stage: Stage) -> Stage:
        self.stages.append(stage)
        self.makers.setdefault(stage.node, []).append(stage)
        return stage

    def _announce(self, node: int) -> None:
        """The stages that demand a node with loops of its own read it."""
        for stage, index in self.demands[node]:
            stage.reads.append((node, index))

    # Ops, from results to operands.

    def _visit_move(self, node: Node) -> None:
        if node.id in self.forced:
            self._announce(node.id)
            self.forced.discard(node.id)
            self._copy(node.id, node.id)
            self.forced.add(node.id)

    def _copy(self, target: int, node: int) -> None:
        place, extents = identity(_shape(self.nodes[node]))
        stage = self._begin(Stage(target, (target, 0), "map", extents, place=place))
        stage.source = self._demand(stage, node, place)

    def _visit_map(self, node: Node) -> None:
        demands = self.demands[node.id]
        if node.id in self.forced:
            self._make(node)
        elif not demands:
            return
        elif self._is_part(node, demands):
            for stage, index in demands:
                assert index is not None
                self._compute(stage, node, index)
        else:
            self._make(node)

    def _make(self, node: Node) -> None:
        self._announce(node.id)
        place, extents = identity(_shape(node))
        stage = self._begin(Stage(node.id, (node.id, 0), "map", extents, (node.id, place), place))
        self._compute(stage, node, place)

    def _is_part(self, node: Node, demands: Demands) -> bool:
        """Whether the node is computed inside the stages that demand it."""
        if node.aval.size == 1 or any(i is None or is_data(i) for _, i in demands):
            return False
        if any(len(stage.members) >= _MOST_MEMBERS for stage, _ in demands):
            return False
        cheap = self.cheap[node.id]
        if node.op.name == "gather":
            return len(demands) == 1 and all(_is_onto(stage, i, node) for stage, i in demands if i is not None)
        if len(demands) > 1:
            return cheap and len(demands) <= _MOST_COPIES
        return cheap or all(_repeats(stage, i) == 1 for stage, i in demands if i is not None)

    def _reduce(self, node: Node) -> None:
        if not self.demands[node.id] and node.id not in self.forced:
            return
        self._announce(node.id)
        (operand,) = node.operands
        index, extents = identity(_shape(self.nodes[operand]))
        gone = node.params["axes"]
        kept = tuple(i for a, i in enumerate(index) if a not in gone)
        place = tuple(0 if a in gone else i for a, i in enumerate(index)) if node.params["keepdims"] else kept
        reduced = frozenset(axes_of(tuple(i for a, i in enumerate(index) if a in gone)))
        combine = REDUCTIONS[node.op.name]
        stage = self._begin(
            Stage(node.id, (node.id, 0), "reduce", extents, place=place, reduced=reduced, combine=combine)
        )
        stage.source = self._demand(stage, operand, index)

    def _call(self, node: Node) -> None:
        if not self.demands[node.id] and node.id not in self.forced:
            return
        self._announce(node.id)
        stage = self._begin(Stage(node.id, (node.id, 0), "call"))
        for operand in node.operands:
            index, extents = identity(_shape(self.nodes[operand]))
            source, at = self._resolve(operand, index)
            affine = strides_of(flat_index(at, _shape(self.nodes[source])), len(extents))
            if affine is None or min(affine[0], default=0) < 0:
                source, at = operand, index
            if self.nodes[source].op.name not in _LEAVES:
                self.forced.add(source)
            self.demands[source].setdefault((stage, None))
            stage.views.append((source, at))

    def _update(self, node: Node) -> None:
        if not self.demands[node.id] and node.id not in self.forced:
            return
        self._announce(node.id)
        base, value = node.operands[:2]
        place, extents = identity(_shape(self.nodes[base]))
        start = self._begin(Stage(node.id, (node.id, 0), "map", extents, place=place))
        start.source = self._demand(start, base, place)
        if 0 in self.nodes[value].aval.shape:
            return
        index, extents = identity(_shape(self.nodes[value]))
        write = self._begin(Stage(node.id, (node.id, 1), "write", extents))
        if node.params["mode"] == "add":
            write.combine = "add"
        if node.op.name == "scatter":
            _, write.place = self._at_data(write, index, self.nodes[base], node.operands[2:], node.params["axes"])
        else:
            moved = zip(node.params["starts"], index, node.params["steps"], strict=True)
            write.place = tuple(first + i * step for first, i, step in moved)
        write.source = self._demand(write, value, index)

    def _concatenate(self, node: Node) -> None:
        if not self.demands[node.id] and node.id not in self.forced:
            return
        self._announce(node.id)
        along, offset = node.params["axis"], 0
        for part, operand in enumerate(node.operands):
            shape = _shape(self.nodes[operand])
            if 0 not in shape:
                index, extents = identity(shape)
                place = tuple(i + offset if a == along else i for a, i in enumerate(index))
                stage = self._begin(Stage(node.id, (node.id, part), "write", extents, place=place))
                stage.source = self._demand(stage, operand, index)
            offset += shape[along]

    # Writing in place.

    def _homes(self, results: set[int]) -> dict[int, int]:
        """The node in whose array each written node lives; the copy of the base is dropped where it is another's."""
        home: dict[int, int] = {}
        for node in self.nodes:
            if node.op.name not in ("update_slice", "scatter") or node.id not in self.makers:
                continue
            start = self.makers[node.id][0]
            assert start.source is not None
            base, index = start.source
            if base in results or base not in self.makers or start.members or index != start.place:
                continue
            if len(self.makers[node.id]) == 1 or self.nodes[base].aval.shape != node.aval.shape:
                continue
            if not self._is_last(node, base, start):
                continue
            home[node.id] = home.get(base, base)
            self.dropped.add(start)
            self.makers[node.id].remove(start)
        return home

    def _is_last(self, node: Node, base: int, start: Stage) -> bool:
        """Whether nothing reads ``base`` once ``node`` has been written over it."""
        for stage, index in self.demands[base]:
            if stage is start or stage.order < (node.id, 0):
                continue
            same_element = stage.node == node.id and node.op.name == "update_slice" and index == stage.place
            if not same_element:
                return False
        return True


def plan(graph: Graph) -> Plan:
    """The stages of a graph of fixed shapes whose ops have loops (see ``gradc.loops.decompose``)."""
    return _Planner(graph).run()


def _shape(node: Node) -> tuple[int, ...]:
    return tuple(int(d) for d in node.aval.shape)


def _cheap(graph: Graph) -> list[bool]:
    """For each node whether it may be computed in several places: few operations on at most one large array."""
    cheap: list[bool] = []
    weights: list[int] = []
    arrays: list[frozenset[int]] = []
    for node in graph.nodes:
        name = node.op.name
        weight, read, is_cheap = 0, frozenset((node.id,)), False
        if node.aval.size == 1 or node.op is CONSTANT:
            read = frozenset()
        elif name in _MOVES:
            (operand,) = node.operands
            weight = weights[operand]
            read = frozenset() if graph.nodes[operand].aval.size != node.aval.size else arrays[operand]
        elif node.op.elementwise:
            total = _WEIGHTS.get(name, 1) + sum([weights[o] for o in node.operands])
            every = frozenset().union(*[arrays[o] for o in node.operands])
            is_cheap = total <= _CHEAP and len(every) <= 1
            if is_cheap:
                weight, read = total, every
        cheap.append(is_cheap)
        weights.append(weight)
        arrays.append(read)
    return cheap


def equal_steps(value: np.ndarray, length: int) -> tuple[int, int] | None:
    """The start and the step of indices into an axis that count in equal steps; None where they do not, or leave it."""
    flat = value.reshape(-1).astype(np.int64)
    if flat.size == 0 or flat.min() < -length or flat.max() >= length:
        return None
    flat = np.where(flat < 0, flat + length, flat)
    step = int(flat[1] - flat[0]) if flat.size > 1 else 0
    return (int(flat[0]), step) if bool((np.diff(flat) == step).all()) else None


def _repeats(stage: Stage, index: Indices) -> int:
    """How often a stage would compute one and the same element, if it does so in the outermost loop that it can."""
    used = axes_of(index)
    deepest = max(used, default=-1)
    return math.prod(stage.extents[a] for a in range(deepest) if a not in used)


def _is_onto(stage: Stage, index: Indices, node: Node) -> bool:
    """Whether the stage runs through every element of the node."""
    if any(strides_of(i, len(stage.extents)) is None for i in index):
        return False
    return math.prod(stage.extents[a] for a in axes_of(index)) == node.aval.size
