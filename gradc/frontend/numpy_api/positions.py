"""NumPy's functions that speak of the positions of elements, over Values: sums so far, extremes, triangles, borders."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import one_axis, require_size
from gradc.frontend.numpy_api.contractions import diagonal
from gradc.frontend.numpy_api.promote import astype, converted
from gradc.frontend.numpy_api.reductions import accumulator
from gradc.frontend.numpy_api.registry import implements
from gradc.frontend.numpy_api.shapes import part
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops import elementwise as ops
from gradc.ops import reduce as reductions
from gradc.ops import shape as shapes
from gradc.ops.shape import broadcast, reshaped


def _flattened(x: Value) -> Value:
    return reshaped(x, (x.aval.size,))


@implements(np.cumsum, arrays=("a",))
def cumsum(a: Value, axis: Any = None, dtype: Any = None) -> Value:
    """The sum of all elements up to each, along an axis.

    By doubling: after step k an element holds the sum of the ``2**k`` elements that end at it.
    """
    if axis is None:
        a, axis = _flattened(a), 0
    place = one_axis("np.cumsum", axis, a.aval.ndim, str(a.aval))
    size = require_size("np.cumsum", a.aval.shape[place], "the sums are made step by step")
    x = astype(a, dtype if dtype is not None else accumulator(np.add, a.aval.dtype))
    if x.aval.dtype.kind == "b":
        raise TraceError("np.cumsum: dtype=bool is not supported; use dtype=int")
    reach = 1
    while reach < size:
        head, tail = part(x, place, 0, reach), part(x, place, reach, size - reach)
        x = shapes.concatenate(head, tail + part(x, place, 0, size - reach), axis=place)
        reach *= 2
    return x


# Where the extremes are.


def _first_extreme(name: str, op: Op, a: Value, axis: Any, keepdims: Any) -> Value:
    """The first position of the extreme element along an axis; a NaN is more extreme than any number."""
    place, x = (None, _flattened(a)) if axis is None else (one_axis(name, axis, a.aval.ndim, str(a.aval)), a)
    along = place or 0
    size = require_size(name, x.aval.shape[along], "its positions are counted")
    if size == 0:
        raise ShapeError(f"{name}: {a.aval} has no element along the axis, so none is first")
    shape = x.aval.shape
    extreme = broadcast(op(x, axes=(along,), keepdims=True), shape)
    chosen = ops.equal(x, extreme)
    if x.aval.is_float:
        chosen = ops.logical_or(chosen, ops.isnan(x))
    column = tuple(size if k == along else 1 for k in range(len(shape)))
    positions = broadcast(x.builder.constant(np.arange(size, dtype=np.int64).reshape(column)), shape)
    behind = x.builder.full(size, positions.aval)
    first = reductions.reduce_min(ops.select(chosen, positions, behind), axes=(along,), keepdims=True)
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


@implements(np.pad, arrays=("array", "constant_values"))
def pad(array: Value, pad_width: Any, mode: Any = "constant", constant_values: Value | None = None) -> Value:
    """The array with a border of a number. Raises TraceError for other modes."""
    if mode != "constant":
        raise TraceError(f"np.pad: mode={mode!r} is not supported on traced arrays; use mode='constant' or concatenate")
    if constant_values is not None and constant_values.aval.shape:
        raise TraceError("np.pad: constant_values must be one number on traced arrays")
    widths = np.broadcast_to(np.asarray(pad_width), (array.aval.ndim, 2))
    if widths.dtype.kind not in "iu" or (widths < 0).any():
        raise ShapeError(f"np.pad: pad_width {pad_width!r} is not made of non-negative ints")
    before, after = widths[:, 0].tolist(), widths[:, 1].tolist()
    shape = tuple(b + d + a for b, d, a in zip(before, array.aval.shape, after, strict=True))
    if constant_values is None:
        border = array.builder.full(0, array.aval.with_shape(shape))
    else:
        border = broadcast(converted(constant_values, array.aval.dtype), shape)
    return shapes.update_slice(border, array, starts=tuple(before), steps=(1,) * array.aval.ndim, mode="set")
