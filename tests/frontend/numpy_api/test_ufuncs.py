"""Ufuncs: values, dtypes and shapes are NumPy's, for every pair of dtypes and for Python numbers."""

import numpy as np
import pytest

from gradc.errors import DomainError, DtypeError, TraceError
from gradc.frontend.numpy_api import lookup
from gradc.ops import elementwise as ops

DTYPES = [np.dtype(code) for code in "?bBhHiIqQefd"]
PYTHON_NUMBERS = [2, -3, 2.5, True, 300]
ARITHMETIC = [
    np.add, np.subtract, np.multiply, np.true_divide, np.floor_divide, np.remainder, np.maximum, np.minimum, np.fmax,
    np.fmin, np.logical_and, np.logical_or, np.logical_xor, np.arctan2, np.hypot,
]  # fmt: skip
COMPARISONS = [np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal]
UNARY = [
    np.negative, np.positive, np.exp, np.log, np.log1p, np.expm1, np.sqrt, np.tanh, np.sin, np.cos, np.sign,
    np.absolute, np.fabs, np.square, np.isnan, np.isfinite, np.isinf, np.logical_not, np.exp2, np.log2, np.log10,
    np.cbrt, np.tan, np.sinh, np.cosh, np.arcsin, np.arccos, np.arctan, np.arcsinh, np.arccosh, np.arctanh,
]  # fmt: skip
WITHIN_ULP = {
    np.deg2rad: 2,
    np.rad2deg: 2,
    np.radians: 2,
    np.degrees: 2,
}


@pytest.mark.parametrize("ufunc", ARITHMETIC, ids=lambda u: u.__name__)
def test_every_pair_of_dtypes(ufunc, agrees, sample):
    for a in DTYPES:
        for b in DTYPES:
            agrees(ufunc, sample(5, dtype=a), sample(5, dtype=b))


@pytest.mark.parametrize("ufunc", ARITHMETIC, ids=lambda u: u.__name__)
def test_python_numbers_are_weak(ufunc, agrees, sample):
    for a in DTYPES:
        for number in PYTHON_NUMBERS:
            agrees(ufunc, sample(5, dtype=a), number)
            agrees(ufunc, number, sample(5, dtype=a))


@pytest.mark.parametrize("ufunc", COMPARISONS, ids=lambda u: u.__name__)
def test_comparisons_are_exact(ufunc, agrees, sample):
    for a in DTYPES:
        for b in DTYPES:
            agrees(ufunc, sample(5, dtype=a), sample(5, dtype=b))
        for number in PYTHON_NUMBERS:
            agrees(ufunc, sample(5, dtype=a), number)
            agrees(ufunc, number, sample(5, dtype=a))


@pytest.mark.parametrize("ufunc", UNARY, ids=lambda u: u.__name__)
def test_unary(ufunc, agrees, sample):
    for a in DTYPES:
        agrees(ufunc, sample(7, dtype=a))


@pytest.mark.parametrize("ufunc", WITHIN_ULP, ids=lambda u: u.__name__)
def test_compositions_are_within_ulps(ufunc, agrees, sample):
    for a in DTYPES:
        agrees(ufunc, sample(7, dtype=a), ulp=WITHIN_ULP[ufunc])


def test_float_power_is_double(agrees, sample):
    for a in DTYPES:
        agrees(np.float_power, np.abs(sample(5, dtype=a)), sample(5, dtype="f4"), ulp=2)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, 0.0, -0.0])
def test_special_values(special, agrees):
    x = np.array([special, 1.0])
    for ufunc in [*UNARY, np.reciprocal]:
        agrees(ufunc, x)
    for ufunc in [*ARITHMETIC, *COMPARISONS, np.power]:
        agrees(ufunc, x, x[::-1].copy())
    agrees(np.logaddexp, x, x[::-1].copy(), ulp=1)


# Powers.


def test_power_of_floats(agrees, sample):
    for a in "efd":
        for exponent in (2, 3, -1, 0, 0.5, 2.5):
            agrees(np.power, sample(5, dtype=a), exponent)


def test_power_of_integers(agrees, sample):
    for a in "bhiqBHIQ?":
        for exponent in (0, 1, 2, 3):
            agrees(np.power, sample(5, dtype=a), exponent)
        agrees(np.power, sample(5, dtype=a), sample(5, dtype="B"))


def test_power_keeps_the_constant_exponent(bench):
    result = bench.call(np.power, np.ones(3), 2)
    assert result.node.op is ops.power
    assert bench.builder.scalar(bench.builder.value(result.node.operands[1])) == 2.0


def test_negative_integer_powers_are_refused(traced, sample):
    with pytest.raises(DomainError, match="negative integer powers"):
        traced(np.power, sample(3, dtype=int), -1)
    with pytest.raises(DomainError, match="negative integer powers"):
        traced(np.power, sample(3, dtype=int), np.array([0, 3, -1]))


# Refusals.


def test_integers_that_do_not_fit_are_refused(traced, bench, sample):
    with pytest.raises(DtypeError, match="Python integer 300 out of bounds for int8"):
        traced(np.add, sample(3, dtype="i1"), 300)
    with pytest.raises(DtypeError, match="traced Python int"):
        bench.call(np.add, sample(3, dtype="i1"), bench.input(5))


def test_bit_operations(dtype, agrees, traced, sample):
    x, y = sample(4, dtype=dtype), sample(4, dtype=dtype)
    for ufunc in (np.bitwise_and, np.bitwise_or, np.bitwise_xor):
        agrees(ufunc, x, y)
        agrees(ufunc, x, np.array([3], np.int8))
    agrees(np.invert, x)
    if dtype.kind in "iu":
        agrees(np.bitwise_count, x)
        for count in (0, 1, 7, dtype.itemsize * 8 - 1, dtype.itemsize * 8, 100):
            agrees(np.left_shift, x, np.array(count, dtype))
            agrees(np.right_shift, x, np.array(count, dtype))


