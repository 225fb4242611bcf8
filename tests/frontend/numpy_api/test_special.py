"""Functions of scipy.special, against SciPy itself."""

import importlib
import subprocess
import sys

import mpmath
import numpy as np
import pytest
import scipy.linalg
import scipy.special

import gradc
from gradc.errors import DtypeError, TraceError
from gradc.frontend.numpy_api import lookup, places
from gradc.ops import elementwise, reduce


@pytest.mark.parametrize("name", ["expit", "erf", "log_expit", "erfc", "expm1", "exp2", "exp10", "cbrt", "ndtr", "psi"])
def test_elementwise(name, agrees, sample):
    function = getattr(scipy.special, name)
    for dtype in "f", "d", "e", "i", "b", "?":
        agrees(function, sample(7, dtype=np.dtype(dtype)), ulp=4)
    agrees(function, np.array([np.inf, -np.inf, np.nan, 0.0]), ulp=1)


def test_dtypes_are_those_of_the_ufunc_where_the_name_is_intercepted():
    numbers, single = np.arange(3), np.array([0.5, 2.0], np.float32)
    np.testing.assert_allclose(
        gradc.jit(lambda x: scipy.special.erf(x))(numbers), scipy.special.erf(numbers), rtol=1e-15
    )
    for name in ("huber", "xlogy", "rel_entr", "boxcox"):
        of = getattr(scipy.special, name)
        for function in (lambda x, of=of: of(0.25, x), lambda x, of=of: of(x, 0.25)):
            assert gradc.jit(function)(single).dtype == function(single).dtype


def test_logit(agrees):
    agrees(
        scipy.special.logit, np.array([0.0, 1e-10, 0.3, 0.49999, 0.5, 0.50001, 0.7, 0.9999, 1.0, -0.5, np.nan]), ulp=2
    )


def test_logit_keeps_its_digits_near_a_half(traced):
    tiny = 2.0**-40
    assert traced(scipy.special.logit, np.array(0.5 + tiny)) == pytest.approx(4 * tiny, rel=1e-15)


def test_powers_of_ten_are_exact(traced):
    assert traced(scipy.special.exp10, np.arange(-3.0, 23.0)).tolist() == [float(f"1e{k}") for k in range(-3, 23)]


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_log_ndtr(dtype, agrees, traced):
    left = np.concatenate([np.linspace(-60, 0, 400), np.nextafter(-12.0, [-13, 0]), [-1e5]]).astype(dtype)
    with mpmath.workprec(200):
        exact = [float(mpmath.log(mpmath.erfc(-mpmath.mpf(float(x)) / mpmath.sqrt(2)) / 2)) for x in left]
    errors = np.abs(traced(scipy.special.log_ndtr, left) - exact) / np.spacing(np.abs(exact).astype(dtype))
    assert errors.max() <= (4 if dtype == "d" else 0.51)
    agrees(scipy.special.log_ndtr, np.linspace(0, 3, 100).astype(dtype), ulp=12)
    agrees(scipy.special.log_ndtr, np.array([np.inf, -np.inf, np.nan, 40.0], dtype))


def test_log_ndtr_keeps_its_slope_where_ndtr_vanishes(gradient_agrees):
    gradient_agrees(lambda bench, x: bench.call(scipy.special.log_ndtr, x), np.array([-50.0, -12.5, -11.5, -2.0, 3.0]))


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
def test_along_axes(name, axis, agrees, traced, sample):
    function = getattr(scipy.special, name)
    for dtype in "f", "d":
        agrees(function, sample(2, 3, 4, dtype=np.dtype(dtype)), axis=axis, ulp=8)
        agrees(function, 1000 * sample(2, 3, 4, dtype=np.dtype(dtype)), axis=axis, ulp=8)
    with pytest.raises(DtypeError, match="convert it first"):
        traced(function, sample(2, 3, 4, dtype=int), axis=axis)


def test_keepdims(agrees, sample):
    agrees(scipy.special.logsumexp, sample(2, 3), axis=1, keepdims=True, ulp=8)
    agrees(scipy.special.logsumexp, np.array([[np.inf, 1.0], [-np.inf, -np.inf]]), axis=1)


def test_unsupported_keywords_are_refused_by_name(traced, sample):
    with pytest.raises(TraceError, match=r"scipy.special.softmax: the parameter keepdims="):
        traced(scipy.special.softmax, sample(3), keepdims=True)


def test_they_are_the_stable_ops(bench, sample):
    x = sample(3)
    assert bench.call(scipy.special.expit, x).node.op is elementwise.logistic
    assert bench.call(scipy.special.softmax, x).node.op is reduce.softmax
    assert bench.call(scipy.special.logsumexp, x).node.op is reduce.logsumexp


@pytest.mark.parametrize("name", ["expit", "erf", "log_expit", "logit", "logsumexp", "softmax", "log_softmax", "erfc",
                                  "expm1", "log1p", "exp2", "exp10", "cbrt", "ndtr", "log_ndtr",
                                  "gammaln", "psi"])  # fmt: skip
def test_gradients(name, gradient_agrees):
    function = getattr(scipy.special, name)
    gradient_agrees(lambda bench, x: bench.call(function, x), np.array([0.3, 0.45, 0.9]))


def test_gammaln_is_infinite_where_c_has_it(agrees, traced, sample):
    for dtype in "f", "d", "e", "i", "b", "?":
        agrees(scipy.special.gammaln, sample(7, dtype=np.dtype(dtype)), ulp=4)
    points = np.array([np.inf, -np.inf, np.nan, 0.0, -3.0])
    np.testing.assert_array_equal(traced(scipy.special.gammaln, points), [np.inf, np.inf, np.nan, np.inf, np.inf])


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_polygamma(n, traced, gradient_agrees):
    x = np.array([0.3, 1.5, 7.0, 120.0, -0.7])
    found = traced(scipy.special.polygamma, n, x)
    np.testing.assert_allclose(found, scipy.special.polygamma(n, x), rtol=1e-12)
    gradient_agrees(lambda bench, v: bench.call(scipy.special.polygamma, n, v), np.array([0.7, 1.5, 4.0]))


def test_the_order_of_polygamma_is_known(traced, sample):
    with pytest.raises(TraceError, match="the order is one int that is known"):
        traced(scipy.special.polygamma, sample(3), sample(3))
    with pytest.raises(DtypeError, match="the order is from 1 to 100, got -1"):
        traced(scipy.special.polygamma, -1, sample(3))


def test_scipy_is_never_imported():
    code = "import sys, gradc.frontend.numpy_api as api; api.lookup(len); assert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_places_are_those_of_scipy():
    for place, record in places().items():
        module, attribute = place.split(":")
        assert lookup(getattr(importlib.import_module(module), attribute)) is record
