"""Functions of ``numpy.linalg`` and ``scipy.linalg`` that singular values give, over Values."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.decompositions import adjoint, matrix
from gradc.frontend.numpy_api.norms import singular_values_of
from gradc.frontend.numpy_api.notation import Array, composed, filled
from gradc.ops import orthogonal, singular
from gradc.ops.linalg import hermitian

_SVD: Any = type(np.linalg.svd(np.eye(1)))
"""NumPy's named triple of vectors, values, and transposed vectors."""

_NOT_GIVEN: Any = object()


# Singular values and vectors.


@composed(np.linalg.svd, arrays=("a",))
def svd(a: Any, full_matrices: Any = True, compute_uv: Any = True, hermitian: Any = False) -> Any:
    """Left vectors, singular values descending, and right vectors in rows; pairs of vectors have an arbitrary sign.

    The vectors that ``full_matrices`` adds have no derivative. Of a hermitian matrix the lower triangle is read.
    """
    name = "np.linalg.svd"
    a = _mirrored(name, a) if hermitian else matrix(name, a)[0]
    if not compute_uv:
        return Array(singular_values_of(name, a.value))
    return _SVD(*_decomposed(name, a, bool(full_matrices)))


@composed("scipy.linalg:svd", arrays=("a",))
def scipy_svd(
    a: Any,
    full_matrices: Any = True,
    compute_uv: Any = True,
    overwrite_a: Any = False,
    check_finite: Any = True,
    lapack_driver: Any = "gesdd",
) -> Any:
    """As ``np.linalg.svd``; there is one driver."""
    name = "scipy.linalg.svd"
    a = matrix(name, a)[0]
    return _decomposed(name, a, bool(full_matrices)) if compute_uv else Array(singular_values_of(name, a.value))


@composed(np.linalg.svdvals, arrays=("x",))
def svdvals(x: Any) -> Any:
    """The singular values, descending."""
    return Array(singular_values_of("np.linalg.svdvals", matrix("np.linalg.svdvals", x)[0].value))


@composed("scipy.linalg:svdvals", arrays=("a",))
def scipy_svdvals(a: Any, overwrite_a: Any = False, check_finite: Any = True) -> Any:
    """The singular values, descending."""
    return Array(singular_values_of("scipy.linalg.svdvals", matrix("scipy.linalg.svdvals", a)[0].value))


def _mirrored(name: str, a: Any) -> Any:
    """The symmetric matrix with this lower triangle."""
    a, rows, columns = matrix(name, a)
    if rows != columns:
        raise ShapeError(f"{name}: {a.value.aval} is not square; the last two axes must be equal")
    if a.dtype.kind == "c":
        return Array(hermitian(a.value))
    return np.tril(a) + np.matrix_transpose(np.tril(a, -1))


def _decomposed(name: str, a: Any, full: bool) -> tuple[Any, Any, Any]:
    _, rows, columns = matrix(name, a)
    if rows < columns:
        above, s, beside = _decomposed(name, np.matrix_transpose(a), full)
        return np.matrix_transpose(beside), s, np.matrix_transpose(above)
    left: Any = Array(singular.left_vectors(a.value))
    if full and rows > columns:
        left = np.concatenate([left, Array(orthogonal.qr_complement(left.value))], axis=-1)
    right: Any = Array(singular.right_vectors(a.value))
    return left, Array(singular.singular_values(a.value)), adjoint(right)


# What they give.


def _relative(name: str, rtol: Any, rows: int, columns: int, dtype: Any) -> float:
    """The part of the largest value up to which others count as 0; NumPy's default where there is none."""
    if rtol is None:
        return float(max(rows, columns) * np.finfo(dtype).eps)
    try:
        return float(rtol)
    except TypeError:
        raise TraceError(f"{name}: the tolerance has to be a number that is known while tracing") from None


@composed(np.linalg.pinv, arrays=("a",))
def pinv(a: Any, rcond: Any = None, hermitian: Any = False, *, rtol: Any = _NOT_GIVEN) -> Any:
    """The inverse of Moore and Penrose; its derivative is that at a constant rank."""
    name = "np.linalg.pinv"
    a = _mirrored(name, a) if hermitian else a
    a, rows, columns = matrix(name, a)
    given = rcond if rcond is not None else 1e-15 if rtol is _NOT_GIVEN else rtol
    return Array(singular.pseudo_inverse(a.value, rtol=_relative(name, given, rows, columns, a.dtype)))


@composed("scipy.linalg:pinv", arrays=("a",))
def scipy_pinv(
    a: Any, *, atol: Any = None, rtol: Any = None, return_rank: Any = False, check_finite: Any = True
) -> Any:
    """As ``np.linalg.pinv``. Raises TraceError for an absolute tolerance and for the rank."""
    name = "scipy.linalg.pinv"
    if atol or return_rank:
        raise TraceError(f"{name}: atol and return_rank are not supported on traced arrays")
    a, rows, columns = matrix(name, a)
    return Array(singular.pseudo_inverse(a.value, rtol=_relative(name, rtol, rows, columns, a.dtype)))


