"""Singular values and vectors, of matrices with no more columns than rows, and pseudo-inverses.

Axes before the last two are a batch. Derivatives: J. Townsend, Differentiating the singular value decomposition, 2016.
With ``P = U.T @ da @ V`` and ``F[i, j] = 1 / (s[j]**2 - s[i]**2)``, 0 on the diagonal: ``ds = diag(P)``,
``dU = U @ (F * (P @ S + S @ P.T)) + (I - U @ U.T) @ da @ V @ inverse(S)``, ``dV = V @ (F * (S @ P + P.T @ S))``.
Values alone need no F. The pseudo-inverse has a derivative of its own, in which no difference of values is divided by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradc.errors import DtypeError, MatrixError, ShapeError
from gradc.ir.aval import Aval, SymbolicDim
from gradc.ir.graph import Value
from gradc.ir.op import Context, JvpContext, Op, VjpContext, register
from gradc.ops.linalg import live_everywhere, product, reach_everywhere, swapped
from gradc.ops.orthogonal import require_tall, squared
from gradc.ops.reduce import total
from gradc.ops.shape import broadcast
from gradc.ops.spectra import (
    around,
    as_columns,
    as_rows,
    between,
    live_numbers,
    off_diagonal,
    reach_numbers,
)

NOT_CONVERGED = "svd: the iteration for the singular values did not converge"


def _evaluate(a: np.ndarray, part: int) -> Any:
    try:
        with np.errstate(all="ignore"):
            if part == 1:
                return np.linalg.svd(a, compute_uv=False)
            return np.linalg.svd(a, full_matrices=False)[part]
    except np.linalg.LinAlgError:
        raise MatrixError(NOT_CONVERGED) from None


# Values.


def _infer_values(a: Aval) -> Aval:
    require_tall("singular_values", a)
    return Aval((*a.shape[:-2], a.shape[-1]), a.dtype)


def _values_vjp(context: VjpContext) -> Sequence[Any]:
    (a,) = context.operands
    left = left_vectors(a)
    return [product(left * as_columns(context.ct, left.aval.shape), right_vectors(a), "ik,jk->ij")]


def _values_jvp(context: JvpContext) -> Value | None:
    (a,), (tangent,) = context.operands, context.tangents
    assert tangent is not None
    moved = product(tangent, right_vectors(a), "ik,kj->ij")
    return total(left_vectors(a) * moved, axes=(a.aval.ndim - 2,), keepdims=False)


singular_values: Op = register(
    Op(
        "singular_values",
        _infer_values,
        lambda a: _evaluate(a, 1),
        "np.linalg.svd({0}, compute_uv=False)",
        vjp=_values_vjp,
        jvp=_values_jvp,
        live=live_numbers,
        reach=reach_numbers,
        batch=lambda c: singular_values(c.operands[0]),
        flops=lambda result, a: squared(a, 4),
        latex=r"\operatorname{{singular\,values}} {0}",
        text="singular_values({0})",
    )
)
"""The singular values, descending. An error where the iteration does not converge."""


# Vectors.


def _infer_left(a: Aval) -> Aval:
    require_tall("left_vectors", a)
    return Aval(a.shape, a.dtype)


def _infer_right(a: Aval) -> Aval:
    require_tall("right_vectors", a)
    return Aval((*a.shape[:-2], a.shape[-1], a.shape[-1]), a.dtype)


def _over_gaps(s: Value, x: Value) -> Value:
    """``F * x``; the difference of squares is a product, which loses no digits."""
    shape = x.aval.shape
    columns, rows = as_columns(s, shape), as_rows(s, shape)
    return off_diagonal(x / off_diagonal((columns - rows) * (columns + rows), 1.0), 0.0)


def _outside(x: Value, left: Value) -> Value:
    """The part of columns that is orthogonal to those of ``left``."""
    return x - product(left, product(left, x, "ki,kj->ij"), "ik,kj->ij")


def _is_tall(a: Value) -> bool:
    rows, columns = a.aval.shape[-2:]
    return bool(rows != columns)


def _left_vjp(context: VjpContext) -> Sequence[Any]:
    (a,), left = context.operands, context.result
    s, right = singular_values(a), right_vectors(a)
    inside = _over_gaps(s, product(left, context.ct, "ki,kj->ij"))
    both = inside + swapped(inside)
    slope = around(left, both * as_columns(s, both.aval.shape), right)
    if _is_tall(a):
        rest = _outside(context.ct, left) / as_columns(s, left.aval.shape)
        slope = slope + product(rest, right, "ik,jk->ij")
    return [slope]


def _left_jvp(context: JvpContext) -> Value | None:
    (a,), (tangent,), left = context.operands, context.tangents, context.result
    assert tangent is not None
    s, right = singular_values(a), right_vectors(a)
    moved = product(tangent, right, "ik,kj->ij")
    inside = product(left, moved, "ki,kj->ij")
    inside = inside * as_columns(s, inside.aval.shape)
    change = product(left, _over_gaps(s, inside + swapped(inside)), "ik,kj->ij")
    return change + _outside(moved, left) / as_columns(s, left.aval.shape) if _is_tall(a) else change


def _right_vjp(context: VjpContext) -> Sequence[Any]:
    (a,), right = context.operands, context.result
    s = singular_values(a)
    inside = _over_gaps(s, product(right, context.ct, "ki,kj->ij"))
    both = inside + swapped(inside)
    return [around(left_vectors(a), both * as_rows(s, both.aval.shape), right)]


def _right_jvp(context: JvpContext) -> Value | None:
    (a,), (tangent,), right = context.operands, context.tangents, context.result
    assert tangent is not None
    s = singular_values(a)
    inside = between(left_vectors(a), tangent, right)
    inside = inside * as_rows(s, inside.aval.shape)
    return product(right, _over_gaps(s, inside + swapped(inside)), "ik,kj->ij")


left_vectors: Op = register(
    Op(
        "left_vectors",
        _infer_left,
        lambda a: _evaluate(a, 0),
        "np.linalg.svd({0}, full_matrices=False)[0]",
        vjp=_left_vjp,
        jvp=_left_jvp,
        live=live_everywhere,
        reach=reach_everywhere,
        batch=lambda c: left_vectors(c.operands[0]),
        flops=lambda result, a: squared(a, 14),
        latex=r"\operatorname{{left\,vectors}} {0}",
        text="left_singular_vectors({0})",
    )
)
"""The left singular vectors, in columns; with those on the right they have one sign, which is arbitrary."""

right_vectors: Op = register(
    Op(
        "right_vectors",
        _infer_right,
        lambda a: np.swapaxes(_evaluate(a, 2), -1, -2),
        lambda params, result, a: "np.swapaxes(np.linalg.svd({0}, full_matrices=False)[2], -1, -2)",
        vjp=_right_vjp,
        jvp=_right_jvp,
        live=live_everywhere,
        reach=reach_everywhere,
        batch=lambda c: right_vectors(c.operands[0]),
        flops=lambda result, a: squared(a, 14),
        latex=r"\operatorname{{right\,vectors}} {0}",
        text="right_singular_vectors({0})",
    )
)
"""The right singular vectors, in columns."""


# Pseudo-inverses.


def _infer_pseudo_inverse(a: Aval, *, rtol: float) -> Aval:
    if a.ndim < 2 or any(isinstance(d, SymbolicDim) for d in a.shape[-2:]):
        raise ShapeError(f"pseudo_inverse: {a} is not a matrix of a fixed size")
    if a.dtype.kind != "f" or a.dtype.itemsize < 4:
        raise DtypeError(f"pseudo_inverse: {a} is not of f32 or f64")
    return Aval((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)


def _evaluate_pseudo_inverse(a: np.ndarray, *, rtol: float) -> Any:
    try:
        return np.linalg.pinv(a, rtol)
    except np.linalg.LinAlgError:
        raise MatrixError(NOT_CONVERGED) from None


def _complements(context: Context) -> tuple[Value, Value]:
    """``I - a @ p`` and ``I - p @ a``."""
    (a,), p = context.operands, context.result

    def complement(x: Value) -> Value:
        identity = x.builder.constant(np.eye(int(x.aval.shape[-1]), dtype=x.aval.dtype))
        return broadcast(identity, x.aval.shape) - x

    return complement(product(a, p, "ik,kj->ij")), complement(product(p, a, "ik,kj->ij"))


def _pseudo_inverse_vjp(context: VjpContext) -> Sequence[Any]:
    p, turned = context.result, swapped(context.ct)
    outside, inside = _complements(context)
    direct = product(product(p, context.ct, "ki,kj->ij"), p, "ik,jk->ij")
    above = product(product(product(outside, turned, "ik,kj->ij"), p, "ik,kj->ij"), p, "ik,jk->ij")
    beside = product(p, product(p, product(turned, inside, "ik,kj->ij"), "ik,kj->ij"), "ki,kj->ij")
    return [above + beside - direct]


def _pseudo_inverse_jvp(context: JvpContext) -> Value | None:
    """``-p da p + p p.T da.T (I - a p) + (I - p a) da.T p.T p`` (Golub and Pereyra, 1973, at a constant rank)."""
    p, (tangent,) = context.result, context.tangents
    assert tangent is not None
    outside, inside = _complements(context)
    turned = swapped(tangent)
    direct = product(product(p, tangent, "ik,kj->ij"), p, "ik,kj->ij")
    above = product(p, product(product(p, turned, "ki,kj->ij"), outside, "ik,kj->ij"), "ik,kj->ij")
    beside = product(product(product(inside, turned, "ik,kj->ij"), p, "ik,jk->ij"), p, "ik,kj->ij")
    return above + beside - direct


pseudo_inverse: Op = register(
    Op(
        "pseudo_inverse",
        _infer_pseudo_inverse,
        _evaluate_pseudo_inverse,
        lambda params, result, a: f"np.linalg.pinv({{0}}, {params['rtol']!r})",
        vjp=_pseudo_inverse_vjp,
        jvp=_pseudo_inverse_jvp,
        live=live_everywhere,
        reach=reach_everywhere,
        batch=lambda c: pseudo_inverse(c.operands[0], **c.params),
        flops=lambda result, a, rtol: squared(a, 18),
        latex=r"{0}^{{+}}",
        text="pinv({0})",
    )
)
"""The inverse of Moore and Penrose; singular values up to ``rtol`` times the largest count as 0."""
