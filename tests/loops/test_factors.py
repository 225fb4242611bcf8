"""Factors and systems as loops and blocks: sizes around a panel's, layouts, dtypes, singular matrices."""

from __future__ import annotations

import itertools
import math
import re
from fractions import Fraction
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
from gradc.loops.algebra.panels import SINGLE, Panels
from gradc.loops.language.verify import verify
from gradc.loops.lowering.lower import lower
from gradc.ops.determinants import cofactors, det, det_sign, log_abs_det
from gradc.ops.linalg import cholesky, triangular_solve
from gradc.ops.shape import slice_, transpose
from gradc.ops.systems import inverse, solve

SIZES = (1, 3, 5, SINGLE, SINGLE + 1, 3 * SINGLE + 5)


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


@pytest.mark.parametrize("size", [3, 2 * SINGLE])
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


def square(size: int, dtype: str = "f8") -> np.ndarray:
    """A matrix that needs its rows exchanged."""
    return np.random.default_rng(size + 100).normal(size=(size, size)).astype(dtype)


@pytest.mark.parametrize("size", SIZES)
def test_panels_hold_the_matrix(size: int) -> None:
    layout = Panels.of(size)
    assert layout.rows >= size
    assert layout.rows - size < layout.width
    assert layout.count == 1 or layout.width % 8 == 0


@pytest.mark.parametrize("columns", [None, 1, 3, 40, 70])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_systems_with_any_matrix(size: int, transposed: bool, columns: int | None) -> None:
    a = square(size)
    b = np.random.default_rng(1).normal(size=(size,) if columns is None else (size, columns))
    x = run(lambda a, b: solve(a, b, transposed=transposed), a, b)
    matrix = a.T if transposed else a
    residual = np.abs(matrix @ x - b).max()
    assert residual <= 64 * size * np.finfo(float).eps * np.abs(a).max() * np.abs(x).max()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", SIZES)
def test_inverses_and_determinants(size: int, dtype: str) -> None:
    a = square(size, dtype) / np.sqrt(np.array(size, dtype))
    wide = a.astype(float)
    condition = np.linalg.cond(wide)
    bound = 16 * size * np.finfo(dtype).eps * condition
    inverted = run(lambda a: inverse(a, strict=True), a)
    expected = np.linalg.inv(wide)
    assert np.abs(inverted - expected).max() <= bound * np.abs(expected).max()
    value = np.linalg.det(wide)
    assert abs(run(det, a) - value) <= bound * abs(value)
    assert run(det_sign, a) == np.sign(value)
    assert abs(run(log_abs_det, a) - np.log(abs(value))) <= bound
    derivative = value * expected.T
    assert np.abs(run(cofactors, a) - derivative).max() <= bound * np.abs(derivative).max()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_determinants_whose_parts_leave_the_range(scale: float) -> None:
    """The product of the first pivots overflows, or loses its digits, where that of all does not."""
    diagonal = np.concatenate([np.full(11, scale), np.full(11, 1 / scale), [3.0]])
    np.testing.assert_allclose(run(det, np.diag(diagonal)), 3.0, rtol=1e-12)


@pytest.mark.parametrize(
    "diagonal",
    [(1e200, 1e-200), (1e200, 1e200, 1e-300), (1e-300, 1e160, 1e160, 1e160), (1e-300, 1e-200, 1e150, 1e150),
     (1e300, 1e-160, 1e-160, 1e-160), (1e200, 1e200, 1e-200, 1e-200), (1e-200, 1e-200, 1e-200, 1e-200)],
)  # fmt: skip
def test_determinants_of_few_rows_stay_in_range(diagonal: tuple[float, ...]) -> None:
    """In whatever order the pivots come, no part of the product leaves the range unless the whole does."""
    expected = float(math.prod(map(Fraction, diagonal)))
    stack = np.stack([np.diag(order) for order in itertools.permutations(diagonal)])
    np.testing.assert_allclose(run(det, stack), expected, rtol=1e-14)


def test_a_subnormal_pivot() -> None:
    """Its reciprocal is infinite: the column below it is scaled otherwise."""
    a, b = np.eye(6), np.ones(6)
    a[:2, :2], b[:2] = [[4e-310, 0.0], [1e-310, 2.0]], [4e-310, 2.25]
    for size in (2, 6):
        x = run(lambda a, b: solve(a, b, transposed=False), a[:size, :size].copy(), b[:size])
        np.testing.assert_allclose(x[:2], [1.0, 1.125])


@pytest.mark.parametrize("size", [2, SINGLE + 1])
def test_the_first_of_the_largest_is_the_pivot(size: int) -> None:
    """Ties go to the first row, so that no row is exchanged and the sign is that of an unchanged order."""
    a = np.tril(np.where(np.arange(size) % 2, -1.0, 1.0) * np.ones((size, size)))
    assert run(det_sign, a) == np.sign(np.prod(np.diag(a)))


def dependent(size: int, rank: int) -> np.ndarray:
    """A matrix of integers of a smaller rank, its first column 0."""
    rng = np.random.default_rng(size)
    a = rng.integers(-3, 4, (size, rank)) @ rng.integers(-3, 4, (rank, size))
    a[:, 0] = 0
    return a.astype(float)


