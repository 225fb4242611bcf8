"""Every scalar primitive on every dtype that it takes, against NumPy, special values included."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gradc.backends.llvm.primitives import _TABLE
from gradc.backends.math import expansions
from gradc.errors import CompileError
from gradc.loops.language.expressions import EXPANSIONS
from gradc.loops.language.program import PRIMITIVES, b
from tests.backends.llvm import math_samples

Apply = Callable[..., np.ndarray]

DTYPES = {"f": ["f4", "f8"], "i": ["i1", "i2", "i4", "i8"], "u": ["u1", "u2", "u4", "u8"], "b": ["?"]}
EVERY = [dtype for kind in "fiub" for dtype in DTYPES[kind]]


def rounded(function: Apply) -> Apply:
    """The function of arrays of floats in f64, rounded to their dtype."""

    def of(*arrays: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(function(*[a.astype(np.float64) for a in arrays])).astype(arrays[0].dtype)

    return of


def reference_pow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """NumPy's; where it refuses (integers, negative exponents), 1 / x**-y rounded to zero."""
    if x.dtype.kind != "i":
        return np.power(x, y)
    positive = np.power(x, np.maximum(y, 0))
    unit = np.where(x == 1, 1, np.where(x == -1, np.where(y % 2 == 0, 1, -1), 0)).astype(x.dtype)
    return np.where(y < 0, unit, positive)


def gamma_series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    total = np.ones_like(x)
    for k in range(expansions.TERMS[short(x)], 0, -1):
        total = 1.0 + x * total / (a + k)
    return total


def gamma_fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    start, levels = (x - a) + 1.0, expansions.LEVELS[short(x)]
    found = start + 2.0 * levels
    for k in range(levels, 0, -1):
        found = (start + 2.0 * (k - 1)) - (k - a) * k / found
    return np.asarray(1.0 / found)


