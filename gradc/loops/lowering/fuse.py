"""Which stages share loops: stages are placed one after the other into a tree of loops.

A stage joins a loop where what it reads from stages in there is ready in the same iteration: it reads their values at
that loop's own variable. It prefers the loop of what it reads last, even if only the outer loops fit (so a softmax is
one pass over rows), and else the last loops of exactly its extents. Every decision is local and looks at the stages
that the new one reads, so placing is linear in the size of the plan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gradc.ir.aval import Dim
from gradc.loops.lowering.indexing import Indices, axis
from gradc.loops.lowering.plan import Plan, Stage

_MOST_IN_LOOP: Final = 400
"""Members of one nest; beyond it, compile time grows faster than what fusing saves."""


@dataclass(eq=False, slots=True)
class Loop:
    """A loop shared by stages. ``before`` are the reductions that start before it and end after it."""

    extent: Dim
    position: int
    body: Block
    before: list[Stage] = field(default_factory=list)
    population: int = 0


@dataclass(eq=False, slots=True)
class Block:
    """The body of a loop, or the whole kernel.

    ``items`` are its loops and calls. ``follow[p]`` are the stages that need no further loop and come right after item
    p, as soon as what they read is there; those of -1 come first.
    """

    depth: int
    items: list[Loop | Stage] = field(default_factory=list)
    follow: dict[int, list[Stage]] = field(default_factory=dict)
    latest: dict[tuple[Dim, ...], Loop] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Place:
    """Where a stage stands: its loops, outermost first, the item at which it is in the kernel's and each loop's block,
    and its rank in the order of placing."""

    loops: tuple[Loop, ...]
    positions: tuple[int, ...]
    rank: int


@dataclass(frozen=True, slots=True)
class Nest:
    """The tree of loops, and where every stage stands in it."""

    root: Block
    places: dict[Stage, Place]


def fuse(plan: Plan) -> Nest:
    """Place all stages of a plan."""
    return _Fuser(plan).run()


class _Fuser:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.root = Block(0)
        self.places: dict[Stage, Place] = {}
        self.written: dict[int, int] = {}
        self.read: dict[int, int] = {}

    def run(self) -> Nest:
        for stage in self.plan.stages:
            self._place(stage)
        return Nest(self.root, self.places)

    def _place(self, stage: Stage) -> None:
        floor, sources = self._constraints(stage)
        block = self.root
        loops: list[Loop] = []
        positions: list[int] = []
        for level, extent in enumerate(stage.extents):
            loop = self._joined(stage, block, level, floor, sources) or self._opened(block, extent)
            rest = stage.extents[level:]
            if rest not in block.latest or block.latest[rest].position < loop.position:
                block.latest[rest] = loop
            loops.append(loop)
            positions.append(loop.position)
            sources = [s for s in sources if self.places[s[0]].positions[level] == loop.position]
            floor, block = 0, loop.body
        positions.append(self._settled(stage, block, len(loops), floor, sources))
        for loop in loops:
            loop.population += len(stage.members) + 1
        if stage.reduced:
            loops[min(stage.reduced)].before.append(stage)
        self.places[stage] = Place(tuple(loops), tuple(positions), len(self.places))
        self._note(stage, positions[0])

    def _constraints(self, stage: Stage) -> tuple[int, list[tuple[Stage, Indices]]]:
        """The first position in the kernel that the stage may have, and the stages that it may share loops with."""
        floor = 0
        sources: list[tuple[Stage, Indices]] = []
        for node, index in stage.reads:
            makers = self.plan.makers[node]
            if len(makers) == 1 and makers[0].defines_value and index is not None:
                sources.append((makers[0], index))
            else:
                floor = max(floor, self.written[node] + 1)
        if stage.kind == "write" and self.plan.origin(stage.node).op.name != "concatenate":
            home = self.plan.home.get(stage.node, stage.node)
            floor = max(floor, self.written.get(home, -1) + 1, self.read.get(home, -1) + 1)
        return floor, sources

    def _joined(
        self, stage: Stage, block: Block, level: int, floor: int, sources: list[tuple[Stage, Indices]]
    ) -> Loop | None:
        """The loop of ``block`` that the stage joins at this level, or None where it needs a new one."""
        extent = stage.extents[level]
        earliest, wanted = floor, -1
        for source, index in sources:
            position = self.places[source].positions[level]
            item = block.items[position] if position >= 0 else None
            ready = isinstance(item, Loop) and item.extent == extent and is_ready(source, index, level, extent)
            earliest = max(earliest, position if ready else position + 1)
            wanted = max(wanted, position if ready else -1)
        loop = block.items[wanted] if wanted == earliest else block.latest.get(stage.extents[level:])
        if not isinstance(loop, Loop) or loop.position < earliest or loop.population > _MOST_IN_LOOP:
            return None
        return loop

    def _settled(self, stage: Stage, block: Block, level: int, floor: int, sources: list[tuple[Stage, Indices]]) -> int:
        """Put a stage into its innermost block: a call at the end, others as early as what they read allows."""
        if stage.kind == "call":
            block.items.append(stage)
            return len(block.items) - 1
        position = max([floor - 1, *(self.places[source].positions[level] for source, _ in sources)])
        block.follow.setdefault(position, []).append(stage)
        return position

    def _opened(self, block: Block, extent: Dim) -> Loop:
        loop = Loop(extent, len(block.items), Block(block.depth + 1))
        block.items.append(loop)
        return loop

    def _note(self, stage: Stage, position: int) -> None:
        """Remember where in the kernel a node's array was last written and read."""
        for node in self._arrays(stage.node):
            self.written[node] = max(self.written.get(node, -1), position)
        for node, _ in stage.reads:
            home = self.plan.home.get(node, node)
            self.read[home] = max(self.read.get(home, -1), position)

    def _arrays(self, node: int) -> set[int]:
        """The node, the concatenations that it is a part of where it lives, and the node in whose array it does."""
        found = {node, self.plan.home.get(node, node)}
        while node in self.plan.guests:
            node = self.plan.guests[node].host
            found.add(node)
        return found


def is_ready(source: Stage, index: Indices, level: int, extent: Dim) -> bool:
    """Whether the element that is read belongs to the iteration of the loop at ``level`` and is complete in it."""
    if level >= len(source.extents) or level in source.reduced:
        return False
    if len(source.extents) == 1 and index == source.place:
        return True  # of a loop over all elements too
    own = axis(level, extent)
    return any(place == own and at == own for place, at in zip(source.place, index, strict=True))


def in_scope(reader: Place, source: Stage, place: Place, index: Indices) -> bool:
    """Whether the element is computed in the same iteration of loops around the reader, and so has a name there."""
    if source.kind not in ("map", "reduce") or index != source.place:
        return False
    shared = min(source.reduced) if source.reduced else len(place.loops)
    if source.kind == "reduce" and any(a not in source.reduced for a in range(shared, len(place.loops))):
        return False
    return reader.loops[:shared] == place.loops[:shared]


def common_depth(one: Place, other: Place) -> int:
    """How many loops two stages share."""
    depth = 0
    for left, right in zip(one.loops, other.loops, strict=False):
        if left is not right:
            break
        depth += 1
    return depth


def stages_in(item: Loop | Stage) -> list[Stage]:
    """The stages of a loop, or the one itself, in the order in which they run."""
    if isinstance(item, Stage):
        return [item]
    found = list(item.body.follow.get(-1, ()))
    for position, inner in enumerate(item.body.items):
        found += [*stages_in(inner), *item.body.follow.get(position, ())]
    return found
