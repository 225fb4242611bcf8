"""Arrays that are filled piece by piece: the pieces are the array, and recurrences in them are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradc
from gradc.backends.reference import evaluate
from gradc.frontend.tracing import trace
from gradc.ir.graph import Graph
from gradc.ir.verify import verify
from gradc.passes.fills import LEAST, MOST, gather_writes

Draw = Callable[[st.SearchStrategy[Any]], Any]


def written(function: Any, *arguments: Any) -> tuple[Graph, Graph]:
    """The graph of a function before and after; both are valid and compute the same bits."""
    before = trace(function, arguments).graph
    after = gather_writes(before)
    verify(after)
    inputs = [np.asarray(x) for x in arguments]
    for one, two in zip(evaluate(before, inputs), evaluate(after, inputs), strict=True):
        np.testing.assert_array_equal(one, two)
        assert np.array_equal(np.signbit(one), np.signbit(two))
    return before, after


def writes(graph: Graph) -> int:
    return sum(node.op.name == "update_slice" for node in graph.nodes)


def filled(x: Any, h: Any) -> Any:
    y = np.zeros(x.shape[0])
    for k in range(1, x.shape[0]):
        y[k] = y[k - 1] * h + x[k]
    return y


def test_a_filled_array_is_what_was_written() -> None:
    before, after = written(filled, np.linspace(-1, 1, 12), np.float64(0.5))
    assert (writes(before), writes(after)) == (11, 0)
    assert [node.op.name for node in after.nodes if node.id in after.outputs] == ["concatenate"]
    assert after.names[after.outputs[0]] == "y"


def test_writes_between_which_many_pieces_are_read_stay() -> None:
    """As pieces, a triangular system of n equations would be n * n of them, each with a slice in the adjoint."""

    def solved(a: Any, b: Any) -> Any:
        x = np.zeros(b.shape[0])
        for k in range(b.shape[0]):
            x[k] = (b[k] - a[k, :k] @ x[:k]) / a[k, k]
        return x

    few, many = [np.eye(n) * n + np.tril(np.cos(np.arange(n * n * 1.0)).reshape(n, n)) for n in (MOST, 3 * MOST)]
    before, after = written(solved, few, np.ones(MOST))
    assert (writes(before), writes(after)) == (MOST, 0)
    before, after = written(solved, many, np.ones(3 * MOST))
    assert after is before
    gradient = gradc.grad(lambda a, b: np.sum(solved(a, b)), wrt="b")(many, np.ones(3 * MOST))
    np.testing.assert_allclose(gradient, np.linalg.solve(many.T, np.ones(3 * MOST)), rtol=1e-12)


def test_pieces_that_are_read_again_are_few() -> None:
    def steps(x: Any, a: Any) -> Any:
        y = np.zeros((4, a.shape[0]))
        y[0] = x
        for k in range(1, 4):
            for j in range(a.shape[0]):
                y[k, j] = y[k - 1] @ a[:, j]
        return y

    size = 3 * MOST // 2
    before, after = written(steps, np.ones(size), np.cos(np.arange(size * size * 1.0)).reshape(size, size))
    assert writes(before) > 3 * size
    assert writes(after) == 0


def test_few_or_large_writes_stay() -> None:
    few = np.linspace(-1, 1, LEAST)
    before, after = written(filled, few, np.float64(0.5))
    assert after is before
    assert writes(before) == LEAST - 1

    def halves(x: Any) -> Any:
        for _ in range(10):
            x = x.copy()
            x[1:-1] = x[:-2] + x[2:]
        return x

    before, after = written(halves, np.linspace(-1, 1, 20))
    assert after is before


@pytest.mark.parametrize("n", [200, 400])
def test_rows_additions_and_what_was_there(n: int) -> None:
    def table(x: Any) -> Any:
        y = np.tile(x, (n // 10, 1))
        for k in range(1, n // 10 - 1):
            y[k] = np.tanh(y[k - 1]) + x[0]
            y[k, 1:3] += y[k - 1, 0]
            y[k + 1, 0] -= 2.0
        y[-1, -1] = y[0, 0]
        return y

    before, after = written(table, np.linspace(-1, 1, 5))
    assert writes(before) > n // 10
    assert writes(after) == 0


def test_a_few_elements_of_a_large_array_stay_writes_unless_they_are_differentiated() -> None:
    def few(x: Any) -> Any:
        for k in range(10):
            x[k] = x[k] * 2.0
        return x

    x = np.ones(41)
    graph = trace(few, [x], writable=[0]).graph
    assert gather_writes(graph, sparse=False) is graph
    assert writes(gather_writes(graph)) == 0
    graph = trace(few, [x[:40]], writable=[0]).graph
    assert writes(gather_writes(graph, sparse=False)) == 0
    assert "concatenate" not in str(gradc.jit(few, donate="x").compile(x).graph)


def test_a_version_that_is_kept_stays_what_it_was() -> None:
    def kept(x: Any) -> Any:
        y, versions = np.zeros(10), []
        for k in range(9):
            y[k] = x * k
            if k in (3, 5):
                versions.append(y.copy())
        return [*versions, y[::2], y]

    written(kept, np.float64(1.5))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_order_of_writes(data: st.DataObject) -> None:
    draw: Draw = data.draw
    shape = draw(st.sampled_from([(12,), (4, 6), (3, 2, 5), (2, 16)]))
    steps = draw(
        st.lists(st.tuples(*[st.integers(0, length - 1) for length in shape], st.booleans()), min_size=8, max_size=24)
    )
    rows = draw(st.lists(st.booleans(), min_size=len(steps), max_size=len(steps)))

    def function(x: Any) -> Any:
        y = np.zeros(shape) - x[0]
        total = x[1]
        for number, (*place, adds) in enumerate(steps):
            index = tuple(place[:-1]) if rows[number] and len(place) > 2 else tuple(place)
            new = y[index] * 0.5 + x[number % 3]
            if adds:
                y[index] += new
            else:
                y[index] = new
            total = total + np.sum(y[place[0]])
        return y * 2.0, total

    written(function, np.array([1.5, -0.0, 2.0]))


@pytest.mark.parametrize("form", ["array", "list"])
def test_code_is_flat_and_gradients_are_right(form: str) -> None:
    def in_array(x: Any, h: Any) -> Any:
        return np.sum(np.sin(filled(x, h)))

    def in_list(x: Any, h: Any) -> Any:
        y = [0.0]
        for k in range(1, x.shape[0]):
            y.append(y[-1] * h + x[k])
        return np.sum(np.sin(np.array(y)))

    function = in_array if form == "array" else in_list
    lines = []
    for n in (1000, 2000):
        x, h = np.cos(np.arange(n)), np.float64(0.7)
        kernel = gradc.value_and_grad(function, wrt=("x", "h")).compile(x, h)
        lines.append(len(kernel.llvm_ir.splitlines()))
        value, (by_x, by_h) = kernel(x, h)
        y, slope = np.zeros(n), np.zeros(n)
        for k in range(1, n):
            y[k], slope[k] = y[k - 1] * h + x[k], y[k - 1] + h * slope[k - 1]
        back = np.zeros(n)
        for k in range(n - 1, 0, -1):
            back[k] = np.cos(y[k]) + (h * back[k + 1] if k + 1 < n else 0.0)
        np.testing.assert_allclose(value, np.sin(y).sum(), rtol=1e-13)
        np.testing.assert_allclose(by_x, back, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(by_h, np.cos(y) @ slope, rtol=1e-12)
    assert lines[1] < 1.1 * lines[0] < 1.1 * 2000  # 10,000 and 20,000 where steps are written out


def test_other_backends_show_the_writes() -> None:
    x, h = np.linspace(-1, 1, 12), np.float64(0.5)
    kernel = gradc.grad(lambda x, h: np.sum(filled(x, h) ** 2), wrt="x").compile(x, h)
    assert "concatenate" not in kernel.numpy_source
    in_numpy = gradc.grad(lambda x, h: np.sum(filled(x, h) ** 2), wrt="x", backend="numpy")(x, h)
    np.testing.assert_allclose(kernel(x, h), in_numpy, rtol=1e-14)
