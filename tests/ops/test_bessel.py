"""J, Y and K of the orders 0 and 1: the distance to mpmath, edges, and derivatives of any order at 0 and far away."""

from __future__ import annotations

import functools
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

import gradc
import gradc.ops.bessel_tables
from gradc.errors import TraceError
from gradc.ops.helpers import helper_text
from gradc.request import BACKENDS

mp = mpmath.mp
_DRAW = np.random.default_rng(0)
PRESENT = [b for b in BACKENDS if b != "reference"]

POSITIVE = np.concatenate(
    [
        _DRAW.uniform(0, 4, 150),
        _DRAW.uniform(4, 60, 150),
        10 ** _DRAW.uniform(-300, 0, 30),
        10 ** _DRAW.uniform(2, 15, 60),
    ]
)
NEAR_ZEROS = np.array(
    [2.404825557695773, 3.8317059702075125, 0.8935769662791675, 2.197141326031017, 1.1e3, 40.05842576462824]
)
KINDS = {"j": mp.besselj, "y": mp.bessely, "k": mp.besselk, "i": mp.besseli}


def function(name: str) -> Any:
    return getattr(scipy.special, name)


@functools.cache
def exact(name: str, x: Any) -> Any:
    value = KINDS[name[0]](int(name[1]), abs(x)) * (-1 if name == "j1" and x < 0 else 1)
    return value * mp.exp(x) if name.endswith("e") else value


@pytest.fixture(autouse=True)
def forty_digits() -> Any:
    with mpmath.workdps(40):
        yield


@pytest.mark.parametrize("backend", PRESENT)
@pytest.mark.parametrize("name", ["j0", "j1", "y0", "y1"])
def test_waves_are_right_to_the_last_bits_of_their_size(name: str, backend: str) -> None:
    """9 units of 2**-52 up to 4, 3 beyond, of the wave's size, or near 0 of the value."""
    x = np.concatenate([POSITIVE, NEAR_ZEROS, *([-POSITIVE[:200]] if name[0] == "j" else [])])
    of = function(name)
    found = gradc.jit(lambda x: of(x), backend=backend)(x)
    for got, argument in zip(found, x, strict=True):
        at = mp.mpf(float(argument))
        wanted = exact(name, at)
        size = mp.sqrt(2 / (mp.pi * abs(at)))
        scale = abs(wanted) if abs(at) < 0.5 else max(size, abs(wanted))
        if not np.isfinite(float(wanted)):
            assert got == -np.inf
            continue
        units = abs(mp.mpf(float(got)) - wanted) / scale * 2**52
        assert units <= (9 if abs(argument) <= 4 else 3), f"{name}({argument}) = {got}: {float(units)}"


@pytest.mark.parametrize("backend", PRESENT)
@pytest.mark.parametrize("name", ["k0", "k1", "k0e", "k1e"])
def test_decays_are_within_8_ulp(name: str, backend: str) -> None:
    x = np.concatenate([POSITIVE[:180], 10 ** _DRAW.uniform(0, 2.8, 30)])
    of = function(name)
    found = gradc.jit(lambda x: of(x), backend=backend)(x)
    for got, argument in zip(found, x, strict=True):
        wanted = exact(name, mp.mpf(float(argument)))
        if float(wanted) == np.inf:
            assert got == np.inf
            continue
        unit = mp.mpf(float(np.spacing(float(wanted))))
        assert abs(mp.mpf(float(got)) - wanted) <= 8 * unit, f"{name}({argument}) = {got}"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["j0", "j1", "y0", "y1", "k0", "k1", "k0e", "k1e"])
