"""Functions that take a second path for vectors with an element near the end of the range."""

from __future__ import annotations

import numpy as np
import pytest

from gradc.backends.llvm.machine import host
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
