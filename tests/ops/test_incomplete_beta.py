"""The incomplete beta functions: the distance to mpmath, edges, derivatives by x, and what is refused."""

from __future__ import annotations

import functools
import math
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

import gradc
from gradc.errors import DerivativeError
from gradc.request import BACKENDS

mp = mpmath.mp
_DRAW = np.random.default_rng(4)


def around_the_mean(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    mean = a / (a + b)
    deviation = np.sqrt(mean * (1 - mean) / (a + b + 1))
    return a, b, np.clip(mean + deviation * _DRAW.uniform(-5, 5, a.size), 1e-9, 1 - 1e-9)


REGIONS = {
    "small": (10 ** _DRAW.uniform(-3, 0, 24), 10 ** _DRAW.uniform(-3, 0, 24), _DRAW.uniform(0, 1, 24)),
    "middle": (_DRAW.uniform(0.3, 10, 40), _DRAW.uniform(0.3, 10, 40), _DRAW.uniform(0, 1, 40)),
    "large": around_the_mean(10 ** _DRAW.uniform(1, 2.8, 24), 10 ** _DRAW.uniform(1, 2.8, 24)),
    "one large": around_the_mean(10 ** _DRAW.uniform(-1, 1, 16), 10 ** _DRAW.uniform(1, 4, 16)),
    "the other large": around_the_mean(10 ** _DRAW.uniform(1, 4, 16), 10 ** _DRAW.uniform(-1, 1, 16)),
    "both large": around_the_mean(10 ** _DRAW.uniform(2, 8, 40), 10 ** _DRAW.uniform(2, 8, 40)),
    "one small beyond its mean": (np.full(12, 0.25), 10 ** _DRAW.uniform(2.5, 8, 12), np.zeros(12)),
    "tiny x": (_DRAW.uniform(0.3, 5, 20), _DRAW.uniform(0.3, 50, 20), 10 ** _DRAW.uniform(-30, -3, 20)),
}
REGIONS["one small beyond its mean"][2][:] = _DRAW.uniform(1.2, 2.0, 12) / REGIONS["one small beyond its mean"][1]


def by_fraction(a: Any, b: Any, x: Any) -> Any:
    """The function up to the mean by its continued fraction (DLMF 8.17.22), until it stands."""
    found = numerator = mp.mpf(1)
    denominator = mp.mpf(0)
    for m in range(1, 10**6):
        half = m // 2
        top = half * (b - half) if m % 2 == 0 else -(a + half) * (a + b + half)
        factor = top * x / ((a + m - 1) * (a + m))
        denominator = 1 / (1 + factor * denominator)
        numerator = 1 + factor / numerator
        found *= numerator * denominator
        if abs(numerator * denominator - 1) < mp.mpf(10) ** -30:
            break
    return mp.exp(a * mp.log(x) + b * mp.log(1 - x) - mp.log(mp.beta(a, b))) / (a * found)


@functools.cache
def exact(a: float, b: float, x: float) -> tuple[Any, Any]:
    with mpmath.workdps(40):
        first, second, place = mp.mpf(a), mp.mpf(b), mp.mpf(x)
        if min(a, b) > 100:
            is_low = place * (first + second) < first
            part = by_fraction(first, second, place) if is_low else by_fraction(second, first, 1 - place)
            return (part, 1 - part) if is_low else (1 - part, part)
        return (
            mp.betainc(first, second, 0, place, regularized=True),
            mp.betainc(second, first, 0, 1 - place, regularized=True),
        )


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b != "reference"])
@pytest.mark.parametrize("region", REGIONS)
def test_distance_to_the_exact_value(region: str, backend: str) -> None:
    """Within 64 units of 2**-52, and that of itself, with 2 more for each unit of its logarithm, below the mean."""
    a, b, x = REGIONS[region]
    for k, function in enumerate((scipy.special.betainc, scipy.special.betaincc)):
        found = gradc.jit(lambda a, b, x, of=function: of(a, b, x), backend=backend)(a, b, x)
        for got, first, second, place in zip(found, a, b, x, strict=True):
            wanted = exact(float(first), float(second), float(place))[k]
            at = place * (first + second + 2)
            is_below = at <= first - 1 if k == 0 else at > max(first + 1, 1.75 if second > 50 else 0)
            bound = (64 - 2 * mp.log(wanted)) * wanted if is_below else mp.mpf(64)
            assert abs(mp.mpf(float(got)) - wanted) <= bound * 2.0**-52, (function, first, second, place, got)


