"""Known indices that count in equal steps are views, and writes at them slices, with the bits of tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.backends.reference import evaluate
from gradc.errors import IndexBoundsError
from gradc.ir.aval import aval_of
from gradc.ir.graph import Builder, Graph
from gradc.loops.language.program import Accumulate, For, LoopProgram
from gradc.loops.language.traversal import statements_of
from gradc.loops.lowering.costs import overlap
from gradc.loops.lowering.decompose import decompose
from gradc.loops.lowering.indexing import axis
from gradc.loops.lowering.lower import lower
from gradc.loops.lowering.windows import equal_steps
from gradc.ops.index import gather, gathered_shape, scatter

Runner = Callable[..., list[np.ndarray]]

windows = np.lib.stride_tricks.sliding_window_view
UP, DOWN = np.arange(4), np.arange(3)[::-1]


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


TABLES: list[tuple[tuple[int, ...], tuple[int, ...], list[Any]]] = [
    ((9,), (0,), [np.array(-2)]),
    ((9,), (0,), [UP * 2 + 1]),
    ((9, 2), (0,), [UP - 4]),
    ((9, 2), (0,), [np.full(3, 5)]),
    ((2, 9), (1,), [UP[:, None] + DOWN]),
    ((9, 2), (0,), [UP[:, None] * 2 + UP[:2]]),
    ((9, 2), (0,), [8 - UP[:, None] - UP]),
    ((9,), (0,), [4 + UP[:, None] - UP]),
    ((9,), (0,), [UP[:, None] + 0 * UP]),
    ((9,), (0,), [0 * UP[:, None] + UP]),
    ((9,), (0,), [np.arange(1)[:, None] + UP]),
    ((9, 2), (0,), [UP[:, None, None] + UP[:2, None] + UP[:3]]),
    ((6, 5), (0, 1), [UP, UP]),
    ((6, 2, 5), (0, 2), [UP[:, None] + UP[:2], 4 - UP[:, None] + 0 * UP[:2]]),
]


def built(base: np.ndarray, value: np.ndarray | None, tables: list[Any], axes: tuple[int, ...], mode: str) -> Graph:
    builder = Builder()
    x = builder.input("x", aval_of(base))
    indices = [builder.constant(np.asarray(table)) for table in tables]
    if value is None:
        return builder.freeze([gather(x, *indices, axes=axes)])
    return builder.freeze([scatter(x, builder.input("v", aval_of(value)), *indices, axes=axes, mode=mode)])


def has_table(program: LoopProgram) -> bool:
    return any(buffer.kind == "constant" for buffer in program.buffers)


@pytest.mark.parametrize(("shape", "axes", "tables"), TABLES)
def test_gathers(shape: tuple[int, ...], axes: tuple[int, ...], tables: list[Any], run: Runner) -> None:
    x = numbers(*shape)
    graph = built(x, None, tables, axes, "")
    assert "gather" not in {node.op.name for node in decompose(graph).nodes}
    assert not has_table(lower(graph))
    np.testing.assert_array_equal(run(graph, [x])[0], evaluate(graph, [x])[0])


@pytest.mark.parametrize("mode", ["add", "set"])
@pytest.mark.parametrize(("shape", "axes", "tables"), TABLES)
def test_scatters(shape: tuple[int, ...], axes: tuple[int, ...], tables: list[Any], mode: str, run: Runner) -> None:
    """Every element has its terms in the order of the table: the numbers are those of ``np.add.at``, bit for bit."""
    x, value = numbers(*shape), numbers(*gathered_shape(shape, np.shape(tables[0]), axes), seed=1)  # type: ignore[arg-type]
    graph = built(x, value, tables, axes, mode)
    assert not has_table(lower(graph))
    np.testing.assert_array_equal(run(graph, [x, value])[0], evaluate(graph, [x, value])[0])


def test_masks_are_joined(run: Runner) -> None:
    """A place is True where one of the windows that reach it is, as in the gradient of a select under windows."""
    rng = np.random.default_rng(0)
    x, value = rng.uniform(size=9) < 0.1, rng.uniform(size=(7, 3)) < 0.3
    graph = built(x, value, [np.arange(7)[:, None] + np.arange(3)], (0,), "add")
    np.testing.assert_array_equal(run(graph, [x, value])[0], evaluate(graph, [x, value])[0])


def test_other_tables_are_read() -> None:
    for table in (np.array([0, 1, 3]), np.array([[0, 1], [1, 3]]), np.array([0, 9])):
        assert equal_steps(table, 9) is None
    assert has_table(lower(built(numbers(9), None, [np.array([0, 1, 3])], (0,), "")))


def test_indices_that_leave_an_axis_are_refused(run: Runner) -> None:
    with pytest.raises(IndexBoundsError, match="index 9 is out of bounds"):
        run(built(numbers(9), None, [np.arange(3) + 7], (0,), ""), [numbers(9)])


def test_overlaps() -> None:
    i, j, k = axis(0, 10), axis(1, 3), axis(2, 4)
    assert [overlap(x) for x in (i, 3 * i + j, 12 * i + 4 * j + k, 5, 7 - j)] == [1, 1, 1, 1, 1]
    assert [overlap(x) for x in (i + j, i - j, 2 * i + j, i + j + k)] == [3, 3, 2, 8]


def test_a_filter_reads_its_signal_in_place() -> None:
    def loss(x, w):  # type: ignore[no-untyped-def]
        return np.sum(np.tanh(windows(x, 3) @ w))

    x, w = numbers(200), numbers(3)
    kernel = gradc.grad(loss, (0, 1)).compile(x, w)
    by_x, by_w = kernel(x, w)
    slope = 1 - np.tanh(windows(x, 3) @ w) ** 2
    np.testing.assert_allclose(by_w, slope @ windows(x, 3), rtol=1e-12)
    np.testing.assert_allclose(by_x, np.convolve(slope, w), rtol=1e-12, atol=1e-14)
    program = lower(kernel.graph)
    assert str(program).count("x{0; 1, 1}") == 2
    assert not has_table(program)


def test_a_dear_value_is_computed_once_and_not_in_each_window() -> None:
    x = numbers(100)
    kernel = gradc.jit(lambda x: windows(np.sin(x), 5).max(axis=-1)).compile(x)
    np.testing.assert_allclose(kernel(x), windows(np.sin(x), 5).max(axis=-1), rtol=1e-14)
    assert "for i in 0 to 100 vector:\n    sin_1[i] = sin(x[i])" in str(lower(kernel.graph))


def test_the_slope_of_long_windows_runs_in_vectors() -> None:
    def loss(x, w):  # type: ignore[no-untyped-def]
        return np.sum(np.tanh(windows(x, 40) @ w))

    x, w = numbers(120), numbers(40)
    kernel = gradc.grad(loss).compile(x, w)
    slope = 1 - np.tanh(windows(x, 40) @ w) ** 2
    np.testing.assert_allclose(kernel(x, w), np.convolve(slope, w), rtol=1e-11, atol=1e-12)
    inner = [
        s.mode for s in statements_of(lower(kernel.graph).body)
        if isinstance(s, For) and isinstance(s.body[-1], Accumulate) and str(s.hi) == "40"
    ]  # fmt: skip
    assert inner == ["vector"]


def test_windows_are_rows_of_a_recurrence() -> None:
    def loss(x, w):  # type: ignore[no-untyped-def]
        rows, h = windows(x, 4), np.float64(0)
        for t in range(300):
            h = np.tanh(0.5 * h + np.sum(rows[t] * w))
        return h

    x, w = numbers(303), numbers(4)
    value, (by_x, by_w) = gradc.value_and_grad(loss, (0, 1))(x, w)
    assert value == pytest.approx(loss(x, w), rel=1e-12)
    v, u = numbers(303, seed=2), numbers(4, seed=3)
    step = loss(x + 1e-30j * v, w + 1e-30j * u).imag / 1e-30
    assert by_x @ v + by_w @ u == pytest.approx(step, rel=1e-10)
