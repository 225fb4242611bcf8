"""Traces inside traces: what composing transformations is built on."""

from __future__ import annotations

import pprint
import threading
from typing import Any

import numpy as np
import pytest

from gradc.backends.reference import evaluate
from gradc.errors import ArgumentError, GradcError, TraceError
from gradc.frontend.tracer import Tracer
from gradc.frontend.tracing import current_trace, inline, lift, trace, wrap
from gradc.ir.aval import aval

X = aval("f64[3]")
POINT = np.arange(1.0, 4.0)


def called(function: Any, *args: Any) -> Any:
    """What a Function does when it is called on traced values: trace, then replay in the trace around."""
    inner = trace(function, args)
    return inner.out_tree.unflatten(inline(inner.graph, [*args, *inner.captures]))


def test_an_inner_trace_becomes_part_of_the_outer_graph() -> None:
    def f(x: Any) -> Any:
        y = called(lambda z: np.exp(z) * 2, x)
        return y + 1

    traced = trace(f, (X,))
    (result,) = evaluate(traced.graph, [POINT])
    np.testing.assert_array_equal(result, np.exp(POINT) * 2 + 1)
    assert traced.graph.output_names == ("result",)


def test_inputs_of_an_inner_trace_are_its_own() -> None:
    def f(x: Any) -> Any:
        inner = trace(lambda w: w * x, (x,))
        (product,) = [n for n in inner.graph.nodes if n.op.name == "mul"]
        assert product.operands == inner.graph.inputs
        assert [c.current() for c in inner.captures] == [x.current()]
        return x

    trace(f, (X,))


def test_closures_over_outer_values_at_every_depth() -> None:
    def f(x: Any) -> Any:
        scale = x * 2

        def middle(y: Any) -> Any:
            shift = y + 1

            def innermost(z: Any) -> Any:
                return z * scale + shift * x

            return called(innermost, y * 3)

        return called(middle, x - 1)

    traced = trace(f, (X,))
    (result,) = evaluate(traced.graph, [POINT])
    y = POINT - 1
    np.testing.assert_array_equal(result, y * 3 * (POINT * 2) + (y + 1) * POINT)
    assert traced.captures == ()


def test_a_captured_array_is_captured_as_it_is_then() -> None:
    def f(x: Any) -> Any:
        buf = np.zeros(3)
        buf[0] = x[0]
        first = called(lambda z: z + buf, x)
        buf[1] = x[1]
        second = called(lambda z: z + buf[1:].sum(), x)
        return first, second

    traced = trace(f, (X,))
    first, second = evaluate(traced.graph, [POINT])
    np.testing.assert_array_equal(first, [2, 2, 3])
    np.testing.assert_array_equal(second, POINT + 2)


def test_writing_into_an_array_of_the_outer_function_is_refused() -> None:
    def f(x: Any) -> Any:
        buf = np.zeros(3)

        def inner(z: Any) -> Any:
            buf[0] = z[0]
            return z

        return called(inner, x)

    def view(x: Any) -> Any:
        buf = np.zeros(3)

        def inner(z: Any) -> Any:
            part = buf[1:]
            part += z[1:]
            return z

        return called(inner, x)

    for function in (f, view):
        with pytest.raises(
            TraceError, match="this writes into an array of the function around this one; copy it first"
        ):
            trace(function, (X,))


def test_static_integers_guard_the_outer_trace() -> None:
    def f(x: Any, n: int) -> Any:
        return called(lambda z, k: z[k] + sum(z[i] for i in range(n)), x, n - 1)

    traced = trace(f, (POINT, 3))
    assert traced.guards == {1: 3}
    assert [n.op.name for n in traced.graph.nodes].count("slice") == 3


def test_a_traced_value_that_is_kept_is_refused() -> None:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.append(x * 2)
        return x

    trace(f, (X,))
    message = "a traced value is used outside of its trace, after the end of that or in another thread; return it"
    for use in (
        lambda: kept[0] + 1,
        lambda: np.exp(kept[0]),
        lambda: np.sum(kept[0]),
        lambda: kept[0][0],
        lambda: kept[0].__setitem__(0, 1),
        lambda: trace(lambda x: x + kept[0], (X,)),
        lambda: trace(lambda x: np.array([x[0], kept[0][0]]), (X,)),
        lambda: trace(lambda x: x, (kept[0],)),
        lambda: float(kept[0][0]),
        lambda: np.asarray(kept[0]),
    ):
        with pytest.raises(TraceError, match=message):
            use()
    assert repr(kept[0]) == "<a traced value of a trace that has ended>"


def test_a_traced_value_of_another_thread_is_refused() -> None:
    inside, done = threading.Event(), threading.Event()
    shared: list[Any] = []

    def f(x: Any) -> Any:
        shared.append(x)
        inside.set()
        assert done.wait(10)
        return x

    thread = threading.Thread(target=trace, args=(f, (X,)))
    thread.start()
    assert inside.wait(10)
    try:
        with pytest.raises(TraceError, match="outside of its trace, after the end of that or in another thread"):
            trace(lambda x: x + shared[0], (X,))
    finally:
        done.set()
        thread.join()


def test_lift_and_wrap() -> None:
    def f(x: Any) -> Any:
        assert current_trace() is not None
        value = lift(x)
        assert value == lift(wrap(value))
        assert lift(2.0).aval == aval("~f64[]")
        return wrap(-value)

    traced = trace(f, (X,))
    assert traced.graph.nodes[traced.graph.outputs[0]].op.name == "neg"
    assert current_trace() is None
    with pytest.raises(GradcError, match="there is no trace at this place"):
        lift(1.0)


def test_inline_checks_its_inputs() -> None:
    graph = trace(lambda x: x * 2, (X,)).graph

    def f(x: Any) -> Any:
        return inline(graph, [x[:2]])[0]

    with pytest.raises(ArgumentError, match=r"a graph traced for f64\[3\] is given f64\[2\]"):
        trace(f, (X,))


def test_the_names_of_an_inner_graph_stay_inside() -> None:
    def inner(z: Any) -> Any:
        hidden = np.tanh(z)
        return hidden * 2

    def f(x: Any) -> Any:
        y = called(inner, x)
        return y + 1

    traced = trace(f, (X,))
    named = {traced.graph.nodes[i].op.name: name for i, name in traced.graph.names.items()}
    assert "hidden" not in named.values()
    assert "hidden" in traced.inner_names.values()


def test_a_tracer_says_what_it_is() -> None:
    def f(x: Any) -> Any:
        assert isinstance(x, Tracer)
        assert pprint.pformat(x) == "<traced f64[3]>"
        return x

    trace(f, (X,))


def test_an_inlined_graph_is_recorded_as_a_call() -> None:
    graph = trace(lambda z: np.tanh(z) * 2, (X,)).graph

    def f(x: Any) -> Any:
        (y,) = inline(graph, [x], "layer")
        return y + 1

    traced = trace(f, (X,))
    (call,) = traced.calls
    assert call.function == "layer"
    assert call.arguments == traced.graph.inputs
    assert [traced.graph.nodes[i].op.name for i in call.results] == ["mul"]
    assert traced.graph.names[call.results[0]] == "y"
