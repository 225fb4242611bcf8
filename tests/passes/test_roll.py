"""Rolling: the rolled graph computes what the graph computes, and recurrences of every kind are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradc
from gradc import config
from gradc.backends.reference import evaluate
from gradc.ir.graph import Graph
from gradc.ir.verify import verify
from gradc.passes import periods
from gradc.passes.periods import longest_stretch
from gradc.passes.roll import Step, is_rolled, roll

STEPS = 12


@pytest.fixture(autouse=True)
def _short_recurrences_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periods, "LEAST_SAVED", 20)


def plain(body: Graph, states: int, rows: int, active: Any, pulled: Any) -> Step:
    verify(body)
    return Step(body, None)


def scans(graph: Graph) -> list[tuple[int, int, int]]:
    """The count, the states and the rows of every scan."""
    return [(n.params["count"], n.params["states"], n.params["rows"]) for n in graph.nodes if n.op.name == "scan"]


def rolled(function: Callable[..., Any], *arguments: Any) -> Graph:
    """The rolled trace, which gives the bits of the trace."""
    trace = gradc.jit(function).trace(*arguments)
    graph = roll(trace, plain)
    inputs = [np.asarray(a) for a in arguments]
    for got, expected in zip(evaluate(graph, inputs), evaluate(trace, inputs), strict=True):
        assert np.asarray(got).tobytes() == np.asarray(expected).tobytes()
    return graph


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


W, X = numbers(3), numbers(2 * STEPS, 3, seed=1)


def test_a_recurrence_becomes_one_scan():
    def f(w, x):
        h = np.zeros(3)
        for t in range(STEPS):
            h = np.tanh(w * h + x[t]) + h
        return np.sum(h)

    graph = rolled(f, W, X)
    assert scans(graph) == [(STEPS, 1, 1)]
    assert len(graph.nodes) < 12


def test_the_size_does_not_depend_on_the_number_of_steps():
    def repeated(steps):
        def f(w, x):
            h = w
            for t in range(steps):
                h = np.tanh(w * h + x[t]) + h * x[t]
            return np.sum(h)

        return f

    sizes = {len(rolled(repeated(n), W, numbers(n, 3)).nodes) for n in (10, 40, 90)}
    assert len(sizes) == 1


def test_rows_may_be_read_backwards_and_in_strides():
    def f(w, x):
        h = w
        for t in range(STEPS):
            h = np.tanh(w * h + x[STEPS - 1 - t]) + x[2 * t + 1] * h
        return h

    assert scans(rolled(f, W, X)) == [(STEPS, 1, 2)]


def test_columns_are_rows_too():
    def f(w, x):
        h = w
        for t in range(STEPS):
            h = np.tanh(w * h + x[:, t]) + h
        return h

    assert scans(rolled(f, W, np.ascontiguousarray(X.T))) == [(STEPS, 1, 1)]


def test_numbers_that_change_with_the_step_are_rows():
    def f(w):
        h = w
        for t in range(STEPS):
            h = np.tanh(w * h + 0.1 * t**2) * 0.5 + h
        return h

    assert scans(rolled(f, W)) == [(STEPS, 1, 1)]


def test_separate_arguments_are_rows():
    def f(w, *xs):
        h = w
        for x in xs:
            h = np.tanh(w * h + x) * x
        return h

    assert scans(rolled(f, W, *X[:STEPS])) == [(STEPS, 1, 1)]


def test_values_from_several_steps_before_are_states():
    def f(w, x):
        older, old = w, w * 2
        for t in range(STEPS):
            older, old = old, np.tanh(w * older + x[t]) + 0.5 * old
        return old + older

    ((count, states, rows),) = scans(rolled(f, W, X))
    assert (states, rows) == (2, 1)
    assert count >= STEPS - 2


def test_an_irregular_begin_and_end_stay_unrolled():
    def f(w, x):
        h = w
        for t in range(STEPS):
            z = w * h + x[t]
            h = np.sin(z) if t in (0, STEPS - 1) else np.tanh(z) * np.cos(w * w)
        return h

    ((count, _, _),) = scans(rolled(f, W, X))
    assert STEPS - 4 <= count <= STEPS - 2


def test_two_recurrences_in_one_loop_are_one_scan_and_in_two_loops_two():
    def together(w, x):
        a, c = w, 2 * w
        for t in range(STEPS):
            a, c = np.tanh(w * a + x[t]), np.sin(c * a - x[t])
        return a + c

    def apart(w, x):
        a = w
        for t in range(STEPS):
            a = np.tanh(w * a + x[t]) + a
        c = a
        for t in range(STEPS):
            c = np.sin(c * a - x[t]) * w
        return a + c

    assert [states for _, states, _ in scans(rolled(together, W, X))] == [2]
    assert [states for _, states, _ in scans(rolled(apart, W, X))] == [1, 1]


def test_values_used_after_the_loop_are_emitted():
    def f(w, x):
        h, seen = w, []
        for t in range(STEPS):
            h = np.tanh(w * h + x[t]) + h
            seen.append(h)
        return np.stack(seen), seen[3] * 2

    assert scans(rolled(f, W, X)) == [(STEPS, 1, 1)]


def test_a_condition_every_other_step_makes_the_step_twice_as_long():
    def f(w, x):
        h = w
        for t in range(2 * STEPS):
            h = np.tanh(w * h + x[t]) if t % 2 else np.sin(h - x[t]) * w
        return h

    ((count, _, rows),) = scans(rolled(f, W, X))
    assert count in (STEPS - 1, STEPS)
    assert rows == 2


def test_integers_that_are_carried_keep_the_loop_unrolled():
    def f(w, k):
        h = w
        for _ in range(STEPS):
            h, k = np.tanh(w * h) + k, k * 3 + 1
        return h

    assert not is_rolled(rolled(f, W, np.array([1, 2, 3])))


def test_leaves_of_several_kinds_are_rows_where_they_have_one_shape():
    def f(w, x):
        h, others = w, [w, x[2], x[0]]
        for t in range(STEPS):
            h = np.tanh(h * others[t] + 1.0) * h if t < 3 else np.tanh(h * x[t] + 1.0) * h
        return h

    assert scans(rolled(f, W, X)) == [(STEPS, 1, 1)]


def test_leaves_of_several_shapes_are_no_rows():
    def f(w, x):
        h = w
        for t in range(STEPS):
            h = np.tanh(h * x[t]) * (h + np.broadcast_to(x[0, 0] if t % 4 else w[:1], (3,)))
        return h

    rolled(f, W, X)


def test_steps_on_large_arrays_stay_fused_until_they_are_very_many(monkeypatch):
    def f(w, x):
        h = w
        for t in range(STEPS):
            h = np.tanh(w * h + x[t]) + h
        return np.sum(h)

    large = numbers(5000), numbers(STEPS, 5000, seed=1)
    assert not is_rolled(rolled(f, *large))
    monkeypatch.setattr("gradc.passes.roll._LONG", 20)
    assert is_rolled(rolled(f, *large))


def test_few_steps_stay_as_they_are():
    def f(w, x):
        h = w
        for t in range(periods.LEAST_COUNT - 1):
            h = np.tanh(np.sin(np.cos(w * h) + x[t]) * w - h) * np.exp(h)
        return h

    assert longest_stretch(gradc.jit(f).trace(W, X)) is None


# Which are short.


def steps_on_arrays(w, x):
    h = np.zeros(8)
    for row in x:
        h = np.tanh(w @ h + row)
    return np.sum(h)


@pytest.mark.parametrize(("steps", "rolls"), [(30, False), (50, True)])
def test_steps_with_contractions_are_rolled_earlier(steps, rolls, monkeypatch):
    monkeypatch.setattr(periods, "LEAST_SAVED", 1000)
    arguments = numbers(8, 8) / 4, numbers(steps, 8)
    compiled = gradc.value_and_grad(steps_on_arrays, wrt=("w", "x")).compile(*arguments)
    assert len(compiled.trace.nodes) < 300
    assert is_rolled(compiled._compiled.runs) == rolls
    if rolls:
        assert difference(steps_on_arrays, *arguments, wrt=("w", "x")) < 1e-13


def test_short_stretches_that_would_copy_weights_or_could_be_fused_stay(monkeypatch):
    monkeypatch.setattr(periods, "LEAST_SAVED", 1000)

    def layers(ws, x):
        for w in ws:
            x = np.tanh(w @ x)
        return np.sum(x)

    def elementwise(x, c):
        for _ in range(100):
            x = np.tanh(x * x + c)
        return np.sum(x)

    ws = [numbers(8, 8, seed=k) for k in range(60)]
    assert not is_rolled(gradc.grad(layers, wrt="ws").compile(ws, numbers(8))._compiled.runs)
    assert not is_rolled(gradc.grad(elementwise).compile(numbers(20), numbers(20))._compiled.runs)


# Derivatives.


def difference(function: Callable[..., Any], *arguments: Any, wrt: Any = None) -> float:
    """How far value and gradient of the rolled recurrence are from the unrolled one's, relative to the largest."""
    wrt = tuple(range(len(arguments))) if wrt is None else wrt
    compiled = gradc.value_and_grad(function, wrt=wrt).compile(*arguments)
    assert is_rolled(compiled._compiled.runs)
    with config.roll(False):
        unrolled = gradc.value_and_grad(function, wrt=wrt).compile(*arguments)
    assert not is_rolled(unrolled._compiled.runs)
    value, gradients = compiled(*arguments)
    expected, others = unrolled(*arguments)
    pairs = [(value, expected), *zip(gradients, others, strict=True)]
    return max(float(np.max(np.abs(g - e)) / np.max(np.abs(e))) for g, e in pairs)


