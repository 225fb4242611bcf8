"""What is done to all rows of panels in one go, as matrices are brought to few diagonals: sums along rows in parts, a
matrix scaled, and the rows behind the panels. (Howell, Demmel, Fulton, Hammarling and Marmol, Cache efficient
bidiagonalization using BLAS 2.5 operators, 2008.)
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gradc.loops.algebra.arithmetic import Array, Number, Parted, element, plus, real
from gradc.loops.algebra.factors import Index, loop, store
from gradc.loops.algebra.reflections import Columns, Reflector
from gradc.loops.language.program import Accumulate, Buffer, Expression, If, Local, Statement, b, variable

TAUS, DIAGONAL, BESIDE, NUMBERS, EXTRA = 0, 1, 2, 3, 4
"""The rows behind a panel: what reflections multiply by, the elements on and beside the diagonal, and what the matrix
was divided by and whether it is finite; and their count."""

MODERATE: Final = 2.0**10
"""A matrix whose largest element is beyond this, or its reciprocal, is divided by it, so that no square is lost."""

PARTS: Final = 4
"""Partial sums of products along the rows of a panel."""

LARGEST_PARTS: Final = 40 * 1024
"""Bytes of partial sums that stand on the stack."""


def shape_held(layout: Columns, parts: int, sets: int) -> tuple[int, int, int]:
    """The shape of an array that holds so many sets of panels of numbers, and one more for partial sums."""
    return (sets * layout.count + 1) * parts, layout.padded + EXTRA, layout.width


def held(name: str, layout: Columns, parts: int, sets: int, dtype: np.dtype, *, writable: bool) -> Buffer:
    """The parameter that such an array is."""
    return Buffer(name, dtype, shape_held(layout, parts, sets), "parameter", writable=writable)


class Passes:
    """Rows of panels in ``f``, of which ``sets`` hold numbers, a part of ``PARTS`` columns beside the other."""

    def __init__(self, layout: Columns, buffer: Buffer, parts: int, sets: int) -> None:
        self.layout, self.dtype, self.parts, self.sets = layout, buffer.dtype, parts, sets
        self.buffer, self.f = buffer, Parted(buffer, layout.count, parts)
        self.zero, self.one = b.constant(0.0, buffer.dtype), b.constant(1.0, buffer.dtype)
        self.t = variable("t")
        self.sums = Array("parts", buffer.dtype, (layout.padded, PARTS), parts)
        self.on_stack = layout.padded * PARTS * buffer.dtype.itemsize * parts <= LARGEST_PARTS
        self.spare = Parted(buffer, 1, parts, sets * layout.count * parts)

    @property
    def columns(self) -> range:
        """Where each part begins."""
        return range(0, self.layout.width, PARTS)

    @property
    def locals(self) -> tuple[Statement, ...]:
        """The partial sums, where they stand on the stack."""
        return self.sums.locals if self.on_stack else ()

    def vector(self, word: str) -> Array:
        """A local vector with an element for each row or column, and some more."""
        return Array(word, self.dtype, (self.layout.padded + self.layout.width,), self.parts)

    def part(self, i: Index, k: Index) -> Number:
        """A partial sum of a row: on the stack, of large matrices in a panel of their own."""
        return self.sums.at(i, k) if self.on_stack else self.spare.at(0, i, k)

    def put_part(self, i: Index, k: Index, value: Number) -> tuple[Statement, ...]:
        return self.sums.put((i, k), value) if self.on_stack else self.spare.put(0, i, k, value)

    def no_parts(self, lo: Index, hi: Index) -> Statement:
        """The partial sums of rows, set to 0."""
        i, t = variable("i"), self.t
        nothing = self.put_part(i, t, real(self.zero, self.parts))
        return loop("i", lo, hi, loop("t", 0, PARTS, *nothing, mode="vector"))

    def total(self, i: Expression) -> Number:
        """The sum of the partial sums of a row."""
        first, second, third, fourth = (self.part(i, k) for k in range(PARTS))
        return plus(plus(first, third), plus(second, fourth))

    def scaled(self, lo: Expression) -> tuple[Statement, ...]:
        """The rows from ``lo`` on of each panel divided by the largest part, where squares may leave the range."""
        layout, p, i, t = self.layout, variable("p"), variable("i"), self.t
        largest = Buffer("largest", self.dtype, (), "local")
        sizes = Buffer("sizes", self.dtype, (layout.width,), "local")
        span = b.load(largest)
        far = b.logical_and(b.logical_or(b.lt(span, 1 / MODERATE), b.gt(span, MODERATE)), b.gt(span, self.zero))
        here = self.f.at(p, i, t)
        larger = element(sizes, t)
        for part in here:
            larger = b.maximum(larger, b.abs(part))
        divided = self.f.put(p, i, t, tuple(b.div(part, span) for part in here))
        numbers, width = layout.padded + NUMBERS, layout.width

        def in_rows(*body: Statement) -> Statement:
            return loop("p", 0, layout.count, loop("i", lo, layout.padded, loop("t", 0, width, *body, mode="vector")))

        return (
            Local(largest),
            Local(sizes),
            loop("t", 0, width, store(sizes, (t,), self.zero), mode="vector"),
            in_rows(store(sizes, (t,), larger)),
            store(largest, (), self.zero),
            loop("t", 0, width, Accumulate("maximum", largest.name, (), element(sizes, t))),
            store(self.buffer, (0, numbers, 1), b.select(b.isfinite(span), self.one, self.zero)),
            store(self.buffer, (0, numbers, 0), b.select(far, span, self.one)),
            If(far, (in_rows(*divided),)),
        )

    def put_real(self, row: int, k: Index, value: Expression) -> Statement:
        """Set an element of a row of real numbers behind the panels."""
        panel, _, column = self.layout.place(0, k)
        return store(self.buffer, (panel, self.layout.padded + row, column), value)

    def put_tau(self, k: Index, value: Number, matrix: Parted | None = None) -> tuple[Statement, ...]:
        """Set what reflection k multiplies by."""
        panel, _, column = self.layout.place(0, k)
        return (matrix or self.f).put(panel, self.layout.padded + TAUS, column, value)

    def reflected(self, reflector: Reflector, row: int, k: Expression) -> tuple[Statement, ...]:
        """A column becomes the vector of reflection k, what it leaves of it an element of a row behind the panels."""
        column, first = reflector.column, reflector.first

        def made(beta: Expression, tau: Number, scale: Number) -> tuple[Statement, ...]:
            return (
                *reflector.divided(scale),
                *column.put((first,), real(self.one, self.parts)),
                self.put_real(row, k, beta),
                *self.put_tau(k, tau),
            )

        nothing = (
            self.put_real(row, k, column.at(first)[0]),
            column.cleared(first, reflector.rows),
            *self.put_tau(k, real(self.zero, self.parts)),
        )
        return reflector.statements(made, nothing)

    def no_taus(self) -> Statement:
        """No reflections as yet."""
        p = variable("p")
        nothing = store(self.buffer, (p, self.layout.padded + TAUS, self.t), self.zero)
        panels = self.parts * self.sets * self.layout.count
        return loop("p", 0, panels, loop("t", 0, self.layout.width, nothing, mode="vector"))
