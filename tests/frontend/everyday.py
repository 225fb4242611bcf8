"""How programs as people write them are held against plain NumPy: their values, and their gradients.

The gradient is that of the sum of all floats, each with a weight of its own. Where plain NumPy takes complex arguments
it is held against a complex step, which has no error of differences; elsewhere against central differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import gradc

BACKENDS = ("numpy", "llvm")
STEP = 1e-30


@dataclass(frozen=True)
class Program:
    """A function of arrays, at a point. ``complex_step`` says that it is analytic, and NumPy takes complex arrays."""

    function: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    complex_step: bool


class Programs(list[Program]):
    """Programs in the order in which they are written."""

    def enter(
        self, *inputs: np.ndarray, complex_step: bool = False
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """A decorator that adds a function."""

        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            self.append(Program(function, inputs, complex_step))
            return function

        return add

    def tests(self) -> tuple[Callable[..., None], Callable[..., None]]:
        """The tests of all functions, by their names: of values on all backends, and of gradients."""
        each = pytest.mark.parametrize("program", self, ids=[program.function.__name__ for program in self])

        @pytest.mark.parametrize("backend", BACKENDS)
        @each
        def test_value(program: Program, backend: str) -> None:
            check_value(program, backend)

        @each
        def test_gradient(program: Program) -> None:
            check_gradient(program)

        return test_value, test_gradient


def check_value(program: Program, backend: str) -> None:
    """The results have NumPy's dtypes, shapes and values."""
    actual = flat(gradc.jit(program.function, backend=backend)(*program.inputs))
    expected = plain(program)
    assert len(actual) == len(expected)
    for position, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert (a.dtype, a.shape) == (e.dtype, e.shape), f"result {position}"
        rtol = 1e-6 if e.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(a, e, rtol=rtol, atol=1e-13, err_msg=f"result {position}")


def check_gradient(program: Program) -> None:
    """The gradient along a direction is NumPy's slope."""
    rng = np.random.default_rng(5)
    parts = plain(program)
    weights = [rng.normal(size=part.shape) if part.dtype == np.float64 else None for part in parts]
    directions = [rng.normal(size=x.shape) for x in program.inputs]

    def total(*given: Any) -> Any:
        results = leaves(program.function(*given))
        return sum(np.sum(w * part) for w, part in zip(weights, results, strict=True) if w is not None)

    cts = gradc.grad(total, wrt=tuple(range(len(program.inputs))))(*program.inputs)
    pulled = sum(np.sum(ct * d) for ct, d in zip(cts, directions, strict=True))
    if program.complex_step:
        shifted = [x + STEP * 1j * d for x, d in zip(program.inputs, directions, strict=True)]
        np.testing.assert_allclose(pulled, total(*shifted).imag / STEP, rtol=1e-11, atol=1e-12)
    else:
        np.testing.assert_allclose(pulled, _slope(total, program.inputs, directions), rtol=1e-7, atol=1e-7)


def _slope(total: Callable[..., Any], inputs: Sequence[np.ndarray], directions: Sequence[np.ndarray]) -> float:
    def moved(t: float) -> float:
        return float(total(*[x + t * d for x, d in zip(inputs, directions, strict=True)]))

    wide, narrow = [(moved(h) - moved(-h)) / (2 * h) for h in (1e-4, 5e-5)]
    return (4 * narrow - wide) / 3


def plain(program: Program) -> list[np.ndarray]:
    """What NumPy gives."""
    return flat(program.function(*[np.array(x) for x in program.inputs]))


def flat(result: Any) -> list[np.ndarray]:
    """The leaves of a result as arrays."""
    return [np.asarray(part) for part in leaves(result)]


def leaves(result: Any) -> Iterator[Any]:
    """The leaves of dicts, lists and tuples."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (tuple, list)):
        for item in result:
            yield from leaves(item)
    else:
        yield result