@np.errstate(all="ignore")
def test_edges_and_single_precision(name: str, backend: str) -> None:
    of = function(name)
    edges = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -1.0, 1e-310, 1e300, 1.0, 5.0, 30.0, 4.0, 2.0])
    for dtype, bound in ((np.float64, 2e-14), (np.float32, 5e-7)):
        x = edges.astype(dtype)
        expected = of(x.astype(np.float64))
        if name[0] in "jy":
            expected[2] = 0.0  # the limit, where SciPy has NaN
            expected[7] = 0.0  # a wave of size 1e-150, of which SciPy knows no phase
        if name[0] == "j":
            expected[3] = 0.0
        with np.errstate(all="ignore"):
            expected = expected.astype(dtype)
        found = gradc.jit(lambda x: of(x), backend=backend)(x)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=bound, atol=1e-100)
        assert np.array_equal(np.signbit(found[:2]), np.signbit(expected[:2]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_smallest_numbers(backend: str) -> None:
    x = np.array([5e-324, 1e-323, 1e-310, 2.3e-308])
    for name in ("k0", "k0e", "y0"):
        of = function(name)
        np.testing.assert_allclose(
            gradc.jit(lambda x, of=of: of(x), backend=backend)(x),
            [float(exact(name, mp.mpf(float(t)))) for t in x],
            rtol=1e-15,
        )
    for name, limit in (("k1", np.inf), ("k1e", np.inf), ("y1", -np.inf)):
        of = function(name)
        np.testing.assert_array_equal(gradc.jit(lambda x, of=of: of(x), backend=backend)(x[:2]), limit)


@pytest.mark.parametrize("backend", BACKENDS)
def test_slopes_where_terms_of_them_are_infinite(backend: str) -> None:
    """At poles, and where I overflows."""
    poles = {"k0": -np.inf, "k1": -np.inf, "k0e": -np.inf, "k1e": -np.inf, "y0": np.inf, "y1": np.inf}
    for name, limit in poles.items():
        slope = gradc.grad(function(name), backend=backend)
        assert slope(0.0) == limit, name
        if name[1] == "1":
            assert slope(1e-320) == limit, name
        assert np.isnan(slope(-1.0))
        assert np.isnan(slope(np.nan))
    slope = gradc.grad(function("i1"), backend=backend)
    assert [slope(800.0), slope(-800.0), slope(np.inf), slope(-np.inf)] == [np.inf] * 4
    assert np.isnan(slope(np.nan))
    assert gradc.grad(gradc.grad(function("i1")), backend=backend)(800.0) == np.inf


def derivative(name: str, order: int) -> Any:
    of = function(name)
    found: Any = lambda x: of(x)  # noqa: E731
    for k in range(order):
        found = gradc.grad(found) if k % 2 == 0 else _forward(found)
    return found


def _forward(of: Any) -> Any:
    return lambda x: gradc.jvp(of, (x,), (np.ones_like(x),))[1]


@pytest.mark.parametrize("name", ["j0", "j1", "i0", "i1"])
def test_derivatives_at_zero(name: str) -> None:
    """Those of the series: ``(x / 2)**(2 k + order) / (k! (k + order)!)`` of signs that take turns for J."""
    for order in range(5):
        k, odd = divmod(order - int(name[1]), 2)
        expected = 0.0
        if not odd and k >= 0:
            sign = (-1) ** k if name[0] == "j" else 1
            expected = float(sign * mp.factorial(order) / (2**order * mp.factorial(k) * mp.factorial(k + int(name[1]))))
        assert gradc.jit(derivative(name, order))(0.0) == expected


def exact_derivatives(name: str, x: Any) -> list[Any]:
    """The first three, by the derivatives of the order 0 and Bessel's equation."""
    kind, n, sign = name[0], int(name[1]), -1 if name[0] == "k" else 1
    value, other = exact(name, x), exact(f"{kind}{1 - n}", x)
    first = (sign * other - value / x) if n else -other
    square = sign - n * n / x**2
    second = -first / x - square * value
    return [first, second, -second / x + first / x**2 - square * first - 2 * n * n / x**3 * value]


@pytest.mark.parametrize("name", ["j0", "j1", "y0", "y1", "k0", "k1"])
def test_higher_derivatives(name: str) -> None:
    places = (0.3, 0.99, 1.01, 3.0, 7.7, 40.0)
    for order in (1, 2, 3):
        found = gradc.jit(gradc.vmap(derivative(name, order)))(np.array(places))
        for got, x in zip(found, places, strict=True):
            at = mp.mpf(x)
            expected = exact_derivatives(name, at)[order - 1]
            scale = abs(expected) + (mp.sqrt(2 / (mp.pi * at)) if name[0] != "k" else 0)
            assert abs(mp.mpf(float(got)) - expected) <= 1e-14 * scale, (order, x, got, expected)


def of_order(name: str, order: Any) -> Any:
    of = function(name)
    return lambda x: of(order, x)


@pytest.mark.parametrize("name", ["yn", "kn", "yv", "kv", "kve", "jv", "iv", "ive", "jn"])
def test_known_orders(name: str) -> None:
    x = np.array([0.0, 0.2, 1.0, 3.5, 12.0, np.nan])
    factor = {"ive": lambda t: mp.exp(-t), "kve": mp.exp}.get(name, lambda t: 1)
    for order in (0, 1, 2, 5.0, 11, *((0.5, 19.35) if name[0] == "i" else ())):
        of = of_order(name, order)
        np.testing.assert_allclose(gradc.jit(of)(x), of(x), rtol=3e-14, atol=1e-15)
        slope = mp.diff(lambda t, v=order: KINDS[name[0]](v, t) * factor(t), 3.5)
        assert gradc.grad(of)(3.5) == pytest.approx(float(slope), rel=1e-13)


@pytest.mark.parametrize("backend", PRESENT)
@pytest.mark.parametrize("order", [2, 11, 100])
def test_waves_of_high_orders(order: int, backend: str) -> None:
    """Up to the order relative to the value, beyond it to the wave's size; their derivatives twice as far."""
    x = np.concatenate([_DRAW.uniform(0, order, 20), [order, 1e-3, 0.1], _DRAW.uniform(order, 5 * order, 20)])
    x = np.concatenate([x, -x[::7]])
    of = of_order("jv", order)
    found = gradc.jit(of, backend=backend)(x)
    slopes = gradc.jit(gradc.vmap(gradc.grad(of)), backend=backend)(x)
    for got, slope, argument in zip(found, slopes, x, strict=True):
        at = mp.mpf(float(argument))
        wanted, steep = mp.besselj(order, at), mp.besselj(order, at, 1)
        is_near = abs(at) <= order
        unit = 2.0**-52 * (4 + order)
        size = abs(wanted) if is_near else mp.sqrt(2 / (mp.pi * abs(at)))
        assert abs(got - wanted) <= unit * size + 1e-307, f"J({order}, {argument}) = {got}"
        size = max(abs(steep), abs(order * wanted / at)) if is_near else mp.sqrt(2 / (mp.pi * abs(at)))
        assert abs(slope - steep) <= 4 * unit * size + 1e-307, f"J'({order}, {argument}) = {slope}"


@pytest.mark.parametrize("backend", PRESENT)
@pytest.mark.parametrize("order", [0.5, 19.0, 20.5, 99.5])
@pytest.mark.parametrize("name", ["iv", "ive"])
def test_growth_of_real_orders(name: str, order: float, backend: str) -> None:
    x = np.concatenate([_DRAW.uniform(0, 8, 20), [4.0], 10 ** _DRAW.uniform(-3, 2.8, 20), [1e5]])
    of = of_order(name, order)
    found = gradc.jit(of, backend=backend)(x)
    slopes = gradc.jit(gradc.vmap(gradc.grad(of)), backend=backend)(x)
    for got, slope, argument in zip(found, slopes, x, strict=True):
        at = mp.mpf(float(argument))
        factor = mp.exp(-at) if name == "ive" else mp.mpf(1)
        wanted = mp.besseli(order, at) * factor
        if float(wanted) == np.inf:
            assert got == np.inf
            continue
        steep = mp.besseli(order, at, 1) * factor
        unit = 2.0**-52 * (40 + 2 * order)
        assert abs(got - wanted) <= unit * wanted + 1e-307, f"{name}({order}, {argument}) = {got}"
        expected = steep - wanted if name == "ive" else steep
        assert abs(slope - expected) <= 4 * unit * max(steep, order * wanted / at) + 1e-307, (argument, slope)


@pytest.mark.parametrize("name", ["jv", "iv", "ive"])
def test_edges_of_higher_orders(name: str) -> None:
    x = np.array([0.0, np.inf, np.nan, -1.0, -7.0, 2.0, 4.0, 3.0])
    for order in (2, 3, *((2.5,) if name != "jv" else ())):
        of = of_order(name, order)
        expected = of(x)
        expected[1] = np.inf if name == "iv" else 0.0
        np.testing.assert_allclose(gradc.jit(of)(x), expected, rtol=3e-14)
        assert gradc.jit(of)(x.astype(np.float32)).dtype == np.float32
    third = gradc.grad(gradc.grad(gradc.grad(of_order(name, 3))))
    assert third(0.0) == pytest.approx(1 / 8, rel=1e-14)
    assert gradc.grad(of_order(name, 3))(3.0) == pytest.approx(
        float(mp.diff(lambda t: KINDS[name[0]](3, t) * (mp.exp(-t) if name == "ive" else 1), 3)), rel=1e-13
    )


def test_an_int_as_order_may_be_an_argument() -> None:
    assert gradc.jit(lambda n, x: scipy.special.kn(n, x))(3, 2.0) == pytest.approx(scipy.special.kn(3, 2.0), rel=1e-14)


def test_orders_that_are_not_known_are_refused() -> None:
    for order, told in ((0.5, "0.5"), (-1, "-1"), (101, "101")):
        with pytest.raises(TraceError, match=rf"yv: the order is an int from 0 to 100 that is known, got {told}"):
            gradc.jit(of_order("yv", order))(1.0)
    with pytest.raises(TraceError, match=r"jv: the order is an int from 0 to 100 that is known, got 2\.5"):
        gradc.jit(of_order("jv", 2.5))(1.0)
    with pytest.raises(TraceError, match=r"iv: the order is .* known, got 100\.5"):
        gradc.jit(of_order("iv", 100.5))(1.0)
    with pytest.raises(TraceError, match="kv: the order is an int from 0 to 100 that is known, got <traced"):
        gradc.jit(lambda x: scipy.special.kv(x, x))(np.ones(3))


def test_the_helpers_have_the_coefficients_of_the_fits() -> None:
    tables = {k: v for k, v in vars(gradc.ops.bessel_tables).items() if isinstance(v, tuple)}
    homes = {"J": "_first_kind", "P": "_waves", "Q": "_waves", "K": "_decays"}
    for name, numbers in tables.items():
        text = helper_text(homes.get(name[0], f"_{name.lower()}"))
        assert [x for x in numbers if f" {x!r}," not in text] == []
