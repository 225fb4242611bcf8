"""NumPy's ufuncs over Values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.errors import DomainError, TraceError
from gradc.frontend.numpy_api.comparisons import clip_complex, everywhere
from gradc.frontend.numpy_api.promote import (
    broadcasted,
    common_dtype,
    converted,
    elementwise,
    marker,
    operand_dtype,
    strong,
    truth,
)
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops import complex as complex_ops
from gradc.ops import elementwise as ops
from gradc.ops import functions
from gradc.ops.bits import NEGATIVE_POWER, integer_power


def _is_bool(*operands: Value) -> bool:
    return {x.aval.dtype.kind for x in operands} == {"b"}


# Ufuncs that are one op, once dtypes and shapes are made equal.

_ELEMENTWISE: set[np.ufunc] = set()


def _unary(ufunc: np.ufunc, op: Op) -> Callable[[Value], Value]:
    def function(x: Value) -> Value:
        return strong(elementwise(op, ufunc, x))

    function.__name__ = ufunc.__name__
    _ELEMENTWISE.add(ufunc)
    return implements(ufunc, arrays=("x",))(function)


def _binary(ufunc: np.ufunc, op: Op, of_bools: Op | None = None) -> Callable[[Value, Value], Value]:
    def function(x1: Value, x2: Value) -> Value:
        if of_bools is not None and _is_bool(x1, x2):
            return elementwise(of_bools, ufunc, x1, x2)
        return strong(elementwise(op, ufunc, x1, x2))

    function.__name__ = ufunc.__name__
    _ELEMENTWISE.add(ufunc)
    return implements(ufunc, arrays=("x1", "x2"))(function)


_unary(np.negative, ops.neg)
_unary(np.exp, ops.exp)
_unary(np.log, ops.log)
_unary(np.log1p, ops.log1p)
_unary(np.expm1, ops.expm1)
_unary(np.sqrt, ops.sqrt)
_unary(np.tanh, ops.tanh)
_unary(np.sin, ops.sin)
_unary(np.cos, ops.cos)
for name in ("exp2", "log2", "log10", "cbrt", "tan", "sinh", "cosh"):
    _unary(getattr(np, name), getattr(functions, name))
for name in ("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh"):
    _unary(getattr(np, name), getattr(functions, name))

_sign = _unary(np.sign, ops.sign)


@implements(np.sign, arrays=("x",))
def sign(x: Value) -> Value:
    """-1, 0 or 1; of complex numbers those of length 1, and 0."""
    if x.aval.dtype.kind != "c":
        return _sign(x)
    return _phase(strong(x))


def _phase(z: Value) -> Value:
    """``z`` over its size; of one infinite part its direction, of two NaN, as NumPy's np.sign."""
    size = ops.absolute(z)
    zero, one = size.builder.full(0.0, size.aval), size.builder.full(1.0, size.aval)
    is_plain = ops.logical_and(ops.less(zero, size), ops.less(size, zero.builder.full(math.inf, size.aval)))
    parts = [complex_ops.real(z), complex_ops.imag(z)]
    divisor = ops.select(is_plain, size, one)
    unit = complex_ops.make_complex(parts[0] / divisor, parts[1] / divisor)
    far = [ops.equal(ops.absolute(part), part.builder.full(math.inf, part.aval)) for part in parts]
    ends = [ops.select(is_far, ops.sign(part), zero) for is_far, part in zip(far, parts, strict=True)]
    lost = ops.logical_or(ops.isnan(size), ops.logical_and(*far))
    ends = [ops.select(lost, zero.builder.full(math.nan, zero.aval), end) for end in ends]
    return ops.select(is_plain, unit, complex_ops.make_complex(*ends))


add = _binary(np.add, ops.add, ops.logical_or)
subtract = _binary(np.subtract, ops.sub)
multiply = _binary(np.multiply, ops.mul, ops.logical_and)
true_divide = _binary(np.true_divide, ops.div)  # np.divide is the same object
floor_divide = _binary(np.floor_divide, ops.floor_div)
remainder = _binary(np.remainder, ops.mod)  # np.mod is the same object
_binary(np.arctan2, functions.arctan2)
_binary(np.hypot, functions.hypot)

