"""Linear algebra from NumPy functions to gradients, on every backend: errors, stacks, branches, higher orders."""

from __future__ import annotations

import runpy
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import gradc

BACKENDS = ("llvm", "numpy", "reference")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def regular(*shape: int, dtype: str = "f8") -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    return (rng.normal(size=shape) + 2 * np.eye(shape[-1])).astype(dtype)


def singular(a: np.ndarray) -> Any:
    return np.linalg.solve(a, np.ones(a.shape[-1]))


@pytest.mark.parametrize("function", [singular, np.linalg.inv])
def test_a_singular_matrix_is_numpys_error(function: Any, backend: str) -> None:
    with pytest.raises(np.linalg.LinAlgError, match=r"(?i)singular"):
        gradc.jit(function, backend=backend)(np.zeros((3, 3)))
    stack = np.stack([np.eye(3), np.ones((3, 3))])
    with pytest.raises(np.linalg.LinAlgError, match=r"(?i)singular"):
        gradc.jit(function, backend=backend)(stack)


def test_the_error_has_the_users_line() -> None:
    with pytest.raises(
        gradc.errors.MatrixError,
        match=r"^solve: the matrix is singular \(test_linear_algebra.py:\d+: return np.linalg.solve\(a, np.ones",
    ):
        gradc.jit(singular)(np.zeros((3, 3)))


def test_determinants_of_singular_matrices(backend: str) -> None:
    a = np.stack([np.ones((4, 4)), np.eye(4), -2 * np.eye(4)[::-1]])
    sign, size = gradc.jit(lambda a: np.linalg.slogdet(a), backend=backend)(a)
    np.testing.assert_allclose(sign, [0, 1, 1])
    np.testing.assert_allclose(size, [-np.inf, 0, 4 * np.log(2)], atol=1e-15)
    np.testing.assert_allclose(gradc.jit(np.linalg.det, backend=backend)(a), [0, 1, 16], rtol=1e-14)


def test_slogdet_keeps_its_names(backend: str) -> None:
    found = gradc.jit(lambda a: np.linalg.slogdet(a), backend=backend)(regular(3, 3))
    assert type(found) is type(np.linalg.slogdet(np.eye(1)))
    assert found.logabsdet == found[1]


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_derivative_of_a_determinant_where_it_is_0(size: int, backend: str) -> None:
    """One dependency: the cofactors are finite. Here they are known: the matrix is the identity without its first one,
    and its rows and columns moved."""
    a = np.diag(np.r_[0.0, np.arange(2.0, size + 1)])
    expected = np.zeros((size, size))
    expected[0, 0] = np.prod(np.arange(2.0, size + 1))
    gradient = gradc.grad(np.linalg.det, backend=backend)
    np.testing.assert_allclose(gradient(a), expected, atol=1e-12)
    np.testing.assert_allclose(gradient(a[::-1]), expected[::-1] * (-1) ** (size * (size - 1) // 2), atol=1e-12)
    np.testing.assert_allclose(gradient(np.zeros((size, size))), 0, atol=0)


def test_the_second_derivative_of_a_determinant(backend: str) -> None:
    """Right at a singular matrix of three rows; NaN, not a wrong number, at a larger one."""

    def curvature(a: Any) -> Any:
        slope = gradc.grad(np.linalg.det)
        return gradc.grad(lambda a: np.sum(slope(a) * np.arange(a.size).reshape(a.shape)), backend=backend)(a)

    h, weights = 1e-5, np.arange(9.0).reshape(3, 3)
    a = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]])

    def cofactors(a: np.ndarray) -> np.ndarray:
        rolled = [[np.roll(a, (-i, -j), (0, 1)) for j in (1, 2)] for i in (1, 2)]
        return rolled[0][0] * rolled[1][1] - rolled[0][1] * rolled[1][0]

    steps = h * np.eye(9).reshape(9, 3, 3)
    expected = [np.sum((cofactors(a + s) - cofactors(a - s)) * weights) / (2 * h) for s in steps]
    np.testing.assert_allclose(curvature(a).reshape(-1), expected, atol=1e-7)
    assert np.isnan(curvature(np.ones((4, 4)))).all()
    assert np.isfinite(curvature(regular(4, 4))).all()


def test_a_branch_that_is_not_taken(backend: str) -> None:
    """A singular matrix of the branch not taken contributes exact zeros."""

    def loss(a: Any) -> Any:
        sign, size = np.linalg.slogdet(a)
        return np.sum(np.where(sign != 0, size, 0))

    a = np.stack([regular(3, 3), np.ones((3, 3))])
    gradient = gradc.grad(loss, backend=backend)(a)
    np.testing.assert_allclose(gradient[0], np.linalg.inv(a[0]).T, rtol=1e-12)
    assert not gradient[1].any()


def normal_log_density(cov: Any, x: Any) -> Any:
    """A Gaussian, as written: its matrix is inverted nowhere."""
    return -0.5 * np.sum(x * np.linalg.solve(cov, x.T).T) - 0.5 * len(x) * np.linalg.slogdet(cov)[1]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", [2, 4, 60])
