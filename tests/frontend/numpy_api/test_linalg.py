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


@pytest.mark.parametrize(("order", "axis"), [("nuc", 0), (3, None), (0, None)])
def test_other_orders_are_refused(order, axis, traced, sample):
    with pytest.raises(TraceError, match=r"np\.linalg\.norm: ord="):
        traced(np.linalg.norm, sample(3, 4), order, axis)


@pytest.mark.parametrize("order", [0, 3, -1, 2.5, 0.5])
def test_other_norms_of_vectors(order, agrees, sample):
    agrees(np.linalg.norm, sample(3, 4), order, axis=1, ulp=8)
    agrees(np.linalg.norm, sample(5, dtype="f4"), order, ulp=8)


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


def test_stacks_of_cholesky_factors(agrees, sample):
    agrees(np.linalg.cholesky, np.stack([positive(sample, 3), 2 * positive(sample, 3)]), ulp=4)
    agrees(np.linalg.cholesky, sample(3))


def regular(sample, *shape, dtype=float):
    """Stacked matrices far from singular ones."""
    return (sample(*shape) + 3 * np.eye(shape[-1])).astype(dtype)


@pytest.mark.parametrize(
    ("matrix", "sides"),
    [
        ((3, 3), (3,)),
        ((3, 3), (3, 2)),
        ((3, 3), (4, 3, 2)),
        ((3, 3), (2, 4, 3, 2)),
        ((2, 3, 3), (3,)),
        ((2, 3, 3), (3, 2)),
        ((2, 3, 3), (2, 3, 1)),
        ((2, 1, 3, 3), (4, 3, 2)),
        ((0, 3, 3), (3,)),
        ((3, 3), (3, 0)),
        ((0, 0), (0,)),
        ((3, 3), (4,)),
        ((3, 3), (2, 3)),
        ((3, 2), (3,)),
        ((3,), (3,)),
        ((3, 3), ()),
        ((2, 3, 3), (3, 3, 1)),
    ],
)
def test_systems(matrix, sides, agrees, sample):
    """Shapes as in NumPy 2: a right-hand side is a vector where it has one axis."""
    a = regular(sample, *matrix) if matrix[-1:] == (3,) and len(matrix) > 1 else sample(*matrix)
    agrees(np.linalg.solve, a, sample(*sides), ulp=16)


def test_dtypes_of_systems(agrees, sample):
    for a, b in (("f4", "f4"), ("f4", "f8"), ("f8", "f4"), ("f4", "i4"), ("i4", "i4"), ("f2", "f8")):
        agrees(np.linalg.solve, regular(sample, 3, 3).astype(a), sample(3).astype(b), ulp=16)


def test_inverses_and_determinants(agrees, sample):
    for shape in ((3, 3), (2, 3, 3), (2, 2, 1, 1), (0, 2, 2), (0, 0), (2, 0, 0), (3, 2), (3,)):
        a = regular(sample, *shape) if len(shape) > 1 and shape[-1] == shape[-2] else sample(*shape)
        for dtype in ("f4", "f8"):
            agrees(np.linalg.inv, a.astype(dtype), ulp=16)
            agrees(np.linalg.det, a.astype(dtype), ulp=16)
            agrees(np.linalg.slogdet, a.astype(dtype), ulp=16)
    agrees(np.linalg.inv, np.array([[2, 1], [1, 1]]), ulp=16)
    agrees(np.linalg.det, np.array([[2, 1], [1, 1]]), ulp=16)
    agrees(np.linalg.det, np.array([[True, False], [True, True]]), ulp=16)


def test_the_pair_of_slogdet_has_names(bench, sample, same):
    a = -regular(sample, 3, 3)
    found = bench.call(np.linalg.slogdet, a)
    sign, size = bench.run(found.sign, found.logabsdet)
    same(sign, np.linalg.slogdet(a)[0])
    same(size, np.linalg.slogdet(a)[1], 16)


def test_singular_matrices(traced):
    with pytest.raises(MatrixError, match="inverse: the matrix is singular"):
        traced(np.linalg.inv, np.zeros((2, 2)))
    with pytest.raises(MatrixError, match="solve: the matrix is singular"):
        traced(np.linalg.solve, np.zeros((2, 2)), np.zeros(2))


@pytest.mark.parametrize("sides", [(3,), (3, 2), (2, 3, 2)])
@pytest.mark.parametrize("matrix", [(3, 3), (2, 3, 3)])
def test_gradients_of_systems(matrix, sides, gradient_agrees, sample):
    gradient_agrees(lambda bench, a, b: bench.call(np.linalg.solve, a, b), regular(sample, *matrix), sample(*sides))


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (5, 5), (2, 4, 4)])
def test_gradients_of_inverses_and_determinants(shape, gradient_agrees, sample):
    a = regular(sample, *shape)
    gradient_agrees(lambda bench, a: bench.call(np.linalg.inv, a), a)
    gradient_agrees(lambda bench, a: bench.call(np.linalg.det, a), a)
    gradient_agrees(lambda bench, a: bench.call(np.linalg.slogdet, a).logabsdet, a)


def test_gradient_of_a_gaussian_process(gradient_agrees, sample):
    a, y = positive(sample, 4), sample(4)

    def likelihood(bench, k, y):
        factor = bench.call(np.linalg.cholesky, k)
        z = bench.call(np.linalg.solve, factor, y)
        return bench.call(np.sum, bench.call(np.log, bench.call(np.diag, factor))) + bench.call(np.dot, z, z)

    gradient_agrees(likelihood, a, y)
