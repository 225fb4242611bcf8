"""What the reverse sweep computes again and what it reads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradc.ir.aval import aval_of
from gradc.ir.graph import Builder, Graph, Value
from gradc.loops.lower import lower
from gradc.loops.program import LoopProgram
from gradc.ops.elementwise import tanh
from gradc.ops.reduce import reduce_sum
from gradc.ops.shape import broadcast_to, reshape

Checker = Callable[..., LoopProgram]
ROWS, COLUMNS = 300, 40


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def normalised(make: Callable[[Value, Value], Value], *arrays: np.ndarray) -> Graph:
    """A value of two arrays, times its sum: the sum takes a nest of its own before."""
    builder = Builder()
    value = make(*(builder.input(f"x{k}", aval_of(array)) for k, array in enumerate(arrays)))
    total = reduce_sum(value, axes=(0, 1), keepdims=False)
    return builder.freeze([value * broadcast_to(reshape(total, shape=(1, 1)), shape=(ROWS, COLUMNS))])


def arrays_of(program: LoopProgram) -> list[tuple[int, ...]]:
    return [tuple(int(d) for d in b.shape) for b in program.buffers if b.kind == "arena" and int(b.bytes) > 4096]


def test_a_product_of_inputs_is_computed_again(check: Checker) -> None:
    x, y = numbers(ROWS, COLUMNS), numbers(ROWS, COLUMNS, seed=1)
    assert not arrays_of(check(normalised(lambda a, b: a * b, x, y), [x, y], rtol=1e-9))


def test_a_transcendental_is_kept(check: Checker) -> None:
    x, y = numbers(ROWS, COLUMNS), numbers(ROWS, COLUMNS, seed=1)
    assert arrays_of(check(normalised(lambda a, b: tanh(a) * b, x, y), [x, y], rtol=1e-9)) == [(ROWS, COLUMNS)]


def test_of_a_chain_what_is_dear_is_kept_and_the_rest_computed_again(check: Checker) -> None:
    """Two values that cross share a transcendental: that is stored, and both are computed of it."""
    x, y = numbers(ROWS, COLUMNS), numbers(ROWS, COLUMNS, seed=1)
    builder = Builder()
    a, b = builder.input("a", aval_of(x)), builder.input("b", aval_of(y))
    t = tanh(a)
    values = [t * b, t - b]
    total = reduce_sum(values[0] * values[1], axes=(0, 1), keepdims=False)
    spread = broadcast_to(reshape(total, shape=(1, 1)), shape=(ROWS, COLUMNS))
    graph = builder.freeze([values[0] * spread, values[1] / spread])
    assert arrays_of(check(graph, [x, y], rtol=1e-9)) == [(ROWS, COLUMNS)]


def test_the_choice_is_the_same_each_time() -> None:
    graph = normalised(lambda a, b: a * b, numbers(ROWS, COLUMNS), numbers(ROWS, COLUMNS, seed=1))
    assert str(lower(graph)) == str(lower(graph))
