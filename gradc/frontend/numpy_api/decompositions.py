"""Decompositions of matrices, of ``numpy.linalg`` and ``scipy.linalg``, over Values."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import require_size
from gradc.frontend.numpy_api.linalg import floating
from gradc.frontend.numpy_api.notation import Array, composed
from gradc.ops import general_spectra, linalg, orthogonal, spectra

_QR: Any = type(np.linalg.qr(np.eye(1)))
"""NumPy's named pair of an orthonormal factor and a triangular one."""

_EIG: Any = type(np.linalg.eig(np.eye(1)))
"""NumPy's named pair of complex eigenvalues and eigenvectors."""

_EIGH: Any = type(np.linalg.eigh(np.eye(1)))
"""NumPy's named pair of eigenvalues and eigenvectors."""


def matrix(name: str, a: Any) -> tuple[Any, int, int]:
    """A stack of matrices of floats, integers as f64, and their rows and columns. Raises ShapeError, DtypeError."""
    if a.ndim < 2:
        raise ShapeError(f"{name}: {a.value.aval} is no matrix; it needs at least two axes")
    rows, columns = (require_size(name, d, "a decomposition runs through it") for d in a.shape[-2:])
    return Array(floating(name, a.value)), rows, columns


def adjoint(a: Any) -> Any:
    """The conjugate transpose of matrices."""
    return np.conj(np.matrix_transpose(a))


# QR.


@composed(np.linalg.qr, arrays=("a",))
def qr(a: Any, mode: Any = "reduced") -> Any:
    """The orthonormal and the triangular factor, with LAPACK's signs; the latter alone for mode "r".

    The columns that mode "complete" adds have no derivative. Raises TraceError for other modes.
    """
    name = "np.linalg.qr"
    if mode not in ("reduced", "complete", "r"):
        raise TraceError(f"{name}: mode={mode!r} is not supported on traced arrays; use 'reduced', 'complete' or 'r'")
    a, rows, columns = matrix(name, a)
    if mode == "r":
        return _triangular(a, rows, columns)
    return _QR(*_factors(a, rows, columns, complete=mode == "complete"))


@composed("scipy.linalg:qr", arrays=("a",))
def scipy_qr(
    a: Any,
    overwrite_a: Any = False,
    lwork: Any = None,
    mode: Any = "full",
    pivoting: Any = False,
    check_finite: Any = True,
) -> Any:
    """The factors, by default with a square orthonormal one. Raises TraceError for mode "raw" and for pivoting."""
    name = "scipy.linalg.qr"
    if mode not in ("full", "r", "economic"):
        raise TraceError(f"{name}: mode={mode!r} is not supported on traced arrays; use 'full', 'economic' or 'r'")
    if pivoting:
        raise TraceError(f"{name}: pivoting is not supported on traced arrays")
    a, rows, columns = matrix(name, a)
    if mode == "r":
        return (_full_triangular(a, rows, columns),)
    return _factors(a, rows, columns, complete=mode == "full")


def _factors(a: Any, rows: int, columns: int, *, complete: bool) -> tuple[Any, Any]:
    """Both factors. The first columns of a matrix with more columns than rows are all that its factor depends upon."""
    if columns > rows:
        square = a[..., :rows]
        q = Array(orthogonal.qr_q(square.value))
        return q, _triangular(a, rows, columns, q)
    q = Array(orthogonal.qr_q(a.value))
    if not complete or rows == columns:
        return q, _triangular(a, rows, columns)
    others = Array(orthogonal.qr_complement(a.value))
    return np.concatenate([q, others], axis=-1), _full_triangular(a, rows, columns)


def _triangular(a: Any, rows: int, columns: int, q: Any = None) -> Any:
    if columns <= rows:
        return Array(orthogonal.qr_r(a.value))
    square, rest = a[..., :rows], a[..., rows:]
    q = Array(orthogonal.qr_q(square.value)) if q is None else q
    return np.concatenate([Array(orthogonal.qr_r(square.value)), adjoint(q) @ rest], axis=-1)


