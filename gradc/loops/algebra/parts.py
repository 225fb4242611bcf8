"""Scalars of one part, real, or of two, complex; and matrices of them in the rows of a work array."""

from __future__ import annotations

from collections.abc import Sequence

from gradc.loops.algebra.arithmetic import element
from gradc.loops.algebra.factors import Index, let, store
from gradc.loops.language.program import Buffer, Expression, Let, Local, Statement, b

Scalar = tuple[Expression, ...]
"""The real part, and the imaginary part where there is one."""


def named(name: str, x: Scalar) -> tuple[tuple[Let, ...], Scalar]:
    """A name for each part, and the scalar made of them."""
    lets = [let(word, each) for word, each in zip((name, f"{name}_im"), x, strict=False)]
    return tuple(statement for statement, _ in lets), tuple(variable for _, variable in lets)


def conjugate(x: Scalar) -> Scalar:
    """The conjugate."""
    return x if len(x) == 1 else (x[0], b.neg(x[1]))


def negative(x: Scalar) -> Scalar:
    """``-x``."""
    return tuple(b.neg(each) for each in x)


def multiply_add(x: Scalar, y: Scalar, z: Scalar) -> Scalar:
    """``x * y + z``, each product fused with the sum before it."""
    if len(x) == 1:
        return tuple(b.fma(x[0], each, rest) for each, rest in zip(y, z, strict=True))
    if len(y) == 1:
        return multiply_add(y, x, z)
    return (
        b.fma(x[0], y[0], b.fma(b.neg(x[1]), y[1], z[0])),
        b.fma(x[0], y[1], b.fma(x[1], y[0], z[1])),
    )


def times(x: Scalar, y: Scalar) -> Scalar:
    """``x * y``."""
    if len(x) == 1:
        return tuple(b.mul(x[0], each) for each in y)
    if len(y) == 1:
        return times(y, x)
    return b.sub(b.mul(x[0], y[0]), b.mul(x[1], y[1])), b.add(b.mul(x[0], y[1]), b.mul(x[1], y[0]))


def plus(x: Scalar, y: Scalar) -> Scalar:
    """``x + y`` of as many parts."""
    return tuple(b.add(one, other) for one, other in zip(x, y, strict=True))


def minus(x: Scalar, y: Scalar) -> Scalar:
    """``x - y`` of as many parts."""
    return tuple(b.sub(one, other) for one, other in zip(x, y, strict=True))


def over(x: Scalar, divisor: Expression) -> Scalar:
    """Each part divided by a real number."""
    return tuple(b.div(each, divisor) for each in x)


def extent(x: Scalar) -> Expression:
    """The sum of the sizes of the parts, which is the size up to a factor of the square root of 2."""
    total = b.abs(x[0])
    return total if len(x) == 1 else b.add(total, b.abs(x[1]))


def largest_part(*scalars: Scalar) -> Expression:
    """The size of the largest part."""
    sizes = [b.abs(each) for x in scalars for each in x]
    largest = sizes[0]
    for size in sizes[1:]:
        largest = b.maximum(largest, size)
    return largest


def squares(*scalars: Scalar) -> Expression:
    """The sum of the squares of all parts."""
    first, *rest = (each for x in scalars for each in x)
    found = b.mul(first, first)
    for each in rest:
        found = b.fma(each, each, found)
    return found


def selected(mask: Expression, x: Scalar, y: Scalar) -> Scalar:
    """``x`` where the mask holds, else ``y``."""
    return tuple(b.select(mask, one, other) for one, other in zip(x, y, strict=True))


class Cells:
    """Local buffers of one shape, one for each part."""

    def __init__(self, name: str, like: Buffer, parts: int, shape: tuple[int, ...] = ()) -> None:
        self.buffers = [Buffer(word, like.dtype, shape, "local") for word in (name, f"{name}_im")[:parts]]

    @property
    def locals(self) -> tuple[Local, ...]:
        """Their declarations."""
        return tuple(Local(buffer) for buffer in self.buffers)

    def at(self, *index: Index) -> Scalar:
        """An element."""
        return tuple(element(buffer, *index) for buffer in self.buffers)

    def put(self, *index: Index, value: Scalar) -> tuple[Statement, ...]:
        """Set an element."""
        return tuple(store(buffer, index, each) for buffer, each in zip(self.buffers, value, strict=True))


class Rows:
    """A matrix in rows of a work array, from the row ``starts[k]`` on for part k."""

    def __init__(self, w: Buffer, starts: Sequence[int]) -> None:
        self.w, self.starts = w, tuple(starts)

    @property
    def parts(self) -> int:
        """How many there are."""
        return len(self.starts)

    def at(self, i: Index, j: Index) -> Scalar:
        """An element."""
        return tuple(element(self.w, b.add(i, start), j) for start in self.starts)

    def put(self, i: Index, j: Index, value: Scalar) -> tuple[Statement, ...]:
        """Set an element."""
        return tuple(store(self.w, (b.add(i, start), j), each) for start, each in zip(self.starts, value, strict=True))

    def zero(self) -> Scalar:
        """The number 0 in as many parts."""
        return (b.constant(0.0, self.w.dtype),) * self.parts

    def one(self) -> Scalar:
        """The number 1 in as many parts."""
        return (b.constant(1.0, self.w.dtype), *self.zero()[1:])
