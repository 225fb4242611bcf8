"""The Schur form of ``scipy.linalg``, and functions of matrices by it: of ``Z.H @ a @ Z``, the vectors Z held fixed.

That matrix is upper triangular where it is evaluated, and it moves as ``a`` does: its roots and equations
(``gradc.ops.triangular_equations``) have derivatives of any order, also at repeated eigenvalues. All results but those
of ``signm`` are complex: whether they are real depends on data.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from gradc.errors import TraceError
from gradc.frontend.numpy_api.decompositions import adjoint, square
from gradc.frontend.numpy_api.matrices import expm
from gradc.frontend.numpy_api.notation import Array, composed, filled
from gradc.frontend.numpy_api.promote import python_constant
from gradc.ops import regions
from gradc.ops.schur import schur_form, schur_vectors
from gradc.ops.triangular_equations import sylvester, triangular_root


@composed("scipy.linalg:schur", arrays=("a",))
def schur(
    a: Any,
    output: Any = "real",
    lwork: Any = None,
    overwrite_a: Any = False,
    sort: Any = None,
    check_finite: Any = True,
) -> Any:
    """The complex Schur form T and the vectors Z with ``a = Z @ T @ Z.H``, in SciPy's order in most cases.

    Raises TraceError for the real form of a real matrix, whose blocks depend on data, and for ``sort``.
    """
    name = "scipy.linalg.schur"
    a = square(name, a)
    if output not in ("real", "complex", "r", "c"):
        raise TraceError(f"{name}: output={output!r} is neither 'real' nor 'complex'")
    if output in ("real", "r") and a.dtype.kind == "f":
        raise TraceError(f"{name}: output='real' is not supported on traced arrays; use output='complex'")
    if sort is not None:
        raise TraceError(f"{name}: sort={sort!r} is not supported on traced arrays")
    return Array(schur_form(a.value)), Array(schur_vectors(a.value))


# Functions of matrices.


def _held(x: Any) -> Any:
    return Array(regions.stop_gradient(x.value))


def triangle_of(a: Any) -> tuple[Any, Any]:
    """The vectors Z, held fixed, and ``Z.H @ a @ Z``.

    Eigenvalues of real matrices that are real but for rounding are real, so that all backends and SciPy are on one side
    of the cut along the negative axis.
    """
    z = _held(Array(schur_vectors(a.value)))
    t = adjoint(z) @ a.astype(z.dtype) @ z
    if a.dtype.kind == "c":
        return z, t
    size, eps = int(a.shape[-1]), float(np.finfo(a.dtype).eps)
    noise = 4 * size * eps * np.max(np.abs(t), axis=(-2, -1), keepdims=True, initial=0.0)
    is_noise = (np.abs(np.imag(t)) <= noise) & np.eye(size, dtype=bool)
    return z, t - _held(np.where(is_noise, 1j * np.imag(t), 0.0))


def _back(z: Any, t: Any) -> Any:
    return z @ t @ adjoint(z)


def _root(t: Any) -> Any:
    return Array(triangular_root(t.value))


def _solved(t: Any, c: Any) -> Any:
    """``inverse(t) @ c``."""
    return Array(sylvester(t.value, filled(t, 0.0).value, c.value, transposed=False, below=False))


def _require_plain(name: str, disp: Any) -> None:
    if disp is False:
        raise TraceError(f"scipy.linalg.{name}: disp=False is not supported on traced arrays; it gives an estimate too")


@composed("scipy.linalg:sqrtm", arrays=("A",))
def sqrtm(A: Any, disp: Any = True, blocksize: Any = 64) -> Any:
    """The principal square root of matrices, always complex; on the cut, along the negative axis, ``+i``.

    The derivative solves Sylvester's equation, and is infinite or NaN for a singular matrix. (Björck and Hammarling, A
    Schur method for the square root of a matrix, 1983.)
    """
    _require_plain("sqrtm", disp)
    z, t = triangle_of(square("scipy.linalg.sqrtm", A))
    return _back(z, _root(t))


@composed("scipy.linalg:signm", arrays=("A",))
def signm(A: Any, disp: Any = True) -> Any:
    """The matrix with the same vectors and the signs of the real parts of the eigenvalues; real for real matrices.

    ``A @ inverse(sqrtm(A @ A))``: it has no meaning where an eigenvalue is imaginary. (Higham, Functions of Matrices,
    2008, equation 5.5.)
    """
    _require_plain("signm", disp)
    a = square("scipy.linalg.signm", A)
    z, t = triangle_of(a)
    t = t / _held(np.max(np.abs(t), axis=(-2, -1), keepdims=True, initial=0.0))
    found = _back(z, _solved(_root(t @ t), t))
    return found if a.dtype.kind == "c" else np.real(found)


_ROOTS: Final = 16
"""How often roots are taken at most: 12 for all eigenvalues in the range of f64, one for each doubling of a norm."""

_NEAR: Final = 0.264
"""The distance from 1 at which seven nodes give a logarithm to the precision of f64 (Higham, table 11.1)."""

_POINTS, _SHARES = np.polynomial.legendre.leggauss(7)


def _logarithm(t: Any) -> Any:
    """By roots until the matrix is near 1, and a Padé approximant there, as Gauss's quadrature of
    ``x @ inverse(1 + s x)`` over s from 0 to 1. (Higham, Functions of Matrices, 2008, sections 11.4 and 11.5.)"""
    one = np.eye(int(t.shape[-1]), dtype=t.dtype)

    def distant(root: Any) -> Any:
        distance = np.max(
            np.sum(np.abs(_held(root) - one), axis=-2, keepdims=True), axis=-1, keepdims=True, initial=0.0
        )
        return np.logical_not(distance <= _NEAR)

    factor: Any = filled(np.real(t[..., :1, :1]), 1.0)
    for _ in range(_ROOTS):
        far = distant(t)
        factor = np.where(far, 2 * factor, factor)
        t = np.where(far, _root(t), t)
    x = t - one
    nodes = zip(0.5 + 0.5 * _POINTS, 0.5 * _SHARES, strict=True)
    total = sum(float(share) * _solved(one + float(point) * x, x) for point, share in nodes)
    return np.where(distant(t), math.nan, total * factor)


@composed("scipy.linalg:logm", arrays=("A",))
def logm(A: Any, disp: Any = True) -> Any:
    """The principal logarithm of matrices, always complex; on the cut, along the negative axis, ``+i pi``.

    NaN for a singular matrix, and where 16 square roots do not bring it near 1, as for a triangle with an element of
    17000 times the others beside its diagonal.
    """
    _require_plain("logm", disp)
    z, t = triangle_of(square("scipy.linalg.logm", A))
    return _back(z, _logarithm(t))


@composed("scipy.linalg:fractional_matrix_power", arrays=("A", "t"), keeps_weak=True)
def fractional_matrix_power(A: Any, t: Any) -> Any:
    """``expm(t * logm(A))``, always complex, and differentiated by ``t`` too; ``matrix_power`` for a known integer."""
    a = square("scipy.linalg.fractional_matrix_power", A)
    exponent = python_constant(t.value)
    if exponent is not None and exponent == int(exponent.real):
        return np.linalg.matrix_power(a, int(exponent.real))
    z, triangle = triangle_of(a)
    return _back(z, expm(_logarithm(triangle) * t))
