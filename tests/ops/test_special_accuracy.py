"""Special functions over their ranges: the distance to mpmath in units of the last place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

import gradc
from gradc.request import BACKENDS

mp = mpmath.mp
_DRAW = np.random.default_rng(0)


def both_sides(reach: float, low: float, high: float) -> np.ndarray:
    """Numbers up to a reach, and of every size."""
    return np.concatenate([_DRAW.uniform(-reach, reach, 150), 10 ** _DRAW.uniform(low, high, 100)])


def exact_erfcx(x: Any) -> Any:
    return mp.erfc(x) * mp.exp(x * x)


def exact_erfcinv(z: Any) -> Any:
    start = mp.mpf(min(float(scipy.special.erfcinv(float(z))), 27.2))
    return mp.findroot(lambda t: mp.log(mp.erfc(t) / z), start)


def exact_log_ndtr(x: Any) -> Any:
    return mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)


def exact_spence(z: Any) -> Any:
    return mp.polylog(2, 1 - z) if z < 2 else -mp.polylog(2, 1 - 1 / z) - mp.log(z) ** 2 / 2


CASES: dict[str, tuple[np.ndarray, Callable[[Any], Any], float]] = {
    "i0": (both_sides(60, -8, 2.8), lambda x: mp.besseli(0, x), 10),
    "i1": (both_sides(60, -8, 2.8), lambda x: mp.besseli(1, x), 10),
    "i0e": (both_sides(60, -8, 4), lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), 10),
    "i1e": (both_sides(60, -8, 4), lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), 10),
    "erfcx": (both_sides(5, -8, 4), exact_erfcx, 16),
    "erfinv": (np.concatenate([_DRAW.uniform(-1, 1, 150), 1 - 10 ** _DRAW.uniform(-15, -1, 50)]), mp.erfinv, 4),
    "erfcinv": (np.concatenate([_DRAW.uniform(0, 2, 100), 10 ** _DRAW.uniform(-300, -1, 100)]), exact_erfcinv, 4),
    "spence": (np.concatenate([_DRAW.uniform(0, 3, 150), 10 ** _DRAW.uniform(-300, 300, 100)]), exact_spence, 5),
    "exp1": (np.concatenate([_DRAW.uniform(0, 3, 100), 10 ** _DRAW.uniform(-300, 2.8, 100)]), mp.e1, 6),
    "expi": (
        np.concatenate(
            [_DRAW.uniform(-9, 0, 50), _DRAW.uniform(0.6, 20, 150), 10 ** _DRAW.uniform(-300, -1, 50), [711.0]]
        ),
        mp.ei,
        8,
    ),
    "log_ndtr": (np.concatenate([_DRAW.uniform(-60, 0, 150), -(10 ** _DRAW.uniform(-8, 9, 50))]), exact_log_ndtr, 2),
    "ndtri": (
        np.concatenate([_DRAW.uniform(0, 1, 100), 10 ** _DRAW.uniform(-300, -1, 50)]),
        lambda p: -mp.sqrt(2) * exact_erfcinv(2 * p),
        5,
    ),
}
"""Arguments, the meaning, and the bound in ULP; that of erfcx grows with the square of a negative argument."""

SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 2.0, np.inf, -np.inf, np.nan, 3.0])


@pytest.fixture(autouse=True)
def forty_digits() -> Any:
    with mpmath.workdps(40):
        yield


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b != "reference"])
@pytest.mark.parametrize("name", CASES)
def test_distance_to_the_exact_value(name: str, backend: str) -> None:
    x, exact, bound = CASES[name]
    function = getattr(scipy.special, name)
    found = gradc.jit(lambda x: function(x), backend=backend)(x)
    for got, argument in zip(found, x, strict=True):
        wanted = exact(mp.mpf(float(argument)))
        unit = mp.mpf(float(np.spacing(abs(float(wanted)))))
        assert abs(mp.mpf(float(got)) - wanted) <= bound * unit, f"{name}({argument}) = {got}"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CASES)
@np.errstate(all="ignore")
def test_special_values(name: str, backend: str) -> None:
    function = getattr(scipy.special, name)
    for dtype, bound in ((np.float64, 1e-14), (np.float32, 3e-7)):
        expected = function(SPECIAL.astype(dtype))
        found = gradc.jit(lambda x: function(x), backend=backend)(SPECIAL.astype(dtype))
        assert found.dtype == expected.dtype
        if name == "spence":
            expected[5] = -np.inf  # the limit, where SciPy has NaN
        if name in ("i0", "i1"):
            expected = np.where(np.isinf(SPECIAL), SPECIAL if name == "i1" else np.inf, expected)  # SciPy: inf / inf
        np.testing.assert_allclose(found, expected, rtol=bound, atol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_smallest_numbers_have_quantiles(backend: str) -> None:
    """Where numbers have few bits left; half of the smallest one is 0."""
    for z in (5e-324, 1e-322, 1e-310, 9e-302):
        for name, exact in (("erfcinv", exact_erfcinv), ("ndtri", lambda p: -mp.sqrt(2) * exact_erfcinv(2 * p))):
            function = getattr(scipy.special, name)
            found = gradc.jit(lambda x: function(x), backend=backend)(np.float64(z))  # noqa: B023 - traced at once
            with mp.workdps(40):
                assert float(found) == pytest.approx(float(exact(mp.mpf(z))), rel=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_slopes_of_log_ndtr(backend: str) -> None:
    """Those that cancel lose the square of the argument down to -12, and nothing below."""
    x = np.concatenate([_DRAW.uniform(-12, 3, 40), _DRAW.uniform(-60, -12, 40), [-1e6]])
    slope = gradc.grad(lambda x: scipy.special.log_ndtr(x))
    for order, function in ((1, slope), (2, gradc.grad(slope))):
        found = gradc.vmap(gradc.jit(function, backend=backend))(x)
        for got, argument in zip(found, x, strict=True):
            point = mp.mpf(float(argument))
            first = mp.npdf(point) / mp.ncdf(point)
            exact = first if order == 1 else -first * (point + first)
            lost = argument**2 if order == 2 and argument > -12 else 1
            assert abs(got - exact) <= 1e-15 * (1 + 3 * lost) * abs(exact), (order, argument)
    assert gradc.grad(slope)(np.inf) == 0
    assert gradc.grad(slope)(-np.inf) == -1


def test_expi_near_its_zero() -> None:
    """Right to the last bits of 1/2."""
    x = np.concatenate([_DRAW.uniform(0.3, 0.6, 50), 0.37250741078136663 + np.arange(-3, 4) * 2.0**-54])
    for backend in BACKENDS:
        found = gradc.jit(lambda x: scipy.special.expi(x), backend=backend)(x)
        for got, argument in zip(found, x, strict=True):
            assert abs(mp.mpf(float(got)) - mp.ei(mp.mpf(float(argument)))) <= 3 * 2.0**-53


def test_slopes_of_integrals() -> None:
    """Of the dilogarithm near 1, where its quotient is 0 over 0; at the ends; and of higher orders."""
    x = np.array([0.0, 0.5, 0.9, 1.0, 1.0 + 1e-9, 1.2, 5.0])
    slope = gradc.grad(lambda x: np.sum(scipy.special.spence(x)))
    expected = [float(mp.log(mp.mpf(v)) / (1 - mp.mpf(v))) if v not in (0.0, 1.0) else -1.0 for v in x]
    np.testing.assert_allclose(slope(x)[1:], expected[1:], rtol=1e-15)
    assert slope(x)[0] == -np.inf
    third = gradc.grad(gradc.grad(gradc.grad(lambda x: scipy.special.spence(x))))
    for at in (0.9, 1.0, 1.1, 1.13, 2.0):
        exact = mp.diff(lambda t: mp.log(t) / (1 - t) if t != 1 else mp.mpf(-1), mp.mpf(at) + mp.mpf(10) ** -25, 2)
        assert third(at) == pytest.approx(float(exact), rel=2e-13)
    assert gradc.grad(lambda x: scipy.special.exp1(x))(2.0) == pytest.approx(-np.exp(-2.0) / 2, rel=1e-15)
    assert gradc.grad(lambda x: scipy.special.expi(x))(-2.0) == pytest.approx(-np.exp(-2.0) / 2, rel=1e-15)


def test_np_i0_and_zeta() -> None:
    x = np.array([0.5, -3.0, 30.0])
    np.testing.assert_allclose(gradc.jit(lambda x: np.i0(x))(x), np.i0(x), rtol=1e-14)
    np.testing.assert_allclose(gradc.jit(lambda k: np.i0(k))(np.array([1, 2])), np.i0([1, 2]), rtol=1e-14)
    q = np.array([0.5, 1.0, 7.5])
    for order in (2, 3, 6):
        zeta = gradc.jit(lambda q, s=order: scipy.special.zeta(s, q))
        np.testing.assert_allclose(zeta(q), scipy.special.zeta(order, q), rtol=1e-13)
        slope = gradc.grad(lambda q, s=order: np.sum(scipy.special.zeta(s, q)))(q)
        np.testing.assert_allclose(slope, -order * scipy.special.zeta(order + 1, q), rtol=1e-13)


def test_slopes_of_bessel_functions_at_zero() -> None:
    functions = [getattr(scipy.special, name) for name in ("i0", "i1", "i0e", "i1e")]
    assert [gradc.grad(lambda x, of=of: of(x))(0.0) for of in functions] == [0.0, 0.5, 0.0, 0.5]
    assert gradc.grad(gradc.grad(lambda x: scipy.special.i0(x)))(0.0) == 0.5
    assert gradc.grad(gradc.grad(gradc.grad(lambda x: scipy.special.i1(x))))(0.0) == 0.375
