"""Numbers next to others and powers of two: NumPy's bits, of numbers of every size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradc
from gradc.request import BACKENDS

BITS = {"e": np.uint16, "f": np.uint32, "d": np.uint64}


def numbers(code: str) -> np.ndarray:
    """Patterns of bits, every power of two, the ends of the range, and what is next to 0, of both signs."""
    limits, pattern = np.finfo(code), BITS[code]
    drawn = np.random.default_rng(0).integers(0, np.iinfo(pattern).max, 2000, dtype=pattern, endpoint=True).view(code)
    powers = 2.0 ** np.arange(limits.minexp - limits.nmant, limits.maxexp).astype(np.longdouble)
    ends = [0.0, np.inf, np.nan, limits.max, limits.smallest_normal, 2 * limits.smallest_normal]
    x = np.concatenate([drawn, powers.astype(code), np.array(ends, code)])
    return np.concatenate([x, -x])


def assert_same_bits(actual: Any, expected: Any) -> None:
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
    there = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(actual[there]), np.signbit(expected[there]))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("code", BITS)
@np.errstate(all="ignore")
def test_neighbours(code: str, backend: str) -> None:
    x = numbers(code)
    step = gradc.jit(lambda x, y: np.nextafter(x, y), backend=backend)
    for towards in (np.inf, -np.inf, 0.0, np.nan):
        y = np.full(x.shape, towards, code)
        assert_same_bits(step(x, y), np.nextafter(x, y))
    assert_same_bits(step(x, x[::-1]), np.nextafter(x, x[::-1]))
    assert_same_bits(gradc.jit(lambda x: np.spacing(x), backend=backend)(x), np.spacing(x))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("code", BITS)
@np.errstate(all="ignore")
def test_powers_of_two(code: str, backend: str) -> None:
    x = numbers(code)
    for got, wanted in zip(gradc.jit(lambda x: np.frexp(x), backend=backend)(x), np.frexp(x), strict=True):
        assert_same_bits(got, wanted)
    exponents = np.resize(np.array([0, 1, -1, 3, -7], np.int32), x.shape)
    usual = np.isfinite(x) & (np.abs(x) > 2.0 ** (np.finfo(code).minexp + 8))
    found = gradc.jit(lambda x, k: np.ldexp(x, k), backend=backend)(x[usual], exponents[usual])
    assert_same_bits(found, np.ldexp(x[usual], exponents[usual]))


def test_slopes() -> None:
    x = np.array([0.75, -3.0, 8.0])
    assert gradc.grad(lambda x: np.sum(np.nextafter(x, np.inf) * [1.0, 2.0, 3.0]))(x).tolist() == [1, 2, 3]
    assert gradc.grad(lambda x: np.sum(np.frexp(x)[0]))(x).tolist() == [1, 0.25, 0.0625]
    assert gradc.grad(lambda x: np.sum(np.spacing(x) + x))(x).tolist() == [1, 1, 1]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["b", "B", "h", "H", "i", "I", "q", "Q"])
def test_common_divisors(dtype: str, backend: str) -> None:
    """Fibonacci's numbers take the most steps."""
    limits = np.iinfo(dtype)
    row = [0, 1]
    while row[-1] + row[-2] <= limits.max:
        row.append(row[-1] + row[-2])
    x = np.array([*row[:-1], 12, 0, 100, limits.max, limits.max], object)
    y = np.array([*row[1:], 18, 0, 0, 15, limits.max - 1], object)
    sign = -1 if limits.min < 0 else 1
    x, y = x.astype(dtype), (y * sign).astype(dtype)
    for ufunc in (np.gcd, np.lcm):
        found = gradc.jit(lambda x, y, of=ufunc: of(x, y), backend=backend)(x, y)
        assert found.dtype == ufunc(x, y).dtype
        np.testing.assert_array_equal(found, ufunc(x, y))


def test_the_steps_of_a_divisor_are_told_one_after_the_other() -> None:
    kernel = gradc.jit(lambda x: np.gcd(x, 12)).compile(np.arange(8))
    assert len(str(kernel.loops)) < 12_000
