"""Writes into slices of zeros are one pass; what reads neighbours shares a loop with what it is summed into."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import gradc
from gradc.errors import IndexBoundsError
from gradc.ir.aval import aval_of
from gradc.ir.graph import Builder, Graph
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import For, LoopProgram
from gradc.loops.language.traversal import statements_of
from gradc.loops.lowering.decompose import decompose
from gradc.loops.lowering.lower import lower
from gradc.ops.elementwise import exp, sin
from gradc.ops.index import gather
from gradc.ops.reduce import reduce_sum
from gradc.ops.shape import concatenate, slice_, update_slice

Checker = Callable[..., LoopProgram]


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def written(
    shape: tuple[int, ...], axis: int, starts: list[int], modes: list[str], *arrays: np.ndarray, dense: bool = False
) -> Graph:
    """Zeros of a shape, or an array that is the last input, with arrays written along an axis."""
    builder = Builder()
    total = exp(builder.input("base", aval_of(np.zeros(shape)))) if dense else None
    for k, (array, start, mode) in enumerate(zip(arrays, starts, modes, strict=True)):
        value = sin(builder.input(f"x{k}", aval_of(array)))
        base = builder.full(0.0, aval_of(np.zeros(shape))) if total is None else total
        at = tuple(start if a == axis else 0 for a in range(len(shape)))
        total = update_slice(base, value, starts=at, steps=(1,) * len(shape), mode=mode)
    assert total is not None
    return builder.freeze([total])


def ops(graph: Graph) -> set[str]:
    return {node.op.name for node in graph.nodes}


def loops(program: LoopProgram) -> list[int]:
    return [int(s.hi.value) for s in statements_of(program.body) if isinstance(s, For)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("starts", "lengths", "modes"), [
    ([3], [4], ["set"]),
    ([0, 1], [9, 9], ["set", "add"]),
    ([0, 5], [5, 5], ["add", "add"]),
    ([2, 0, 4], [4, 10, 3], ["set", "add", "set"]),
    ([0, 1, 2], [8, 8, 8], ["set", "add", "add"]),
    ([7, 1], [2, 3], ["set", "set"]),
])  # fmt: skip
@pytest.mark.parametrize("axis", [0, 1])
def test_writes_along_an_axis(
    starts: list[int], lengths: list[int], modes: list[str], axis: int, check: Checker
) -> None:
    shape = (10, 3) if axis == 0 else (3, 10)
    parts = [numbers(*((n, 3) if axis == 0 else (3, n)), seed=k) for k, n in enumerate(lengths)]
    graph = written(shape, axis, starts, modes, *parts)
    assert "update_slice" not in ops(decompose(graph))
    program = check(graph, parts)
    assert not any(buffer.kind == "arena" for buffer in program.buffers)


@pytest.mark.parametrize(("starts", "lengths", "modes", "whole"), [
    ([1], [8], ["add"], True),
    ([1, 0], [9, 5], ["set", "add"], True),
    ([0, 2, 1], [8, 8, 8], ["add", "add", "add"], True),
    ([3], [4], ["add"], False),
    ([0, 0], [10, 10], ["add", "set"], False),
])  # fmt: skip
@pytest.mark.parametrize("axis", [0, 1])
def test_writes_that_cover_most_of_an_array(
    starts: list[int], lengths: list[int], modes: list[str], whole: bool, axis: int, check: Checker
) -> None:
    """An array of which little is written, or which is written over, is not put together anew."""
    shape = (10, 3) if axis == 0 else (3, 10)
    parts = [numbers(*((n, 3) if axis == 0 else (3, n)), seed=k) for k, n in enumerate(lengths)]
    graph = written(shape, axis, starts, modes, *parts, dense=True)
    assert ("update_slice" not in ops(decompose(graph))) == whole
    check(graph, [numbers(*shape, seed=9), *parts])


def test_a_step_of_a_stencil_and_its_gradient_take_one_pass_each() -> None:
    def loss(u):  # type: ignore[no-untyped-def]
        for _ in range(3):
            new = u.copy()
            new[1:-1] += 0.1 * (u[2:] - 2.0 * u[1:-1] + u[:-2])
            u = new
        return np.sum(u * u)

    def gradient(u: np.ndarray) -> np.ndarray:
        step = np.eye(u.size)
        for k in range(1, u.size - 1):
            step[k, k - 1 : k + 2] += 0.1 * np.array([1.0, -2.0, 1.0])
        forward = np.linalg.matrix_power(step, 3)
        return 2.0 * forward.T @ (forward @ u)  # type: ignore[no-any-return]

    u = numbers(300)
    kernel = gradc.grad(loss).compile(u)
    np.testing.assert_allclose(kernel(u), gradient(u), rtol=1e-12, atol=1e-13)
    assert loops(lower(kernel.graph)) == [298] * 3 + [296] * 3


def test_many_sums_in_one_place_stay_writes(check: Checker) -> None:
    parts = [numbers(9, seed=k) for k in range(6)]
    graph = written((10,), 0, [0, 1, 0, 1, 0, 1], ["add"] * 6, *parts)
    assert "update_slice" in ops(decompose(graph))
    check(graph, parts)


def test_columns_are_written_in_one_loop(check: Checker) -> None:
    parts = [numbers(20, 1, seed=k) for k in range(5)]
    program = check(written((20, 5), 1, [4, 0, 2, 1, 3], ["add"] * 5, *parts), parts)
    assert loops(program) == [20]


def test_a_loss_over_neighbours_and_its_gradient_are_one_loop() -> None:
    def rosenbrock(x):  # type: ignore[no-untyped-def]
        a, b = x[1:] - x[:-1] * x[:-1], 1.0 - x[:-1]
        return np.sum(100.0 * a * a + b * b)

    x = numbers(4200)
    kernel = gradc.value_and_grad(rosenbrock).compile(x)
    value, gradient = kernel(x)
    a, b = x[1:] - x[:-1] ** 2, 1.0 - x[:-1]
    expected = np.zeros(4200)
    expected[1:] = 200.0 * a
    expected[:-1] -= 400.0 * a * x[:-1] + 2.0 * b
    np.testing.assert_allclose(value, np.sum(100.0 * a * a + b * b), rtol=1e-13)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-10)
    program = lower(kernel.graph)
    assert loops(program) == [4198]
    assert program.arena_bytes == 0


def test_a_dear_value_that_pieces_share_out_is_not_stored(check: Checker) -> None:
    x = numbers(300)

    def graph() -> Graph:
        builder = Builder()
        value = exp(sin(builder.input("x", aval_of(x))))
        zeros = builder.full(0.0, aval_of(np.zeros(301)))
        total = update_slice(zeros, value, starts=(0,), steps=(1,), mode="set")
        return builder.freeze([update_slice(total, value * 2.0, starts=(1,), steps=(1,), mode="add")])

    check(graph(), [x])


def test_columns_of_gathered_rows_are_read_in_place(check: Checker) -> None:
    table, at = numbers(7, 4), np.array([3, -1, 0, 6, 2, 2])
    builder = Builder()
    t, i = builder.input("table", aval_of(table)), builder.input("at", aval_of(at))
    rows = gather(t, i, axes=(0,))
    columns = [slice_(rows, starts=(0, k), sizes=(6, 1), steps=(1, 1)) for k in range(4)]
    graph = builder.freeze([columns[0] * columns[3] + sin(columns[1] - columns[2])])
    program = check(graph, [table, at])
    assert not any(buffer.kind == "arena" for buffer in program.buffers)
    assert loops(program) == [6]


def test_rows_of_which_some_are_not_used_are_checked_all_the_same(run: Callable[..., list[np.ndarray]]) -> None:
    table, at = numbers(7, 4), np.array([3, 0, 9])
    builder = Builder()
    t, i = builder.input("table", aval_of(table)), builder.input("at", aval_of(at))
    first = slice_(gather(t, i, axes=(0,)), starts=(0, 0), sizes=(2, 4), steps=(1, 1))
    graph = builder.freeze([reduce_sum(first, axes=(0, 1), keepdims=False)])
    with pytest.raises(IndexBoundsError, match="index 9 is out of bounds"):
        run(graph, [table, at])


@pytest.mark.parametrize("place", [0, 5, 8, 36])
def test_checks_in_vectors_tell_the_index(place: int, run: Callable[..., list[np.ndarray]]) -> None:
    x, at = numbers(10), np.arange(37) % 10
    builder = Builder()
    graph = builder.freeze([exp(gather(builder.input("x", aval_of(x)), builder.input("at", aval_of(at)), axes=(0,)))])
    np.testing.assert_allclose(run(graph, [x, at])[0], np.exp(x[at]), rtol=1e-14)
    for wrong in (10, -11, 2**40):
        bad = at.copy()
        bad[place] = wrong
        with pytest.raises(IndexBoundsError, match=f"index {wrong} is out of bounds"):
            run(graph, [x, bad])


@pytest.mark.parametrize(("start", "size", "step"), [(0, 3, 1), (1, 2, 1), (3, 4, 1), (4, 2, 2), (0, 2, 2), (7, 2, 1)])
def test_what_lies_in_one_piece_is_read_there(check: Checker, start: int, size: int, step: int) -> None:
    x, y = numbers(2, 3), numbers(2, 4, seed=1)
    builder = Builder()
    a, b = builder.input("a", aval_of(x)), builder.input("b", aval_of(y))
    joined = concatenate(sin(a), sin(b), builder.full(2.5, a.aval), axis=1)
    part = slice_(joined, starts=(0, start), sizes=(2, size), steps=(1, step))
    program = check(builder.freeze([part]), [x, y])
    assert not [buffer for buffer in program.buffers if buffer.kind == "arena"]


@pytest.mark.parametrize(("start", "size", "step"), [(2, 2, 1), (0, 3, 3), (2, 3, 4)])
def test_what_reaches_into_several_pieces_is_read_of_the_whole(
    check: Checker, start: int, size: int, step: int
) -> None:
    x, y = numbers(3), numbers(8, seed=1)
    builder = Builder()
    a, b = builder.input("a", aval_of(x)), builder.input("b", aval_of(y))
    part = slice_(concatenate(sin(a), sin(b), axis=0), starts=(start,), sizes=(size,), steps=(step,))
    check(builder.freeze([part]), [x, y])


def test_the_cotangent_of_a_recurrence_takes_no_array() -> None:
    """Of the flat result of a scan only the last state has a cotangent: the rows that it saved have none."""

    steps, size = 500, 6

    def loss(w, x):
        h = np.zeros(size)
        for t in range(steps):
            h = np.tanh(w * h + x[t])
        return np.sum(h)

    program = parse_program(gradc.grad(loss).compile(numbers(size), numbers(steps, size)).loops)
    assert program.functions
    assert [b.shape for b in program.buffers if b.kind == "arena" and int(b.bytes) >= 8 * steps * size] == [(6006,)]
