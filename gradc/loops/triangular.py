"""Cholesky factors and triangular systems: small ones as loops, larger ones as blocks around contractions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.loops.program import (
    Accumulate,
    Buffer,
    Check,
    Expression,
    For,
    Local,
    Statement,
    Store,
    b,
    variable,
)
from gradc.ops.contraction import contract
from gradc.ops.linalg import cholesky, triangular_solve
from gradc.ops.shape import concatenate, slice_, transpose

LARGEST_BLOCK: Final = 32
"""Matrices up to this size are loops; larger ones are halved, so that nearly all work is in contractions."""

NOT_POSITIVE_DEFINITE: Final = "cholesky: the matrix is not positive definite"

Read = Callable[[Expression, Expression], Expression]
"""An element of an operand, by row and column."""


# Blocks, as graphs.


def halve_cholesky(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value | None:
    """``[[A, .], [B, C]]`` has the factor ``[[L, 0], [B inv(L'), chol(C - ...)]]``."""
    (a,) = operands
    size = int(result.shape[0])
    if size <= LARGEST_BLOCK:
        return None
    half = _half(size)
    first = cholesky(_block(a, (0, half), (0, half)))
    below = _block(a, (half, size), (0, half))
    right = triangular_solve(first, _mirrored(below), transposed=False)  # the lower left block, transposed
    rest = _block(a, (half, size), (half, size)) - contract(right, right, lhs="ki", rhs="kj", out="ij")
    nothing = a.builder.full(0.0, right.aval)
    return _stacked(_beside(first, nothing), _beside(_mirrored(right), cholesky(rest)))


def halve_solve(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value | None:
    """One half of the unknowns first; the others see them as a part of their right-hand side."""
    factor, sides = operands
    size, columns = (int(d) for d in result.shape)
    if size <= LARGEST_BLOCK or columns == 0:
        return None
    half, transposed = _half(size), bool(params["transposed"])
    head = _block(factor, (0, half), (0, half))
    tail = _block(factor, (half, size), (half, size))
    between = _block(factor, (half, size), (0, half))
    upper, lower = _block(sides, (0, half), (0, columns)), _block(sides, (half, size), (0, columns))
    if transposed:
        last = triangular_solve(tail, lower, transposed=True)
        known = contract(between, last, lhs="ki", rhs="kj", out="ij")
        return _stacked(triangular_solve(head, upper - known, transposed=True), last)
    first = triangular_solve(head, upper, transposed=False)
    known = contract(between, first, lhs="ik", rhs="kj", out="ij")
    return _stacked(first, triangular_solve(tail, lower - known, transposed=False))


def _half(size: int) -> int:
    """About half, in whole vectors of any machine."""
    return -(-size // 16) * 8


def _block(x: Value, rows: tuple[int, int], columns: tuple[int, int]) -> Value:
    sizes = (rows[1] - rows[0], columns[1] - columns[0])
    return slice_(x, starts=(rows[0], columns[0]), sizes=sizes, steps=(1, 1))


def _mirrored(x: Value) -> Value:
    return transpose(x, axes=(1, 0))


def _beside(left: Value, right: Value) -> Value:
    return concatenate(left, right, axis=1)


def _stacked(above: Value, below: Value) -> Value:
    return concatenate(above, below, axis=0)


# Loops.


def cholesky_loops(a: Read, out: Buffer, total: Buffer, names: tuple[str, str, str], code: int) -> Statement:
    """Row by row, each element from the rows above; ``total`` is a scalar of the loops, ``code`` that of the check."""
    size = b.constant(int(out.shape[0]))
    row, column, k = (variable(name) for name in names)

    def less_products(i: Expression, j: Expression) -> tuple[Statement, ...]:
        product = b.mul(b.load(out, (i, k)), b.load(out, (j, k)))
        subtract = Accumulate("add", total.name, (), b.neg(product))
        return Store(total.name, (), a(i, j)), For(names[2], b.constant(0), j, (subtract,))

    rest = b.load(total)
    element = Store(out.name, (row, column), b.div(rest, b.load(out, (column, column))))
    return For(
        names[0],
        b.constant(0),
        size,
        (
            Local(total),
            For(names[1], b.constant(0), row, (*less_products(row, column), element)),
            *less_products(row, row),
            Check(b.gt(rest, b.constant(0.0, out.dtype)), code),
            Store(out.name, (row, row), b.sqrt(rest)),
            For(
                names[1],
                b.add(row, b.constant(1)),
                size,
                (Store(out.name, (row, column), b.constant(0.0, out.dtype)),),
                mode="vector",
            ),
        ),
    )


def solve_loops(factor: Read, sides: Read, out: Buffer, names: tuple[str, str, str], *, transposed: bool) -> Statement:
    """Unknown by unknown, all columns at once; from the last one up where the matrix is transposed."""
    size, columns = (int(d) for d in out.shape)
    step, k = variable(names[0]), variable(names[1])
    row = b.sub(b.constant(size - 1), step) if transposed else step
    column = variable(names[2]) if columns > 1 else b.constant(0)

    def for_columns(statement: Statement) -> Statement:
        if columns == 1:
            return statement
        return For(names[2], b.constant(0), b.constant(columns), (statement,), mode="vector")

    solved = (b.add(row, b.constant(1)), b.constant(size)) if transposed else (b.constant(0), row)
    coefficient = factor(k, row) if transposed else factor(row, k)
    known = b.mul(coefficient, b.load(out, (k, column)))
    quotient = b.div(b.load(out, (row, column)), factor(row, row))
    return For(
        names[0],
        b.constant(0),
        b.constant(size),
        (
            for_columns(Store(out.name, (row, column), sides(row, column))),
            For(names[1], *solved, (for_columns(Accumulate("add", out.name, (row, column), b.neg(known))),)),
            for_columns(Store(out.name, (row, column), quotient)),
        ),
    )