def beta_fraction(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    totals: list[np.ndarray] = []
    levels = expansions.BETA_LEVELS[short(x)]
    distance = (a * y - b * x) + 1.0
    for n in range(levels, -1, -1):
        odd = a + (2.0 * n + 1.0)
        if n:
            first, size = a + n, a + b + n
            level = first / odd * (distance + (y + 1.0) * n) + ((b - n) * x * (n / (odd - 2.0)) + n)
        else:
            first, size = a, a + b
            level = first / odd * distance
        factor = size * (first / odd * (x / odd) * x) * (b - (n + 1.0)) * (n + 1.0)
        totals = [level + factor / total for total in totals]
        if n in (levels, levels - 4):
            totals.append(level)
    settled = np.abs(totals[0] - totals[1]) <= np.abs(totals[0]) * a.dtype.type(expansions.SETTLED[short(x)])
    return np.where(settled, 1.0 / totals[0], np.nan).astype(a.dtype)


def short(x: np.ndarray) -> str:
    return f"f{8 * x.dtype.itemsize}"


SAME_NAME = [
    "minimum", "maximum", "sqrt", "floor", "copysign", "abs", "sign", "isnan", "isfinite", "logical_and", "logical_or",
    "logical_xor", "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor",
]  # fmt: skip
REFERENCE: dict[str, Callable[..., np.ndarray]] = {
    **{name: getattr(np, name) for name in SAME_NAME},
    **{name: rounded(function) for name, function in math_samples.NUMPY.items()},
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "floor_div": np.floor_divide,
    "mod": np.remainder,
    "pow": reference_pow,
    "neg": np.negative,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "gamma_series": gamma_series,
    "gamma_fraction": gamma_fraction,
    "beta_fraction": beta_fraction,
}
INEXACT = set(math_samples.NUMPY)
NEAR_ZEROS = set(math_samples.TERMS)
"""Functions with an absolute bound between their negative poles."""

CASES = [
    (name, dtype)
    for name, primitive in PRIMITIVES.items()
    if name in REFERENCE
    for kind in primitive.kinds
    for dtype in DTYPES[kind]
]


def samples(dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind == "f":
        tiny = np.finfo(dtype).smallest_subnormal
        values = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 7.25, -700.5, 1e-9, tiny, -tiny, np.inf, -np.inf, np.nan]
        return np.array(values, dtype)
    limits = np.iinfo(dtype)
    chosen = {limits.min, limits.max, 0, 1, 2, 3, 7, 100, *([-1, -2, -7, -100] if dtype.kind == "i" else [])}
    return np.array(sorted(chosen), dtype)


def test_every_primitive_is_in_the_table_and_tested() -> None:
    # Those of a part of the numbers alone: ``test_expansions`` has them.
    special = {"select", "convert", "fma", *(set(EXPANSIONS) - set(REFERENCE))}
    assert set(PRIMITIVES) - special == set(REFERENCE)
    for name, primitive in PRIMITIVES.items():
        if name not in ("select", "convert"):
            assert all((name, kind) in _TABLE for kind in primitive.kinds)


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_primitive_means_what_numpy_means(name: str, dtype: str, apply: Apply) -> None:
    values = samples(np.dtype(dtype))
    if name == "exp_unit":
        values = values[~(values > 0)]
    if name == "log1p_unit":
        values = values[~(values < 0) & ~(values > 1)]
    arrays = [a.ravel() for a in np.meshgrid(*[values] * PRIMITIVES[name].arity)]
    arrays = [np.ascontiguousarray(a) for a in arrays]
    result = apply(getattr(b, name), *arrays)
    with np.errstate(all="ignore"):
        expected = REFERENCE[name](*arrays)
    assert result.dtype == expected.dtype
    if name in INEXACT and result.dtype.kind == "f":
        eps = np.finfo(result.dtype).eps
        np.testing.assert_allclose(result, expected, rtol=8 * eps, atol=2 * eps if name in NEAR_ZEROS else 0)
    else:
        np.testing.assert_array_equal(result, expected)
        if result.dtype.kind == "f" and name not in ("minimum", "maximum"):
            np.testing.assert_array_equal(np.signbit(result), np.signbit(expected))


@pytest.mark.parametrize("divisor", [1, 2, 3, 8, -1, -3, 0])
@pytest.mark.parametrize("dtype", DTYPES["i"])
def test_division_by_a_constant_rounds_to_minus_infinity(dtype: str, divisor: int, apply: Apply) -> None:
    values = samples(np.dtype(dtype))
    with np.errstate(all="ignore"):
        expected = [np.floor_divide(values, np.dtype(dtype).type(divisor)), values % np.dtype(dtype).type(divisor)]
    np.testing.assert_array_equal(apply(lambda x: b.floor_div(x, divisor), values), expected[0])
    np.testing.assert_array_equal(apply(lambda x: b.mod(x, divisor), values), expected[1])


@pytest.mark.parametrize("exponent", [2.0, 3.0, -1.0, -2.0])
@pytest.mark.parametrize("dtype", DTYPES["f"])
def test_powers_by_products_are_within_two_units(dtype: str, exponent: float, apply: Apply) -> None:
    limits = np.finfo(dtype)
    random = np.random.default_rng(0)
    spread = np.ldexp(random.uniform(-2, 2, 2000), random.integers(limits.minexp, limits.maxexp, 2000))
    values = np.concatenate(
        [samples(np.dtype(dtype)), spread.astype(dtype), np.array([limits.max, limits.tiny], dtype)]
    )
    result = apply(lambda x: b.pow(x, exponent), values)
    with np.errstate(all="ignore"):
        expected = np.power(values.astype(np.longdouble), np.longdouble(exponent)).astype(dtype)
    np.testing.assert_array_max_ulp(result, expected, maxulp=2)
    np.testing.assert_array_equal(np.signbit(result), np.signbit(expected))


@pytest.mark.parametrize("new", EVERY)
@pytest.mark.parametrize("old", EVERY)
def test_convert_is_numpys_cast(old: str, new: str, apply: Apply) -> None:
    values = samples(np.dtype(old))
    if np.dtype(old).kind == "f" and np.dtype(new).kind in "iu":
        values = np.array([0.0, -0.0, 1.0, 2.75, 100.9], old)  # beyond the target's range NumPy promises nothing
        values = np.concatenate([values, -values[:4]]) if np.dtype(new).kind == "i" else values
    result = apply(lambda x: b.convert(x, new), values)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(result, values.astype(new))


@pytest.mark.parametrize("dtype", EVERY)
def test_select_takes_an_arm_as_it_is(dtype: str, apply: Apply) -> None:
    values = samples(np.dtype(dtype))
    mask = np.arange(values.size) % 2 == 0
    arrays = [mask, values, values[::-1].copy()]
    result = apply(b.select, *arrays)
    np.testing.assert_array_equal(result, np.where(*arrays))


@pytest.mark.parametrize("dtype", DTYPES["f"])
def test_fma_rounds_once(dtype: str, apply: Apply) -> None:
    x = np.array([1 + np.finfo(dtype).eps], dtype)
    arrays = [x, x, -(x * x)]
    result = apply(b.fma, *arrays)
    assert result[0] == np.finfo(dtype).eps ** 2


@pytest.mark.parametrize("bound", [0.0, -0.0, 1.0, np.inf, np.nan])
def test_extrema_with_a_constant_keep_nan(bound: float, apply: Apply) -> None:
    x = samples(np.dtype("f8"))
    for name in ("minimum", "maximum"):
        primitive = getattr(b, name)
        result = apply(lambda v, primitive=primitive: primitive(v, bound), x)
        np.testing.assert_array_equal(result, getattr(np, name)(x, bound))


def test_half_precision_is_refused(apply: Apply) -> None:
    with pytest.raises(CompileError, match="the llvm backend has no f16; convert to one of f32, f64"):
        apply(b.neg, np.zeros(3, np.float16))
