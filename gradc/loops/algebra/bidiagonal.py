"""A square matrix brought to two diagonals by Householder's reflections from both sides, as an internal function.

A panel of columns is gone through twice while it is in the cache: first what the last reflections take off is taken
off, and the columns are multiplied by the vector of the next one on the left; then the panel's rows by the row that is
left of that. The vector of the reflection on the right is a multiple of this row but for its first element, so that no
third pass is needed. (Golub and Van Loan, Matrix Computations, 5.4.3.)
"""

from __future__ import annotations

import numpy as np

from gradc.loops.algebra.factors import let, loop, store
from gradc.loops.algebra.passes import BESIDE, DIAGONAL, PARTS, TAUS, Passes, shape_held
from gradc.loops.algebra.reflections import Columns, Reflector, dot_order, element
from gradc.loops.language.program import Accumulate, Buffer, Expression, Function, Local, Statement, b, variable


def bidiagonal_function(name: str, size: int, dtype: np.dtype, *, keep: bool) -> Function:
    """``f``, a matrix in panels, becomes two diagonals, in the rows behind it.

    With ``keep`` column k holds the vector of reflection k on the left, below its 1 on the diagonal, and in a second
    set of panels that of the one on the right, which begins with a 1 in row k + 1.
    """
    layout = Columns.of(size, size)
    f = Buffer("f", dtype, shape_held(layout, 2 if keep else 1), "parameter", writable=True)
    work = _Work(layout, f, keep)
    return Function(name, (f,), (), (*work.scaled(b.constant(0)), *work.steps()))