def _full_triangular(a: Any, rows: int, columns: int) -> Any:
    """The triangular factor with as many rows as the matrix."""
    found = _triangular(a, rows, columns)
    if columns >= rows:
        return found
    return np.pad(found, [(0, 0)] * (a.ndim - 2) + [(0, rows - columns), (0, 0)])


# Eigenvalues of symmetric and hermitian matrices.


def _lower_of(name: str, a: Any, triangle: Any) -> Any:
    """Square matrices whose lower triangle is the one that is read."""
    a, rows, columns = matrix(name, a)
    if rows != columns:
        raise ShapeError(f"{name}: {a.value.aval} is not square; the last two axes must be equal")
    if triangle not in ("L", "U", "l", "u"):
        raise ShapeError(f"{name}: UPLO={triangle!r} is neither 'L' nor 'U'")
    return a if triangle in ("L", "l") else adjoint(a)


@composed(np.linalg.eigh, arrays=("a",))
def eigh(a: Any, UPLO: Any = "L") -> Any:
    """The eigenvalues of hermitian matrices, ascending, and the vectors in columns, whose signs are arbitrary.

    One triangle is read. Raises MatrixError when it runs for a matrix that is not finite.
    """
    a = _lower_of("np.linalg.eigh", a, UPLO)
    return _EIGH(Array(spectra.eigenvalues(a.value)), Array(spectra.eigenvectors(a.value)))


@composed(np.linalg.eigvalsh, arrays=("a",))
def eigvalsh(a: Any, UPLO: Any = "L") -> Any:
    """The eigenvalues of hermitian matrices, ascending; their first derivative is right for repeated ones too."""
    return Array(spectra.eigenvalues(_lower_of("np.linalg.eigvalsh", a, UPLO).value))


@composed("scipy.linalg:eigh", arrays=("a", "b"))
def scipy_eigh(
    a: Any,
    b: Any = None,
    lower: Any = True,
    eigvals_only: Any = False,
    overwrite_a: Any = False,
    overwrite_b: Any = False,
    type: Any = 1,
    check_finite: Any = True,
) -> Any:
    """As ``np.linalg.eigh``; with ``b`` of ``a v = w b v``, ``a b v = w v`` for type 2, ``b a v = w v`` for type 3.

    ``b`` is positive definite, and vectors are scaled so that ``v.H @ b @ v`` is 1, or ``v.H @ inv(b) @ v`` for type 3.
    """
    uplo = "L" if lower else "U"
    if b is not None:
        return _generalized(a, b, uplo, eigvals_only, type)
    if type != 1:
        raise TraceError(f"scipy.linalg.eigh: type={type!r} is of a second matrix; give b= too")
    a = _lower_of("scipy.linalg.eigh", a, uplo)
    values = Array(spectra.eigenvalues(a.value))
    return values if eigvals_only else (values, Array(spectra.eigenvectors(a.value)))


def _generalized(a: Any, b: Any, uplo: str, eigvals_only: Any, type: Any) -> Any:
    """By the factor L of ``b = L @ L.H``: of ``inv(L) @ a @ inv(L.H)``, or of ``L.H @ a @ L``. (LAPACK's xSYGST)"""
    name = "scipy.linalg.eigh"
    if type not in (1, 2, 3):
        raise TraceError(f"{name}: type={type!r} is none of 1, 2, 3")
    a, b = (_lower_of(name, x, uplo) for x in (a, b))
    if a.shape != b.shape:
        raise ShapeError(f"{name}: {a.value.aval} and {b.value.aval} differ in shape")
    kind = np.result_type(a.dtype, b.dtype)
    whole, factor = _hermitian(a.astype(kind)), Array(linalg.cholesky(b.astype(kind).value))
    reduced = _solved(factor, adjoint(_solved(factor, whole))) if type == 1 else adjoint(factor) @ whole @ factor
    values = Array(spectra.eigenvalues(reduced.value))
    if eigvals_only:
        return values
    vectors = Array(spectra.eigenvectors(reduced.value))
    return values, factor @ vectors if type == 3 else _solved(np.conj(factor), vectors, transposed=True)


