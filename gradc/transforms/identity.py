"""Batches that start as an identity matrix, as the seeds of a Jacobian do: most of what they hold is known to be 0.

A derivative by each element of an array is a batch of tangents, one for each element, which has the axes of the array
in front (``lead``). At the seed it is 1 where those axes agree with the axes of the value and 0 elsewhere. Such an axis
of the batch is tied to an axis of the value and not stored. Elementwise ops leave it tied, so the Jacobian of an
elementwise function is a diagonal all the way; a sum over a tied axis picks one term, and the axis becomes one of the
batch like any other. Where an op mixes elements otherwise the identity is written out.

What is batched here is linear in the seeds: 0 where nothing is stored stays 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gradc.ir.aval import Aval, Dim, size_of
from gradc.ir.graph import INPUT, Builder, Graph, Node, Value
from gradc.ops.contraction import aligned, contract, fresh_letters
from gradc.ops.elementwise import add, convert, div, equal, logical_and, mul, neg, select, sub
from gradc.ops.reduce import reduce_sum, reduced_shape
from gradc.ops.shape import broadcast, broadcast_to, iota, reshape, reshaped, slice_, transpose
from gradc.transforms.batching import apply_batched

Shape = tuple[Dim, ...]


class Tied(NamedTuple):
    """A batch of values. ``ties`` has an entry for each axis of the batch: the axis of a single value that it is tied
    to, None where it is stored. ``value`` has the stored axes of the batch in front."""

    value: Value
    ties: tuple[int | None, ...]

    @property
    def is_dense(self) -> bool:
        return all(tie is None for tie in self.ties)


def identity(builder: Builder, aval: Aval) -> Tied:
    """The seeds of the derivative by each element of a value; a batch with the axes of ``aval``."""
    ties = tuple([None if size == 1 else axis for axis, size in enumerate(aval.shape)])
    stored = (1,) * ties.count(None)
    return Tied(builder.full(1.0, Aval((*stored, *aval.shape), aval.dtype)), ties)


def replay_tied(graph: Graph, builder: Builder, inputs: Sequence[Tied | Value], lead: Shape) -> list[Tied | Value]:
    """The outputs of ``graph`` where some inputs are batches; a Value where those do not reach."""
    image: dict[int, Tied | Value] = dict(zip(graph.inputs, inputs, strict=True))
    outer = builder.origin
    for node in graph.nodes:
        if node.op is INPUT:
            continue
        builder.origin = graph.origins.get(node.id, outer)
        operands = [image[i] for i in node.operands]
        made: Tied | Value
        if any(isinstance(x, Tied) for x in operands):
            made = _applied(graph, node, operands, lead)
            named = made.value
        else:
            made = named = builder.apply_ids(
                node.op, tuple([x.id for x in operands if isinstance(x, Value)]), node.params
            )
        image[node.id] = made
        if node.id in graph.names:
            builder.name(named, graph.names[node.id])
    builder.origin = outer
    return [image[i] for i in graph.outputs]


def dense(batch: Tied, lead: Shape, shape: Shape, *, behind: bool = False) -> Value:
    """The batch written out: the axes ``lead`` before those of a single value of ``shape``, or ``behind`` them."""
    value, count, ndim = batch.value, batch.ties.count(None), len(shape)
    if behind and 0 < count < value.aval.ndim:
        value = transpose(value, axes=(*range(count, count + ndim), *range(count)))
    if batch.is_dense:
        return value
    stored = tuple(size if tie is None else 1 for size, tie in zip(lead, batch.ties, strict=True))
    known, full = ((*shape, *stored), (*shape, *lead)) if behind else ((*stored, *shape), (*lead, *shape))
    spread = broadcast(reshaped(value, known), full)
    first_lead, first = (ndim, 0) if behind else (0, len(lead))
    mask: Value | None = None
    for axis, tie in enumerate(batch.ties):
        if tie is not None:
            agree = equal(_positions(value, full, first_lead + axis), _positions(value, full, first + tie))
            mask = agree if mask is None else logical_and(mask, agree)
    assert mask is not None
    return select(mask, spread, value.builder.full(0.0, spread.aval))


def _positions(like: Value, shape: Shape, axis: int) -> Value:
    """For each element its place along an axis."""
    numbers = like.builder.apply(iota, dim=shape[axis], dtype=np.dtype(np.int64))
    return broadcast(reshaped(numbers, tuple(d if a == axis else 1 for a, d in enumerate(shape))), shape)


def _applied(graph: Graph, node: Node, operands: Sequence[Tied | Value], lead: Shape) -> Tied:
    structures = {x.ties for x in operands if isinstance(x, Tied)}
    if len(structures) == 1 and any(tie is not None for tie in next(iter(structures))):
        found = _kept_tied(graph, node, operands, next(iter(structures)), lead)
        if found is not None:
            return found
    avals = [graph.nodes[i].aval for i in node.operands]
    values = [dense(x, lead, aval.shape) if isinstance(x, Tied) else x for x, aval in zip(operands, avals, strict=True)]
    flags = [isinstance(x, Tied) for x in operands]
    return Tied(apply_batched(graph, node, values, flags, lead), (None,) * len(lead))


def _kept_tied(
    graph: Graph, node: Node, operands: Sequence[Tied | Value], ties: tuple[int | None, ...], lead: Shape
) -> Tied | None:
    """The node where the ties survive it, or become stored axes; None where the identity has to be written out."""
    batched = [k for k, x in enumerate(operands) if isinstance(x, Tied)]
    if node.op is contract:
        return _contracted(node, operands, batched, ties)
    aval = graph.nodes[node.operands[batched[0]]].aval
    if node.op is reduce_sum:
        return _summed(node, operands[0], aval, ties)
    if not _is_linear(node, operands, batched):
        return None
    moved = [None if tie is None else _carried(node, aval.shape, tie) for tie in ties]
    if any(new is None and tie is not None for new, tie in zip(moved, ties, strict=True)):
        return None
    stored = tuple([size for size, tie in zip(lead, ties, strict=True) if tie is None])
    values = [x.value if isinstance(x, Tied) else x for x in operands]
    flags = [k in batched for k in range(len(operands))]
    return Tied(apply_batched(graph, node, values, flags, stored), tuple(moved))


def _is_linear(node: Node, operands: Sequence[Tied | Value], batched: list[int]) -> bool:
    """Whether the op is one on elements that keeps what is 0, or one that moves them."""
    op = node.op
    if op in (broadcast_to, transpose, reshape, slice_):
        return True
    if op in (add, sub):
        return len(batched) == 2
    if op is mul:
        return len(batched) == 1
    if op is div:
        return batched == [0]
    if op is select:
        rest = [x for k, x in enumerate(operands[1:], 1) if k not in batched]
        return 0 not in batched and all(isinstance(x, Value) and x.builder.scalar(x) == 0 for x in rest)
    return op in (neg, convert)


def _carried(node: Node, shape: Shape, axis: int) -> int | None:
    """Where an axis of the operand stands in the result, whole and in order; None where it does not."""
    op, params = node.op, node.params
    if op.elementwise:
        return axis
    if op is transpose:
        return int(params["axes"].index(axis))
    if op is broadcast_to:
        return axis + len(params["shape"]) - len(shape)
    if op is slice_:
        whole = (params["starts"][axis], params["sizes"][axis], params["steps"][axis]) == (0, shape[axis], 1)
        return axis if whole else None
    before = size_of(shape[:axis])
    new: Shape = params["shape"]
    return next((a for a, d in enumerate(new) if d == shape[axis] and size_of(new[:a]) == before), None)


def _summed(node: Node, operand: Tied | Value, aval: Aval, ties: tuple[int | None, ...]) -> Tied:
    """A sum over tied axes picks the one term where they agree with the batch."""
    assert isinstance(operand, Tied)
    axes, keepdims = node.params["axes"], node.params["keepdims"]
    stored = iter(range(len(ties)))
    shift = ties.count(None)
    front = [next(stored) if tie is None else tie + shift for tie in ties if tie is None or tie in axes]
    rest = [a + shift for a in range(aval.ndim) if a + shift not in front]
    value = operand.value
    order = (*front, *rest)
    if order != tuple(range(len(order))):
        value = transpose(value, axes=order)
    left = tuple(k for k, a in enumerate(order) if k >= len(front) and a - shift in axes)
    if left:
        value = reduce_sum(value, axes=left, keepdims=False)
    shape = reduced_shape(aval.shape, axes, keepdims)
    value = reshaped(value, (*value.aval.shape[: len(front)], *shape))
    kept = [tie if keepdims or tie is None else tie - sum(a < tie for a in axes) for tie in ties]
    moved = tuple(None if tie is None or tie in axes else new for tie, new in zip(ties, kept, strict=True))
    return Tied(value, moved)


def _contracted(
    node: Node, operands: Sequence[Tied | Value], batched: list[int], ties: tuple[int | None, ...]
) -> Tied | None:
    """A contraction over a tied letter has one term, and the letter stays as an axis of the batch."""
    if len(batched) != 1:
        return None
    (k,) = batched
    batch, other = operands[k], operands[1 - k]
    assert isinstance(batch, Tied)
    assert isinstance(other, Value)
    letters = [node.params["lhs"], node.params["rhs"]]
    own, out = letters[k], node.params["out"]
    fresh = fresh_letters(letters[0] + letters[1], ties.count(None))
    remaining = iter(fresh)
    front = ""
    moved: list[int | None] = []
    for tie in ties:
        letter = next(remaining) if tie is None else own[tie]
        is_tied = tie is not None and letter in out
        front += "" if is_tied else letter
        moved.append(out.index(letter) if is_tied else None)
    letters[k] = fresh + own
    values = [batch.value if j == k else other for j in range(2)]
    result = front + out
    if set(letters[0] + letters[1]) - set(result):
        value = contract(values[0], values[1], lhs=letters[0], rhs=letters[1], out=result)
    else:
        sizes = dict(zip(letters[0] + letters[1], values[0].aval.shape + values[1].aval.shape, strict=True))
        first, second = (aligned(x, own, result, sizes) for x, own in zip(values, letters, strict=True))
        value = first * second
    return Tied(value, tuple(moved))
