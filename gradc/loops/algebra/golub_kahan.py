"""Singular values and vectors of a matrix that has been brought to two diagonals, as internal functions.

Implicit QR steps bring two diagonals to one: rotations on the right and on the left take turns. (Golub and Kahan,
Calculating the singular values and pseudo-inverse of a matrix, 1965; Demmel and Kahan, Accurate singular values of
bidiagonal matrices, 1990, for steps without a shift.)
"""

from __future__ import annotations

import numpy as np

from gradc.loops.algebra.arithmetic import element
from gradc.loops.algebra.factors import let, loop, store
from gradc.loops.algebra.iteration import EXTRA, Iteration, Keep
from gradc.loops.algebra.passes import held
from gradc.loops.algebra.reflections import Columns
from gradc.loops.algebra.rotations import Kept, sweeps_kept
from gradc.loops.algebra.sweeps import Course
from gradc.loops.language.program import Buffer, Expression, Function, If, Local, Statement, b, variable


def values_function(name: str, size: int, parts: int, dtype: np.dtype) -> Function:
    """``w`` becomes the singular values of the two diagonals in ``f``, and the state."""
    layout = Columns.of(size, size)
    f = held("f", layout, parts, 1, dtype, writable=False)
    w = Buffer("w", dtype, (layout.count, EXTRA, layout.width), "parameter", writable=True)
    iteration = _Singular(layout, parts, f, w, 0)
    body = (*iteration.started(), *iteration.diagonal(0), iteration.positive(0), *iteration.ordered(b.gt, 0))
    return Function(name, (f, w), (), body)


def vectors_function(name: str, size: int, parts: int, dtype: np.dtype) -> Function:
    """``w`` becomes the transposed left vectors, in panels, and then the right ones, of the matrix that the columns in
    ``left`` and ``right`` have made two diagonals; behind the first the singular values, descending, and the state.
    """
    layout = Columns.of(size, size)
    f = held("f", layout, parts, 2, dtype, writable=False)
    panels = parts * layout.count
    shape = (panels, layout.padded, layout.width)
    left, right = (Buffer(word, dtype, shape, "parameter") for word in ("left", "right"))
    w = Buffer("w", dtype, (2 * panels, layout.padded + EXTRA, layout.width), "parameter", writable=True)
    iteration = _Singular(layout, parts, f, w, layout.padded)
    body = (
        iteration.turned(left, 0),
        iteration.turned(right, panels),
        *iteration.started(),
        *iteration.diagonal(sweeps_kept(size, 2, dtype)),
        iteration.positive(panels),
        *iteration.ordered(b.gt, 2 * panels),
    )
    return Function(name, (f, left, right, w), (), body)


