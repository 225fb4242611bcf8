"""Integers to integer powers that are data: NumPy's values and dtypes, and its error for negative exponents."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import DomainError
from gradc.request import BACKENDS

BASES = np.array([[-3, 2, 0], [7, -1, 10]])
EXPONENTS = np.array([[3, 0, 0], [2, 5, 9]])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtypes", ["bb", "hi", "lq", "Bb", "ib", "?b", "bq"])
def test_values(dtypes: str, backend: Any) -> None:
    x, y = np.abs(BASES).astype(dtypes[0]), EXPONENTS.astype(dtypes[1])
    found, expected = gradc.jit(lambda x, y: x**y, backend=backend)(x, y), x**y
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_other_ways_to_write_them(backend: Any) -> None:
    def powers(x: Any, y: Any, n: Any) -> Any:
        z = x.copy()
        z **= y
        return np.power(x, y[0]), z, x**n, 2**y, np.power(x[0, 0], y[0, 0])

    found = gradc.jit(powers, backend=backend)(BASES, EXPONENTS, 4)
    for a, b in zip(found, powers(BASES, EXPONENTS, 4), strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("backend", BACKENDS)
def test_negative_exponents_raise_where_they_run(backend: Any) -> None:
    run = gradc.jit(lambda x, y: x**y, backend=backend)
    run(BASES, EXPONENTS)
    with pytest.raises(ValueError, match=r"(?i)integers to negative integer powers are not allowed"):
        run(BASES, EXPONENTS - 1)


def test_the_error_tells_the_line() -> None:
    run = gradc.jit(lambda x, y: x**y)
    with pytest.raises(DomainError, match=r"convert the base to float \(test_integer_powers.py:\d+: run"):
        run(BASES, -EXPONENTS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_negative_exponents_that_are_known_raise(backend: Any) -> None:
    for function in (lambda x: x**-1, lambda x: x ** np.array([1, -2, 0]), lambda x: x ** (np.zeros(3, int) - 1)):
        with pytest.raises(ValueError, match=r"(?i)integers to negative integer powers are not allowed"):
            gradc.jit(function, backend=backend)(BASES)


def test_saved_modules_raise_as_numpy(tmp_path: Path) -> None:
    path = tmp_path / "powers.py"
    gradc.jit(lambda x, y: x**y, name="powers").compile(BASES, EXPONENTS).save(path)
    powers = runpy.run_path(str(path))["powers"]
    np.testing.assert_array_equal(powers(BASES, EXPONENTS), BASES**EXPONENTS)
    with pytest.raises(ValueError, match="Integers to negative integer powers are not allowed"):
        powers(BASES, -EXPONENTS)


def test_exponents_of_floats_are_differentiated_beside_them() -> None:
    gradient = gradc.grad(lambda x, k: np.sum(x * 2**k + x**k))(np.array([2.0, 3.0]), np.array([1, 3]))
    np.testing.assert_array_equal(gradient, [2 + 1, 8 + 27])


def test_batches() -> None:
    found = gradc.vmap(lambda x, y: x**y)(BASES, EXPONENTS)
    np.testing.assert_array_equal(found, BASES**EXPONENTS)
