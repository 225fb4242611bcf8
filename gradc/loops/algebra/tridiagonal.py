"""A symmetric matrix brought to three diagonals by Householder's reflections, as an internal function.

Only the lower half is worked on. What a reflection takes off is taken off in the same pass that multiplies the matrix
by the vector of the next one, so that a step reads and writes the half once. (Golub and Van Loan, Matrix Computations,
8.3.1.)
"""

from __future__ import annotations

import numpy as np

from gradc.loops.algebra.factors import let, loop, store
from gradc.loops.algebra.passes import BESIDE, DIAGONAL, PARTS, TAUS, Passes, shape_held
from gradc.loops.algebra.reflections import Columns, Reflector, dot_order, element
from gradc.loops.language.program import (
    Accumulate,
    Buffer,
    Expression,
    Function,
    Let,
    Local,
    Statement,
    b,
    variable,
)


def tridiagonal_function(name: str, size: int, dtype: np.dtype, *, keep: bool) -> Function:
    """``f``, a matrix in panels of which the lower triangle is read, becomes three diagonals, in the rows behind it.

    With ``keep`` column k holds the vector of reflection k, which begins with a 1 in row k + 1.
    """
    layout = Columns.of(size, size)
    f = Buffer("f", dtype, shape_held(layout, 1), "parameter", writable=True)
    work = _Work(layout, f)
    return Function(name, (f,), (), (*work.mirrored(), *work.scaled(variable("p") * layout.width), *work.steps(keep)))