@pytest.mark.parametrize("backend", BACKENDS)
@np.errstate(all="ignore")
def test_edges(backend: str) -> None:
    orders = [0.0, 1e-3, 0.5, 1.0, 2.0, 50.0, -1.0, np.inf, np.nan]
    places = [0.0, 1e-10, 0.3, 0.5, 1.0, -0.1, 1.1, np.nan]
    operands = [np.ravel(v) for v in np.meshgrid(orders, orders, places)]
    for function in (scipy.special.betainc, scipy.special.betaincc):
        for dtype, bound in ((np.float64, 1e-12), (np.float32, 1e-6)):
            given = [v.astype(dtype) for v in operands]
            found = gradc.jit(lambda a, b, x, of=function: of(a, b, x), backend=backend)(*given)
            assert found.dtype == dtype
            expected = function(*[v.astype(np.float64) for v in given]).astype(dtype)
            np.testing.assert_allclose(found, expected, rtol=bound)


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b != "reference"])
def test_all_orders_settle(backend: str) -> None:
    """No continued fraction is left that has not settled, whatever the orders and how far x is from the mean."""
    count = 20000
    least = 10 ** _DRAW.uniform(-3, 8, count)
    most = least * 10 ** (_DRAW.uniform(0, 1, count) ** 2 * 7)
    is_first = _DRAW.uniform(0, 1, count) < 0.5
    a, b = np.where(is_first, least, most), np.where(is_first, most, least)
    x = 1 / (
        1 + b / a * np.exp(_DRAW.uniform(-2, 2, count) * np.where(_DRAW.uniform(0, 1, count) < 0.5, 1, least**-0.5))
    )
    of = scipy.special
    below, above = gradc.jit(lambda a, b, x: (of.betainc(a, b, x), of.betaincc(a, b, x)), backend=backend)(a, b, x)
    np.testing.assert_array_equal(below + above, 1.0)
    np.testing.assert_allclose(below, of.betainc(a, b, x), rtol=0, atol=1e-12)