def recurrence(w, x):
    h, seen = w, []
    for t in range(STEPS):
        h = np.tanh(w * h + x[t]) * np.exp(-w) + np.sqrt(1 + h * h)
        seen.append(np.sum(h * x[t]))
    return np.sum(h) + sum(seen)


def test_the_gradient_of_a_rolled_recurrence_is_that_of_the_unrolled_one():
    assert difference(recurrence, W, X) < 1e-14


def test_the_gradient_of_a_matrix_recurrence():
    def f(w, x):
        h = np.zeros((2, 3))
        for t in range(STEPS):
            h = np.tanh(h @ w + x[t])
        return np.sum(h * h)

    assert difference(f, numbers(3, 3), numbers(STEPS, 2, 3, seed=1)) < 1e-13


def test_a_state_whose_first_value_alone_is_differentiated():
    def f(w, x):
        last, h = w, np.zeros(3)
        for t in range(STEPS):
            h, last = np.tanh(h * x[t] + last), x[t]
        return np.sum(h)

    assert difference(f, W, X, wrt=(0,)) < 1e-14


def test_a_branch_that_reaches_across_steps_keeps_the_gradient_unrolled_and_exact():
    def f(w, x):
        h = w
        for t in range(STEPS):
            h = np.where(h > 0, h * x[t], h - np.sqrt(h))
        return np.sum(h)

    kernel = gradc.value_and_grad(f).compile(W, X)
    assert not is_rolled(kernel._compiled.runs)
    expected = gradc.value_and_grad(f, backend="numpy")(np.abs(W), np.abs(X))
    value, gradient = kernel(np.abs(W), np.abs(X))
    assert np.isfinite(gradient).all()
    assert value == pytest.approx(expected[0], rel=1e-14)
    assert gradient == pytest.approx(expected[1], rel=1e-13)


