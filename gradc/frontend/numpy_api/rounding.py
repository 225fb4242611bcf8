"""Rounding, signs, remainders, and replacing what is not a number, over Values."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from gradc.frontend.numpy_api.notation import Array, composed
from gradc.frontend.numpy_api.promote import broadcasted, converted, marker, operand_dtype, strong
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops import complex as complex_ops
from gradc.ops import elementwise as ops
from gradc.ops import rounding


def _step(ufunc: np.ufunc, op: Op) -> None:
    """Of integers NumPy gives most of these as they are."""

    def function(x: Value) -> Value:
        operand = converted(x, operand_dtype(ufunc, marker(x)))
        return op(operand) if operand.aval.is_float else operand

    implements(ufunc, arrays=("x",))(function)


_step(np.floor, rounding.floor)
_step(np.ceil, rounding.ceil)
_step(np.trunc, rounding.trunc)
_step(np.rint, rounding.rint)


@composed(np.fix, arrays=("x",))
def fix(x: Any) -> Any:
    """The integer next to each element towards 0."""
    return np.trunc(x)


@composed(np.round, np.around, arrays=("a",))
def round_(a: Any, decimals: Any = 0) -> Any:
    """The nearest number of so many decimals, a tie to the even one: multiplied, rounded and divided, as NumPy does."""
    places = operator.index(decimals)
    if a.dtype.kind == "c":
        return _of_parts(a, lambda part: round_(part, places))
    if a.dtype.kind == "b" and places == 0:
        return np.rint(a.astype(np.float16))
    if not a.is_float:
        if places >= 0 or a.dtype.kind not in "iu":
            return a
        tens = a.dtype.type(10**-places)
        half = np.rint(a.astype(np.float64) / float(tens))
        return (half * float(tens)).astype(a.dtype)
    if places == 0:
        return np.rint(a)
    scale = a.dtype.type(10.0 ** abs(places))
    return np.rint(a * scale) / scale if places > 0 else np.rint(a / scale) * scale


def _of_parts(a: Any, function: Any) -> Any:
    """A complex number of what a function gives for both parts."""
    return Array(complex_ops.make_complex(function(np.real(a)).value, function(np.imag(a)).value))


@implements(np.copysign, arrays=("x1", "x2"))
def copysign(x1: Value, x2: Value) -> Value:
    """The size of the first with the sign of the second."""
    dtype = operand_dtype(np.copysign, marker(x1), marker(x2))
    return rounding.copysign(*broadcasted("np.copysign", converted(x1, dtype), converted(x2, dtype)))


@implements(np.signbit, arrays=("x",))
def signbit(x: Value) -> Value:
    """Whether the sign is minus, of -0.0 too."""
    operand = converted(x, operand_dtype(np.signbit, marker(x)))
    signed = rounding.copysign(operand.builder.full(1.0, operand.aval), operand)
    return ops.less(signed, operand.builder.full(0.0, operand.aval))


@composed(np.heaviside, arrays=("x1", "x2"), keeps_weak=True)
def heaviside(x1: Any, x2: Any) -> Any:
    """0 below 0, 1 above, ``x2`` at 0."""
    dtype = operand_dtype(np.heaviside, marker(x1.value), marker(x2.value))
    x, middle = x1.astype(dtype), x2.astype(dtype)
    zero, one = dtype.type(0), dtype.type(1)
    return np.where(np.isnan(x), x, np.where(x == zero, middle, np.where(x < zero, zero, one)))


@composed(np.fmod, arrays=("x1", "x2"), keeps_weak=True)
def fmod(x1: Any, x2: Any) -> Any:
    """The remainder with the sign of the first, which is exact."""
    dtype = operand_dtype(np.fmod, marker(x1.value), marker(x2.value))
    operands: list[Any] = [Array(converted(x.value, dtype)) for x in (x1, x2)]
    x, y = operands
    if dtype.kind == "u":
        return x % y
    size = np.abs(x) % np.abs(y)
    return np.copysign(size, x) if dtype.kind == "f" else np.where(x < 0, -size, size)


@composed(np.divmod, arrays=("x1", "x2"), keeps_weak=True)
def divmod_(x1: Any, x2: Any) -> Any:
    """The quotient rounded down, and the remainder."""
    return np.floor_divide(x1, x2), np.remainder(x1, x2)


@composed(np.modf, arrays=("x",), keeps_weak=True)
def modf(x: Any) -> Any:
    """The part behind the comma and the part before it, both with the sign of the whole."""
    whole = np.trunc(x.astype(operand_dtype(np.modf, marker(x.value))))
    rest = np.where(np.isinf(x), whole.dtype.type(0), x - np.where(np.isinf(x), whole.dtype.type(0), whole))
    return np.copysign(rest, whole), whole


@implements(np.nan_to_num, arrays=("x",))
def nan_to_num(x: Value, copy: Any = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Value:
    """``x`` with numbers in the places of NaN and the infinities; by default 0 and the largest finite ones."""
    if x.aval.dtype.kind == "c":
        parts = [nan_to_num(part(x), copy, nan, posinf, neginf) for part in (complex_ops.real, complex_ops.imag)]
        return complex_ops.make_complex(*parts)
    if x.aval.dtype.kind != "f":
        return strong(x)
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
