"""Entropies at the edges: SciPy's values, slopes that are their limits, and no overflow on the way."""

from __future__ import annotations

import itertools
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

import gradc
from gradc.request import BACKENDS

mp = mpmath.mp
NAMES = ("xlogy", "xlog1py", "rel_entr", "kl_div")
EDGES = [0.0, -0.0, 5e-324, 1e-310, 1e-300, 1e-3, 0.5, 0.51, 1.0, 1.9, 2.0, 1e300, np.inf, -1.0, -1e-5, -np.inf, np.nan]
X, Y = np.array(list(itertools.product(EDGES, EDGES))).T.copy()


def slopes(name: str, *operands: Any, backend: str = "llvm") -> list[Any]:
    """The partial derivatives by reverse mode, with which forward mode agrees."""
    function = getattr(scipy.special, name)
    count = len(operands)
    reverse = gradc.grad(lambda *xs: np.sum(function(*xs)), wrt=tuple(range(count)), backend=backend)(*operands)
    for k, found in enumerate(reverse):
        forward = gradc.Function(function, derivative="jvp", wrt=k, backend=backend)
        _, tangent = forward(*operands, tangents=np.ones_like(found))
        np.testing.assert_array_equal(tangent, found)
    return list(reverse)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", [*NAMES, "entr"])
@np.errstate(all="ignore")
def test_values_at_the_edges_are_those_of_scipy(name: str, backend: str) -> None:
    function = getattr(scipy.special, name)
    for dtype, bound in ((np.float64, 1e-13), (np.float32, 1e-6)):
        operands = [x.astype(dtype) for x in ((X,) if name == "entr" else (X, Y))]
        expected, terms = function(*operands), np.zeros(())
        if name == "kl_div":  # SciPy's quotient overflows, and its terms cancel
            with mpmath.workdps(40):
                exact = [divergence(x, y) for x, y in zip(*operands, strict=True)]
            expected = np.where([e is None for e in exact], expected, np.array([e or 0.0 for e in exact], dtype))
            terms = np.where(np.isfinite(expected), np.abs(operands[0] - operands[1]), 0.0)
        found = gradc.jit(lambda *xs: function(*xs), backend=backend)(*operands)
        assert found.dtype == dtype
        same = (found == expected) | np.isnan(found) & np.isnan(expected)
        assert np.all(same | (np.abs(found - expected) <= bound * (np.abs(expected) + terms)))


def divergence(x: Any, y: Any) -> float | None:
    """``kl_div`` of positive numbers."""
    if not (0 < x < np.inf and 0 < y < np.inf):
        return None
    a, b = mp.mpf(float(x)), mp.mpf(float(y))
    return float(a * mp.log(a / b) - a + b)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_slope_of_entr_is_that_of_the_limit(backend: str) -> None:
    x = np.array([0.0, 1e-310, 1.0, np.inf, -1.0, -np.inf, np.nan])
    (found,) = slopes("entr", x, backend=backend)
    expected = [np.inf, 310 * np.log(10) - 1, -1.0, -np.inf, np.nan, np.nan, np.nan]
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_slope_by_a_factor_that_is_zero_is_the_logarithm(backend: str) -> None:
    x, y = np.array([0.0, 0.0, 0.0, 2.0]), np.array([3.0, 0.0, np.inf, 0.0])
    by_x, by_y = slopes("xlogy", x, y, backend=backend)
    np.testing.assert_allclose(by_x, [np.log(3.0), 0.0, np.inf, -np.inf], rtol=1e-15)
    np.testing.assert_allclose(by_y, [0.0, 0.0, 0.0, np.inf])
    by_x, by_y = slopes("xlog1py", x, y - 1.0, backend=backend)
    np.testing.assert_allclose(by_x, [np.log(3.0), 0.0, np.inf, -np.inf], rtol=1e-15)
    np.testing.assert_allclose(by_y, [0.0, 0.0, 0.0, np.inf])
    mixed = gradc.grad(gradc.grad(lambda x, y: scipy.special.xlogy(x, y), wrt=0), wrt=1)
    assert mixed(0.0, 4.0) == 0.25


@pytest.mark.parametrize("backend", BACKENDS)
def test_slopes_of_divergences(backend: str) -> None:
    x = np.array([0.0, 0.0, 2.0, 1e-310, 1e300, -1.0, 1.0, -1.0])
    y = np.array([3.0, 0.0, 1.0, 1e300, 1e-310, 1.0, -1.0, -1.0])
    far = 610 * np.log(10)
    logarithms = np.array([-np.inf, 0.0, np.log(2.0), -far, far, np.nan, np.nan, np.nan])
    by_x, by_y = slopes("kl_div", x, y, backend=backend)
    np.testing.assert_allclose(by_x, logarithms, rtol=1e-14)
    np.testing.assert_allclose(by_y, [1.0, 1.0, -1.0, 1.0, -np.inf, np.nan, np.nan, np.nan])
    by_x, by_y = slopes("rel_entr", x, y, backend=backend)
    np.testing.assert_allclose(by_x, logarithms + (x != y), rtol=1e-14)
    np.testing.assert_allclose(by_y, [0.0, 0.0, -2.0, 0.0, -np.inf, np.nan, np.nan, np.nan])


def test_a_divergence_of_near_numbers_keeps_its_digits() -> None:
    x, y = 0.3, 0.3 * (1 + 2.0**-30)
    with mpmath.workdps(60):
        exact = divergence(x, y)
    assert exact is not None
    assert gradc.jit(lambda x, y: scipy.special.kl_div(x, y))(x, y) == pytest.approx(exact, rel=1e-6)
    assert abs(scipy.special.kl_div(x, y) / exact - 1) > 1e-2


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_operand_may_be_a_number(backend: str) -> None:
    for name in NAMES:
        of = getattr(scipy.special, name)
        for dtype in (np.float64, np.float32):
            x = np.array([0.5, 2.0, 0.0], dtype)
            for function in (lambda x, of=of: of(0.25, x), lambda x, of=of: of(x, 0.25)):
                found, expected = gradc.jit(function, backend=backend)(x), function(x)
                assert found.dtype == expected.dtype
                np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype is np.float32 else 1e-14)
