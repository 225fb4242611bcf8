"""NumPy's functions that speak of the positions of elements, over Values: extremes, triangles, diagonals."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradc.errors import ShapeError
from gradc.frontend.numpy_api.axes import one_axis, require_size
from gradc.frontend.numpy_api.complex_order import first_place, is_extreme
from gradc.frontend.numpy_api.contractions import diagonal
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops import elementwise as ops
from gradc.ops import reduce as reductions
from gradc.ops import shape as shapes
from gradc.ops.shape import broadcast, reshaped


def _flattened(x: Value) -> Value:
    return reshaped(x, (x.aval.size,))


# Where the extremes are.


def _first_extreme(name: str, op: Op, a: Value, axis: Any, keepdims: Any) -> Value:
    """The first position of the extreme element along an axis; a NaN is more extreme than any number."""
    place, x = (None, _flattened(a)) if axis is None else (one_axis(name, axis, a.aval.ndim, str(a.aval)), a)
    along = place or 0
    size = require_size(name, x.aval.shape[along], "its positions are counted")
    if size == 0:
        raise ShapeError(f"{name}: {a.aval} has no element along the axis, so none is first")
    shape = x.aval.shape
    if x.aval.dtype.kind == "c":
        chosen = is_extreme(op, x, along)
    else:
        chosen = ops.equal(x, broadcast(op(x, axes=(along,), keepdims=True), shape))
        if x.aval.is_float:
            chosen = ops.logical_or(chosen, ops.isnan(x))
    first = first_place(chosen, along, size)
    kept = tuple(1 if place in (None, k) else d for k, d in enumerate(a.aval.shape))
    return reshaped(
        first, kept if keepdims is True else tuple(d for k, d in enumerate(a.aval.shape) if place not in (None, k))
    )


@implements(np.argmax, arrays=("a",))
def argmax(a: Value, axis: Any = None, keepdims: Any = False) -> Value:
    """The first position of the largest element; it has no derivative."""
    return _first_extreme("np.argmax", reductions.reduce_max, a, axis, keepdims)


@implements(np.argmin, arrays=("a",))
def argmin(a: Value, axis: Any = None, keepdims: Any = False) -> Value:
    """The first position of the smallest element; it has no derivative."""
    return _first_extreme("np.argmin", reductions.reduce_min, a, axis, keepdims)


# Triangles, diagonals, borders.


def _triangle(name: str, m: Value, k: Any, *, lower: bool) -> Value:
    if m.aval.ndim < 2:
        m = broadcast(m, (*m.aval.shape, *m.aval.shape)) if m.aval.ndim == 1 else m
    if m.aval.ndim < 2:
        raise ShapeError(f"{name}: {m.aval} has no rows and columns")
    rows, columns = (require_size(name, d, "its rows and columns are counted") for d in m.aval.shape[-2:])
    mask = np.tri(rows, columns, operator.index(k) if lower else operator.index(k) - 1, dtype=bool)
    keep = broadcast(m.builder.constant(mask if lower else ~mask), m.aval.shape)
    return ops.select(keep, m, m.builder.full(0, m.aval))


@implements(np.tril, arrays=("m",))
def tril(m: Value, k: Any = 0) -> Value:
    """The elements on and below the k-th diagonal, 0 elsewhere."""
    return _triangle("np.tril", m, k, lower=True)


@implements(np.triu, arrays=("m",))
def triu(m: Value, k: Any = 0) -> Value:
    """The elements on and above the k-th diagonal, 0 elsewhere."""
    return _triangle("np.triu", m, k, lower=False)


@implements(np.diag, arrays=("v",))
def diag(v: Value, k: Any = 0) -> Value:
    """The k-th diagonal of a matrix, or the matrix that has a vector there."""
    if v.aval.ndim == 2:
        return diagonal(v, k)
    if v.aval.ndim != 1:
        raise ShapeError(f"np.diag: {v.aval} is neither a vector nor a matrix")
    offset = operator.index(k)
    size = require_size("np.diag", v.aval.shape[0], "the matrix has it twice")
    side = size + abs(offset)
    flat = v.builder.full(0, v.aval.with_shape((side * side,)))
    if size:
        start = offset if offset >= 0 else -offset * side
        flat = shapes.update_slice(flat, v, starts=(start,), steps=(side + 1,), mode="set")
    return reshaped(flat, (side, side))
