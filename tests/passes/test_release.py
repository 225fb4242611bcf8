"""What only transforms see is taken out: calls become their bodies, stopped derivatives their values."""

from __future__ import annotations

import numpy as np

from gradc.backends.reference import evaluate
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Graph
from gradc.ops.elementwise import exp, sin
from gradc.ops.regions import Rule, call, stop_gradient
from gradc.passes.release import release, without_checkpoints


def body() -> Graph:
    builder = Builder()
    x = builder.input("x", aval("f64[2]"))
    inner = exp(x)
    builder.name(inner, "inner")
    return builder.freeze([inner * inner, sin(inner)])


def called(rule: Rule | None) -> Graph:
    """Both results of one call, the first of them stopped."""
    builder = Builder()
    x, function = builder.input("x", aval("f64[2]")), body()
    first, second = (call(x, body=function, index=k, name="f", rule=rule) for k in range(2))
    return builder.freeze([stop_gradient(first) + second])


def test_the_results_of_a_call_share_its_body() -> None:
    graph = called(None)
    released = release(graph)
    assert sorted(n.op.name for n in released.nodes) == ["add", "exp", "input", "mul", "sin"]
    assert "inner" in released.names.values()
    x = np.array([0.5, -1.0])
    np.testing.assert_array_equal(evaluate(released, [x])[0], evaluate(graph, [x])[0])


def test_a_graph_without_them_is_returned_itself() -> None:
    graph = body()
    assert release(graph) is graph
    assert without_checkpoints(graph) is graph


def test_without_checkpoints_rules_and_stops_stay() -> None:
    ruled = called(Rule((0,), body(), (None, None)))
    assert without_checkpoints(ruled) is ruled
    left = without_checkpoints(called(None))
    assert sorted(n.op.name for n in left.nodes) == ["add", "exp", "input", "mul", "sin", "stop_gradient"]
