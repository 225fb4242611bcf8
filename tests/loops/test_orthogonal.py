"""QR as loops: residuals, orthogonality, LAPACK's signs, at many sizes; special values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradc.ir.aval import aval_of
from gradc.ops.orthogonal import qr_complement, qr_q, qr_r
from tests.loops.decompositions import compiled

SHAPES = ((1, 1), (2, 1), (3, 3), (7, 4), (9, 1), (33, 33), (70, 17), (129, 64))


def run(a: np.ndarray) -> list[np.ndarray]:
    """The factors of a matrix, and what completes them."""
    text, factored = compiled(aval_of(a), lambda x: [qr_q(x), qr_r(x), qr_complement(x)])
    assert text.count("call householder") == 1, "one node of reflections gives all"
    return factored([a])


def matrix(*shape: int, dtype: str = "f8") -> np.ndarray:
    return np.random.default_rng(shape).normal(size=shape).astype(dtype)


def assert_factors(a: np.ndarray, q: np.ndarray, r: np.ndarray, rest: np.ndarray) -> None:
    """Backward stable: errors of a few units times the size, over the norm of the matrix."""
    bound = 4 * max(a.shape[-2:]) * float(np.finfo(a.dtype).eps)
    wide, exact = a.astype(np.longdouble), q.astype(np.longdouble)
    norm = float(np.linalg.norm(a)) or 1.0
    assert float(np.abs(wide - exact @ r).max()) <= bound * norm
    whole = np.concatenate([exact, rest.astype(np.longdouble)], axis=-1)
    assert float(np.abs(whole.T @ whole - np.eye(len(a))).max()) <= bound
    assert not np.tril(r, -1).any()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", SHAPES)
def test_factors(shape: tuple[int, int], dtype: str) -> None:
    a = matrix(*shape, dtype=dtype)
    q, r, rest = run(a)
    assert_factors(a, q, r, rest)
    expected = np.linalg.qr(a.astype(float), mode="r")
    assert np.array_equal(np.sign(np.diag(r)), np.sign(np.diag(expected)))


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e200])
def test_norms_that_leave_the_range(scale: float) -> None:
    a = scale * matrix(6, 4)
    q, r, rest = run(a)
    assert_factors(a / scale, q, r / scale, rest)


@pytest.mark.parametrize("a", [np.zeros((4, 2)), np.ones((5, 3)), np.eye(4), np.triu(matrix(4, 4)), -np.eye(3, 2)])
def test_matrices_with_dependent_columns_or_nothing_to_do(a: np.ndarray) -> None:
    q, r, rest = run(a)
    assert_factors(a, q, r, rest)
    np.testing.assert_allclose(r, np.linalg.qr(a, mode="r"), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_columns_of_subnormal_numbers(dtype: str) -> None:
    """The factor is orthonormal all the same."""
    a = (matrix(6, 4) * float(np.finfo(dtype).tiny) * np.array([2.0**-15, 1.0, 2.0**-3, 2.0**30])).astype(dtype)
    q, r, rest = run(a)
    assert_factors(a * a.dtype.type(2) ** 40, q, r * a.dtype.type(2) ** 40, rest)


def test_a_stack_with_a_nan() -> None:
    a = matrix(3, 4, 2)
    a[1, 2, 0] = np.nan
    q, r, _ = run(a)
    assert np.isnan(q[1]).any()
    assert np.isnan(r[1, 0, 0])
    for k in (0, 2):
        np.testing.assert_allclose(q[k] @ r[k], a[k], rtol=0, atol=1e-14)


def test_infinities_give_nan() -> None:
    a = matrix(3, 3)
    a[1, 0] = np.inf
    values: Any = run(a)[1]
    assert np.isnan(values).any()
