"""Comparisons, and what takes the larger or the smaller of two, over Values.

NumPy 2 compares integers exactly: of u64 and a signed dtype, which meet in no integer dtype, and with Python ints that
no dtype holds. Complex numbers are ordered by their real parts, then by their imaginary parts; nothing is less or
greater than a NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from gradc.frontend.numpy_api.promote import (
    broadcasted,
    common_dtype,
    converted,
    elementwise,
    fits,
    marker,
    operand_dtype,
    python_constant,
    strong,
)
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops import elementwise as ops
from gradc.ops.complex import imag, real

Comparison = Callable[[Value, Value], Value]

_BOOL: Final = np.dtype(bool)
_U64: Final = np.dtype(np.uint64)


def _comparison(ufunc: np.ufunc, op: Op) -> Comparison:
    def function(x1: Value, x2: Value) -> Value:
        outside = _beyond(x1, x2)
        if outside is not None:
            return everywhere(x1, bool(ufunc(0, outside)))
        outside = _beyond(x2, x1)
        if outside is not None:
            return everywhere(x2, bool(ufunc(outside, 0)))
        if _is_apart(x1.aval, x2.aval):
            return _of_u64_and_signed(ufunc, op, x1, x2)
        if op in _ORDER and "c" in (x1.aval.dtype.kind, x2.aval.dtype.kind):
            dtype = common_dtype(x1, x2)
            return _in_order(op, *broadcasted(f"np.{ufunc.__name__}", converted(x1, dtype), converted(x2, dtype)))
        return elementwise(op, ufunc, x1, x2)

    function.__name__ = ufunc.__name__
    return implements(ufunc, arrays=("x1", "x2"))(function)


def everywhere(x: Value, value: bool) -> Value:
    """A bool in the place of every element."""
    return x.builder.full(value, Aval(x.aval.shape, _BOOL))


def _beyond(x: Value, other: Value) -> int | None:
    """1 or -1 where ``other`` is a Python int above or below all that the integer dtype of ``x`` holds."""
    number, dtype = python_constant(other), x.aval.dtype
    if not isinstance(number, int) or x.aval.weak or dtype.kind not in "iu" or fits(number, dtype):
        return None
    return 1 if number > 0 else -1


def _is_apart(a: Aval, b: Aval) -> bool:
    signed = (a.dtype.kind == "i" and not a.weak, b.dtype.kind == "i" and not b.weak)
    return (signed[0] and b.dtype == _U64) or (a.dtype == _U64 and signed[1])


def _of_u64_and_signed(ufunc: np.ufunc, op: Op, x1: Value, x2: Value) -> Value:
    """A negative number is below every u64; the others are u64 themselves."""
    first_is_signed = x1.aval.dtype.kind == "i"
    signed = x1 if first_is_signed else x2
    below = ops.less(signed, signed.builder.full(0, signed.aval))
    as_u64 = [ops.convert(x, dtype=_U64) if x is signed else x for x in (x1, x2)]
    below, a, b = broadcasted(f"np.{ufunc.__name__}", below, *as_u64)
    known = ufunc(-1, 0) if first_is_signed else ufunc(0, -1)
    return ops.select(below, everywhere(below, bool(known)), op(a, b))


def _in_order(op: Op, x: Value, y: Value) -> Value:
    """A comparison of complex numbers: of the imaginary parts where the real parts are equal."""
    strictly = ops.less if op in (ops.less, ops.less_equal) else ops.greater
    parts = imag(x), imag(y)
    by_first = strictly(real(x), real(y))
    for part in parts:
        by_first = ops.logical_and(by_first, ops.logical_not(ops.isnan(part)))
    return ops.logical_or(by_first, ops.logical_and(ops.equal(real(x), real(y)), op(*parts)))


_ORDER: Final = (ops.less, ops.less_equal, ops.greater, ops.greater_equal)

equal = _comparison(np.equal, ops.equal)
not_equal = _comparison(np.not_equal, ops.not_equal)
less = _comparison(np.less, ops.less)
less_equal = _comparison(np.less_equal, ops.less_equal)
greater = _comparison(np.greater, ops.greater)
greater_equal = _comparison(np.greater_equal, ops.greater_equal)


# The larger and the smaller of two.


def clip_complex(x: Value, low: Value | None, high: Value | None) -> Value:
    """Complex numbers held between bounds in NumPy's order; at a bound it is the bound, so that its slope is 0."""
    for order, bound in ((ops.greater, low), (ops.less, high)):
        if bound is not None:
            x = ops.select(ops.logical_or(_in_order(order, x, bound), ops.isnan(x)), x, bound)
    return x


def _extremum(ufunc: np.ufunc, op: Op, order: Op, *, takes_nan: bool) -> None:
    """Of a NaN and a number ``maximum`` and ``minimum`` give the NaN, ``fmax`` and ``fmin`` the number."""

    def function(x1: Value, x2: Value) -> Value:
        dtype = operand_dtype(ufunc, marker(x1), marker(x2))
        if dtype.kind not in "fc" or (takes_nan and dtype.kind == "f"):
            return strong(elementwise(op, ufunc, x1, x2))
        a, b = broadcasted(f"np.{ufunc.__name__}", converted(x1, dtype), converted(x2, dtype))
        if dtype.kind == "c":
            missing = ops.isnan(a if takes_nan else b)
            return ops.select(ops.logical_or(_in_order(order, a, b), missing), a, b)
        return ops.select(ops.isnan(a), b, ops.select(ops.isnan(b), a, op(a, b)))

    function.__name__ = ufunc.__name__
    implements(ufunc, arrays=("x1", "x2"))(function)


_extremum(np.maximum, ops.maximum, ops.greater_equal, takes_nan=True)
_extremum(np.minimum, ops.minimum, ops.less_equal, takes_nan=True)
_extremum(np.fmax, ops.maximum, ops.greater_equal, takes_nan=False)
_extremum(np.fmin, ops.minimum, ops.less_equal, takes_nan=False)
