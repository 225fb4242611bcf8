"""From a graph to stages: which values get loops of their own, and which are computed where they are used.

One pass from the results back to the inputs. It carries, for every node, the places that demand it: (stage, index)
pairs. Ops that only move elements change the index and vanish. A node that is demanded in one place becomes part of
that stage; a cheap one may be computed in several, and one of which it is said that a stage computes it again
(``lowering.crossings``) is part of that; all others become stages. So nothing dear is computed twice without need,
and no chain of nodes, however long, is followed by recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from gradc.errors import CompileError
from gradc.ir.aval import Dim, is_nonnegative
from gradc.ir.graph import CONSTANT, Graph, Node
from gradc.loops.algebra import general_spectra, orthogonal, panels, schur_form, singular, spectra, triangular_equations
from gradc.loops.lowering import ordered
from gradc.loops.lowering.comparisons import read_off
from gradc.loops.lowering.costs import cheap_nodes, is_onto, repeats, share
from gradc.loops.lowering.decompose import REDUCTIONS
from gradc.loops.lowering.flat import flat_nodes
from gradc.loops.lowering.homes import Homes
from gradc.loops.lowering.indexing import AnyIndex, Indices, axes_of, datum, flat_index, is_data, strides_of
from gradc.loops.lowering.plan import Demands, Element, Member, Order, Plan, Stage, identity, is_move
from gradc.loops.lowering.rows import is_row, rows_of
from gradc.loops.lowering.windows import Steps, counting, equal_steps, summed_steps
from gradc.ops.elementwise import add
from gradc.ops.index import index_position
from gradc.ops.shape import iota

_MOST_COPIES: Final = 4
"""A cheap value that would be computed more often than this is stored."""
_MOST_PLACES: Final = 16
"""A value that is demanded in more places than this is stored, however few of its elements each of them takes."""
_ONCE: Final = 17 / 16
"""A dear value may be computed in several places where they share it out, but for a few elements."""
_MOST_MEMBERS: Final = 400
"""What one iteration of a stage computes at most; a longer chain is cut, so that functions stay quick to compile."""

_ROOMS: Final = (panels, ordered, orthogonal, spectra, singular, general_spectra, schur_form, triangular_equations)
"""The modules with ops that only the lowering knows."""


class _Planner:
    """The state of the backward pass."""

    def __init__(self, graph: Graph, again: Mapping[int, frozenset[Order]]) -> None:
        self.graph = graph
        self.again = again
        self.instead = read_off(graph)
        self.nodes = graph.nodes
        self.demands: list[Demands] = [{} for _ in graph.nodes]
        self.stages: list[Stage] = []
        self.makers: dict[int, list[Stage]] = {}
        self.forced: set[int] = set()
        self.cheap = cheap_nodes(graph)
        self.flat = flat_nodes(graph)
        self.rules: dict[str, Callable[[Node], None]] = {
            **dict.fromkeys(REDUCTIONS, self._reduce),
            **dict.fromkeys(("contract", "masked_contract"), self._call),
            **{op.name: self._call for room in _ROOMS for op in room.PRIVATE},
            "scan": self._scan,
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
            self._visit(node)
        for stage in self.stages:
            stage.members.reverse()
        homes = Homes(self.nodes, self.stages, self.makers, self.demands, set(results), self.forced)
        home, guests = homes.found()
        kept = [stage for stage in self.stages if stage not in homes.dropped]
        given = {node for node in results if node < len(self.nodes) and not self.demands[node]}
        given |= {node for node, result in homes.reshaped.items() if result in given}
        kept.sort(key=lambda stage: self._rank(stage, given))
        return Plan(graph, tuple(kept), self.makers, home, results, guests)

    def _rank(self, stage: Stage, given: set[int]) -> tuple[int, int, int]:
        """Stages run in the order of the graph, calls that only give a result as soon as they can.

        Such a result takes no scratch memory, and what the call was the last to read is free after it: the gradient of
        weights is taken before that of what a layer was given.
        """
        if stage.kind == "call" and stage.node in given:
            return max((source for source, _ in stage.views), default=-1), len(self.stages), stage.node
        return *stage.order, stage.node

    def _results(self) -> tuple[int, ...]:
        """The node of each output. Copies, of a node returned twice, an input or a constant, have ids of their own."""
        results: list[int] = []
        for position, node in enumerate(self.graph.outputs):
            empty = 0 in self.nodes[node].aval.shape
            if node in results or not self.nodes[node].operands or empty:
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
        while is_move(nodes[node].op) and node not in self.forced:
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
            needed = self.instead.get(node.id, node.operands)
            operands = tuple([self._demand(stage, operand, index) for operand in needed])
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
        summed = [self._summed(i, array.aval.shape[a]) for a, i in zip(axes, indices, strict=True)]
        numbers = [self._demand(stage, i, at) if s is None else None for s, i in zip(summed, indices, strict=True)]
        by_axis = dict(zip(axes, zip(summed, numbers, strict=True), strict=True))
        place: list[AnyIndex] = []
        for a, length in enumerate(array.aval.shape):
            steps, number = by_axis.get(a, (None, None))
            if steps is not None:
                place.append(counting(steps, at))
            else:
                place.append(next(rest) if number is None else self._number(number, length, a))
        return [number for number in numbers if number is not None], tuple(place)

    def _summed(self, index: int, length: Dim) -> Steps | None:
        """How indices count that are no table, but a sum of counts; nothing of them is computed then."""
        node = self.nodes[index]
        if node.op is not add or not isinstance(length, int) or node.aval.is_symbolic:
            return None
        return summed_steps(self.nodes, index, length)

    def _number(self, element: Element, length: Dim, into: int) -> AnyIndex:
        """An element of an index array as an index; one that counts in equal steps becomes arithmetic."""
        node, at = element
        if self.nodes[node].op is iota and self.nodes[node].params["dim"] == length:
            return at[0]
        if self.nodes[node].op is CONSTANT and isinstance(length, int):
            steps = equal_steps(self.nodes[node].params["value"], length)
            if steps is not None:
                return counting(steps, at)
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

    def _visit(self, node: Node) -> None:
        rule = self.rules.get(node.op.name)
        if rule is not None:
            if self.demands[node.id] or node.id in self.forced:
                rule(node)
        elif is_move(node.op):
            self._visit_move(node)
        elif node.op.elementwise or node.op.name == "gather":
            self._visit_map(node)
        elif node.operands:
            raise CompileError(f"{node.op.name} has no loops: it is neither elementwise nor known to the lowering")

    def _visit_move(self, node: Node) -> None:
        if node.id in self.forced:
            self._announce(node.id)
            self.forced.discard(node.id)
            self._copy(node.id, node.id)
            self.forced.add(node.id)

    def _copy(self, target: int, node: int) -> None:
        place, extents = identity(self.nodes[node].aval.shape)
        stage = self._begin(Stage(target, (target, 0), "map", extents, place=place))
        stage.source = self._demand(stage, node, place)

    def _visit_map(self, node: Node) -> None:
        demands = self.demands[node.id]
        if node.id in self.again and node.id not in self.forced:
            self._compute_again(node, demands)
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

    def _compute_again(self, node: Node, demands: Demands) -> None:
        """Make the node part of the stages that are to compute it themselves, which then no longer demand it."""
        for stage, index in list(demands):
            told = stage.order in self.again[node.id] and len(stage.members) < _MOST_MEMBERS
            if told and index is not None and not is_data(index):
                self._compute(stage, node, index)
                del demands[stage, index]

    def _make(self, node: Node) -> None:
        self._announce(node.id)
        place, extents = self.flat.identity(node)
        stage = self._begin(Stage(node.id, (node.id, 0), "map", extents, (node.id, place), place))
        self._compute(stage, node, place)

    def _is_part(self, node: Node, demands: Demands) -> bool:
        """Whether the node is computed inside the stages that demand it."""
        if node.aval.size == 1 or any(i is None or is_data(i) for _, i in demands):
            return False
        if self.flat.is_apart(node.id, [stage.node for stage, _ in demands]):
            return False
        if any(len(stage.members) >= _MOST_MEMBERS for stage, _ in demands):
            return False
        cheap = self.cheap[node.id]
        places = [(stage, index) for stage, index in demands if index is not None]
        once = all(repeats(stage, index) == 1 for stage, index in places)
        if node.op.name == "gather":
            cheap = once and self._is_checked(node, places)
            if not cheap:
                return False
        if len(places) == 1:
            return once or (cheap and self._copies(node, places) <= _MOST_COPIES)
        if cheap:
            # Stages of the same loops that take the same element will find it in the same iteration.
            places = list({(stage.extents, index): (stage, index) for stage, index in places}.values())
            return len(places) <= _MOST_PLACES and self._copies(node, places) <= _MOST_COPIES
        return once and len(places) <= _MOST_COPIES and self._copies(node, places) <= _ONCE

    def _copies(self, node: Node, places: Sequence[tuple[Stage, Indices]]) -> float:
        """How often the node would be computed in some places, all of its elements taken together."""
        return sum([share(stage, index, node) for stage, index in places])

    def _is_checked(self, node: Node, places: Sequence[tuple[Stage, Indices]]) -> bool:
        """Whether a place goes through all elements of a gather's index arrays, so that each of them is checked."""
        numbers = self.nodes[node.operands[1]]
        start = index_position(node.params["axes"])
        stop = start + numbers.aval.ndim
        return any(is_onto(stage, index[start:stop], numbers) for stage, index in places)

    def _reduce(self, node: Node) -> None:
        self._announce(node.id)
        (operand,) = node.operands
        index, extents = identity(self.nodes[operand].aval.shape)
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
        def has_strides(position: int, at: Indices, shape: tuple[Dim, ...]) -> bool:
            _, extents = identity(self.nodes[node.operands[position]].aval.shape)
            affine = strides_of(flat_index(at, shape), len(extents))
            return affine is not None and all(map(is_nonnegative, affine[0]))

        self._whole(node, has_strides)

    def _scan(self, node: Node) -> None:
        def has_rows(position: int, at: Indices, shape: tuple[Dim, ...]) -> bool:
            own = self.nodes[node.operands[position]].aval.shape
            return rows_of(at, shape, own, by_row=is_row(node, position)) is not None

        self._whole(node, has_rows)

    def _whole(self, node: Node, is_view: Callable[[int, Indices, tuple[Dim, ...]], bool]) -> None:
        """A stage that reads whole arrays: ``is_view`` says whether it can read an operand where it is found, at an
        index into an array of a shape."""
        self._announce(node.id)
        stage = self._begin(Stage(node.id, (node.id, 0), "call"))
        for position, operand in enumerate(node.operands):
            index, _ = identity(self.nodes[operand].aval.shape)
            source, at = self._resolve(operand, index)
            if not is_view(position, at, self.nodes[source].aval.shape):
                source, at = operand, index
            if self.nodes[source].operands:
                self.forced.add(source)
            self.demands[source].setdefault((stage, None))
            stage.views.append((source, at))

    def _update(self, node: Node) -> None:
        self._announce(node.id)
        base, value = node.operands[:2]
        place, extents = identity(self.nodes[base].aval.shape)
        start = self._begin(Stage(node.id, (node.id, 0), "map", extents, place=place))
        start.source = self._demand(start, base, place)
        if 0 in self.nodes[value].aval.shape:
            return
        index, extents = identity(self.nodes[value].aval.shape)
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
        self._announce(node.id)
        along = node.params["axis"]
        offset: Dim = 0
        for part, operand in enumerate(node.operands):
            shape = self.nodes[operand].aval.shape
            if 0 not in shape:
                index, extents = identity(shape)
                place = tuple(i + offset if a == along else i for a, i in enumerate(index))
                stage = self._begin(Stage(node.id, (node.id, part), "write", extents, place=place))
                stage.source = self._demand(stage, operand, index)
            offset = offset + shape[along]


def plan(graph: Graph, again: Mapping[int, frozenset[Order]] = MappingProxyType({})) -> Plan:
    """The stages of a graph whose ops have loops (see ``gradc.loops.lowering.decompose``).

    ``again`` maps nodes to stages that compute them themselves, whoever else does.
    """
    return _Planner(graph, again).run()
