"""Reductions: NumPy's values, dtypes, shapes and errors, over every form of axis."""

import numpy as np
import pytest

import gradc
from gradc.errors import DtypeError, ShapeError, TraceError
from gradc.ir.aval import aval
from gradc.ir.graph import Builder

EXACT = [np.max, np.min, np.any, np.all, np.ptp, np.count_nonzero]
ROUNDED = [np.sum, np.prod, np.mean, np.var, np.std, np.average]


@pytest.mark.parametrize("function", EXACT + ROUNDED, ids=lambda f: f.__name__)
def test_axes_and_dtypes(function, dtype, agrees, sample):
    x = sample(2, 3, 4, dtype=dtype)
    for axis in (None, 0, -1, (0, 2), (1,), (), 3, (0, 0)):
        for keepdims in (False, True):
            agrees(function, x, axis=axis, keepdims=keepdims, ulp=0 if function in EXACT else 8)
    agrees(function, x[0, 0, 0], ulp=4)


@pytest.mark.parametrize("function", [f for f in EXACT + ROUNDED if f is not np.average], ids=lambda f: f.__name__)
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom", "ignore:invalid value")
def test_no_elements(function, agrees):
    agrees(function, np.zeros((0, 3)), axis=0)
    agrees(function, np.zeros((0, 3)), axis=1)
    agrees(function, np.zeros((3, 0)))


def test_an_empty_maximum_says_why(traced):
    with pytest.raises(ShapeError, match="no element"):
        traced(np.max, np.zeros((0, 3)), axis=0)


def test_other_names_are_the_same(agrees, sample):
    agrees(np.amax, sample(3, 4), axis=0)
    agrees(np.amin, sample(3, 4), axis=0)


def test_dtype(agrees, traced, sample):
    agrees(np.sum, sample(5, dtype="f4"), dtype=np.float64)
    agrees(np.sum, sample(5), dtype=int)
    agrees(np.sum, sample(5, dtype=int), dtype=bool)
    agrees(np.prod, sample(5, dtype="i1"), dtype="i1")
    agrees(np.mean, sample(5, dtype="f4"), dtype=np.float64, ulp=2)
    agrees(np.var, sample(5, dtype="f4"), dtype=np.float64, ulp=4)
    with pytest.raises(DtypeError, match="not a floating-point dtype"):
        traced(np.mean, sample(5), dtype=int)


def test_initial(agrees, traced, sample):
    agrees(np.sum, sample(5), initial=3.0, ulp=2)
    agrees(np.sum, sample(5, dtype="f4"), initial=3, ulp=2)
    agrees(np.prod, sample(5), initial=2, ulp=2)
    agrees(np.max, sample(5), initial=30)
    agrees(np.min, sample(2, 5), axis=0, initial=-0.5)
    agrees(np.max, np.zeros((0, 3)), axis=0, initial=30)
    with pytest.raises(ShapeError, match="initial must be a number"):
        traced(np.sum, sample(5), initial=sample(2))


@pytest.mark.parametrize("ddof", [0, 1, 1.5, 7])
@pytest.mark.filterwarnings("ignore:Degrees of freedom")
def test_degrees_of_freedom(ddof, agrees, sample):
    agrees(np.var, sample(5), ddof=ddof, ulp=4)
    agrees(np.std, sample(2, 5, dtype="f4"), axis=1, ddof=ddof, ulp=4)


def test_weights(agrees, traced, sample):
    x, w = sample(3, 4), np.abs(sample(3, 4))
    agrees(np.average, x, weights=w, ulp=8)
    agrees(np.average, x, axis=0, weights=w, keepdims=True, ulp=8)
    agrees(np.average, sample(3, 4, dtype=int), axis=1, weights=sample(3, 4, dtype="f4") ** 2, ulp=8)
    with pytest.raises(ShapeError, match="weights"):
        traced(np.average, x, axis=1, weights=np.ones(3))


def test_weights_along_axes(agrees, sample):
    x = sample(3, 4, 2)
    agrees(np.average, x, axis=1, weights=np.arange(4.0), ulp=8)
    agrees(np.average, x, axis=(2, 0), weights=np.arange(6.0).reshape(2, 3), ulp=8)
    agrees(np.average, x, axis=1, weights=np.arange(4), returned=True, ulp=8)
    agrees(np.average, x, returned=True, ulp=8)


