"""The inverses of incomplete gamma and beta functions: by the functions in mpmath, edges, derivatives, quantiles."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special
import scipy.stats

import gradc
from gradc.errors import DerivativeError
from gradc.request import BACKENDS

mp = mpmath.mp
_DRAW = np.random.default_rng(6)
_COMPILED = [b for b in BACKENDS if b != "reference"]


def probabilities(count: int) -> np.ndarray:
    """In the middle and in both tails."""
    tails = 10 ** _DRAW.uniform(-250, -0.3, count)
    return np.where(
        np.arange(count) % 3 == 0, tails, np.where(np.arange(count) % 3 == 1, 1 - tails, _DRAW.uniform(0, 1, count))
    )


def within(found: float, of: Any, wanted: Any, steepness: Any, tail: Any) -> None:
    """The function there is within its bound, 64 units of 2**-52 and 2 more for each unit of the logarithm of the tail,
    of the probability, or the number is the nearest one but some units."""
    bound = (64 - 2 * mp.log(tail)) * tail / steepness + 8
    assert abs(of - wanted) <= bound * 2.0**-52 * steepness, (found, of, wanted)


@pytest.mark.parametrize("backend", _COMPILED)
@pytest.mark.parametrize("name", ["gammaincinv", "gammainccinv"])
def test_gamma_by_its_function(name: str, backend: str) -> None:
    of = getattr(scipy.special, name)
    a, p = 10 ** _DRAW.uniform(-2, 3, 60), probabilities(60)
    found = gradc.jit(lambda a, p: of(a, p), backend=backend)(a, p)
    for order, q, x in zip(a, p, found, strict=True):
        if x < 1e-300 or q == 1:
            continue
        with mpmath.workdps(40):
            first, at, wanted = mp.mpf(float(order)), mp.mpf(float(x)), mp.mpf(float(q))
            upper = (name == "gammainccinv") == (q <= 0.5)
            tail = (
                mp.gammainc(first, at, mp.inf, regularized=True)
                if upper
                else mp.gammainc(first, 0, at, regularized=True)
            )
            steepness = mp.exp(first * mp.log(at) - at - mp.loggamma(first))
            within(x, tail, wanted if q <= 0.5 else 1 - wanted, steepness, tail)


@pytest.mark.parametrize("backend", _COMPILED)
@pytest.mark.parametrize("name", ["betaincinv", "betainccinv"])
def test_beta_by_its_function(name: str, backend: str) -> None:
    of = getattr(scipy.special, name)
    a, b, p = 10 ** _DRAW.uniform(-1.5, 2, 60), 10 ** _DRAW.uniform(-1.5, 2, 60), probabilities(60)
    found = gradc.jit(lambda a, b, p: of(a, b, p), backend=backend)(a, b, p)
    for order, other, q, x in zip(a, b, p, found, strict=True):
        if not 1e-300 < x < 0.99:  # near 1 the next number is far
            continue
        with mpmath.workdps(40):
            first, second, at, wanted = (mp.mpf(float(v)) for v in (order, other, x, q))
            upper = (name == "betainccinv") == (q <= 0.5)
            tail = (
                mp.betainc(second, first, 0, 1 - at, regularized=True)
                if upper
                else mp.betainc(first, second, 0, at, regularized=True)
            )
            steepness = at**first * (1 - at) ** (second - 1) / mp.beta(first, second)
            within(x, tail, wanted if q <= 0.5 else 1 - wanted, steepness, tail)


def test_the_functions_of_the_inverses() -> None:
    """For orders and tails of every size: no step that has not arrived."""
    count, special = 4000, scipy.special
    a, b = 10 ** _DRAW.uniform(-2, 7, count), 10 ** _DRAW.uniform(-2, 7, count)
    p = np.minimum(
        10 ** _DRAW.uniform(-280, -0.3, count), np.where(np.arange(count) % 2, 1.0, _DRAW.uniform(0, 0.5, count))
    )

    def there(a: Any, b: Any, p: Any) -> Any:
        lower, upper = special.gammaincinv(a, p), special.gammainccinv(a, p)
        x, y = special.betaincinv(a, b, p), special.betaincinv(b, a, p)
        z = special.betainccinv(b, a, p)
        beta = (x, special.betainc(a, b, x)), (y, special.betainc(b, a, y)), (z, special.betaincc(b, a, z))
        return (lower, special.gammainc(a, lower)), (upper, special.gammaincc(a, upper)), beta

    first, second, others = gradc.jit(there, backend="numpy")(a, b, p)
    for x, again in (first, second, *others):
        inside = (x > 1e-280) & (x < 0.99 if x is not first[0] and x is not second[0] else True)
        tolerance = 2e-12 * (1 + np.sqrt(np.maximum(a, b)) / 100) - 1e-13 * np.log(p)
        assert inside.sum() > count / 4
        wrong = np.abs(again / p - 1)[inside] > tolerance[inside]
        assert not wrong.any(), (a[inside][wrong], b[inside][wrong], p[inside][wrong])


@pytest.mark.parametrize("backend", BACKENDS)
def test_edges(backend: str) -> None:
    special = scipy.special
    p = np.array([0.0, 1.0, -0.1, 1.1, np.nan])
    one = np.ones(5)
    for of, ends in ((special.gammaincinv, (0.0, np.inf)), (special.gammainccinv, (np.inf, 0.0))):
        found = gradc.jit(lambda a, p, of=of: of(a, p), backend=backend)(one, p)
        np.testing.assert_array_equal(found, [*ends, np.nan, np.nan, np.nan])
        outside = gradc.jit(lambda a, p, of=of: of(a, p), backend=backend)(
            np.array([0.0, -1.0, np.inf, np.nan]), one[:4] * 0.3
        )
        assert np.isnan(outside).all()
        narrow = gradc.jit(lambda a, p, of=of: of(a, p), backend=backend)(np.float32(2.5), np.float32(0.3))
        assert narrow.dtype == np.float32
        assert narrow == pytest.approx(float(of(2.5, np.float32(0.3))), rel=1e-7)
    for of, ends in ((special.betaincinv, (0.0, 1.0)), (special.betainccinv, (1.0, 0.0))):
        found = gradc.jit(lambda a, b, p, of=of: of(a, b, p), backend=backend)(one, 2 * one, p)
        np.testing.assert_array_equal(found, [*ends, np.nan, np.nan, np.nan])
        assert np.isnan(gradc.jit(lambda a, b, p, of=of: of(a, b, p), backend=backend)(0.0, 1.0, 0.5))


def test_derivatives_by_the_probability() -> None:
    """``1 / f(x)``, then ``-f'(x) / f(x)**3``; of 1 - x**2 and of its like."""
    slope = gradc.grad(lambda p: scipy.special.betaincinv(2.0, 1.0, p), backend="numpy")
    second = gradc.grad(gradc.grad(lambda p: scipy.special.betaincinv(2.0, 1.0, p)), backend="numpy")
    other = gradc.grad(lambda p: scipy.special.betainccinv(1.0, 3.0, p), backend="numpy")
    falling = gradc.grad(gradc.grad(lambda p: scipy.special.gammainccinv(1.0, p)), backend="numpy")
    for p in (1e-4, 0.3, 0.5, 0.9):
        assert slope(p) == pytest.approx(0.5 * p**-0.5, rel=1e-13)
        assert second(p) == pytest.approx(-0.25 * p**-1.5, rel=1e-12)
        assert other(p) == pytest.approx(-(p ** (-2 / 3)) / 3, rel=1e-13)
        assert falling(p) == pytest.approx(p**-2, rel=1e-12)


