"""Householder's reflections, as internal functions on row-major matrices: QR, and the factor that they make up.

Reflection k is ``I - tau * outer(v, v)`` with ``v[k] = 1`` and 0 before, and brings column k to ``beta`` on the
diagonal and 0 below. As in LAPACK ``beta`` has the sign that does not cancel, and where nothing is below the diagonal
there is no reflection: ``tau = 0``. (Golub and Van Loan, Matrix Computations, 5.1 and 5.2.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from gradc.loops.algebra.factors import Index, let, loop, store
from gradc.loops.language.program import (
    SEQUENTIAL,
    Accumulate,
    Buffer,
    Expression,
    Function,
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


def dot_order(var: str, size: int) -> Order:
    """How dot products over up to ``size`` terms are summed: in partial sums, unless there are few terms."""
    return Lanes(var, LANES) if size >= 2 * LANES else SEQUENTIAL


def element(buffer: Buffer, *index: Index) -> Expression:
    """An element of a buffer."""
    return b.load(buffer, tuple(x if isinstance(x, Expression) else b.constant(x) for x in index))


class Reflector:
    """What the reflection that leaves the first element of a column, and 0 below, is made of.

    ``at(i)`` is element i of the column, from row ``first`` up to ``rows``.
    """

    def __init__(self, dtype: np.dtype, at: Callable[[Index], Expression], first: Expression, rows: int) -> None:
        self.at, self.first, self.rows = at, first, rows
        self.below = Buffer("below", dtype, (), "local")
        self.squares = Buffer("squares", dtype, (), "local")
        self.zero = b.constant(0.0, dtype)
        self.i = variable("i")

    def statements(self, made: Callable[[Expression, Expression, Expression], tuple[Statement, ...]],
                   nothing: tuple[Statement, ...]) -> tuple[Statement, ...]:  # fmt: skip
        """``made(beta, tau, scale)``, where ``v = column / scale``, or ``nothing`` where all is 0 below.

        The norm is that of the column over its largest element, so that no square leaves the range.
        """
        i, first = self.i, self.first
        rest = b.add(first, 1)
        largest, size = let("size", b.maximum(b.load(self.below), b.abs(self.at(first))))
        ratio, part = let("part", b.div(self.at(i), size))
        square = Accumulate("add", self.squares.name, (), b.mul(part, part))
        norm, length = let("length", b.mul(size, b.sqrt(b.load(self.squares))))
        signed, beta = let("beta", b.select(b.lt(self.at(first), self.zero), length, b.neg(length)))
        named, tau = let("tau", b.div(b.sub(beta, self.at(first)), beta))
        scaling, scale = let("scale", b.sub(self.at(first), beta))
        return (
            Local(self.below),
            Local(self.squares),
            store(self.below, (), self.zero),
            store(self.squares, (), self.zero),
            loop("i", rest, self.rows, Accumulate("maximum", self.below.name, (), b.abs(self.at(i)))),
            If(
                b.ne(b.load(self.below), self.zero),
                (
                    largest,
                    loop("i", first, self.rows, ratio, square),
                    norm,
                    signed,
                    named,
                    scaling,
                    *made(beta, tau, scale),
                ),
                nothing,
            ),
        )


def householder_function(name: str, rows: int, columns: int, dtype: np.dtype) -> Function:
    """``w``, a matrix and a row more, becomes R on and above the diagonal, below it the columns v; last, every tau."""
    w = Buffer("w", dtype, (rows + 1, columns), "parameter", writable=True)
    dots = Buffer("dots", dtype, (columns,), "local")
    k, i, j = variable("k"), variable("i"), variable("j")
    after = b.add(k, 1)

    def at(*index: Index) -> Expression:
        return element(w, *index)

    def reflected(beta: Expression, tau: Expression, scale: Expression) -> tuple[Statement, ...]:
        read, below = let("entry", at(i, k))
        share = b.fma(below, at(i, j), element(dots, j))
        multiplied, multiple = let("multiple", b.neg(b.mul(tau, at(i, k))))
        less = b.fma(multiple, element(dots, j), at(i, j))
        return (
            loop("i", after, rows, store(w, (i, k), b.div(at(i, k), scale))),
            store(w, (k, k), beta),
            store(w, (rows, k), tau),
            loop("j", 0, columns, store(dots, (j,), at(k, j)), mode="vector"),
            loop("i", after, rows, read, loop("j", after, columns, store(dots, (j,), share), mode="vector")),
            loop("j", after, columns, store(w, (k, j), b.fma(b.neg(tau), element(dots, j), at(k, j))), mode="vector"),
            loop("i", after, rows, multiplied, loop("j", after, columns, store(w, (i, j), less), mode="vector")),
        )

    reflector = Reflector(dtype, lambda row: at(row, k), k, rows)
    nothing = (store(w, (rows, k), b.constant(0.0, dtype)),)
    body = loop("k", 0, columns, *reflector.statements(reflected, nothing))
    return Function(name, (w,), (), (Local(dots), body))


def orthonormal_function(name: str, rows: int, columns: int, start: int, count: int, dtype: np.dtype) -> Function:
    """``q`` becomes ``count`` columns from ``start`` on of the product of the reflections in ``w``."""
    w = Buffer("w", dtype, (rows + 1, columns), "parameter")
    q = Buffer("q", dtype, (rows, count), "parameter", writable=True)
    dots = Buffer("dots", dtype, (count,), "local")
    turn, i, j = variable("turn"), variable("i"), variable("j")
    zero, one = b.constant(0.0, dtype), b.constant(1.0, dtype)
    k = b.sub(b.constant(columns - 1), turn)
    # The columns before k are still those of an identity, with 0 from row k on.
    first: Index = b.constant(0) if start else k
    unit = b.select(b.eq(i, b.add(j, start)), one, zero)
    read, below = let("entry", element(w, i, k))
    share = b.fma(below, element(q, i, j), element(dots, j))
    named, tau = let("tau", element(w, rows, k))
    multiplied, multiple = let("multiple", b.neg(b.mul(tau, element(w, i, k))))
    less = b.fma(multiple, element(dots, j), element(q, i, j))
    top = store(q, (k, j), b.fma(b.neg(tau), element(dots, j), element(q, k, j)))
    body = (
        Local(dots),
        loop("i", 0, rows, loop("j", 0, count, store(q, (i, j), unit), mode="vector")),
        loop(
            "turn",
            0,
            columns,
            named,
            loop("j", 0, count, store(dots, (j,), element(q, k, j)), mode="vector"),
            loop("i", b.add(k, 1), rows, read, loop("j", first, count, store(dots, (j,), share), mode="vector")),
            loop("j", first, count, top, mode="vector"),
            loop("i", b.add(k, 1), rows, multiplied, loop("j", first, count, store(q, (i, j), less), mode="vector")),
        ),
    )
    return Function(name, (w, q), (), body)