ELEMENTWISE: Final = frozenset(_ELEMENTWISE)
"""What they give depends on the abstract values of operands, and on Python numbers among them, alone."""


# Powers.


def power(x1: Value, x2: Value) -> Value:
    """``x1 ** x2`` by NumPy's rules; two Python numbers stay one.

    Raises DomainError for integers to negative integer powers, when it runs where the exponent is data.
    """
    dtype = operand_dtype(np.power, marker(x1), marker(x2))
    if dtype.kind == "i" and not (x1.aval.weak and x2.aval.weak) and _may_be_negative(x2):
        return elementwise(integer_power, np.power, x1, x2)
    return elementwise(ops.power, np.power, x1, x2)


def _may_be_negative(exponent: Value) -> bool:
    """Whether a signed exponent is data. Raises DomainError for one that is known and negative."""
    node = exponent.node
    if exponent.aval.dtype.kind in "ub":
        return False
    if node.op.name != "constant":
        return True
    if (node.params["value"] < 0).any():
        raise DomainError(NEGATIVE_POWER, as_numpy=True)
    return False


@implements(np.power, arrays=("x1", "x2"))
def _power(x1: Value, x2: Value) -> Value:
    return strong(power(x1, x2))


@implements(np.float_power, arrays=("x1", "x2"))
def _float_power(x1: Value, x2: Value) -> Value:
    dtype = operand_dtype(np.float_power, marker(x1), marker(x2))
    return ops.power(*broadcasted("np.float_power", converted(x1, dtype), converted(x2, dtype)))


@implements(np.square, arrays=("x",))
def square(x: Value) -> Value:
    """``x * x``."""
    dtype = operand_dtype(np.square, marker(x))
    operand = converted(x, dtype)
    return operand * operand


@implements(np.reciprocal, arrays=("x",))
def reciprocal(x: Value) -> Value:
    """``1 / x``; of integers without what is behind the comma, so 0 but for 1 and -1.

    1 / 0 as an integer is what NumPy gives on x86-64: the smallest signed one of 32 or 64 bits, otherwise 0.
    """
    dtype = operand_dtype(np.reciprocal, marker(x))
    operand = converted(x, dtype)
    if dtype.kind in "fc":
        return 1.0 / operand
    zero = x.builder.full(0, operand.aval)
    small = np.iinfo(dtype).min if dtype.kind == "i" and dtype.itemsize >= 4 else 0
    is_unit = ops.equal(operand, x.builder.full(1, operand.aval))
    if dtype.kind == "i":
        is_unit = ops.logical_or(is_unit, ops.equal(operand, x.builder.full(-1, operand.aval)))
    return ops.select(is_unit, operand, ops.select(ops.equal(operand, zero), x.builder.full(small, operand.aval), zero))


def _as_float(ufunc: np.ufunc, x: Value) -> Value:
    return converted(x, operand_dtype(ufunc, marker(x)))


# Other compositions.


@implements(np.positive, arrays=("x",))
def positive(x: Value) -> Value:
    """``+x``."""
    operand_dtype(np.positive, marker(x))
    return strong(x)


@implements(np.absolute, arrays=("x",))
def absolute(x: Value) -> Value:
    """``|x|``; booleans and unsigned numbers are their own."""
    return strong(magnitude(x))


def magnitude(x: Value) -> Value:
    """``abs(x)``; of a Python number it stays one."""
    return x if x.aval.dtype.kind in "bu" else elementwise(ops.absolute, np.absolute, x)


@implements(np.fabs, arrays=("x",))
def fabs(x: Value) -> Value:
    """``|x|`` in floating point."""
    return ops.absolute(_as_float(np.fabs, x))


def _scaling(ufunc: np.ufunc, factor: float) -> None:
    def function(x: Value) -> Value:
        return _as_float(ufunc, x) * factor

    implements(ufunc, arrays=("x",))(function)