def test_a_branch_around_the_loop_keeps_the_gradient_unrolled_and_exact():
    def f(w, x):
        h = w
        for t in range(STEPS):
            h = np.sqrt(h) * x[t] + h
        return np.sum(np.where(w > 0, h, 1.0))

    kernel = gradc.value_and_grad(f).compile(W, X)
    assert not is_rolled(kernel._compiled.runs)
    assert kernel(np.array([1.0, -1.0, 2.0]), np.abs(X))[1][1] == 0


def with_auxiliary(seen):
    """A loss with auxiliary results that have infinite slopes where an element is 0."""

    def f(w, x):
        h, logs = w, []
        for t in range(STEPS):
            logs.append(np.log(np.abs(h)))
            h = h * x[t] + h
        return np.sum(h), [logs[k] for k in seen]

    return f


@pytest.mark.parametrize("function", [with_auxiliary(range(STEPS)), with_auxiliary([3, STEPS - 1])])
def test_auxiliary_results_of_steps_have_no_part_in_the_gradient(function):
    w = np.array([1.0, 0.0, -2.0])
    expected = gradc.value_and_grad(function, has_aux=True, backend="numpy")(w, X)
    (value, logs), gradient = gradc.value_and_grad(function, has_aux=True)(w, X)
    assert value == pytest.approx(expected[0][0], rel=1e-13)
    assert np.isfinite(gradient).all()
    assert gradient == pytest.approx(expected[1], rel=1e-13)
    assert np.stack(logs) == pytest.approx(np.stack(expected[0][1]), rel=1e-13)


