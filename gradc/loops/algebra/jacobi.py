"""Singular values and vectors of a square matrix, as an internal function: one-sided Jacobi.

Rotations of two rows at a time make all rows orthogonal, sweep after sweep over all pairs, until a sweep finds no pair
to rotate. (Demmel and Veselic, Jacobi's method is more accurate than QR, 1992.)
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gradc.loops.algebra.factors import Index, let, loop, store
from gradc.loops.algebra.reflections import dot_order, element
from gradc.loops.algebra.selection import in_order
from gradc.loops.language.program import (
    Accumulate,
    Buffer,
    Expression,
    Function,
    If,
    Local,
    Statement,
    b,
    variable,
)

SWEEPS: Final = 60
"""Sweeps after which there is no hope; ten are many."""

VALUES, STATE, EXTRA = 0, 1, 2
"""The rows after both sets of vectors: the values, and the state; and their count."""


def jacobi_function(name: str, size: int, dtype: np.dtype) -> Function:
    """``w`` holds a square matrix R in its first rows, and becomes ``R = left.T @ diag(values) @ right``.

    The first ``size`` rows are ``right``, whose row is 0 where the value is; the next ones ``left``, which is
    orthogonal always; then come the values, descending. The first element of the last row is 1, or 0 where an element
    is not finite or the sweeps did not end.
    """
    w = Buffer("w", dtype, (2 * size + EXTRA, size), "parameter", writable=True)
    work = _Work(w, size)
    return Function(name, (w,), (), (*work.scaled(), *work.sweeps(), *work.normalised(), *work.ordered()))


class _Work:
    """The array that the function works in."""

    def __init__(self, w: Buffer, size: int) -> None:
        self.w, self.size, self.dtype = w, size, w.dtype
        self.zero, self.one = b.constant(0.0, w.dtype), b.constant(1.0, w.dtype)
        self.tiny = float(np.finfo(w.dtype).tiny)
        self.span, self.first, self.second, self.both = (
            Buffer(word, w.dtype, (), "local") for word in ("span", "first", "second", "both")
        )

    def at(self, row: Index, column: Index) -> Expression:
        """An element."""
        return element(self.w, row, column)

    def value(self, k: Index) -> Expression:
        """A singular value."""
        return element(self.w, 2 * self.size + VALUES, k)

    def scaled(self) -> tuple[Statement, ...]:
        """The matrix, divided by its largest element where squares may leave the range; an identity below it."""
        i, j, size = variable("i"), variable("j"), self.size
        largest = b.load(self.span)
        root = float(np.sqrt(np.finfo(self.dtype).tiny)) ** 0.5
        far = b.logical_or(b.lt(largest, root), b.gt(largest, 1 / root))
        useful = b.logical_and(far, b.gt(largest, self.zero))
        unit = b.select(b.eq(i, j), self.one, self.zero)
        divided = store(self.w, (i, j), b.div(self.at(i, j), largest))
        return (
            Local(self.span),
            store(self.span, (), self.zero),
            loop("i", 0, size, loop("j", 0, size, Accumulate("maximum", self.span.name, (), b.abs(self.at(i, j))))),
            store(self.w, (2 * size + STATE, 0), b.select(b.isfinite(largest), self.one, self.zero)),
            store(self.span, (), b.select(useful, largest, self.one)),
            loop("i", 0, size, loop("j", 0, size, divided, mode="vector")),
            loop("i", 0, size, loop("j", 0, size, store(self.w, (b.add(i, size), j), unit), mode="vector")),
        )

    def sweeps(self) -> tuple[Statement, ...]:
        """Rotate pairs until a sweep leaves all of them."""
        size = self.size
        done = Buffer("done", np.dtype(np.int64), (), "local")
        p, q, j = variable("p"), variable("q"), variable("j")

        def dot(buffer: Buffer, x: Expression, y: Expression) -> Accumulate:
            return Accumulate("add", buffer.name, (), b.mul(x, y), dot_order("j", self.size))

        dots = (
            dot(self.first, self.at(p, j), self.at(p, j)),
            dot(self.second, self.at(q, j), self.at(q, j)),
            dot(self.both, self.at(p, j), self.at(q, j)),
        )
        first, second, both = b.load(self.first), b.load(self.second), b.load(self.both)
        sizable = b.ge(b.minimum(first, second), self.tiny)
        bound = float(np.finfo(self.dtype).eps) * max(2.0, float(np.sqrt(size)))
        lean = b.gt(b.abs(both), b.mul(b.mul(b.sqrt(first), b.sqrt(second)), bound))
        pair: tuple[Statement, ...] = (
            *(store(buffer, (), self.zero) for buffer in (self.first, self.second, self.both)),
            loop("j", 0, size, *dots),
            If(b.logical_and(sizable, lean), (store(done, (), b.constant(0)), *self._rotation())),
        )
        sweep = loop("p", 0, size, loop("q", b.add(p, 1), size, *pair))
        unfinished = b.eq(b.load(done), 0)
        return (
            *(Local(buffer) for buffer in (self.first, self.second, self.both, done)),
            store(done, (), b.constant(0)),
            loop("count", 0, SWEEPS, If(unfinished, (store(done, (), b.constant(1)), sweep))),
            If(unfinished, (store(self.w, (2 * size + STATE, 0), self.zero),)),
        )

    def _rotation(self) -> tuple[Statement, ...]:
        """The smaller of the two angles that make rows p and q orthogonal."""
        p, q, k, size = variable("p"), variable("q"), variable("k"), self.size
        first, second, both = b.load(self.first), b.load(self.second), b.load(self.both)
        ratio, zeta = let("zeta", b.div(b.sub(second, first), b.mul(both, 2.0)))
        length = b.add(b.abs(zeta), b.sqrt(b.fma(zeta, zeta, self.one)))
        slope, t = let("t", b.div(b.select(b.lt(zeta, self.zero), b.neg(self.one), self.one), length))
        named, c = let("c", b.div(self.one, b.sqrt(b.fma(t, t, self.one))))
        also, s = let("s", b.mul(c, t))
        # With tau in the place of c, small angles leave lengths as they are.
        last, tau = let("tau", b.div(s, b.add(c, self.one)))

        def turned(start: int, name: str) -> Statement:
            row, other = b.add(p, start), b.add(q, start)
            mine, x = let(f"upper_{name}", self.at(row, k))
            theirs, y = let(f"lower_{name}", self.at(other, k))
            return loop(
                "k",
                0,
                size,
                mine,
                theirs,
                store(self.w, (row, k), b.fma(b.neg(s), b.fma(tau, x, y), x)),
                store(self.w, (other, k), b.fma(s, b.fma(b.neg(tau), y, x), y)),
                mode="vector",
            )

        return (ratio, slope, named, also, last, turned(0, "right"), turned(size, "left"))

    def normalised(self) -> tuple[Statement, ...]:
        """The lengths of the rows, and rows of length 1; a negligible row becomes 0."""
        k, j, size = variable("k"), variable("j"), self.size
        square = Accumulate("add", self.first.name, (), b.mul(self.at(k, j), self.at(k, j)), dot_order("j", self.size))
        total = b.load(self.first)
        named, length = let("length", b.sqrt(total))
        unit = b.select(b.lt(total, self.tiny), self.zero, b.div(self.at(k, j), length))
        return (
            loop(
                "k",
                0,
                size,
                store(self.first, (), self.zero),
                loop("j", 0, size, square),
                named,
                store(self.w, (2 * size + VALUES, k), length),
                loop("j", 0, size, store(self.w, (k, j), unit), mode="vector"),
            ),
        )

    def ordered(self) -> tuple[Statement, ...]:
        """Descending values with their vectors, by selection, in the matrix's own scale."""
        size = self.size
        return in_order(self.w, size, 2 * size + VALUES, self.span, b.gt, {"this_right": 0, "this_left": size})
