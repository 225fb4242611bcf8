"""``np.require`` in a trace, whose arrays share memory as NumPy's, and ``np.einsum_path``, which asks for shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import ShapeError

X = np.arange(6.0).reshape(2, 3)


def written(x: Any) -> Any:
    y = x * 1.0
    z = np.require(y)
    z[0] = 5.0  # the same array
    w = np.require(y, np.float32)
    w[1] = 7.0  # another one
    v = np.require(y, requirements=["A", "E"])
    v[1, 1] = 3.0
    return y, z, w, v, np.require([x[0, 0], 1]), np.require(x[0, 0], requirements="C").shape


def test_memory_is_shared_as_in_numpy() -> None:
    for found, expected in zip(gradc.jit(written)(X), written(X), strict=True):
        assert np.asarray(found).dtype == np.asarray(expected).dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("asked", ["C", "F", "W", ["O", "W"], ["C", "A"]])
def test_values(asked: Any) -> None:
    found = gradc.jit(lambda x: np.require(x.T, requirements=asked) * 2)(X)
    np.testing.assert_array_equal(found, X.T * 2)


def test_where_numpy_may_copy_or_not_a_write_is_refused() -> None:
    def write(x: Any) -> Any:
        y = x * 1.0
        z = np.require(y.T, requirements="W")
        z[0] = 1.0
        return y

    with pytest.raises(gradc.errors.TraceError):
        gradc.jit(write)(X)


def test_two_orders_at_once() -> None:
    with pytest.raises(ShapeError, match="at once"):
        gradc.jit(lambda x: np.require(x, requirements=["C", "F"]))(X)


def test_arrays_that_are_known() -> None:
    def function(x: Any) -> Any:
        y = np.require([1.0, 2.0, 3.0], requirements="C")
        y[0] = x[0, 0]
        return y + np.require(X[1])

    np.testing.assert_array_equal(gradc.jit(function)(X), function(X))


@pytest.mark.parametrize("optimize", ["greedy", "optimal", True])
def test_paths_of_contractions(optimize: Any) -> None:
    def function(x: Any, y: Any) -> Any:
        path, told = np.einsum_path("ij,jk,kl->il", x, y, x, optimize=optimize)
        seen.append((path, told))
        return np.einsum("ij,jk,kl->il", x, y, x, optimize=path)

    seen: list[Any] = []
    y = np.ones((3, 2))
    found = gradc.jit(function)(X, y)
    np.testing.assert_allclose(found, X @ y @ X)
    assert seen[0] == np.einsum_path("ij,jk,kl->il", X, y, X, optimize=optimize)


def test_paths_of_symbolic_sizes_are_refused() -> None:
    with pytest.raises(ShapeError, match="not all known"):
        gradc.jit(lambda x: np.einsum("ij,ij", x, x, optimize=np.einsum_path("ij,ij", x, x)[0])).compile(
            gradc.aval("f64[batch,3]")
        )