def test_the_derivatives_by_the_orders_are_refused() -> None:
    with pytest.raises(DerivativeError, match=r"scipy.special.gammaincinv: the derivative by a is not known"):
        gradc.grad(lambda a: scipy.special.gammaincinv(a, 0.3))(2.0)
    with pytest.raises(DerivativeError, match=r"scipy.special.betainccinv: the derivatives by a and b are not known"):
        gradc.grad(lambda a: scipy.special.betainccinv(a, 2.0, 0.3))(2.0)


@pytest.mark.parametrize("name", ["chdtri", "pdtri", "gdtrix", "fdtri", "stdtrit"])
def test_distributions(name: str) -> None:
    of = getattr(scipy.special, name)
    k, p = np.array([1.0, 2.0, 3.0, 7.0]), np.array([0.5, 0.02, 0.9, 1e-9])
    operands = (k, k + 1.0, p) if of.nin == 3 else (k, p)
    found = gradc.jit(lambda *x: of(*x))(*operands)
    np.testing.assert_allclose(found, of(*operands), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("backend", ["numpy", "llvm", "reference"])
@pytest.mark.parametrize("name", ["bdtri", "nbdtri"])
def test_probabilities_of_events(name: str, backend: Any) -> None:
    """They undo ``bdtr`` and ``nbdtr``, with slopes that are one over theirs; NaN where SciPy's are."""
    of, undone = getattr(scipy.special, name), getattr(scipy.special, name[:-1])
    k, n, y = np.meshgrid([0.0, 2.0, 4.0], [5.0, 9.0], [0.0, 1e-3, 0.2, 0.5, 0.98, 1.0, -0.1, np.nan])
    found = gradc.jit(lambda *x: of(*x), backend=backend)(k, n, y)
    np.testing.assert_allclose(found, of(k if name == "bdtri" else k.astype(int), n.astype(int), y), rtol=1e-11)
    p = gradc.jit(lambda *x: of(*x), backend=backend)(2.0, 9.0, 0.3)
    assert undone(2, 9, p) == pytest.approx(0.3, rel=1e-13)
    slope = gradc.grad(lambda y: of(2.0, 9.0, y), backend=backend)(0.3)
    assert slope * gradc.grad(lambda p: undone(2.0, 9.0, p))(p) == pytest.approx(1.0, rel=1e-12)
    assert np.isnan(gradc.jit(lambda *x: of(*x), backend=backend)(-1.0, 5.0, 0.3))


def test_as_many_events_as_there_are_have_no_probability() -> None:
    assert np.isnan(gradc.jit(lambda *x: scipy.special.bdtri(*x))(np.array([5.0, 6.0]), 5.0, 0.3)).all()


QUANTILES = {
    "t": (3.5,), "gamma": (2.5,), "invgamma": (2.5,), "chi2": (7.0,), "beta": (2.0, 0.5), "f": (3.0, 8.0),
    "chi": (4.0,), "maxwell": (),
}  # fmt: skip


@pytest.mark.parametrize("family", QUANTILES)
def test_quantiles(family: str) -> None:
    distribution, shapes = getattr(scipy.stats, family), QUANTILES[family]
    q = np.array([0.0, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.7, 0.99, 1.0, -0.1, 1.1, np.nan])
    found = gradc.jit(lambda q: distribution.ppf(q, *shapes, loc=0.5, scale=2.0), backend="numpy")(q)
    np.testing.assert_allclose(found, distribution.ppf(q, *shapes, loc=0.5, scale=2.0), rtol=1e-12, atol=1e-14)
    found = gradc.jit(lambda q: distribution.isf(q, *shapes, loc=0.5, scale=2.0), backend="numpy")(q)
    np.testing.assert_allclose(found, distribution.isf(q, *shapes, loc=0.5, scale=2.0), rtol=1e-12, atol=1e-14)
    slope = gradc.grad(lambda q: distribution.ppf(q, *shapes), backend="numpy")(0.3)
    assert slope == pytest.approx(1 / distribution.pdf(distribution.ppf(0.3, *shapes), *shapes), rel=1e-11)


@pytest.mark.parametrize("df", [0.5, 3.0, 300.0, 999.0, 1000.0, 2500.0, 1e6, np.inf])
def test_students_quantiles(df: float) -> None:
    """In the middle, where the slope is 1 over the density; in the far tails, where SciPy's are not right."""
    of = gradc.jit(lambda df, p: scipy.special.stdtrit(df, p), backend="numpy")
    slope = gradc.grad(lambda df, p: scipy.special.stdtrit(df, p), wrt=1, backend="numpy")
    assert of(df, 0.5) == pytest.approx(0.0, abs=1e-13)
    assert slope(df, 0.5) == pytest.approx(1 / scipy.stats.t.pdf(0.0, df), rel=1e-12)
    for p in (1e-20, 1e-6, 0.1, 0.49, 0.6, 0.999):
        t = of(df, p)
        assert gradc.jit(lambda df, t: scipy.special.stdtr(df, t), backend="numpy")(df, t) == pytest.approx(
            p, rel=1e-12
        )
        assert slope(df, p) == pytest.approx(1 / scipy.stats.t.pdf(t, df), rel=1e-11)
    if df == 3.0:
        assert of(df, 1e-200) == pytest.approx(-np.cbrt(2 * np.sqrt(3) / np.pi) * 1e66 * np.cbrt(100), rel=1e-12)
