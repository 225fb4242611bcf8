"""Factors of matrices, and systems of equations with triangular ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradc.errors import DtypeError, MatrixError, ShapeError
from gradc.ir.aval import Aval, SymbolicDim
from gradc.ir.graph import Value
from gradc.ir.op import Op, VjpContext, register
from gradc.ops.contraction import contract
from gradc.ops.elementwise import select
from gradc.ops.reduce import reduce_any
from gradc.ops.shape import broadcast, transpose


def _require_square(name: str, a: Aval) -> None:
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ShapeError(f"{name}: {a} is not a square matrix")
    if isinstance(a.shape[0], SymbolicDim):
        raise ShapeError(f"{name}: {a} has a symbolic size; compile with a fixed one")
    if a.dtype.kind != "f" or a.dtype.itemsize < 4:
        raise DtypeError(f"{name}: {a} is not of f32 or f64")


def _infer_cholesky(a: Aval) -> Aval:
    _require_square("cholesky", a)
    return Aval(a.shape, a.dtype)


def _evaluate_cholesky(a: np.ndarray) -> Any:
    try:
        return np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        raise MatrixError("cholesky: the matrix is not positive definite") from None


def _infer_triangular_solve(factor: Aval, b: Aval, *, transposed: bool) -> Aval:
    _require_square("triangular_solve", factor)
    if b.ndim != 2 or b.shape[0] != factor.shape[0] or b.dtype != factor.dtype:
        raise ShapeError(f"triangular_solve: the right-hand side {b} does not fit {factor}")
    return Aval(b.shape, b.dtype)


def _evaluate_triangular_solve(factor: np.ndarray, b: np.ndarray, *, transposed: bool) -> Any:
    lower = np.tril(factor)
    return np.linalg.solve(lower.T if transposed else lower, b)


def _lower_part(x: Value, diagonal: int = 0) -> Value:
    """The elements on and below a diagonal, 0 above."""
    rows, columns = (int(d) for d in x.aval.shape)
    mask = np.tri(rows, columns, diagonal, dtype=bool)
    return select(x.builder.constant(mask), x, x.builder.full(0.0, x.aval))


def _transposed(x: Value) -> Value:
    return transpose(x, axes=(1, 0))


def _cholesky_vjp(context: VjpContext) -> Sequence[Any]:
    """Only the lower triangle of the matrix is read: an element below the diagonal stands for its mirror too."""
    factor = context.result
    inner = contract(factor, _lower_part(context.ct), lhs="ki", rhs="kj", out="ij")
    half = inner * 0.5
    halved = _lower_part(inner, -1) + (_lower_part(half) - _lower_part(half, -1))
    left = triangular_solve(factor, halved, transposed=True)
    both = triangular_solve(factor, _transposed(left), transposed=True)
    return [_lower_part(both) + _lower_part(_transposed(both), -1)]


def _triangular_solve_vjp(context: VjpContext) -> Sequence[Any]:
    factor, _ = context.operands
    transposed = context.params["transposed"]
    by_b = triangular_solve(factor, context.ct, transposed=not transposed)
    rows, columns = (context.result, by_b) if transposed else (by_b, context.result)
    by_factor = _lower_part(-contract(rows, columns, lhs="ik", rhs="jk", out="ij")) if context.active[0] else None
    return [by_factor, by_b if context.active[1] else None]


def _live_everywhere(mask: Value, context: VjpContext) -> Sequence[Value | None]:
    """Every element of a factor may depend upon every element of the matrix."""
    alive = reduce_any(mask, axes=(0, 1), keepdims=True)
    return [broadcast(alive, operand.aval.shape) for operand in context.operands]


def _live_columns(mask: Value, context: VjpContext) -> Sequence[Value | None]:
    """The columns of the right-hand side are systems of their own, with one matrix."""
    factor, b = context.operands
    columns = reduce_any(mask, axes=(0,), keepdims=True)
    anywhere = reduce_any(columns, axes=(1,), keepdims=True)
    return [broadcast(anywhere, factor.aval.shape), broadcast(columns, b.aval.shape)]


cholesky = register(
    Op(
        "cholesky",
        _infer_cholesky,
        _evaluate_cholesky,
        "np.linalg.cholesky({0})",
        vjp=_cholesky_vjp,
        live=_live_everywhere,
        flops=lambda result, a: a.shape[0] * a.shape[0] * a.shape[0] // 3,
        latex=r"\operatorname{{chol}} {0}",
        text="cholesky({0})",
    )
)
"""The lower triangular factor of a positive definite matrix, of which only the lower triangle is read."""

triangular_solve = register(
    Op(
        "triangular_solve",
        _infer_triangular_solve,
        _evaluate_triangular_solve,
        lambda params, result, factor, b: (
            f"np.linalg.solve(np.tril({{0}}){'.T' if params['transposed'] else ''}, {{1}})"
        ),
        vjp=_triangular_solve_vjp,
        live=_live_columns,
        flops=lambda result, factor, b, transposed: b.size * factor.shape[0],
        latex=r"{0}^{{-1}} {1}",
        text="solve({0}, {1})",
    )
)
"""``inverse(L) @ b`` with the lower triangle L of a matrix, or its transpose where ``transposed``; b has columns."""