def test_auxiliary_results_are_emitted_without_cotangents():
    kernel = gradc.value_and_grad(with_auxiliary(range(STEPS)), has_aux=True).compile(W, X)
    assert is_rolled(kernel._compiled.runs)


def test_rows_of_which_some_have_cotangents_keep_the_gradient_unrolled_and_exact():
    def f(w, x):
        h, logs = w, []
        for t in range(STEPS):
            logs.append(np.log(np.abs(h)))
            h = h * x[t] + h
        return np.sum(h) + np.sum(logs[0]), logs

    w = np.array([1.0, 2.0, -2.0])
    x = X.copy()
    x[2] = -1.0  # h is 0 from there on, where the logarithm has an infinite slope
    kernel = gradc.value_and_grad(f, has_aux=True).compile(w, x)
    assert not is_rolled(kernel._compiled.runs)
    assert np.isfinite(kernel(w, x)[1]).all()


def test_a_state_of_which_only_early_values_count_keeps_the_gradient_unrolled_and_exact():
    def f(w, x):
        h, seen = w, []
        for t in range(STEPS):
            seen.append(h)
            h = np.sqrt(np.abs(h * x[t]))
        return np.sum(seen[4]), h

    x = np.abs(X)
    x[9] = 0.0
    kernel = gradc.value_and_grad(f, has_aux=True).compile(np.abs(W), x)
    assert not is_rolled(kernel._compiled.runs)
    assert np.isfinite(kernel(np.abs(W), x)[1]).all()


def test_what_only_auxiliary_results_of_a_loop_read_gets_no_cotangent():
    def f(w, x):
        root, h, logs = np.log(np.abs(w)), w, []
        for t in range(STEPS):
            logs.append(h * root)
            h = np.tanh(h * x[t]) + h
        return np.sum(h), logs

    w = np.array([1.0, 0.0, -2.0])
    kernel = gradc.value_and_grad(f, has_aux=True).compile(w, X)
    assert is_rolled(kernel._compiled.runs)
    assert np.isfinite(kernel(w, X)[1]).all()


def test_a_value_whose_last_one_alone_counts_keeps_the_gradient_exact():
    def f(w, x):
        h, twice = w, []
        for t in range(STEPS):
            log = np.log(np.abs(h))
            twice.append(2 * log)
            h = h + x[t]
        return np.sum(log), twice

    w, x = np.array([0.0, 1.0, 2.0]), np.abs(X)
    _, gradient = gradc.value_and_grad(f, has_aux=True)(w, x)
    expected = gradc.value_and_grad(f, has_aux=True, backend="numpy")(w, x)[1]
    assert np.isfinite(gradient).all()
    assert gradient == pytest.approx(expected, rel=1e-13)


def test_final_is_the_unrolled_graph_and_the_numpy_module_is_made_of_it():
    kernel = gradc.value_and_grad(recurrence, wrt=(0, 1)).compile(W, X)
    assert is_rolled(kernel._compiled.runs)
    assert not is_rolled(kernel.graph)
    assert "scan" not in kernel.numpy_source


UNARY = ("np.tanh({})", "np.sin({})", "(0.5 * {})", "np.exp(-{0} * {0})", "np.maximum({}, 0.1)")
BINARY = ("({} + {})", "({} - {})", "({} * {})", "({0} / (2.0 + {1} * {1}))")


