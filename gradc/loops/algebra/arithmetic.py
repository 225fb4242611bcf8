"""Numbers of one part, or of two, a real and an imaginary one, so that loops on matrices are told once for both."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from gradc.loops.algebra.factors import Index, let, loop, store
from gradc.loops.language.program import Buffer, Expression, Let, Local, Statement, b, variable

Number = tuple[Expression, ...]
"""The parts of a number."""


def expression(x: Index) -> Expression:
    """An index as an expression."""
    return x if isinstance(x, Expression) else b.constant(x)


def element(buffer: Buffer, *index: Index) -> Expression:
    """An element of a buffer."""
    return b.load(buffer, tuple(map(expression, index)))


def let_parts(word: str, x: Number) -> tuple[tuple[Let, ...], Number]:
    """Names for the parts of a number, and the names as a number."""
    ends = ("",) if len(x) == 1 else ("_re", "_im")
    named = [let(f"{word}{end}", part) for end, part in zip(ends, x, strict=True)]
    return tuple(statement for statement, _ in named), tuple(value for _, value in named)


def conjugate(x: Number) -> Number:
    """The conjugate."""
    return (x[0], *(b.neg(part) for part in x[1:]))


def negative(x: Number) -> Number:
    """``-x``."""
    return tuple(map(b.neg, x))


def plus(x: Number, y: Number) -> Number:
    """``x + y`` of as many parts."""
    return tuple(map(b.add, x, y))


def minus(x: Number, y: Number) -> Number:
    """``x - y`` of as many parts."""
    return tuple(map(b.sub, x, y))


def scaled(x: Number, by: Expression) -> Number:
    """A number times a real one."""
    return tuple(b.mul(part, by) for part in x)


def over(x: Number, divisor: Expression) -> Number:
    """A number over a real one."""
    return tuple(b.div(part, divisor) for part in x)


def times(x: Number, y: Number) -> Number:
    """``x * y``, of which that of conjugates is exactly real."""
    if len(x) == 1:
        return tuple(b.mul(x[0], part) for part in y)
    if len(y) == 1:
        return times(y, x)
    return b.sub(b.mul(x[0], y[0]), b.mul(x[1], y[1])), b.add(b.mul(x[0], y[1]), b.mul(x[1], y[0]))


def fused_times(x: Number, y: Number) -> Number:
    """``x * y`` of as many parts, in each of which one product is fused with the other."""
    if len(x) == 1:
        return (b.mul(x[0], y[0]),)
    return (
        b.fma(x[0], y[0], b.neg(b.mul(x[1], y[1]))),
        b.fma(x[0], y[1], b.mul(x[1], y[0])),
    )


def multiply_add(x: Number, y: Number, z: Number) -> Number:
    """``x * y + z``, each product fused with the sum before it."""
    if len(x) == 1:
        return tuple(b.fma(x[0], part, rest) for part, rest in zip(y, z, strict=True))
    if len(y) == 1:
        return multiply_add(y, x, z)
    return (
        b.fma(x[0], y[0], b.fma(b.neg(x[1]), y[1], z[0])),
        b.fma(x[0], y[1], b.fma(x[1], y[0], z[1])),
    )


def less(x: Number, y: Number, z: Number) -> Number:
    """``z - x * y``."""
    return multiply_add(negative(x), y, z)


def less_two(v: Number, w: Number, x: Number, y: Number, z: Number) -> Number:
    """``z - x * y - v * w``."""
    return less(v, w, less(x, y, z))


def select(mask: Expression, x: Number, y: Number) -> Number:
    """``x`` where the mask holds, else ``y``."""
    return tuple(b.select(mask, one, other) for one, other in zip(x, y, strict=True))


def real(x: Expression, parts: int) -> Number:
    """A real number of so many parts."""
    return (x, *(b.constant(0.0, x.dtype) for _ in range(parts - 1)))


# Sizes.


def extent(x: Number) -> Expression:
    """The sum of the sizes of the parts, which is the size up to a factor of the square root of 2."""
    total = b.abs(x[0])
    return total if len(x) == 1 else b.add(total, b.abs(x[1]))


def largest_part(*numbers: Number) -> Expression:
    """The size of the largest part."""
    return functools.reduce(b.maximum, [b.abs(part) for x in numbers for part in x])


def squares(*numbers: Number) -> Expression:
    """The sum of the squares of all parts."""
    first, *rest = (part for x in numbers for part in x)
    total = b.mul(first, first)
    for part in rest:
        total = b.fma(part, part, total)
    return total


# Where numbers stand.


class Array:
    """A local array of numbers: a buffer for each part."""

    def __init__(self, word: str, dtype: np.dtype, shape: tuple[int, ...], parts: int) -> None:
        ends = ("",) if parts == 1 else ("_re", "_im")
        self.buffers = tuple(Buffer(f"{word}{end}", dtype, shape, "local") for end in ends)
        self.zero = b.constant(0.0, dtype)

    @property
    def locals(self) -> tuple[Statement, ...]:
        """The declarations."""
        return tuple(map(Local, self.buffers))

    def at(self, *index: Index) -> Number:
        """An element."""
        return tuple(element(buffer, *index) for buffer in self.buffers)

    def put(self, index: Sequence[Index], value: Number) -> tuple[Statement, ...]:
        """Set an element."""
        return tuple(store(buffer, tuple(index), part) for buffer, part in zip(self.buffers, value, strict=True))

    def cleared(self, lo: Index, hi: Index) -> Statement:
        """Elements of a vector, set to 0."""
        i = variable("i")
        return loop("i", lo, hi, *self.put((i,), (self.zero,) * len(self.buffers)), mode="vector")


class Parted:
    """A matrix of numbers in panels of one buffer: one set of ``count`` panels for each part, from ``first`` on."""

    def __init__(self, buffer: Buffer, count: int, parts: int, first: int = 0) -> None:
        self.buffer, self.count, self.parts, self.first = buffer, count, parts, first

    def panels(self, p: Index) -> tuple[Expression, ...]:
        """Where the parts of a panel stand."""
        return tuple(b.add(expression(p), self.first + k * self.count) for k in range(self.parts))

    def at(self, p: Index, i: Index, t: Index) -> Number:
        """An element."""
        return tuple(element(self.buffer, panel, i, t) for panel in self.panels(p))

    def put(self, p: Index, i: Index, t: Index, value: Number) -> tuple[Statement, ...]:
        """Set an element."""
        places = zip(self.panels(p), value, strict=True)
        return tuple(store(self.buffer, (panel, i, t), part) for panel, part in places)


class Rows:
    """A matrix in rows of a work array, from the row ``starts[k]`` on for part k."""

    def __init__(self, w: Buffer, starts: Sequence[int]) -> None:
        self.w, self.starts = w, tuple(starts)

    @property
    def parts(self) -> int:
        """How many there are."""
        return len(self.starts)

    def at(self, i: Index, j: Index) -> Number:
        """An element."""
        return tuple(element(self.w, b.add(i, start), j) for start in self.starts)

    def put(self, i: Index, j: Index, value: Number) -> tuple[Statement, ...]:
        """Set an element."""
        return tuple(store(self.w, (b.add(i, start), j), each) for start, each in zip(self.starts, value, strict=True))

    def zero(self) -> Number:
        """The number 0 in as many parts."""
        return (b.constant(0.0, self.w.dtype),) * self.parts

    def one(self) -> Number:
        """The number 1 in as many parts."""
        return (b.constant(1.0, self.w.dtype), *self.zero()[1:])