_scaling(np.deg2rad, math.pi / 180.0)
_scaling(np.radians, math.pi / 180.0)
_scaling(np.rad2deg, 180.0 / math.pi)
_scaling(np.degrees, 180.0 / math.pi)


@implements(np.logaddexp, arrays=("x1", "x2"))
def logaddexp(x1: Value, x2: Value) -> Value:
    """``log(exp(x1) + exp(x2))``, as the larger plus a softplus of a number that is not positive; with 0, a softplus.

    The larger is selected, not taken by ``maximum``: its rule for ties would give the slope 0 at a tie with a constant.
    """
    dtype = operand_dtype(np.logaddexp, marker(x1), marker(x2))
    a, b = broadcasted("np.logaddexp", converted(x1, dtype), converted(x2, dtype))
    for one, other in ((a, b), (b, a)):
        if one.builder.scalar(one) == 0:
            return ops.softplus(other)
    first = ops.greater(a, b)
    high, low = ops.select(first, a, b), ops.select(first, b, a)
    apart = ops.logical_or(ops.isfinite(high), ops.not_equal(a, b))
    gap = ops.select(apart, low - high, high.builder.full(0.0, high.aval))
    return high + ops.softplus(gap)


# Logic.


def _logical(ufunc: np.ufunc, op: Op) -> None:
    def function(x1: Value, x2: Value) -> Value:
        return op(*broadcasted(f"np.{ufunc.__name__}", truth(x1), truth(x2)))

    implements(ufunc, arrays=("x1", "x2"))(function)


_logical(np.logical_and, ops.logical_and)
_logical(np.logical_or, ops.logical_or)
_logical(np.logical_xor, ops.logical_xor)


@implements(np.logical_not, arrays=("x",))
def logical_not(x: Value) -> Value:
    """Whether ``x`` is 0."""
    return ops.logical_not(truth(x))


def _predicate(ufunc: np.ufunc, of_floats: Callable[[Value], Value], of_others: bool) -> None:
    def function(x: Value) -> Value:
        return of_floats(x) if x.aval.dtype.kind in "fc" else everywhere(x, of_others)

    implements(ufunc, arrays=("x",))(function)


def _isinf(x: Value) -> Value:
    size = ops.absolute(x)
    return ops.equal(size, x.builder.full(math.inf, size.aval))


_predicate(np.isnan, ops.isnan, False)
_predicate(np.isfinite, ops.isfinite, True)
_predicate(np.isinf, _isinf, False)


# Selection.


@implements(np.where, arrays=("condition", "x", "y"), keeps_weak=True)
def where(condition: Value, x: Value | None = None, y: Value | None = None) -> Value:
    """``x`` where the condition holds, ``y`` elsewhere. Raises TraceError for the form with one argument."""
    if x is None or y is None:
        raise TraceError(
            f"np.where: with the condition {condition.aval} alone the shape of the result depends on data; "
            "write np.where(condition, x, y)"
        )
    dtype = common_dtype(x, y)
    mask, a, b = broadcasted("np.where", truth(condition), converted(x, dtype), converted(y, dtype))
    return ops.select(mask, a, b)


@implements(np.clip, arrays=("a", "a_min", "a_max", "min", "max"), keeps_weak=True)
def clip(
    a: Value, a_min: Value | None = None, a_max: Value | None = None, *, min: Any = None, max: Any = None
) -> Value:
    """``a`` held between the bounds, either of which may be None: ``minimum(maximum(a, low), high)``."""
    low = a_min if isinstance(a_min, Value) else min
    high = a_max if isinstance(a_max, Value) else max
    bounds = [b for b in (low, high) if isinstance(b, Value)]
    dtype = common_dtype(a, *bounds)
    values = broadcasted("np.clip", converted(a, dtype), *[converted(b, dtype) for b in bounds])
    held = values[0]
    if dtype.kind == "c":
        lower, upper = values[1] if isinstance(low, Value) else None, values[-1] if isinstance(high, Value) else None
        return clip_complex(held, lower, upper)
    if isinstance(low, Value):
        held = ops.maximum(held, values[1])
    if isinstance(high, Value):
        held = ops.minimum(held, values[-1])
    return held
