"""The user's names, lines and helper calls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradc.errors import TraceError
from gradc.frontend.tracing import Trace, trace
from gradc.ir.aval import aval

X = aval("f64[3]")


def names(traced: Trace) -> list[str]:
    """The names of everything that is not an input, in order."""
    graph = traced.graph
    return [graph.names[n.id] for n in graph.nodes if n.id in graph.names and n.op.name != "input"]


def helper(z: Any) -> Any:
    e = np.exp(-z)
    return 1 / (1 + e)


def with_variable(z: Any) -> Any:
    inner = np.tanh(z)
    result = inner * 2
    return result


def pair(z: Any) -> Any:
    up = z + 1
    down = z - 1
    return up, down


def test_an_operation_is_named_by_the_variable_it_is_stored_in() -> None:
    def f(x: Any) -> Any:
        z1 = x * 2
        a1: Any = np.maximum(z1, 0)
        b = c = a1 + x
        if (d := np.sum(b)) is None:
            return c
        return d

    assert names(trace(f, (X,))) == ["z1", "a1", "b", "d"]


def test_names_are_completed_from_the_locals_at_return() -> None:
    def f(x: Any) -> Any:
        a, b = x * 2, x + 3
        return a * b

    assert names(trace(f, (X,))) == ["a", "b"]


@pytest.mark.parametrize("call", [helper, with_variable, lambda z: helper(z), functools.partial(helper)])
def test_the_outermost_frame_wins(call: Callable[[Any], Any]) -> None:
    def f(x: Any) -> Any:
        h = x * 3
        z = call(h)
        return z * h

    assert names(trace(f, (X,))) == ["h", "z"]


def test_a_helper_called_in_a_loop_is_named_each_time() -> None:
    def f(x: Any) -> Any:
        h = x
        for _ in range(3):
            h = with_variable(h)
        return h

    assert names(trace(f, (X,))) == ["h", "h", "h"]


def test_a_helper_that_gives_several_results() -> None:
    def f(x: Any) -> Any:
        s, t = pair(x)
        p, q, r = x
        return s * t, p + q * r

    assert names(trace(f, (X,))) == ["s", "t", "p", "q", "r"]


def test_what_is_returned_through_a_helper_has_the_helpers_names() -> None:
    def f(x: Any) -> Any:
        return with_variable(x)

    traced = trace(f, (X,))
    assert names(traced) == ["inner", "result"]
    assert traced.graph.output_names == ("result",)


def test_inner_names_stand_apart() -> None:
    def f(x: Any) -> Any:
        z = helper(x)
        return z + 1

    traced = trace(f, (X,))
    assert names(traced) == ["z"]
    assert "e" in traced.inner_names.values()


def test_calls_of_helpers_are_recorded() -> None:
    def f(x: Any) -> Any:
        z = helper(x * 2)
        s, t = pair(z)
        return with_variable(s) + t

    traced = trace(f, (X,))
    (first, second, third) = traced.calls
    graph = traced.graph
    assert [c.function for c in traced.calls] == ["helper", "pair", "with_variable"]
    assert graph.nodes[first.arguments[0]].op.name == "mul"
    assert [graph.names[i] for i in first.results] == ["z"]
    assert second.arguments == first.results
    assert [graph.names[i] for i in second.results] == ["s", "t"]
    assert third.arguments == second.results[:1]
    assert graph.nodes[third.results[0]].op.name == "mul"
    assert first.depth == second.depth == 1
    assert first.origin[0].text == "z = helper(x * 2)"


def test_results_that_no_return_tells_are_those_used_outside() -> None:
    def both(z: Any) -> Any:
        up = z + 1
        return {"up": up, "down": z - 1}

    def f(x: Any) -> Any:
        d = both(x)
        return d["up"] * d["down"]

    (call,) = trace(f, (X,)).calls
    graph = trace(f, (X,)).graph
    assert sorted(graph.nodes[i].op.name for i in call.results) == ["add", "sub"]


def test_in_place_writes_keep_the_name() -> None:
    def f(x: Any) -> Any:
        buf = np.zeros(3)
        buf[0] = x[1]
        buf[1:] = x[1:] * 2
        buf += x
        return buf

    traced = trace(f, (X,))
    assert set(names(traced)) == {"buf"}
    assert traced.graph.output_names == ("buf",)


def test_origins_are_the_users_lines() -> None:
    def f(x: Any) -> Any:
        z = np.exp(x)
        return np.sum(z)

    graph = trace(f, (X,)).graph
    (origin,) = graph.origins[graph.outputs[0]]
    assert origin.file == "test_names.py"
    assert origin.text == "return np.sum(z)"
    assert str(origin) == f"test_names.py:{f.__code__.co_firstlineno + 2}"


def test_an_op_in_a_helper_has_the_helpers_line() -> None:
    def f(x: Any) -> Any:
        z = helper(x)
        return z

    graph = trace(f, (X,)).graph
    assert graph.origins[graph.outputs[0]][0].text == "return 1 / (1 + e)"


def test_a_function_of_numpy_itself_has_no_lines() -> None:
    graph = trace(np.exp, (X,)).graph
    assert graph.origins == {}
    assert graph.nodes[-1].op.name == "exp"


EVIL = "evil\n'''\"; import os #.py"


def test_file_names_and_lines_are_data() -> None:
    source = (
        "def f(x):\n    class_ = x * 2; quoted = '\\'\"#'\n    return class_ + raised(x)\ndef raised(x): return x - 1\n"
    )
    scope: dict[str, Any] = {}
    exec(compile(source, EVIL, "exec"), scope)  # noqa: S102 - a file with a hostile name
    graph = trace(scope["f"], (X,)).graph
    assert "class_" in graph.names.values()
    for origins in graph.origins.values():
        for origin in origins:
            assert origin.file.isprintable()
            assert origin.text.isprintable() or not origin.text


def test_an_error_in_a_file_without_source_has_its_line_number() -> None:
    scope: dict[str, Any] = {}
    exec(compile("def f(x):\n    return float(x)\n", EVIL, "exec"), scope)  # noqa: S102
    with pytest.raises(TraceError, match=r"\(evil '''\"; import os #\.py:2\)$"):
        trace(scope["f"], (aval("f64[]"),))


def test_decorated_functions_keep_their_names() -> None:
    def decorator(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    @decorator
    def f(x: Any) -> Any:
        y = x * 2
        return y + 1

    assert names(trace(f, (X,))) == ["y"]


def test_methods_and_closures() -> None:
    class Net:
        def __init__(self, width: int) -> None:
            self.width = width

        def layer(self, x: Any) -> Any:
            hidden = np.tanh(x)
            return hidden * self.width

        def __call__(self, x: Any) -> Any:
            first = self.layer(x)
            second = self.layer(first)
            return np.sum(second)

    traced = trace(Net(2), (X,))
    assert names(traced) == ["first", "second"]
    assert [c.function for c in traced.calls] == ["layer", "layer"]


def test_recursion() -> None:
    def power(x: Any, n: int) -> Any:
        if n == 0:
            return x
        deeper = power(x * 2, n - 1)
        return deeper

    def f(x: Any) -> Any:
        y = power(x, 50)
        return y

    traced = trace(f, (X,))
    assert traced.graph.output_names == ("y",)


def test_generators_and_comprehensions() -> None:
    def rows(x: Any) -> Any:
        for k in range(3):
            yield x[k] * k

    def f(x: Any) -> Any:
        total = 0
        for row in rows(x):
            total = total + row
        squares = [r * r for r in x]
        return total, squares

    traced = trace(f, (X,))
    assert traced.graph.output_names == ("result[0]", "result[1][0]", "result[1][1]", "result[1][2]")
    assert traced.graph.names[traced.graph.outputs[0]] == "total"


def test_a_parameter_keeps_its_name() -> None:
    def f(x: Any, w: Any) -> Any:
        copied = x.copy()
        copied[0] = 1
        weight = w["deep"]
        return copied * weight

    graph = trace(f, (X, {"deep": X})).graph
    assert [graph.names.get(i) for i in graph.inputs] == [None, "weight"]
    assert names(trace(f, (X, {"deep": X}))) == ["copied"]


def test_a_buffer_that_a_helper_made_has_the_callers_name() -> None:
    def make() -> Any:
        out = np.zeros(3)
        return out

    def f(x: Any) -> Any:
        buf = make()
        alias = np.squeeze(buf)
        buf[0] = x[0]
        buf[1] = x[1]
        return buf, alias

    assert set(names(trace(f, (X,)))) == {"buf"}
