"""Factoring in place, as internal functions on panels (``algebra.panels``): Cholesky, and LU with row exchanges.

Both go from panel to panel. What the panels before it contribute is taken off a panel, block by block, as contractions,
so that it stays in the cache; then it is factored column by column, each column taken off the ones after it. (Golub
and Van Loan, Matrix Computations, 3.2 and 4.2.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gradc.loops.algebra.panels import ORDER, PARITY, PIVOTS, Panels
from gradc.loops.language.program import (
    Buffer,
    Call,
    Contraction,
    Expression,
    For,
    Function,
    If,
    Let,
    Local,
    Mode,
    Statement,
    Store,
    View,
    b,
    variable,
    whole,
)

Index = Expression | int


def loop(var: str, lo: Index, hi: Index, *body: Statement, mode: Mode = "seq") -> For:
    """A counted loop."""
    return For(var, _index(lo), _index(hi), body, mode=mode)


def each(var: str, count: int, body: Callable[[Expression], Sequence[Statement]]) -> tuple[Statement, ...]:
    """The body for 0 to ``count``; without a loop where that is only 0."""
    return tuple(body(b.constant(0))) if count == 1 else (loop(var, 0, count, *body(variable(var))),)


def _index(x: Index) -> Expression:
    return x if isinstance(x, Expression) else b.constant(x)


def store(buffer: Buffer, index: tuple[Index, ...], value: Expression) -> Store:
    """``buffer[index] = value``."""
    return Store(buffer.name, tuple(map(_index, index)), value)


def let(name: str, value: Expression) -> tuple[Let, Expression]:
    """A name for a scalar, and the name as an expression."""
    made = Let(name, value)
    return made, made.variable


def block_view(buffer: Buffer, offset: Index, strides: tuple[int, ...]) -> View:
    """A block of panels: ``offset`` counts elements."""
    return View(buffer.name, strides, _index(offset))


class Panelled:
    """The matrix that a function works on: an array ``[count, rows, width]``, by row and column within a panel."""

    def __init__(self, layout: Panels, buffer: Buffer) -> None:
        self.layout = layout
        self.buffer = buffer
        self.stride = int(buffer.shape[1])
        """The rows of a panel, those below the factors too."""

    def at(self, panel: Index, row: Index, column: Index) -> Expression:
        """An element."""
        return b.load(self.buffer, (_index(panel), _index(row), _index(column)))

    def put(self, panel: Index, row: Index, column: Index, value: Expression) -> Store:
        """Set an element."""
        return store(self.buffer, (panel, row, column), value)

    def block(self, panel: Expression, block: Expression) -> View:
        """The square block of a panel that begins at row ``block * width``."""
        width = self.layout.width
        return block_view(self.buffer, (panel * self.stride + block * width) * width, (width, 1))

    def below(
        self, panel: Expression, column: Index, multiplied: Callable[[Expression], Expression], taken: Buffer
    ) -> For:
        """Multiply a column below the diagonal, and take ``column * taken`` off the rows there.

        ``taken`` is 0 in the columns that are finished. The column itself is stored after the row: a load of a whole
        row just behind the store of one of its elements would wait for it.
        """
        width = self.layout.width
        i, t = variable("i"), variable("t")
        first = b.add(b.add(panel * width, column), 1)
        element, share = let("share", multiplied(self.at(panel, i, column)))
        row = self.put(panel, i, t, b.fma(b.neg(share), b.load(taken, (t,)), self.at(panel, i, t)))
        return loop(
            "i",
            first,
            self.layout.rows,
            element,
            loop("t", 0, width, row, mode="vector"),
            self.put(panel, i, column, share),
        )

    def take_off(self, earlier: Expression, panel: Expression, first: Index, rhs: Buffer, negated: Buffer) -> For:
        """Take the products of an earlier panel's blocks, from block ``first`` on, and ``rhs`` off those of a panel."""
        width = self.layout.width
        i, r, t = variable("i"), variable("r"), variable("t")
        copied = store(negated, (r, t), b.neg(self.at(earlier, b.add(i * width, r), t)))
        contraction = Contraction(
            "ik", "kj", "ij", (("i", width), ("k", width), ("j", width)), self.buffer.dtype, accumulate=True
        )
        return loop(
            "i",
            first,
            self.layout.count,
            loop("r", 0, width, loop("t", 0, width, copied, mode="vector")),
            Call(contraction, (whole(negated), whole(rhs), self.block(panel, i))),
        )


