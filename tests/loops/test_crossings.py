"""What the reverse sweep computes again and what it reads, and what a kernel keeps for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gradc
from gradc.ir.aval import aval_of
from gradc.ir.graph import Builder, Graph, Value
from gradc.loops.language.program import LoopProgram
from gradc.loops.lowering import crossings
from gradc.loops.lowering import lower as lowering
from gradc.loops.lowering.lower import lower
from gradc.ops.contraction import contract
from gradc.ops.elementwise import convert, greater, less, maximum, minimum, sin, tanh
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


@pytest.mark.parametrize("price", [0, 3, 10**6])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_random_sweeps_mean_the_same_at_any_price_of_memory(price: int, data: st.DataObject, check: Checker) -> None:
    """Values of two arrays, sums of some of them, and values again that need both."""
    arrays = [numbers(6, 5, seed=1), numbers(6, 5, seed=2)]
    builder = Builder()
    values = [builder.input(f"x{k}", aval_of(array)) for k, array in enumerate(arrays)]
    for _ in range(data.draw(st.integers(2, 4))):
        for _ in range(data.draw(st.integers(1, 5))):
            one, other = (values[data.draw(st.integers(0, len(values) - 1))] for _ in range(2))
            made = [tanh(one), sin(other), one - other, one * other, maximum(one, other), one * 0.5]
            values.append(made[data.draw(st.integers(0, len(made) - 1))])
        total = reduce_sum(values[-1], axes=(0, 1), keepdims=False)
        values.append(values[data.draw(st.integers(0, len(values) - 1))] * broadcast_to(tanh(total), shape=(6, 5)))
    graph = builder.freeze(values[-3:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crossings, "_LEAST_BYTES", 0)
        patch.setattr(crossings, "_picoseconds", lambda total: price)
        program = check(graph, arrays, rtol=1e-9, atol=1e-9)
        patch.setattr(lowering, "computed_again", lambda plan, nest: {})
        kept = lower(graph)
    if price == 10**6:
        assert int(program.arena_bytes) <= int(kept.arena_bytes)


def test_the_choice_is_the_same_each_time() -> None:
    graph = normalised(lambda a, b: a * b, numbers(ROWS, COLUMNS), numbers(ROWS, COLUMNS, seed=1))
    assert str(lower(graph)) == str(lower(graph))


@pytest.mark.parametrize(("chosen", "asks"), [(maximum, greater), (minimum, less)])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_comparison_is_read_off_the_extremum_that_a_product_reads(
    check: Checker, chosen: Callable[..., Value], asks: Callable[..., Value], swapped: bool
) -> None:
    """Also for NaN on either side and zeros of both signs; what is compared takes no array."""
    kinds = np.array([np.nan, -np.inf, -1.0, -0.0, 0.0, 1.0, np.inf])
    z, bound = (np.resize(k, (ROWS, 49)) for k in np.meshgrid(kinds, kinds))
    builder = Builder()
    arrays = [z, bound, np.ones((49, ROWS))]
    a, b, w = (builder.input(name, aval_of(array)) for name, array in zip("zcw", arrays, strict=True))
    summed = a + b
    h = chosen(b, summed) if swapped else chosen(summed, b)
    product = contract(h, w, lhs="ij", rhs="jk", out="ik")
    mask = convert(asks(summed, b), dtype=np.dtype(np.float64))
    with np.errstate(invalid="ignore"):
        program = check(builder.freeze([product, mask]), arrays)
    assert [b.shape for b in program.buffers if b.kind == "arena"] == [(ROWS, 49)]
    assert "z" not in re.findall(r"\w+", str(program).split("  out1[")[1])


def test_a_perceptron_keeps_its_activations_alone() -> None:
    """The sums under relu are not kept, and what gradients of weights read last is free for the sweep's cotangents."""

    def loss(w, x):
        h = x
        for layer in w:
            h = np.maximum(h @ layer, 0)
        return np.mean(h)

    sizes = (40, 64, 64, 64)
    w = [numbers(n, m, seed=n) for n, m in pairwise(sizes)]
    cost = gradc.grad(loss).compile(w, numbers(100, 40)).cost
    assert cost.arena == 3 * 100 * 64 * 8 + 100 * 64 * 8
