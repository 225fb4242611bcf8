"""QR by Householder's reflections, as an internal function on panels of columns.

What earlier panels take off a panel is taken off by products, so that it stays in the cache; then it is brought to R
column by column. (Golub and Van Loan, Matrix Computations, 5.2.)
"""

from __future__ import annotations

import numpy as np

from gradc.loops.algebra.arithmetic import (
    Array,
    Number,
    Parted,
    conjugate,
    expression,
    fused_times,
    less,
    let_parts,
    minus,
    multiply_add,
    real,
    select,
)
from gradc.loops.algebra.factors import Index, block_view, each, loop
from gradc.loops.algebra.products import Products, views_of
from gradc.loops.algebra.reflections import Columns, Reflector
from gradc.loops.language.program import Buffer, Expression, Function, Statement, b, variable


def rows_held(layout: Columns) -> int:
    """The rows of a panel of reflections: those of the matrix, the transpose of its T, and every tau in the last."""
    return layout.padded + layout.width + 1


def householder_function(name: str, layout: Columns, parts: int, dtype: np.dtype) -> Function:
    """``f``, a matrix in panels, becomes R on and above the diagonal, below it the vectors of the reflections."""
    buffer = Buffer("f", dtype, (parts * layout.count, rows_held(layout), layout.width), "parameter", writable=True)
    f = Parted(buffer, layout.count, parts)
    products = Products(layout, f, rows_held(layout) - 1, 0)
    factoring = _Factoring(layout, f)

    def panel(k: Expression) -> tuple[Statement, ...]:
        def at(r: Index, t: Index) -> tuple[Index, ...]:
            return k, b.add(expression(r), layout.padded), t

        if layout.count == 1:
            return factoring.statements(k)
        earlier = loop("j", 0, k, *_applied(products, variable("j"), k))
        return (earlier, *factoring.statements(k), products.set_head(k), *products.triangle(k, f, at))

    locals_ = (*factoring.locals, *(products.locals if layout.count > 1 else ()))
    return Function(name, (buffer,), (), (*locals_, *each("k", layout.count, panel)))


def _applied(products: Products, j: Expression, k: Expression) -> tuple[Statement, ...]:
    """Panel k becomes ``(I - V @ T.H @ V.H) @ panel`` with the vectors of panel j."""
    f, i, layout, head = products.f, variable("i"), products.layout, products.head
    width = layout.width
    triangle = tuple(
        block_view(f.buffer, (panel * rows_held(layout) + layout.padded) * width, (width, 1)) for panel in f.panels(j)
    )
    copied = products.square(head, lambda r, t: f.at(j, b.add(i * width, r), t))
    return (
        products.set_head(j),
        *products.turned(j, products.inner, lambda i: products.block(f, k, i)),
        *products.multiplied("ik", triangle, conjugated=True),
        *products.beside(),
        *products.added(views_of(head), products.block(f, k, j)),
        loop("i", b.add(j, 1), layout.blocks, copied, *products.added(views_of(head), products.block(f, k, i))),
    )


class _Factoring:
    """One panel, column by column.

    What a reflection takes off the columns after it is taken off in the same pass that multiplies them by the next one.
    """

    def __init__(self, layout: Columns, f: Parted) -> None:
        self.layout, self.f, self.dtype, self.parts = layout, f, f.buffer.dtype, f.parts
        self.v, self.column = (Array(word, self.dtype, (layout.padded,), f.parts) for word in ("v", "column"))
        self.taken, self.top = (Array(word, self.dtype, (layout.width,), f.parts) for word in ("taken", "top"))
        self.locals = tuple(
            statement for array in (self.v, self.column, self.taken, self.top) for statement in array.locals
        )

    def statements(self, k: Expression) -> tuple[Statement, ...]:
        """Panel k, which earlier ones have been taken off."""
        f, v, column, taken, top = self.f, self.v, self.column, self.taken, self.top
        zero = real(b.constant(0.0, self.dtype), self.parts)
        width, rows, taus = self.layout.width, self.layout.padded, rows_held(self.layout) - 1
        c, i, t = variable("c"), variable("i"), variable("t")
        dots = Array("dots", self.dtype, (width,), self.parts)
        here = b.add(k * width, c)
        after = b.add(here, 1)
        reflector = Reflector(column, here, rows)

        def left(row: Expression, place: Expression) -> Number:
            """An element, without what the last reflection takes off."""
            return less(v.at(row), taken.at(place), f.at(k, row, place))

        def reflected(beta: Expression, tau: Number, scale: Number) -> tuple[Statement, ...]:
            return (
                *reflector.divided(scale),
                *column.put((here,), real(beta, self.parts)),
                *f.put(k, taus, c, tau),
            )

        # Where there is no reflection, tau is 0, and the vector is that of zeros below the diagonal.
        named, now = let_parts("now", left(i, t))
        read, entry = let_parts("entry", column.at(i))
        share = dots.put((t,), multiply_add(conjugate(entry), now, dots.at(t)))
        multiple = select(b.gt(t, c), fused_times(conjugate(f.at(k, taus, c)), dots.at(t)), zero)
        return (
            v.cleared(0, rows),
            taken.cleared(0, width),
            loop(
                "c",
                0,
                width,
                *dots.locals,
                loop("i", here, rows, *column.put((i,), left(i, c)), mode="vector"),
                *reflector.statements(reflected, f.put(k, taus, c, zero)),
                loop("t", 0, width, *top.put((t,), left(here, t)), mode="vector"),
                loop("t", 0, width, *dots.put((t,), top.at(t)), mode="vector"),
                loop(
                    "i",
                    after,
                    rows,
                    *read,
                    loop("t", 0, width, *named, *f.put(k, i, t, now), *share, mode="vector"),
                    *f.put(k, i, c, entry),
                    *v.put((i,), entry),
                ),
                loop("t", 0, width, *taken.put((t,), multiple), mode="vector"),
                loop("t", 0, width, *f.put(k, here, t, minus(top.at(t), taken.at(t))), mode="vector"),
                *f.put(k, here, c, column.at(here)),
            ),
        )
