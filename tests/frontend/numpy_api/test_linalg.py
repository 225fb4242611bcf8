"""Norms, Cholesky factors and their systems, against NumPy's."""

import inspect

import numpy as np
import pytest

from gradc.errors import MatrixError, TraceError

INF = float("inf")


@pytest.mark.parametrize("keepdims", [False, True])
def test_norms(keepdims, agrees, sample):
    for order in (None, 1, 2, INF, -INF):
        agrees(np.linalg.norm, sample(4), order, keepdims=keepdims, ulp=4)
        agrees(np.linalg.norm, sample(2, 3, 4, dtype="f4"), order, axis=1, keepdims=keepdims, ulp=4)
    for order in (None, "fro", 1, -1, INF, -INF):
        for axis in ((0, 1), (2, 0), (-1, 1)):
            agrees(np.linalg.norm, sample(2, 3, 4), order, axis, keepdims, ulp=4)
        agrees(np.linalg.norm, sample(3, 4), order, keepdims=keepdims, ulp=4)
    agrees(np.linalg.norm, sample(2, 3, 4), keepdims=keepdims, ulp=4)
    agrees(np.linalg.norm, sample(3, 4, dtype=int), axis=0, keepdims=keepdims, ulp=4)


def test_wrong_axes(agrees, sample):
    agrees(np.linalg.norm, sample(2, 3, 4), 1)
    agrees(np.linalg.norm, sample(2, 3), axis=(0, 0))
    agrees(np.linalg.norm, sample(2, 3), axis=2)


@pytest.mark.parametrize(("order", "axis"), [(3, 0), (0, 0), ("nuc", None), (2, None)])
def test_other_orders_are_refused(order, axis, traced, sample):
    with pytest.raises(TraceError, match=r"np\.linalg\.norm: ord="):
        traced(np.linalg.norm, sample(3, 4), order, axis)


@pytest.mark.parametrize("order", [None, 1, INF, "fro"])
def test_gradients(order, gradient_agrees, sample):
    gradient_agrees(lambda bench, x: bench.call(np.linalg.norm, x, order, (0, 1)), sample(3, 4))


def positive(sample, n, dtype=float):
    x = sample(n, n)
    return (x @ x.T + n * np.eye(n)).astype(dtype)


def test_cholesky(agrees, sample):
    for dtype in ("f4", "f8"):
        agrees(np.linalg.cholesky, positive(sample, 4, dtype), ulp=4)
    agrees(np.linalg.cholesky, (8 * np.eye(3)).astype(int), ulp=4)
    agrees(np.linalg.cholesky, sample(2, 3))


def test_the_upper_factor(agrees, sample):
    if "upper" in inspect.signature(np.linalg.cholesky).parameters:  # since NumPy 2.0
        agrees(np.linalg.cholesky, np.triu(positive(sample, 4)), upper=True, ulp=4)


def test_a_matrix_that_is_not_positive_definite(traced):
    with pytest.raises(MatrixError, match="cholesky: the matrix is not positive definite"):
        traced(np.linalg.cholesky, np.array([[1.0, 2.0], [2.0, 1.0]]))


@pytest.mark.parametrize("shape", [(4,), (4, 2)])
def test_systems_with_factors(shape, bench, sample, same):
    a, b = positive(sample, 4), sample(*shape)
    factor = bench.call(np.linalg.cholesky, a)
    forward = bench.call(np.linalg.solve, factor, b)
    back = bench.call(np.linalg.solve, bench.call(np.transpose, factor), forward)
    x, y = bench.run(forward, back)
    same(x, np.linalg.solve(np.linalg.cholesky(a), b), 16)
    same(y, np.linalg.solve(a, b), 16)


def test_systems_with_other_matrices_are_refused(traced, sample):
    with pytest.raises(TraceError, match=r"np\.linalg\.solve: f64\[3,3\] is no factor of np\.linalg\.cholesky"):
        traced(np.linalg.solve, sample(3, 3), sample(3))
    with pytest.raises(TraceError, match=r"np\.linalg\.cholesky: f64\[2,3,3\] is not one matrix"):
        traced(np.linalg.cholesky, sample(2, 3, 3))


def test_gradient_of_a_gaussian_process(gradient_agrees, sample):
    a, y = positive(sample, 4), sample(4)

    def likelihood(bench, k, y):
        factor = bench.call(np.linalg.cholesky, k)
        z = bench.call(np.linalg.solve, factor, y)
        return bench.call(np.sum, bench.call(np.log, bench.call(np.diag, factor))) + bench.call(np.dot, z, z)

    gradient_agrees(likelihood, a, y)
