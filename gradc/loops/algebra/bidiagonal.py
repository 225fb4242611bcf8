"""A square matrix brought to two real diagonals by Householder's reflections from both sides, as an internal function.

A panel of columns is gone through twice while it is in the cache: first what the last reflections take off is taken
off, and the columns are multiplied by the vector of the next one on the left; then the panel's rows by the row that is
left of that. The vector of the reflection on the right is a multiple of this row but for its first element, so that no
third pass is needed. (Golub and Van Loan, Matrix Computations, 5.4.3.)
"""

from __future__ import annotations

import numpy as np

from gradc.loops.algebra.arithmetic import (
    Array,
    Number,
    Parted,
    conjugate,
    fused_times,
    less,
    less_two,
    let_parts,
    minus,
    multiply_add,
    plus,
    real,
    scaled,
    select,
)
from gradc.loops.algebra.factors import loop
from gradc.loops.algebra.passes import BESIDE, DIAGONAL, PARTS, TAUS, Passes, held
from gradc.loops.algebra.reflections import Columns, Reflector, dot_order
from gradc.loops.language.program import Accumulate, Buffer, Expression, Function, Statement, b, variable


def bidiagonal_function(name: str, size: int, parts: int, dtype: np.dtype, *, keep: bool) -> Function:
    """``f``, a matrix in panels, becomes two diagonals, in the rows behind it.

    With ``keep`` column k holds the vector of reflection k on the left, below its 1 on the diagonal, and in a second
    set of panels that of the one on the right, which begins with a 1 in row k + 1.
    """
    layout, sets = Columns.of(size, size), 2 if keep else 1
    f = held("f", layout, parts, sets, dtype, writable=True)
    work = _Work(layout, f, parts, sets)
    return Function(name, (f,), (), (*work.scaled(b.constant(0)), *work.steps()))


