"""QR by Householder's reflections, as an internal function on panels of columns.

What earlier panels take off a panel is taken off by products, so that it stays in the cache; then it is brought to R
column by column. (Golub and Van Loan, Matrix Computations, 5.2.)
"""

from __future__ import annotations

import numpy as np

from gradc.loops.algebra.factors import Index, block_view, each, let, loop, store
from gradc.loops.algebra.products import Products
from gradc.loops.algebra.reflections import Columns, Reflector, element, expression
from gradc.loops.language.program import Buffer, Call, Expression, Function, Local, Statement, b, variable, whole


def rows_held(layout: Columns) -> int:
    """The rows of a panel of reflections: those of the matrix, the transpose of its T, and every tau in the last."""
    return layout.padded + layout.width + 1


def householder_function(name: str, layout: Columns, dtype: np.dtype) -> Function:
    """``f``, a matrix in panels, becomes R on and above the diagonal, below it the vectors of the reflections."""
    f = Buffer("f", dtype, (layout.count, rows_held(layout), layout.width), "parameter", writable=True)
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
    return Function(name, (f,), (), (*locals_, *each("k", layout.count, panel)))


def _applied(products: Products, j: Expression, k: Expression) -> tuple[Statement, ...]:
    """Panel k becomes ``(I - V @ T.T @ V.T) @ panel`` with the vectors of panel j."""
    f, i, layout = products.f, variable("i"), products.layout
    head, inner, outer = products.head, products.inner, products.outer
    transposed = block_view(f, (j * rows_held(layout) + layout.padded) * layout.width, (layout.width, 1))
    added = products.contraction("ik", accumulate=True)
    copied = products.square(head, lambda r, t: element(f, j, b.add(i * layout.width, r), t))
    return (
        products.set_head(j),
        *products.turned(j, inner, lambda i: products.block(f, k, i)),
        Call(products.contraction("ik"), (transposed, whole(inner), whole(outer))),
        products.negated(),
        Call(added, (whole(head), whole(inner), products.block(f, k, j))),
        loop(
            "i",
            b.add(j, 1),
            layout.blocks,
            copied,
            Call(added, (whole(head), whole(inner), products.block(f, k, i))),
        ),
    )


class _Factoring:
    """One panel, column by column.

    What a reflection takes off the columns after it is taken off in the same pass that multiplies them by the next one.
    """

    def __init__(self, layout: Columns, f: Buffer) -> None:
        self.layout, self.f, self.dtype = layout, f, f.dtype
        self.v, self.column = (Buffer(word, f.dtype, (layout.padded,), "local") for word in ("v", "column"))
        self.taken, self.top = (Buffer(word, f.dtype, (layout.width,), "local") for word in ("taken", "top"))
        self.locals = tuple(Local(buffer) for buffer in (self.v, self.column, self.taken, self.top))

    def statements(self, k: Expression) -> tuple[Statement, ...]:
        """Panel k, which earlier ones have been taken off."""
        f, v, column, taken, top, zero = self.f, self.v, self.column, self.taken, self.top, b.constant(0.0, self.dtype)
        width, rows, taus = self.layout.width, self.layout.padded, rows_held(self.layout) - 1
        c, i, t = variable("c"), variable("i"), variable("t")
        dots = Buffer("dots", self.dtype, (width,), "local")
        here = b.add(k * width, c)
        after = b.add(here, 1)

        def less(row: Expression, place: Expression) -> Expression:
            """An element, with what the last reflection takes off."""
            return b.fma(b.neg(element(v, row)), element(taken, place), element(f, k, row, place))

        def reflected(beta: Expression, tau: Expression, scale: Expression) -> tuple[Statement, ...]:
            divided = store(column, (i,), b.div(element(column, i), scale))
            return (
                loop("i", after, rows, divided, mode="vector"),
                store(column, (here,), beta),
                store(f, (k, taus, c), tau),
            )

        # Where there is no reflection, tau is 0, and the vector is that of zeros below the diagonal.
        reflector = Reflector(column, here, rows)
        named, now = let("now", less(i, t))
        read, entry = let("entry", element(column, i))
        share = store(dots, (t,), b.fma(entry, now, element(dots, t)))
        multiple = b.select(b.gt(t, c), b.mul(element(f, k, taus, c), element(dots, t)), zero)
        return (
            loop("i", 0, rows, store(v, (i,), zero), mode="vector"),
            loop("t", 0, width, store(taken, (t,), zero), mode="vector"),
            loop(
                "c",
                0,
                width,
                Local(dots),
                loop("i", here, rows, store(column, (i,), less(i, c)), mode="vector"),
                *reflector.statements(reflected, (store(f, (k, taus, c), zero),)),
                loop("t", 0, width, store(top, (t,), less(here, t)), mode="vector"),
                loop("t", 0, width, store(dots, (t,), element(top, t)), mode="vector"),
                loop(
                    "i",
                    after,
                    rows,
                    read,
                    loop("t", 0, width, named, store(f, (k, i, t), now), share, mode="vector"),
                    store(f, (k, i, c), entry),
                    store(v, (i,), entry),
                ),
                loop("t", 0, width, store(taken, (t,), multiple), mode="vector"),
                loop("t", 0, width, store(f, (k, here, t), b.sub(element(top, t), element(taken, t))), mode="vector"),
                store(f, (k, here, c), element(column, here)),
            ),
        )
