"""Cofactors of matrices that have no inverse, by elimination with rows and columns exchanged.

The largest element left is brought to the diagonal at each step, so that only the last pivot can vanish where the
matrix has one dependency: ``P A Q = L U``, ``U = [[V, u], [0, e]]``. The adjugate of U is finite then,
``d [[e inv(V), -inv(V) u], [0, 1]]`` with d the determinant of V; with more dependencies d, and every cofactor, is 0.
"""

from __future__ import annotations

import numpy as np

from gradc.loops.algebra.factors import Index, let, loop, store
from gradc.loops.language.program import I64, Buffer, Expression, Function, If, Local, Statement, Store, b, variable


def cofactors_function(name: str, size: int, dtype: np.dtype) -> Function:
    """The first ``size`` rows of ``w`` become the cofactors of the matrix in them; the other rows are scratch.

    ``w`` has ``2 * size + 2`` rows: the factors, a solution for each unit vector, the orders of rows and columns.
    """
    w = Buffer("w", dtype, (2 * size + 2, size), "parameter", writable=True)
    sign, volume = Buffer("sign", dtype, (), "local"), Buffer("volume", dtype, (), "local")
    k, i, j = variable("k"), variable("i"), variable("j")
    one = b.constant(1.0, dtype)
    work = _Work(w, size)
    start = (
        Local(sign),
        Local(volume),
        store(sign, (), one),
        loop("i", 2 * size, 2 * size + 2, loop("j", 0, size, work.put(i, j, b.convert(j, dtype)), mode="vector")),
        loop("k", 0, size, *work.exchange(sign), work.eliminate()),
        store(volume, (), b.load(sign)),
        loop("k", 0, size - 1, store(volume, (), b.mul(b.load(volume), work.at(k, k)))),
    )
    nothing = loop("i", 0, size, loop("j", 0, size, work.put(i, j, b.constant(0.0, dtype)), mode="vector"))
    nonzero = b.ne(b.load(volume), b.constant(0.0, dtype))
    end = If(nonzero, (loop("k", 0, size, *work.solve(volume)), *work.spread()), (nothing,))
    return Function(name, (w,), (), (*start, end))


class _Work:
    """The scratch array of the elimination."""

    def __init__(self, w: Buffer, size: int) -> None:
        self.w = w
        self.size = size
        self.dtype = w.dtype

    def at(self, row: Index, column: Index) -> Expression:
        """An element."""
        return b.load(self.w, tuple(x if isinstance(x, Expression) else b.constant(x) for x in (row, column)))

    def put(self, row: Index, column: Index, value: Expression) -> Store:
        """Set an element."""
        return store(self.w, (row, column), value)

    def exchange(self, sign: Buffer) -> tuple[Statement, ...]:
        """Bring the largest element from row and column k on to the diagonal; a NaN counts as the largest."""
        k, i, j = variable("k"), variable("i"), variable("j")
        top = Buffer("top", self.dtype, (), "local")
        best = Buffer("best", np.dtype(np.int64), (2,), "local")
        element = self.at(i, j)
        infinite = b.constant(np.inf, self.dtype)
        sized, candidate = let("candidate", b.select(b.isnan(element), infinite, b.abs(element)))
        better = (store(top, (), candidate), store(best, (0,), i), store(best, (1,), j))
        search = loop("i", k, self.size, loop("j", k, self.size, sized, If(b.gt(candidate, b.load(top)), better)))
        named, row = let("row", b.clamp(b.load(best, (0,)), self.size))
        also, column = let("column", b.clamp(b.load(best, (1,)), self.size))
        flipped = store(sign, (), b.neg(b.load(sign)))
        mine, this = let("this", self.at(k, j))
        rows = (mine, self.put(k, j, self.at(row, j)), self.put(row, j, this))
        kept, other = let("other", self.at(i, k))
        columns = (kept, self.put(i, k, self.at(i, column)), self.put(i, column, other))
        return (
            Local(top),
            Local(best),
            store(top, (), b.constant(-1.0, self.dtype)),
            store(best, (0,), k),
            store(best, (1,), k),
            search,
            named,
            also,
            If(
                b.ne(row, k),
                (loop("j", 0, self.size, *rows, mode="vector"), *self._exchange_order(0, row), flipped),
            ),
            If(b.ne(column, k), (loop("i", 0, self.size, *columns), *self._exchange_order(1, column), flipped)),
        )

    def _exchange_order(self, which: int, other: Expression) -> tuple[Statement, ...]:
        k, row = variable("k"), 2 * self.size + which
        kept, order = let("order", self.at(row, k))
        return kept, self.put(row, k, self.at(row, other)), self.put(row, other, order)

    def eliminate(self) -> Statement:
        """Take row k off the rows below it; those are 0 where its pivot is."""
        k, i, j = variable("k"), variable("i"), variable("j")
        named, share = let("share", b.div(self.at(i, k), self.at(k, k)))
        less = self.put(i, j, b.fma(b.neg(share), self.at(k, j), self.at(i, j)))
        below = loop(
            "i",
            b.add(k, 1),
            self.size,
            named,
            loop("j", b.add(k, 1), self.size, less, mode="vector"),
            self.put(i, k, share),
        )
        return If(b.ne(self.at(k, k), b.constant(0.0, self.dtype)), (below,))

    def solve(self, volume: Buffer) -> tuple[Statement, ...]:
        """Row ``size + k`` becomes the adjugate of U times the inverse of L, for unit vector k."""
        k, i, j, size = variable("k"), variable("i"), variable("j"), self.size
        row = b.add(k, size)
        last = size - 1
        unit = b.select(b.eq(j, k), b.constant(1.0, self.dtype), b.constant(0.0, self.dtype))
        less = self.put(row, i, b.fma(b.neg(self.at(i, j)), self.at(row, j), self.at(row, i)))
        named, edge = let("edge", b.mul(self.at(row, last), b.load(volume)))
        scaled = b.mul(b.mul(self.at(last, last), b.load(volume)), self.at(row, j))
        top = self.put(row, j, b.fma(b.neg(self.at(j, last)), edge, scaled))
        back = b.sub(b.constant(size - 2), i)
        known = self.put(row, back, b.fma(b.neg(self.at(back, j)), self.at(row, j), self.at(row, back)))
        return (
            loop("j", 0, size, self.put(row, j, unit), mode="vector"),
            loop("i", b.add(k, 1), size, loop("j", k, i, less)),
            named,
            loop("j", 0, last, top),
            self.put(row, last, edge),
            loop(
                "i",
                0,
                last,
                loop("j", b.add(back, 1), last, known),
                self.put(row, back, b.div(self.at(row, back), self.at(back, back))),
            ),
        )

    def spread(self) -> tuple[Statement, ...]:
        """The solutions to the places of their rows and columns in the matrix."""
        i, j, size = variable("i"), variable("j"), self.size
        named, row = let("row", b.clamp(b.convert(self.at(2 * size, i), I64), size))
        also, column = let("column", b.clamp(b.convert(self.at(2 * size + 1, j), I64), size))
        return (loop("i", 0, size, named, loop("j", 0, size, also, self.put(row, column, self.at(b.add(i, size), j)))),)