class _Singular(Iteration):
    """Two diagonals: values, and the elements beside them on the right."""

    def __init__(self, layout: Columns, parts: int, f: Buffer, w: Buffer, rows: int) -> None:
        super().__init__(layout, parts, f, w, rows)
        self.span = Buffer("span", w.dtype, (), "local")

    def diagonal(self, kept: int) -> tuple[Statement, ...]:
        """The QR iteration, with the vectors where rotations are kept."""
        left, right = (Kept(word, self.layout, self.dtype, kept) for word in ("left", "right"))
        course, i = Course(self.size, kept), variable("i")
        largest = b.maximum(b.load(self.span), b.maximum(b.abs(element(self.d, i)), b.abs(self.beside(i))))

        def negligible(i: Expression) -> Expression:
            around = b.add(b.abs(element(self.d, i)), b.abs(element(self.d, b.add(i, 1))))
            return b.le(b.abs(self.beside(i)), b.mul(b.maximum(around, b.load(self.span)), self.eps))

        def sweep(first: Expression, last: Expression, number: Expression) -> tuple[Statement, ...]:
            return self._sweep(
                first,
                last,
                lambda i, c, s: left.keep(number, i, c, s) if kept else (),
                lambda i, c, s: right.keep(number, i, c, s) if kept else (),
            )

        def applied(count: Expression) -> tuple[Statement, ...]:
            return (
                left.applied(self.w, range(self.panels), count, course.firsts, course.lasts),
                right.applied(self.w, range(self.panels, 2 * self.panels), count, course.firsts, course.lasts),
            )

        finite = b.ne(self.number(1), self.zero)
        return (
            *((*left.locals, *right.locals) if kept else ()),
            Local(self.span),
            store(self.span, (), self.zero),
            loop("i", 0, self.size, store(self.span, (), largest)),
            *course.statements(finite, negligible, sweep, applied, self.state(self.zero)),
        )

    def _shift(self, first: Expression, last: Expression, x: Buffer, y: Buffer) -> tuple[Statement, ...]:
        """The pair of numbers of which the first rotation on the right is made.

        The shift is the smaller singular value of the last two rows; 0 where a value is negligible, for which it drives
        out a zero, or where it would change nothing.
        """
        d, i = self.d, variable("i")
        least = Buffer("least", self.dtype, (), "local")
        before = b.maximum(b.sub(last, 1), 0)
        named_p, p = let("above", b.abs(element(d, before)))
        named_q, q = let("under", b.abs(element(d, last)))
        corner, beside = let("corner", element(self.e, last))
        sums, total = let("total", b.add(p, q))
        differences, difference = let("difference", b.sub(p, q))
        square = b.mul(beside, beside)
        both = b.add(b.sqrt(b.fma(total, total, square)), b.sqrt(b.fma(difference, difference, square)))
        found, smaller = let("smaller", b.div(b.mul(b.mul(p, q), 2.0), both))
        top, value = let("top", element(d, first))
        ratio = b.div(smaller, value)
        is_zero = b.logical_or(
            b.le(b.load(least), b.mul(b.load(self.span), self.eps)), b.lt(b.mul(ratio, ratio), self.eps)
        )
        decided, none = let("none", is_zero)
        shifted = b.mul(b.sub(value, smaller), b.add(value, smaller))
        following = self.beside(first)
        return (
            Local(least),
            store(least, (), b.abs(element(d, last))),
            loop("i", first, last, store(least, (), b.minimum(b.load(least), b.abs(element(d, i))))),
            named_p,
            named_q,
            corner,
            sums,
            differences,
            found,
            top,
            decided,
            store(x, (), b.select(none, value, shifted)),
            store(y, (), b.select(none, following, b.mul(value, following))),
        )

    def _sweep(self, first: Expression, last: Expression, left: Keep, right: Keep) -> tuple[Statement, ...]:
        """Rotations on the right and on the left, from the first pair of rows down, that chase one element out."""
        d, e, i = self.d, self.e, variable("i")
        x, y = (Buffer(word, self.dtype, (), "local") for word in ("chased", "bulge"))
        after = b.add(i, 1)
        one = self.rotation("right", b.load(x), b.load(y))
        here, h = let("here", element(d, i))
        beside, g = let("beside", self.beside(i))
        below, n = let("below", element(d, after))
        turned, f = let("turned", b.fma(one.s, g, b.mul(one.c, h)))
        across, k = let("across", b.fma(one.c, g, b.neg(b.mul(one.s, h))))
        outside, bulge = let("outside", b.mul(one.s, n))
        inside, r = let("inside", b.mul(one.c, n))
        other = self.rotation("left", f, bulge)
        beyond, w = let("beyond", element(e, b.add(i, 2)))
        return (
            Local(x),
            Local(y),
            *self._shift(first, last, x, y),
            loop(
                "i",
                first,
                last,
                *one.lets,
                store(e, (i,), one.norm),
                here,
                beside,
                below,
                turned,
                across,
                outside,
                inside,
                *other.lets,
                store(d, (i,), other.norm),
                store(x, (), b.fma(other.s, r, b.mul(other.c, k))),
                store(d, (after,), b.fma(other.c, r, b.neg(b.mul(other.s, k)))),
                beyond,
                store(y, (), b.mul(other.s, w)),
                store(e, (b.add(i, 2),), b.mul(other.c, w)),
                *right(i, one.c, one.s),
                *left(i, other.c, other.s),
            ),
            store(e, (last,), b.load(x)),
            store(e, (first,), self.zero),
        )

    def positive(self, panel: int) -> Statement:
        """Negative values, and the right vectors that go with them, in panels from ``panel`` on, change their signs."""
        k, p, t, width = variable("k"), variable("p"), variable("t"), self.layout.width
        negated = store(self.w, (p, k, t), b.neg(element(self.w, p, k, t)))
        panels = loop("p", panel, panel + self.panels, loop("t", 0, width, negated, mode="vector"))
        turned = (store(self.d, (k,), b.neg(element(self.d, k))), *((panels,) if panel else ()))
        return loop("k", 0, self.size, If(b.lt(element(self.d, k), self.zero), turned))