def _square(name: str, layout: Panels, dtype: np.dtype) -> Buffer:
    return Buffer(name, dtype, (layout.width, layout.width), "local")


def cholesky_function(name: str, layout: Panels, dtype: np.dtype) -> Function:
    """``f`` becomes the lower factor of the matrix in it, of which only the lower triangle is read.

    The root of a number that is not positive is NaN or 0 on the diagonal: the caller looks there.
    """
    f = Buffer("f", dtype, (layout.count, layout.rows, layout.width), "parameter", writable=True)
    matrix = Panelled(layout, f)
    width, count = layout.width, layout.count
    taken = Buffer("taken", dtype, (width,), "local")
    negated, rhs = _square("negated", layout, dtype), _square("rhs", layout, dtype)
    c, j, r, t = (variable(x) for x in "cjrt")
    zero = b.constant(0.0, dtype)

    def panel(k: Expression) -> tuple[Statement, ...]:
        turned = store(rhs, (r, t), matrix.at(j, b.add(k * width, t), r))
        earlier = loop(
            "j",
            0,
            k,
            loop("r", 0, width, loop("t", 0, width, turned, mode="vector")),
            matrix.take_off(j, k, k, rhs, negated),
        )
        root, diagonal = let("root", b.sqrt(matrix.at(k, b.add(k * width, c), c)))
        inverse, multiplier = let("inverse", b.div(b.constant(1.0, dtype), diagonal))
        scaled = b.mul(matrix.at(k, b.add(k * width, t), c), multiplier)
        column = loop(
            "c",
            0,
            width,
            root,
            inverse,
            matrix.put(k, b.add(k * width, c), c, diagonal),
            loop("t", 0, width, store(taken, (t,), b.select(b.gt(t, c), scaled, zero)), mode="vector"),
            matrix.below(k, c, lambda element: b.mul(element, multiplier), taken),
        )
        above = matrix.put(k, b.add(k * width, r), t, zero)
        clear = loop("r", 0, width, loop("t", b.add(r, 1), width, above, mode="vector"))
        return (*([earlier] if count > 1 else []), column, clear)

    locals_ = [Local(taken), *([Local(negated), Local(rhs)] if count > 1 else [])]
    return Function(name, (f,), (), (*locals_, *each("k", count, panel)))


def lu_function(name: str, layout: Panels, dtype: np.dtype) -> Function:
    """``f`` becomes the factors of the matrix in it, the largest element of each column exchanged to its diagonal.

    Of elements of one size the first is taken; a NaN counts as the largest. A column of zeros is left as it is.
    """
    f = Buffer("f", dtype, (layout.count, layout.rows + 3, layout.width), "parameter", writable=True)
    matrix = Panelled(layout, f)
    width, count, rows = layout.width, layout.count, layout.rows
    taken = Buffer("taken", dtype, (width,), "local")
    negated, rhs = _square("negated", layout, dtype), _square("rhs", layout, dtype)
    c, t = variable("c"), variable("t")
    zero = b.constant(0.0, dtype)

    def panel(k: Expression) -> tuple[Statement, ...]:
        here = b.add(k * width, c)
        named, pivot = let("pivot", matrix.at(k, here, c))
        # The reciprocal of a subnormal number is infinite: such a pivot is scaled up, and the column with it.
        is_small = b.lt(b.abs(pivot), float(np.finfo(dtype).tiny))
        scaling, scale = let("scale", b.select(is_small, b.constant(2.0**64, dtype), b.constant(1.0, dtype)))
        quotient = b.div(b.constant(1.0, dtype), b.mul(pivot, scale))
        inverse, multiplier = let("inverse", b.select(b.eq(pivot, zero), zero, quotient))
        after = b.select(b.gt(t, c), matrix.at(k, here, t), zero)
        column = loop(
            "c",
            0,
            width,
            *_exchange(matrix, k),
            named,
            scaling,
            inverse,
            matrix.put(k, rows + PIVOTS, c, pivot),
            loop("t", 0, width, store(taken, (t,), after), mode="vector"),
            matrix.below(k, c, lambda element: b.mul(b.mul(element, scale), multiplier), taken),
        )
        return (*([_earlier(matrix, k, rhs, negated)] if count > 1 else []), column)

    def unchanged(k: Expression) -> tuple[Statement, ...]:
        number = matrix.put(k, rows + ORDER, t, b.convert(b.add(k * width, t), dtype))
        return (loop("t", 0, width, number, mode="vector"),)

    locals_ = [Local(taken), *([Local(negated), Local(rhs)] if count > 1 else [])]
    start = (*each("k", count, unchanged), matrix.put(0, rows + PARITY, 0, b.constant(1.0, dtype)))
    return Function(name, (f,), (), (*locals_, *start, *each("k", count, panel)))


