"""Sums and products so far along axes of symbolic size: one kernel for all, the same numbers as of fixed sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
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


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("modes", ["reverse", "forward", "second"])
@pytest.mark.parametrize("name", ["product so far", "product", "product of all"])
def test_derivatives_of_products(name: str, modes: str, backend: str) -> None:
    """Exact where elements are 0, one of them or more."""
    function = {"product so far": np.cumprod, "product": np.prod, "product of all": lambda x, axis: np.prod(x)}[name]

    def total(x: Any) -> Any:
        return np.sum(np.sin(function(x, axis=0)))

    def derivative(x: Any) -> Any:
        if modes == "forward":
            return gradc.jvp(total, (x,), (np.cos(x),))[1]
        return gradc.grad(total)(x) if modes == "reverse" else gradc.hvp(total, (x,), (np.cos(x),))

    compiled = gradc.jit(derivative, backend=backend)
    kernel = compiled.compile(gradc.aval("f64[n,2]"))
    for n, zeros in ((0, []), (1, []), (2, [1]), (5, [1, 3]), (40, [])):
        x = np.random.default_rng(n).uniform(0.5, 1.5, (n, 2))
        x[zeros, 0] = 0.0
        np.testing.assert_allclose(kernel(x), compiled(x), rtol=1e-11, atol=1e-14)


def test_the_derivative_of_a_complex_product_of_any_size() -> None:
    """Exact at 0, as of a size that is known."""
    gradient = gradc.grad(lambda z: np.real(np.prod(z)), backend="numpy")
    kernel = gradient.compile(gradc.aval("c128[n]"))
    for z in (np.zeros(0, complex), np.array([2 + 1j]), np.array([1j, 0, 3 - 1j, 2]), np.arange(9) - 4j):
        np.testing.assert_allclose(kernel(z), gradient(z), rtol=1e-13)


def test_derivatives_of_products_so_far() -> None:
    x = np.array([0.5, 2.0, 1.5])
    assert gradc.grad(lambda x: np.sum(np.cumprod(x)))(x).tolist() == [1 + 2 + 3, 0.5 + 0.75, 1.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_products_of_factors_alone_do_not_overflow(backend: str) -> None:
    """The product of two factors overflows, all products so far are finite."""
    x, first = np.array([1e-300, 1e200, 1e200, 1e-300]), np.array([1.0, 0.0, 0.0, 0.0])
    assert gradc.grad(lambda x: np.sum(first * np.cumprod(x)), backend=backend)(x).tolist() == first.tolist()