@st.composite
def terms(draw: st.DrawFn, leaves: tuple[str, ...], depth: int) -> str:
    if depth == 0:
        return draw(st.sampled_from(leaves))
    below = [draw(terms(leaves, depth - 1)) for _ in range(2)]
    return draw(st.sampled_from(UNARY + BINARY)).format(*below)


@st.composite
def recurrences(draw: st.DrawFn) -> str:
    """The source of a function of ``w[3]``, ``x[2 * STEPS]`` and ``h0`` with one or two unrolled loops."""
    states = draw(st.integers(1, 3))
    leaves = ["w[1]", "x[t]", "x[STEPS - 1 - t]", "x[2 * t]", "0.1 * t", "np.cos(w[0] * w[2])"]
    leaves += [f"h[{k}]" for k in range(states)] * 2 + draw(st.sampled_from([[], ["old[0]", "older[0]"]]))
    lines = ["def f(w, x, h0):", f"    h = [h0 * (k + 1) for k in range({states})]", "    old = older = h"]
    lines += ["    total, seen = 0.0, []", "    for t in range(STEPS):"]
    lines += [f"        n{k} = np.tanh({draw(terms(tuple(leaves), 3))})" for k in range(states)]
    lines += ["        older, old = old, h", f"        h = [{', '.join(f'n{k}' for k in range(states))}]"]
    lines += draw(st.sampled_from([[], ["        total = total + np.sum(h[0] * x[t])"]]))
    lines += draw(st.sampled_from([[], ["        seen.append(h[-1])"]]))
    lines += draw(st.sampled_from([[], ["        if t == 5: total = total * 1.5"]]))
    if draw(st.booleans()):
        lines += ["    for t in range(STEPS):", f"        h = [np.sin(k + {draw(terms(tuple(leaves), 2))}) for k in h]"]
    lines += ["    return total + sum(np.sum(k) for k in h) + sum(np.sum(k) * 0.3 for k in seen)"]
    return "\n".join(lines)


@settings(max_examples=12, deadline=None)
@given(recurrences(), st.sampled_from([(), (3,), (2, 3)]), st.sampled_from([(0,), (1, 2), (0, 1, 2)]))
def test_random_recurrences(source, shape, wrt):
    names: dict[str, Any] = {"np": np, "STEPS": STEPS}
    exec(compile(source, "recurrence", "exec"), names)  # noqa: S102
    arguments = (numbers(3, *shape), numbers(2 * STEPS, *shape, seed=1), numbers(*shape, seed=2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(periods, "LEAST_SAVED", 20)
        rolled(names["f"], *arguments)
        value, gradients = gradc.value_and_grad(names["f"], wrt=wrt)(*arguments)
    with config.roll(False):
        expected, others = gradc.value_and_grad(names["f"], wrt=wrt, backend="numpy")(*arguments)
    assert value == pytest.approx(expected, rel=1e-11, abs=1e-11)
    for got, other in zip(gradients, others, strict=True):
        assert np.asarray(got) == pytest.approx(np.asarray(other), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("start", [np.float32, np.float64])
def test_weights_of_f32_in_a_recurrence_that_starts_from_f64_zeros_have_gradients_of_f32(start):
    """Sums of gradients in f32 do not go with states in f64 in one array: such steps stay written out."""

    def loss(w, x):
        h = np.zeros(4, start)
        for t in range(STEPS):
            h = np.tanh(x[t] @ w["in"] + h @ w["on"])
        return np.sum(h * h)

    w = {"in": numbers(3, 4).astype("f4"), "on": 0.5 * numbers(4, 4, seed=2).astype("f4")}
    x = numbers(STEPS, 3, seed=3).astype("f4")
    value, grads = gradc.value_and_grad(loss)(w, x)
    expected, slopes = gradc.value_and_grad(loss, backend="numpy")(w, x)
    assert value.dtype == start
    assert float(value) == pytest.approx(float(expected), rel=1e-5)
    for name in w:
        assert grads[name].dtype == np.float32
        np.testing.assert_allclose(grads[name], slopes[name], rtol=1e-4, atol=1e-5)
