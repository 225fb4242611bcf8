"""A decomposition of which several parts are used is one call in the generated code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc

A = np.random.default_rng(5).normal(size=(4, 3))


def root(a: Any) -> Any:
    w, v = np.linalg.eigh(a.T @ a)
    return (v * np.sqrt(w)) @ v.T


def turned(a: Any) -> Any:
    w, v = np.linalg.eig(a.T @ a + np.eye(3) + 0.1 * np.eye(3, k=1))
    return ((v * np.sqrt(w)) @ np.linalg.inv(v)).real


def rebuilt(a: Any) -> Any:
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return (u * np.sin(s)) @ vh


def solved(a: Any) -> Any:
    q, r = np.linalg.qr(a)
    return np.linalg.solve(r, q.T)


def volume(a: Any) -> Any:
    sign, logarithm = np.linalg.slogdet(a.T @ a)
    return sign * logarithm


@pytest.mark.parametrize(
    ("function", "call"), [(root, "eigh"), (turned, "eig("), (rebuilt, "svd"), (solved, "qr"), (volume, "slogdet")]
)
def test_one_call(function: Callable[..., Any], call: str) -> None:
    kernel = gradc.jit(function, backend="numpy").compile(A)
    assert kernel.numpy_source.count("np.linalg." + call) == 1
    np.testing.assert_allclose(kernel(A), function(A), rtol=0, atol=1e-14)


@pytest.mark.parametrize("function", [root, turned, rebuilt, solved])
def test_gradients(function: Callable[..., Any]) -> None:
    """The reverse pass takes the parts that the forward pass has."""
    step = gradc.grad(lambda a: np.sum(np.tanh(function(a))))
    kernel = gradc.jit(step, backend="numpy").compile(A)
    assert sum(kernel.numpy_source.count("np.linalg." + call) for call in ("eigh", "eig(", "svd", "qr")) == 1
    np.testing.assert_allclose(kernel(A), gradc.jit(step)(A), rtol=0, atol=1e-12)


def test_values_alone_are_the_cheaper_call() -> None:
    kernel = gradc.jit(lambda a: np.linalg.svdvals(a), backend="numpy").compile(A)
    assert "compute_uv=False" in kernel.numpy_source
