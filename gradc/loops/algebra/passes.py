"""What is done to all rows of panels in one go, as matrices are brought to few diagonals: sums along rows in parts, a
matrix scaled, and the rows behind the panels. (Howell, Demmel, Fulton, Hammarling and Marmol, Cache efficient
bidiagonalization using BLAS 2.5 operators, 2008.)
"""

from __future__ import annotations

from typing import Final

from gradc.loops.algebra.factors import Index, loop, store
from gradc.loops.algebra.reflections import Columns, element
from gradc.loops.language.program import Accumulate, Buffer, Expression, If, Local, Statement, Store, b, variable

TAUS, DIAGONAL, BESIDE, NUMBERS, EXTRA = 0, 1, 2, 3, 4
"""The rows behind a panel: what reflections multiply by, the elements on and beside the diagonal, and what the matrix
was divided by and whether it is finite; and their count."""

MODERATE: Final = 2.0**10
"""A matrix whose largest element is beyond this, or its reciprocal, is divided by it, so that no square is lost."""

PARTS: Final = 4
"""Partial sums of products along the rows of a panel."""

LARGEST_PARTS: Final = 40 * 1024
"""Bytes of partial sums that stand on the stack."""


def shape_held(layout: Columns, sets: int) -> tuple[int, int, int]:
    """The shape of an array that holds so many sets of panels, and one more panel for partial sums."""
    return sets * layout.count + 1, layout.padded + EXTRA, layout.width


class Passes:
    """Rows of panels in ``f``, a part of ``PARTS`` columns beside the other."""

    def __init__(self, layout: Columns, f: Buffer) -> None:
        self.layout, self.f, self.dtype = layout, f, f.dtype
        self.spare = int(f.shape[0]) - 1
        self.zero, self.one = b.constant(0.0, f.dtype), b.constant(1.0, f.dtype)
        self.t = variable("t")
        local = layout.padded * PARTS * f.dtype.itemsize <= LARGEST_PARTS
        self.parts = Buffer("parts", f.dtype, (layout.padded, PARTS), "local") if local else None

    @property
    def columns(self) -> range:
        """Where each part begins."""
        return range(0, self.layout.width, PARTS)

    def vector(self, word: str) -> Buffer:
        """A local vector with an element for each row or column."""
        return Buffer(word, self.dtype, (self.layout.padded,), "local")

    def part(self, i: Index) -> Expression:
        """The partial sums of a row: on the stack, of large matrices in a panel of their own."""
        t = self.t
        return element(self.parts, i, t) if self.parts else element(self.f, self.spare, i, t)

    def put_part(self, i: Index, value: Expression) -> Store:
        return store(self.parts, (i, self.t), value) if self.parts else store(self.f, (self.spare, i, self.t), value)

    def cleared(self, buffer: Buffer, lo: Index, hi: Index) -> Statement:
        """Elements of a vector, set to 0."""
        i = variable("i")
        return loop("i", lo, hi, store(buffer, (i,), self.zero), mode="vector")

    def total(self, i: Expression) -> Expression:
        """The sum of the partial sums of a row."""
        parts = [element(self.parts, i, k) if self.parts else element(self.f, self.spare, i, k) for k in range(PARTS)]
        return b.add(b.add(parts[0], parts[2]), b.add(parts[1], parts[3]))

    def scaled(self, lo: Expression) -> tuple[Statement, ...]:
        """The rows from ``lo`` on of each panel divided by the largest element, where squares may leave the range."""
        layout, f, p, i, t = self.layout, self.f, variable("p"), variable("i"), self.t
        largest = Buffer("largest", self.dtype, (), "local")
        sizes = Buffer("sizes", self.dtype, (layout.width,), "local")
        span = b.load(largest)
        far = b.logical_and(b.logical_or(b.lt(span, 1 / MODERATE), b.gt(span, MODERATE)), b.gt(span, self.zero))
        larger = store(sizes, (t,), b.maximum(element(sizes, t), b.abs(element(f, p, i, t))))
        divided = store(f, (p, i, t), b.div(element(f, p, i, t), span))
        zero, numbers, width = b.constant(0), layout.padded + NUMBERS, layout.width

        def in_rows(*body: Statement) -> Statement:
            return loop("p", 0, layout.count, loop("i", lo, layout.padded, loop("t", 0, width, *body, mode="vector")))

        return (
            Local(largest),
            Local(sizes),
            loop("t", 0, width, store(sizes, (t,), self.zero), mode="vector"),
            in_rows(larger),
            store(largest, (), self.zero),
            loop("t", 0, width, Accumulate("maximum", largest.name, (), element(sizes, t))),
            store(f, (zero, numbers, 1), b.select(b.isfinite(span), self.one, self.zero)),
            store(f, (zero, numbers, 0), b.select(far, span, self.one)),
            If(far, (in_rows(divided),)),
        )

    def put(self, row: int, k: Index, value: Expression, panels: int = 0) -> Statement:
        """Set an element of a row behind a set of panels, which begins after so many."""
        panel, _, column = self.layout.place(0, k)
        return store(self.f, (b.add(panel, panels), self.layout.padded + row, column), value)

    def no_taus(self, sets: int) -> Statement:
        """No reflections as yet."""
        nothing = store(self.f, (variable("p"), self.layout.padded + TAUS, self.t), self.zero)
        return loop("p", 0, sets * self.layout.count, loop("t", 0, self.layout.width, nothing, mode="vector"))

    def no_parts(self, lo: Index, hi: Index) -> Statement:
        """The partial sums of rows, set to 0."""
        i = variable("i")
        return loop("i", lo, hi, loop("t", 0, PARTS, self.put_part(i, self.zero), mode="vector"))