def test_unsupported_keywords_are_refused_by_name(traced, sample):
    with pytest.raises(TraceError, match=r"np\.sum: the parameter out="):
        traced(np.sum, sample(3), out=sample(3))


@pytest.mark.parametrize(
    "function", [np.sum, np.prod, np.mean, np.var, np.std, np.any, np.all], ids=lambda f: f.__name__
)
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom", "ignore:invalid value")
def test_where(function, agrees, sample):
    x, mask = sample(3, 4), sample(3, 4, dtype=bool)
    for where in (mask, mask[:1], mask[:, :1], np.zeros((3, 4), bool), True, np.ones((2, 3, 4), bool)):
        for axis in (None, 0, (0, 1)):
            agrees(function, x, axis=axis, where=where, keepdims=axis == 0, ulp=8)


@pytest.mark.parametrize(
    "function", [np.sum, np.prod, np.max, np.min, np.ptp, np.any, np.all], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("axis", [0, -1])
def test_a_number_has_the_axes_that_numpy_grants_it(function, axis, agrees, traced, sample):
    agrees(function, np.array(3.0), axis=axis)
    with pytest.raises(ShapeError, match="axis 1 is out of bounds"):
        traced(function, np.array(3.0), axis=1)


def test_the_deviation_of_one_element_is_0_and_so_is_its_slope(agrees, sample):
    for x in (np.array(3.0), sample(1, 4), sample(1, 4, dtype="f4"), np.array([[np.inf, np.nan, -0.0, 1.0]])):
        with np.errstate(invalid="ignore"):
            agrees(np.std, x, axis=0 if x.ndim else None)
            agrees(np.std, x, axis=() if x.ndim == 0 else (0,), keepdims=True)
    assert gradc.grad(np.std, backend="reference")(3.0) == 0.0
    assert gradc.grad(gradc.grad(np.std), backend="reference")(3.0) == 0.0


def test_extremes_where(agrees, sample):
    x, mask = sample(3, 4), sample(3, 4, dtype=bool)
    for function in (np.max, np.min):
        agrees(function, x, axis=0, where=mask, initial=0.5)
        agrees(function, x, where=mask)


def test_a_variance_about_a_given_mean(agrees, sample):
    x = sample(3, 4)
    agrees(np.var, x, axis=1, mean=x.mean(axis=1, keepdims=True), ulp=8)
    agrees(np.std, x, axis=0, mean=np.ones((1, 4)), ddof=1, ulp=8)


def test_arguments_by_position(agrees, sample):
    agrees(np.sum, sample(3, 4), 0, None, None, True, ulp=4)
    agrees(np.var, sample(3, 4), 0, None, None, 1, ulp=4)


def test_a_mean_over_a_symbolic_axis_divides_by_its_size(bench):
    builder = Builder()
    x = builder.input("x", aval("f32[batch,3]"))
    bench.builder, bench.arrays = builder, [np.arange(12, dtype=np.float32).reshape(4, 3)]
    for function, kwargs in ((np.mean, {}), (np.var, {"ddof": 1}), (np.var, {}), (np.std, {}), (np.max, {})):
        result = bench.call(function, x, axis=0, **kwargs)
        assert str(result.aval) == "f32[3]"
        np.testing.assert_allclose(bench.run(result)[0], function(bench.arrays[0], axis=0, **kwargs), rtol=1e-6)


@pytest.mark.parametrize("function", [np.mean, np.var, np.std, np.prod, np.ptp, np.average], ids=lambda f: f.__name__)
def test_gradients(function, gradient_agrees, sample):
    gradient_agrees(lambda bench, x: bench.call(function, x, axis=1), sample(3, 4))


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
@pytest.mark.parametrize("backend", ["llvm", "numpy", "reference"])
@pytest.mark.parametrize(
    "function",
    [
        np.median,
        lambda x: np.median(x, axis=0, keepdims=True),
        lambda x: np.median(x, axis=1),
        lambda x: np.median(x.astype(np.float32), axis=0),
        lambda x: np.logaddexp.reduce(x),
        lambda x: np.logaddexp.reduce(x, axis=(0, 1), keepdims=True),
        lambda x: np.hypot.reduce(x),
        lambda x: np.logical_xor.reduce(x > 0),
    ],
)
def test_without_elements_there_is_what_numpy_has(function, backend):
    x = np.zeros((0, 3))
    actual, expected = gradc.jit(function, backend=backend)(x), function(x)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected, strict=True)
