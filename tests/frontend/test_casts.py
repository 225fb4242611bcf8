"""NumPy's scalar types called on traced values: what they give, and that they are themselves to everyone else."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from operator import is_
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy import float32 as single

import gradc
from gradc.errors import TraceError
from gradc.frontend.intercept import INSTALLED

X = np.array([1.5, -2.7, 300.0])


def captured(kind: Any) -> Callable[[Any], Any]:
    return lambda x: kind(x)


CALLS: dict[str, Callable[[Any], Any]] = {
    "array": lambda x: np.float32(x),
    "number": lambda x: np.float32(x[0]) * np.float32(3),
    "truncated": lambda x: np.int64(x) + np.int16(x[1]),
    "by another name": lambda x: single(x),
    "captured": captured(np.bool),
    "list": lambda x: np.float64([x[0], 2.0, x[1]]),
    "sum": lambda x: np.float64(x.sum()) / np.float64(len(x)),
    "complex": lambda x: np.complex128(x).imag,
    "as a dtype too": lambda x: np.float32(x) + np.zeros(3, dtype=np.float32).astype(np.float32),
    "asked for": lambda x: np.float64(x) if x.dtype == np.float64 and isinstance(x[0], np.float64) else -x,
    "a subclass": lambda x: np.float64(x) * issubclass(np.float64, np.floating) * issubclass(np.float64, float),
    "its own subclass": lambda x: np.int8(x) * issubclass(x.dtype.type, np.floating) * issubclass(np.int8, np.int8),
    "of text": lambda x: np.float64(x) + np.float64.fromhex("0x1p1") + np.float64("nan"),
    "as a key": lambda x: np.float64(x) * {np.float64: 2.0, np.float32: 3.0}[np.float64],
    "of a size": lambda x: x / np.float64(x.shape[0]),
}


@pytest.mark.parametrize("backend", ["llvm", "numpy", "reference"])
@pytest.mark.parametrize("name", CALLS)
def test_it_converts_as_numpy_does(name: str, backend: str) -> None:
    function = CALLS[name]
    expected, found = function(X), gradc.jit(function, backend=backend)(X)
    np.testing.assert_array_equal(found, expected)
    assert (found.dtype, type(found)) == (expected.dtype, type(expected))


def test_numbers_of_python_and_slopes() -> None:
    assert gradc.jit(lambda c: np.float32(c))(2.5).dtype == np.float32
    assert gradc.grad(lambda x: np.float64(np.sum(np.float32(x) ** 2)))(X) == pytest.approx(2 * X, rel=1e-6)
    assert gradc.grad(lambda x: np.sum(x * np.int64(x)))(X) == pytest.approx(np.trunc(X))


INTEGERS: dict[str, Callable[[Any], Any]] = {
    "called": lambda n: np.int8(n),
    "computed": lambda n: np.int8(2 * n),
    "without a sign": lambda n: np.uint64(-n),
    "list": lambda n: np.uint8([n, 1]),
    "array": lambda n: np.array(n, dtype=np.int8)[None],
    "nested": lambda n: np.array([[n, 1], [2, n]], "u1"),
    "as array": lambda n: np.asarray([1, n], np.int8),
    "full": lambda n: np.full(3, n, np.int8),
    "full like": lambda n: np.full_like(np.zeros(3, np.int8), n),
    "iterable": lambda n: np.fromiter([n, n], np.uint8),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_python_integers_out_of_range_raise_as_in_numpy(name: str) -> None:
    """In a function that was compiled for another one before, too."""
    function = INTEGERS[name]
    compiled = gradc.jit(function)
    for n in (0, 300, -1, 64):
        try:
            expected = function(n)
        except OverflowError as error:
            with pytest.raises(OverflowError, match=f"^{error}$"):
                compiled(n)
        else:
            found = compiled(n)
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == expected.dtype


def test_python_integers_of_data_are_not_cut_off() -> None:
    with pytest.raises(
        TraceError, match=r"i8 may not hold it; convert what it was taken from with \.astype\(np\.int8\)"
    ):
        gradc.jit(lambda x: np.int8(x.sum().item()))(np.array([200, 100]))
    assert gradc.jit(lambda x: np.int64(x.sum().item()))(np.array([200, 100])) == 300


def test_rows_are_taken_by_indices_that_were_converted() -> None:
    table = np.arange(12.0).reshape(4, 3)
    of = lambda t, k: t[np.int64(k)].sum()  # noqa: E731
    assert gradc.grad(of)(table, np.array([0.0, 2.0, 2.0])).sum(1).tolist() == [3.0, 0.0, 6.0, 0.0]


def test_the_types_are_themselves_again() -> None:
    before = np.float64, single
    seen = []

    def function(x: Any) -> Any:
        seen.append((np.float64, np.dtype(np.float64), repr(np.float64), np.issubdtype(np.float64, np.floating)))
        if x.shape[0] > 3:
            raise KeyError("halfway")
        return np.float64(x)

    gradc.jit(function)(X)
    with pytest.raises(KeyError):
        gradc.jit(function)(np.ones(4))
    assert (np.float64, single) == before
    assert type(np.float64) is type
    assert len(INSTALLED) == 0
    assert seen[0] == (before[0], np.dtype("f8"), "<class 'numpy.float64'>", True)


def test_the_types_are_themselves_to_other_threads() -> None:
    """While a trace calls them, and another one within, also to a trace that asks for their identity."""
    before = np.float64
    halfway, looked = Event(), Event()

    def look() -> tuple[bool, ...]:
        halfway.wait()
        asked = gradc.jit(lambda x: x if x.dtype.type is np.float64 else -x)(X)[0] == X[0]
        try:
            return np.float64 is before, type(np.ones(1)[0]) is np.float64, hasattr(np, "float65"), asked
        finally:
            looked.set()

    def function(x: Any) -> Any:
        x = np.float64(gradc.jit(lambda x: np.float64(np.float32(x)))(x))
        halfway.set()
        looked.wait()
        assert not is_(np.float64, before)
        return np.float64(x)

    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(look)
        gradc.jit(function)(X)
        assert seen.result() == (True, True, False, True)
    assert np.float64 is before
    assert vars(np)["float64"] is before
    assert vars(np)["__getattr__"].__module__ == "numpy"


def test_nothing_stands_in_for_a_type_whose_identity_is_asked_for() -> None:
    def helper(x: Any) -> Any:
        return x.dtype.type is np.float64

    assert gradc.jit(lambda x: x if helper(x) else -x)(X).tolist() == X.tolist()
    with pytest.raises(TraceError, match=r"x\.astype\(np\.float32\) in place of np\.float32\(x\)"):
        gradc.jit(lambda x: np.float64(x) if helper(x) else -x)(X)
