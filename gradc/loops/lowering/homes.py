"""In whose array a value is written: a write over what is not needed any more, the parts of a concatenation, and a
contraction that is a result in another shape.

A part that is computed by itself, because other stages read it too, would be stored and then copied. It is stored where
it stands in the concatenation instead, and read there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from gradc.ir.aval import Dim
from gradc.ir.graph import Node
from gradc.loops.lowering.indexing import Index, flat_index
from gradc.loops.lowering.plan import Demands, Guest, Stage, identity

_MOST_GUESTS: Final = 8
"""Parts of one concatenation that live in it; more of them are likely steps of one kind, whose nests become a loop over
arrays (``gradc.loops.shaping.repeats``)."""


class Homes:
    """Decides it for stages that are all known.

    ``dropped`` are those that then have nothing left to do, ``reshaped`` the contractions by results that they are in
    another shape.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        stages: Sequence[Stage],
        makers: dict[int, list[Stage]],
        demands: Sequence[Demands],
        results: set[int],
        forced: set[int],
    ) -> None:
        self.nodes = nodes
        self.stages = stages
        self.makers = makers
        self.demands = demands
        self.results = results
        self.forced = forced
        self.dropped: set[Stage] = set()
        self.reshaped: dict[int, int] = {}

    def found(self) -> tuple[dict[int, int], dict[int, Guest]]:
        """The node in whose array each such node lives, and the guests among them."""
        home = self._written_over()
        self.reshaped = self._reshaped_results(home)
        home |= self.reshaped
        guests: dict[int, Guest] = {}
        for host, parts in self._parts(home).items():
            for part in parts:
                assert part.source is not None
                node = part.source[0]
                if node in guests:
                    continue
                own = [int(self._offset(part)) if a == self._axis(host) else 0 for a in range(len(part.place))]
                start = guests[host].start if host in guests else (0,) * len(own)
                guests[node] = Guest(host, tuple(a + b for a, b in zip(own, start, strict=True)))
                home[node] = home.get(host, host)
                self._drop(part)
        return home, guests

    def _drop(self, stage: Stage) -> None:
        self.dropped.add(stage)
        self.makers[stage.node].remove(stage)

    # Parts of concatenations.

    def _parts(self, home: dict[int, int]) -> dict[int, list[Stage]]:
        """The parts that can live in their concatenations, outer ones first, where they are most of them.

        A concatenation that is written over would take them along.
        """
        written = {*home, *home.values()}
        found: dict[int, list[Stage]] = defaultdict(list)
        for stage in self.stages:
            is_write = stage.kind == "write" and self.nodes[stage.node].op.name == "concatenate"
            if is_write and stage.node not in written and self._is_part(stage, written):
                found[stage.node].append(stage)
        return {host: parts for host, parts in sorted(found.items(), reverse=True) if self._are_most(host, parts)}

    def _is_part(self, stage: Stage, written: set[int]) -> bool:
        """Whether what a concatenation takes is an array that its own stages fill, element by element."""
        assert stage.source is not None, "a write has a value"
        node, index = stage.source
        if node in written or node in self.results or node in self.forced or stage.members:
            return False
        makers = self.makers.get(node, [])
        place, extents = identity(self.nodes[node].aval.shape)
        taken = self.nodes[self.nodes[stage.node].operands[stage.order[1]]].aval
        if (index, self.nodes[node].aval.shape) != (place, taken.shape) or taken.size == 1 or not makers:
            return False
        if not isinstance(self._length(node, stage.node), int) or not isinstance(self._offset(stage), int):
            return False
        if self.nodes[node].op.name == "concatenate":
            return True
        return len(makers) == 1 and makers[0].kind == "map" and (makers[0].place, makers[0].extents) == (place, extents)

    def _are_most(self, host: int, parts: Sequence[Stage]) -> bool:
        """Whether they are half of it: it is there as soon as one of them is."""
        total = sum(int(self._length(part.source[0], host)) for part in parts if part.source is not None)
        whole = self._length(host, host)
        return isinstance(whole, int) and 2 * total >= whole and len(parts) <= _MOST_GUESTS

    def _axis(self, host: int) -> int:
        axis: int = self.nodes[host].params["axis"]
        return axis

    def _length(self, node: int, host: int) -> Dim:
        return self.nodes[node].aval.shape[self._axis(host)]

    def _offset(self, part: Stage) -> Dim:
        """Where a part begins along the axis of its concatenation."""
        at = part.place[self._axis(part.node)]
        return at.constant if isinstance(at, Index) else at

    # Results.

    def _reshaped_results(self, written: dict[int, int]) -> dict[int, int]:
        """The results that are nothing but contractions in another shape, which are written there at once."""
        found: dict[int, int] = {}
        for stage in self.stages:
            if stage.kind != "map" or stage.node not in self.results or stage.members or stage.source is None:
                continue
            node, index = stage.source
            if self.nodes[node].op.name != "contract" or node in self.results:
                continue
            if stage.node in written.values() or set(self.demands[node]) != {(stage, index)}:
                continue
            own = self.nodes[stage.node].aval.shape if stage.node < len(self.nodes) else None
            if own is None or (stage.place, stage.extents) != identity(own):
                continue
            if flat_index(index, self.nodes[node].aval.shape) == flat_index(stage.place, own):
                found[node] = stage.node
                self._drop(stage)
        return found

    # Writing over.

    def _written_over(self) -> dict[int, int]:
        """The node in whose array each written node lives; the copy of the base is dropped where it is another's."""
        home: dict[int, int] = {}
        for node in self.nodes:
            if node.op.name not in ("update_slice", "scatter") or node.id not in self.makers:
                continue
            start = self.makers[node.id][0]
            assert start.source is not None
            base, index = start.source
            if base in self.results or base not in self.makers or start.members or index != start.place:
                continue
            if len(self.makers[node.id]) == 1 or self.nodes[base].aval.shape != node.aval.shape:
                continue
            if not self._is_last(node, base, start):
                continue
            home[node.id] = home.get(base, base)
            self._drop(start)
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
