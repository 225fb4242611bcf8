"""Functions that take a second path for vectors with an element near the end of the range."""

from __future__ import annotations

import numpy as np
import pytest

from gradc.backends.llvm.machine import host
from gradc.backends.math.logarithm import BOUND, ROOT
from tests.backends.llvm.test_math import DTYPES, NUMPY_DTYPES, UNFUSED, Target, evaluate


@pytest.mark.parametrize("target", [host(), UNFUSED], ids=["fused", "unfused"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_both_paths_of_exp2_give_the_same_bits(dtype: str, target: Target) -> None:
    end = np.finfo(NUMPY_DTYPES[dtype]).maxexp - 2
    inside = np.linspace(-end, end, 2000).astype(dtype.replace("f", "float"))[1:-1]
    beyond = np.where(np.arange(inside.size) % 64 == 3, inside.dtype.type(-end - 3), inside)
    found, expected = (evaluate("exp2", (x,), target) for x in (beyond, inside))
    assert found[beyond == inside].tobytes() == expected[beyond == inside].tobytes()
    assert np.all(found[beyond != inside] == 2.0 ** (-end - 3))


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp2_of_integers_is_exact_to_the_ends(dtype: str) -> None:
    limits = np.finfo(NUMPY_DTYPES[dtype])
    whole = np.arange(limits.minexp - limits.nmant - 3, limits.maxexp + 3)
    expected = np.ldexp(NUMPY_DTYPES[dtype].type(1), np.minimum(whole, limits.maxexp - 1))
    expected[whole >= limits.maxexp] = np.inf
    for each in (1, 64):  # beside others, and alone in a vector
        x = np.repeat(whole, each).astype(NUMPY_DTYPES[dtype])
        assert np.array_equal(evaluate("exp2", (x,), host()), np.repeat(expected, each))


@pytest.mark.parametrize(("dtype", "least"), [("f64", ROOT["f64"]), ("f32", 0.75)])
def test_log1p_finds_the_exponent_that_integers_would_give(dtype: str, least: float) -> None:
    """By a product, where the exponent is an instruction: of m from ``least`` to its double, k is 0."""
    kind = NUMPY_DTYPES[dtype].type
    bound, edge = kind(BOUND[dtype]), kind(2 * least)
    assert np.nextafter(edge, kind(0)) * bound < kind(2) <= edge * bound
