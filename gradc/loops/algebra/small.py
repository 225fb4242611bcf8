"""Factors and systems of a few rows, written out element by element: for a stack they run in lanes, a matrix each.

The elements of stacked matrices are Values ``[batch]``. Rows are exchanged by selections, the diagonal's with each one
below it in turn where that has the larger element, so that the largest comes to the diagonal.
"""

from __future__ import annotations

import math
from typing import Final

from gradc.ir.graph import Value
from gradc.loops.algebra.panels import require
from gradc.ops.elementwise import absolute, equal, greater, isnan, logical_and, logical_not, logical_or, select, sqrt
from gradc.ops.reduce import reduce_all
from gradc.ops.shape import broadcast, concatenate, reshape, slice_

LARGEST: Final = 4
"""Matrices of up to this many rows are written out."""


def element(x: Value, row: int, column: int) -> Value:
    """An element of stacked matrices."""
    batch = x.aval.shape[0]
    return reshape(slice_(x, starts=(0, row, column), sizes=(batch, 1, 1), steps=(1, 1, 1)), shape=(batch,))


def rows_of(x: Value) -> list[Value]:
    """The rows of stacked matrices, each ``[batch, columns]``."""
    batch, rows, columns = x.aval.shape
    parts = [slice_(x, starts=(0, k, 0), sizes=(batch, 1, columns), steps=(1, 1, 1)) for k in range(int(rows))]
    return [reshape(part, shape=(batch, columns)) for part in parts]


def stacked_rows(rows: list[Value]) -> Value:
    """Matrices from their rows."""
    batch, columns = rows[0].aval.shape
    return concatenate(*[reshape(row, shape=(batch, 1, columns)) for row in rows], axis=1)


class Factors:
    """L and U of matrices with at most ``LARGEST`` rows, and the exchanges that led to them."""

    def __init__(self, a: Value) -> None:
        size = int(a.aval.shape[-1])
        self.size = size
        self.u = [[element(a, i, j) for j in range(size)] for i in range(size)]
        self.exchanges: list[tuple[int, int, Value]] = []
        one = a.builder.full(1.0, self.u[0][0].aval)
        self.sign = one
        for k in range(size):
            for i in range(k + 1, size):
                larger = greater(_size(self.u[i][k]), _size(self.u[k][k]))
                self.exchanges.append((k, i, larger))
                for j in range(size):
                    self.u[k][j], self.u[i][j] = _exchanged(larger, self.u[k][j], self.u[i][j])
                self.sign = select(larger, -self.sign, self.sign)
            for i in range(k + 1, size):
                vanishes = equal(self.u[k][k], a.builder.full(0.0, one.aval))
                share = self.u[i][k] / select(vanishes, one, self.u[k][k])
                for j in range(k + 1, size):
                    self.u[i][j] = self.u[i][j] - share * self.u[k][j]
                self.u[i][k] = share  # below the diagonal stands L

    @property
    def pivots(self) -> list[Value]:
        """The diagonal of U."""
        return [self.u[k][k] for k in range(self.size)]

    def solve(self, b: list[Value], *, transposed: bool) -> list[Value]:
        """The rows of the solution for right-hand sides given by their rows."""
        return self._transposed(b) if transposed else self._upright(b)

    def _upright(self, b: list[Value]) -> list[Value]:
        x = list(b)
        for k, i, mask in self.exchanges:
            x[k], x[i] = _exchanged(_over(mask, x[k]), x[k], x[i])
        return substituted(self.u, substituted(self.u, x, forward=True, ones=True), forward=False)

    def _transposed(self, b: list[Value]) -> list[Value]:
        u = transposed_rows(self.u)
        x = substituted(u, substituted(u, b, forward=True), forward=False, ones=True)
        for k, i, mask in reversed(self.exchanges):
            x[k], x[i] = _exchanged(_over(mask, x[k]), x[k], x[i])
        return x


def transposed_rows(rows: list[list[Value]]) -> list[list[Value]]:
    """The elements of the transpose."""
    return [list(column) for column in zip(*rows, strict=True)]


def substituted(rows: list[list[Value]], b: list[Value], *, forward: bool, ones: bool = False) -> list[Value]:
    """The solution with the lower triangle of a matrix, from the first row on, or with the upper one, from the last
    back; ``ones`` says that its diagonal is 1."""
    x, size = list(b), len(rows)
    for i in range(size) if forward else reversed(range(size)):
        for j in range(i) if forward else range(i + 1, size):
            x[i] = x[i] - _over(rows[i][j], x[i]) * x[j]
        if not ones:
            x[i] = x[i] / _over(rows[i][i], x[i])
    return x


def cholesky_rows(a: Value) -> tuple[list[list[Value]], Value]:
    """The elements of the factor, row by row, and whether what is under every root is positive, in all matrices."""
    size = int(a.aval.shape[-1])
    zero = a.builder.full(0.0, element(a, 0, 0).aval)
    rows = [[zero] * size for _ in range(size)]
    positive: Value | None = None
    for i in range(size):
        for j in range(i + 1):
            rest = element(a, i, j)
            for k in range(j):
                rest = rest - rows[i][k] * rows[j][k]
            if j < i:
                rows[i][j] = rest / rows[j][j]
                continue
            rows[i][i] = sqrt(rest)
            here = greater(rest, zero)
            positive = here if positive is None else logical_and(positive, here)
    assert positive is not None, "a matrix has a row"
    return rows, reduce_all(positive, axes=(0,), keepdims=False)


def from_elements(rows: list[list[Value]]) -> Value:
    """Matrices from their elements."""
    batch = rows[0][0].aval.shape[0]
    joined = concatenate(*[reshape(x, shape=(batch, 1)) for row in rows for x in row], axis=1)
    return reshape(joined, shape=(batch, len(rows), len(rows[0])))


def each_nonzero(pivots: list[Value]) -> Value:
    """Of which matrices no pivot is 0."""
    zero = pivots[0].builder.full(0.0, pivots[0].aval)
    anywhere = equal(pivots[0], zero)
    for pivot in pivots[1:]:
        anywhere = logical_or(anywhere, equal(pivot, zero))
    return logical_not(anywhere)


def nonzero(pivots: list[Value]) -> Value:
    """Whether no pivot of any matrix is 0."""
    return reduce_all(each_nonzero(pivots), axes=(0,), keepdims=False)


def _size(x: Value) -> Value:
    """By what pivots are compared: a NaN counts as the largest."""
    return select(isnan(x), x.builder.full(math.inf, x.aval), absolute(x))


def _exchanged(mask: Value, x: Value, y: Value) -> tuple[Value, Value]:
    return select(mask, y, x), select(mask, x, y)


def _over(number: Value, row: Value) -> Value:
    """A number for each matrix, repeated along its row."""
    return broadcast(reshape(number, shape=(number.aval.shape[0], 1)), row.aval.shape)


def checked(parts: list[Value], holds: Value, message: str) -> list[Value]:
    """The parts, and an error when one is computed where ``holds``, one truth for all, does not.

    A matrix is checked in the parts that it is put together of, so that it is not copied.
    """
    return [require(x, broadcast(holds, x.aval.shape), message=message) for x in parts]
