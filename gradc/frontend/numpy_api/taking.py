"""NumPy's functions that index, over Values."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import one_axis, require_size
from gradc.frontend.numpy_api.indexing import getitem
from gradc.frontend.numpy_api.promote import astype, common_shape
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.graph import Value
from gradc.ops import elementwise as ops
from gradc.ops import index as indices_ops
from gradc.ops.shape import broadcast, reshaped


def _already(x: Any, name: str) -> Value:
    if not isinstance(x, Value):
        raise TraceError(f"{name}: {type(x).__name__} is not an array")
    return x


@implements(np.take, arrays=("a", "indices"))
def take(a: Value, indices: Value, axis: Any = None, mode: Any = "raise") -> Value:
    """Elements at integer positions along an axis, of all elements where ``axis`` is None."""
    if mode not in ("raise", "wrap", "clip"):
        raise TraceError(f"np.take: mode={mode!r} is none of 'raise', 'wrap', 'clip'")
    if axis is None:
        a, axis = reshaped(a, (a.aval.size,)), 0
    place = one_axis("np.take", axis, a.aval.ndim, str(a.aval))
    if mode != "raise":
        indices = _within(indices, require_size("np.take", a.aval.shape[place], "indices are brought into it"), mode)
    node = indices.node
    index = node.params["value"] if node.op.name == "constant" else astype(indices, np.int64)
    return getitem(a, (*(slice(None),) * place, index), _already)


def _within(indices: Value, size: int, mode: str) -> Value:
    """Indices brought into a size: taken modulo it, or the next that is in it."""
    index = astype(indices, np.int64)
    if mode == "wrap":
        return ops.mod(index, index.builder.full(size, index.aval))
    low, high = index.builder.full(0, index.aval), index.builder.full(size - 1, index.aval)
    return ops.minimum(ops.maximum(index, low), high)


@implements(np.take_along_axis, arrays=("arr", "indices"))
def take_along_axis(arr: Value, indices: Value, axis: Any = -1) -> Value:
    """For each place of ``indices`` the element of ``arr`` there, its position along the axis replaced."""
    if axis is None:
        return take_along_axis(reshaped(arr, (arr.aval.size,)), indices, 0)
    positions = positions_along("np.take_along_axis", arr, indices, axis)
    return indices_ops.gather(arr, *positions, axes=tuple(range(arr.aval.ndim)))


def positions_along(name: str, arr: Value, indices: Value, axis: Any) -> list[Value]:
    """The positions on every axis of the elements that ``indices`` names along one. Raises ShapeError."""
    place = one_axis(name, axis, arr.aval.ndim, str(arr.aval))
    if indices.aval.ndim != arr.aval.ndim:
        raise ShapeError(f"{name}: {indices.aval} and {arr.aval} differ in the number of axes")
    others = []
    for k, d in enumerate(arr.aval.shape):
        if k == place:
            others.append(astype(indices, np.int64))
            continue
        size = require_size(name, d, "its positions are counted")
        along = tuple(size if m == k else 1 for m in range(arr.aval.ndim))
        others.append(arr.builder.constant(np.arange(size, dtype=np.int64).reshape(along)))
    shape = common_shape(name, *others)
    return [broadcast(o, shape) for o in others]
