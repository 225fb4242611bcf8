"""Reflections of a panel of columns as one product, ``I - V @ T @ V.T`` with an upper triangle T, as contractions.

(Schreiber and Van Loan, A storage-efficient WY representation for products of Householder transformations, 1989.)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradc.loops.algebra.factors import Index, block_view, each, let, loop, store
from gradc.loops.algebra.reflections import Columns, element
from gradc.loops.language.program import (
    Buffer,
    Call,
    Contraction,
    Expression,
    Function,
    Local,
    Statement,
    View,
    b,
    variable,
    whole,
)

Place = Callable[[Index, Index], tuple[Index, ...]]
"""Where the element of a row and a column stands in an array."""


class Products:
    """The products of the panels of ``f``, and what they are made in.

    ``f`` holds the vectors below its diagonal, and in the row ``taus`` what they are multiplied by. With ``shift`` 0
    vector j begins with a 1 on the diagonal, which is not stored, with 1 a row below, where it stands.
    """

    def __init__(self, layout: Columns, f: Buffer, taus: int, shift: int) -> None:
        self.layout, self.f, self.taus, self.shift = layout, f, taus, shift
        square = (layout.width, layout.width)
        self.head, self.gram, self.inner, self.outer = (
            Buffer(word, f.dtype, square, "local") for word in ("head", "gram", "inner", "outer")
        )
        self.locals = tuple(Local(buffer) for buffer in (self.head, self.gram, self.inner, self.outer))
        self.zero, self.one = b.constant(0.0, f.dtype), b.constant(1.0, f.dtype)

    def block(self, buffer: Buffer, panel: Expression, block: Expression) -> View:
        """The square block of a panel that begins at row ``block * width``."""
        width, rows = self.layout.width, int(buffer.shape[1])
        return block_view(buffer, (panel * rows + block * width) * width, (width, 1))

    def contraction(self, left: str, *, accumulate: bool = False) -> Contraction:
        """The product of a square block, or with the letters ``ki`` its transpose, with another one."""
        width = self.layout.width
        sizes = tuple((letter, width) for letter in dict.fromkeys(left + "kj"))
        return Contraction(left, "kj", "ij", sizes, self.f.dtype, accumulate=accumulate)

    def square(self, buffer: Buffer, value: Callable[[Expression, Expression], Expression]) -> Statement:
        """Set all of a square block."""
        r, t, width = variable("r"), variable("t"), self.layout.width
        return loop("r", 0, width, loop("t", 0, width, store(buffer, (r, t), value(r, t)), mode="vector"))

    def set_head(self, k: Expression) -> Statement:
        """``head`` becomes the first block of the vectors of panel k, with 0 above the diagonal."""
        corner = self.zero if self.shift else self.one

        def cut(r: Expression, t: Expression) -> Expression:
            below = element(self.f, k, b.add(k * self.layout.width, r), t)
            return b.select(b.gt(r, t), below, b.select(b.eq(r, t), corner, self.zero))

        return self.square(self.head, cut)

    def turned(self, k: Expression, out: Buffer, at: Callable[[Expression], View] | None) -> tuple[Statement, ...]:
        """``out = V.T @ X`` with the vectors of panel k and the blocks ``at(i)`` of X, or with V itself."""
        i = variable("i")
        first = whole(self.head) if at is None else at(k)
        other = self.block(self.f, k, i) if at is None else at(i)
        added = Call(self.contraction("ki", accumulate=True), (self.block(self.f, k, i), other, whole(out)))
        begun = Call(self.contraction("ki"), (whole(self.head), first, whole(out)))
        return (begun, loop("i", b.add(k, 1), self.layout.blocks, added))

    def triangle(self, k: Expression, out: Buffer, at: Place) -> tuple[Statement, ...]:
        """The transpose of the T of panel k, of which row j is made of those before it; ``out`` holds it."""
        j, s, t, width = variable("j"), variable("s"), variable("t"), self.layout.width
        named, tau = let("tau", element(self.f, k, self.taus, j))
        multiplied, multiple = let("multiple", b.neg(b.mul(tau, element(self.gram, s, j))))
        start = store(out, at(j, t), b.select(b.eq(t, j), tau, self.zero))
        row = store(out, at(j, t), b.fma(multiple, element(out, *at(s, t)), element(out, *at(j, t))))
        return (
            *self.turned(k, self.gram, None),
            loop(
                "j",
                0,
                width,
                named,
                loop("t", 0, width, start, mode="vector"),
                loop("s", 0, j, multiplied, loop("t", 0, width, row, mode="vector")),
            ),
        )

    def negated(self) -> Statement:
        """``inner`` becomes ``-outer``."""
        return self.square(self.inner, lambda r, t: b.neg(element(self.outer, r, t)))


def orthonormal_function(
    name: str, layout: Columns, held: int, taus: int, shift: int, start: int, count: int, dtype: np.dtype
) -> Function:
    """``q``, in panels, becomes ``count`` columns from ``start`` on of the product of the reflections in ``f``.

    ``held`` are the rows of a panel of ``f``, those behind the vectors too; ``taus`` and ``shift`` as in ``Products``.
    """
    width, padded = layout.width, layout.padded
    panels = -(-count // width)
    f = Buffer("f", dtype, (layout.count, held, width), "parameter")
    q = Buffer("q", dtype, (panels, padded, width), "parameter", writable=True)
    products = Products(layout, f, taus, shift)
    triangle = Buffer("triangle", dtype, (width, width), "local")
    p, i, t = variable("p"), variable("i"), variable("t")
    inner, outer = products.inner, products.outer
    added = products.contraction("ik", accumulate=True)

    def panel(turn: Expression) -> tuple[Statement, ...]:
        k = b.sub(b.constant(layout.count - 1), turn)
        # The columns before panel k are still those of an identity, with 0 from its rows on.
        first: Index = b.constant(0) if start else k
        below = Call(added, (products.block(f, k, i), whole(inner), products.block(q, p, i)))
        return (
            products.set_head(k),
            *products.triangle(k, triangle, lambda j, t: (j, t)),
            loop(
                "p",
                first,
                panels,
                *products.turned(k, inner, lambda i: products.block(q, p, i)),
                Call(products.contraction("ki"), (whole(triangle), whole(inner), whole(outer))),
                products.negated(),
                Call(added, (whole(products.head), whole(inner), products.block(q, p, k))),
                loop("i", b.add(k, 1), layout.blocks, below),
            ),
        )

    unit = b.select(b.eq(i, b.add(b.add(p * width, t), start)), products.one, products.zero)
    identity = loop("t", 0, width, store(q, (p, i, t), unit), mode="vector")
    body = (
        *products.locals,
        Local(triangle),
        loop("p", 0, panels, loop("i", 0, padded, identity)),
        *each("turn", layout.count, panel),
    )
    return Function(name, (f, q), (), body)
