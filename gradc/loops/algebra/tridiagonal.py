"""A hermitian matrix brought to three real diagonals by Householder's reflections, as an internal function.

Only the lower half is worked on. What a reflection takes off is taken off in the same pass that multiplies the matrix
by the vector of the next one, so that a step reads and writes the half once. (Golub and Van Loan, Matrix Computations,
8.3.1.)
"""

from __future__ import annotations

import numpy as np

from gradc.loops.algebra.arithmetic import (
    Array,
    conjugate,
    fused_times,
    less,
    less_two,
    let_parts,
    multiply_add,
    plus,
    real,
    scaled,
)
from gradc.loops.algebra.factors import loop
from gradc.loops.algebra.passes import BESIDE, DIAGONAL, PARTS, TAUS, Passes, held
from gradc.loops.algebra.reflections import Columns, Reflector, dot_order
from gradc.loops.language.program import Accumulate, Buffer, Expression, Function, Statement, b, variable


def tridiagonal_function(name: str, size: int, parts: int, dtype: np.dtype, *, keep: bool) -> Function:
    """``f``, a matrix in panels of which the lower triangle is read, becomes three diagonals, in the rows behind it.

    With ``keep`` column k holds the vector of reflection k, which begins with a 1 in row k + 1.
    """
    layout = Columns.of(size, size)
    f = held("f", layout, parts, 1, dtype, writable=True)
    work = _Work(layout, f, parts)
    return Function(name, (f,), (), (*work.mirrored(), *work.scaled(variable("p") * layout.width), *work.steps(keep)))


class _Work(Passes):
    """The vectors of a step: of the last reflection v, and q, what it takes off being ``v q.H + q v.H``; of the next
    one y, and its product with the matrix.
    """

    def __init__(self, layout: Columns, f: Buffer, parts: int) -> None:
        super().__init__(layout, f, parts, 1)
        self.v, self.q, self.y, self.product = map(self.vector, ("v", "q", "y", "product"))
        self.dot = Array("dot", f.dtype, (), parts)

    def mirrored(self) -> tuple[Statement, ...]:
        """The lower triangle of the square blocks on the diagonal, above it too, and a real diagonal."""
        p, r, t, width = variable("p"), variable("r"), variable("t"), self.layout.width
        corner = p * width
        above = self.f.put(p, b.add(corner, t), r, conjugate(self.f.at(p, b.add(corner, r), t)))
        own = self.f.put(p, b.add(corner, r), r, real(self.f.at(p, b.add(corner, r), r)[0], self.parts))[1:]
        return (loop("p", 0, self.layout.count, loop("r", 0, width, loop("t", 0, r, *above), *own)),)

    def steps(self, keep: bool) -> tuple[Statement, ...]:
        """Column by column."""
        size, k, i = self.layout.columns, variable("k"), variable("i")
        nothing = real(self.zero, self.parts)
        first = b.add(k, 1)
        panel, _, column = self.layout.place(0, k)
        last = size - 1
        read_q, own_q = let_parts("own_q", conjugate(self.q.at(k)))
        read_v, own_v = let_parts("own_v", conjugate(self.v.at(k)))
        own = less_two(self.v.at(i), own_q, self.q.at(i), own_v, self.f.at(panel, i, column))
        kept = loop("i", first, size, *self.f.put(panel, i, column, self.y.at(i)))
        end, _, last_column = self.layout.place(last, last)
        v, q = self.v.at(last), self.q.at(last)
        taken = less_two(v, conjugate(q), q, conjugate(v), self.f.at(end, last, last_column))
        vectors = (self.v, self.q, self.y)
        return (
            *(statement for array in (*vectors, self.product, self.dot) for statement in array.locals),
            *self.locals,
            self.no_taus(),
            *[array.cleared(0, self.layout.padded) for array in vectors],
            loop(
                "k",
                0,
                last,
                *read_q,
                *read_v,
                loop("i", k, size, *self.y.put((i,), own), mode="vector"),
                self.put_real(DIAGONAL, k, self.y.at(k)[0]),
                *[statement for array in vectors for statement in array.put((k,), nothing)],
                *self.reflected(Reflector(self.y, first, size, scaled=True), BESIDE, k),
                *self._products(first),
                *self._next(panel, column, first),
                *((kept,) if keep else ()),
            ),
            self.put_real(DIAGONAL, last, taken[0]),
            self.put_real(BESIDE, last, self.zero),
        )

    def _products(self, first: Expression) -> tuple[Statement, ...]:
        """One pass over the lower half: the last reflection is taken off, and the sums of products with y are made."""
        size, width = self.layout.columns, self.layout.width
        p, i, t = variable("p"), variable("i"), self.t
        sums = Array("sums", self.dtype, (width,), self.parts)
        corner = p * width
        lets = [let_parts(word, x.at(i)) for word, x in (("by_v", self.v), ("by_q", self.q), ("by_y", self.y))]
        by_v, by_q, by_y = (value for _, value in lets)

        def row(*, below: bool) -> tuple[Statement, ...]:
            body: list[Statement] = []
            dot = self.part(i, t)
            for start in self.columns:
                here, place = b.add(t, start), b.add(corner, b.add(t, start))
                own_q, own_v = conjugate(self.q.at(place)), conjugate(self.v.at(place))
                named, now = let_parts(f"now_{start}", less_two(by_v, own_q, by_q, own_v, self.f.at(p, i, here)))
                body += [*named, *self.f.put(p, i, here, now)]
                if below:
                    body += sums.put((here,), multiply_add(conjugate(now), by_y, sums.at(here)))
                dot = multiply_add(now, self.y.at(place), dot)
            body += self.put_part(i, t, dot)
            read = [statement for statements, _ in (lets if below else lets[:2]) for statement in statements]
            return (*read, loop("t", 0, PARTS, *body, mode="vector"))

        end = b.add(corner, width)
        return (
            self.no_parts(first, size),
            loop(
                "p",
                first // width,
                self.layout.count,
                *sums.locals,
                sums.cleared(0, width),
                loop("i", b.maximum(corner, first), b.minimum(end, size), *row(below=False)),
                loop("i", end, size, *row(below=True)),
                loop("t", 0, width, *self.product.put((b.add(corner, t),), sums.at(t)), mode="vector"),
            ),
        )

    def _next(self, panel: Expression, column: Expression, first: Expression) -> tuple[Statement, ...]:
        """``p = tau A y`` and ``q = p - (tau / 2) (p.H y) y``; y is the last reflection from here on."""
        size, i = self.layout.columns, variable("i")
        named, tau = let_parts("tau", self.f.at(panel, self.layout.padded + TAUS, column))
        p, y = self.product.at(i), self.y.at(i)
        made, whole = let_parts("whole", fused_times(tau, plus(p, self.total(i))))
        half, middle = let_parts("middle", fused_times(scaled(tau, b.constant(0.5, self.dtype)), self.dot.at()))
        order = dot_order("i", size)
        dot = [
            Accumulate("add", buffer.name, (), term, order)
            for buffer, term in zip(self.dot.buffers, fused_times(conjugate(p), y), strict=True)
        ]
        return (
            *named,
            loop("i", first, size, *made, *self.product.put((i,), whole), mode="vector"),
            *self.dot.put((), real(self.zero, self.parts)),
            loop("i", first, size, *dot),
            *half,
            loop("i", first, size, *self.q.put((i,), less(middle, y, p)), *self.v.put((i,), y), mode="vector"),
        )
