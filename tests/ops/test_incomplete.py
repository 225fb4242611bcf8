"""The incomplete gamma functions: the distance to mpmath, edges, derivatives by x, and the one that is refused."""

from __future__ import annotations

import functools
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

import gradc
import gradc.ops.incomplete_tables as tables
from gradc.errors import DerivativeError
from gradc.ops.helpers import helper_text
from gradc.request import BACKENDS

mp = mpmath.mp
_DRAW = np.random.default_rng(3)


def _around(a: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    return a, a * _DRAW.uniform(low, high, a.size)


def _near(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return a, a + np.sqrt(a) * _DRAW.uniform(-6, 6, a.size)


REGIONS = {
    "a below 1, x small": (10 ** _DRAW.uniform(-6, 0, 60), _DRAW.uniform(0, 2, 60)),
    "a below 1, x tiny": (10 ** _DRAW.uniform(-3, 0, 30), 10 ** _DRAW.uniform(-20, 0, 30)),
    "a below 1, x large": (_DRAW.uniform(0, 1, 40), _DRAW.uniform(1.4, 30, 40)),
    "a up to 30": _around(_DRAW.uniform(1, 30, 120), 0.0, 3.0),
    "a from 30 on": _around(_DRAW.uniform(30, 200, 80), 0.3, 2.0),
    "edges of the regions": (
        np.array([30, 30, 30, 30, 40, 40, 1, 1, 0.5, 0.7]),
        np.array([15, 39, 14.99, 39.01, 20, 52, 2, 1.99, 1.5, 1.7]),
    ),
    "large a": _near(10 ** _DRAW.uniform(2, 4, 25)),
}


@functools.cache
def exact(a: float, x: float) -> tuple[Any, Any]:
    with mpmath.workdps(40):
        first, second = mp.mpf(a), mp.mpf(x)
        return (
            mp.gammainc(first, 0, second, regularized=True),
            mp.gammainc(first, second, mp.inf, regularized=True),
        )


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b != "reference"])
@pytest.mark.parametrize("region", REGIONS)
def test_distance_to_the_exact_value(region: str, backend: str) -> None:
    """Within 64 units of 2**-52, and 2 more for each unit of the logarithm of the value."""
    a, x = REGIONS[region]
    for k, function in enumerate((scipy.special.gammainc, scipy.special.gammaincc)):
        found = gradc.jit(lambda a, x, of=function: of(a, x), backend=backend)(a, x)
        for got, first, second in zip(found, a, x, strict=True):
            wanted = exact(float(first), float(second))[k]
            bound = (64 - 2 * mp.log(wanted)) * 2.0**-52
            assert abs(mp.mpf(float(got)) / wanted - 1) <= bound, (function, first, second, got)


@pytest.mark.parametrize(("a", "deviations"), [(1e5, -6), (1e6, -5.5), (1e6, 3.5), (1e8, -5)])
def test_large_orders_far_from_the_middle(a: float, deviations: float) -> None:
    """The integral of the density; SciPy has 1.86e-7 for the last instead of 2.85e-7."""
    x = a + deviations * np.sqrt(a)
    with mpmath.workdps(30):
        order, end, step = mp.mpf(a), mp.mpf(float(x)), mp.sqrt(mp.mpf(a))
        sides = [end - 12 * step, end - 6 * step, end - 3 * step, end - step, end]
        if deviations > 0:
            sides = [2 * end - side for side in reversed(sides)]
        wanted = mp.quad(lambda t: mp.exp((order - 1) * mp.log(t) - t - mp.loggamma(order)), sides)
    of = scipy.special.gammainc if deviations < 0 else scipy.special.gammaincc
    assert gradc.jit(lambda a, x: of(a, x))(a, x) == pytest.approx(float(wanted), rel=1e-14)


EDGES = [0.0, 1e-310, 1e-20, 0.5, 1.0, 2.0, 30.0, 1e5, 1e300, np.inf, -1.0, -np.inf, np.nan]


