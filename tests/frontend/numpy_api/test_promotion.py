"""NumPy 2's promotion: every binary ufunc, every pair of dtypes, every kind of Python number on either side.

Dtype and value are NumPy's, or both refuse. Where gradc refuses what NumPy computes, the reason is listed here.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from gradc.errors import GradcError
from gradc.frontend.numpy_api import lookup

CODES = "?bBhHiIqQefdFD"
NUMBERS = (True, 3, -2, 2.5, 1 + 2j)
UFUNCS = sorted(
    {u for u in vars(np).values() if isinstance(u, np.ufunc) and u.nin == 2 and u not in (np.matmul, np.vecdot)}
    - {getattr(np, name, None) for name in ("matvec", "vecmat")},
    key=lambda u: u.__name__,
)
UNIT = {"e": 2e-3, "f": 1e-6, "F": 1e-6}


def numbers(code: str, second: bool) -> np.ndarray:
    dtype = np.dtype(code)
    if dtype.kind == "c":
        return np.array([1.5 - 1j, -2.25 + 0.5j, 0.5 + 2j][:: -1 if second else 1]).astype(dtype)
    values = {"f": [[1.5, -2.5, 0.75], [0.5, 1.25, 2.0]], "b": [[1, 0, 1], [1, 1, 0]], "u": [[3, 2, 7], [2, 1, 3]]}
    return np.array(values.get(dtype.kind, [[3, -2, 7], [2, 1, 3]])[second], dtype)


def by_numpy(ufunc: np.ufunc, a: Any, b: Any) -> list[np.ndarray] | None:
    try:
        with np.errstate(all="ignore"):
            found = ufunc(a, b)
    except (TypeError, ValueError, OverflowError):
        return None
    return [np.asarray(part) for part in (found if isinstance(found, tuple) else (found,))]


def traced(bench: Any, ufunc: np.ufunc, a: Any, b: Any) -> Any:
    """What gradc gives, be it a refusal."""
    try:
        return bench.call(ufunc, a, b)
    except GradcError as error:
        return error


def ran(bench: Any, value: Any) -> Any:
    """What comes out, or the error."""
    try:
        return bench.run(value)
    except GradcError as error:
        return error


def check(bench: Any, ufunc: np.ufunc, a: Any, b: Any) -> None:
    expected, found = by_numpy(ufunc, a, b), traced(bench, ufunc, a, b)
    if expected is None:
        if ufunc is np.power and not isinstance(found, GradcError):  # exponents that are data are checked as it runs
            found = ran(bench, found)
        assert isinstance(found, GradcError), f"NumPy refuses, gradc gives {found}"
        return
    assert not isinstance(found, GradcError), found
    made = found if isinstance(found, (tuple, list)) else [found]
    with np.errstate(all="ignore"):
        arrays = bench.run(*made)
    for value, got, wanted in zip(made, arrays, expected, strict=True):
        assert value.aval.dtype == got.dtype == wanted.dtype
        np.testing.assert_allclose(got, wanted, rtol=UNIT.get(wanted.dtype.char, 1e-14), atol=0)


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda u: u.__name__)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_dtypes_and_values_are_those_of_numpy(ufunc: np.ufunc, new_bench: Any) -> None:
    assert lookup(ufunc) is not None
    for a, b in itertools.product(CODES, CODES):
        check(new_bench(), ufunc, numbers(a, False), numbers(b, True))
    for code, number in itertools.product(CODES, NUMBERS):
        check(new_bench(), ufunc, numbers(code, False), number)
        check(new_bench(), ufunc, number, numbers(code, True))


EXTREMES = (-(2**63), -(2**31) - 1, -129, -1, 0, 127, 128, 255, 256, 2**31, 2**63 - 1)


@pytest.mark.parametrize("name", ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"])
def test_integers_are_compared_exactly(name: str, new_bench: Any) -> None:
    """At the limits of every dtype: with Python ints that do not fit, and between u64 and signed numbers."""
    ufunc = getattr(np, name)
    limits = {c: np.array([np.iinfo(c).min, 0, 1, np.iinfo(c).max], c) for c in "bBhHiIqQ"}
    for code, number in itertools.product(limits, EXTREMES):
        check(new_bench(), ufunc, limits[code], number)
        check(new_bench(), ufunc, number, limits[code])
    for a, b in itertools.product(limits, limits):
        check(new_bench(), ufunc, limits[a][:, None], limits[b])


COMPLEX = np.array([complex(a, b) for a in (-1.0, 2.0, np.nan, np.inf) for b in (-1.0, 2.0, np.nan)])


@pytest.mark.parametrize(
    "name", ["less", "less_equal", "greater", "greater_equal", "maximum", "minimum", "fmax", "fmin"]
)
def test_complex_numbers_are_ordered_by_their_parts(name: str, new_bench: Any) -> None:
    bench = new_bench()
    ufunc = getattr(np, name)
    found = bench.run(bench.call(ufunc, COMPLEX[:, None], COMPLEX))[0]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(found, ufunc(COMPLEX[:, None], COMPLEX))
