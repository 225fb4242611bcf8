"""Writes into slices of an array, told as concatenations of sums.

The adjoint of a slice writes into zeros, and those of several slices of one array follow one another; a stencil adds to
most of an array. Cut where a slice begins or ends, such an array is a concatenation of pieces, each the sum of the
values that reach it: one pass in place of zeros, or a copy, and one pass a slice. What is read of one piece alone is
read there, so that an array of which nothing else is read, as the cotangent of a recurrence's result is, need not be
put together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from gradc.ir.aval import Dim
from gradc.ir.graph import Builder, Graph, Node, Value, rebuild
from gradc.ir.op import Op
from gradc.ops.elementwise import logical_or
from gradc.ops.reduce import reduce_sum
from gradc.ops.shape import concatenate, reshaped, slice_

_MOST_CUT: Final = 16
"""Pieces of values that are cut in parts: each one computes its part in a nest of its own."""
_MOST_PIECES: Final = 64
_BORDER: Final = 8
"""Elements that a sum may leave to others, so that its loop is that of a piece."""
_LONG: Final = 256
"""Elements from which on it pays to go over an array once and not twice."""
_MOST_TERMS: Final = 4
"""Values that are summed in a piece."""


@dataclass(frozen=True, slots=True)
class Update:
    """A value written to ``start`` to ``stop - 1`` of an axis, or added there."""

    value: Value
    start: int
    stop: int
    adds: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an axis in which the same updates are."""

    start: int
    stop: int
    terms: tuple[Update, ...]


class Slices:
    """The chains of writes along an axis that a graph under construction has, by their last write.

    ``read`` are the values that other ops have as operands. A chain that is not read on the way has few terms in a
    piece: where there are more, each is added as soon as it is there.
    """

    def __init__(self) -> None:
        self._chains: dict[int, tuple[int, tuple[Update, ...]]] = {}
        self.read: set[int] = set()

    def told(self, operands: tuple[Value, ...], params: dict[str, Any]) -> Value | None:
        """An ``update_slice`` as a concatenation; None where little of an array is written, or in too many pieces."""
        base, value = operands
        shape = base.aval.shape
        differ = [a for a, (whole, part) in enumerate(zip(shape, value.aval.shape, strict=True)) if whole != part]
        axis, before = self._chains.get(base.id, (-1, ()))
        differ = differ or [axis]
        if len(differ) != 1 or differ[0] < 0 or 0 in value.aval.shape or set(params["steps"]) != {1}:
            return None
        start, length, whole = (x[differ[0]] for x in (params["starts"], value.aval.shape, shape))
        if not (isinstance(start, int) and isinstance(length, int) and isinstance(whole, int)):
            return None
        written = Update(value, start, start + length, params["mode"] == "add")
        chains = [(*before, written)] if axis == differ[0] else []
        if _is_zero(base):
            chains = [(written,)]
        elif 2 * length >= whole and (axis != differ[0] or base.id in self.read):
            chains.append((Update(base, 0, whole, False), written))
        for updates in chains:
            pieces = _pieces(updates, whole)
            if _pays(pieces):
                parts = [_sum(base.builder, piece, shape, differ[0], base) for piece in pieces]
                result = concatenate(*parts, axis=differ[0])
                self._chains[result.id] = differ[0], updates
                return result
        return None


def part_of(joined: Value, params: dict[str, Any]) -> Value | None:
    """A slice of a concatenation as a slice of the one piece that it lies in; None where it reaches into several."""
    node, builder = joined.node, joined.builder
    if node.op is not concatenate:
        return None
    axis = node.params["axis"]
    start, length, step = (params[key][axis] for key in ("starts", "sizes", "steps"))
    if not isinstance(start, int) or not isinstance(length, int) or not length:
        return None
    begin = 0
    for piece in map(builder.value, node.operands):
        whole = piece.aval.shape[axis]
        if not isinstance(whole, int):
            return None
        if begin <= start < begin + whole:
            last = start + (length - 1) * step
            return _within(piece, params, axis, start - begin) if begin <= last < begin + whole else None
        begin += whole
    return None


def _within(piece: Value, params: dict[str, Any], axis: int, start: int) -> Value:
    """A slice of a piece; of a number that is repeated, that number."""
    starts = tuple(start if a == axis else s for a, s in enumerate(params["starts"]))
    number = piece.builder.scalar(piece)
    if number is not None:
        return piece.builder.full(number.item(), piece.aval.with_shape(params["sizes"]))
    if params["sizes"] == piece.aval.shape and set(params["steps"]) == {1}:
        return piece
    return slice_(piece, starts=starts, sizes=params["sizes"], steps=params["steps"])


