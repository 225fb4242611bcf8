"""Eigenvalues and eigenvectors of hermitian matrices, of which only the lower triangle is read.

Axes before the last two are a batch. Derivatives: M. Giles, An extended collection of matrix derivative results, 2008,
section 3.1. With ``T = V.H @ da @ V``: ``dw = diag(T)`` and ``dV = V @ (F * T)``, where ``F[i, j]`` is
``1 / (w[j] - w[i])`` and 0 on the diagonal. Values alone need no F; vectors of an eigenvalue that is repeated have no
derivative, and F is infinite there. Complex vectors have an arbitrary phase, which stays as it is: ``V.H @ dV`` has
the diagonal 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradc.errors import MatrixError
from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import Context, JvpContext, Op, VjpContext, register
from gradc.ops.complex import conjugated, real_dtype, real_part
from gradc.ops.elementwise import select
from gradc.ops.linalg import (
    cubed,
    hermitian,
    in_lower,
    like,
    live_everywhere,
    product,
    reach_everywhere,
    require_square,
)
from gradc.ops.reduce import reduce_any, total
from gradc.ops.shape import broadcast, reshaped

NOT_CONVERGED = "eigh: the iteration for the eigenvalues did not converge"


def _evaluate(a: np.ndarray, part: int) -> Any:
    try:
        with np.errstate(all="ignore"):
            return np.linalg.eigh(a)[part] if part else np.linalg.eigvalsh(a)
    except np.linalg.LinAlgError:
        raise MatrixError(NOT_CONVERGED) from None


# What numbers of a matrix share: those of eigenvalues, and of singular values.


def as_columns(numbers: Value, shape: tuple[Any, ...]) -> Value:
    """A number for each column of matrices."""
    own = numbers.aval.shape
    return broadcast(reshaped(numbers, (*own[:-1], 1, own[-1])), shape)


def as_rows(numbers: Value, shape: tuple[Any, ...]) -> Value:
    """A number for each row of matrices."""
    own = numbers.aval.shape
    return broadcast(reshaped(numbers, (*own, 1)), shape)


def live_numbers(mask: Value, context: VjpContext) -> Sequence[Value | None]:
    """Every number may depend upon every element of the matrix."""
    (a,) = context.operands
    alive = reduce_any(mask, axes=(mask.aval.ndim - 1,), keepdims=True)
    return [broadcast(reshaped(alive, (*alive.aval.shape, 1)), a.aval.shape)]


def reach_numbers(mask: Value, k: int, context: JvpContext) -> Value:
    """A live element of a matrix reaches every number."""
    ndim = mask.aval.ndim
    anywhere = reduce_any(mask, axes=(ndim - 2, ndim - 1), keepdims=False)
    return broadcast(reshaped(anywhere, (*anywhere.aval.shape, 1)), context.result.aval.shape)


def _on_diagonal(x: Value) -> Value:
    """The mask of the diagonal of square matrices."""
    return broadcast(x.builder.constant(np.eye(int(x.aval.shape[-1]), dtype=bool)), x.aval.shape)


def off_diagonal(x: Value, diagonal: float) -> Value:
    """Square matrices with another number on the diagonal."""
    return select(_on_diagonal(x), x.builder.full(diagonal, x.aval), x)


def diagonal_alone(x: Value) -> Value:
    """Square matrices with 0 beside the diagonal."""
    return select(_on_diagonal(x), x, x.builder.full(0.0, x.aval))


def differences(w: Value) -> Value:
    """``w[j] - w[i]``, and 1 on the diagonal."""
    shape = (*w.aval.shape, w.aval.shape[-1])
    return off_diagonal(as_columns(w, shape) - as_rows(w, shape), 1.0)


def between(left: Value, x: Value, right: Value) -> Value:
    """``left.T @ x @ right``."""
    return product(product(left, x, "ki,kj->ij"), right, "ik,kj->ij")


def around(left: Value, x: Value, right: Value) -> Value:
    """``left @ x @ right.T``."""
    return product(product(left, x, "ik,kj->ij"), right, "ik,jk->ij")


# Values.


def _infer_values(a: Aval) -> Aval:
    require_square("eigenvalues", a)
    return Aval(a.shape[:-1], real_dtype(a.dtype))


def _values_vjp(context: VjpContext) -> Sequence[Any]:
    vectors = eigenvectors(context.operands[0])
    scaled = conjugated(vectors) * like(as_columns(context.ct, vectors.aval.shape), vectors)
    return [in_lower(product(scaled, vectors, "ik,jk->ij"))]


def _values_jvp(context: JvpContext) -> Value | None:
    (a,), (tangent,) = context.operands, context.tangents
    assert tangent is not None
    vectors = eigenvectors(a)
    moved = product(hermitian(tangent), vectors, "ik,kj->ij")
    return real_part(total(moved * conjugated(vectors), axes=(a.aval.ndim - 2,), keepdims=False))


eigenvalues: Op = register(
    Op(
        "eigenvalues",
        _infer_values,
        lambda a: _evaluate(a, 0),
        "np.linalg.eigvalsh({0})",
        vjp=_values_vjp,
        jvp=_values_jvp,
        live=live_numbers,
        reach=reach_numbers,
        batch=lambda c: eigenvalues(c.operands[0]),
        flops=lambda result, a: cubed(a, 3) * 4,
        latex=r"\operatorname{{eigenvalues}} {0}",
        text="eigenvalues({0})",
    )
)
"""The eigenvalues of a hermitian matrix, ascending and real. An error where the iteration does not converge."""


# Vectors.


def _infer_vectors(a: Aval) -> Aval:
    require_square("eigenvectors", a)
    return Aval(a.shape, a.dtype)


def _over_gaps(context: Context, x: Value) -> Value:
    """``F * x``."""
    return off_diagonal(x / like(differences(eigenvalues(context.operands[0])), x), 0.0)


def _vectors_vjp(context: VjpContext) -> Sequence[Any]:
    vectors = context.result
    inside = _over_gaps(context, product(vectors, context.ct, "ki,kj->ij"))
    return [in_lower(around(conjugated(vectors), inside, vectors))]


def _vectors_jvp(context: JvpContext) -> Value | None:
    vectors, (tangent,) = context.result, context.tangents
    assert tangent is not None
    inside = between(conjugated(vectors), hermitian(tangent), vectors)
    return product(vectors, _over_gaps(context, inside), "ik,kj->ij")


eigenvectors: Op = register(
    Op(
        "eigenvectors",
        _infer_vectors,
        lambda a: _evaluate(a, 1),
        "np.linalg.eigh({0})[1]",
        vjp=_vectors_vjp,
        jvp=_vectors_jvp,
        live=live_everywhere,
        reach=reach_everywhere,
        batch=lambda c: eigenvectors(c.operands[0]),
        flops=lambda result, a: cubed(a, 1) * 9,
        latex=r"\operatorname{{eigenvectors}} {0}",
        text="eigenvectors({0})",
    )
)
"""The eigenvectors, in columns of length 1 whose signs, or phases, are arbitrary."""
