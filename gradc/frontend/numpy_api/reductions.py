"""NumPy's reductions over Values."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from gradc.errors import DtypeError, ShapeError
from gradc.frontend.numpy_api.axes import Axes, ufunc_axes
from gradc.frontend.numpy_api.complex_order import extreme_of
from gradc.frontend.numpy_api.promote import astype, broadcasted, converted, elementwise, strong, truth
from gradc.frontend.numpy_api.registry import implements, lookup
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops import elementwise as ops
from gradc.ops import reduce as reductions
from gradc.ops.reduce import reduced_shape
from gradc.ops.shape import broadcast, reshaped


@cache
def accumulator(ufunc: np.ufunc, dtype: np.dtype) -> np.dtype:
    """The dtype in which NumPy adds or multiplies elements of ``dtype``: small integers become int64."""
    return ufunc.reduce(np.ones(1, dtype)).dtype  # type: ignore[no-any-return]


def _reduce(op: Op, x: Value, axes: Axes, keepdims: Any) -> Value:
    return op(x, axes=axes, keepdims=bool(keepdims)) if axes else x


def _selected(name: str, x: Value, where: Value | None, number: Any) -> Value:
    """``x`` with ``number`` where ``where=`` leaves elements out. Raises ShapeError for a mask that does not fit."""
    if where is None or where.builder.scalar(where) == np.True_:
        return x
    mask, value = broadcasted(name, truth(where), x)
    if value.aval.shape != x.aval.shape:
        raise ShapeError(f"{name}: where={where.aval} does not broadcast to the array {x.aval}")
    other = number if isinstance(number, Value) else x.builder.full(number, x.aval)
    return ops.select(mask, value, broadcast(other, x.aval.shape))


def _with_initial(op: Op, ufunc: np.ufunc, reduced: Value, initial: Value | None) -> Value:
    if not isinstance(initial, Value):
        return reduced
    return elementwise(op, ufunc, reduced, converted(_number(ufunc, initial), reduced.aval.dtype))


def _number(ufunc: np.ufunc, initial: Value) -> Value:
    if initial.aval.shape:
        raise ShapeError(f"np.{ufunc.__name__}: initial must be a number, not {initial.aval}")
    return initial


@implements(np.sum, arrays=("a", "initial", "where"))
def sum_(
    a: Value,
    axis: Any = None,
    dtype: Any = None,
    keepdims: Any = False,
    initial: Any = None,
    where: Value | None = None,
) -> Value:
    """The sum of elements; of bools and small integers in int64."""
    x = astype(a, dtype if dtype is not None else accumulator(np.add, a.aval.dtype))
    x = _selected("np.sum", x, where, 0)
    total = _reduce(_sum_op(x), x, ufunc_axes("np.sum", axis, a), keepdims)
    return _with_initial(_sum_op(x, of_two=True), np.add, total, initial)


def _sum_op(x: Value, of_two: bool = False) -> Op:
    if x.aval.dtype == np.dtype(bool):
        return ops.logical_or if of_two else reductions.reduce_any
    return ops.add if of_two else reductions.reduce_sum


@implements(np.prod, arrays=("a", "initial", "where"))
def prod(
    a: Value,
    axis: Any = None,
    dtype: Any = None,
    keepdims: Any = False,
    initial: Any = None,
    where: Value | None = None,
) -> Value:
    """The product of elements; of bools and small integers in int64."""
    x = astype(a, dtype if dtype is not None else accumulator(np.multiply, a.aval.dtype))
    x = _selected("np.prod", x, where, 1)
    if x.aval.dtype == np.dtype(bool):
        raise DtypeError("np.prod: dtype=bool is not supported; use np.all")
    product = _reduce(reductions.reduce_prod, x, ufunc_axes("np.prod", axis, a), keepdims)
    return _with_initial(ops.mul, np.multiply, product, initial)


def _extremum(
    name: str, op: Op, of_two: Op, ufunc: np.ufunc, a: Value, axis: Any, keepdims: Any, initial: Any, where: Any
) -> Value:
    x, axes = strong(a), ufunc_axes(name, axis, a)
    if where is not None and where.builder.scalar(where) != np.True_:
        if not isinstance(initial, Value):
            raise ShapeError(f"{name}: with where= there may be no element to choose; give initial= as well")
        x = _selected(name, x, where, converted(initial, x.aval.dtype))
    if isinstance(initial, Value) and any(x.aval.shape[k] == 0 for k in axes):
        shape = reduced_shape(x.aval.shape, axes, bool(keepdims))
        return broadcast(converted(initial, x.aval.dtype), shape)
    if x.aval.dtype.kind == "c":
        return _complex_extremum(name, op, ufunc, x, axes, bool(keepdims), initial)
    return _with_initial(of_two, ufunc, _reduce(op, x, axes, keepdims), initial)


def _complex_extremum(
    name: str, op: Op, ufunc: np.ufunc, x: Value, axes: Axes, keepdims: bool, initial: Value | None
) -> Value:
    """The first element that is the extreme one, and so has all of the derivative."""
    shape = reduced_shape(x.aval.shape, axes, keepdims)
    found = reshaped(extreme_of(name, op, x, axes), shape) if axes else x
    if not isinstance(initial, Value):
        return found
    of_two = lookup(ufunc)
    assert of_two is not None
    larger: Value = of_two.function(found, converted(_number(ufunc, initial), x.aval.dtype))
    return larger


@implements(np.max, arrays=("a", "initial", "where"))  # np.amax is the same meaning under another name
def max_(a: Value, axis: Any = None, keepdims: Any = False, initial: Any = None, where: Value | None = None) -> Value:
    """The largest element. Raises ShapeError where there is none."""
    return _extremum("np.max", reductions.reduce_max, ops.maximum, np.maximum, a, axis, keepdims, initial, where)


@implements(np.min, arrays=("a", "initial", "where"))
def min_(a: Value, axis: Any = None, keepdims: Any = False, initial: Any = None, where: Value | None = None) -> Value:
    """The smallest element. Raises ShapeError where there is none."""
    return _extremum("np.min", reductions.reduce_min, ops.minimum, np.minimum, a, axis, keepdims, initial, where)


implements(np.amax, arrays=("a", "initial", "where"))(max_)
implements(np.amin, arrays=("a", "initial", "where"))(min_)


@implements(np.ptp, arrays=("a",))
def ptp(a: Value, axis: Any = None, keepdims: Any = False) -> Value:
    """The largest minus the smallest element."""
    return elementwise(ops.sub, np.subtract, max_(a, axis, keepdims), min_(a, axis, keepdims))


@implements(np.any, arrays=("a", "where"))
def any_(a: Value, axis: Any = None, keepdims: Any = False, *, where: Value | None = None) -> Value:
    """Whether any element is not 0."""
    x = _selected("np.any", truth(a), where, 0)
    return _reduce(reductions.reduce_any, x, ufunc_axes("np.any", axis, a), keepdims)


@implements(np.all, arrays=("a", "where"))
def all_(a: Value, axis: Any = None, keepdims: Any = False, *, where: Value | None = None) -> Value:
    """Whether every element is not 0."""
    x = _selected("np.all", truth(a), where, 1)
    return _reduce(reductions.reduce_all, x, ufunc_axes("np.all", axis, a), keepdims)


@implements(np.count_nonzero, arrays=("a",))
def count_nonzero(a: Value, axis: Any = None, *, keepdims: Any = False) -> Value:
    """The number of elements that are not 0."""
    return sum_(truth(a), axis, keepdims=keepdims)
