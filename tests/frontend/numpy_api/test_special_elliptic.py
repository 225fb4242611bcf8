"""Complete elliptic integrals and orthogonal polynomials: the distance to mpmath, slopes at the edges, refusals."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

import gradc
from gradc.errors import DtypeError, TraceError

BACKENDS = ("numpy", "llvm")
EDGES = np.array([0.0, 1e-9, -1e-9, 0.3, 0.9, 1 - 1e-6, 1 - 2.0**-50, -1.0, -1e6, -1e100])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "units"), [("ellipk", 8), ("ellipe", 8)])
def test_integrals_and_their_slopes(name: str, units: int, backend: Any) -> None:
    function, exact = getattr(scipy.special, name), getattr(mpmath, name)
    value = gradc.jit(lambda m: function(m), backend=backend)(EDGES)
    slope = gradc.grad(lambda m: function(m).sum(), backend=backend)(EDGES)
    with mpmath.workdps(60):
        for m, got, steep in zip(EDGES, value, slope, strict=True):
            at = mpmath.mpf(float(m))
            assert abs(got - exact(at)) <= units * 2**-52 * exact(at), f"{name}({m}) = {got}"
            wanted = mpmath.diff(exact, at, h=mpmath.mpf(10) ** -25 * (1 + abs(at)))
            assert abs(steep - wanted) <= 1e-13 * abs(wanted) + 1e-300, f"slope of {name} at {m}: {steep}, {wanted}"


def test_derivatives_of_higher_order_at_0() -> None:
    """The series of DLMF, 19.5.1 and 19.5.2: the derivative itself is a quotient 0 / 0 in closed form."""
    k, e = (gradc.grad(gradc.grad(gradc.grad(f)))(0.0) for f in (scipy.special.ellipk, scipy.special.ellipe))
    assert k == pytest.approx(np.pi / 2 * 6 * (15 / 48) ** 2, rel=1e-13)
    assert e == pytest.approx(-np.pi / 2 * 6 * (15 / 48) ** 2 / 5, rel=1e-13)


def test_slopes_at_the_edges_are_infinite() -> None:
    assert gradc.value_and_grad(scipy.special.ellipk)(1.0) == (np.inf, np.inf)
    assert gradc.value_and_grad(scipy.special.ellipkm1)(0.0) == (np.inf, -np.inf)
    assert gradc.value_and_grad(scipy.special.ellipe)(1.0) == (1.0, -np.inf)
    value, slopes = gradc.value_and_grad(scipy.special.agm, wrt=(0, 1))(0.0, 2.0)
    assert (value, *slopes) == (0.0, np.inf, 0.0)
    value, slopes = gradc.value_and_grad(scipy.special.agm, wrt=(0, 1))(-2.0, -0.0)
    assert (value, *slopes) == (0.0, 0.0, np.inf)


def test_the_slope_of_a_mean_of_equal_numbers() -> None:
    by_a, by_b = gradc.grad(scipy.special.agm, wrt=(0, 1))(3.0, 3.0)
    assert (by_a, by_b) == (pytest.approx(0.5), pytest.approx(0.5))


@pytest.mark.parametrize("n", [2, 7, 40, 100])
def test_polynomials_between_minus_1_and_1(n: int) -> None:
    x = np.linspace(-0.95, 0.9, 9)
    for name in ("legendre", "chebyt", "chebyu"):
        function = getattr(scipy.special, f"eval_{name}")
        found, slope = gradc.value_and_grad(lambda x, f=function: f(n, x).sum())(x)
        exact = {"legendre": mpmath.legendre, "chebyt": mpmath.chebyt, "chebyu": mpmath.chebyu}[name]
        with mpmath.workdps(40):
            assert found == pytest.approx(float(sum(exact(n, mpmath.mpf(v)) for v in x)), abs=1e-13 * n)
            wanted = [float(mpmath.diff(lambda t, e=exact: e(n, t), mpmath.mpf(v), h=mpmath.mpf(10) ** -18)) for v in x]
        np.testing.assert_allclose(slope, wanted, rtol=1e-11, atol=1e-12 * max(map(abs, wanted)))


def test_orders_that_are_not_taken() -> None:
    for n in (-1, 101, 2.5, np.arange(3)):
        with pytest.raises(TraceError, match=r"eval_legendre: the order is an int from 0 to 100 that is known, got"):
            gradc.jit(lambda x, n=n: scipy.special.eval_legendre(n, x))(0.5)
    with pytest.raises(DtypeError, match=r"eval_chebyt: of complex numbers .* is not supported"):
        gradc.jit(lambda x: scipy.special.eval_chebyt(3, x))(0.5j)
