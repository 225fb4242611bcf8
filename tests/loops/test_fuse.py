"""Which loops are shared, what is computed how often, and that size is no obstacle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradc.ir.aval import aval, aval_of
from gradc.ir.graph import Builder, Graph, Value
from gradc.loops.language.program import Apply, For, LoopProgram, Statement, walk
from gradc.loops.language.traversal import expressions_of, statements_of
from gradc.loops.lowering.lower import lower
from gradc.ops.contraction import contract
from gradc.ops.elementwise import absolute, exp, greater, log, maximum, select, sin, sqrt, tanh
from gradc.ops.index import gather
from gradc.ops.reduce import reduce_max, reduce_sum
from gradc.ops.shape import broadcast_to, reshape, slice_, transpose

Checker = Callable[..., LoopProgram]


def graph_of(function: Callable[..., Any], *arrays: Any) -> Graph:
    builder = Builder()
    results = function(*(builder.input(f"x{k}", aval_of(a)) for k, a in enumerate(arrays)))
    return builder.freeze(results if isinstance(results, list) else [results])


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def nests(program: LoopProgram) -> int:
    """How many loops stand in the outermost block."""
    return sum(isinstance(s, For) for s in program.body)


def computed(program: LoopProgram, primitive: str) -> int:
    """How often a primitive stands in the statements of a program."""
    return sum(
        isinstance(part, Apply) and part.primitive == primitive
        for statement in statements_of(program.body)
        for part in walk(*expressions_of(statement))
    )


def scratch(program: LoopProgram) -> list[tuple[int, ...]]:
    return [tuple(int(d) for d in b.shape) for b in program.buffers if b.kind == "arena"]


def test_a_chain_is_one_loop_without_scratch(check: Checker) -> None:
    x, y = numbers(7, 5), numbers(7, 5, seed=1)
    program = check(graph_of(lambda a, b: tanh(exp(sin(a) * b) + a) * b, x, y), [x, y])
    assert nests(program) == 1
    assert not scratch(program)


def test_results_of_one_shape_share_loops_and_what_they_have_in_common(check: Checker) -> None:
    x = numbers(7, 5)

    def function(a: Value) -> list[Value]:
        e = exp(a)
        return [e + 1.0, e * a, reduce_sum(e, axes=(0, 1), keepdims=False)]

    program = check(graph_of(function, x), [x])
    assert nests(program) == 1
    assert computed(program, "exp") == 1
    assert not scratch(program)


def test_a_dear_value_is_computed_once_for_a_broadcast(check: Checker) -> None:
    x, y = numbers(5), numbers(6, 5)
    program = check(graph_of(lambda a, b: broadcast_to(exp(a), shape=(6, 5)) * b, x, y), [x, y])
    assert scratch(program) == [(5,)]
    by_rows = graph_of(lambda a, b: broadcast_to(reshape(exp(a), shape=(5, 1)), shape=(5, 6)) * b, x, numbers(5, 6))
    program = check(by_rows, [x, numbers(5, 6)])
    assert not scratch(program)
    assert computed(program, "exp") == 1


def test_a_cheap_value_is_computed_where_it_is_used(check: Checker) -> None:
    x, w = numbers(9, 9), numbers(9, 9, seed=1)

    def function(a: Value, b: Value) -> Value:
        doubled = a * 2.0
        product = contract(b, exp(doubled), lhs="ij", rhs="jk", out="ik")
        return product + doubled + transpose(doubled, axes=(1, 0))

    program = check(graph_of(function, x, w), [x, w])
    assert scratch(program) == [(9, 9), (9, 9)]  # what the product reads, and the product
    assert computed(program, "mul") == 3


def test_the_mask_of_an_activation_is_not_stored(check: Checker) -> None:
    x = numbers(9, 9)

    def function(a: Value) -> Value:
        z = contract(a, a, lhs="ij", rhs="jk", out="ik")
        h = maximum(z, z.builder.full(0.0, z.aval))
        d = contract(h, a, lhs="ij", rhs="jk", out="ik")
        return select(greater(z, z.builder.full(0.0, z.aval)), d, z.builder.full(0.0, z.aval))

    program = check(graph_of(function, x), [x])
    assert all(b.dtype == np.float64 for b in program.buffers)


def test_values_that_are_read_at_two_places_are_computed_once(check: Checker) -> None:
    x = numbers(30)

    def function(a: Value) -> Value:
        e = exp(a)
        left = slice_(e, starts=(0,), sizes=(29,), steps=(1,))
        return slice_(e, starts=(1,), sizes=(29,), steps=(1,)) - left

    program = check(graph_of(function, x), [x])
    assert computed(program, "exp") == 1
    assert scratch(program) == [(30,)]


def test_layer_norm_is_one_pass_over_rows(check: Checker) -> None:
    x, gain = numbers(6, 20), numbers(20)

    def function(a: Value, g: Value) -> Value:
        def rows(v: Value) -> Value:
            return broadcast_to(reduce_sum(v, axes=(1,), keepdims=True) * (1 / 20), shape=(6, 20))

        centred = a - rows(a)
        return centred / sqrt(rows(centred * centred) + 1e-5) * broadcast_to(g, shape=(6, 20))

    program = check(graph_of(function, x, gain), [x, gain])
    assert nests(program) == 1
    assert not scratch(program)


def test_a_gather_reads_inside_the_loop_that_uses_it(check: Checker) -> None:
    table, index = numbers(11, 4), np.array([3, -1, 0])
    graph = graph_of(lambda t, i: reduce_sum(exp(gather(t, i, axes=(0,))), axes=(1,), keepdims=False), table, index)
    program = check(graph, [table, index])
    assert nests(program) == 1
    assert not scratch(program)


def test_two_reductions_and_the_values_they_reduce_are_one_nest(check: Checker) -> None:
    x = numbers(6, 20)

    def function(a: Value) -> list[Value]:
        e = exp(absolute(a))
        return [e, reduce_sum(e, axes=(0,), keepdims=False), reduce_max(e, axes=(1,), keepdims=False)]

    program = check(graph_of(function, x), [x])
    assert computed(program, "exp") == 1
    assert nests(program) == 2  # the column sums start with a loop of their own


def test_scalars_between_loops_do_not_keep_them_apart(check: Checker) -> None:
    x = numbers(40)

    def function(a: Value, s: Value) -> list[Value]:
        total = reduce_sum(exp(a), axes=(0,), keepdims=False)
        scaled = a * broadcast_to(sin(s) * 2.0, shape=(40,))
        return [log(total), scaled]

    program = check(graph_of(function, x, np.float64(0.3)), [x, np.float64(0.3)])
    assert nests(program) == 1


# Size.


def depth(block: tuple[Statement, ...]) -> int:
    return max((1 + depth(s.body) for s in block if isinstance(s, For)), default=0)


def test_a_long_chain_of_numbers_is_straight_code() -> None:
    builder = Builder()
    x = builder.input("x", aval("f64[]"))
    h = x
    for k in range(20_000):
        h = tanh(h) if k % 10 == 0 else h * x + 0.5
    program = lower(builder.freeze([h]))
    assert depth(program.body) == 0
    assert program.arena_bytes == 0


def test_a_long_chain_of_arrays_is_cut_into_loops() -> None:
    builder = Builder()
    x = builder.input("x", aval("f64[16]"))
    h = x
    for k in range(20_000):
        h = tanh(h) if k % 10 == 0 else h * x + 0.5
    program = lower(builder.freeze([h]))
    assert 20 < nests(program) < 400
    assert program.arena_bytes <= 2 * 128
    str(program)


def test_diamonds_are_not_computed_twice() -> None:
    """Each value is used twice by the next: computing it where it is used would double the work at every step."""
    builder = Builder()
    h = builder.input("x", aval("f64[4,6]"))
    for k in range(200):
        h = transpose(h, axes=(1, 0)) + 1.0 if k % 5 == 0 else h * h + h
        if k % 50 == 0:
            h = tanh(h)
    program = lower(builder.freeze([h]))
    assert sum(1 for _ in statements_of(program.body)) < 2000


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_elements_that_data_chooses_in_a_row_are_those_of_that_row(check: Checker, columns: int) -> None:
    """With one column the loop over rows has none inside, so it runs several rows at once: each has its element."""
    x = numbers(9, columns)
    rows, chosen = np.arange(9), np.arange(9) % columns

    def function(a: Value, places: Value) -> list[Value]:
        doubled = a * a
        picked = gather(doubled, a.builder.constant(rows), places, axes=(0, 1))
        return [reduce_sum(picked, axes=(0,), keepdims=False), picked]

    check(graph_of(function, x, chosen), [x, chosen])
