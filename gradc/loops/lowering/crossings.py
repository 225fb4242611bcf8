"""Which values a loop nest computes again although another nest has made them: what ``gradc.passes.remat`` decides.

The reverse sweep wants what the forward one has made. A value that is made in one nest and read in another takes an
array, unless the reading nest computes it again from what is there: from inputs, from arrays that live on anyway, or
from smaller ones. For each reading nest that is a minimum cut, in picoseconds: of bytes written and read, and of
operations. The writing of an array counts in equal parts to the nests that read it, and so does keeping an array alive
that would have died before. Values of symbolic sizes keep their arrays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from gradc.ir.graph import CONSTANT, Node
from gradc.loops.lowering.costs import repeats, weight_of
from gradc.loops.lowering.fuse import Nest
from gradc.loops.lowering.indexing import Indices, is_data
from gradc.loops.lowering.plan import Element, Order, Plan, Stage
from gradc.passes.remat import Quantity, recomputed

Again = Mapping[int, frozenset[Order]]
"""The stages that compute a node themselves, by their orders."""

_LEAST_BYTES: Final = 4096
"""Smaller arrays stay in the first cache, and save too little memory to think about."""
_OPERATION: Final = 4
"""Picoseconds that an operation takes, for each byte of an element: 20 of them are an exponential."""
_BYTE: Final = ((32 << 10, 2), (1 << 20, 5))
"""Picoseconds that a byte takes to or from the cache that holds all arrays of a kernel of up to so many bytes."""
_BYTE_BEYOND: Final = 15
"""The same beyond the second cache: 8 from the third and 25 from memory, and what is stored drives others out."""
_WRITING: Final = 2
"""A line that is written is read before."""


def computed_again(plan: Plan, nest: Nest) -> Again:
    """The values to compute again, of those that this plan would store for other nests to read."""
    crossing = _crossing(plan, nest)
    if not crossing:
        return {}
    return _Chooser(plan, nest, crossing).run()


def _crossing(plan: Plan, nest: Nest) -> dict[int, dict[int, set[object]]]:
    """Large values that nests other than their own read: node to nests, each with the loops in which it does."""
    found: dict[int, dict[int, set[object]]] = {}
    shared = {*plan.results, *plan.home, *plan.home.values()}
    refused: set[int] = set()
    for stage in plan.stages:
        place = nest.places[stage]
        for node, index in stage.reads:
            if node in refused:
                continue
            if node in shared or not _is_candidate(plan, stage, node, index):
                refused.add(node)
                found.pop(node, None)
                continue
            (maker,) = plan.makers[node]
            if nest.places[maker].positions[0] != place.positions[0]:
                loops = found.setdefault(node, {}).setdefault(place.positions[0], set())
                loops.add(place.loops[-1] if place.loops else stage)
    return found


def _is_candidate(plan: Plan, stage: Stage, node: int, index: Indices | None) -> bool:
    makers = plan.makers[node]
    if index is None or len(makers) != 1 or makers[0].kind != "map" or is_data(index):
        return False
    size = _bytes(plan.origin(node))
    return size is not None and size >= _LEAST_BYTES and plan.origin(node).op.elementwise and repeats(stage, index) == 1


class _Chooser:
    def __init__(self, plan: Plan, nest: Nest, crossing: Mapping[int, Mapping[int, set[object]]]) -> None:
        self.plan = plan
        self.nest = nest
        self.crossing = crossing
        self.readers: dict[int, set[int]] = defaultdict(set)
        self.stages: dict[int, list[Stage]] = defaultdict(list)
        for stage in plan.stages:
            position = nest.places[stage].positions[0]
            self.stages[position].append(stage)
            for node, _ in stage.reads:
                self.readers[node].add(position)
        self.operands: dict[int, tuple[Element, ...]] = {}
        for stage in plan.stages:
            for member in stage.members:
                self.operands.setdefault(member.node, member.operands)
        nodes = plan.graph.nodes
        arrays = (*plan.graph.inputs, *(node for node in plan.makers if node < len(nodes)))
        self.byte = _picoseconds(sum(_bytes(nodes[node]) or 0 for node in arrays))

    def run(self) -> Again:
        chosen: dict[int, set[Order]] = defaultdict(set)
        for position in sorted({nest for nests in self.crossing.values() for nest in nests}):
            wanted = [node for node, nests in self.crossing.items() if position in nests]
            orders = {stage.order for stage in self.stages[position]}
            for node in recomputed(self._quantities(wanted, position), wanted):
                chosen[node] |= orders
        return {node: frozenset(orders) for node, orders in sorted(chosen.items())}

    def _quantities(self, wanted: list[int], position: int) -> dict[int, Quantity]:
        """What is wanted in a nest, and all that it is computed of."""
        found: dict[int, Quantity] = {}
        times = {node: len(self.crossing[node][position]) for node in wanted}
        waiting = list(wanted)
        while waiting:
            node = waiting.pop()
            if node in found:
                continue
            found[node] = self._quantity(node, position, times[node])
            for operand in found[node].operands:
                times[operand] = max(times.get(operand, 1), times[node])
                waiting.append(operand)
        return found

    def _quantity(self, node: int, position: int, times: int) -> Quantity:
        origin = self.plan.origin(node)
        size = _bytes(origin)
        if node >= len(self.plan.graph.nodes) or size is None:
            return Quantity((), None, 0 if size is None else self._keep(node, position, size))
        if origin.op is CONSTANT or origin.aval.size == 1:
            return Quantity((), None, 0)
        keep = self._keep(node, position, size)
        if not origin.op.elementwise or node not in self.operands:
            return Quantity((), None, keep)
        operands = tuple(dict.fromkeys(operand for operand, _ in self.operands[node]))
        return Quantity(operands, weight_of(origin) * _OPERATION * size * times, keep)

    def _keep(self, node: int, position: int, size: int) -> int:
        """The cost of reading a value from an array in a nest, and its part of the cost of there being one."""
        reading, writing = size * self.byte, size * self.byte * _WRITING
        if node in self.crossing:
            nests = self.crossing[node]
            return reading + writing // max(1, len(nests))
        if node in self.plan.graph.inputs:
            return 0 if position in self.readers[node] else reading
        if position in self.readers[node]:
            return 0
        lives_on = node in self.plan.results or max(self.readers[node], default=-1) > position
        return reading if lives_on and self._has_array(node) else reading + writing

    def _has_array(self, node: int) -> bool:
        makers = self.plan.makers.get(node, [])
        own = {self.nest.places[maker].positions[0] for maker in makers}
        return bool(makers) and bool(self.readers[node] - own or node in self.plan.results)


def _bytes(node: Node) -> int | None:
    size = node.aval.size
    return size * node.aval.dtype.itemsize if isinstance(size, int) else None


def _picoseconds(total: int) -> int:
    return next((price for most, price in _BYTE if total <= most), _BYTE_BEYOND)
