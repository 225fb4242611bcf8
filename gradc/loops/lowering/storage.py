"""Where values live: which need an array, and in which.

A value needs an array where it is a result or is read outside of the iteration that computes it. An array that is only
used inside the iterations of outer loops keeps just the axes that vary in them (a row of a softmax). The arena is laid
out by lifetimes, best fit, and an array that dies where another of its size is born, read element by element just
before it is written, hands over its place.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from gradc.ir.aval import Dim, size_of
from gradc.loops.lowering.fuse import Nest, common_depth, in_scope, is_ready
from gradc.loops.lowering.indexing import Indices, axis, flat_index
from gradc.loops.lowering.plan import Plan, Stage
from gradc.loops.shaping.buffers import Lifetime, lay_out

_SMALL: Final = 64
"""The most partial results that stand in a local array."""


@dataclass(eq=False, slots=True)
class Storage:
    """An array of a kernel.

    axes         the axes of the node that the array has; the others have one element at a time
    output       which result it is, None for scratch in the arena
    is_partial   whether it holds the partial results of a reduction
    first, last  the positions in the kernel between which it holds something
    offset       arena only: its place in bytes
    """

    node: int
    dtype: np.dtype
    shape: tuple[Dim, ...]
    axes: tuple[int, ...]
    output: int | None = None
    is_partial: bool = False
    first: int = 0
    last: int = 0
    offset: Dim = 0

    @property
    def lifetime(self) -> Lifetime:
        return Lifetime(size_of(self.shape) * self.dtype.itemsize, self.first, self.last)


@dataclass(frozen=True, slots=True)
class Storages:
    """``of[n]`` is the array of node n, ``partial[stage]`` the array of a reduction's wider partial sums.

    ``local`` are the reductions whose partial results stand in a local array.
    """

    of: dict[int, Storage]
    partial: dict[Stage, Storage]
    local: frozenset[Stage]
    arena_bytes: Dim


@dataclass(slots=True)
class _Uses:
    """The stages that write and read an array; reads with the node and the index."""

    writers: list[Stage] = field(default_factory=list)
    readers: list[tuple[Stage, int, Indices | None]] = field(default_factory=list)


def assign(plan: Plan, nest: Nest) -> Storages:
    """Decide the arrays of a plan, and lay out the arena."""
    uses: dict[int, _Uses] = defaultdict(_Uses)
    stored = set(plan.results) | set(plan.home) | set(plan.home.values())
    for stage in plan.stages:
        uses[plan.home.get(stage.node, stage.node)].writers.append(stage)
        if not stage.defines_value or has_partial_array(stage):
            stored.add(stage.node)
        for node, index in stage.reads:
            home, at = (plan.home.get(node, node), None) if index is None else plan.at_home(node, index)
            uses[home].readers.append((stage, node, at))
            if not _is_known(plan, nest, stage, node, index):
                stored.add(node)
    of: dict[int, Storage] = {}
    storages: list[Storage] = []
    for node in sorted(stored):
        home = plan.home.get(node, node)
        if node == home and home in plan.makers:
            of[home] = _storage(plan, nest, home, uses[home])
            storages.append(of[home])
    for node, home in plan.home.items():
        of[node] = of[home]
    for position, node in enumerate(plan.results):
        if node in of:
            of[node].output = position
    arrays = [stage for stage in plan.stages if has_partial_array(stage)]
    apart = [s for s in arrays if _widens(plan, s) or runs_in_blocks(plan, s)]
    small = [s for s in arrays if _is_small(s) and (s in apart or of[s.node].output is None)]
    partial = {s: _partial(plan, nest, s) for s in apart if s not in small}
    scratch = [s for s in (*storages, *partial.values()) if s.output is None]
    arena = lay_out([s.lifetime for s in scratch], lambda k, n: _hands_over(nest, uses, scratch[k], scratch[n]))
    for storage, offset in zip(scratch, arena.offsets, strict=True):
        storage.offset = offset
    return Storages(of, partial, frozenset(small), arena.bytes)


def has_partial_array(stage: Stage) -> bool:
    """Whether a reduction keeps an array of partial results: a loop that is not summed over lies inside one that is."""
    return bool(stage.reduced) and any(a not in stage.reduced for a in range(min(stage.reduced), len(stage.extents)))


def partial_dtype(plan: Plan, stage: Stage) -> np.dtype:
    """What a reduction accumulates in: sums and products of small floats keep double precision."""
    dtype = plan.origin(stage.node).aval.dtype
    return np.dtype(np.float64) if plan.doubles and dtype.kind == "f" and stage.combine in ("add", "mul") else dtype


def _widens(plan: Plan, stage: Stage) -> bool:
    """Whether partial results have another dtype than the result."""
    return partial_dtype(plan, stage) != plan.origin(stage.node).aval.dtype


def _is_small(stage: Stage) -> bool:
    """Whether a reduction has few partial results, which registers may hold."""
    kept = [a for a in range(min(stage.reduced), len(stage.extents)) if a not in stage.reduced]
    count = size_of(tuple(stage.extents[a] for a in kept))
    return isinstance(count, int) and count <= _SMALL


def runs_in_blocks(plan: Plan, stage: Stage) -> bool:
    """Whether a sum into an array goes block by block, so that rounding errors do not pile up.

    That is so over a symbolic axis, which may be long; a long axis of known size is cut in the graph
    (``gradc.loops.lowering.decompose``).
    """
    if not has_partial_array(stage) or isinstance(stage.extents[min(stage.reduced)], int):
        return False
    return stage.combine == "add" and plan.origin(stage.node).aval.dtype == np.float64


def _is_known(plan: Plan, nest: Nest, stage: Stage, node: int, index: Indices | None) -> bool:
    """Whether the stage finds the element as a scalar, without an array."""
    makers = plan.makers[node]
    if index is None or len(makers) != 1:
        return False
    return in_scope(nest.places[stage], makers[0], nest.places[makers[0]], index)


def _storage(plan: Plan, nest: Nest, home: int, uses: _Uses) -> Storage:
    node = plan.origin(home)
    shape = node.aval.shape
    dropped = _dropped(plan, nest, home, uses)
    axes = tuple(a for a in range(len(shape)) if a not in dropped)
    positions = [nest.places[s].positions[0] for s in (*uses.writers, *(r[0] for r in uses.readers))]
    kept = tuple(shape[a] for a in axes)
    return Storage(home, node.aval.dtype, kept, axes, None, False, min(positions), max(positions))


def _dropped(plan: Plan, nest: Nest, home: int, uses: _Uses) -> set[int]:
    """The axes of an array of which only the present element of outer loops is ever used.

    Never that of its innermost loop, which runs several iterations at once: each of these has its own element.
    """
    if home in plan.results or len(uses.writers) != 1 or home in plan.home.values():
        return set()
    (maker,) = uses.writers
    if not maker.defines_value:
        return set()
    place = nest.places[maker]
    dropped: set[int] = set()
    long = [level for level, extent in enumerate(maker.extents) if extent != 1]
    for level, extent in enumerate(maker.extents[: max(long, default=0)]):
        for reader, _, index in uses.readers:
            shared = common_depth(place, nest.places[reader]) > level
            if index is None or not shared or not is_ready(maker, index, level, extent):
                return dropped
        if level in maker.reduced:
            return dropped
        dropped.add(maker.place.index(axis(level, extent)))
    return dropped


def _partial(plan: Plan, nest: Nest, stage: Stage) -> Storage:
    """Partial results: one for each iteration of the kept loops inside the first reduced one."""
    first = min(stage.reduced)
    shape = tuple(stage.extents[a] for a in range(first, len(stage.extents)) if a not in stage.reduced)
    position = nest.places[stage].positions[0]
    dtype = partial_dtype(plan, stage)
    return Storage(stage.node, dtype, shape, tuple(range(len(shape))), None, True, position, position)


def _hands_over(nest: Nest, uses: dict[int, _Uses], dying: Storage, born: Storage) -> bool:
    """Whether ``born`` may take the place of ``dying`` in the loops that read the one and write the other."""
    if dying.lifetime.bytes != born.lifetime.bytes or dying.dtype.itemsize != born.dtype.itemsize:
        return False
    writers, readers = uses[born.node].writers, uses[dying.node].readers
    if len(writers) != 1 or writers[0].kind != "map" or len(born.axes) != len(writers[0].place):
        return False
    (maker,) = writers
    if maker.node != born.node:
        return False
    place = nest.places[maker]
    target = flat_index(maker.place, born.shape)
    for stage, _, index in readers:
        at = nest.places[stage]
        if at.positions[0] != place.positions[0]:
            continue
        if index is None or at.loops != place.loops or (at.positions, at.rank) > (place.positions, place.rank):
            return False
        if len(index) != len(dying.axes) or flat_index(index, dying.shape) != target:
            return False
    return all(nest.places[w].positions[0] < place.positions[0] for w in uses[dying.node].writers)
