"""Numbers of one part, or of two, a real and an imaginary one, so that loops on matrices are told once for both."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gradc.loops.algebra.factors import Index, loop, store
from gradc.loops.algebra.factors import let as let_expression
from gradc.loops.language.program import Buffer, Expression, Let, Local, Statement, b, variable

Number = tuple[Expression, ...]
"""The parts of a number."""


def expression(x: Index) -> Expression:
    """An index as an expression."""
    return x if isinstance(x, Expression) else b.constant(x)


def element(buffer: Buffer, *index: Index) -> Expression:
    """An element of a buffer."""
    return b.load(buffer, tuple(map(expression, index)))


def let(word: str, x: Number) -> tuple[tuple[Let, ...], Number]:
    """Names for the parts of a number, and the names as a number."""
    ends = ("",) if len(x) == 1 else ("_re", "_im")
    named = [let_expression(f"{word}{end}", part) for end, part in zip(ends, x, strict=True)]
    return tuple(statement for statement, _ in named), tuple(value for _, value in named)


def conjugate(x: Number) -> Number:
    """The conjugate."""
    return (x[0], *(b.neg(part) for part in x[1:]))


def negative(x: Number) -> Number:
    """``-x``."""
    return tuple(map(b.neg, x))


def both(operation: Callable[..., Expression], *numbers: Number) -> Number:
    """An operation on each part."""
    return tuple(operation(*parts) for parts in zip(*numbers, strict=True))


def scaled(x: Number, by: Expression) -> Number:
    """A number times a real one."""
    return tuple(b.mul(part, by) for part in x)


def times(x: Number, y: Number) -> Number:
    """``x * y``."""
    if len(x) == 1:
        return (b.mul(x[0], y[0]),)
    return (
        b.fma(x[0], y[0], b.neg(b.mul(x[1], y[1]))),
        b.fma(x[0], y[1], b.mul(x[1], y[0])),
    )


def plus(x: Number, y: Number, z: Number) -> Number:
    """``x * y + z``."""
    if len(x) == 1:
        return (b.fma(x[0], y[0], z[0]),)
    return (
        b.fma(x[0], y[0], b.fma(b.neg(x[1]), y[1], z[0])),
        b.fma(x[0], y[1], b.fma(x[1], y[0], z[1])),
    )


def less(x: Number, y: Number, z: Number) -> Number:
    """``z - x * y``."""
    return plus(negative(x), y, z)


def select(mask: Expression, x: Number, y: Number) -> Number:
    """``x`` where the mask holds, else ``y``."""
    return tuple(b.select(mask, one, other) for one, other in zip(x, y, strict=True))


def real(x: Expression, parts: int) -> Number:
    """A real number of so many parts."""
    return (x, *(b.constant(0.0, x.dtype) for _ in range(parts - 1)))


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
