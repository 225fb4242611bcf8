"""True and False as indices, which NumPy takes for masks of no axis: values, writes, memory, derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradc
from gradc.request import BACKENDS

X = np.arange(12.0).reshape(3, 4) - 4
INDICES: tuple[Any, ...] = (
    True, False, np.True_, np.array(False), (True,), (None, True), (False, None), (True, 0), (0, True), (..., True),
    (True, ..., 1), (True, [0, 2]), ([0, 2], True, [1, 1]), (True, True), (True, False), (slice(1), True, 2),
    (0, slice(None), True), (True, slice(1, None)), (..., True, 1), (np.array([True, False, True]), True),
    (np.ones((3, 4), bool), True), (False, [0]), (None, True, None, 1), (slice(None), False, slice(None)),
)  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("index", INDICES, ids=str)
def test_reading(index: Any, backend: Any) -> None:
    expected = X[index]
    found = gradc.jit(lambda x: x[index] * 1.0, backend=backend)(X)
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("index", INDICES, ids=str)
def test_writing(index: Any, backend: Any) -> None:
    def written(x: Any, value: Any) -> Any:
        y, z, w = x.copy(), x.copy(), x.copy()
        y[index] = value
        z[index] += 2 * value
        w[index] = 7
        return y, z, w

    value = np.arange(X[index].size).reshape(X[index].shape) + 0.5
    for found, expected in zip(gradc.jit(written, backend=backend)(X, value), written(X, value), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("index", [True, (..., True), (None, True), (slice(1, None), True), (True, 0)], ids=str)
def test_what_is_read_is_a_copy(index: Any) -> None:
    def written(x: Any) -> Any:
        x = x.copy()
        y = x[index]
        y[...] = 9.0
        z = x[index]
        x[...] = 3.0
        return x, y, z

    for found, expected in zip(gradc.jit(written)(X), written(X), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_derivatives(index: Any) -> None:
    weights = np.arange(X[index].size).reshape(X[index].shape) + 1.0
    expected = np.zeros_like(X)
    np.add.at(expected, index, weights * 2 * X[index])
    found = gradc.grad(lambda x: np.sum(weights * x[index] ** 2))(X)
    np.testing.assert_allclose(found, expected)


def test_numbers() -> None:
    def function(x: Any) -> Any:
        return x[0, 0][True], x[0, 0][False], np.asarray(x[0, 0])[None, True]

    for found, expected in zip(gradc.jit(function)(X), function(X), strict=True):
        np.testing.assert_array_equal(found, expected)
