"""Squares go to the sum over a loop one by one, where nothing but that reads what they add up to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradc.ir.aval import aval_of
from gradc.ir.graph import Builder
from gradc.loops.language.program import LoopProgram
from gradc.ops.elementwise import exp
from gradc.ops.reduce import reduce_sum

Checker = Callable[..., LoopProgram]


def numbers(length: int) -> list[np.ndarray]:
    rng = np.random.default_rng(length)
    return [rng.normal(size=length) for _ in range(2)]


def summed(terms: Callable[..., Any], length: int, check: Checker) -> LoopProgram:
    arrays = numbers(length)
    builder = Builder()
    x, y = (builder.input(name, aval_of(array)) for name, array in zip("xy", arrays, strict=True))
    found = terms(x, y)
    total, *others = found if isinstance(found, tuple) else (found,)
    graph = builder.freeze([reduce_sum(total, axes=(0,), keepdims=False), *others])
    return check(graph, arrays)


def additions(program: LoopProgram) -> int:
    return sum("+=" in line and "lanes" in line for line in str(program).splitlines())


@pytest.mark.parametrize("length", [7, 37, 1024, 5000])
@pytest.mark.parametrize(("terms", "count"), [
    (lambda x, y: x * x + y * y, 2),
    (lambda x, y: 100.0 * x * x + y * (0.5 * y), 2),
    (lambda x, y: x * x + (y * y + exp(x) * exp(x)), 3),
    (lambda x, y: (x * y) * (y * x) + x * x * y * y, 2),
])  # fmt: skip
def test_squares_are_added_one_by_one(terms: Callable[..., Any], count: int, length: int, check: Checker) -> None:
    assert additions(summed(terms, length, check)) == count


@pytest.mark.parametrize("terms", [
    lambda x, y: x * x - y * y,
    lambda x, y: x * x + x * y,
    lambda x, y: x * x + -2.0 * y * y,
    lambda x, y: x * x * x + y * y,
    lambda x, y: x * x + exp(y),
    lambda x, y: ((total := x * x + y * y), exp(total)),
    lambda x, y: x * x + (y * y + (x * x * y * y + (x * x * 2.0 + (3.0 * x * x + y * y * 5.0)))),
])  # fmt: skip
def test_other_terms_are_added_up_first(terms: Callable[..., Any], check: Checker) -> None:
    """Those that may cancel, those that are read elsewhere too, and long ones."""
    assert additions(summed(terms, 5000, check)) == 1


def test_the_sum_is_as_accurate(run: Callable[..., list[np.ndarray]]) -> None:
    x, y = numbers(5000)
    builder = Builder()
    a, b = builder.input("x", aval_of(x)), builder.input("y", aval_of(y))
    (got,) = run(builder.freeze([reduce_sum(a * a + 3.0 * b * b, axes=(0,), keepdims=False)]), [x, y])
    exact = math.fsum([u * u for u in x.tolist()] + [3.0 * v * v for v in y.tolist()])
    assert abs(float(got) - exact) <= 4 * np.spacing(exact)
