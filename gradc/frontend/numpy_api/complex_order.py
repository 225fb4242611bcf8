"""Complex numbers in NumPy's order, over Values: by their real parts, then by their imaginary parts.

In a sorted array NaN stands behind every number: ``R + nan i``, then ``nan + R i``, then NaN in both parts, and among
the first two those of a smaller number R before. The largest and the smallest element is the first that has a NaN.
"""

from __future__ import annotations

import math

import numpy as np

from gradc.errors import ShapeError
from gradc.frontend.numpy_api.axes import require_size
from gradc.frontend.numpy_api.taking import take_along_axis
from gradc.ir.aval import size_of
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops import cumulative, reduce
from gradc.ops import elementwise as ops
from gradc.ops.complex import imag, real
from gradc.ops.shape import broadcast, reshaped, transpose


def order_of(x: Value, axis: int) -> Value:
    """The positions of complex numbers in ascending order, those of equal ones as they are."""
    re, im = real(x), imag(x)
    zero = re.builder.full(0.0, re.aval)
    lost = ops.convert(ops.isnan(im), dtype=re.aval.dtype) + ops.convert(ops.isnan(re), dtype=re.aval.dtype) * 2.0
    is_whole = ops.equal(lost, zero)
    rest = ops.select(is_whole, im, ops.select(ops.isnan(re), im, re))
    found = cumulative.argsort(ops.select(ops.isnan(rest), zero, rest), axis=axis)
    for key in (ops.select(is_whole, re, zero), lost):
        again = cumulative.argsort(take_along_axis(key, found, axis), axis=axis)
        found = take_along_axis(found, again, axis)
    return found


def is_extreme(op: Op, x: Value, axis: int) -> Value:
    """Whether elements are the largest ones along an axis (the smallest ones for ``reduce_min``), or NaN if one is."""
    shape = x.aval.shape

    def among(part: Value) -> Value:
        return ops.equal(part, broadcast(op(part, axes=(axis,), keepdims=True), shape))

    re, im, missing = real(x), imag(x), ops.isnan(x)
    first = among(re)
    far = im.builder.full(-math.inf if op is reduce.reduce_max else math.inf, im.aval)
    found = ops.logical_and(first, among(ops.select(first, im, far)))
    broken = broadcast(reduce.reduce_any(missing, axes=(axis,), keepdims=True), shape)
    return ops.select(broken, missing, found)


def in_one_axis(x: Value, axes: tuple[int, ...]) -> Value:
    """The axes as one, behind the others."""
    rest = tuple(k for k in range(x.aval.ndim) if k not in axes)
    moved = transpose(x, axes=(*rest, *axes))
    return reshaped(moved, (*moved.aval.shape[: len(rest)], size_of(moved.aval.shape[len(rest) :])))


def first_place(chosen: Value, axis: int, size: int) -> Value:
    """The first position along an axis that is chosen, with that axis kept."""
    shape = chosen.aval.shape
    column = tuple(size if k == axis else 1 for k in range(len(shape)))
    counted = chosen.builder.constant(np.arange(size, dtype=np.int64).reshape(column))
    places = broadcast(counted, shape)
    behind = places.builder.full(size, places.aval)
    return reduce.reduce_min(ops.select(chosen, places, behind), axes=(axis,), keepdims=True)


def extreme_of(name: str, op: Op, x: Value, axes: tuple[int, ...]) -> Value:
    """The first of the extreme elements along axes, which are behind the others and of length 1 then."""
    rows = in_one_axis(x, axes)
    last = rows.aval.ndim - 1
    size = require_size(name, rows.aval.shape[last], "its positions are counted")
    if size == 0:
        raise ShapeError(f"{name}: {x.aval} has no element along the axis")
    return take_along_axis(rows, first_place(is_extreme(op, rows, last), last, size), last)
