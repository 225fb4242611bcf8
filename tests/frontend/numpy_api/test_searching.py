"""Searching in sorted tables, short ones and those that are bisected."""

from __future__ import annotations

import numpy as np
import pytest

import gradc
from gradc.request import BACKENDS

SIZES = (0, 1, 2, 63, 64, 65, 100, 127, 128, 129, 1000)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("size", SIZES)
def test_positions_are_those_of_numpy(size: int, side: str, backend: str) -> None:
    """Of ties, infinities and NaN, which stand behind everything, and of integers."""
    draw = np.random.default_rng(size)
    table = np.sort(draw.integers(-20, 20, size)).astype(float)
    if size > 8:
        table[:2], table[-5:-3], table[-3:] = -np.inf, np.inf, np.nan
    wanted = np.concatenate([draw.integers(-22, 22, 60) / 2, table[:9], [np.inf, -np.inf, np.nan, -0.0]])
    step = gradc.jit(lambda a, v: np.searchsorted(a, v, side=side), backend=backend)
    np.testing.assert_array_equal(step(table, wanted), np.searchsorted(table, wanted, side=side))
    whole = np.sort(draw.integers(-9, 9, size))
    np.testing.assert_array_equal(
        step(whole, np.arange(-10, 11)), np.searchsorted(whole, np.arange(-10, 11), side=side)
    )
    found = gradc.jit(lambda a, v: np.searchsorted(a, v.reshape(3, 7)), backend=backend)(whole, np.arange(-10, 11))
    assert found.dtype == np.int64
    assert found.shape == (3, 7)


@pytest.mark.parametrize("backend", BACKENDS)
def test_lines_between_many_points(backend: str) -> None:
    draw = np.random.default_rng(0)
    xp, fp, x = np.sort(draw.normal(size=300)), draw.normal(size=300), draw.normal(size=50)
    interp = gradc.jit(lambda x, xp, fp: np.interp(x, xp, fp), backend=backend)
    np.testing.assert_allclose(interp(x, xp, fp), np.interp(x, xp, fp), rtol=1e-13)
    slopes = gradc.grad(lambda x, xp, fp: np.sum(np.interp(x, xp, fp)), wrt=("x", "fp"), backend=backend)(x, xp, fp)
    at = np.clip(np.searchsorted(xp, x, "right") - 1, 0, 298)
    inside = (x > xp[0]) & (x < xp[-1])
    steep = np.where(inside, (fp[at + 1] - fp[at]) / (xp[at + 1] - xp[at]), 0.0)
    np.testing.assert_allclose(slopes[0], steep, rtol=1e-12)
    np.testing.assert_allclose(np.sum(slopes[1]), len(x), rtol=1e-12)


def test_a_bisection_compares_as_often_as_a_size_has_bits() -> None:
    kernel = gradc.jit(lambda a, v: np.searchsorted(a, v)).compile(np.zeros(1000), np.zeros(7))
    assert sum(node.op.name == "gather" for node in kernel.graph.nodes) == 10
