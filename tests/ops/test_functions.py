"""Derivatives of the functions where they are choices, infinite, or easy to lose to overflow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

import gradc


def slopes(function: Any, *at: float, backend: str) -> list[float]:
    found = gradc.grad(function, wrt=tuple(range(len(at))), backend=backend)(*[np.float64(x) for x in at])
    return [float(x) for x in found]


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_slopes_at_kinks_and_poles(backend: str) -> None:
    with np.errstate(all="ignore"):
        assert slopes(lambda x, y: np.hypot(x, y), 0.0, 0.0, backend=backend) == [0.0, 0.0]
        assert np.isnan(slopes(lambda y, x: np.arctan2(y, x), 0.0, 0.0, backend=backend)).all()
        assert slopes(lambda x: np.cbrt(x), 0.0, backend=backend) == [np.inf]
        assert slopes(lambda x: np.arcsin(x), 1.0, backend=backend) == [np.inf]
        assert slopes(lambda x: np.arctanh(x), 1.0, backend=backend) == [np.inf]


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_slopes_of_large_and_small_arguments(backend: str) -> None:
    def close(found: list[float], expected: list[float]) -> None:
        np.testing.assert_allclose(found, expected, rtol=1e-15)

    close(slopes(lambda x, y: np.hypot(x, y), 3e200, 4e200, backend=backend), [0.6, 0.8])
    close(slopes(lambda x, y: np.hypot(x, y), 3e-200, 4e-200, backend=backend), [0.6, 0.8])
    close(slopes(lambda y, x: np.arctan2(y, x), 3e200, 4e200, backend=backend), [0.8 / 5e200, -0.6 / 5e200])
    close(slopes(lambda x: np.arcsinh(x), 1e200, backend=backend), [1e-200])
    close(slopes(lambda x: np.arccosh(x), 1e200, backend=backend), [1e-200])
    close(slopes(lambda x: np.cbrt(x), 1e300, backend=backend), [1e-200 / 3])


def test_the_program_of_polygamma_stays_small() -> None:
    def curvature(x: Any) -> Any:
        return np.sum(scipy.special.digamma(x))

    kernel = gradc.grad(curvature).compile(np.full(3, 2.5))
    assert len(str(kernel.loops)) < 50_000
    np.testing.assert_allclose(kernel(np.full(3, 2.5)), scipy.special.polygamma(1, np.full(3, 2.5)), rtol=1e-14)
