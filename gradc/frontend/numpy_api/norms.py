"""Norms of ``numpy.linalg`` over Values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import Axes, one_axis, require_size
from gradc.frontend.numpy_api.promote import astype
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.graph import Value
from gradc.ops import elementwise as ops
from gradc.ops import reduce as reductions
from gradc.ops.complex import squared
from gradc.ops.linalg import swapped
from gradc.ops.shape import reshaped, transpose
from gradc.ops.singular import singular_values


@implements(np.linalg.norm, arrays=("x",))
def norm(x: Value, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Value:
    """The norm of vectors along an axis or of matrices along two, of everything flattened where neither is given.

    Vectors: any ``ord``. Matrices: None, "fro", "nuc", 1, -1, 2, -2, inf, -inf. Raises TraceError for others.
    """
    if x.aval.dtype.kind not in "fc":
        x = astype(x, np.float64)
    ndim = x.aval.ndim
    if axis is None and (ord is None or (ndim == 1 and ord == 2) or (ndim == 2 and ord in ("f", "fro"))):
        return _euclidean(x, tuple(range(ndim)), keepdims)
    listed = tuple(range(ndim)) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(one_axis("np.linalg.norm", k, ndim, str(x.aval)) for k in listed)
    if len(axes) == 1:
        return _of_vectors(x, ord, axes, keepdims)
    if len(axes) == 2 and axes[0] != axes[1]:
        return _of_matrices(x, ord, axes, keepdims)
    raise ShapeError(f"np.linalg.norm: axis {axis} of {x.aval} is neither one axis nor two")


def _euclidean(x: Value, axes: Axes, keepdims: Any) -> Value:
    return root(reductions.total(squared(x), axes=tuple(sorted(axes)), keepdims=bool(keepdims)))


def root(total: Value, exponent: float = 0.5) -> Value:
    """The root of a sum of sizes. Where all of them are 0 the slope of a norm is taken as 0, as that of ``abs`` is."""
    zero = total.builder.full(0.0, total.aval)
    found = ops.sqrt(total) if exponent == 0.5 else ops.power(total, total.builder.full(exponent, total.aval))
    return ops.select(ops.equal(total, zero), zero, found)


def _of_vectors(x: Value, ord: Any, axes: Axes, keepdims: Any) -> Value:
    if ord is None or ord == 2:
        return _euclidean(x, axes, keepdims)
    size = ops.absolute(x)
    if ord == 1:
        return reductions.reduce_sum(size, axes=axes, keepdims=bool(keepdims))
    if ord == math.inf:
        return reductions.reduce_max(size, axes=axes, keepdims=bool(keepdims))
    if ord == -math.inf:
        return reductions.reduce_min(size, axes=axes, keepdims=bool(keepdims))
    if not isinstance(ord, (int, float, np.number)):
        raise TraceError(f"np.linalg.norm: ord={ord!r} of vectors is no number")
    if ord == 0:
        nonzero = ops.convert(ops.not_equal(x, x.builder.full(0, x.aval)), dtype=size.aval.dtype)
        return reductions.reduce_sum(nonzero, axes=axes, keepdims=bool(keepdims))
    powers = ops.power(size, x.builder.full(float(ord), size.aval))
    total = reductions.reduce_sum(powers, axes=axes, keepdims=bool(keepdims))
    exponent = 1.0 / float(ord)
    return root(total, exponent) if ord > 1 else ops.power(total, total.builder.full(exponent, total.aval))


def _of_matrices(x: Value, ord: Any, axes: Axes, keepdims: Any) -> Value:
    if ord is None or ord in ("f", "fro"):
        return _euclidean(x, axes, keepdims)
    if ord in (2, -2, "nuc"):
        return _of_singular_values(x, ord, axes, keepdims)
    if ord not in (1, -1, math.inf, -math.inf):
        raise TraceError(f"np.linalg.norm: ord={ord!r} is no norm of matrices")
    rows, columns = axes
    summed, compared = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = reductions.reduce_sum(ops.absolute(x), axes=(summed,), keepdims=True)
    extremum = reductions.reduce_max if ord > 0 else reductions.reduce_min
    result = extremum(sums, axes=(compared,), keepdims=True)
    return result if keepdims else reshaped(result, tuple(d for k, d in enumerate(x.aval.shape) if k not in axes))


def _of_singular_values(x: Value, ord: Any, axes: Axes, keepdims: Any) -> Value:
    """The largest singular value, the smallest, or the sum of all."""
    rest = tuple(k for k in range(x.aval.ndim) if k not in axes)
    order = (*rest, *axes)
    s = singular_values_of("np.linalg.norm", x if order == tuple(range(len(order))) else transpose(x, axes=order))
    last = (s.aval.ndim - 1,)
    if ord == "nuc":
        found = reductions.reduce_sum(s, axes=last, keepdims=False)
    else:
        found = (reductions.reduce_max if ord > 0 else reductions.reduce_min)(s, axes=last, keepdims=False)
    if not keepdims:
        return found
    return reshaped(found, tuple(1 if k in axes else d for k, d in enumerate(x.aval.shape)))


def singular_values_of(name: str, a: Value) -> Value:
    """The singular values of matrices with any number of rows, descending. Raises ShapeError for symbolic sizes."""
    rows, columns = (require_size(name, d, "a decomposition runs through it") for d in a.aval.shape[-2:])
    return singular_values(swapped(a) if rows < columns else a)
