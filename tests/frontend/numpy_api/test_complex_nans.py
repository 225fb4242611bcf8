"""Complex numbers so far, in the middle, between bounds, and without NaN: NumPy's values by part, and derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc

BACKENDS = ("numpy", "llvm", "reference")
PARTS = (0.0, -0.0, 1.0, -2.0, np.nan)
GRID = np.array([complex(a, b) for a in PARTS for b in PARTS])
LOST = np.isnan(GRID)
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "cumprod": np.cumprod,
    "cumprod, rows": lambda z: np.cumprod(z, axis=0),
    "cumprod, method": lambda z: z.cumprod(axis=1),
    "cumulative_prod": lambda z: np.cumulative_prod(z, axis=1, include_initial=True),
    "multiply.accumulate": lambda z: np.multiply.accumulate(z, axis=1),
    "nancumprod": lambda z: np.nancumprod(z, axis=1),
    "nancumsum": np.nancumsum,
    "nansum": np.nansum,
    "nansum, rows": lambda z: np.nansum(z, axis=1, keepdims=True),
    "nanprod": lambda z: np.nanprod(z, axis=0),
    "nanmean": lambda z: np.nanmean(z, axis=0),
    "nanvar": lambda z: np.nanvar(z, axis=0, ddof=1),
    "nanstd": np.nanstd,
    "median": np.median,
    "median, rows": lambda z: np.median(z, axis=1, keepdims=True),
    "median, columns": lambda z: np.median(z[:3], axis=0),
    "nanmedian": lambda z: np.nanmedian(z, axis=1),
    "clip": lambda z: np.clip(z, -1.5, 0.5j),
    "clip, method": lambda z: z.clip(-1j, 1),
    "clip, below": lambda z: np.clip(z, 1j, None),
    "clip, above": lambda z: np.clip(z, None, z[0]),
    "clip of real numbers": lambda z: np.clip(z.real, -1j, 1.0),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values(name: str, dtype: Any, backend: Any) -> None:
    function = FUNCTIONS[name]
    compiled = gradc.jit(function, backend=backend)
    rng = np.random.default_rng(2)
    for z in (
        rng.choice(GRID, (4, 6)),
        rng.choice(GRID[~LOST], (4, 6)),
        rng.normal(size=(4, 6)) + 1j * rng.normal(size=(4, 6)),
        np.full((4, 6), complex(1, np.nan)),
    ):
        given = z.astype(dtype)
        expected, found = function(given), compiled(given)
        assert found.dtype == expected.dtype
        assert np.shape(found) == np.shape(expected)
        unit = float(np.finfo(dtype).eps)
        for part in (np.real, np.imag):
            np.testing.assert_allclose(part(found), part(expected), rtol=32 * unit, atol=8 * unit)


SMOOTH = ("cumprod", "cumprod, rows", "nancumprod", "nanprod", "nanmean", "nanvar", "median", "nanmedian", "clip")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_differences_of_both_parts(name: str, backend: Any) -> None:
    """Where an element is NaN and is left out, the derivative is 0."""
    function = FUNCTIONS[name]
    rng = np.random.default_rng(5)
    z = rng.normal(size=(3, 2)) + 1j * rng.normal(size=(3, 2))
    if "nan" in name:
        z[1, 0] = complex(np.nan, 2)
    w = rng.normal(size=np.shape(function(z))) + 0.5j

    def loss(z: Any) -> Any:
        return np.sum((function(z) * w).real)

    gradient = gradc.grad(loss, backend=backend)(z)
    h = 1e-6
    for k in np.ndindex(*z.shape):
        step = np.zeros(z.shape)
        step[k] = h
        by_re, by_im = ((loss(z + s * step) - loss(z - s * step)) / (2 * h) for s in (1, 1j))
        np.testing.assert_allclose(gradient[k], by_re - 1j * by_im, rtol=1e-6, atol=1e-8)


def test_zeros_in_products_have_exact_derivatives() -> None:
    z = np.array([2j, 0, 3 + 1j])
    gradient = gradc.grad(lambda z: np.cumprod(z)[-1].real)(z)
    np.testing.assert_array_equal(gradient, [0, 2j * (3 + 1j), 0])


def test_the_slope_at_an_edge_is_zero() -> None:
    z = np.array([1 + 1j, 0.5, 2j])
    gradient = gradc.grad(lambda z: np.sum(np.clip(z, 2j, 1 + 1j)).real)(z)
    np.testing.assert_array_equal(gradient, [0, 1, 0])