def _solved(factor: Any, sides: Any, transposed: bool = False) -> Any:
    return Array(linalg.triangular_solve(factor.value, sides.value, transposed=transposed))


def _hermitian(a: Any) -> Any:
    """The matrix of a lower triangle, of whose diagonal the real part is read."""
    below = np.tril(a, -1)
    diagonal = np.real(np.diagonal(a, axis1=-2, axis2=-1)).astype(a.dtype)
    return below + adjoint(below) + diagonal[..., None] * np.eye(int(a.shape[-1]), dtype=a.dtype)


@composed("scipy.linalg:eigvalsh", arrays=("a", "b"))
def scipy_eigvalsh(
    a: Any,
    b: Any = None,
    lower: Any = True,
    overwrite_a: Any = False,
    overwrite_b: Any = False,
    type: Any = 1,
    check_finite: Any = True,
) -> Any:
    """As ``np.linalg.eigvalsh``, with ``b`` and ``type`` as ``scipy.linalg.eigh``."""
    return scipy_eigh(a, b, lower, eigvals_only=True, type=type)


# Eigenvalues of any square matrices.


def square(name: str, a: Any) -> Any:
    a, rows, columns = matrix(name, a)
    if rows != columns:
        raise ShapeError(f"{name}: {a.value.aval} is not square; the last two axes must be equal")
    return a


def _values(a: Any) -> Any:
    return Array(general_spectra.general_eigenvalues(a.value))


def _vectors(a: Any) -> Any:
    return Array(general_spectra.general_eigenvectors(a.value))


@composed(np.linalg.eig, arrays=("a",))
def eig(a: Any) -> Any:
    """The eigenvalues and the right eigenvectors, complex unless there are none: whether all are real depends on data.

    Vectors have length 1 and a real largest element. Raises MatrixError when it runs for a matrix that is not finite.
    """
    a = square("np.linalg.eig", a)
    if 0 in a.shape:
        return _EIG(_none(a), a)
    return _EIG(_values(a), _vectors(a))


@composed(np.linalg.eigvals, arrays=("a",))
def eigvals(a: Any) -> Any:
    """The eigenvalues, complex unless there are none."""
    a = square("np.linalg.eigvals", a)
    return _none(a) if 0 in a.shape else _values(a)


def _none(a: Any) -> Any:
    """The eigenvalues of matrices without elements, of which NumPy's are real: no imaginary part is not 0."""
    return np.sum(a, axis=-1)


@composed("scipy.linalg:eig", arrays=("a",))
def scipy_eig(
    a: Any,
    b: Any = None,
    left: Any = False,
    right: Any = True,
    overwrite_a: Any = False,
    overwrite_b: Any = False,
    check_finite: Any = True,
    homogeneous_eigvals: Any = False,
) -> Any:
    """As ``np.linalg.eig``. Raises TraceError for a second matrix, left vectors and homogeneous values."""
    name = "scipy.linalg.eig"
    if b is not None:
        raise TraceError(f"{name}: a second matrix is not supported on traced arrays")
    if left:
        raise TraceError(f"{name}: left=True is not supported on traced arrays; take the right vectors of a.conj().T")
    if homogeneous_eigvals:
        raise TraceError(f"{name}: homogeneous_eigvals=True is not supported on traced arrays")
    a = square(name, a)
    return (_values(a), _vectors(a)) if right else _values(a)


@composed("scipy.linalg:eigvals", arrays=("a",))
def scipy_eigvals(
    a: Any, b: Any = None, overwrite_a: Any = False, check_finite: Any = True, homogeneous_eigvals: Any = False
) -> Any:
    """As ``np.linalg.eigvals``. Raises TraceError for a second matrix and homogeneous values."""
    return scipy_eig(a, b, right=False, homogeneous_eigvals=homogeneous_eigvals)
