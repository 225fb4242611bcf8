"""Eigenvalues as loops: residuals, orthogonality and NumPy's values at many sizes; special matrices."""

from __future__ import annotations

import numpy as np
import pytest

import gradc
from gradc.errors import MatrixError
from gradc.ops.spectra import eigenvalues, eigenvectors
from tests.loops.decompositions import assert_orthonormal, assert_same_off_the_stack, found, not_finite, without_vectors

SIZES = (1, 2, 3, 5, 16, 33, 70)


def eigen(a: np.ndarray) -> list[np.ndarray]:
    """The values and vectors of a matrix by its lower triangle."""
    return found(a, lambda x: [eigenvalues(x), eigenvectors(x)])


def assert_eigen(a: np.ndarray, w: np.ndarray, v: np.ndarray) -> None:
    """Backward stable: errors of a few units times the size, over the norm of the matrix."""
    symmetric = (np.tril(a) + np.swapaxes(np.tril(a, -1), -1, -2)).astype(float)
    bound = 4 * len(a) * float(np.finfo(a.dtype).eps)
    scale = np.linalg.norm(symmetric, 2)
    wide = v.astype(float)
    assert np.abs(symmetric @ wide - wide * w).max() <= bound * scale
    assert_orthonormal(v, bound)
    assert np.abs(w - np.linalg.eigvalsh(symmetric)).max() <= bound * scale
    assert (np.diff(w) >= 0).all()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", SIZES)
def test_eigen(size: int, dtype: str) -> None:
    a = np.random.default_rng(size).normal(size=(size, size)).astype(dtype)
    assert_eigen(a, *eigen(np.tril(a) + np.triu(np.full_like(a, np.nan), 1)))  # the upper triangle is not read


@pytest.mark.parametrize(
    "a",
    [
        np.zeros((4, 4)),
        np.eye(5),
        np.ones((6, 6)),
        np.diag([3.0, -1.0, 2.0]),
        np.diag(np.ones(9), -1),
        np.kron(np.eye(3), np.ones((2, 2))),
        np.diag(10.0 ** -np.arange(12.0)) + 1e-16,
        np.diag([1e8, 1.0, 1e-8]) + np.diag([1.0, 1e-4], -1),
        np.ones((100, 100)),
        np.diag(10.0 ** (np.arange(20.0) - 20)),
    ],
    ids=["zeros", "identity", "ones", "diagonal", "path", "blocks", "graded", "far apart", "many ones", "growing"],
)
def test_special_matrices(a: np.ndarray) -> None:
    w, v = eigen(a)
    assert_eigen(a, w, v)
    assert_eigen(a, alone(a), v)


def alone(a: np.ndarray) -> np.ndarray:
    """The values by themselves."""
    return without_vectors(a, lambda x: [eigenvalues(x)])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", SIZES)
def test_values_alone(size: int, dtype: str) -> None:
    a = np.random.default_rng(size).normal(size=(size, size)).astype(dtype)
    assert_eigen(a, alone(np.tril(a)), eigen(a)[1])


def test_values_share_what_finds_vectors() -> None:
    program = gradc.value_and_grad(lambda a: np.sum(np.linalg.eigvalsh(a) ** 3)).compile(np.eye(5)).loops
    assert (program.count("call three_diagonals"), program.count("call eigen_values")) == (1, 0)


def test_partial_sums_of_large_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert_same_off_the_stack(monkeypatch, eigen)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_scales_that_leave_the_range(scale: float) -> None:
    a = np.random.default_rng(1).normal(size=(5, 5))
    w, v = eigen(scale * a)
    assert_eigen(a, w / scale, v)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_matrix_that_is_not_finite(number: float) -> None:
    with pytest.raises(MatrixError, match="eigh: the iteration for the eigenvalues did not converge"):
        eigen(not_finite(number))


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_repeated_values_have_a_first_derivative(backend: str) -> None:
    """The sum of all and of squares are smooth; no gap is divided by."""
    gradient = gradc.jit(gradc.grad(lambda a: (np.linalg.eigvalsh(a) ** 2).sum()), backend=backend)
    np.testing.assert_allclose(gradient(2 * np.eye(3)), 4 * np.eye(3), rtol=0, atol=1e-15)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_functions_without_signs(backend: str) -> None:
    """A square root by eigenvectors: its derivative solves Sylvester's equation."""

    def root(a: np.ndarray) -> np.ndarray:
        w, v = np.linalg.eigh(a)
        return (v * np.sqrt(w)) @ v.T

    rng = np.random.default_rng(2)
    x, t = rng.normal(size=(2, 4, 4))
    a, t = x @ x.T + np.eye(4), t + t.T
    root_of_a, change = gradc.jit(lambda a, t: gradc.jvp(root, (a,), (t,)), backend=backend)(a, t)
    np.testing.assert_allclose(root_of_a @ root_of_a, a, rtol=0, atol=1e-13)
    np.testing.assert_allclose(change @ root_of_a + root_of_a @ change, t, rtol=0, atol=1e-13)
