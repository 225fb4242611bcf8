"""Positions and histograms of several dimensions: what is outside, and what is refused."""

from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import IndexBoundsError, ShapeError, TraceError

PLACES = np.array([0, 5, 11, 7])


@pytest.mark.parametrize("backend", ["llvm", "numpy", "reference"])
@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda i: np.unravel_index(i, (3, 3)), "index 3 is out of bounds for axis 0 with size 3"),
        (lambda i: np.unravel_index(i - 1, (3, 4))[1], "index 4 is out of bounds for axis 0 with size 4"),
        (lambda i: np.ravel_multi_index((i, i), (9, 20)), "index 11 is out of bounds for axis 0 with size 9"),
        (lambda i: np.ravel_multi_index((i, i - 1), (12, 20)), "index 20 is out of bounds for axis 0 with size 20"),
    ],
)
def test_positions_outside_are_an_error_where_they_run(function: Any, told: str, backend: str) -> None:
    with pytest.raises((IndexBoundsError, IndexError), match=told):
        gradc.jit(function, backend=backend)(PLACES)


def test_points_that_are_no_numbers_are_in_no_box() -> None:
    x, w = np.array([0.1, np.nan, 0.9, 2.0, 0.2]), np.array([1.0, 2.0, np.nan, np.inf, 4.0])
    edges = np.array([0.0, 0.5, 1.0, 2.0])
    found = gradc.jit(lambda x, w: np.histogram2d(x, x, bins=edges, weights=w)[0])(x, w)
    np.testing.assert_array_equal(found, np.histogram2d(x, x, bins=edges, weights=w)[0])


def test_ten_bins_are_the_default() -> None:
    points = np.random.default_rng(0).normal(size=(20, 1))
    found, edges = gradc.jit(lambda x: np.histogramdd(x))(points)
    expected, (wanted,) = np.histogramdd(points)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(edges[0], wanted, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    ("function", "error", "told"),
    [
        (lambda x: np.unravel_index(x, (3, 4)), TraceError, "must be integers"),
        (lambda x: np.unravel_index(np.argmax(x), (3, 4), order="A"), TraceError, "order='A' is none of 'C', 'F'"),
        (lambda x: np.ravel_multi_index((np.argmax(x),), (3, 4)), ShapeError, "1 positions and 2 modes for 2 axes"),
        (lambda x: np.ravel_multi_index((np.argmax(x),), (3,), mode="x"), TraceError, "mode='x' is none of"),
        (lambda x: np.histogramdd(x, bins=[1, 2]), ShapeError, "bins for 2 and ranges for 1 of 1 coordinates"),
        (lambda x: np.histogram2d(x, x, bins=np.argmax(x)), TraceError, "has to be an int that is known"),
        (lambda x: np.histogram2d(x, x, bins=[2.5, 2.5]), TraceError, "has to be an int that is known"),
    ],
)
def test_what_is_refused(function: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        gradc.jit(function)(np.array([0.5, 1.5, -0.5]))
