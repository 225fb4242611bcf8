"""Cholesky factors and triangular systems as loops and as blocks: sizes around the block's, layouts, dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradc
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.errors import MatrixError
from gradc.ir.aval import aval_of
from gradc.ir.graph import Builder, Value
from gradc.loops.lower import lower
from gradc.loops.triangular import LARGEST_BLOCK
from gradc.loops.verify import verify
from gradc.ops.linalg import cholesky, triangular_solve
from gradc.ops.shape import slice_, transpose

SIZES = (1, 2, LARGEST_BLOCK, LARGEST_BLOCK + 1, 3 * LARGEST_BLOCK + 5)


def run(function: Any, *arrays: np.ndarray) -> np.ndarray:
    builder = Builder()
    inputs = [builder.input(f"x{k}", aval_of(a)) for k, a in enumerate(arrays)]
    program = lower(builder.freeze([function(*inputs)]))
    verify(program)
    (result,) = load(emit(program, host()), program)(list(arrays))
    return result


def matrix(size: int, dtype: str = "f8") -> np.ndarray:
    x = np.random.default_rng(size).normal(size=(size, size))
    return (x @ x.T / size + np.eye(size)).astype(dtype)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", SIZES)
def test_factors(size: int, dtype: str) -> None:
    a = matrix(size, dtype)
    garbage = np.triu(np.full_like(a, np.nan), 1) + np.tril(a)  # the upper triangle is not read
    actual = run(cholesky, garbage)
    np.testing.assert_allclose(actual, np.linalg.cholesky(a), rtol=0, atol=64 * np.finfo(dtype).eps)
    assert not np.triu(actual, 1).any()


@pytest.mark.parametrize("columns", [0, 1, 3, 40])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_systems(size: int, transposed: bool, columns: int) -> None:
    factor = np.linalg.cholesky(matrix(size)) + np.triu(np.full((size, size), np.nan), 1)
    b = np.random.default_rng(1).normal(size=(size, columns))

    def solved(lower: Value, b: Value) -> Value:
        return triangular_solve(lower, b, transposed=transposed)

    lower_part = np.tril(factor)
    expected = np.linalg.solve(lower_part.T if transposed else lower_part, b)
    np.testing.assert_allclose(run(solved, factor, b), expected, rtol=0, atol=1e-12)


def test_operands_may_be_views() -> None:
    a, b = matrix(6), np.random.default_rng(2).normal(size=(2, 12))

    def solved(a: Value, b: Value) -> Value:
        part = slice_(a, starts=(5, 5), sizes=(4, 4), steps=(-1, -1))
        sides = transpose(slice_(b, starts=(0, 1), sizes=(2, 4), steps=(1, 2)), axes=(1, 0))
        return triangular_solve(cholesky(part), sides, transposed=False)

    part = a[:1:-1, :1:-1]
    expected = np.linalg.solve(np.linalg.cholesky(part), b[:, 1:9:2].T)
    np.testing.assert_allclose(run(solved, a, b), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("size", [3, 2 * LARGEST_BLOCK])
@pytest.mark.parametrize("last", [-1.0, 0.0, np.nan])
def test_a_matrix_that_is_not_positive_definite(size: int, last: float) -> None:
    a = np.eye(size)
    a[-1, -1] = last
    with pytest.raises(MatrixError, match="cholesky: the matrix is not positive definite"):
        run(cholesky, a)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_the_error_is_numpys(backend: str) -> None:
    factor = gradc.jit(lambda a: np.linalg.cholesky(a), backend=backend)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        factor(-np.eye(3))
