"""Means, variances and averages of NumPy over Values."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.errors import DtypeError, ShapeError
from gradc.frontend.numpy_api.axes import Axes, all_axes, axes_size, count_value
from gradc.frontend.numpy_api.norms import root
from gradc.frontend.numpy_api.promote import astype, broadcasted, common_dtype, converted, strong, truth
from gradc.frontend.numpy_api.reductions import sum_
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.aval import Dim, SymbolicDim
from gradc.ir.graph import Value
from gradc.ops import elementwise as ops
from gradc.ops.complex import squared
from gradc.ops.shape import broadcast, reshaped, transpose


class _Counted:
    """How many elements a mean is of: a size, or for each mean a number where ``where=`` chooses them."""

    def __init__(self, name: str, x: Value, axes: Axes, where: Value | None) -> None:
        self.name, self.x, self.axes = name, x, axes
        self.where = None if where is None or where.builder.scalar(where) == np.True_ else truth(where)
        self.size: Dim = axes_size(x, axes)

    def total(self, x: Value, keepdims: Any) -> Value:
        """The sum of the elements that count."""
        return sum_(x, self.axes, x.aval.dtype, keepdims, where=self.where)

    def divided(self, total: Value, keepdims: Any, less: Any = 0) -> Value:
        """A sum over the number of elements less ``less``, or over 0 where that is negative."""
        number = self._number(keepdims, total.aval.dtype, less)
        return total / broadcast(number, total.aval.shape)

    def _number(self, keepdims: Any, dtype: np.dtype, less: Any) -> Value:
        if self.where is None and not isinstance(self.size, SymbolicDim):
            return self.x.builder.constant(np.asarray(max(self.size - less, 0), dtype))
        if self.where is None:
            number = count_value(self.x, self.size, dtype)
        else:
            mask, _ = broadcasted(self.name, self.where, self.x)
            number = astype(sum_(mask, self.axes, keepdims=keepdims), dtype)
        return ops.maximum(number - float(less), number.builder.full(0.0, number.aval)) if less else number


def _in_floats(name: str, a: Value, dtype: Any) -> Value:
    """The dtype that means are computed in: that given, f64 for integers, f32 for f16."""
    source = a.aval.dtype
    computed = np.dtype(dtype) if dtype is not None else np.dtype(np.float64) if source.kind in "iub" else source
    if computed.kind not in "fc":
        raise DtypeError(f"{name}: dtype={computed} is not a floating-point dtype")
    return astype(a, np.float32 if dtype is None and source == np.float16 else computed)


@implements(np.mean, arrays=("a", "where"))
def mean(a: Value, axis: Any = None, dtype: Any = None, keepdims: Any = False, *, where: Value | None = None) -> Value:
    """The mean; of integers and bools in float64, of float16 through float32. Of no elements it is NaN."""
    x = _in_floats("np.mean", a, dtype)
    count = _Counted("np.mean", x, all_axes("np.mean", axis, a), where)
    result = count.divided(count.total(x, keepdims), keepdims)
    return astype(result, np.float16) if dtype is None and a.aval.dtype == np.float16 else result


@implements(np.var, arrays=("a", "where", "mean"))
def var(
    a: Value,
    axis: Any = None,
    dtype: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Value | None = None,
    mean: Value | None = None,
    correction: Any = None,
) -> Value:
    """The mean of the squared distances from the mean, with ``count - ddof`` in the denominator; always real.

    ``mean`` may be given where it is known, with the axes kept.
    """
    axes = all_axes("np.var", axis, a)
    x = strong(a) if dtype is None else astype(a, dtype)
    if x.aval.dtype.kind in "iub":
        x = astype(x, np.float64)
    count = _Counted("np.var", x, axes, where)
    centre = count.divided(count.total(x, True), True) if mean is None else converted(mean, x.aval.dtype)
    x, centre = broadcasted("np.var", x, centre)
    distance = x - centre
    return count.divided(count.total(squared(distance), keepdims), keepdims, _freedom(ddof, correction))


def _freedom(ddof: Any, correction: Any) -> Any:
    less = ddof if correction is None else correction
    if not isinstance(less, (int, float, np.number)):
        raise DtypeError(f"np.var: ddof must be a number, not {type(less).__name__}")
    return less


@implements(np.std, arrays=("a", "where", "mean"))
def std(
    a: Value,
    axis: Any = None,
    dtype: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Value | None = None,
    mean: Value | None = None,
    correction: Any = None,
) -> Value:
    """The square root of the variance; its slope is 0 where all elements are equal."""
    size = axes_size(a, all_axes("np.var", axis, a))
    if size == 1 and where is None and mean is None and _freedom(ddof, correction) == 0:
        return _of_one(a, axis, dtype, keepdims)
    return root(var(a, axis, dtype, ddof, keepdims, where=where, mean=mean, correction=correction))


def _of_one(a: Value, axis: Any, dtype: Any, keepdims: Any) -> Value:
    """The deviation of one element, 0 or NaN: as a distance, since the root's slope at 0 is infinite."""
    x = strong(a) if dtype is None else astype(a, dtype)
    if x.aval.dtype.kind in "iub":
        x = astype(x, np.float64)
    distance = ops.absolute(x - broadcast(mean(x, axis, keepdims=True), x.aval.shape))
    return sum_(distance, axis, keepdims=keepdims)


@implements(np.average, arrays=("a", "weights"))
def average(
    a: Value, axis: Any = None, weights: Value | None = None, returned: Any = False, *, keepdims: Any = False
) -> Any:
    """The mean, or the weighted mean; weights have the shape of ``a`` or of its axes ``axis``.

    With ``returned`` also the sum of the weights. Raises ShapeError for weights of another shape.
    """
    axes = all_axes("np.average", axis, a)
    if weights is None:
        result = mean(a, axis, keepdims=keepdims)
        count = count_value(a, axes_size(a, axes), result.aval.dtype)
        return (result, broadcast(count, result.aval.shape)) if returned else result
    dtype = common_dtype(a, weights)
    if a.aval.dtype.kind in "iub":
        dtype = np.result_type(dtype, np.float64)
    x, w = converted(a, dtype), converted(_along(weights, a, axis), dtype)
    scale = sum_(w, axes, dtype, keepdims)
    result = sum_(x * w, axes, dtype, keepdims) / scale
    return (result, scale) if returned else result


def _along(weights: Value, a: Value, axis: Any) -> Value:
    """Weights along some axes, as an array of the shape of ``a``."""
    if weights.aval.shape == a.aval.shape:
        return weights
    listed = axis if isinstance(axis, (tuple, list)) else () if axis is None else (axis,)
    axes = [all_axes("np.average", k, a)[0] for k in listed]
    if weights.aval.shape != tuple(a.aval.shape[k] for k in axes) or not axes:
        raise ShapeError(
            f"np.average: weights {weights.aval} need the shape of the array, {a.aval}, or of its axes axis={axis}"
        )
    order = tuple(sorted(range(len(axes)), key=axes.__getitem__))
    turned = weights if order == tuple(range(len(axes))) else transpose(weights, axes=order)
    kept = tuple(d if k in axes else 1 for k, d in enumerate(a.aval.shape))
    return broadcast(reshaped(turned, kept), a.aval.shape)
