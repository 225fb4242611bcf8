"""Householder's reflections of columns, and how a matrix lies in memory that they work on.

A reflection is ``I - tau * outer(v, v)`` with ``v[first] = 1`` and 0 before, and brings a column to ``beta`` in the row
``first`` and 0 below. As in LAPACK ``beta`` has the sign that does not cancel, and where nothing is below there is no
reflection: ``tau = 0``. (Golub and Van Loan, Matrix Computations, 5.1.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from gradc.loops.algebra.arithmetic import (
    Array,
    Number,
    conjugate,
    expression,
    fused_times,
    let_parts,
)
from gradc.loops.algebra.factors import Index, let, loop, store
from gradc.loops.language.program import (
    SEQUENTIAL,
    Accumulate,
    Buffer,
    Expression,
    If,
    Lanes,
    Local,
    Order,
    Statement,
    b,
    variable,
)

Made = Callable[[Expression, Number, Number], tuple[Statement, ...]]
"""What is made of a reflection: of ``beta``, ``tau`` and ``scale``."""

LANES: Final = 8
"""Partial sums of a dot product."""

WIDTHS: Final = (4, 8, 16)
"""Widths of panels, of which the last is that of all large matrices."""


def dot_order(var: str, size: int) -> Order:
    """How dot products over up to ``size`` terms are summed: in partial sums, unless there are few terms."""
    return Lanes(var, LANES) if size >= 2 * LANES else SEQUENTIAL


@dataclass(frozen=True, slots=True)
class Columns:
    """The layout of a matrix in panels of ``width`` columns, each of them row-major, padded by zeros to square blocks.

    Element (i, j) stands at ``[j // width, i, j % width]`` of an array ``[count, padded, width]``.
    """

    rows: int
    columns: int
    width: int

    @staticmethod
    def of(rows: int, columns: int) -> Columns:
        """The layout of a matrix of this size: panels are no wider than it takes."""
        return Columns(rows, columns, next((width for width in WIDTHS if columns <= width), WIDTHS[-1]))

    @property
    def count(self) -> int:
        """The panels."""
        return -(-self.columns // self.width)

    @property
    def blocks(self) -> int:
        """The square blocks of a panel."""
        return -(-max(self.rows, self.columns) // self.width)

    @property
    def padded(self) -> int:
        """The rows of a panel."""
        return self.blocks * self.width

    def place(self, i: Index, j: Index) -> tuple[Expression, Expression, Expression]:
        """Where an element stands."""
        return expression(j) // self.width, expression(i), expression(j) % self.width


class Reflector:
    """What the reflection that leaves the first element of a column, and 0 below, is made of.

    The column stands in a vector, from ``first`` up to ``rows``. Names begin with ``word``. Of a matrix that has been
    ``scaled``, what is too small for squares is nothing. The conjugate transpose of ``I - tau * outer(v, conj(v))`` is
    what brings a complex column to a real number.
    """

    def __init__(self, column: Array, first: Expression, rows: int, *, scaled: bool = False, word: str = "") -> None:
        self.column, self.first, self.rows, self.scaled, self.word = column, first, rows, scaled, word
        self.dtype = column.buffers[0].dtype
        self.below, self.squares, self.size = (
            Buffer(f"{word}{x}", self.dtype, (), "local") for x in ("below", "squares", "size")
        )

    def statements(self, made: Made, nothing: tuple[Statement, ...]) -> tuple[Statement, ...]:
        """``made(beta, tau, scale)``, where ``v = column / scale``, or ``nothing`` where all is 0 below.

        Where the sum of squares is near the ends of the range, the column is divided by its largest element first.
        """
        i, first, order, word = variable("i"), self.first, dot_order("i", self.rows), self.word
        zero, one = b.constant(0.0, self.dtype), b.constant(1.0, self.dtype)
        here, (top, *phase) = self.column.at(i), self.column.at(first)
        below, squares = b.load(self.below), b.load(self.squares)
        information = np.finfo(self.dtype)
        tiny, eps = float(information.tiny), float(information.eps)
        in_range = b.logical_and(b.gt(squares, tiny / eps**2), b.lt(squares, float(information.max) / 4))

        def added(order: Order) -> tuple[Statement, ...]:
            return tuple(Accumulate("add", self.squares.name, (), b.mul(part, part), order) for part in here)

        divided = self.column.put((i,), tuple(b.div(part, b.load(self.size)) for part in here))
        again = (
            store(self.size, (), b.maximum(below, b.abs(top))),
            store(self.squares, (), zero),
            loop("i", first, self.rows, *divided, mode="vector"),
            loop("i", first, self.rows, *added(SEQUENTIAL)),
        )
        kept = () if self.scaled else (store(self.size, (), one), If(b.logical_not(in_range), again))
        of_first = b.fma(top, top, squares)
        for part in phase:
            of_first = b.fma(part, part, of_first)
        rooted, length = let(f"{word}length", b.sqrt(squares))
        signed, beta = let(f"{word}beta", b.select(b.lt(top, zero), length, b.neg(length)))
        named, tau = let_parts(f"{word}tau", (b.div(b.sub(beta, top), beta), *(b.div(b.neg(x), beta) for x in phase)))
        scaling, scale = let_parts(f"{word}scale", (b.sub(top, beta), *phase))
        left = beta if self.scaled else b.mul(beta, b.load(self.size))
        return (
            *(Local(buffer) for buffer in (self.below, self.squares, *(() if self.scaled else (self.size,)))),
            store(self.below, (), b.abs(phase[0]) if phase else zero),
            store(self.squares, (), zero),
            loop(
                "i",
                b.add(first, 1),
                self.rows,
                *[Accumulate("maximum", self.below.name, (), b.abs(part), order) for part in here],
                *added(order),
            ),
            If(
                b.gt(below, tiny**0.5 / eps) if self.scaled else b.ne(below, zero),
                (store(self.squares, (), of_first), *kept, rooted, signed, *named, *scaling, *made(left, tau, scale)),
                nothing,
            ),
        )

    def divided(self, scale: Number) -> tuple[Statement, ...]:
        """The column below its first element, over ``scale``."""
        i, lo = variable("i"), b.add(self.first, 1)
        here = self.column.at(i)
        if len(scale) == 1:
            return (loop("i", lo, self.rows, *self.column.put((i,), (b.div(here[0], scale[0]),)), mode="vector"),)
        size = b.fma(scale[0], scale[0], b.mul(scale[1], scale[1]))
        named, inverse = let_parts(f"{self.word}inverse", tuple(b.div(part, size) for part in conjugate(scale)))
        made, quotient = let_parts(f"{self.word}quotient", fused_times(here, inverse))
        return (*named, loop("i", lo, self.rows, *made, *self.column.put((i,), quotient), mode="vector"))
