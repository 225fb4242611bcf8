"""Indices that are known and count in equal steps, as those of windows do: views in place of tables.

What is gathered by such indices is read where it stands, at a place that is a sum of multiples of loop variables. What
is scattered by them is written into slices: one for each place in a window, in the order in which the elements of the
table come, so that every sum has the bits that it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from gradc.ir.aval import Aval, Dim
from gradc.ir.graph import CONSTANT, Value
from gradc.ir.node import Node
from gradc.ir.op import Op
from gradc.loops.algebra.panels import never
from gradc.loops.lowering.indexing import AnyIndex, Indices, strides_of
from gradc.ops.elementwise import add
from gradc.ops.index import gathered_shape, index_position
from gradc.ops.shape import broadcast_to, reshape, reshaped, slice_, update_slice

_MOST_SLICES: Final = 32
"""Windows of more places stay one loop that scatters: each slice is a nest of its own until nests are merged."""

Steps = tuple[int, tuple[int, ...]]
"""The first index of a table, and by how much it grows along each axis of the table."""


def equal_steps(value: np.ndarray, length: int) -> Steps | None:
    """How indices into an axis count; None where they do not count in equal steps along each axis, or leave it."""
    table = np.asarray(value).astype(np.int64)
    if table.size == 0 or table.min() < -length or table.max() >= length:
        return None
    table = np.where(table < 0, table + length, table)
    first = int(table.flat[0])
    steps = tuple(
        int(table[tuple(int(a == axis) for a in range(table.ndim))]) - first if size > 1 else 0
        for axis, size in enumerate(table.shape)
    )
    counted = np.full(table.shape, first)
    for axis, (step, size) in enumerate(zip(steps, table.shape, strict=True)):
        counted += step * np.arange(size).reshape([-1 if a == axis else 1 for a in range(table.ndim)])
    return (first, steps) if bool((table == counted).all()) else None


def _infer(x: Aval, *, axes: tuple[int, ...], tables: tuple[Steps, ...], shape: tuple[int, ...]) -> Aval:
    return x.with_shape(gathered_shape(x.shape, shape, axes))


def _source(
    index: Indices, x: Aval, *, axes: tuple[int, ...], tables: tuple[Steps, ...], shape: tuple[int, ...]
) -> Indices:
    start = index_position(axes)
    at = index[start : start + len(shape)]
    rest = iter((*index[:start], *index[start + len(shape) :]))
    counted = dict(zip(axes, (counting(table, at) for table in tables), strict=True))
    return tuple(counted[a] if a in counted else next(rest) for a in range(x.ndim))


def counting(table: Steps, at: Indices) -> AnyIndex:
    """The index that stands at a place of a table."""
    first, steps = table
    found: AnyIndex = first
    for step, i in zip(steps, at, strict=True):
        found = found + i * step if step else found
    return found


windows = Op("windows", _infer, never, loops=_source)
"""A gather by ``tables``, of indices that count in equal steps, over index axes of ``shape``."""


def gather_rule(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value | None:
    """A gather by tables that count in equal steps as a view; None where they do not."""
    x, *indices = operands
    tables = _tables(x, indices, params["axes"])
    if tables is None:
        return None
    shape = tuple(int(d) for d in indices[0].aval.shape)
    return x.builder.apply(windows, x, axes=params["axes"], tables=tables, shape=shape)


def scatter_rule(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value | None:
    """Writes at places of one axis that count in equal steps, as writes into slices; None where they are others."""
    base, value, *indices = operands
    tables = _tables(base, indices, params["axes"])
    if tables is None or len(tables) > 1 or indices[0].aval.ndim > 2:
        return None
    (axis,), ((first, steps),), mode = params["axes"], tables, params["mode"]
    if indices[0].aval.ndim == 0:
        shape = (*value.aval.shape[:axis], 1, *value.aval.shape[axis:])
        return _written(base, reshaped(value, shape), axis, first, 1, mode)
    if indices[0].aval.ndim == 1:
        return _written(base, value, axis, first, steps[0] or 1, mode) if _is_one_to_one(steps, indices) else None
    sizes = [int(d) for d in indices[0].aval.shape]
    along = 0 if sizes[0] > sizes[1] else 1
    across = 1 - along
    if mode != "add" or sizes[across] > _MOST_SLICES or not steps[along]:
        return None
    total = base
    for k in _in_order(steps, sizes[across], across):
        part = _part(value, axis + across, k)
        total = _written(total, part, axis, first + k * steps[across], steps[along], mode)
    return total


def is_spread(place: Indices, loops: int) -> bool:
    """Whether the iterations of the innermost of some loops write to places that differ, and are known."""
    strides = [strides_of(index, loops) for index in place]
    known = [found[0] for found in strides if found is not None]
    return len(known) == len(strides) and any(found[-1] != 0 for found in known if found)


def _is_one_to_one(steps: tuple[int, ...], indices: list[Value]) -> bool:
    return bool(steps[0]) or indices[0].aval.size == 1


def _in_order(steps: tuple[int, ...], count: int, across: int) -> range:
    """The slices in the order in which an element gets its terms, where the table is gone through row by row.

    Rows come one after the other. Of columns those come first that reach the element in earlier rows: the last ones,
    where both steps have one sign.
    """
    return range(count - 1, -1, -1) if across == 1 and steps[0] * steps[1] > 0 else range(count)


def _part(x: Value, axis: int, k: int) -> Value:
    """The elements at place ``k`` of an axis, which goes."""
    shape = x.aval.shape
    starts = tuple(k if a == axis else 0 for a in range(len(shape)))
    sizes = tuple(1 if a == axis else d for a, d in enumerate(shape))
    found = slice_(x, starts=starts, sizes=sizes, steps=(1,) * len(shape))
    return reshaped(found, (*shape[:axis], *shape[axis + 1 :]))


def _written(base: Value, value: Value, axis: int, start: int, step: int, mode: str) -> Value:
    rank = base.aval.ndim
    starts: tuple[Dim, ...] = tuple(start if a == axis else 0 for a in range(rank))
    steps = tuple(step if a == axis else 1 for a in range(rank))
    return update_slice(base, value, starts=starts, steps=steps, mode=mode)


def _tables(x: Value, indices: list[Value], axes: tuple[int, ...]) -> tuple[Steps, ...] | None:
    found = []
    for index, axis in zip(indices, axes, strict=True):
        length = x.aval.shape[axis]
        if not isinstance(length, int) or index.aval.is_symbolic:
            return None
        table = _table(index)
        steps = summed_steps(index.builder.nodes, index.id, length) if table is None else equal_steps(table, length)
        if steps is None:
            return None
        found.append(steps)
    return tuple(found)


def summed_steps(nodes: Sequence[Node], index: int, length: int) -> Steps | None:
    """How indices that are a sum of known ones count; None where they leave the axis, or are data."""
    found, shape = _steps(nodes, index), nodes[index].aval.shape
    if found is None or 0 in shape:
        return None
    first, steps = found
    spans = [step * (int(size) - 1) for step, size in zip(steps, shape, strict=True)]
    least, most = (first + sum(bound(span, 0) for span in spans) for bound in (min, max))
    return found if least >= 0 and most < length else None


def _steps(nodes: Sequence[Node], node_id: int) -> Steps | None:
    """How integers count that are sums of repeated constants."""
    node = nodes[node_id]
    shape = node.aval.shape
    if node.op is CONSTANT:
        value = node.params["value"]
        least = int(value.min(initial=0))
        found = equal_steps(value - least, int(value.max(initial=0)) - least + 1)
        return None if found is None else (found[0] + least, found[1])
    if node.op is add:
        left, right = (_steps(nodes, i) for i in node.operands)
        if left is None or right is None:
            return None
        return left[0] + right[0], tuple(one + other for one, other in zip(left[1], right[1], strict=True))
    if node.op not in (broadcast_to, reshape):
        return None
    found, own = _steps(nodes, node.operands[0]), nodes[node.operands[0]].aval.shape
    if found is None:
        return None
    if node.op is broadcast_to:
        steps = tuple(0 if d == 1 else step for step, d in zip(found[1], own, strict=True))
        return found[0], (*(0,) * (len(shape) - len(own)), *steps)
    if [d for d in own if d != 1] != [d for d in shape if d != 1]:
        return None
    rest = iter([step for step, d in zip(found[1], own, strict=True) if d != 1])
    return found[0], tuple(0 if d == 1 else next(rest) for d in shape)


def _table(index: Value) -> np.ndarray | None:
    """The numbers of a constant, or of one number that is repeated; None where they are data."""
    number = index.builder.scalar(index)
    if number is not None and not index.aval.is_symbolic:
        return np.broadcast_to(number, [int(d) for d in index.aval.shape])
    return index.node.params["value"] if index.node.op is CONSTANT else None
