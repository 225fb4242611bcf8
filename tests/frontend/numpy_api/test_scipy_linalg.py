"""scipy.linalg on traced arrays, against SciPy: traced as users write it, with SciPy imported by them."""

from __future__ import annotations

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


def test_what_is_refused() -> None:
    cases = (
        (lambda a: linalg.solve(a, VECTOR, assume_a="sym"), "assume_a='sym' is not supported"),
        (lambda a: linalg.solve_triangular(a, VECTOR, trans=3), "trans=3 is none of"),
        (lambda a: linalg.solve_triangular(np.stack([a, a]), VECTOR), "are not one matrix and a vector or columns"),
        (lambda a: linalg.cho_solve((a, a[0, 0] > 0), VECTOR), "has to be known while tracing"),
    )
    for function, message in cases:
        with pytest.raises(gradc.errors.GradcError, match=message):
            gradc.jit(function)(A)
