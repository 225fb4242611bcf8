"""Rounding: exact in every corner."""

import numpy as np
import pytest

CORNERS = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 2.0**52 + 0.5, -(2.0**53), 1e300, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("ufunc", [np.floor, np.ceil, np.trunc], ids=lambda u: u.__name__)
def test_rounding(ufunc, dtype, agrees, traced, sample):
    agrees(ufunc, sample(20, dtype=dtype))
    x = np.array(CORNERS)
    agrees(ufunc, x)
    np.testing.assert_array_equal(np.signbit(traced(ufunc, x)), np.signbit(ufunc(x)))


def test_nan_to_num(dtype, agrees, sample):
    x = sample(4, dtype=dtype)
    if dtype.kind == "f":
        x[:3] = np.nan, np.inf, -np.inf
    agrees(np.nan_to_num, x)
    agrees(np.nan_to_num, x, nan=1.0, posinf=2.0, neginf=-2.0)
