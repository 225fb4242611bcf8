"""Functions of matrices of ``scipy.linalg`` that its exponential gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.errors import ShapeError
from gradc.frontend.numpy_api.matrices import expm
from gradc.frontend.numpy_api.notation import composed


def _by_euler(name: str, A: Any) -> tuple[Any, Any]:
    """``exp(i A)``, whose parts are cosine and sine of a real matrix, and ``exp(-i A)`` of a complex one."""
    _require_one(name, A)
    return expm(1j * A), expm(-1j * A) if A.dtype.kind == "c" else None


def _require_one(name: str, A: Any) -> None:
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ShapeError(f"scipy.linalg.{name}: {A.value.aval} is not one square matrix")


def _cosine_and_sine(name: str, A: Any) -> tuple[Any, Any]:
    plus, minus = _by_euler(name, A)
    if minus is None:
        return np.real(plus), np.imag(plus)
    return 0.5 * (plus + minus), -0.5j * (plus - minus)


@composed("scipy.linalg:cosm", arrays=("A",))
def cosm(A: Any) -> Any:
    """The cosine of a matrix, by ``expm`` of an imaginary one."""
    return _cosine_and_sine("cosm", A)[0]


@composed("scipy.linalg:sinm", arrays=("A",))
def sinm(A: Any) -> Any:
    """The sine of a matrix."""
    return _cosine_and_sine("sinm", A)[1]


@composed("scipy.linalg:tanm", arrays=("A",))
def tanm(A: Any) -> Any:
    """The solution of ``cosm(A) @ x = sinm(A)``."""
    return np.linalg.solve(*_cosine_and_sine("tanm", A))


def _hyperbolic(name: str, A: Any) -> tuple[Any, Any]:
    _require_one(name, A)
    plus, minus = expm(A), expm(-A)
    return 0.5 * (plus + minus), 0.5 * (plus - minus)


@composed("scipy.linalg:coshm", arrays=("A",))
def coshm(A: Any) -> Any:
    """The hyperbolic cosine of a matrix."""
    return _hyperbolic("coshm", A)[0]


@composed("scipy.linalg:sinhm", arrays=("A",))
def sinhm(A: Any) -> Any:
    """The hyperbolic sine of a matrix."""
    return _hyperbolic("sinhm", A)[1]


@composed("scipy.linalg:tanhm", arrays=("A",))
def tanhm(A: Any) -> Any:
    """The solution of ``coshm(A) @ x = sinhm(A)``."""
    return np.linalg.solve(*_hyperbolic("tanhm", A))


@composed("scipy.linalg:expm_frechet", arrays=("A", "E"))
def expm_frechet(A: Any, E: Any, method: Any = None, compute_expm: Any = True, check_finite: Any = True) -> Any:
    """``expm(A)`` and its derivative along ``E``, a block of ``expm([[A, E], [0, A]])``.

    (Higham, Functions of Matrices, theorem 3.6.) There is one method.
    """
    _require_one("expm_frechet", A)
    if tuple(E.shape) != tuple(A.shape):
        raise ShapeError(f"scipy.linalg.expm_frechet: {A.value.aval} and {E.value.aval} differ in shape")
    size = int(A.shape[0])
    found = expm(np.block([[A, E], [np.zeros((size, size), A.dtype), A]]))
    derivative = found[:size, size:]
    return (found[:size, :size], derivative) if compute_expm else derivative
