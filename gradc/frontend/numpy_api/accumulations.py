"""Sums and products so far, over Values."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import one_axis
from gradc.frontend.numpy_api.promote import astype
from gradc.frontend.numpy_api.reductions import accumulator
from gradc.frontend.numpy_api.registry import implements, of_numpy
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops import cumulative
from gradc.ops.shape import concatenate, reshaped


def _so_far(name: str, ufunc: np.ufunc, op: Op, a: Value, axis: Any, dtype: Any, **params: Any) -> Value:
    if axis is None:
        a, axis = reshaped(a, (a.aval.size,)), 0
    place = one_axis(name, axis, a.aval.ndim, str(a.aval))
    x = astype(a, dtype if dtype is not None else accumulator(ufunc, a.aval.dtype))
    if x.aval.dtype.kind == "b":
        raise TraceError(f"{name}: dtype=bool is not supported; use dtype=int")
    return op(x, axis=place, **params)


@implements(np.cumsum, arrays=("a",))
def cumsum(a: Value, axis: Any = None, dtype: Any = None) -> Value:
    """The sum of all elements up to each, along an axis, of bools and small integers in int64."""
    return _so_far("np.cumsum", np.add, cumulative.cumsum, a, axis, dtype, reverse=False)


@implements(np.cumprod, arrays=("a",))
def cumprod(a: Value, axis: Any = None, dtype: Any = None) -> Value:
    """The product of all elements up to each, along an axis, of bools and small integers in int64."""
    return _so_far("np.cumprod", np.multiply, cumulative.cumprod, a, axis, dtype)


def _cumulative(word: str, of: Any, start: float) -> None:
    name = f"np.{word}"

    def cumulative_(x: Value, *, axis: Any = None, dtype: Any = None, include_initial: Any = False) -> Value:
        """What is so far, along an axis, from the neutral element on where ``include_initial``."""
        if axis is None and x.aval.ndim != 1:
            raise ShapeError(f"{name}: {x.aval} has {x.aval.ndim} axes, so axis= is needed")
        place = one_axis(name, 0 if axis is None else operator.index(axis), x.aval.ndim, str(x.aval))
        found: Value = of(x, place, dtype)
        if not include_initial:
            return found
        shape = tuple(1 if k == place else d for k, d in enumerate(found.aval.shape))
        return concatenate(found.builder.full(start, found.aval.with_shape(shape)), found, axis=place)

    implements(*of_numpy(word), arrays=("x",))(cumulative_)


_cumulative("cumulative_sum", cumsum, 0)
_cumulative("cumulative_prod", cumprod, 1)
