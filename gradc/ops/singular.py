"""Singular values and vectors, of matrices with no more columns than rows, and pseudo-inverses.

Axes before the last two are a batch. Derivatives: J. Townsend, Differentiating the singular value decomposition, 2016.
With ``P = U.H @ da @ V`` and ``F[i, j] = 1 / (s[j]**2 - s[i]**2)``, 0 on the diagonal: ``ds = Re diag(P)``,
``dU = U @ (F * (P @ S + S @ P.H)) + (I - U @ U.H) @ da @ V @ inverse(S)``, ``dV = V @ (F * (S @ P + P.H @ S))``.
Values alone need no F. Pairs of complex vectors have an arbitrary phase; that of the right ones stays as it is, so
that dU has ``U @ (i Im diag(P) / S)`` besides (Wan and Zhang, Automatic differentiation for complex valued SVD, 2019).
The pseudo-inverse has a derivative of its own, in which no difference of values is divided by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradc.errors import MatrixError, ShapeError
from gradc.ir.aval import Aval, SymbolicDim
from gradc.ir.graph import Value
from gradc.ir.op import Context, JvpContext, Op, VjpContext, register
from gradc.ops.complex import conjugated, imag, is_complex, make_complex, real_dtype, real_part
from gradc.ops.linalg import like, live_everywhere, product, reach_everywhere, require_floating, swapped
from gradc.ops.orthogonal import require_tall, squared
from gradc.ops.reduce import total
from gradc.ops.shape import broadcast
from gradc.ops.spectra import (
    around,
    as_columns,
    as_rows,
    between,
    diagonal_alone,
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
    return Aval((*a.shape[:-2], a.shape[-1]), real_dtype(a.dtype))


def _values_vjp(context: VjpContext) -> Sequence[Any]:
    (a,) = context.operands
    left = conjugated(left_vectors(a))
    return [product(left * _columns(context.ct, left), right_vectors(a), "ik,jk->ij")]


def _values_jvp(context: JvpContext) -> Value | None:
    (a,), (tangent,) = context.operands, context.tangents
    assert tangent is not None
    moved = product(tangent, right_vectors(a), "ik,kj->ij")
    return real_part(total(conjugated(left_vectors(a)) * moved, axes=(a.aval.ndim - 2,), keepdims=False))


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


def _columns(s: Value, x: Value) -> Value:
    """A number for each column of ``x``, in its dtype."""
    return like(as_columns(s, x.aval.shape), x)


def _over_gaps(s: Value, x: Value) -> Value:
    """``F * x``; the difference of squares is a product, which loses no digits."""
    shape = x.aval.shape
    columns, rows = as_columns(s, shape), as_rows(s, shape)
    return off_diagonal(x / like(off_diagonal((columns - rows) * (columns + rows), 1.0), x), 0.0)


def _outside(x: Value, left: Value) -> Value:
    """The part of columns that is orthogonal to those of ``left``."""
    return x - product(left, product(conjugated(left), x, "ki,kj->ij"), "ik,kj->ij")


def _turning(s: Value, x: Value) -> Value:
    """``i Im diag(x) / S``: by what the left vectors turn, those on the right staying as they are."""
    part = imag(x)
    zero = part.builder.full(0.0, part.aval)
    turned = part / as_columns(s, part.aval.shape)
    return make_complex(zero, diagonal_alone(turned))


def _rows(s: Value, x: Value) -> Value:
    """A number for each row of ``x``, in its dtype."""
    return like(as_rows(s, x.aval.shape), x)


def _is_tall(a: Value) -> bool:
    rows, columns = a.aval.shape[-2:]
    return bool(rows != columns)


def _left_vjp(context: VjpContext) -> Sequence[Any]:
    (a,), left = context.operands, context.result
    s, right = singular_values(a), right_vectors(a)
    across = product(left, context.ct, "ki,kj->ij")
    inside = _over_gaps(s, across)
    both = inside + swapped(conjugated(inside))
    both = both * _columns(s, both)
    left = conjugated(left)
    slope = around(left, both + _turning(s, across) if is_complex(a) else both, right)
    if _is_tall(a):
        rest = _outside(context.ct, left) / _columns(s, left)
        slope = slope + product(rest, right, "ik,jk->ij")
    return [slope]


def _left_jvp(context: JvpContext) -> Value | None:
    (a,), (tangent,), left = context.operands, context.tangents, context.result
    assert tangent is not None
    s, right = singular_values(a), right_vectors(a)
    moved = product(tangent, right, "ik,kj->ij")
    across = product(conjugated(left), moved, "ki,kj->ij")
    inside = across * _columns(s, across)
    turned = _over_gaps(s, inside + swapped(conjugated(inside)))
    change = product(left, turned + _turning(s, across) if is_complex(a) else turned, "ik,kj->ij")
    return change + _outside(moved, left) / _columns(s, left) if _is_tall(a) else change


def _right_vjp(context: VjpContext) -> Sequence[Any]:
    (a,), right = context.operands, context.result
    s = singular_values(a)
    inside = _over_gaps(s, product(right, context.ct, "ki,kj->ij"))
    both = inside + swapped(conjugated(inside))
    return [around(conjugated(left_vectors(a)), both * _rows(s, both), right)]


def _right_jvp(context: JvpContext) -> Value | None:
    (a,), (tangent,), right = context.operands, context.tangents, context.result
    assert tangent is not None
    s = singular_values(a)
    inside = between(conjugated(left_vectors(a)), tangent, right)
    inside = inside * _rows(s, inside)
    return product(right, _over_gaps(s, inside + swapped(conjugated(inside))), "ik,kj->ij")


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


def right_text(a: Aval) -> str:
    """NumPy's text for the right vectors of a matrix, of what ``np.linalg.svd`` gives as the last."""
    return "np.conj(np.swapaxes({0}, -1, -2))" if a.dtype.kind == "c" else "np.swapaxes({0}, -1, -2)"


right_vectors: Op = register(
    Op(
        "right_vectors",
        _infer_right,
        lambda a: np.swapaxes(_evaluate(a, 2).conj(), -1, -2),
        lambda params, result, a: right_text(a).format("np.linalg.svd({0}, full_matrices=False)[2]"),
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
    require_floating("pseudo_inverse", a)
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
    p, turned = context.result, swapped(conjugated(context.ct))
    outside, inside = (conjugated(x) for x in _complements(context))
    direct = product(product(p, context.ct, "ki,kj->ij"), p, "ik,jk->ij")
    other = conjugated(p)
    above = product(product(product(outside, turned, "ik,kj->ij"), other, "ik,kj->ij"), p, "ik,jk->ij")
    beside = product(p, product(other, product(turned, inside, "ik,kj->ij"), "ik,kj->ij"), "ki,kj->ij")
    return [above + beside - direct]


def _pseudo_inverse_jvp(context: JvpContext) -> Value | None:
    """``-p da p + p p.T da.T (I - a p) + (I - p a) da.T p.T p`` (Golub and Pereyra, 1973, at a constant rank)."""
    p, (tangent,) = context.result, context.tangents
    assert tangent is not None
    outside, inside = _complements(context)
    turned, other = swapped(conjugated(tangent)), conjugated(p)
    direct = product(product(p, tangent, "ik,kj->ij"), p, "ik,kj->ij")
    above = product(p, product(product(other, turned, "ki,kj->ij"), outside, "ik,kj->ij"), "ik,kj->ij")
    beside = product(product(product(inside, turned, "ik,kj->ij"), other, "ik,jk->ij"), p, "ik,kj->ij")
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