class _Work(Passes):
    """The vectors of a step. What the last reflections take off is ``v w + x u.H``, w being a row.

    The next one on the left is made of y; ``top`` is the conjugate of the row that it leaves, of which that on the
    right is made.
    """

    def __init__(self, layout: Columns, f: Buffer, parts: int, sets: int) -> None:
        super().__init__(layout, f, parts, sets)
        self.right = Parted(f, layout.count, parts, parts * layout.count) if sets > 1 else None
        self.v, self.w, self.x, self.u, self.y, self.top = map(self.vector, ("v", "w", "x", "u", "y", "top"))
        self.dot = Array("dot", f.dtype, (), parts)

    def steps(self) -> tuple[Statement, ...]:
        """Column by column and row by row."""
        size, k, i = self.layout.columns, variable("k"), variable("i")
        nothing = real(self.zero, self.parts)
        vectors = (self.v, self.w, self.x, self.u, self.y, self.top)
        panel, _, column = self.layout.place(0, k)
        read_w, own_w = let_parts("own_w", self.w.at(k))
        read_u, own_u = let_parts("own_u", conjugate(self.u.at(k)))
        own = less_two(self.v.at(i), own_w, self.x.at(i), own_u, self.f.at(panel, i, column))
        first = b.add(k, 1)
        kept: tuple[Statement, ...] = ()
        if self.right is not None:
            kept = (
                loop("i", first, size, *self.f.put(panel, i, column, self.y.at(i))),
                loop("i", first, size, *self.right.put(panel, i, column, self.u.at(i))),
            )
        return (
            *(statement for array in (*vectors, self.dot) for statement in array.locals),
            *self.locals,
            self.no_taus(),
            *self._no_vectors(),
            *[array.cleared(0, self.layout.padded + self.layout.width) for array in vectors],
            loop(
                "k",
                0,
                size,
                *read_w,
                *read_u,
                loop("i", k, size, *self.y.put((i,), own), mode="vector"),
                *self.reflected(Reflector(self.y, k, size, scaled=True, word="left_"), DIAGONAL, k),
                *self.w.put((k,), nothing),
                *self.u.put((k,), nothing),
                *self._products(k, panel, column),
                *self._right(k, first),
                loop("i", first, size, *self.v.put((i,), self.y.at(i)), mode="vector"),
                *kept,
            ),
        )

    def _no_vectors(self) -> tuple[Statement, ...]:
        """No vectors of reflections on the right as yet."""
        if self.right is None:
            return ()
        p, i, layout = variable("p"), variable("i"), self.layout
        nothing = self.right.put(p, i, self.t, real(self.zero, self.parts))
        rows = loop("i", 0, layout.padded, loop("t", 0, layout.width, *nothing, mode="vector"))
        return (loop("p", 0, layout.count, rows),)

    def _products(self, k: Expression, panel: Expression, column: Expression) -> tuple[Statement, ...]:
        """``w = conj(tau) y.H A``, the row that is left, and the partial sums of the products of A with that."""
        size, width, first = self.layout.columns, self.layout.width, b.add(k, 1)
        p, i, t = variable("p"), variable("i"), self.t
        nothing = real(self.zero, self.parts)
        sums = Array("sums", self.dtype, (width,), self.parts)
        place = b.add(p * width, t)
        named, tau = let_parts("tau", conjugate(self.f.at(panel, self.layout.padded + TAUS, column)))
        words = (("by_v", self.v), ("by_x", self.x), ("by_y", self.y))
        (read_v, by_v), (read_x, by_x), (read_y, by_y) = (let_parts(word, vector.at(i)) for word, vector in words)
        own_w, own_u = self.w.at(place), conjugate(self.u.at(place))
        fresh, now = let_parts("now", less_two(by_v, own_w, by_x, own_u, self.f.at(p, i, t)))
        share = sums.put((t,), multiply_add(conjugate(by_y), now, sums.at(t)))
        top_row, above = let_parts("above", less_two(self.v.at(k), own_w, self.x.at(k), own_u, self.f.at(p, k, t)))
        # The first element of y is 1, or 0 where there is no reflection.
        total, whole = let_parts("whole", plus(scaled(above, self.y.at(k)[0]), sums.at(t)))
        behind = b.gt(place, k)
        taking, taken = let_parts("taken", select(behind, fused_times(tau, whole), nothing))
        left = select(behind, conjugate(minus(above, taken)), nothing)
        dot = self.part(i, t)
        for start in self.columns:
            there = b.add(t, start)
            dot = multiply_add(self.f.at(p, i, there), self.top.at(b.add(p * width, there)), dot)
        return (
            *named,
            self.no_parts(first, size),
            loop(
                "p",
                first // width,
                self.layout.count,
                *sums.locals,
                sums.cleared(0, width),
                loop(
                    "i",
                    first,
                    size,
                    *read_v,
                    *read_x,
                    *read_y,
                    loop("t", 0, width, *fresh, *self.f.put(p, i, t, now), *share, mode="vector"),
                ),
                loop(
                    "t",
                    0,
                    width,
                    *top_row,
                    *total,
                    *taking,
                    *self.top.put((place,), left),
                    *self.w.put((place,), taken),
                    mode="vector",
                ),
                loop("i", first, size, loop("t", 0, PARTS, *self.put_part(i, t, dot), mode="vector")),
            ),
        )

    def _right(self, k: Expression, first: Expression) -> tuple[Statement, ...]:
        """The vector u of the next reflection on the right, and ``x = tau A u``."""
        size, i = self.layout.columns, variable("i")
        panel, _, column = self.layout.place(0, first)
        reflector = Reflector(self.top, first, size, scaled=True, word="right_")

        def put_tau(value: Number) -> tuple[Statement, ...]:
            return () if self.right is None else self.put_tau(k, value, self.right)

        def made(beta: Expression, tau: Number, scale: Number) -> tuple[Statement, ...]:
            lost = b.neg(beta)
            shared, multiple = let_parts("multiple", self._quotient(tau, scale))
            turned, along = let_parts("along", plus(scaled(self.w.at(first), lost), self.dot.at()))
            row = tuple(
                b.fma(lost, x, total) for x, total in zip(self.f.at(panel, i, column), self.total(i), strict=True)
            )
            product = self.x.put((i,), fused_times(multiple, less(along, self.y.at(i), row)))
            order = dot_order("i", size)
            terms = zip(self.dot.buffers, fused_times(self.w.at(i), self.top.at(i)), strict=True)
            return (
                *self.dot.put((), real(self.zero, self.parts)),
                loop("i", first, size, *[Accumulate("add", x.name, (), term, order) for x, term in terms]),
                *shared,
                *turned,
                loop("i", first, size, *product, mode="vector"),
                *reflector.divided(scale),
                loop("i", first, size, *self.u.put((i,), self.top.at(i)), mode="vector"),
                *self.u.put((first,), real(self.one, self.parts)),
                self.put_real(BESIDE, k, beta),
                *put_tau(tau),
            )

        nothing = (
            self.x.cleared(first, size),
            self.u.cleared(first, size),
            self.put_real(BESIDE, k, self.top.at(first)[0]),
            *put_tau(real(self.zero, self.parts)),
        )
        return reflector.statements(made, nothing)

    @staticmethod
    def _quotient(x: Number, y: Number) -> Number:
        """``x / y``, of numbers whose squares are in the range."""
        if len(x) == 1:
            return (b.div(x[0], y[0]),)
        size = b.fma(y[0], y[0], b.mul(y[1], y[1]))
        return tuple(b.div(part, size) for part in fused_times(x, conjugate(y)))
