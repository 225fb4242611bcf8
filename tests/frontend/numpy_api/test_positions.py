"""Sums so far, positions of extremes, triangles, borders."""

import numpy as np
import pytest

from gradc.errors import ShapeError, TraceError


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 9])
def test_cumsum(size, dtype, agrees, sample):
    for axis in (None, 0, -1, 2):
        agrees(np.cumsum, sample(2, size, dtype=dtype), axis=axis, ulp=8)
    agrees(np.cumsum, sample(size, dtype=dtype), dtype=np.float64, ulp=8)


def test_a_cumsum_of_infinities(agrees):
    agrees(np.cumsum, np.array([1, np.inf, 2, -np.inf, 3, np.nan, 4]))


@pytest.mark.parametrize("function", [np.argmax, np.argmin], ids=lambda f: f.__name__)
def test_positions_of_extremes(function, dtype, agrees, traced, sample):
    x = sample(3, 4, 5, dtype=dtype)
    for axis in (None, 0, -1, 3):
        for keepdims in (False, True):
            agrees(function, x, axis, keepdims=keepdims)
    agrees(function, np.array([1.0, np.nan, 3.0, np.nan]))
    with pytest.raises(ShapeError, match="no element"):
        traced(function, np.zeros((0, 2)), axis=0)


@pytest.mark.parametrize("k", [-4, -1, 0, 1, 5])
def test_triangles_and_diagonals(k, agrees, sample):
    for function in (np.tril, np.triu):
        agrees(function, sample(3, 4), k)
        agrees(function, sample(2, 4, 3, dtype=int), k)
        agrees(function, sample(3), k)
    agrees(np.diag, sample(3), k)
    agrees(np.diag, sample(0), k)
    agrees(np.diag, sample(3, 4), k)
    agrees(np.diag, sample(2, 3, 4), k)


def test_an_infinity_outside_the_triangle_is_gone(agrees):
    agrees(np.tril, np.full((2, 2), np.inf))


@pytest.mark.parametrize("width", [1, (1, 2), ((0, 1), (2, 0)), ((1,), (0,)), 0, -1, 1.5])
def test_pad(width, agrees, sample):
    agrees(np.pad, sample(2, 3), width)
    agrees(np.pad, sample(2, 3, dtype="f4"), width, constant_values=7)


MODES = (
    "edge", "linear_ramp", "maximum", "mean", "median", "minimum", "reflect", "symmetric", "wrap",
)  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", [1, (3, 7), ((2, 0), (5, 9)), ((0, 0), (0, 1))])
def test_borders_of_every_mode(mode, width, agrees, sample):
    agrees(np.pad, sample(2, 3), width, mode=mode, ulp=2)
    agrees(np.pad, sample(1, 4, dtype="f4"), width, mode=mode, ulp=2)
    agrees(np.pad, sample(3, 4, dtype=int), width, mode=mode)


def test_keywords_of_borders(agrees, traced, sample):
    x = sample(3, 4)
    for mode in ("reflect", "symmetric"):
        agrees(np.pad, x, ((5, 1), (2, 9)), mode=mode, reflect_type="odd", ulp=8)
    agrees(np.pad, x, 2, mode="linear_ramp", end_values=((1, 2), (3, 4)), ulp=4)
    agrees(np.pad, x, 2, mode="mean", stat_length=2, ulp=2)
    agrees(np.pad, x, 2, mode="maximum", stat_length=((1, 2), (3, 1)))
    agrees(np.pad, x, 1, constant_values=(1, 2))
    agrees(np.pad, x, {-1: (1, 2)})
    with pytest.raises(TraceError, match="takes no end_values"):
        traced(np.pad, x, 1, mode="edge", end_values=3)
    with pytest.raises(TraceError, match="none of constant"):
        traced(np.pad, x, 1, mode="mirror")
    with pytest.raises(ShapeError, match="no element along axis 0"):
        traced(np.pad, sample(0, 2), 1, mode="edge")


@pytest.mark.parametrize(
    ("function", "args"), [(np.cumsum, (1,)), (np.tril, ()), (np.triu, (1,)), (np.diag, ()), (np.pad, (2,))]
)
def test_gradients(function, args, gradient_agrees, sample):
    gradient_agrees(lambda bench, x: bench.call(function, x, *args), sample(3, 4))
