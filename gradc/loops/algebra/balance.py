"""Balancing a matrix of any kind before its eigenvalues are sought, and taking it back in their vectors.

Rows and columns that isolate an eigenvalue are brought to the ends, so that what can be read off is exact; then rows
and columns of the rest are scaled by powers of two towards equal norms. (Parlett and Reinsch, Balancing a matrix for
calculation of eigenvalues and eigenvectors, 1969; in the norm of James, Langou and Lowery, On matrix balancing and
eigenvector computation, 2014.)
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gradc.loops.algebra.arithmetic import Number, Rows, element, largest_part, let_parts, squares
from gradc.loops.algebra.factors import Index, let, loop, store
from gradc.loops.language.program import I64, Accumulate, Buffer, Expression, If, Local, Statement, b, variable

PASSES: Final = 24
"""Passes over the rows; few are needed, and the work is right after any number."""

DOUBLINGS: Final = 64
"""By what power of two a row is scaled at most in one pass."""

ENOUGH: Final = 0.95
"""A scaling that leaves more than this share of the norms is not worth its while (Parlett and Reinsch)."""


class Balance:
    """The balancing of ``h``, told in the rows ``order`` and ``scales`` of its work array."""

    def __init__(self, h: Rows, size: int, order: int, scales: int) -> None:
        self.h, self.size, self.order, self.scales = h, size, order, scales
        self.w, self.dtype = h.w, h.w.dtype
        self.low, self.high, self.changed, self.alone = (
            Buffer(word, np.dtype(np.int64), (), "local") for word in ("low", "high", "changed", "alone")
        )
        self.one, self.zero = b.constant(1.0, self.dtype), b.constant(0.0, self.dtype)

    def _inside(self, i: Index) -> Expression:
        """Whether a row is between those that isolate values."""
        return b.in_range(b.add(i, 0), b.load(self.low), b.load(self.high))

    def statements(self) -> tuple[Statement, ...]:
        """Balance the matrix."""
        i, size = variable("i"), self.size
        start = (
            store(self.w, (self.order, i), b.convert(i, self.dtype)),
            store(self.w, (self.scales, i), self.one),
        )
        return (
            Local(self.low),
            Local(self.high),
            Local(self.changed),
            Local(self.alone),
            store(self.low, (), b.constant(0)),
            store(self.high, (), b.constant(size)),
            loop("i", 0, size, *start),
            *self._isolated(of_rows=True),
            *self._isolated(of_rows=False),
            *self._scaled(),
        )

    # Order.

    def _isolated(self, *, of_rows: bool) -> tuple[Statement, ...]:
        """Rows with 0 beside the diagonal go to the end, columns to the start, until there is none."""
        turn, j, size = variable("turn"), variable("j"), self.size
        i = b.sub(b.constant(size - 1), turn) if of_rows else turn
        entry = self.h.at(i, j) if of_rows else self.h.at(j, i)
        other = b.logical_and(self._inside(j), b.ne(j, i))
        meets = b.logical_and(other, b.ne(largest_part(entry), self.zero))
        end = b.sub(b.load(self.high), 1) if of_rows else b.load(self.low)
        found, target = let("target", b.clamp(end, size))
        bound = (
            store(self.high, (), b.sub(b.load(self.high), 1))
            if of_rows
            else store(self.low, (), b.add(b.load(self.low), 1))
        )
        moved = (
            found,
            store(self.w, (self.order, target), b.convert(i, self.dtype)),
            *self._exchanged(self.h, i, target, rows=True),
            *self._exchanged(self.h, i, target, rows=False),
            bound,
            store(self.changed, (), b.constant(1)),
        )
        one = (
            store(self.alone, (), b.constant(1)),
            loop("j", 0, size, If(meets, (store(self.alone, (), b.constant(0)),))),
            If(b.eq(b.load(self.alone), 1), moved),
        )
        again = (store(self.changed, (), b.constant(0)), loop("turn", 0, size, If(self._inside(i), one)))
        return (
            store(self.changed, (), b.constant(1)),
            loop("round", 0, size, If(b.eq(b.load(self.changed), 1), again)),
        )

    def _exchanged(self, m: Rows, i: Expression, k: Expression, *, rows: bool) -> tuple[Statement, ...]:
        """Two rows or two columns in each other's place."""
        j = variable("j")
        mine, theirs = (m.at(i, j), m.at(k, j)) if rows else (m.at(j, i), m.at(j, k))
        kept, this = let_parts("this", mine)

        def put(place: Expression, value: Number) -> tuple[Statement, ...]:
            return m.put(place, j, value) if rows else m.put(j, place, value)

        return (loop("j", 0, self.size, *kept, *put(i, theirs), *put(k, this)),)

    # Scale.

    def _scaled(self) -> tuple[Statement, ...]:
        i, size = variable("i"), self.size
        again = (store(self.changed, (), b.constant(0)), loop("i", 0, size, If(self._inside(i), self._one_row())))
        return (
            store(self.changed, (), b.constant(1)),
            loop("round", 0, PASSES, If(b.eq(b.load(self.changed), 1), again)),
        )

    def _one_row(self) -> tuple[Statement, ...]:
        """Row and column i by a power of two and its inverse, where that makes them smaller together."""
        i, j, size = variable("i"), variable("j"), self.size
        down, along, top, side, factor = (
            Buffer(word, self.dtype, (), "local") for word in ("down", "along", "top", "side", "factor")
        )
        all_of = (down, along, top, side)
        column, row = self.h.at(j, i), self.h.at(i, j)

        def inside(x: Expression) -> Expression:
            return b.select(self._inside(j), x, self.zero)

        sums = (
            Accumulate("add", down.name, (), inside(squares(column))),
            Accumulate("add", along.name, (), inside(squares(row))),
            Accumulate("maximum", top.name, (), largest_part(column)),
            Accumulate("maximum", side.name, (), largest_part(row)),
        )
        first, c = let("column_norm", b.sqrt(b.load(down)))
        second, r = let("row_norm", b.sqrt(b.load(along)))
        limit = float(np.finfo(self.dtype).tiny) ** -0.5
        f = b.load(factor)
        # The norms by a factor f are c f and r / f; twice the factor is better while c f < r / (2 f).
        more = b.logical_and(
            b.lt(b.mul(b.mul(c, f), f), b.mul(r, 0.5)), b.lt(b.mul(b.maximum(b.load(top), f), f), limit)
        )
        less = b.logical_and(
            b.ge(b.mul(b.mul(c, f), f), b.mul(r, 2.0)),
            b.lt(b.maximum(b.load(side), b.div(self.one, f)), b.mul(f, limit)),
        )
        step = If(
            more,
            (store(factor, (), b.mul(f, 2.0)),),
            (If(less, (store(factor, (), b.mul(f, 0.5)),)),),
        )
        chosen, by = let("by", f)
        gain = b.lt(b.fma(c, by, b.div(r, by)), b.mul(b.add(c, r), ENOUGH))
        apply = (
            store(self.w, (self.scales, i), b.mul(element(self.w, self.scales, i), by)),
            loop("j", 0, size, *self.h.put(i, j, tuple(b.div(each, by) for each in row))),
            loop("j", 0, size, *self.h.put(j, i, tuple(b.mul(each, by) for each in column))),
            store(self.changed, (), b.constant(1)),
        )
        both = b.logical_and(b.gt(c, self.zero), b.gt(r, self.zero))
        return (
            *(Local(buffer) for buffer in (*all_of, factor)),
            *(store(buffer, (), self.zero) for buffer in all_of),
            store(factor, (), self.one),
            loop("j", 0, size, *sums),
            first,
            second,
            If(both, (loop("count", 0, DOUBLINGS, step), chosen, If(gain, apply))),
        )

    # Back.

    def undone(self, *vectors: Rows) -> tuple[Statement, ...]:
        """Vectors of the balanced matrix, in rows, become those of the matrix itself."""
        k, j, turn, size = variable("k"), variable("j"), variable("turn"), self.size
        scale = element(self.w, self.scales, j)
        scaled = [s for m in vectors for s in m.put(k, j, tuple(b.mul(each, scale) for each in m.at(k, j)))]

        def back(i: Expression) -> tuple[Statement, ...]:
            other = b.convert(element(self.w, self.order, i), I64)
            found, target = let("target", b.clamp(other, size))
            return (found, *[s for m in vectors for s in self._exchanged(m, i, target, rows=False)])

        before = b.sub(b.constant(size - 1), turn)
        return (
            loop("k", 0, size, loop("j", 0, size, *scaled, mode="vector")),
            loop("turn", 0, size, If(b.lt(before, b.load(self.low)), back(before))),
            loop("turn", 0, size, If(b.ge(turn, b.load(self.high)), back(turn))),
        )
