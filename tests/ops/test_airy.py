"""Airy's functions and their slopes: the distance to mpmath, edges, and derivatives of any order."""

from __future__ import annotations

import functools
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

import gradc
import gradc.ops.airy_tables
from gradc.errors import DtypeError
from gradc.ops.airy import AT_ZERO
from gradc.ops.helpers import helper_text
from gradc.request import BACKENDS

mp = mpmath.mp
_DRAW = np.random.default_rng(0)
PRESENT = [b for b in BACKENDS if b != "reference"]
RIGHT = np.concatenate(
    [_DRAW.uniform(0, 2, 60), _DRAW.uniform(2, 4, 40), _DRAW.uniform(4, 106, 80), 10 ** _DRAW.uniform(-300, 0, 20)]
)
LEFT = np.concatenate(
    [
        -_DRAW.uniform(0, 3, 60),
        -_DRAW.uniform(3, 60, 60),
        -(10 ** _DRAW.uniform(1.5, 8.42, 60)),
        [-2.338107410459767, -4.08794944413097, -1.173713222709128, -1.018792971647471],
    ]
)
"""The last ones are next to zeros."""


@pytest.fixture(autouse=True)
def fifty_digits() -> Any:
    with mpmath.workdps(50):
        yield


@functools.cache
def exact(k: int, x: float, scaled: bool = False) -> Any:
    """The function at this place of SciPy's tuple."""
    at = mp.mpf(x)
    value = (mp.airyai if k < 2 else mp.airybi)(at, derivative=k % 2)
    return value * mp.exp((1 if k < 2 else -1) * 2 * at * mp.sqrt(at) / 3) if scaled and x > 0 else value


def of_wave(k: int, x: float) -> Any:
    """The size of the wave left of 0, near 0 that of the value."""
    if x > -0.5:
        return abs(exact(k, x))
    root = mp.sqrt(mp.sqrt(-mp.mpf(x)))
    return (root if k % 2 else 1 / root) / mp.sqrt(mp.pi)


@pytest.mark.parametrize("backend", PRESENT)
@pytest.mark.parametrize("scaled", [False, True])
def test_values_right_of_zero_are_within_8_ulp(scaled: bool, backend: str) -> None:
    function = scipy.special.airye if scaled else scipy.special.airy
    x = np.concatenate([RIGHT, 10 ** _DRAW.uniform(2, 300, 20)]) if scaled else RIGHT
    for k, found in enumerate(gradc.jit(lambda x: function(x), backend=backend)(x)):
        for got, argument in zip(found, x, strict=True):
            if argument > 1e3:  # where mpmath has no digits left: the leading term (DLMF 9.7)
                root = mp.sqrt(mp.sqrt(mp.mpf(float(argument))))
                wanted = (-1 if k == 1 else 1) * (root if k % 2 else 1 / root) / mp.sqrt(mp.pi) / (2 if k < 2 else 1)
                assert abs(got / wanted - 1) < 1e-4
                continue
            wanted = exact(k, float(argument), scaled)
            if abs(wanted) > mp.mpf(2) ** 1024:
                assert got == np.inf
                continue
            unit = mp.mpf(float(np.spacing(np.abs(float(wanted)))))
            assert abs(mp.mpf(float(got)) - wanted) <= 8 * unit, f"{k} at {argument}: {got}"


@pytest.mark.parametrize("backend", PRESENT)
def test_waves_left_of_zero_are_within_5_units_of_their_size(backend: str) -> None:
    for k, found in enumerate(gradc.jit(lambda x: scipy.special.airy(x), backend=backend)(LEFT)):
        for got, argument in zip(found, LEFT, strict=True):
            error = abs(mp.mpf(float(got)) - exact(k, float(argument)))
            assert error <= 5 * 2.0**-52 * of_wave(k, float(argument)), f"{k} at {argument}: {got}"


