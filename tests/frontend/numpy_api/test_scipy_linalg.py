"""scipy.linalg on traced arrays, against SciPy: traced as users write it, with SciPy imported by them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import gradc

linalg = pytest.importorskip("scipy.linalg")

RNG = np.random.default_rng(5)
A = RNG.normal(size=(4, 4)) + 3 * np.eye(4)
POSITIVE = A @ A.T
VECTOR, COLUMNS = RNG.normal(size=4), RNG.normal(size=(4, 3))


def check(function: Any, *arguments: Any, tolerance: float = 1e-12) -> None:
    """Value, dtype and shape are SciPy's; the gradient meets a central difference."""
    expected = function(*arguments)
    found = gradc.jit(function)(*arguments)
    assert (np.shape(found), found.dtype) == (np.shape(expected), expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    weights = np.cos(np.arange(float(np.size(expected)))).reshape(np.shape(expected))
    for which, argument in enumerate(arguments):
        if argument.dtype != np.float64:
            continue
        direction = np.sin(np.arange(float(argument.size)) + 1).reshape(argument.shape)
        gradient = gradc.grad(lambda *xs: np.sum(function(*xs) * weights), wrt=which)(*arguments)
        ends = [
            np.sum(function(*[x + h * direction if k == which else x for k, x in enumerate(arguments)]) * weights)
            for h in (1e-6, -1e-6)
        ]
        np.testing.assert_allclose(np.sum(gradient * direction), (ends[0] - ends[1]) / 2e-6, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("b", [VECTOR, COLUMNS], ids=["vector", "columns"])
@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("trans", [0, 1, "N", "T"])
def test_solve_triangular(trans: Any, lower: bool, unit: bool, b: np.ndarray) -> None:
    check(lambda a, b: linalg.solve_triangular(a, b, trans=trans, lower=lower, unit_diagonal=unit), A, b)


@pytest.mark.parametrize("lower", [False, True])
def test_cholesky(lower: bool) -> None:
    triangle = np.tril(POSITIVE) if lower else np.triu(POSITIVE)
    expected = linalg.cholesky(POSITIVE, lower=lower)
    found = gradc.jit(lambda a: linalg.cholesky(a, lower=lower))(triangle)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("b", [VECTOR, COLUMNS], ids=["vector", "columns"])
@pytest.mark.parametrize("lower", [False, True])
def test_cho_solve(lower: bool, b: np.ndarray) -> None:
    def solved(root: Any, b: Any) -> Any:
        factor = linalg.cho_factor(root @ root.T + np.eye(4), lower=lower)
        assert bool(factor[1]) is lower
        return linalg.cho_solve(factor, b)

    check(solved, A, b)


def test_cho_solve_with_a_factor_from_outside() -> None:
    factor = linalg.cho_factor(POSITIVE)
    check(lambda b: linalg.cho_solve(factor, b), VECTOR)


@pytest.mark.parametrize("b", [VECTOR, COLUMNS], ids=["vector", "columns"])
def test_solve(b: np.ndarray) -> None:
    check(lambda a, b: linalg.solve(a, b), A, b)
    check(lambda a, b: linalg.solve(a, b, transposed=True), A, b)
    for lower in (False, True):
        check(lambda r, b, lower=lower: linalg.solve(r @ r.T, b, assume_a="pos", lower=lower), A, b)


def test_inverses_and_determinants() -> None:
    check(lambda a: linalg.inv(a), A)
    check(lambda a: linalg.det(a), A)
    check(lambda a: linalg.det(a), A.astype("f4"), tolerance=1e-5)
    check(lambda a: linalg.inv(a), A.astype("f4"), tolerance=1e-5)


def test_a_singular_matrix() -> None:
    for function in (
        lambda a: linalg.inv(a),
        lambda a: linalg.solve(a, VECTOR),
        lambda a: linalg.solve_triangular(a, VECTOR),
    ):
        with pytest.raises(np.linalg.LinAlgError, match="singular"):
            gradc.jit(function)(np.zeros((4, 4)))


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
@pytest.mark.parametrize("size", [3, 5, 40, 100])
def test_lu_exchanges_rows_as_lapack_does(size: int, backend: Any) -> None:
    real = RNG.normal(size=(size, size))
    for a in (real, real + 1j * real[::-1].T, np.zeros((3, 3)), np.ones((4, 4)), np.eye(5)[::-1].copy()):
        p, lower, upper = gradc.jit(lambda a: linalg.lu(a), backend=backend)(a)
        packed, pivots = gradc.jit(lambda a: linalg.lu_factor(a), backend=backend)(a)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", linalg.LinAlgWarning)
            expected = linalg.lu_factor(a)
        np.testing.assert_array_equal(pivots, expected[1])
        np.testing.assert_allclose(packed, expected[0], atol=1e-12)
        np.testing.assert_allclose(p @ lower @ upper, a, atol=1e-12)
        assert (pivots.dtype, p.dtype) == (np.int32, np.float64)


def test_factors_that_are_known() -> None:
    factors = linalg.lu_factor(A)
    for trans in (0, 1, 2):
        check(lambda b, trans=trans: linalg.lu_solve(factors, b, trans), COLUMNS)


def test_the_gradient_through_both_factors_is_that_of_the_solution() -> None:
    def by_factors(a: Any, b: Any) -> Any:
        p, lower, upper = linalg.lu(a)
        y = linalg.solve_triangular(lower, p.T @ b, lower=True, unit_diagonal=True)
        return np.sum(linalg.solve_triangular(upper, y) ** 2)

    found = gradc.grad(by_factors, wrt=(0, 1))(A, VECTOR)
    expected = gradc.grad(lambda a, b: np.sum(np.linalg.solve(a, b) ** 2), wrt=(0, 1))(A, VECTOR)
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-13)


def test_equations_without_one_solution() -> None:
    for function in (
        lambda a: linalg.solve_sylvester(a, -a, VECTOR[:, None] * VECTOR),
        lambda a: linalg.solve_discrete_lyapunov(a, a),
        lambda a: linalg.solve_banded((1, 0), 0 * a[:2], VECTOR),
    ):
        with pytest.raises(np.linalg.LinAlgError, match="singular"):
            gradc.jit(function)(np.eye(4))
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        gradc.jit(lambda a: linalg.solveh_banded(-a[:1], VECTOR))(np.ones((4, 4)))


def test_diagonals_outside_of_the_matrix_are_not_read() -> None:
    bands = np.array([[np.nan, 1.0, 2.0], [4.0, 5.0, 6.0], [1.0, 1.0, np.inf]])
    b = np.array([1.0, 2.0, 3.0])
    value, gradient = gradc.value_and_grad(lambda x: np.sum(linalg.solve_banded((1, 1), x, b, check_finite=False)))(
        bands
    )
    np.testing.assert_allclose(
        value, linalg.solve_banded((1, 1), np.nan_to_num(bands, posinf=0.0), b).sum(), rtol=1e-14
    )
    assert (gradient[0, 0], gradient[2, 2]) == (0, 0)
    assert np.isfinite(gradient).all()


def test_what_is_refused() -> None:
    cases = (
        (lambda a: linalg.solve(a, VECTOR, assume_a="sym"), "assume_a='sym' is not supported"),
        (lambda a: linalg.solve_triangular(a, VECTOR, trans=3), "trans=3 is none of"),
        (lambda a: linalg.solve_triangular(np.stack([a, a]), VECTOR), "are not one matrix and a vector or columns"),
        (lambda a: linalg.cho_solve((a, a[0, 0] > 0), VECTOR), "has to be known while tracing"),
        (lambda a: linalg.solve_sylvester(a, a[:3], a), r"solve_sylvester: f64\[3,4\] is not one matrix, square"),
        (lambda a: linalg.solve_sylvester(a, a, a[:3]), r"f64\[3,4\] is not one matrix, of shape \(4, 4\)"),
        (lambda a: linalg.solve_banded((1, 1), a, VECTOR), r"f64\[4,4\] has not the 3 rows"),
        (lambda a: linalg.solve_discrete_lyapunov(a, a, method="no"), "method='no' is none of"),
        (lambda a: linalg.lu(a[:, :2]), r"lu: f64\[4,2\] has not as many columns as rows"),
        (lambda a: linalg.lu_factor(a[:0, :0]), r"lu_factor: f64\[0,0\] has no elements"),
        (
            lambda a: linalg.lu_solve((a, np.arange(4)), VECTOR),
            r"the factors f64\[4,4\] are neither those that scipy\.linalg\.lu_factor gave",
        ),
        (lambda a: linalg.lu_solve(linalg.lu_factor(a), VECTOR, trans=3), "trans=3 is none of 0, 1, 2"),
        (
            lambda a: linalg.eigvalsh_tridiagonal(a[0], a[1]),
            r"f64\[4\] and f64\[4\] are not a diagonal and one beside it",
        ),
        (lambda a: linalg.eigvalsh_tridiagonal(a[0], a[1, :3], select="i"), "select='i' is not supported"),
        (lambda a: linalg.khatri_rao(a, a[:, :2]), r"f64\[4,4\] and f64\[4,2\] have not as many columns"),
        (lambda a: linalg.pinvh(a, return_rank=True), "atol and return_rank are not supported"),
        (lambda a: linalg.orthogonal_procrustes(a, a[:2]), r"f64\[4,4\] and f64\[2,4\] differ in shape"),
        (lambda a: linalg.companion(a), r"companion: f64\[4,4\] is not one vector"),
        (lambda a: linalg.expm_frechet(a, a[:3]), r"f64\[4,4\] and f64\[3,4\] differ in shape"),
        (lambda a: linalg.cosm(np.stack([a, a])), r"cosm: f64\[2,4,4\] is not one square matrix"),
    )
    for function, message in cases:
        with pytest.raises(gradc.errors.GradcError, match=message):
            gradc.jit(function)(A)