def _earlier(matrix: Panelled, k: Expression, rhs: Buffer, negated: Buffer) -> For:
    """The panels before panel k: a block of U by substitution in their triangle, its products off the rows below."""
    width = matrix.layout.width
    j, r, s, t = (variable(x) for x in "jrst")
    this, other = b.add(j * width, r), b.add(j * width, s)
    named, coefficient = let("coefficient", b.neg(matrix.at(j, this, s)))
    less = matrix.put(k, this, t, b.fma(coefficient, matrix.at(k, other, t), matrix.at(k, this, t)))
    copied = store(rhs, (r, t), matrix.at(k, this, t))
    return loop(
        "j",
        0,
        k,
        loop("r", 0, width, loop("s", 0, r, named, loop("t", 0, width, less, mode="vector"))),
        loop("r", 0, width, loop("t", 0, width, copied, mode="vector")),
        matrix.take_off(j, k, b.add(j, 1), rhs, negated),
    )


def _exchange(matrix: Panelled, k: Expression) -> tuple[Statement, ...]:
    """Find the largest element of column c of panel k, and exchange its row with that of the diagonal."""
    layout, dtype = matrix.layout, matrix.buffer.dtype
    width, rows = layout.width, layout.rows
    c, i, t = (variable(x) for x in "cit")
    here = b.add(k * width, c)
    best = Buffer("best", np.dtype(np.int64), (), "local")
    top = Buffer("top", dtype, (), "local")

    def size(row: Expression) -> Expression:
        element = matrix.at(k, row, c)
        return b.select(b.isnan(element), b.constant(np.inf, dtype), b.abs(element))

    sized, candidate = let("candidate", size(i))
    better = If(b.gt(candidate, b.load(top)), (Store(top.name, (), candidate), Store(best.name, (), i)))
    chosen, row = let("row", b.clamp(b.load(best), rows))

    def swap(j: Expression) -> tuple[Statement, ...]:
        mine, this = let("this", matrix.at(j, here, t))
        both = (mine, matrix.put(j, here, t, matrix.at(j, row, t)), matrix.put(j, row, t, this))
        return (loop("t", 0, width, *both, mode="vector"),)

    their_panel, their_column = row // width, row % width
    kept, order = let("order", matrix.at(k, rows + ORDER, c))
    parity = matrix.at(0, rows + PARITY, 0)
    return (
        Local(best),
        Local(top),
        Store(best.name, (), here),
        Store(top.name, (), size(here)),
        loop("i", b.add(here, 1), rows, sized, better),
        chosen,
        If(
            b.ne(row, here),
            (
                *each("j", layout.count, swap),
                kept,
                matrix.put(k, rows + ORDER, c, matrix.at(their_panel, rows + ORDER, their_column)),
                matrix.put(their_panel, rows + ORDER, their_column, order),
                matrix.put(0, rows + PARITY, 0, b.neg(parity)),
            ),
        ),
    )
