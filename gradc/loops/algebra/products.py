"""Reflections of a panel of columns as one product, ``I - V @ T @ V.H`` with an upper triangle T, as contractions.

(Schreiber and Van Loan, A storage-efficient WY representation for products of Householder transformations, 1989.)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradc.loops.algebra.arithmetic import (
    Array,
    Number,
    Parted,
    fused_times,
    less,
    let_parts,
    negative,
    real,
    select,
)
from gradc.loops.algebra.factors import Index, block_view, each, loop
from gradc.loops.algebra.reflections import Columns
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

Views = tuple[View, ...]
"""The parts of a block."""


class Products:
    """The products of the panels of ``f``, and what they are made in.

    ``f`` holds the vectors below its diagonal, and in the row ``taus`` what they are multiplied by. With ``shift`` 0
    vector j begins with a 1 on the diagonal, which is not stored, with 1 a row below, where it stands.
    """

    def __init__(self, layout: Columns, f: Parted, taus: int, shift: int) -> None:
        self.layout, self.f, self.taus, self.shift = layout, f, taus, shift
        self.dtype, self.parts = f.buffer.dtype, f.parts
        square = (layout.width, layout.width)
        self.head, self.gram, self.inner, self.outer = (
            Array(word, self.dtype, square, f.parts) for word in ("head", "gram", "inner", "outer")
        )
        self.mixed = Buffer("mixed", self.dtype, square, "local")
        arrays = (self.head, self.gram, self.inner, self.outer)
        self.locals = (
            *(statement for array in arrays for statement in array.locals),
            *((Local(self.mixed),) if f.parts > 1 else ()),
        )
        self.zero, self.one = (real(b.constant(x, self.dtype), f.parts) for x in (0.0, 1.0))

    def block(self, matrix: Parted, panel: Expression, block: Expression) -> Views:
        """The square block of a panel that begins at row ``block * width``."""
        width, rows = self.layout.width, int(matrix.buffer.shape[1])
        places = [(own * rows + block * width) * width for own in matrix.panels(panel)]
        return tuple(block_view(matrix.buffer, place, (width, 1)) for place in places)

    def contraction(self, left: str, *, accumulate: bool = False) -> Contraction:
        """The product of a square block, or with the letters ``ki`` its transpose, with another one."""
        width = self.layout.width
        sizes = tuple((letter, width) for letter in dict.fromkeys(left + "kj"))
        return Contraction(left, "kj", "ij", sizes, self.dtype, accumulate=accumulate)

    def square(self, array: Array, value: Callable[[Expression, Expression], Number]) -> Statement:
        """Set all of a square block."""
        r, t, width = variable("r"), variable("t"), self.layout.width
        return loop("r", 0, width, loop("t", 0, width, *array.put((r, t), value(r, t)), mode="vector"))

    def set_head(self, k: Expression) -> Statement:
        """``head`` becomes the first block of the vectors of panel k, with 0 above the diagonal."""
        corner = self.zero if self.shift else self.one

        def cut(r: Expression, t: Expression) -> Number:
            below = self.f.at(k, b.add(k * self.layout.width, r), t)
            return select(b.gt(r, t), below, select(b.eq(r, t), corner, self.zero))

        return self.square(self.head, cut)

    def turned(self, k: Expression, out: Array, at: Callable[[Expression], Views] | None) -> tuple[Statement, ...]:
        """``out = V.H @ X`` with the vectors of panel k and the blocks ``at(i)`` of X, or with V itself.

        Of complex numbers what is to be taken off is added up by itself, in ``mixed``.
        """
        i, head = variable("i"), views_of(self.head)
        targets = (*views_of(out), whole(self.mixed))
        pairs = ((0, 0, 0), (1, 1, 0), (0, 1, 1), (1, 0, 2))[: 4 if self.parts > 1 else 1]

        def added(left: Views, right: Views, *, begins: bool) -> tuple[Statement, ...]:
            return tuple(
                Call(
                    self.contraction("ki", accumulate=not begins or (x, y) == (1, 1)),
                    (left[x], right[y], targets[target]),
                )
                for x, y, target in pairs
            )

        def block(row: Expression) -> Views:
            return self.block(self.f, k, row) if at is None else at(row)

        first = head if at is None else at(k)
        others = loop("i", b.add(k, 1), self.layout.blocks, *added(self.block(self.f, k, i), block(i), begins=False))
        return (*added(head, first, begins=True), others, *self._unmixed(out))

    def _unmixed(self, out: Array) -> tuple[Statement, ...]:
        if self.parts == 1:
            return ()
        r, t, width = variable("r"), variable("t"), self.layout.width
        rest = b.sub(out.at(r, t)[1], b.load(self.mixed, (r, t)))
        return (loop("r", 0, width, loop("t", 0, width, out.put((r, t), (rest, rest))[1], mode="vector")),)

    def triangle(self, k: Expression, out: Parted | Array, at: Place) -> tuple[Statement, ...]:
        """The transpose of the T of panel k, of which row j is made of those before it; ``out`` holds it."""
        j, s, t, width = variable("j"), variable("s"), variable("t"), self.layout.width

        def put(row: Index, value: Number) -> tuple[Statement, ...]:
            place = at(row, t)
            return out.put(place, value) if isinstance(out, Array) else out.put(place[0], place[1], place[2], value)

        named, tau = let_parts("tau", self.f.at(k, self.taus, j))
        multiplied, multiple = let_parts("multiple", fused_times(tau, self.gram.at(s, j)))
        start = put(j, select(b.eq(t, j), tau, self.zero))
        row = put(j, less(multiple, out.at(*at(s, t)), out.at(*at(j, t))))
        return (
            *self.turned(k, self.gram, None),
            loop(
                "j",
                0,
                width,
                *named,
                loop("t", 0, width, *start, mode="vector"),
                loop("s", 0, j, *multiplied, loop("t", 0, width, *row, mode="vector")),
            ),
        )

    def multiplied(self, left: str, triangle: Views, *, conjugated: bool) -> tuple[Statement, ...]:
        """``outer = -triangle @ inner``, of the transpose with the letters ``ki``, of its conjugate or not."""
        plain, adding = self.contraction(left), self.contraction(left, accumulate=True)
        inner, outer = views_of(self.inner), views_of(self.outer)
        negated = self.square(self.inner, lambda r, t: negative(self.inner.at(r, t)))
        if self.parts == 1:
            return (negated, Call(plain, (triangle[0], inner[0], outer[0])))
        # The imaginary part of the triangle, times -i or i.
        turned = self.square(
            self.gram,
            lambda r, t: (
                (b.neg(self.inner.at(r, t)[1]), self.inner.at(r, t)[0])
                if not conjugated
                else (self.inner.at(r, t)[1], b.neg(self.inner.at(r, t)[0]))
            ),
        )
        beside = views_of(self.gram)
        return (
            negated,
            turned,
            *(Call(plain, (triangle[0], inner[part], outer[part])) for part in (0, 1)),
            *(Call(adding, (triangle[1], beside[part], outer[part])) for part in (0, 1)),
        )

    def added(self, vectors: Views, out: Views) -> tuple[Statement, ...]:
        """``out += vectors @ outer``, after ``beside``."""
        adding = self.contraction("ik", accumulate=True)
        outer, beside = views_of(self.outer), views_of(self.gram)
        first = tuple(Call(adding, (vectors[0], outer[part], out[part])) for part in range(self.parts))
        if self.parts == 1:
            return first
        return (*first, *(Call(adding, (vectors[1], beside[part], out[part])) for part in (0, 1)))

    def beside(self) -> tuple[Statement, ...]:
        """``gram`` becomes ``i * outer``, by which imaginary parts are multiplied."""
        if self.parts == 1:
            return ()
        return (self.square(self.gram, lambda r, t: (b.neg(self.outer.at(r, t)[1]), self.outer.at(r, t)[0])),)


def views_of(array: Array) -> Views:
    """The parts of an array as blocks."""
    return tuple(map(whole, array.buffers))


def orthonormal_function(
    name: str, layout: Columns, parts: int, held: int, taus: int, shift: int, start: int, count: int, dtype: np.dtype
) -> Function:
    """``q``, in panels, becomes ``count`` columns from ``start`` on of the product of the reflections in ``f``.

    ``held`` are the rows of a panel of ``f``, those behind the vectors too; ``taus`` and ``shift`` as in ``Products``.
    """
    width, padded = layout.width, layout.padded
    panels = -(-count // width)
    held_in = Buffer("f", dtype, (parts * layout.count, held, width), "parameter")
    made_in = Buffer("q", dtype, (parts * panels, padded, width), "parameter", writable=True)
    f, q = Parted(held_in, layout.count, parts), Parted(made_in, panels, parts)
    products = Products(layout, f, taus, shift)
    triangle = Array("triangle", dtype, (width, width), parts)
    p, i, t = variable("p"), variable("i"), variable("t")

    def panel(turn: Expression) -> tuple[Statement, ...]:
        k = b.sub(b.constant(layout.count - 1), turn)
        # The columns before panel k are still those of an identity, with 0 from its rows on.
        first: Index = b.constant(0) if start else k
        return (
            products.set_head(k),
            *products.triangle(k, triangle, lambda j, t: (j, t)),
            loop(
                "p",
                first,
                panels,
                *products.turned(k, products.inner, lambda i: products.block(q, p, i)),
                *products.multiplied("ki", views_of(triangle), conjugated=False),
                *products.beside(),
                *products.added(views_of(products.head), products.block(q, p, k)),
                loop(
                    "i", b.add(k, 1), layout.blocks, *products.added(products.block(f, k, i), products.block(q, p, i))
                ),
            ),
        )

    unit = select(b.eq(i, b.add(b.add(p * width, t), start)), products.one, products.zero)
    identity = loop("t", 0, width, *q.put(p, i, t, unit), mode="vector")
    body = (
        *products.locals,
        *triangle.locals,
        loop("p", 0, panels, loop("i", 0, padded, identity)),
        *each("turn", layout.count, panel),
    )
    return Function(name, (held_in, made_in), (), body)