def test_reciprocal_of_integers_is_truncated(agrees, sample):
    agrees(np.reciprocal, sample(4, dtype="f4"))
    for dtype in DTYPES[1:11]:
        agrees(np.reciprocal, np.array([1, 2, 5, 100]).astype(dtype))
        if dtype.kind == "i":
            agrees(np.reciprocal, np.array([-1, -3], dtype))


@pytest.mark.parametrize("keyword", [{"where": True}, {"casting": "unsafe"}, {"dtype": "f4"}, {"order": "F"}])
def test_unsupported_keywords_are_refused_by_name(keyword, traced, sample):
    (name,) = keyword
    with pytest.raises(TraceError, match=f"np.exp: the parameter {name}="):
        traced(np.exp, sample(3), **keyword)


def test_shapes_that_do_not_broadcast_are_named(traced, sample):
    with pytest.raises(ValueError, match=r"np.add: f64\[2,3\] and f64\[4\] do not broadcast"):
        traced(np.add, sample(2, 3), sample(4))


# Selection.


def test_where_promotes_like_numpy(agrees, sample):
    mask = sample(5, dtype=bool)
    for a in DTYPES:
        for b in DTYPES:
            agrees(np.where, mask, sample(5, dtype=a), sample(5, dtype=b))
        agrees(np.where, sample(5, dtype=a), 1, sample(5, dtype="f4"))
    agrees(np.where, mask, 1.0, 2)
    agrees(np.where, mask[:, None], sample(3, dtype="f4"), 0.0)


def test_where_with_one_argument_is_refused(traced, sample):
    with pytest.raises(TraceError, match="depends on data"):
        traced(np.where, sample(5))


def test_clip(agrees, sample):
    for a in DTYPES:
        agrees(np.clip, sample(5, dtype=a), 1, 3)
        agrees(np.clip, sample(5, dtype=a), 1.5, None)
        agrees(np.clip, sample(5, dtype=a), None, sample(5, dtype="f4"))
        agrees(np.clip, sample(5, dtype=a), a_min=0, a_max=2)
    agrees(np.clip, np.array([np.nan, 1.0, 5.0]), 2.0, 1.0)


def test_logaddexp_does_not_overflow(agrees):
    x = np.array([1, 800.0, -800.0, -1e17, -50.0, 0.0])
    y = np.array([1, -800.0, -800.0, 1.0, 0.0, 1e-300])
    agrees(np.logaddexp, x, y, ulp=1)
    agrees(np.logaddexp, x.astype("f4"), y.astype("f4"), ulp=2)


def test_logaddexp_beside_infinities(agrees):
    special = np.array([np.inf, -np.inf, np.nan, 0.0, -3.0])
    x, y = (side.reshape(-1).copy() for side in np.meshgrid(special, special))
    agrees(np.logaddexp, x, y, ulp=1)
    agrees(np.logaddexp, special, 0.0, ulp=1)
    agrees(np.logaddexp, -0.0, special, ulp=1)


@pytest.mark.parametrize("order", [1, -1])
def test_logaddexp_with_zero_is_a_softplus(order, bench):
    result = bench.call(np.logaddexp, *(np.array([-1.0, 2.0]), 0.0)[::order])
    assert [node.op.name for node in bench.builder.freeze([result]).nodes] == ["input", "softplus"]


def test_logaddexp_has_half_slopes_at_a_tie(bench):
    from gradc.transforms.adjoint import adjoint

    x = bench.input(np.array(3.0))
    result = bench.call(np.logaddexp, x, 3.0)
    (ct,) = adjoint(bench.builder, [result], [bench.builder.constant(1.0)], [x])
    assert bench.run(ct)[0] == 0.5


@pytest.mark.parametrize(
    "ufunc", [np.logaddexp, np.fmax, np.fmin, np.float_power, np.arctan2, np.hypot], ids=lambda u: u.__name__
)
def test_gradients_of_two_arguments(ufunc, gradient_agrees):
    x, y = np.array([0.3, 2.0, 1.5]), np.array([0.7, 0.2, 1.4])
    gradient_agrees(lambda bench, a, b: bench.call(ufunc, a, b), x, y)


@pytest.mark.parametrize("ufunc", [
    np.tan, np.exp2, np.log2, np.log10, np.square, np.reciprocal, np.deg2rad, np.fabs, np.cbrt, np.sinh, np.cosh,
    np.arctan, np.arcsinh,
])  # fmt: skip
def test_gradients_of_one_argument(ufunc, gradient_agrees):
    gradient_agrees(lambda bench, a: bench.call(ufunc, a), np.array([0.3, 1.2, 0.9]))


@pytest.mark.parametrize("ufunc", [np.arcsin, np.arccos, np.arctanh], ids=lambda u: u.__name__)
def test_gradients_inside_the_unit_interval(ufunc, gradient_agrees):
    gradient_agrees(lambda bench, a: bench.call(ufunc, a), np.array([0.3, -0.6, 0.9]))


def test_the_gradient_of_arccosh(gradient_agrees):
    gradient_agrees(lambda bench, a: bench.call(np.arccosh, a), np.array([1.3, 2.0, 9.0]))


def test_aliases_are_one_record():
    assert lookup(np.divide) is lookup(np.true_divide)
    assert lookup(np.mod) is lookup(np.remainder)
    assert lookup(np.abs) is lookup(np.absolute)
