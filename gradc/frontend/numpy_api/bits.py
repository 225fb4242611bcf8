"""NumPy's operations on bits over Values: of booleans they are logic, of integers ops of their own and powers of 2."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.errors import DtypeError
from gradc.frontend.numpy_api.promote import broadcasted, converted, elementwise, marker, operand_dtype, strong, truth
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops import bits
from gradc.ops import elementwise as ops


def _bitwise(ufunc: np.ufunc, of_bools: Op, of_integers: Op) -> None:
    def function(x1: Value, x2: Value) -> Value:
        name = f"np.{ufunc.__name__}"
        if {x1.aval.dtype.kind, x2.aval.dtype.kind} == {"b"}:
            return of_bools(*broadcasted(name, truth(x1), truth(x2)))
        _check(name, x1, x2)
        return strong(elementwise(of_integers, ufunc, x1, x2))

    function.__name__ = ufunc.__name__
    implements(ufunc, arrays=("x1", "x2"))(function)


def _check(name: str, *operands: Value) -> None:
    """Raises DtypeError for operands that have no bits to work on."""
    if any(x.aval.dtype.kind not in "iub" for x in operands):
        listed = " and ".join(str(x.aval) for x in operands)
        raise DtypeError(
            f"{name}: {listed} are not integers or booleans; convert them, or compare floats first", as_numpy=True
        )


_bitwise(np.bitwise_and, ops.logical_and, bits.bitwise_and)
_bitwise(np.bitwise_or, ops.logical_or, bits.bitwise_or)
_bitwise(np.bitwise_xor, ops.logical_xor, bits.bitwise_xor)


@implements(np.gcd, arrays=("x1", "x2"))
def gcd(x1: Value, x2: Value) -> Value:
    """The greatest common divisor."""
    return strong(elementwise(bits.gcd, np.gcd, x1, x2))


@implements(np.lcm, arrays=("x1", "x2"))
def lcm(x1: Value, x2: Value) -> Value:
    """The least common multiple, 0 where one of both is 0."""
    dtype = operand_dtype(np.lcm, marker(x1), marker(x2))
    a, b = broadcasted("np.lcm", converted(x1, dtype), converted(x2, dtype))
    sizes = [x if dtype.kind == "u" else ops.absolute(x) for x in (a, b)]
    divisor = bits.gcd(a, b)
    one = divisor.builder.full(1, divisor.aval)
    return ops.floor_div(sizes[0], ops.select(ops.equal(divisor, one - one), one, divisor)) * sizes[1]


@implements(np.invert, arrays=("x",))
def invert(x: Value) -> Value:
    """Every bit turned: ``-1 - x`` of integers, ``not x`` of booleans."""
    if x.aval.dtype.kind == "b":
        return ops.logical_not(x)
    _check("np.invert", x)
    operand = strong(x)
    ones = operand.builder.full(int(np.invert(operand.aval.dtype.type(0))), operand.aval)
    return ones - operand


def _shifted(ufunc: np.ufunc, x1: Value, x2: Value) -> tuple[Value, Value, int]:
    """Both operands in one dtype, and how many bits it has."""
    _check(f"np.{ufunc.__name__}", x1, x2)
    dtype = operand_dtype(ufunc, marker(x1), marker(x2))
    a, b = broadcasted(f"np.{ufunc.__name__}", converted(x1, dtype), converted(x2, dtype))
    return a, b, dtype.itemsize * 8


def _beyond(count: Value, bits_: int) -> Value:
    """Where a count is not one of bits: NumPy shifts everything out there, for negative counts as well."""
    most = ops.greater_equal(count, count.builder.full(bits_, count.aval))
    if count.aval.dtype.kind == "u":
        return most
    return ops.logical_or(most, ops.less(count, count.builder.full(0, count.aval)))


def _power_of_two(count: Value) -> Value:
    two: Any = count.builder.full(2, count.aval)
    return ops.power(two, count)


@implements(np.left_shift, arrays=("x1", "x2"))
def left_shift(x1: Value, x2: Value) -> Value:
    """``x1 * 2**x2`` without the bits that leave."""
    x, count, size = _shifted(np.left_shift, x1, x2)
    zero = x.builder.full(0, x.aval)
    out = _beyond(count, size)
    return ops.select(out, zero, x * _power_of_two(ops.select(out, zero, count)))


@implements(np.right_shift, arrays=("x1", "x2"))
def right_shift(x1: Value, x2: Value) -> Value:
    """``x1 // 2**x2``, in two steps since the largest power has no integer; 0 or -1 where all bits leave."""
    x, count, size = _shifted(np.right_shift, x1, x2)
    zero = x.builder.full(0, x.aval)
    out = _beyond(count, size)
    inside = ops.select(out, zero, count)
    last = x.builder.full(size - 2, x.aval)
    first = ops.minimum(inside, last)
    moved = ops.floor_div(ops.floor_div(x, _power_of_two(first)), _power_of_two(inside - first))
    if x.aval.dtype.kind == "u":
        return ops.select(out, zero, moved)
    return ops.select(out, ops.select(ops.less(x, zero), zero - 1, zero), moved)


@implements(np.bitwise_count, arrays=("x",))
def bitwise_count(x: Value) -> Value:
    """How many bits of ``|x|`` are set, as u8."""
    _check("np.bitwise_count", x)
    operand = converted(x, np.dtype(np.uint8)) if x.aval.dtype.kind == "b" else strong(x)
    size = ops.absolute(operand) if operand.aval.dtype.kind == "i" else operand
    wide = ops.convert(size, dtype=np.dtype(np.uint64)) if size.aval.dtype != np.uint64 else size
    one = wide.builder.full(1, wide.aval)
    total = wide.builder.full(0, wide.aval)
    for place in range(operand.aval.dtype.itemsize * 8):
        part = ops.floor_div(wide, wide.builder.full(2**place, wide.aval))
        total = total + bits.bitwise_and(part, one)
    return ops.convert(total, dtype=np.dtype(np.uint8))