@pytest.mark.parametrize("backend", BACKENDS)
def test_edges_and_single_precision(backend: str) -> None:
    x = np.array([0.0, -0.0, 104.0, 120.0, np.inf, np.nan, -np.inf, -1e9, 5e-324, -5e-324, 1e-5, 2.0, 4.0, -3.0])
    ai, slope, bi, bi_slope = gradc.jit(lambda x: scipy.special.airy(x), backend=backend)(x)
    for found, start in zip((ai, slope, bi, bi_slope), AT_ZERO.values(), strict=True):
        np.testing.assert_allclose(found[[0, 1, 8, 9]], start, rtol=5e-16)
    assert np.array_equal(ai[3:8], [0.0, 0.0, np.nan, 0.0, np.nan], equal_nan=True)
    assert np.array_equal(slope[3:8], [0.0, 0.0, np.nan, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(bi[3:8], [np.inf, np.inf, np.nan, 0.0, np.nan], equal_nan=True)
    assert np.array_equal(bi_slope[3:8], [np.inf, np.inf, np.nan, np.nan, np.nan], equal_nan=True)
    assert bi[2] == pytest.approx(float(exact(2, 104.0)), rel=2e-15)  # where SciPy has NaN
    scaled = gradc.jit(lambda x: scipy.special.airye(x), backend=backend)(x)
    assert [found[4] for found in scaled] == [0.0, -np.inf, 0.0, np.inf]
    assert all(np.isnan(found[[6, 7, 9, 13]]).all() for found in scaled[:2])
    for found, plain in zip(scaled[2:], (bi, bi_slope), strict=True):
        np.testing.assert_array_equal(found[[6, 7, 9, 13]], plain[[6, 7, 9, 13]])
    narrow = gradc.jit(lambda x: scipy.special.airy(x), backend=backend)(x.astype(np.float32))
    for found, wide in zip(narrow, (ai, slope, bi, bi_slope), strict=True):
        assert found.dtype == np.float32
        at = [0, 1, 5, 10, 11, 12, 13]
        np.testing.assert_allclose(found[at], wide[at], rtol=1e-6)


def derivative(k: int, order: int) -> Any:
    """By reverse and forward mode in turns."""
    found: Any = lambda x: scipy.special.airy(x)[k]  # noqa: E731
    for n in range(order):
        found = gradc.grad(found) if n % 2 == 0 else _forward(found)
    return found


def _forward(of: Any) -> Any:
    return lambda x: gradc.jvp(of, (x,), (np.ones_like(x),))[1]


@pytest.mark.parametrize("k", range(4))
def test_higher_derivatives(k: int) -> None:
    places = [-7.3, -2.0, 0.0, 0.4, 1.9, 3.9, 12.0]
    for order in (1, 2, 3, 4):
        found = gradc.jit(gradc.vmap(derivative(k, order)))(np.array(places))
        for got, x in zip(found, places, strict=True):
            of = mp.airyai if k < 2 else mp.airybi
            wanted = of(mp.mpf(x), derivative=k % 2 + order)
            assert abs(mp.mpf(float(got)) - wanted) <= 1e-13 * max(abs(wanted), abs(of(mp.mpf(x))), 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_slopes_at_the_ends(backend: str) -> None:
    x = np.array([np.inf, 1e300, 200.0])
    slopes = [
        gradc.jit(gradc.vmap(gradc.grad(lambda x, k=k: scipy.special.airy(x)[k])), backend=backend)(x) for k in range(4)
    ]
    np.testing.assert_array_equal(slopes[:2], np.zeros((2, 3)))
    np.testing.assert_array_equal(slopes[2:], np.full((2, 3), np.inf))


def test_slopes_of_the_scaled_ones() -> None:
    for k in range(4):
        places = [0.3, 1.9, 3.7, 20.0] + ([-1.0] if k > 1 else [])
        of = gradc.jit(gradc.vmap(gradc.grad(lambda x, k=k: scipy.special.airye(x)[k])))
        for got, x in zip(of(np.array(places)), places, strict=True):
            wanted = mp.diff(lambda t, k=k: exact_scaled(k, t), x, h=1e-12)
            terms = abs(exact(k, x, True)) * (1 + mp.sqrt(abs(x)))
            assert abs(got - wanted) <= 1e-11 * max(terms, abs(wanted)), (k, x, got, wanted)

    assert gradc.grad(lambda x: scipy.special.airye(x)[2])(0.0) == AT_ZERO["bi", True]


def exact_scaled(k: int, t: Any) -> Any:
    value = (mp.airyai if k < 2 else mp.airybi)(t, derivative=k % 2)
    return value * mp.exp((1 if k < 2 else -1) * 2 * t * mp.sqrt(t) / 3) if t > 0 else value


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(DtypeError, match=r"scipy\.special\.airy"):
        gradc.jit(lambda x: scipy.special.airy(x)[0])(1j)


def test_the_helpers_have_the_coefficients_of_the_fits() -> None:
    tables = {k: v for k, v in vars(gradc.ops.airy_tables).items() if isinstance(v, tuple)}
    for name, numbers in tables.items():
        home = "left" if name.endswith("LEFT") or len(name) == 1 else "decay" if name.startswith("AI") else "growth"
        assert [x for x in numbers if f" {x!r}," not in helper_text(f"_airy_{home}")] == []
