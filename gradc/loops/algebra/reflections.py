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

LANES: Final = 8
"""Partial sums of a dot product."""

WIDTHS: Final = (4, 8, 16)
"""Widths of panels, of which the last is that of all large matrices."""


def dot_order(var: str, size: int) -> Order:
    """How dot products over up to ``size`` terms are summed: in partial sums, unless there are few terms."""
    return Lanes(var, LANES) if size >= 2 * LANES else SEQUENTIAL


def expression(x: Index) -> Expression:
    """An index as an expression."""
    return x if isinstance(x, Expression) else b.constant(x)


def element(buffer: Buffer, *index: Index) -> Expression:
    """An element of a buffer."""
    return b.load(buffer, tuple(map(expression, index)))


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
    scaled, what is too small for squares is nothing.
    """

    def __init__(self, column: Buffer, first: Expression, rows: int, *, scaled: bool = False, word: str = "") -> None:
        self.column, self.first, self.rows, self.scaled, self.word = column, first, rows, scaled, word
        self.dtype = column.dtype
        self.below, self.squares, self.size = (
            Buffer(f"{word}{x}", column.dtype, (), "local") for x in ("below", "squares", "size")
        )

    def statements(self, made: Callable[[Expression, Expression, Expression], tuple[Statement, ...]],
                   nothing: tuple[Statement, ...]) -> tuple[Statement, ...]:  # fmt: skip
        """``made(beta, tau, scale)``, where ``v = column / scale``, or ``nothing`` where all is 0 below.

        Where the sum of squares is near the ends of the range, the column is divided by its largest element first.
        """
        i, first, order, word = variable("i"), self.first, dot_order("i", self.rows), self.word
        zero, one = b.constant(0.0, self.dtype), b.constant(1.0, self.dtype)
        here, top = element(self.column, i), element(self.column, first)
        below, squares = b.load(self.below), b.load(self.squares)
        information = np.finfo(self.dtype)
        tiny, eps = float(information.tiny), float(information.eps)
        in_range = b.logical_and(b.gt(squares, tiny / eps**2), b.lt(squares, float(information.max) / 4))
        again = (
            store(self.size, (), b.maximum(below, b.abs(top))),
            store(self.squares, (), zero),
            loop("i", first, self.rows, store(self.column, (i,), b.div(here, b.load(self.size))), mode="vector"),
            loop("i", first, self.rows, Accumulate("add", self.squares.name, (), b.mul(here, here))),
        )
        kept = () if self.scaled else (store(self.size, (), one), If(b.logical_not(in_range), again))
        rooted, length = let(f"{word}length", b.sqrt(squares))
        signed, beta = let(f"{word}beta", b.select(b.lt(top, zero), length, b.neg(length)))
        named, tau = let(f"{word}tau", b.div(b.sub(beta, top), beta))
        scaling, scale = let(f"{word}scale", b.sub(top, beta))
        left = beta if self.scaled else b.mul(beta, b.load(self.size))
        return (
            *(Local(buffer) for buffer in (self.below, self.squares, *(() if self.scaled else (self.size,)))),
            store(self.below, (), zero),
            store(self.squares, (), zero),
            loop(
                "i",
                b.add(first, 1),
                self.rows,
                Accumulate("maximum", self.below.name, (), b.abs(here), order),
                Accumulate("add", self.squares.name, (), b.mul(here, here), order),
            ),
            If(
                b.gt(below, tiny**0.5 / eps) if self.scaled else b.ne(below, zero),
                (
                    store(self.squares, (), b.fma(top, top, squares)),
                    *kept,
                    rooted,
                    signed,
                    named,
                    scaling,
                    *made(left, tau, scale),
                ),
                nothing,
            ),
        )