@pytest.mark.parametrize("size", [2, 5, SINGLE + 1])
def test_singular_matrices(size: int) -> None:
    a, b = dependent(size, size), np.ones(size)
    for transposed in (False, True):
        with pytest.raises(MatrixError, match="solve: the matrix is singular"):
            run(lambda a, b, transposed=transposed: solve(a, b, transposed=transposed), a, b)
    with pytest.raises(MatrixError, match="inverse: the matrix is singular"):
        run(lambda a: inverse(a, strict=True), a)
    with pytest.raises(MatrixError, match="triangular_solve: the matrix is singular"):
        run(lambda a, b: triangular_solve(a, b, transposed=False), a, b)
    assert np.isnan(run(lambda a: inverse(a, strict=False), a)).all()
    assert run(det, a) == 0
    assert run(det_sign, a) == 0
    assert run(log_abs_det, a) == -np.inf


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("missing", [0, 1, 2])
@pytest.mark.parametrize("size", [2, 3, 4, 7, 20])
def test_cofactors_of_singular_matrices(size: int, missing: int, dtype: str) -> None:
    """Against the determinants of minors; they vanish where two rows depend on others."""
    a = dependent(size, max(size - missing, 1)).astype(dtype)
    minors = [
        [np.linalg.det(np.delete(np.delete(a.astype(float), i, 0), j, 1)) * (-1) ** (i + j) for j in range(size)]
        for i in range(size)
    ]
    scale = float(np.prod(np.sort(np.linalg.norm(a.astype(float), axis=0))[1:]))
    actual = run(cofactors, a)
    assert np.abs(actual - minors).max() <= 64 * size * np.finfo(dtype).eps * scale


def test_stacks_have_singular_matrices_of_their_own() -> None:
    a = np.stack([square(5), dependent(5, 5), square(5) + 1])
    inverted = run(lambda a: inverse(a, strict=False), a)
    assert np.isnan(inverted[1]).all()
    np.testing.assert_allclose(inverted[[0, 2]], np.linalg.inv(a[[0, 2]]), rtol=1e-12)
    assert run(det, a)[1] == 0
    with pytest.raises(MatrixError):
        run(lambda a: inverse(a, strict=True), a)


@pytest.mark.parametrize("size", [2, 5, SINGLE + 1])
def test_nan_in_a_matrix_gives_nan(size: int) -> None:
    a = square(size)
    a[size // 2, size // 2] = np.nan
    assert np.isnan(run(lambda a, b: solve(a, b, transposed=False), a, np.ones(size))).any()
    assert np.isnan(run(lambda a: inverse(a, strict=True), a)).any()
    assert np.isnan(run(det, a))
    assert np.isnan(run(log_abs_det, a))
    assert np.isnan(run(cofactors, a)).any()


def test_one_factorisation_serves_a_system_its_transpose_the_inverse_and_the_determinant() -> None:
    builder = Builder()
    a, b = (builder.input(name, aval_of(x)) for name, x in (("a", square(60)), ("b", np.ones(60))))
    mirrored = transpose(a, axes=(1, 0))
    outputs = [
        solve(a, b, transposed=False), solve(a, b, transposed=True), solve(mirrored, b, transposed=False),
        inverse(a, strict=True), det(a), log_abs_det(mirrored),
    ]  # fmt: skip
    program = lower(builder.freeze(outputs))
    verify(program)
    assert str(program).count("call lu_60_f64") == 1


def test_code_does_not_grow_with_the_matrix() -> None:
    def text(size: int) -> str:
        builder = Builder()
        a = builder.input("a", aval_of(np.ones((size, size))))
        return emit(lower(builder.freeze([inverse(a, strict=True)])), host())

    assert len(text(3000)) < 1.01 * len(text(400))


def weighed(cov: Any, data: Any) -> Any:
    factor = np.linalg.cholesky(cov)
    white = np.linalg.solve(factor, data)
    return np.sum(white**2) + 2 * np.sum(np.log(np.diagonal(factor)))


def test_small_factors_stand_once_under_their_names_and_are_checked_once() -> None:
    kernel = gradc.value_and_grad(weighed, wrt=("cov", "data")).compile(matrix(3), gradc.aval("f64[3,n]"))
    loops, source = str(kernel.loops), kernel.c_source
    assert "arena factor: f64[1,9]" in loops
    assert "arena white: f64[1,3,n]" in loops
    assert (loops.count("  check "), loops.count("message "), "require" in loops) == (2, 2, False)
    assert not re.search(r"[^_]\(n\)|!\(s\d+\)|!!", source)
    with pytest.raises(MatrixError, match="cholesky: the matrix is not positive definite"):
        kernel(-matrix(3), np.ones((3, 2)))


@pytest.mark.parametrize("result", [0, 1, 2])
def test_a_matrix_is_checked_whatever_is_asked_of_it(result: int) -> None:
    """One check serves all that is asked of a matrix."""

    def some(a: Any, b: Any) -> Any:
        found = np.linalg.inv(a), np.linalg.solve(a, np.ones(3)), np.linalg.inv(b)[2:]
        return found[result]

    kernel = gradc.jit(some).compile(matrix(3), matrix(3))
    with pytest.raises(MatrixError, match="the matrix is singular"):
        kernel(*[np.zeros((3, 3)), matrix(3)][:: 1 if result < 2 else -1])
    both = gradc.jit(lambda a, b: (np.linalg.inv(a), np.linalg.solve(a, np.ones(3)), np.linalg.inv(b)))
    for pair in ((np.zeros((3, 3)), matrix(3)), (matrix(3), np.zeros((3, 3)))):
        with pytest.raises(MatrixError, match="the matrix is singular"):
            both(*pair)
