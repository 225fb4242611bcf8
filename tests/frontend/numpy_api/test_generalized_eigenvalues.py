"""``scipy.linalg.eigh`` of two matrices: the equation of each type, stacks, complex numbers, derivatives, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import gradc
from gradc.errors import MatrixError, ShapeError, TraceError
from gradc.request import BACKENDS


def hermitian(*shape: int, dtype: Any, definite: bool, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, *shape])
    a = rng.normal(size=shape) + (1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else 0)
    other = np.conj(np.swapaxes(a, -1, -2))
    return (a @ other + np.eye(shape[-1]) if definite else a + other).astype(dtype)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_the_equation(kind: int, dtype: Any, lower: bool, backend: Any) -> None:
    """With garbage in the triangles that are not read."""
    a, b = hermitian(5, 5, dtype=dtype, definite=False), hermitian(5, 5, dtype=dtype, definite=True)
    mask = np.tril(np.ones((5, 5), bool)) if lower else np.triu(np.ones((5, 5), bool))
    given = np.where(mask, a, 9), np.where(mask, b, 7)
    run = gradc.jit(lambda a, b: scipy.linalg.eigh(a, b, lower=lower, type=kind), backend=backend)
    values, vectors = run(*given)
    expected = scipy.linalg.eigh(a, b, type=kind, eigvals_only=True)
    unit = float(np.finfo(dtype).eps)
    assert values.dtype == expected.dtype
    assert vectors.dtype == dtype
    np.testing.assert_allclose(values, expected, rtol=0, atol=2000 * unit * np.abs(expected).max())
    left = {1: a @ vectors, 2: a @ b @ vectors, 3: b @ a @ vectors}[kind]
    right = (b @ vectors if kind == 1 else vectors) * values
    np.testing.assert_allclose(left, right, rtol=0, atol=2000 * unit * np.abs(left).max())
    scale = np.linalg.inv(b) if kind == 3 else b
    np.testing.assert_allclose(vectors.conj().T @ scale @ vectors, np.eye(5), rtol=0, atol=2000 * unit)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_derivatives(kind: int, dtype: Any, backend: Any) -> None:
    """Of what does not depend on signs and phases: values, and sizes of components, against differences."""
    a, b = hermitian(4, 4, dtype=dtype, definite=False), hermitian(4, 4, dtype=dtype, definite=True, seed=3)
    w = np.random.default_rng(2).normal(size=(5, 4))

    def loss(a: Any, b: Any) -> Any:
        values, vectors = scipy.linalg.eigh(a, b, type=kind)
        return np.sum(w[0] * values) + np.sum(w[1:] * np.abs(vectors) ** 2)

    found = gradc.grad(loss, wrt=(0, 1), backend=backend)(a, b)
    step = hermitian(4, 4, dtype=dtype, definite=False, seed=5)
    for k in range(2):
        pulled = np.sum(found[k] * np.tril(step)).real
        h = 1e-5
        moved = [loss(*(x + s * h * step if j == k else x for j, x in enumerate((a, b)))) for s in (1, -1)]
        np.testing.assert_allclose(pulled, (moved[0] - moved[1]) / (2 * h), rtol=1e-6)
        assert np.all(np.triu(found[k], 1) == 0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_stacks(backend: Any) -> None:
    a, b = (hermitian(3, 4, 4, dtype=float, definite=definite) for definite in (False, True))
    found = gradc.jit(lambda a, b: scipy.linalg.eigvalsh(a, b), backend=backend)(a, b)
    expected = np.stack([scipy.linalg.eigvalsh(x, y) for x, y in zip(a, b, strict=True)])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_refusals() -> None:
    a, b = (hermitian(3, 3, dtype=float, definite=definite) for definite in (False, True))
    with pytest.raises(MatrixError):
        gradc.jit(lambda a, b: scipy.linalg.eigh(a, -b))(a, b)
    with pytest.raises(ShapeError, match=r"f64\[3,3\] and f64\[2,2\] differ in shape"):
        gradc.jit(lambda a, b: scipy.linalg.eigh(a, b[:2, :2]))(a, b)
    with pytest.raises(TraceError, match="give b= too"):
        gradc.jit(lambda a: scipy.linalg.eigh(a, type=2))(a)
    with pytest.raises(TraceError, match="none of 1, 2, 3"):
        gradc.jit(lambda a, b: scipy.linalg.eigh(a, b, type=4))(a, b)
