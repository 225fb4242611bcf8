"""Arrays that are filled piece by piece: what a chain of writes leaves is the concatenation of what was written.

    y = np.zeros(n)                              y_1 = y_0 * h + x[1]
    for k in range(1, n):              ->        ...
        y[k] = y[k - 1] * h + x[k]               y = concatenate([0], y_1, ..., y_{n-1})

As writes, each is a version of the whole array, whose cotangent is a whole array too: n of n elements in the reverse
pass. As pieces, what is read again is the piece itself, the cotangents are slices of one array, and a recurrence in it
is found and rolled (``gradc.passes.roll``). The numbers are the same, bit for bit.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np

from gradc.ir.aval import Aval, Dim
from gradc.ir.graph import INPUT, Builder, Graph, Node, Value
from gradc.ops.shape import concatenate, reshape, reshaped, slice_, update_slice

LEAST: Final = 8
"""Fewer writes stay writes."""

SHARE: Final = 4
"""So does one of more than this part of the array: it is mostly its value, and written in place."""

MOST: Final = 32
"""So do writes between which more pieces than this are read for each: as pieces, ``y[k] = L[k, :k] @ y[:k]`` of n
elements joins n * n of them, and has as many slices in its adjoint."""

Content = TypeVar("Content")
Part = tuple[Content, int, int]
"""Values, where in them a part begins, and its length."""


def gather_writes(graph: Graph, *, sparse: bool = True) -> Graph:
    """The same function, with arrays that are filled as what they are filled with; the graph itself where none is.

    ``sparse`` is whether writes into less than a ``SHARE`` of an array count, all together: where nothing is
    differentiated these are dearer as pieces, of which most are what was there.
    """
    chains = _chains(graph)
    if not sparse:
        chains = [chain for chain in chains if _filled(graph, chain) * SHARE >= _size(graph.nodes[chain[0]].aval)]
    return _Gatherer(graph, chains).run() if chains else graph


@dataclass(frozen=True)
class _Region:
    """Elements that lie one after the other in the order of C: from ``start`` to before ``stop``."""

    start: int
    stop: int


def _region(aval: Aval, starts: Sequence[Dim], sizes: Sequence[Dim], steps: Sequence[int]) -> _Region | None:
    """The region of a slice; None where it is not one piece, or a size is symbolic."""
    whole, first, extent = [[x for x in numbers if isinstance(x, int)] for numbers in (aval.shape, starts, sizes)]
    if len(whole) + len(first) + len(extent) != 3 * aval.ndim or set(steps) - {1} or 0 in extent:
        return None
    axis = next((a for a, size in enumerate(extent) if size > 1), len(extent))
    if extent[axis + 1 :] != whole[axis + 1 :]:
        return None
    start = int(np.ravel_multi_index(first, whole)) if whole else 0
    return _Region(start, start + math.prod(extent))


def _size(aval: Aval) -> int:
    """The number of elements, where no size is symbolic."""
    assert isinstance(aval.size, int)
    return aval.size


def _written(graph: Graph, node: Node) -> _Region | None:
    """Where a small piece of an array is written; None for other nodes."""
    if node.op is not update_slice or node.params["mode"] not in ("set", "add") or node.aval.dtype == np.bool_:
        return None
    value = graph.nodes[node.operands[1]].aval
    found = _region(node.aval, node.params["starts"], value.shape, node.params["steps"])
    return found if found is not None and (found.stop - found.start) * SHARE <= _size(node.aval) else None


def _read(graph: Graph, node: Node) -> _Region | None:
    if node.op is not slice_:
        return None
    params = node.params
    return _region(graph.nodes[node.operands[0]].aval, params["starts"], params["sizes"], params["steps"])


def _chains(graph: Graph) -> list[list[int]]:
    """Writes each of whose results is read in pieces, until the next writes into it, and nothing else."""
    following: dict[int, int] = {}
    outputs = set(graph.outputs)
    regions = {node.id: region for node in graph.nodes if (region := _written(graph, node)) is not None}
    for node_id in regions:
        users = [graph.nodes[i] for i in graph.consumers[node_id]]
        writes = [u.id for u in users if u.id in regions and u.operands[0] == node_id and u.operands[1] != node_id]
        if len(writes) != 1 or node_id in outputs:
            continue
        reads = [u for u in users if u.id != writes[0]]
        if all(u.id < writes[0] and _read(graph, u) is not None for u in reads):
            following[node_id] = writes[0]
    chains = []
    for first in sorted(regions.keys() - set(following.values())):
        chain = [first]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        if len(chain) >= LEAST and _reads_few(graph, chain):
            chains.append(chain)
    return chains


def _reads_few(graph: Graph, chain: Sequence[int]) -> bool:
    """Whether what is read between the writes is made of few pieces; what is read again is made once."""
    size = _size(graph.nodes[chain[0]].aval)
    pieces, joined, count = _Pieces(size, -1), set[tuple[Part[int], ...]](), 0
    for node in map(graph.nodes.__getitem__, chain):
        written = _written(graph, node)
        regions = [written] if node.params["mode"] == "add" else []
        if node.id != chain[0]:
            regions += [_read(graph, graph.nodes[i]) for i in graph.consumers[node.operands[0]] if i != node.id]
        for region in filter(None, regions):
            parts = tuple(pieces.parts(region))
            if parts not in joined:
                joined.add(parts)
                count += len(parts)
            if count > MOST * len(chain):
                return False
        assert written is not None
        pieces.write(written, node.id)
    return True


def _filled(graph: Graph, chain: Sequence[int]) -> int:
    """How many elements are written, each as often as it is."""
    return sum(_size(graph.nodes[graph.nodes[i].operands[1]].aval) for i in chain)


class _Gatherer:
    """Makes the graph again, without the versions of arrays in between."""

    def __init__(self, graph: Graph, chains: list[list[int]]) -> None:
        self.graph = graph
        self.builder = Builder()
        self.image: dict[int, Value] = {}
        self.last = {chain[-1] for chain in chains}
        self.written = {i for chain in chains for i in chain}
        self.pieces: dict[int, _Pieces[Value]] = {}

    def run(self) -> Graph:
        graph, builder = self.graph, self.builder
        for node in graph.nodes:
            builder.origin = graph.origins.get(node.id, ())
            if node.op is INPUT:
                made: Value | None = builder.input(node.params["name"], node.aval)
            elif node.id in self.written:
                made = self._write(node)
            elif node.op is slice_ and node.operands[0] in self.pieces:
                region = _read(graph, node)
                assert region is not None
                made = _shaped(_joined(self.pieces[node.operands[0]].parts(region)), node.aval.shape)
            elif node.op is reshape:
                made = _shaped(self.image[node.operands[0]], node.aval.shape)
            else:
                made = builder.apply_ids(node.op, tuple([self.image[i].id for i in node.operands]), node.params)
            if made is not None:
                self.image[node.id] = made
                if node.id in graph.names:
                    builder.name(made, graph.names[node.id])
        return builder.freeze([self.image[i] for i in graph.outputs], graph.output_names)

    def _write(self, node: Node) -> Value | None:
        """Note a write; the whole array where it is the last one."""
        base, value = node.operands
        region = _written(self.graph, node)
        assert region is not None
        pieces = self.pieces.pop(base) if base in self.pieces else _Pieces(*_flat(self.image[base]))
        flat = _shaped(self.image[value], (region.stop - region.start,))
        pieces.write(region, _joined(pieces.parts(region)) + flat if node.params["mode"] == "add" else flat)
        if node.id in self.last:
            return reshaped(_joined(pieces.parts(_Region(0, pieces.size))), node.aval.shape)
        self.pieces[node.id] = pieces
        return None


def _shaped(value: Value, shape: tuple[Dim, ...]) -> Value:
    """A value in another shape; what it is a reshape of, where that has this shape."""
    node = value.node
    inner = value.builder.value(node.operands[0]) if node.op is reshape else value
    return inner if inner.aval.shape == shape else reshaped(value, shape)


def _flat(value: Value) -> tuple[int, Value]:
    """The number of elements of a value, and the value with these in one axis."""
    size = _size(value.aval)
    return size, reshaped(value, (size,))


def _joined(parts: Sequence[Part[Value]]) -> Value:
    made = []
    for value, offset, size in parts:
        whole = size == _size(value.aval)
        made.append(value if whole else slice_(value, starts=(offset,), sizes=(size,), steps=(1,)))
    return made[0] if len(made) == 1 else concatenate(*made, axis=0)


class _Pieces(Generic[Content]):
    """What an array holds: ``starts`` in order, and for each the values from there on and where in them it begins."""

    def __init__(self, size: int, base: Content) -> None:
        self.size = size
        self.starts = [0]
        self.values = [(base, 0)]

    def write(self, region: _Region, value: Content) -> None:
        first, behind = self._cut(region.start), self._cut(region.stop)
        self.starts[first:behind] = [region.start]
        self.values[first:behind] = [(value, 0)]

    def parts(self, region: _Region) -> list[Part[Content]]:
        """What a region is made of."""
        first = bisect.bisect_right(self.starts, region.start) - 1
        behind = bisect.bisect_left(self.starts, region.stop)
        found = []
        for k in range(first, behind):
            start = max(self.starts[k], region.start)
            stop = min(self.starts[k + 1] if k + 1 < len(self.starts) else self.size, region.stop)
            value, offset = self.values[k]
            found.append((value, offset + start - self.starts[k], stop - start))
        return found

    def _cut(self, place: int) -> int:
        """The number of the piece that begins at a place, made where none does."""
        k = bisect.bisect_left(self.starts, place)
        if place < self.size and (k == len(self.starts) or self.starts[k] != place):
            value, offset = self.values[k - 1]
            self.values.insert(k, (value, offset + place - self.starts[k - 1]))
            self.starts.insert(k, place)
        return k
