"""Reductions of zeros into which something was written: the cotangent of a loss that picks one element of each row."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gradc.ir.graph import CONSTANT, Builder, Value
from gradc.ir.op import Op
from gradc.ops.index import gather, index_position, scatter
from gradc.ops.reduce import reduced_shape
from gradc.ops.shape import iota, reshaped
from gradc.passes.rewrite import Law, procedure

Params = dict[str, Any]
Ids = tuple[int, ...]


@procedure("one-in-each-row", "sum(scatter(0, x, arange(n), j)) over j -> x", "reduce_sum reduce_any", "scatter")
def _one_in_each_row(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    """Each row has one element, wherever it stands in it; that j is within bounds is checked where else it is read."""
    written = builder.nodes[ids[0]]
    base, value, *indices = written.operands
    axes, shape, summed = written.params["axes"], written.aval.shape, params["axes"]
    kept = [(axis, index) for axis, index in zip(axes, indices, strict=True) if axis not in summed]
    if len(kept) != 1 or not set(summed) < set(axes) or not _is_zero(builder, base):
        return None
    ((row, counter),) = kept
    columns = [(axis, index) for axis, index in zip(axes, indices, strict=True) if axis in summed]
    if index_position(axes) != row - sum(a < row for a in summed) or not _counts(builder, counter, shape[row]):
        return None
    if not all(_is_checked_elsewhere(builder, ids[0], index, shape[axis]) for axis, index in columns):
        return None
    x = Value(builder, value)
    zero = builder.full(0, x.aval)
    total = x if op.name == "reduce_any" else x + zero  # -0.0 added to zeros is 0.0
    return reshaped(total, reduced_shape(shape, summed, params["keepdims"]))


def _is_zero(builder: Builder, base: int) -> bool:
    number = builder.scalar(Value(builder, base))
    return number is not None and not number and not np.signbit(np.real(number))


def _counts(builder: Builder, index: int, size: Any) -> bool:
    """Whether an index is 0, 1, 2, ... up to a size."""
    node = builder.nodes[index]
    if node.op is iota:
        return bool(node.params["dim"] == size)
    return node.op is CONSTANT and node.aval.shape == (size,) and np.array_equal(node.params["value"], np.arange(size))


def _is_checked_elsewhere(builder: Builder, but: int, index: int, size: Any) -> bool:
    """Whether another gather or scatter reads the index on an axis of that size."""
    for node in reversed(builder.nodes):
        first = 1 if node.op is gather else 2
        if node.id == but or node.op not in (gather, scatter) or index not in node.operands[first:]:
            continue
        array = builder.nodes[node.operands[0]].aval.shape
        places = zip(node.params["axes"], node.operands[first:], strict=True)
        if any(i == index and array[axis] == size for axis, i in places):
            return True
    return False


SCATTERED: Final[tuple[Law, ...]] = _one_in_each_row
