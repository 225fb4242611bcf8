"""The Schur form of a complex matrix that has 0 below the elements under the diagonal: single shifts.

Implicit steps with Wilkinson's shift, by unitary matrices of two rows that chase one element down.
(Golub and Van Loan, Matrix Computations, 7.5.)
"""

from __future__ import annotations

from collections.abc import Sequence

from gradc.loops.algebra.arithmetic import (
    Array,
    Number,
    Rows,
    conjugate,
    extent,
    largest_part,
    let_parts,
    minus,
    multiply_add,
    negative,
    over,
    plus,
    select,
    squares,
    times,
)
from gradc.loops.algebra.factors import Index, let, loop, store
from gradc.loops.algebra.schur import Schur, Trial
from gradc.loops.language.program import Expression, If, Statement, b, variable


class ComplexSchur(Schur):
    """Single eigenvalues."""

    def __init__(self, h: Rows, z: Rows | None, size: int, values: tuple[int, int]) -> None:
        super().__init__(h, z, size, values)
        self.pair = [Array(word, self.dtype, (), 2) for word in ("bulge", "under")]

    def bulge(self) -> tuple[Statement, ...]:
        return tuple(statement for array in self.pair for statement in array.locals)

    def attempt(self, first: Expression) -> tuple[Statement, ...]:
        value = self.h.at(self.m, self.m)
        found = tuple(store(self.w, (row, self.m), x) for row, x in zip(self.values, value, strict=True))
        longer = self._step(first) if self.size > 1 else ()
        return (If(b.eq(first, self.m), (*found, *self.search.finished()), longer),)

    # Steps.

    def _step(self, first: Expression) -> tuple[Statement, ...]:
        """One sweep through rows ``first`` to ``m``."""
        shifts, shift = self._shift(first)
        k = variable("k")
        column = b.maximum(b.sub(k, 1), 0)
        read = (
            *self.pair[0].put((), self.h.at(k, column)),
            *self.pair[1].put((), self.h.at(b.add(k, 1), column)),
        )
        chase = (If(b.gt(k, b.load(self.begin)), read), *self._rotation(k, column, first))
        return (
            *shifts,
            *self._start(first, shift),
            loop("k", 0, self.m, If(b.ge(k, b.load(self.begin)), chase)),
        )

    def _shift(self, first: Expression) -> tuple[tuple[Statement, ...], Number]:
        """The eigenvalue of the last two rows that is nearer to the last element."""
        m, p = self.m, self.before
        lets, t = let_parts("corner", self.h.at(m, m))
        gap, x = let_parts("half", tuple(b.mul(each, 0.5) for each in minus(self.h.at(p, p), t)))
        above, below = self.h.at(p, m), self.h.at(m, p)
        sizes = b.maximum(extent(x), b.mul(b.sqrt(extent(above)), b.sqrt(extent(below))))
        scaling, size = let("size", b.select(b.eq(sizes, self.zero), self.one, sizes))
        scaled, half = let_parts("scaled", over(x, size))
        crossed, u = let_parts("crossed", times(over(above, size), over(below, size)))
        squared, radicand = let_parts("radicand", multiply_add(half, half, u))
        rooted, root = self._root(radicand)
        # Of both roots the one that does not cancel.
        with_it = b.fma(half[0], root[0], b.mul(half[1], root[1]))
        signed, d = let_parts("divisor", plus(half, select(b.lt(with_it, self.zero), negative(root), root)))
        lengthy, length = let("length", squares(d))
        vanishes = b.eq(length, self.zero)
        move = over(times(u, conjugate(d)), b.select(vanishes, self.one, length))
        usual = minus(t, tuple(b.mul(b.select(vanishes, self.zero, each), size) for each in move))
        at_top, at_bottom = self.search.unusual()
        after = b.minimum(b.add(first, 1), self.size - 1)
        by_top, by_bottom = (b.mul(extent(each), 0.75) for each in (self.h.at(after, first), below))
        corner = self.h.at(first, first)
        top, bottom = ((b.add(x[0], step), x[1]) for x, step in ((corner, by_top), (t, by_bottom)))
        made, shift = let_parts("shift", select(at_top, top, select(at_bottom, bottom, usual)))
        return (
            *lets, *gap, scaling, *scaled, *crossed, *squared, *rooted, *signed, lengthy, *made,
        ), shift  # fmt: skip

    def _root(self, x: Number) -> tuple[tuple[Statement, ...], Number]:
        """A square root, of a number that is about 1 at most."""
        sized, size = let("root_size", b.sqrt(squares(x)))
        taken, part = let("root_part", b.sqrt(b.mul(b.add(size, b.abs(x[0])), 0.5)))
        vanishes = b.eq(part, self.zero)
        other = b.div(x[1], b.mul(b.select(vanishes, self.one, part), 2.0))
        rest, small = let("root_rest", b.select(vanishes, self.zero, other))
        right = b.ge(x[0], self.zero)
        return (sized, taken, rest), (
            b.select(right, part, b.abs(small)),
            b.select(right, small, b.copysign(part, x[1])),
        )

    def _start(self, first: Expression, shift: Number) -> tuple[Statement, ...]:
        """The last row at which two small elements in a row let a step begin, and its first column there."""
        found, k = let("row", b.clamp(b.sub(b.sub(self.m, 1), variable("back")), self.size - 1))
        after, previous = b.add(k, 1), b.maximum(b.sub(k, 1), 0)
        gap, x = let_parts("x", minus(self.h.at(k, k), shift))
        below, y = let_parts("below_x", self.h.at(after, k))
        sized, span = let("span_x", b.add(extent(x), extent(y)))
        around = b.mul(extent(x), b.add(extent(self.h.at(k, k)), extent(self.h.at(after, after))))
        lost = b.mul(extent(self.h.at(k, previous)), extent(y))
        small = b.le(lost, b.mul(around, self.search.eps))
        kept = (*self.pair[0].put((), over(x, span)), *self.pair[1].put((), over(y, span)))
        return self.begun(found, k, self.m, first, Trial((*gap, *below, sized), small, kept))

    def _rotation(self, k: Expression, column: Expression, first: Expression) -> tuple[Statement, ...]:
        """Turn rows and columns k and ``k + 1``: ``[[f, g], [-conj(g), conj(f)]]`` makes ``(norm, 0)`` of the pair."""
        x, y = (cells.at() for cells in self.pair)
        after = b.add(k, 1)
        unit = let("unit", largest_part(x, y))
        scaled = [let_parts(word, over(each, unit[1])) for word, each in (("f_x", x), ("g_x", y))]
        length = let("norm", b.sqrt(squares(scaled[0][1], scaled[1][1])))
        first_lets, f = let_parts("f", conjugate(over(scaled[0][1], length[1])))
        second_lets, g = let_parts("g", conjugate(over(scaled[1][1], length[1])))

        def rows(m: Rows, places: Sequence[tuple[Index, Index]]) -> tuple[Statement, ...]:
            return self._rotated(m, places, f, g)

        def columns(m: Rows, places: Sequence[tuple[Index, Index]]) -> tuple[Statement, ...]:
            return self._rotated(m, places, conjugate(f), conjugate(g))

        last = b.minimum(b.add(k, 3), b.add(self.m, 1))
        turned = self.turned(k, 2, last, rows, columns)
        zero = self.h.zero()
        chased = (
            *self.h.put(k, column, (b.mul(unit[1], length[1]), self.zero)),
            *self.h.put(after, column, zero),
        )
        kept, product = let_parts("kept", times(f, self.h.at(k, column)))
        before = (*kept, *self.h.put(k, column, product))
        return (
            unit[0],
            If(
                b.ne(unit[1], self.zero),
                (
                    *scaled[0][0],
                    *scaled[1][0],
                    length[0],
                    *first_lets,
                    *second_lets,
                    If(b.gt(k, b.load(self.begin)), chased, (If(b.gt(k, first), before),)),
                    *turned,
                ),
            ),
        )

    @staticmethod
    def _rotated(m: Rows, places: Sequence[tuple[Index, Index]], f: Number, g: Number) -> tuple[Statement, ...]:
        """``(f x + g y, conj(f) y - conj(g) x)`` in the place of ``(x, y)``."""
        one, other = places
        first, x = let_parts("x", m.at(*one))
        second, y = let_parts("y", m.at(*other))
        return (
            *first,
            *second,
            *m.put(*one, multiply_add(f, x, times(g, y))),
            *m.put(*other, multiply_add(conjugate(f), y, negative(times(conjugate(g), x)))),
        )
