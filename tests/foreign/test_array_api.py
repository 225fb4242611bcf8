"""Every function of the array API standard under ``gradc.jit``: NumPy's values, dtypes and shapes, for every dtype."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradc
from gradc.errors import GradcError
from tests.foreign.array_api import CASES, Case

BACKENDS = ("llvm", "numpy", "reference")


REFUSED = {
    "acos", "asin", "atan", "round", "sign",
}  # fmt: skip
"""Functions that NumPy has for complex numbers and gradc has not."""


def check(name: str, case: Case, backend: Any) -> None:
    function, arrays = case
    if name in REFUSED and any(array.dtype.kind == "c" for array in arrays):
        with pytest.raises(GradcError):
            gradc.jit(function, backend=backend)(*arrays)
        return
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            expected: Any = function(*arrays)
        except (TypeError, ValueError, IndexError):
            with pytest.raises(GradcError):
                gradc.jit(function, backend=backend)(*arrays)
            return
        found = gradc.jit(function, backend=backend)(*arrays)
    if not isinstance(expected, tuple | list):
        found, expected = [found], [expected]
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        same(np.asarray(a), np.asarray(b))


def same(a: np.ndarray, b: np.ndarray) -> None:
    """Equal in dtype and shape; integers exactly, floats within rounding of the largest, what is not finite exactly."""
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    if a.dtype.kind in "biu":
        np.testing.assert_array_equal(a, b)
        return
    largest = float(np.max(np.abs(b[np.isfinite(b)]), initial=0))
    for part, wanted in ((a.real, b.real), (a.imag, b.imag)):
        finite = np.isfinite(wanted)
        np.testing.assert_array_equal(part[~finite], wanted[~finite])
        epsilon = 64 * float(np.finfo(b.dtype).eps)
        np.testing.assert_allclose(part[finite], wanted[finite], rtol=epsilon, atol=min(epsilon * largest, 1e300))


def run(name: str, examples: int) -> None:
    @settings(max_examples=examples)
    @given(case=CASES[name], backend=st.sampled_from(BACKENDS))
    def drawn(case: Case, backend: str) -> None:
        check(name, case, backend)

    drawn()


@pytest.mark.parametrize("name", CASES)
def test_functions(name: str) -> None:
    run(name, 6)


@pytest.mark.nightly
@pytest.mark.parametrize("name", CASES)
def test_functions_for_long(name: str) -> None:
    run(name, 200)
