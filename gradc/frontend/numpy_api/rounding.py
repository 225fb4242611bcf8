"""Rounding to integers and replacing what is not a number, over Values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradc.frontend.numpy_api.promote import converted, marker, operand_dtype
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.graph import Value
from gradc.ops import elementwise as ops


def _floor(x: Value) -> Value:
    """Exact: division by 1 leaves no rounding. An infinity has no quotient, so it is kept."""
    return ops.select(ops.isfinite(x), ops.floor_div(x, x.builder.full(1.0, x.aval)), x)


def _ceil(x: Value) -> Value:
    return -_floor(-x)


def _trunc(x: Value) -> Value:
    negative = ops.less(x, x.builder.full(0.0, x.aval))
    return ops.select(negative, _ceil(x), _floor(x))


def _rounding(ufunc: np.ufunc, of_floats: Callable[[Value], Value]) -> None:
    def function(x: Value) -> Value:
        operand = converted(x, operand_dtype(ufunc, marker(x)))
        return of_floats(operand) if operand.aval.is_float else operand

    implements(ufunc, arrays=("x",))(function)


_rounding(np.floor, _floor)
_rounding(np.ceil, _ceil)
_rounding(np.trunc, _trunc)


@implements(np.nan_to_num, arrays=("x",))
def nan_to_num(x: Value, copy: Any = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Value:
    """``x`` with numbers in the places of NaN and the infinities; by default 0 and the largest finite ones."""
    if x.aval.dtype.kind != "f":
        return x
    limits = np.finfo(x.aval.dtype)
    infinite = (
        (math.inf, limits.max if posinf is None else posinf),
        (-math.inf, limits.min if neginf is None else neginf),
    )
    result = ops.select(ops.isnan(x), x.builder.full(nan, x.aval), x)
    for infinity, number in infinite:
        found = ops.equal(x, x.builder.full(infinity, x.aval))
        result = ops.select(found, x.builder.full(number, x.aval), result)
    return result
