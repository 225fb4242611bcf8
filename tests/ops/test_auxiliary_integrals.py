"""Dawson's function, erfi, sine, cosine and Fresnel integrals: the distance to mpmath, ends, slopes of any order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special
from mpmath import mp

import gradc
from gradc.request import BACKENDS

_DRAW = np.random.default_rng(31)
SMALL = 10 ** _DRAW.uniform(-300, -1, 30)


def dawson(x: Any) -> Any:
    if abs(x) > 1000:
        return (1 + 1 / (2 * x * x)) / (2 * x)
    return mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x)


def around(high: float, middle: float, far: float) -> np.ndarray:
    """Numbers of either sign up to ``high``, near the place where the forms change, small and large ones."""
    near = [_DRAW.uniform(-high, high, 150), _DRAW.uniform(-middle, middle, 100), middle + np.arange(-3, 4) * 1e-15]
    return np.concatenate([*near, SMALL, high * 10 ** _DRAW.uniform(0, far, 40)])


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], np.ndarray, float]] = {
    "dawsn": (lambda x: scipy.special.dawsn(x), dawson, around(12, 4, 280), 9),
    "erfi": (lambda x: scipy.special.erfi(x), mp.erfi, np.concatenate([around(26.6, 4, 0), [26.65, -26.64]]), 9),
    "Si": (lambda x: scipy.special.sici(x)[0], mp.si, around(30, 4, 12), 3),
    "S": (lambda x: scipy.special.fresnel(x)[0], mp.fresnels, around(10, 1.5, 12), 8),
    "C": (lambda x: scipy.special.fresnel(x)[1], mp.fresnelc, around(10, 1.5, 12), 7),
}
"""What is called, the meaning, arguments, and the bound in ULP."""


@pytest.fixture(autouse=True)
def many_digits() -> Any:
    with mpmath.workdps(50):
        yield


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b != "reference"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_distance_to_the_exact_value(name: str, dtype: Any, backend: Any) -> None:
    function, exact, x, bound = FUNCTIONS[name]
    narrow = dtype == np.float32
    if narrow:
        x = x[(np.abs(x) < (9.0 if name == "erfi" else 1e30)) & (np.abs(x) > 1e-9)].astype(np.float32)
    found = gradc.jit(function, backend=backend)(x)
    assert found.dtype == dtype
    for got, argument in zip(found, x, strict=True):
        wanted = exact(mp.mpf(float(argument)))
        unit = mp.mpf(float(np.spacing(dtype(abs(float(wanted))))))
        assert abs(mp.mpf(float(got)) - wanted) <= (0.51 if narrow else bound) * unit, f"{argument}: {got}"


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b != "reference"])
def test_the_cosine_integral_in_units_of_its_wave(backend: Any) -> None:
    """It has zeros: the unit is 2**-52 of itself, or of ``1 / x``, the size of the wave, from 1 on, and of 1 below."""
    x = np.abs(around(30, 4, 12))
    found = gradc.jit(lambda x: scipy.special.sici(x)[1], backend=backend)(x)
    for got, argument in zip(found, x, strict=True):
        wanted = mp.ci(mp.mpf(float(argument)))
        unit = mp.mpf(2) ** -52 * max(abs(wanted), 1 / mp.mpf(max(float(argument), 1.0)))
        assert abs(mp.mpf(float(got)) - wanted) <= 10 * unit, f"{argument}: {got}"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@np.errstate(all="ignore")
def test_ends(dtype: Any, backend: Any) -> None:
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 27.5, -30.0, 1e30, -1e30]).astype(dtype)
    for function in (
        lambda x: (scipy.special.dawsn(x), scipy.special.erfi(x)),
        lambda x: scipy.special.sici(x),
        lambda x: scipy.special.fresnel(x),
    ):
        for found, expected in zip(gradc.jit(function, backend=backend)(x), function(x), strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=1e-13 if dtype == np.float64 else 3e-7, atol=1e-29)
            finite = ~np.isnan(expected) & (np.abs(expected) > 1e-29)
            np.testing.assert_array_equal(np.signbit(found)[finite], np.signbit(expected)[finite])
    odd = gradc.jit(lambda x: (scipy.special.dawsn(x), scipy.special.erfi(x), scipy.special.fresnel(x)[0]))(x[:2])
    for found in odd:
        np.testing.assert_array_equal(np.signbit(found), [False, True])


ORDERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "dawsn": (lambda x: scipy.special.dawsn(x), dawson),
    "erfi": (lambda x: scipy.special.erfi(x), mp.erfi),
    "Si": (lambda x: scipy.special.sici(x)[0], mp.si),
    "Ci": (lambda x: scipy.special.sici(x)[1], lambda x: mp.ci(abs(x))),
    "S": (lambda x: scipy.special.fresnel(x)[0], mp.fresnels),
    "C": (lambda x: scipy.special.fresnel(x)[1], mp.fresnelc),
}


@pytest.mark.parametrize("name", ORDERS)
def test_slopes(name: str) -> None:
    function, exact = ORDERS[name]
    first = gradc.grad(function)
    third = gradc.grad(gradc.grad(first))
    for x in (0.0, 0.3, -0.9, 1.0, 1.7, -2.5, 4.5):
        if name == "Ci" and x == 0.0:
            assert first(x) == np.inf
            continue
        at = mp.mpf(x)
        assert first(x) == pytest.approx(float(mp.diff(exact, at, 1, h=mp.mpf(10) ** -15)), rel=1e-13, abs=1e-14)
        assert third(x) == pytest.approx(float(mp.diff(exact, at, 3, h=mp.mpf(10) ** -11)), rel=1e-10, abs=1e-11)
