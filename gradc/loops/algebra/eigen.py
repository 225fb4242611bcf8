"""Eigenvalues and eigenvectors of a symmetric matrix that has been brought to three diagonals, as internal functions.

Implicit QR steps with Wilkinson's shift bring three diagonals to one. (Golub and Van Loan, Matrix Computations, 8.3;
Parlett, The Symmetric Eigenvalue Problem, 8.)
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
from gradc.loops.language.program import Buffer, Expression, Function, Local, Statement, b, variable


def values_function(name: str, size: int, parts: int, dtype: np.dtype) -> Function:
    """``w`` becomes the eigenvalues of the three diagonals in ``f``, and the state."""
    layout = Columns.of(size, size)
    f = held("f", layout, parts, 1, dtype, writable=False)
    w = Buffer("w", dtype, (layout.count, EXTRA, layout.width), "parameter", writable=True)
    iteration = _Eigen(layout, parts, f, w, 0)
    body = (*iteration.started(), *iteration.diagonal(0), *iteration.ordered(b.lt, 0))
    return Function(name, (f, w), (), body)


def vectors_function(name: str, size: int, parts: int, dtype: np.dtype) -> Function:
    """``w`` becomes the transposed eigenvectors, in panels, those of the matrix that the columns in ``q`` have made
    three diagonals; behind them the eigenvalues, ascending, and the state.
    """
    layout = Columns.of(size, size)
    f = held("f", layout, parts, 1, dtype, writable=False)
    panels = parts * layout.count
    q = Buffer("q", dtype, (panels, layout.padded, layout.width), "parameter")
    w = Buffer("w", dtype, (panels, layout.padded + EXTRA, layout.width), "parameter", writable=True)
    iteration = _Eigen(layout, parts, f, w, layout.padded)
    kept = sweeps_kept(size, 1, dtype)
    body = (
        iteration.turned(q, 0),
        *iteration.started(),
        *iteration.diagonal(kept),
        *iteration.ordered(b.lt, panels),
    )
    return Function(name, (f, q, w), (), body)


class _Eigen(Iteration):
    """Three diagonals."""

    def diagonal(self, kept: int) -> tuple[Statement, ...]:
        """The QR iteration, with the vectors where rotations are kept."""
        rotations = Kept("row", self.layout, self.dtype, kept)
        course = Course(self.size, kept)
        floor = b.constant(self.tiny**0.5 / self.eps, self.dtype)

        def negligible(i: Expression) -> Expression:
            around = b.add(b.abs(element(self.d, i)), b.abs(element(self.d, b.add(i, 1))))
            return b.le(b.abs(self.beside(i)), b.fma(around, self.eps, floor))

        def sweep(first: Expression, last: Expression, number: Expression) -> tuple[Statement, ...]:
            return self._sweep(first, last, lambda i, c, s: rotations.keep(number, i, c, s) if kept else ())

        def applied(count: Expression) -> tuple[Statement, ...]:
            return (rotations.applied(self.w, range(self.panels), count, course.firsts, course.lasts),)

        finite = b.ne(self.number(1), self.zero)
        return (
            *(rotations.locals if kept else ()),
            *course.statements(finite, negligible, sweep, applied, self.state(self.zero)),
        )

    def _sweep(self, first: Expression, last: Expression, keep: Keep) -> tuple[Statement, ...]:
        """Rotations of neighbours, from the first pair of rows down, that chase one element out."""
        d, e, i, dtype, zero, one = self.d, self.e, variable("i"), self.dtype, self.zero, self.one
        sine, cosine, part, chased = (Buffer(word, dtype, (), "local") for word in ("sine", "cosine", "part", "chased"))
        two = b.constant(2.0, dtype)
        before = b.maximum(b.sub(last, 1), 0)
        corner, beside = let("corner", element(e, last))
        slope, g = let("slope", b.div(b.sub(element(d, before), element(d, last)), b.mul(two, beside)))
        length, r = let("length", b.sqrt(b.fma(g, g, one)))
        signed = b.add(g, b.select(b.lt(g, zero), b.neg(r), r))
        shifted = b.add(b.sub(element(d, first), element(d, last)), b.div(beside, signed))
        here, next_ = element(d, i), element(d, b.add(i, 1))
        outside, f = let("outside", b.mul(b.load(sine), self.beside(i)))
        inside, h = let("inside", b.mul(b.load(cosine), self.beside(i)))
        turned = self.rotation("turned", b.load(chased), f)
        c, s = turned.c, turned.s
        lowered, base = let("base", b.sub(here, b.load(part)))
        mixed, mix = let("mix", b.fma(b.sub(next_, base), s, b.mul(b.mul(two, c), h)))
        return (
            *(Local(buffer) for buffer in (sine, cosine, part, chased)),
            corner,
            slope,
            length,
            store(sine, (), one),
            store(cosine, (), one),
            store(part, (), zero),
            store(chased, (), shifted),
            loop(
                "i",
                first,
                last,
                outside,
                inside,
                *turned.lets,
                store(e, (i,), turned.norm),
                lowered,
                mixed,
                store(part, (), b.mul(s, mix)),
                store(d, (i,), b.add(base, b.load(part))),
                store(chased, (), b.fma(c, mix, b.neg(h))),
                store(sine, (), s),
                store(cosine, (), c),
                *keep(i, c, s),
            ),
            store(d, (last,), b.sub(element(d, last), b.load(part))),
            store(e, (last,), b.load(chased)),
            store(e, (first,), zero),
        )
