"""Singular values as loops: residuals, orthogonality and NumPy's values at many sizes; special matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import DerivativeError, MatrixError
from gradc.ops.singular import left_vectors, pseudo_inverse, right_vectors, singular_values
from tests.loops.decompositions import assert_orthonormal, assert_same_off_the_stack, found, not_finite, without_vectors

SHAPES = ((1, 1), (2, 1), (3, 3), (7, 4), (33, 33), (70, 17))
RTOL = 1e-12


def singular(a: np.ndarray) -> list[np.ndarray]:
    """The values, both sets of vectors, and the pseudo-inverse."""
    return found(a, lambda x: [singular_values(x), left_vectors(x), right_vectors(x), pseudo_inverse(x, rtol=RTOL)])


def assert_singular(a: np.ndarray, s: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Backward stable: errors of a few units times the larger size, over the norm of the matrix."""
    bound = 4 * max(a.shape) * float(np.finfo(a.dtype).eps)
    scale = np.linalg.norm(a.astype(float), 2)
    u, v = left.astype(float), right.astype(float)
    assert np.abs((u * s) @ v.T - a).max() <= bound * scale
    for vectors in (left, right):
        assert_orthonormal(vectors, bound)
    assert np.abs(s - np.linalg.svd(a.astype(float), compute_uv=False)).max() <= bound * scale
    assert (np.diff(s) <= 0).all()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", SHAPES)
def test_singular(shape: tuple[int, int], dtype: str) -> None:
    a = np.random.default_rng(shape).normal(size=shape).astype(dtype)
    assert_singular(a, *singular(a)[:3])


@pytest.mark.parametrize(
    "a",
    [
        np.zeros((4, 3)),
        np.eye(5),
        np.ones((6, 5)),
        np.diag([3.0, -1.0, 2.0]),
        np.diag(np.ones(8), -1),
        np.diag(10.0 ** -np.arange(12.0)),
        1 / (1 + np.arange(9.0)[:, None] + np.arange(9.0)),
        np.random.default_rng(0).normal(size=(9, 3)) @ np.random.default_rng(1).normal(size=(3, 7)),
    ],
    ids=["zeros", "identity", "ones", "diagonal", "path", "graded", "hilbert", "rank 3"],
)
def test_special_matrices(a: np.ndarray) -> None:
    assert_singular(a, *singular(a)[:3])


def alone(a: np.ndarray) -> np.ndarray:
    """The values by themselves."""
    return without_vectors(a, lambda x: [singular_values(x)])


ROWS = 10.0 ** np.array([[-44.0], [0.0], [-20.0], [-38.0], [-41.0], [-3.0]])


@pytest.mark.parametrize(
    "a",
    [
        *[np.random.default_rng(shape).normal(size=shape) for shape in SHAPES],
        np.random.default_rng(4).normal(size=(5, 5)).astype("f4"),
        np.zeros((4, 3)),
        np.diag(np.ones(8), -1),
        np.diag([1.0, 0.0, 1.0, 0.0, 0.0]) + np.diag([1.0, 1.0, 0.0, 1.0], 1),
        np.diag(10.0 ** (np.arange(12.0) - 12)),
        np.tril(np.ones((40, 40))),
        (np.random.default_rng(5).normal(size=(6, 6)) * ROWS).astype("f4"),
        (np.random.default_rng(6).normal(size=(6, 6)) * ROWS.T).astype("f4"),
        (np.random.default_rng(7).normal(size=(9, 6)) * ROWS.T).astype("f4"),
    ],
)
def test_values_alone(a: np.ndarray) -> None:
    """Zeros on the diagonal, values that grow down it, rows and columns of subnormal numbers."""
    results = singular(a)
    assert_singular(a, *results[:3])
    assert_singular(a, alone(a), *results[1:3])


def test_partial_sums_of_large_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert_same_off_the_stack(monkeypatch, singular)


@pytest.mark.parametrize(
    "a",
    [
        np.zeros((4, 3)),
        np.ones((6, 5)),
        np.diag([3.0, 0.0, 2.0]),
        np.random.default_rng(0).normal(size=(9, 3)) @ np.random.default_rng(1).normal(size=(3, 7)),
        np.random.default_rng(2).normal(size=(3, 6)),
    ],
    ids=["zeros", "ones", "diagonal", "rank 3", "wide"],
)
def test_pseudo_inverses(a: np.ndarray) -> None:
    """Values that are rounding errors count as 0."""
    inverted = gradc.jit(lambda a: np.linalg.pinv(a, RTOL))(a)
    np.testing.assert_allclose(inverted, np.linalg.pinv(a, RTOL), rtol=0, atol=1e-13)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_scales_that_leave_the_range(scale: float) -> None:
    a = np.random.default_rng(1).normal(size=(5, 4))
    s, left, right, _ = singular(scale * a)
    assert_singular(a, s / scale, left, right)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_matrix_that_is_not_finite(number: float) -> None:
    with pytest.raises(MatrixError, match="svd: the iteration for the singular values did not converge"):
        singular(not_finite(number))


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_repeated_values_have_a_first_derivative(backend: str) -> None:
    gradient = gradc.jit(gradc.grad(lambda a: (np.linalg.svdvals(a) ** 2).sum()), backend=backend)
    np.testing.assert_allclose(gradient(2 * np.eye(3)), 4 * np.eye(3), rtol=0, atol=1e-14)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_pseudo_inverses_divide_by_no_gap(backend: str) -> None:
    """At an identity the derivative is that of an inverse, at every order."""

    def total(a: np.ndarray) -> np.ndarray:
        return np.trace(np.linalg.pinv(a))

    hessian = gradc.jit(gradc.hessian(total), backend=backend)(np.eye(2))
    exact = np.einsum("jk,il->ijkl", 2 * np.eye(2), np.eye(2))
    np.testing.assert_allclose(hessian, exact, rtol=0, atol=1e-14)


def test_vectors_that_complete_a_basis() -> None:
    """They have values, and no derivative."""
    a = np.random.default_rng(3).normal(size=(5, 2))
    u, s, vh = gradc.jit(lambda a: np.linalg.svd(a))(a)
    np.testing.assert_allclose(u.T @ u, np.eye(5), rtol=0, atol=1e-14)
    np.testing.assert_allclose((u[:, :2] * s) @ vh, a, rtol=0, atol=1e-14)
    with pytest.raises(DerivativeError, match="one choice of many and have no derivative"):
        gradc.grad(lambda a: np.linalg.svd(a)[0][0, 0])(a)


@pytest.mark.parametrize("shape", [(3, 0), (0, 3, 0), (3, 5, 0), (0, 4, 2)])
def test_matrices_without_elements_have_the_slope_of_nothing(shape: tuple[int, ...]) -> None:
    def total(a: np.ndarray) -> Any:
        return sum(np.sum(part) for part in np.linalg.svd(a))

    a = np.ones(shape)
    assert gradc.grad(total)(a).shape == shape
    value, slope = gradc.jvp(total, (a,), (a,))
    assert (value, slope) == (total(a), 0.0)