@composed(np.linalg.matrix_rank, arrays=("A",))
def matrix_rank(A: Any, tol: Any = None, hermitian: Any = False, *, rtol: Any = None) -> Any:
    """How many singular values are above ``tol``, or above ``rtol`` times the largest."""
    name = "np.linalg.matrix_rank"
    if A.ndim < 2:
        return np.any(A != 0).astype(np.int64)
    A, rows, columns = matrix(name, _mirrored(name, A) if hermitian else A)
    s: Any = Array(singular_values_of(name, A.value))
    if not min(rows, columns):
        return filled(np.sum(s, axis=-1), 0, np.int64)
    limit = s[..., :1] * s.dtype.type(_relative(name, rtol, rows, columns, A.dtype)) if tol is None else tol
    return np.sum(s > limit, axis=-1)


@composed(np.linalg.cond, arrays=("x",))
def cond(x: Any, p: Any = None) -> Any:
    """The largest singular value over the smallest for ``p`` None or 2, else the norm times that of the inverse."""
    name = "np.linalg.cond"
    a, rows, columns = matrix(name, x)
    if not rows or not columns:
        raise ShapeError(f"{name}: {x.value.aval} has no elements")
    if p in (None, 2, -2):
        s = Array(singular_values_of(name, a.value))
        found = s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
        return np.where(np.isnan(found), s.dtype.type(np.inf), found)
    if rows != columns:
        raise ShapeError(f"{name}: {a.value.aval} is not square; the last two axes must be equal")
    return np.linalg.norm(a, p, axis=(-2, -1)) * np.linalg.norm(np.linalg.inv(a), p, axis=(-2, -1))


@composed(np.linalg.lstsq, arrays=("a", "b"))
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """The solution of least squares, the sums of squared residuals, the rank, and the singular values.

    There are residuals where there are more equations than unknowns; they are NaN where the rank is not full, for
    which NumPy leaves them out. The solution is differentiated at a constant rank.
    """
    name = "np.linalg.lstsq"
    a, rows, columns = matrix(name, a)
    if a.ndim != 2 or b.ndim not in (1, 2) or b.shape[0] != rows:
        raise ShapeError(f"{name}: the right-hand side {b.value.aval} does not fit {a.value.aval}")
    dtype = np.result_type(a.dtype, b.dtype, np.float32)
    a, b = a.astype(dtype), b.astype(dtype)
    rtol = _relative(name, rcond, rows, columns, dtype) if rcond != -1 else float(np.finfo(dtype).eps)
    x = Array(singular.pseudo_inverse(a.value, rtol=rtol)) @ b
    s = Array(singular_values_of(name, a.value))
    rank = np.sum(s > s[:1] * s.dtype.type(rtol), dtype=np.int32)
    if rows <= columns:
        return x, filled(s[:0], 0.0), rank, s
    rest = b - a @ x
    squares = rest**2 if dtype.kind == "f" else np.real(rest) ** 2 + np.imag(rest) ** 2
    sums = np.atleast_1d(np.sum(squares, axis=0))
    return x, np.where(rank == columns, sums, s.dtype.type(np.nan)), rank, s


@composed("scipy.linalg:lstsq", arrays=("a", "b"))
def scipy_lstsq(
    a: Any,
    b: Any,
    cond: Any = None,
    overwrite_a: Any = False,
    overwrite_b: Any = False,
    check_finite: Any = True,
    lapack_driver: Any = None,
) -> Any:
    """As ``np.linalg.lstsq``, with one driver; singular values up to ``cond`` of the largest count as 0."""
    dtype = np.result_type(a.dtype, b.dtype, np.float32)
    x, residuals, rank, s = lstsq(a, b, float(np.finfo(dtype).eps) if cond is None else cond)
    is_vector = b.ndim == 1 and residuals.shape[0] != 0
    return x, residuals[0] if is_vector else residuals, rank.astype(np.int64), s


@composed("scipy.linalg:pinvh", arrays=("a",))
def pinvh(
    a: Any, atol: Any = None, rtol: Any = None, lower: Any = True, return_rank: Any = False, check_finite: Any = True
) -> Any:
    """``pinv`` of a hermitian matrix, of which one triangle is read. Raises TraceError as that does."""
    name = "scipy.linalg.pinvh"
    if atol or return_rank:
        raise TraceError(f"{name}: atol and return_rank are not supported on traced arrays")
    a = _mirrored(name, a if lower else adjoint(a))
    size = int(a.shape[-1])
    return Array(singular.pseudo_inverse(a.value, rtol=_relative(name, rtol, size, size, a.dtype)))


@composed("scipy.linalg:orthogonal_procrustes", arrays=("A", "B"))
def orthogonal_procrustes(A: Any, B: Any, check_finite: Any = True) -> Any:
    """The unitary matrix R for which ``A @ R`` is nearest to B, and the sum of the singular values of ``A.H @ B``.

    (Golub and Van Loan, Matrix Computations, section 6.4.1.) R has no derivative where two of them are equal.
    """
    if A.ndim != 2 or tuple(A.shape) != tuple(B.shape):
        raise ShapeError(f"scipy.linalg.orthogonal_procrustes: {A.value.aval} and {B.value.aval} differ in shape")
    u, s, vh = np.linalg.svd(adjoint(A) @ B, full_matrices=False)
    return u @ vh, np.sum(s)
