"""NumPy's reductions over Values."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from gradc.errors import DtypeError, ShapeError
from gradc.frontend.numpy_api.axes import Axes, all_axes, axes_size, count_value
from gradc.frontend.numpy_api.promote import astype, common_dtype, converted, elementwise, strong, truth
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.aval import Dim, SymbolicDim
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops import elementwise as ops
from gradc.ops import reduce as reductions
from gradc.ops.reduce import reduced_shape
from gradc.ops.shape import broadcast


@cache
def accumulator(ufunc: np.ufunc, dtype: np.dtype) -> np.dtype:
    """The dtype in which NumPy adds or multiplies elements of ``dtype``: small integers become int64."""
    return ufunc.reduce(np.ones(1, dtype)).dtype  # type: ignore[no-any-return]


def _reduce(op: Op, x: Value, axes: Axes, keepdims: Any) -> Value:
    return op(x, axes=axes, keepdims=bool(keepdims)) if axes else x


def _with_initial(op: Op, ufunc: np.ufunc, reduced: Value, initial: Value | None) -> Value:
    if not isinstance(initial, Value):
        return reduced
    if initial.aval.shape:
        raise ShapeError(f"np.{ufunc.__name__}: initial must be a number, not {initial.aval}")
    return elementwise(op, ufunc, reduced, converted(initial, reduced.aval.dtype))


@implements(np.sum, arrays=("a", "initial"))
def sum_(a: Value, axis: Any = None, dtype: Any = None, keepdims: Any = False, initial: Any = None) -> Value:
    """The sum of elements; of bools and small integers in int64."""
    x = astype(a, dtype if dtype is not None else accumulator(np.add, a.aval.dtype))
    total = _reduce(_sum_op(x), x, all_axes("np.sum", axis, a), keepdims)
    return _with_initial(_sum_op(x, of_two=True), np.add, total, initial)


def _sum_op(x: Value, of_two: bool = False) -> Op:
    if x.aval.dtype == np.dtype(bool):
        return ops.logical_or if of_two else reductions.reduce_any
    return ops.add if of_two else reductions.reduce_sum


@implements(np.prod, arrays=("a", "initial"))
def prod(a: Value, axis: Any = None, dtype: Any = None, keepdims: Any = False, initial: Any = None) -> Value:
    """The product of elements; of bools and small integers in int64."""
    x = astype(a, dtype if dtype is not None else accumulator(np.multiply, a.aval.dtype))
    if x.aval.dtype == np.dtype(bool):
        raise DtypeError("np.prod: dtype=bool is not supported; use np.all")
    product = _reduce(reductions.reduce_prod, x, all_axes("np.prod", axis, a), keepdims)
    return _with_initial(ops.mul, np.multiply, product, initial)


def _extremum(
    name: str, op: Op, of_two: Op, ufunc: np.ufunc, a: Value, axis: Any, keepdims: Any, initial: Any
) -> Value:
    x, axes = strong(a), all_axes(name, axis, a)
    if isinstance(initial, Value) and any(x.aval.shape[k] == 0 for k in axes):
        shape = reduced_shape(x.aval.shape, axes, bool(keepdims))
        return broadcast(converted(initial, x.aval.dtype), shape)
    return _with_initial(of_two, ufunc, _reduce(op, x, axes, keepdims), initial)


@implements(np.max, arrays=("a", "initial"))  # np.amax is the same meaning under another name
def max_(a: Value, axis: Any = None, keepdims: Any = False, initial: Any = None) -> Value:
    """The largest element. Raises ShapeError where there is none."""
    return _extremum("np.max", reductions.reduce_max, ops.maximum, np.maximum, a, axis, keepdims, initial)


@implements(np.min, arrays=("a", "initial"))
def min_(a: Value, axis: Any = None, keepdims: Any = False, initial: Any = None) -> Value:
    """The smallest element. Raises ShapeError where there is none."""
    return _extremum("np.min", reductions.reduce_min, ops.minimum, np.minimum, a, axis, keepdims, initial)


implements(np.amax, arrays=("a", "initial"))(max_)
implements(np.amin, arrays=("a", "initial"))(min_)


@implements(np.ptp, arrays=("a",))
def ptp(a: Value, axis: Any = None, keepdims: Any = False) -> Value:
    """The largest minus the smallest element."""
    return elementwise(ops.sub, np.subtract, max_(a, axis, keepdims), min_(a, axis, keepdims))


@implements(np.any, arrays=("a",))
def any_(a: Value, axis: Any = None, keepdims: Any = False) -> Value:
    """Whether any element is not 0."""
    return _reduce(reductions.reduce_any, truth(a), all_axes("np.any", axis, a), keepdims)


@implements(np.all, arrays=("a",))
def all_(a: Value, axis: Any = None, keepdims: Any = False) -> Value:
    """Whether every element is not 0."""
    return _reduce(reductions.reduce_all, truth(a), all_axes("np.all", axis, a), keepdims)


@implements(np.count_nonzero, arrays=("a",))
def count_nonzero(a: Value, axis: Any = None, *, keepdims: Any = False) -> Value:
    """The number of elements that are not 0."""
    return sum_(truth(a), axis, keepdims=keepdims)


# Means.


def _divided_by_count(total: Value, count: Dim) -> Value:
    return total / broadcast(count_value(total, count, total.aval.dtype), total.aval.shape)


@implements(np.mean, arrays=("a",))
def mean(a: Value, axis: Any = None, dtype: Any = None, keepdims: Any = False) -> Value:
    """The mean; of integers and bools in float64, of float16 through float32. Of no elements it is NaN."""
    axes = all_axes("np.mean", axis, a)
    source = a.aval.dtype
    computed = np.dtype(dtype) if dtype is not None else np.dtype(np.float64) if source.kind in "iub" else source
    if computed.kind not in "fc":
        raise DtypeError(f"np.mean: dtype={computed} is not a floating-point dtype")
    half = dtype is None and source == np.float16
    x = astype(a, np.float32 if half else computed)
    result = _divided_by_count(_reduce(reductions.reduce_sum, x, axes, keepdims), axes_size(a, axes))
    return astype(result, np.float16) if half else result


@implements(np.var, arrays=("a",))
def var(
    a: Value, axis: Any = None, dtype: Any = None, ddof: Any = 0, keepdims: Any = False, correction: Any = None
) -> Value:
    """The mean of the squared distances from the mean, with ``count - ddof`` in the denominator."""
    axes = all_axes("np.var", axis, a)
    x = strong(a) if dtype is None else astype(a, dtype)
    if x.aval.dtype.kind in "iub":
        x = astype(x, np.float64)
    if x.aval.dtype.kind != "f":
        raise DtypeError(f"np.var: of complex numbers ({a.aval}) is not supported")
    count = axes_size(x, axes)
    centre = _divided_by_count(_reduce(reductions.reduce_sum, x, axes, True), count)
    distance = x - broadcast(centre, x.aval.shape)
    total = _reduce(reductions.reduce_sum, distance * distance, axes, keepdims)
    return total / broadcast(_freedom(x, count, ddof if correction is None else correction), total.aval.shape)


def _freedom(x: Value, count: Dim, ddof: Any) -> Value:
    """``max(count - ddof, 0)`` as a number."""
    if not isinstance(ddof, (int, float, np.number)):
        raise DtypeError(f"np.var: ddof must be a number, not {type(ddof).__name__}")
    dtype = x.aval.dtype
    if not isinstance(count, SymbolicDim):
        return x.builder.constant(np.asarray(max(count - ddof, 0), dtype))
    number = count_value(x, count, dtype)
    return ops.maximum(number - float(ddof), number.builder.full(0.0, number.aval)) if ddof else number


@implements(np.std, arrays=("a",))
def std(
    a: Value, axis: Any = None, dtype: Any = None, ddof: Any = 0, keepdims: Any = False, correction: Any = None
) -> Value:
    """The square root of the variance."""
    return ops.sqrt(var(a, axis, dtype, ddof, keepdims, correction))


@implements(np.average, arrays=("a", "weights"))
def average(a: Value, axis: Any = None, weights: Value | None = None, *, keepdims: Any = False) -> Value:
    """The mean, or with weights of the shape of ``a`` the weighted mean."""
    if weights is None:
        return mean(a, axis, keepdims=keepdims)
    if weights.aval.shape != a.aval.shape:
        raise ShapeError(f"np.average: weights {weights.aval} need the shape of the array, {a.aval}")
    dtype = common_dtype(a, weights)
    if a.aval.dtype.kind in "iub":
        dtype = np.result_type(dtype, np.float64)
    x, w = converted(a, dtype), converted(weights, dtype)
    axes = all_axes("np.average", axis, a)
    scale = _reduce(reductions.reduce_sum, w, axes, keepdims)
    return _reduce(reductions.reduce_sum, x * w, axes, keepdims) / scale