class _Work(Passes):
    """The vectors of a step. What the last reflections take off is ``outer(v, w) + outer(x, u)``.

    The next one on the left is made of y; ``top`` is the row that it leaves, of which that on the right is made.
    """

    def __init__(self, layout: Columns, f: Buffer, keep: bool) -> None:
        super().__init__(layout, f)
        self.keep = keep
        self.v, self.w, self.x, self.u, self.y, self.top = map(self.vector, ("v", "w", "x", "u", "y", "top"))
        self.dot = Buffer("dot", f.dtype, (), "local")

    def steps(self) -> tuple[Statement, ...]:
        """Column by column and row by row."""
        size, k, i, count = self.layout.columns, variable("k"), variable("i"), self.layout.count
        last = size - 1
        vectors = (self.v, self.w, self.x, self.u, self.y, self.top)
        buffers = (*vectors, self.dot, *((self.parts,) if self.parts else ()))
        panel, _, column = self.layout.place(0, k)
        read_w, own_w = let("own_w", element(self.w, k))
        read_u, own_u = let("own_u", element(self.u, k))
        own = self._less(element(self.f, panel, i, column), i, own_w, own_u)
        end = self._less(
            element(self.f, *self.layout.place(last, last)),
            b.constant(last),
            element(self.w, last),
            element(self.u, last),
        )
        first = b.add(k, 1)
        kept = (
            loop("i", first, size, store(self.f, (panel, i, column), element(self.y, i))),
            loop("i", first, size, store(self.f, (b.add(panel, count), i, column), element(self.u, i))),
        )
        no_panels = loop(
            "p",
            count,
            2 * count,
            loop(
                "i",
                0,
                self.layout.padded,
                loop(
                    "t",
                    0,
                    self.layout.width,
                    store(self.f, (variable("p"), i, variable("t")), self.zero),
                    mode="vector",
                ),
            ),
        )
        return (
            *map(Local, buffers),
            self.no_taus(2 if self.keep else 1),
            *((no_panels,) if self.keep else ()),
            *[self.cleared(buffer, 0, self.layout.padded) for buffer in vectors],
            loop(
                "k",
                0,
                last,
                read_w,
                read_u,
                loop("i", k, size, store(self.y, (i,), own), mode="vector"),
                *self._left(k, first),
                *[store(buffer, (k,), self.zero) for buffer in (self.w, self.u)],
                *self._products(k, panel, column),
                *self._right(k, first),
                loop("i", first, size, store(self.v, (i,), element(self.y, i)), mode="vector"),
                *(kept if self.keep else ()),
            ),
            self.put(DIAGONAL, last, end),
            self.put(BESIDE, last, self.zero),
        )

    def _less(self, value: Expression, i: Expression, w: Expression, u: Expression) -> Expression:
        """An element of row i, with what the last reflections take off."""
        return b.fma(b.neg(element(self.v, i)), w, b.fma(b.neg(element(self.x, i)), u, value))

    def _left(self, k: Expression, first: Expression) -> tuple[Statement, ...]:
        """The vector y of the next reflection on the left."""
        size, i = self.layout.columns, variable("i")

        def made(beta: Expression, tau: Expression, scale: Expression) -> tuple[Statement, ...]:
            divided = store(self.y, (i,), b.div(element(self.y, i), scale))
            return (
                loop("i", first, size, divided, mode="vector"),
                store(self.y, (k,), self.one),
                self.put(DIAGONAL, k, beta),
                self.put(TAUS, k, tau),
            )

        nothing = (
            self.put(DIAGONAL, k, element(self.y, k)),
            self.cleared(self.y, k, size),
            self.put(TAUS, k, self.zero),
        )
        return Reflector(self.y, k, size, scaled=True, word="left_").statements(made, nothing)

    def _products(self, k: Expression, panel: Expression, column: Expression) -> tuple[Statement, ...]:
        """``w = tau * A.T @ y``, the row that is left, and the partial sums of the products of A with that."""
        size, width, first = self.layout.columns, self.layout.width, b.add(k, 1)
        p, i, t = variable("p"), variable("i"), self.t
        sums = Buffer("sums", self.dtype, (width,), "local")
        place = b.add(p * width, t)
        named, tau = let("tau", element(self.f, panel, self.layout.padded + TAUS, column))
        words = (("by_v", self.v), ("by_x", self.x), ("by_y", self.y))
        (read_v, by_v), (read_x, by_x), (read_y, by_y) = (let(word, element(buffer, i)) for word, buffer in words)

        def less(v: Expression, x: Expression, row: Expression) -> Expression:
            taken = b.fma(b.neg(x), element(self.u, place), element(self.f, p, row, t))
            return b.fma(b.neg(v), element(self.w, place), taken)

        fresh, now = let("now", less(by_v, by_x, i))
        share = store(sums, (t,), b.fma(by_y, now, element(sums, t)))
        top_row, above = let("above", less(element(self.v, k), element(self.x, k), k))
        total, whole = let("whole", b.fma(element(self.y, k), above, element(sums, t)))
        behind = b.gt(place, k)
        taking, taken = let("taken", b.select(behind, b.mul(tau, whole), self.zero))
        left = b.select(behind, b.sub(above, taken), self.zero)
        dot = self.part(i)
        for start in self.columns:
            there = b.add(t, start)
            dot = b.fma(element(self.f, p, i, there), element(self.top, b.add(p * width, there)), dot)
        return (
            named,
            self.no_parts(first, size),
            loop(
                "p",
                first // width,
                self.layout.count,
                Local(sums),
                loop("t", 0, width, store(sums, (t,), self.zero), mode="vector"),
                loop(
                    "i",
                    first,
                    size,
                    read_v,
                    read_x,
                    read_y,
                    loop("t", 0, width, fresh, store(self.f, (p, i, t), now), share, mode="vector"),
                ),
                loop(
                    "t",
                    0,
                    width,
                    top_row,
                    total,
                    taking,
                    store(self.top, (place,), left),
                    store(self.w, (place,), taken),
                    mode="vector",
                ),
                loop("i", first, size, loop("t", 0, PARTS, self.put_part(i, dot), mode="vector")),
            ),
        )

    def _right(self, k: Expression, first: Expression) -> tuple[Statement, ...]:
        """The vector u of the next reflection on the right, and ``x = tau * A @ u``."""
        size, i, sets = self.layout.columns, variable("i"), self.layout.count if self.keep else None
        panel, _, column = self.layout.place(0, first)

        def put_tau(value: Expression) -> tuple[Statement, ...]:
            return () if sets is None else (self.put(TAUS, k, value, sets),)

        def made(beta: Expression, tau: Expression, scale: Expression) -> tuple[Statement, ...]:
            shared, multiple = let("multiple", b.div(tau, scale))
            along = b.fma(b.neg(beta), element(self.w, first), b.load(self.dot))
            turned, by_y = let("along", along)
            row = b.fma(b.neg(beta), element(self.f, panel, i, column), self.total(i))
            product = b.mul(multiple, b.fma(b.neg(by_y), element(self.y, i), row))
            term = b.mul(element(self.w, i), element(self.top, i))
            return (
                store(self.dot, (), self.zero),
                loop("i", first, size, Accumulate("add", self.dot.name, (), term, dot_order("i", size))),
                shared,
                turned,
                loop("i", first, size, store(self.x, (i,), product), mode="vector"),
                loop("i", first, size, store(self.u, (i,), b.div(element(self.top, i), scale)), mode="vector"),
                store(self.u, (first,), self.one),
                self.put(BESIDE, k, beta),
                *put_tau(tau),
            )

        nothing = (
            self.cleared(self.x, first, size),
            self.cleared(self.u, first, size),
            self.put(BESIDE, k, element(self.top, first)),
            *put_tau(self.zero),
        )
        return Reflector(self.top, first, size, scaled=True, word="right_").statements(made, nothing)