def test_a_gaussian(size: int, dtype: str, backend: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(5, size)).astype(dtype)
    root = rng.normal(size=(size, size))
    cov = (root @ root.T / size + np.eye(size)).astype(dtype)
    by_cov, by_x = gradc.grad(normal_log_density, wrt=("cov", "x"), backend=backend)(cov, x)
    assert by_cov.dtype == np.dtype(dtype)
    wide = np.linalg.inv(cov.astype(float))
    expected = 0.5 * wide @ x.T.astype(float) @ x @ wide - 0.5 * len(x) * wide
    tolerance = 256 * size * np.finfo(dtype).eps
    np.testing.assert_allclose(by_cov, expected, atol=tolerance * np.abs(expected).max())
    np.testing.assert_allclose(by_x, -x @ wide, atol=tolerance * np.abs(x @ wide).max())


@hypothesis.settings(max_examples=25, deadline=None, derandomize=True)
@hypothesis.given(
    batch=st.lists(st.integers(0, 3), max_size=2),
    size=st.integers(1, 9),
    columns=st.integers(0, 9),
    seed=st.integers(0, 99),
)
def test_random_stacks(batch: list[int], size: int, columns: int, seed: int) -> None:
    """Systems and determinants of any shape, against NumPy's."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(*batch, size, size)) + 3 * np.eye(size)
    b = rng.normal(size=(*batch[1:], size, columns))

    def all_of_them(a: Any, b: Any) -> Any:
        return np.linalg.solve(a, b), np.linalg.solve(np.swapaxes(a, -1, -2), b), np.linalg.inv(a), np.linalg.det(a)

    for found, expected in zip(gradc.jit(all_of_them)(a, b), all_of_them(a, b), strict=True):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_saved_modules_need_numpy_alone(tmp_path: Any) -> None:
    a, x = regular(3, 3), np.ones((2, 3))
    kernel = gradc.grad(normal_log_density, backend="numpy").compile(a, x)
    assert "np.linalg.solve(cov, x.T)" in kernel.numpy_source
    kernel.save(tmp_path / "density_grad.py")
    module = runpy.run_path(str(tmp_path / "density_grad.py"))
    np.testing.assert_allclose(
        module["normal_log_density_grad"](a, x), gradc.grad(normal_log_density)(a, x), rtol=1e-12
    )


@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_stacks_of_a_symbolic_length(backend: str) -> None:
    def loss(a: Any, b: Any) -> Any:
        sign, size = np.linalg.slogdet(a)
        return np.sum(np.linalg.solve(a, b)) + np.sum(sign * size)

    kernel = gradc.grad(loss, backend=backend).compile(gradc.aval("f64[batch,3,3]"), gradc.aval("f64[batch,3,2]"))
    for length in (0, 1, 5):
        a, b = regular(length, 3, 3), np.ones((length, 3, 2))
        np.testing.assert_allclose(kernel(a, b), gradc.grad(loss, backend="reference")(a, b), rtol=1e-12)


def test_factors_in_a_recurrence() -> None:
    """Steps of a filter, each with a system of its own; the kernel rolls them into a loop."""

    def track(a: Any, q: Any, observed: Any) -> Any:
        mean, cov, loss = np.zeros(3), np.eye(3), 0.0
        for k in range(40):
            mean, cov = a @ mean, a @ cov @ a.T + q @ q.T + 0.1 * np.eye(3)
            error = observed[k] - mean
            gain = np.linalg.solve(cov + np.eye(3), cov)
            loss = loss + error @ np.linalg.solve(cov + np.eye(3), error) + np.linalg.slogdet(cov + np.eye(3))[1]
            mean, cov = mean + gain.T @ error, cov - cov @ gain
        return loss

    rng = np.random.default_rng(2)
    a, q, observed = 0.3 * rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), rng.normal(size=(40, 3))
    value, gradient = gradc.value_and_grad(track, wrt=("a", "q"))(a, q, observed)
    expected, slopes = gradc.value_and_grad(track, wrt=("a", "q"), backend="numpy")(a, q, observed)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for found, slope in zip(gradient, slopes, strict=True):
        np.testing.assert_allclose(found, slope, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_decompositions_of_one_matrix_in_one_function(dtype: str) -> None:
    """Each has functions of its own, whatever it shares with the others."""
    a = regular(5, 5).astype(dtype) + (1j * regular(5, 5)[::-1] if dtype == "c16" else 0)
    a = a + a.conj().T

    def function(a: Any) -> Any:
        return np.linalg.qr(a), np.linalg.svd(a), np.linalg.eigh(a)

    (q, r), (u, s, vh), (w, v) = gradc.jit(function)(a)
    for found in (q @ r, (u * s) @ vh, (v * w) @ v.conj().T):
        np.testing.assert_allclose(found, a, rtol=0, atol=1e-13)
    for vectors in (q, u, vh, v):
        np.testing.assert_allclose(vectors.conj().T @ vectors, np.eye(5), rtol=0, atol=1e-14)


def test_the_derivation_tells_which_matrix_is_transposed() -> None:
    def loss(a: Any, b: Any) -> Any:
        return np.sum(np.linalg.solve(a, b) ** 2)

    told = gradc.grad(loss, wrt="b").compile(regular(3, 3), np.ones(3)).explain()
    assert "solve(a, b)" in told.text()
    assert "solve(aᵀ, " in told.text()
    assert r"a^{-\mathsf T}" in told.latex()