class _Work(Passes):
    """The vectors of a step: of the last reflection v, and q, what it takes off being ``outer(v, q) + outer(q, v)``;
    of the next one y, and p, its product with the matrix.
    """

    def __init__(self, layout: Columns, f: Buffer) -> None:
        super().__init__(layout, f)
        self.v, self.q, self.y, self.p = map(self.vector, ("v", "q", "y", "dots"))
        self.dot = Buffer("dot", f.dtype, (), "local")

    def mirrored(self) -> tuple[Statement, ...]:
        """The lower triangle of the square blocks on the diagonal, above it too."""
        p, r, t, width = variable("p"), variable("r"), variable("t"), self.layout.width
        corner = p * width
        above = store(self.f, (p, b.add(corner, t), r), element(self.f, p, b.add(corner, r), t))
        return (loop("p", 0, self.layout.count, loop("r", 0, width, loop("t", 0, r, above))),)

    def steps(self, keep: bool) -> tuple[Statement, ...]:
        """Column by column."""
        size, k, i = self.layout.columns, variable("k"), variable("i")
        first = b.add(k, 1)
        panel, _, column = self.layout.place(0, k)
        last = size - 1
        buffers = (self.v, self.q, self.y, self.p, self.dot, *((self.parts,) if self.parts else ()))
        read_q, own_q = let("own_q", element(self.q, k))
        read_v, own_v = let("own_v", element(self.v, k))
        own = self._less(element(self.f, panel, i, column), i, own_q, own_v)
        kept = loop("i", first, size, store(self.f, (panel, i, column), element(self.y, i)))
        end = self.layout.place(last, last)
        taken = self._less(element(self.f, *end), b.constant(last), element(self.q, last), element(self.v, last))
        return (
            *map(Local, buffers),
            self.no_taus(1),
            *[self.cleared(buffer, 0, self.layout.padded) for buffer in (self.v, self.q, self.y)],
            loop(
                "k",
                0,
                last,
                read_q,
                read_v,
                loop("i", k, size, store(self.y, (i,), own), mode="vector"),
                self.put(DIAGONAL, k, element(self.y, k)),
                *[store(buffer, (k,), self.zero) for buffer in (self.v, self.q, self.y)],
                *self._reflection(k, first),
                *self._product(first),
                *self._next(panel, column, first),
                *((kept,) if keep else ()),
            ),
            self.put(DIAGONAL, last, taken),
            self.put(BESIDE, last, self.zero),
        )

    def _less(self, x: Expression, i: Expression, q: Expression, v: Expression) -> Expression:
        """An element of row i, with what the last reflection takes off."""
        return b.fma(b.neg(element(self.v, i)), q, b.fma(b.neg(element(self.q, i)), v, x))

    def _reflection(self, k: Expression, first: Expression) -> tuple[Statement, ...]:
        """The vector y of the next reflection."""
        size, i = self.layout.columns, variable("i")

        def made(beta: Expression, tau: Expression, scale: Expression) -> tuple[Statement, ...]:
            divided = store(self.y, (i,), b.div(element(self.y, i), scale))
            return (
                loop("i", first, size, divided, mode="vector"),
                store(self.y, (first,), self.one),
                self.put(BESIDE, k, beta),
                self.put(TAUS, k, tau),
            )

        nothing = (
            self.put(BESIDE, k, element(self.y, first)),
            self.cleared(self.y, first, size),
            self.put(TAUS, k, self.zero),
        )
        return Reflector(self.y, first, size, scaled=True).statements(made, nothing)

    def _product(self, first: Expression) -> tuple[Statement, ...]:
        """One pass over the lower half: the last reflection is taken off, and the sums of products with y are made."""
        size, width = self.layout.columns, self.layout.width
        p, i, t = variable("p"), variable("i"), self.t
        sums = Buffer("sums", self.dtype, (width,), "local")
        corner = p * width
        lets = [
            let(word, element(buffer, i)) for word, buffer in (("by_v", self.v), ("by_q", self.q), ("by_y", self.y))
        ]
        by_v, by_q, by_y = (value for _, value in lets)

        def row(*, below: bool) -> tuple[Statement, ...]:
            body: list[Statement] = []
            dot = self.part(i)
            for start in self.columns:
                here, place = b.add(t, start), b.add(corner, b.add(t, start))
                x = element(self.f, p, i, here)
                less = b.fma(b.neg(by_v), element(self.q, place), b.fma(b.neg(by_q), element(self.v, place), x))
                named, now = let(f"now_{start}", less)
                body += [named, store(self.f, (p, i, here), now)]
                if below:
                    body.append(store(sums, (here,), b.fma(by_y, now, element(sums, here))))
                dot = b.fma(now, element(self.y, place), dot)
            body.append(self.put_part(i, dot))
            read: list[Let] = [statement for statement, _ in (lets if below else lets[:2])]
            return (*read, loop("t", 0, PARTS, *body, mode="vector"))

        end = b.add(corner, width)
        summed = store(self.p, (b.add(corner, t),), element(sums, t))
        return (
            self.no_parts(first, size),
            loop(
                "p",
                first // width,
                self.layout.count,
                Local(sums),
                loop("t", 0, width, store(sums, (t,), self.zero), mode="vector"),
                loop("i", b.maximum(corner, first), b.minimum(end, size), *row(below=False)),
                loop("i", end, size, *row(below=True)),
                loop("t", 0, width, summed, mode="vector"),
            ),
        )

    def _next(self, panel: Expression, column: Expression, first: Expression) -> tuple[Statement, ...]:
        """``p = tau * A @ y`` and ``q = p - (tau / 2) * (p @ y) * y``; y is the last reflection from here on."""
        size, i = self.layout.columns, variable("i")
        named, tau = let("tau", element(self.f, panel, self.layout.padded + TAUS, column))
        product = store(self.p, (i,), b.mul(tau, b.add(element(self.p, i), self.total(i))))
        half, middle = let("middle", b.mul(b.mul(tau, b.constant(0.5, self.dtype)), b.load(self.dot)))
        less = b.fma(b.neg(middle), element(self.y, i), element(self.p, i))
        dot = b.mul(element(self.p, i), element(self.y, i))
        return (
            named,
            loop("i", first, size, product, mode="vector"),
            store(self.dot, (), self.zero),
            loop("i", first, size, Accumulate("add", self.dot.name, (), dot, dot_order("i", size))),
            half,
            loop(
                "i",
                first,
                size,
                store(self.q, (i,), less),
                store(self.v, (i,), element(self.y, i)),
                mode="vector",
            ),
        )