@pytest.mark.parametrize("backend", BACKENDS)
@np.errstate(all="ignore")
def test_edges(backend: str) -> None:
    a, x = (np.ravel(v) for v in np.meshgrid(EDGES, EDGES))
    a, x = a[a != 1e-310], x[a != 1e-310]  # SciPy says 0 for what is nearly 1
    for function in (scipy.special.gammainc, scipy.special.gammaincc):
        for dtype, bound in ((np.float64, 1e-12), (np.float32, 1e-6)):
            operands = [v.astype(dtype) for v in (a, x)]
            found = gradc.jit(lambda a, x, of=function: of(a, x), backend=backend)(*operands)
            assert found.dtype == dtype
            expected = function(*[v.astype(np.float64) for v in operands]).astype(dtype)
            np.testing.assert_allclose(found, expected, rtol=bound, atol=1e-300)


@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_by_x(backend: str) -> None:
    """Densities, and theirs, at 0 too, where orders of 1, 2 and 3 have their limits."""
    x = np.array([0.0, 0.3, 2.0, 40.0])
    for a in (1.0, 2.0, 3.0, 35.0):
        value: Any = lambda x, a=a: scipy.special.gammainc(a, x)  # noqa: E731
        density = lambda t, a=a: mp.exp(-t) * t ** (a - 1) / mp.gamma(a)  # noqa: E731
        for order in range(3):
            value = gradc.vmap(gradc.grad(value)) if order == 0 else gradc.vmap(gradc.grad(_single(value)))
            found = gradc.jit(value, backend=backend)(x)
            with mpmath.workdps(50):
                wanted = [
                    float(mp.re(mp.taylor(density, mp.mpf(float(t)), order)[order] * mp.factorial(order))) for t in x
                ]
            np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-15)


def _single(of: Any) -> Any:
    return lambda x: of(np.reshape(x, (1,)))[0]


def test_a_small_order_keeps_its_density() -> None:
    slope = gradc.grad(lambda a, x: scipy.special.gammainc(a, x), wrt=1)
    assert slope(1e-20, 0.5) == pytest.approx(1e-20 * np.exp(-0.5) / 0.5, rel=1e-14)
    assert slope(0.5, 0.0) == np.inf
    assert slope(1.0, 0.0) == 1.0
    assert gradc.grad(lambda a, x: scipy.special.gammaincc(a, x), wrt=1)(3.0, 0.0) == 0.0


def test_the_derivative_by_a_is_refused() -> None:
    for name in ("gammainc", "gammaincc"):
        of = getattr(scipy.special, name)
        with pytest.raises(DerivativeError, match=rf"scipy.special.{name}: the derivative by a is not known"):
            gradc.grad(lambda a, x, of=of: of(a, x))(2.0, 1.0)
        with pytest.raises(DerivativeError, match=r"hold a fixed with gradc\.stop_gradient"):
            gradc.jit(lambda a, of=of: gradc.jvp(lambda a: of(a, 2.0), (a,), (a,))[1])(2.0)
        fixed = gradc.grad(lambda a, of=of: of(gradc.stop_gradient(a), a))
        assert abs(fixed(2.0)) == pytest.approx(2 * np.exp(-2.0), rel=1e-14)


@pytest.mark.parametrize("name", ["chdtr", "chdtrc", "pdtr", "pdtrc"])
def test_distributions(name: str) -> None:
    of = getattr(scipy.special, name)
    k, x = np.array([0.0, 1.0, 2.5, 7.0]), np.array([0.5, 2.0, 9.0, 7.5])
    np.testing.assert_allclose(gradc.jit(lambda k, x: of(k, x))(k, x), of(k, x), rtol=1e-13)


def test_the_gamma_distribution() -> None:
    a, b, x = np.array([0.5, 2.0, 3.0]), np.array([1.5, 0.3, 40.0]), np.array([0.5, 2.0, 9.0])
    for of in (scipy.special.gdtr, scipy.special.gdtrc):
        np.testing.assert_allclose(gradc.jit(lambda a, b, x, of=of: of(a, b, x))(a, b, x), of(a, b, x), rtol=1e-13)
    rate = gradc.grad(lambda a: scipy.special.gdtr(a, 2.0, 1.5))(0.7)
    assert rate == pytest.approx(1.5 * 0.7 * 1.5 * np.exp(-0.7 * 1.5), rel=1e-14)


def test_the_helpers_have_the_coefficients_of_the_fits() -> None:
    for name, numbers in (("_gamma_near", tables.LGAMMA1P), ("_gamma_uniform", sum(tables.TEMME, ()))):
        text = helper_text(name)
        assert [x for x in numbers if f" {x!r}," not in text] == []