def aligned(graph: Graph) -> Graph:
    """The graph with long sums cut as pieces of concatenations are, so that they may share loops.

    A loss over neighbours sums one element less than its gradient has, and the gradient's inner piece has one less
    again: the sum of the elements in that piece is taken apart from the others.
    """
    cuts = _cuts(graph)
    if not cuts:
        return graph

    def rewrite(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
        if op is not reduce_sum or params["keepdims"]:
            return None
        x = builder.value(ids[0])
        cut = cuts.get(x.aval.shape)
        if cut is None:
            return None
        ends = [0, *cut, int(x.aval.shape[0])]
        parts = [_range(x, start, stop) for start, stop in pairwise(ends) if start < stop]
        middle, *others = sorted(parts, key=lambda part: -int(part.aval.size))
        total = _total(middle)
        for other in others:
            total = total + _total(other)
        return total

    return rebuild(graph, rewrite)


def _cuts(graph: Graph) -> dict[tuple[Dim, ...], tuple[int, int]]:
    """For shapes of long arrays, where most of one goes into one piece of a concatenation: its start and stop.

    Where several do, it is the one that has most values in common with a sum: they are computed once.
    """
    found: dict[tuple[Dim, ...], tuple[int, int]] = {}
    shared: dict[tuple[Dim, ...], int] = {}
    for size, part in _long_parts(graph):
        (source,), (start,) = part.operands, part.params["starts"]
        shape = graph.nodes[source].aval.shape
        if 0 < int(shape[0]) - size <= _BORDER:
            count = _shared(graph, source)
            if count > shared.get(shape, -1):
                found[shape], shared[shape] = (start, start + size), count
    return found


def _long_parts(graph: Graph) -> Iterator[tuple[int, Node]]:
    """The slices that go into the largest piece of a concatenation, with its size."""
    for node in graph.nodes:
        if node.op is not concatenate or node.aval.ndim != 1:
            continue
        pieces = [graph.nodes[i] for i in node.operands]
        sizes = {piece.id: size for piece in pieces if isinstance(size := piece.aval.size, int)}
        largest = max(sizes, key=lambda i: sizes[i], default=-1)
        if len(sizes) < len(set(node.operands)) or sizes[largest] < _LONG:
            continue
        for i in (largest, *graph.nodes[largest].operands):
            if graph.nodes[i].op is slice_ and graph.nodes[i].aval.ndim == 1:
                yield sizes[largest], graph.nodes[i]


def _shared(graph: Graph, i: int) -> int:
    """How many values of its shape a value needs that a sum over all elements needs too, at most."""
    own = _needed(graph, i)
    sums = [node.operands[0] for node in graph.nodes if node.op is reduce_sum]
    return max(
        (len(own & _needed(graph, x)) for x in sums if graph.nodes[x].aval.shape == graph.nodes[i].aval.shape),
        default=0,
    )


def _needed(graph: Graph, i: int) -> set[int]:
    """The values of a value's shape that are computed for it, itself among them."""
    shape, needed, waiting = graph.nodes[i].aval.shape, set[int](), [i]
    while waiting:
        node = graph.nodes[waiting.pop()]
        if node.op.elementwise and node.aval.shape == shape and node.id not in needed:
            needed.add(node.id)
            waiting += node.operands
    return needed


def _total(x: Value) -> Value:
    return reshaped(x, ()) if x.aval.size == 1 else reduce_sum(x, axes=(0,), keepdims=False)


def _range(x: Value, start: int, stop: int) -> Value:
    return slice_(x, starts=(start,), sizes=(stop - start,), steps=(1,))


def _is_zero(base: Value) -> bool:
    number = base.builder.scalar(base)
    return number is not None and not number


def _pieces(updates: tuple[Update, ...], length: int) -> list[Piece]:
    """The axis, cut where an update begins or ends."""
    cuts = sorted({0, length, *(u.start for u in updates), *(u.stop for u in updates)})
    pieces = []
    for start, stop in pairwise(cuts):
        terms: tuple[Update, ...] = ()
        for update in updates:
            if update.start <= start and stop <= update.stop:
                terms = (*terms, update) if update.adds else (update,)
        pieces.append(Piece(start, stop, terms))
    return pieces


def _pays(pieces: list[Piece]) -> bool:
    cut = sum(1 for piece in pieces for u in piece.terms if u.stop - u.start > piece.stop - piece.start)
    return cut <= _MOST_CUT and len(pieces) <= _MOST_PIECES and all(len(p.terms) <= _MOST_TERMS for p in pieces)


def _sum(builder: Builder, piece: Piece, shape: tuple[Dim, ...], axis: int, like: Value) -> Value:
    """The sum of the parts of values that are in a piece."""
    length = piece.stop - piece.start
    sizes = tuple(length if a == axis else d for a, d in enumerate(shape))
    total: Value | None = None
    for update in piece.terms:
        starts = tuple(piece.start - update.start if a == axis else 0 for a in range(len(shape)))
        part = slice_(update.value, starts=starts, sizes=sizes, steps=(1,) * len(shape))
        part = update.value if update.stop - update.start == length else part
        total = part if total is None else _added(total, part)
    return total if total is not None else builder.full(0, like.aval.with_shape(sizes))


def _added(total: Value, part: Value) -> Value:
    """The sum of two values; of masks, where one of them is True."""
    return logical_or(total, part) if total.aval.dtype.kind == "b" else total + part
