"""The incomplete beta functions: the distance to mpmath, edges, derivatives by x, and what is refused or NaN."""

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
    "tiny x": (_DRAW.uniform(0.3, 5, 20), _DRAW.uniform(0.3, 50, 20), 10 ** _DRAW.uniform(-30, -3, 20)),
}


@functools.cache
def exact(a: float, b: float, x: float) -> tuple[Any, Any]:
    with mpmath.workdps(40):
        first, second, place = mp.mpf(a), mp.mpf(b), mp.mpf(x)
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
            is_below = place * (first + second + 2) <= first - 1 if k == 0 else place * (first + second + 2) > first + 1
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


def test_what_has_not_settled_is_not_a_number() -> None:
    """Never a number that is wrong: near the mean of large orders NaN, far from it the value."""
    a, b, x = around_the_mean(np.full(300, 1e4), np.full(300, 1e4))
    found = gradc.jit(lambda a, b, x: scipy.special.betainc(a, b, x))(a, b, x)
    settled = ~np.isnan(found)
    assert 0 < settled.sum() < 300
    np.testing.assert_allclose(found[settled], scipy.special.betainc(a, b, x)[settled], rtol=1e-12)


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
