"""Run a NumPy function by its registered meaning on a bare builder, and compare with NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradc.backends.reference import evaluate
from gradc.errors import GradcError
from gradc.frontend.numpy_api import lookup
from gradc.ir.aval import aval_of
from gradc.ir.graph import Builder, Value
from gradc.transforms.adjoint import adjoint

DTYPES = tuple(np.dtype(code) for code in "?bBhHiIqQefd")


class Bench:
    """A builder whose inputs are concrete arrays, remembered so that the graph can be run."""

    def __init__(self) -> None:
        self.builder = Builder()
        self.arrays: list[np.ndarray] = []

    def input(self, array: Any) -> Value:
        """A traced array; a Python number becomes a traced weak one."""
        value = self.builder.input(f"x{len(self.arrays)}", aval_of(array))
        self.arrays.append(np.asarray(array))
        return value

    def lift(self, x: Any, name: str) -> Value:
        """As the tracer lifts: Values stay, Python numbers are weak constants."""
        if isinstance(x, Value):
            return x
        return self.builder.constant(
            np.asarray(x) if isinstance(x, (list, tuple)) else x, weak=type(x) in (int, float, complex)
        )

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """The registered meaning of ``function``, its arrays (in lists too) being inputs."""
        record = lookup(function)
        assert record is not None, function
        return record.call(self.lift, tuple(map(self._traced, args)), {k: self._traced(v) for k, v in kwargs.items()})

    def run(self, *values: Value) -> list[np.ndarray]:
        """The values as arrays."""
        return evaluate(self.builder.freeze(values), self.arrays)

    def _traced(self, arg: Any) -> Any:
        if isinstance(arg, (np.ndarray, np.generic)) and not isinstance(arg, np.integer):
            return self.input(arg)
        if isinstance(arg, list) and any(isinstance(a, np.ndarray) for a in arg):
            return [self._traced(a) for a in arg]
        return arg


def _same(actual: np.ndarray, expected: Any, ulp: int) -> None:
    expected = np.asarray(expected)
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    if ulp and expected.dtype.kind == "f":
        finite = np.abs(expected[np.isfinite(expected)])
        atol = ulp * float(np.finfo(expected.dtype).eps) * float(finite.max(initial=0))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)
    else:
        np.testing.assert_array_equal(actual, expected)


@pytest.fixture
def same() -> Callable[..., None]:
    """``same(actual, expected, ulp=0)``: dtype, shape, values; floats within units of the largest magnitude."""
    return lambda actual, expected, ulp=0: _same(actual, expected, ulp)


@pytest.fixture
def bench() -> Bench:
    """A fresh bench."""
    return Bench()


@pytest.fixture
def new_bench() -> type[Bench]:
    """Makes a fresh bench, for tests that need many."""
    return Bench


@pytest.fixture
def traced() -> Callable[..., Any]:
    """``traced(np.sum, x, axis=0)``: what the registered meaning computes."""

    def run(function: Any, *args: Any, **kwargs: Any) -> Any:
        bench = Bench()
        result = bench.call(function, *args, **kwargs)
        if isinstance(result, (list, tuple)) and all(isinstance(r, Value) for r in result):
            return bench.run(*result)
        return bench.run(result)[0] if isinstance(result, Value) else result

    return run


@pytest.fixture
def agrees(traced: Callable[..., Any]) -> Callable[..., None]:
    """``agrees(np.sum, x, axis=0)``: equal to NumPy in dtype, shape and values; where NumPy raises, gradc raises."""

    def check(function: Any, *args: Any, ulp: int = 0, **kwargs: Any) -> None:
        try:
            with np.errstate(all="ignore"):
                expected = function(*args, **kwargs)
        except (TypeError, ValueError, IndexError, ArithmeticError):
            with pytest.raises(GradcError):
                traced(function, *args, **kwargs)
            return
        actual = traced(function, *args, **kwargs)
        if not isinstance(expected, (list, tuple)):
            actual, expected = [actual], [expected]
        assert len(actual) == len(expected)
        for a, e in zip(actual, expected, strict=True):
            _same(a, e, ulp)

    return check


@pytest.fixture
def gradient_agrees() -> Callable[..., None]:
    """``gradient_agrees(f, x, y)``: the adjoint of ``f(bench, *values)`` meets a central difference."""

    def check(function: Callable[..., Value], *arrays: np.ndarray, step: float = 1e-6, rtol: float = 1e-7) -> None:
        rng = np.random.default_rng(7)
        directions = [rng.normal(size=a.shape) for a in arrays]
        bench = Bench()
        values = [bench.input(a) for a in arrays]
        result = function(bench, *values)
        weights = rng.normal(size=bench.run(result)[0].shape)
        cts = adjoint(bench.builder, [result], [bench.builder.constant(weights)], values)
        pulled = sum(
            float(np.sum(bench.run(ct)[0] * d)) for ct, d in zip(cts, directions, strict=True) if ct is not None
        )

        def moved(t: float) -> float:
            inputs = [a + t * d for a, d in zip(arrays, directions, strict=True)]
            return float(np.sum(evaluate(bench.builder.freeze([result]), inputs)[0] * weights))

        np.testing.assert_allclose(pulled, (moved(step) - moved(-step)) / (2 * step), rtol=rtol, atol=1e-8)

    return check


@pytest.fixture
def sample() -> Callable[..., np.ndarray]:
    """``sample(2, 3, dtype="f4")``: an array of moderate numbers of either sign, the same at every run."""
    rng = np.random.default_rng(0)

    def make(*shape: int, dtype: Any = float) -> np.ndarray:
        kind = np.dtype(dtype).kind
        if kind == "f":
            return np.asarray(rng.normal(size=shape) * 2).astype(dtype)
        low, high = {"b": (0, 2), "u": (0, 6), "i": (-5, 6)}[kind]
        return np.asarray(rng.integers(low, high, shape)).astype(dtype)

    return make


@pytest.fixture(params=DTYPES, ids=str)
def dtype(request: pytest.FixtureRequest) -> np.dtype:
    """Every real dtype."""
    return request.param
