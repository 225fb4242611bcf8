"""NumPy's functions that put arrays together, over Values."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradc.errors import ShapeError
from gradc.frontend.numpy_api.axes import as_shape, one_axis, require_size
from gradc.frontend.numpy_api.comparisons import not_equal
from gradc.frontend.numpy_api.promote import astype, common_dtype, converted, elementwise
from gradc.frontend.numpy_api.registry import implements
from gradc.frontend.numpy_api.shapes import atleast_1d, atleast_2d, expand_dims, part
from gradc.ir.graph import Value
from gradc.ops import elementwise as ops
from gradc.ops import shape as shapes
from gradc.ops.shape import broadcast, reshaped

Arrays = Sequence[Value] | Value


def _listed(name: str, arrays: Arrays) -> list[Value]:
    """The arrays; of one array, those along its first axis. Raises ShapeError where there are none."""
    if isinstance(arrays, Value):
        if not arrays.aval.shape:
            raise ShapeError(f"{name}: {arrays.aval} is not a sequence of arrays")
        count = require_size(name, arrays.aval.shape[0], "the number of arrays must be known")
        return [reshaped(part(arrays, 0, k, 1), arrays.aval.shape[1:]) for k in range(count)]
    if not arrays:
        raise ShapeError(f"{name}: needs at least one array")
    return list(arrays)


def _joined(name: str, values: Sequence[Value], axis: int, dtype: Any = None) -> Value:
    """Values joined along an axis that they have. Raises ShapeError."""
    first = values[0].aval
    for other in (v.aval for v in values[1:]):
        same = other.ndim == first.ndim and all(
            a == b for k, (a, b) in enumerate(zip(first.shape, other.shape, strict=True)) if k != axis
        )
        if not same:
            raise ShapeError(f"{name}: {first} and {other} differ in an axis other than axis {axis}")
    if dtype is None:
        common = common_dtype(*values)
        parts = [converted(v, common) for v in values]
    else:
        parts = [astype(v, dtype) for v in values]
    return parts[0] if len(parts) == 1 else shapes.concatenate(*parts, axis=axis)


@implements(np.concatenate, np.concat, sequences=("arrays",))
def concatenate(arrays: Arrays, axis: Any = 0, *, dtype: Any = None) -> Value:
    """Arrays joined along an axis that they have; with ``axis=None`` flattened first."""
    values = _listed("np.concatenate", arrays)
    if axis is None:
        return _joined("np.concatenate", [reshaped(v, (v.aval.size,)) for v in values], 0, dtype)
    if not all(v.aval.shape for v in values):
        raise ShapeError("np.concatenate: arrays without axes cannot be joined; use np.stack")
    place = one_axis("np.concatenate", axis, values[0].aval.ndim, str(values[0].aval))
    return _joined("np.concatenate", values, place, dtype)


@implements(np.stack, sequences=("arrays",))
def stack(arrays: Arrays, axis: Any = 0, *, dtype: Any = None) -> Value:
    """Arrays of one shape joined along a new axis."""
    values = _listed("np.stack", arrays)
    for other in values[1:]:
        if other.aval.shape != values[0].aval.shape:
            raise ShapeError(f"np.stack: arrays must have one shape: {values[0].aval} and {other.aval}")
    place = one_axis("np.stack", axis, values[0].aval.ndim + 1)
    return _joined("np.stack", [expand_dims(v, place) for v in values], place, dtype)


@implements(np.vstack, sequences=("tup",))
def vstack(tup: Arrays, *, dtype: Any = None) -> Value:
    """Arrays joined along the first axis, vectors as rows."""
    return _joined("np.vstack", [atleast_2d(v) for v in _listed("np.vstack", tup)], 0, dtype)


@implements(np.hstack, sequences=("tup",))
def hstack(tup: Arrays, *, dtype: Any = None) -> Value:
    """Arrays joined along the second axis, vectors along their only one."""
    values = [atleast_1d(v) for v in _listed("np.hstack", tup)]
    return _joined("np.hstack", values, 0 if values[0].aval.ndim == 1 else 1, dtype)


@implements(np.column_stack, sequences=("tup",))
def column_stack(tup: Arrays) -> Value:
    """Arrays joined along the second axis, vectors as columns."""
    values = _listed("np.column_stack", tup)
    columns = [reshaped(v, (v.aval.size, 1)) if v.aval.ndim < 2 else v for v in values]
    return _joined("np.column_stack", columns, 1)


@implements(np.append, arrays=("arr", "values"))
def append(arr: Value, values: Value, axis: Any = None) -> Value:
    """``values`` joined to the end of an array."""
    return concatenate([arr, values], axis)


@implements(np.roll, arrays=("a",))
def roll(a: Value, shift: Any, axis: Any = None) -> Value:
    """Elements moved along axes; those that leave at the end enter at the start."""
    if axis is None:
        return reshaped(roll(reshaped(a, (a.aval.size,)), shift, 0), a.aval.shape)
    shifts, axes = np.size(shift), np.size(axis)
    if max(np.ndim(shift), np.ndim(axis)) > 1 or (shifts != axes and 1 not in (shifts, axes)):
        raise ShapeError(f"np.roll: {shifts} shifts for {axes} axes")
    for by, along in np.broadcast(shift, axis):
        count = int(by) if isinstance(by, float) else operator.index(by)
        a = _rolled(a, count, one_axis("np.roll", along, a.aval.ndim, str(a.aval)))
    return a


def _rolled(a: Value, shift: int, axis: int) -> Value:
    size = require_size("np.roll", a.aval.shape[axis], "elements wrap around it")
    offset = shift % size if size else 0
    if not offset:
        return a
    return shapes.concatenate(part(a, axis, size - offset, offset), part(a, axis, 0, size - offset), axis=axis)


@implements(np.tile, arrays=("A",))
def tile(A: Value, reps: Any) -> Value:
    """The array repeated as a whole along axes."""
    counts = as_shape("np.tile", reps)
    ndim = max(len(counts), A.aval.ndim)
    counts = (1,) * (ndim - len(counts)) + counts
    shape = (1,) * (ndim - A.aval.ndim) + A.aval.shape
    apart = tuple(d for pair in zip((1,) * ndim, shape, strict=True) for d in pair)
    repeated = tuple(d for pair in zip(counts, shape, strict=True) for d in pair)
    whole = tuple(c * d for c, d in zip(counts, shape, strict=True))
    return reshaped(broadcast(reshaped(A, apart), repeated), whole)


@implements(np.diff, arrays=("a", "prepend", "append"))
def diff(a: Value, n: Any = 1, axis: Any = -1, prepend: Any = None, append: Any = None) -> Value:
    """Differences of neighbours along an axis, ``n`` times."""
    if operator.index(n) < 0:
        raise ShapeError(f"np.diff: the order n must not be negative, not {n}")
    place = one_axis("np.diff", axis, a.aval.ndim, str(a.aval))
    if operator.index(n) == 0:
        return a
    ends = [_end(end, a, place) for end in (prepend, append)]
    x = _joined("np.diff", [v for v in (ends[0], a, ends[1]) if v is not None], place)
    for _ in range(operator.index(n)):
        size = require_size("np.diff", x.aval.shape[place], "neighbours are counted along it")
        if size == 0:
            break
        later, earlier = part(x, place, 1 if size > 1 else 0, size - 1), part(x, place, 0, size - 1)
        x = (
            not_equal(later, earlier)
            if x.aval.dtype == np.dtype(bool)
            else elementwise(ops.sub, np.subtract, later, earlier)
        )
    return x


def _end(end: Any, a: Value, axis: int) -> Value | None:
    if not isinstance(end, Value):
        return None
    if end.aval.shape:
        return end
    return broadcast(end, tuple(1 if k == axis else d for k, d in enumerate(a.aval.shape)))
