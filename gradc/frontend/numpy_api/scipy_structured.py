"""Systems of ``scipy.linalg`` with a structure, told as systems of whole matrices, which they are as precise as.

SciPy's take less time and memory where they use the structure: this is for sizes at which a dense system is no matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.decompositions import adjoint
from gradc.frontend.numpy_api.matrices import circulant, toeplitz
from gradc.frontend.numpy_api.notation import composed


def _length(name: str, x: Any, axis: int = -1) -> int:
    if x.ndim == 0:
        raise ShapeError(f"scipy.linalg.{name}: {x.value.aval} is a number; a matrix or vector is needed")
    return int(x.shape[axis])


def _matrix(name: str, x: Any, shape: tuple[int, int] | None = None) -> Any:
    if x.ndim != 2 or (shape or (x.shape[0],) * 2) != x.shape:
        wanted = f"of shape {shape}" if shape else "square"
        raise ShapeError(f"scipy.linalg.{name}: {x.value.aval} is not one matrix, {wanted}")
    return x if x.dtype.kind in "fc" else x.astype(np.float64)


@composed("scipy.linalg:solve_sylvester", arrays=("a", "b", "q"))
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """``x`` of ``a @ x + x @ b = q``, by one system of as many equations as x has elements."""
    a, b = _matrix("solve_sylvester", a), _matrix("solve_sylvester", b)
    rows, columns = int(a.shape[0]), int(b.shape[0])
    q = _matrix("solve_sylvester", q, (rows, columns))
    whole = np.kron(a, np.eye(columns, dtype=a.dtype)) + np.kron(np.eye(rows, dtype=b.dtype), b.T)
    return np.linalg.solve(whole, q.reshape(-1)).reshape(rows, columns)


@composed("scipy.linalg:solve_continuous_lyapunov", arrays=("a", "q"))
def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    """``x`` of ``a @ x + x @ a.H = q``, as ``solve_sylvester``."""
    return solve_sylvester(a, adjoint(a), q)


@composed("scipy.linalg:solve_discrete_lyapunov", arrays=("a", "q"))
def solve_discrete_lyapunov(a: Any, q: Any, method: Any = None) -> Any:
    """``x`` of ``a @ x @ a.H - x + q = 0``, by one system of as many equations as x has elements, whatever the method.

    Raises TraceError for other methods than SciPy's "direct" and "bilinear".
    """
    if method not in (None, "direct", "bilinear"):
        raise TraceError(f"scipy.linalg.solve_discrete_lyapunov: method={method!r} is none of 'direct', 'bilinear'")
    a = _matrix("solve_discrete_lyapunov", a)
    size = int(a.shape[0])
    q = _matrix("solve_discrete_lyapunov", q, (size, size))
    whole = np.eye(size * size, dtype=a.dtype) - np.kron(a, np.conj(a))
    return np.linalg.solve(whole, q.reshape(-1)).reshape(size, size)


@composed("scipy.linalg:solve_banded", arrays=("ab", "b"))
def solve_banded(
    l_and_u: Any, ab: Any, b: Any, overwrite_ab: Any = False, overwrite_b: Any = False, check_finite: Any = True
) -> Any:
    """The solution of ``a @ x = b`` with the diagonals of ``a``, ``ab[u + i - j, j] == a[i, j]``, as a dense matrix."""
    lower, upper = (int(count) for count in l_and_u)
    if ab.ndim != 2 or ab.shape[0] != lower + upper + 1:
        raise ShapeError(
            f"scipy.linalg.solve_banded: {ab.value.aval} has not the {lower + upper + 1} rows that "
            f"l_and_u={(lower, upper)} says"
        )
    return np.linalg.solve(_dense(ab, lower, upper), b)


@composed("scipy.linalg:solveh_banded", arrays=("ab", "b"))
def solveh_banded(
    ab: Any, b: Any, overwrite_ab: Any = False, overwrite_b: Any = False, lower: Any = False, check_finite: Any = True
) -> Any:
    """The solution with a positive definite matrix, of which one triangle's diagonals are given; as ``solve_banded``.

    Raises MatrixError when it runs for one that is not positive definite.
    """
    if ab.ndim != 2:
        raise ShapeError(f"scipy.linalg.solveh_banded: {ab.value.aval} is not one matrix of diagonals")
    count = int(ab.shape[0]) - 1
    triangle = _dense(ab, count, 0) if lower else adjoint(_dense(ab, 0, count))
    factor = np.linalg.cholesky(triangle)
    return np.linalg.solve(adjoint(factor), np.linalg.solve(factor, b))


def _dense(ab: Any, lower: int, upper: int) -> Any:
    """The matrix with the diagonals ``ab``, whose rows hold what is above ``upper`` of them."""
    size = _length("solve_banded", ab)
    rows, columns = np.arange(size)[:, None], np.arange(size)
    place = upper + rows - columns
    inside = (place >= 0) & (place <= lower + upper)
    taken = ab[np.where(inside, place, 0), np.broadcast_to(columns, place.shape)]
    return np.where(inside, taken, np.zeros((), taken.dtype))


@composed("scipy.linalg:solve_toeplitz", nested=("c_or_cr",), arrays=("b",))
def solve_toeplitz(c_or_cr: Any, b: Any, check_finite: Any = True) -> Any:
    """The solution with a Toeplitz matrix of a first column, or a pair of that and a first row, as a dense system."""
    pair = c_or_cr if isinstance(c_or_cr, (tuple, list)) else (c_or_cr,)
    return np.linalg.solve(toeplitz(*pair), b)


@composed("scipy.linalg:matmul_toeplitz", nested=("c_or_cr",), arrays=("x",))
def matmul_toeplitz(c_or_cr: Any, x: Any, check_finite: Any = False, workers: Any = None) -> Any:
    """The product of a Toeplitz matrix and a vector or matrix, as a dense one."""
    pair = c_or_cr if isinstance(c_or_cr, (tuple, list)) else (c_or_cr,)
    return toeplitz(*pair) @ x


@composed("scipy.linalg:solve_circulant", arrays=("c", "b"))
def solve_circulant(c: Any, b: Any) -> Any:
    """The solution with a circulant matrix of a first column, as a dense system. Raises MatrixError if it is singular.

    Of one vector, and right-hand sides along the first axis: SciPy's other axes, and solutions of singular systems by
    least squares, are not supported.
    """
    return np.linalg.solve(circulant(c), b)


# Eigenvalues of three diagonals.


def _three_diagonals(name: str, d: Any, e: Any, select: Any) -> Any:
    """The lower triangle of the matrix with these diagonals."""
    if d.ndim != 1 or e.ndim != 1 or d.shape[0] != e.shape[0] + 1:
        raise ShapeError(f"scipy.linalg.{name}: {d.value.aval} and {e.value.aval} are not a diagonal and one beside it")
    if select not in ("a", "all", 0):
        raise TraceError(f"scipy.linalg.{name}: select={select!r} is not supported on traced arrays; take some of all")
    return np.diag(d) + np.diag(e, -1)


@composed("scipy.linalg:eigvalsh_tridiagonal", arrays=("d", "e"))
def eigvalsh_tridiagonal(
    d: Any,
    e: Any,
    select: Any = "a",
    select_range: Any = None,
    check_finite: Any = True,
    tol: Any = 0.0,
    lapack_driver: Any = "auto",
) -> Any:
    """The eigenvalues of a symmetric matrix with two equal diagonals beside the main one, as of a dense matrix."""
    return np.linalg.eigvalsh(_three_diagonals("eigvalsh_tridiagonal", d, e, select))


@composed("scipy.linalg:eigh_tridiagonal", arrays=("d", "e"))
def eigh_tridiagonal(
    d: Any,
    e: Any,
    eigvals_only: Any = False,
    select: Any = "a",
    select_range: Any = None,
    check_finite: Any = True,
    tol: Any = 0.0,
    lapack_driver: Any = "auto",
) -> Any:
    """The same with the vectors, unless there shall be values alone."""
    matrix = _three_diagonals("eigh_tridiagonal", d, e, select)
    return np.linalg.eigvalsh(matrix) if eigvals_only else tuple(np.linalg.eigh(matrix))


@composed("scipy.linalg:khatri_rao", arrays=("a", "b"))
def khatri_rao(a: Any, b: Any) -> Any:
    """The Kronecker products of the columns of two matrices."""
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ShapeError(f"scipy.linalg.khatri_rao: {a.value.aval} and {b.value.aval} have not as many columns")
    return (a[:, None, :] * b).reshape((-1, a.shape[1]))
