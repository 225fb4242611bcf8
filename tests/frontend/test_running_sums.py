"""Sums and products so far along axes of symbolic size: one kernel for all, the same numbers as of fixed sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import DerivativeError
from gradc.request import BACKENDS

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sum": lambda x: np.cumsum(x, axis=0),
    "sum of rows": lambda x: np.cumsum(x, axis=1) * 2,
    "sum from behind": lambda x: np.cumsum(x[::-1], axis=0)[::-1],
    "sum of all": lambda x: np.cumsum(x) ** 2,
    "product": lambda x: np.cumprod(x, axis=1),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", ["f64[n,3]", "f64[2,n]", "f64[n,m]"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name: str, shape: str, backend: str) -> None:
    function = FUNCTIONS[name]
    kernel = gradc.jit(function, backend=backend).compile(gradc.aval(shape))
    for n in (0, 1, 2, 5, 40):
        x = np.random.default_rng(n).uniform(
            0.5, 1.5, {"f64[n,3]": (n, 3), "f64[2,n]": (2, n), "f64[n,m]": (n, n)}[shape]
        )
        np.testing.assert_allclose(kernel(x), function(x), rtol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "product"])
def test_gradients(name: str, backend: str) -> None:
    function = FUNCTIONS[name]
    gradient = gradc.grad(lambda x: np.sum(np.sin(function(x))), backend=backend)
    kernel = gradient.compile(gradc.aval("f64[n,3]"))
    for n in (0, 1, 6):
        x = np.random.default_rng(n).uniform(0.5, 1.5, (n, 3))
        np.testing.assert_allclose(kernel(x), gradient(x), rtol=1e-12)


def test_the_derivative_of_products_needs_a_size() -> None:
    with pytest.raises(DerivativeError, match="symbolic axis of f64\\[n\\] is not known; fix the size"):
        gradc.grad(lambda x: np.sum(np.cumprod(x))).compile(gradc.aval("f64[n]"))
    x = np.array([0.5, 2.0, 1.5])
    assert gradc.grad(lambda x: np.sum(np.cumprod(x)))(x).tolist() == [1 + 2 + 3, 0.5 + 0.75, 1.0]