def test_orders_at_the_border_of_the_expansion() -> None:
    """Of 100 and more the bell, of less the fraction, and so from 1/4 of a deviation on."""
    of = scipy.special.betainc
    found = gradc.jit(lambda a, b, x: of(a, b, x))
    for a, b in ((100.0, 100.0), (99.9, 1e6), (100.0, 1e6), (1e6, 100.0), (1e100, 100.0), (1.1e100, 100.0)):
        for distance in (0.0, 0.1, 0.2, 0.3, -0.2, -0.3):
            mean = a / (a + b)
            x = mean + distance * mean * (1 - mean) if a < 1e50 else 1.0 - (1.0 - distance) * 100.0 / a
            assert found(a, b, x) == pytest.approx(float(of(a, b, x)), rel=3e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_students_distribution_of_many_degrees_of_freedom(backend: str) -> None:
    """At 0 it is 1/2; elsewhere within the bound of the incomplete beta function, of which it is one."""
    of = gradc.jit(lambda df, t: scipy.special.stdtr(df, t), backend=backend)
    slope = gradc.jit(gradc.grad(lambda df, t: scipy.special.stdtr(df, t), wrt=1), backend=backend)
    for df in (1000.0, 1400.0, 1e5, 1e9, 1e15):
        assert of(df, 0.0) == 0.5
        for t in (-9.0, -6.0, -1.0, -1e-9, 0.3, 2.0):
            with mpmath.workdps(60):
                order, place = mp.mpf(df), mp.mpf(t)
                size = mp.log(mp.beta(order / 2, mp.mpf(1) / 2)) + mp.log(order) / 2
                density = lambda s: mp.exp(-(order + 1) / 2 * mp.log1p(s * s / order) - size)  # noqa: E731, B023
                half = mp.quad(density, [0, abs(place) / 2, abs(place)])
                wanted = mp.mpf(1) / 2 + half if t > 0 else mp.mpf(1) / 2 - half
                bound = (64 - 2 * mp.log(wanted)) * 2.0**-52
                assert abs(mp.mpf(float(of(df, t))) / wanted - 1) <= bound
                assert abs(mp.mpf(float(slope(df, t))) / density(place) - 1) <= bound
    for df in (1400.0, 1e4):
        t = np.linspace(-3, 3, 601)
        np.testing.assert_allclose(of(np.full(601, df), t), scipy.special.stdtr(df, t), rtol=0, atol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_by_x_at_the_ends(backend: str) -> None:
    """The densities ``b (1 - x)**(b - 1)`` and so on, and their slopes, where x is 0 or 1."""
    slope = gradc.grad(lambda a, b, x: scipy.special.betainc(a, b, x), wrt=2, backend=backend)
    second = gradc.grad(gradc.grad(lambda a, b, x: scipy.special.betainc(a, b, x), wrt=2), wrt=2, backend=backend)
    for a, b, x, first_order, second_order in (
        (1.0, 3.0, 0.0, 3.0, -6.0),
        (3.0, 1.0, 1.0, 3.0, 6.0),
        (2.0, 2.0, 0.0, 0.0, 6.0),
        (2.0, 2.0, 1.0, 0.0, -6.0),
        (3.0, 2.0, 0.0, 0.0, 0.0),
        (0.5, 2.0, 0.0, np.inf, None),
        (2.0, 0.5, 1.0, np.inf, None),
    ):
        assert slope(a, b, x) == pytest.approx(first_order, rel=1e-14)
        if second_order is not None:
            assert second(a, b, x) == pytest.approx(second_order, rel=1e-13)
    small = slope(1e-20, 2.0, 0.5)
    assert small == pytest.approx(1e-20 * 2.0 * 0.5 / 2.0 * 2.0, rel=1e-13)
    large = slope(3e5, 2e5, 0.6)
    with mpmath.workdps(40):
        a, b, x = mp.mpf(3e5), mp.mpf(2e5), mp.mpf(0.6)
        density = mp.exp((a - 1) * mp.log(x) + (b - 1) * mp.log(1 - x) - mp.log(mp.beta(a, b)))
    assert math.isclose(large, float(density), rel_tol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_small_orders_and_the_smallest_places(backend: str) -> None:
    """Values stay between 0 and 1, though x is subnormal; densities of other x keep their digits."""
    of = scipy.special.betainc
    value = gradc.jit(lambda a, b, x: (of(a, b, x), scipy.special.betaincc(a, b, x)), backend=backend)
    slope = gradc.grad(lambda a, b, x: of(a, b, x), wrt=2, backend=backend)
    orders = [1e-100, 1e-8, 1e-3, 0.1, 2.5]
    for a in orders:
        for b in orders:
            for x in (5e-324, 1e-310, 1e-20, 1e-5, 0.3, 0.5, 0.9):
                with mpmath.workdps(150):
                    first, second, at = mp.mpf(a), mp.mpf(b), mp.mpf(x)
                    size = mp.beta(first, second)
                    wanted = (
                        at**first * (1 - at) ** second / (first * size) * mp.hyp2f1(1, first + second, first + 1, at)
                    )
                    density = float(at ** (first - 1) * (1 - at) ** (second - 1) / size)
                    rest = 1 - wanted
                below, above = value(a, b, x)
                assert 0.0 <= below <= 1.0
                assert 0.0 <= above <= 1.0
                if x > 5e-324 or a + b <= 1.0:  # the smallest number times 2.5 is twice of it
                    np.testing.assert_allclose([below, above], [float(wanted), float(rest)], rtol=0, atol=1e-14)
                if x > 1e-300 and density < 1e300:
                    assert slope(a, b, x) == pytest.approx(density, rel=5e-13, abs=1e-320)


def test_the_derivatives_by_the_orders_are_refused() -> None:
    of = scipy.special.betainc
    for wrt in (0, 1):
        with pytest.raises(DerivativeError, match=r"scipy.special.betainc: the derivatives by a and b are not known"):
            gradc.grad(lambda a, b, x: of(a, b, x), wrt=wrt)(2.0, 1.0, 0.5)
    fixed = gradc.grad(lambda a: of(gradc.stop_gradient(a), gradc.stop_gradient(a), a / 4.0))
    assert fixed(2.0) == pytest.approx(1.5 / 4.0, rel=1e-14)
