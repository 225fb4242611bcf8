"""Batching: what is the same for all stays single, and the batch stands where it is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from gradc.backends.reference import evaluate
from gradc.errors import ArgumentError, ShapeError, TraceError
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Graph
from gradc.ir.op import Op
from gradc.ops.contraction import contract, fresh_letters
from gradc.ops.elementwise import exp
from gradc.transforms.batching import batch


def scaled() -> Graph:
    builder = Builder()
    x, y = builder.input("x", aval("f64[3]")), builder.input("y", aval("f64[3]"))
    scale = exp(y)
    builder.name(scale, "scale")
    return builder.freeze([x * scale, scale], ["product", "scale"])


def test_what_is_the_same_for_all_is_computed_once() -> None:
    graph = batch(scaled(), [0, None], 2, [0, None])
    assert [str(a) for a in graph.output_avals] == ["f64[2,3]", "f64[3]"]
    assert [str(n.aval) for n in graph.nodes if n.op is exp] == ["f64[3]"]
    assert "scale" in graph.names.values()


def test_the_batch_stands_at_the_given_axes() -> None:
    graph = batch(scaled(), [1, 0], 2, [1, 1])
    x, y = np.arange(6.0).reshape(3, 2), np.arange(6.0).reshape(2, 3) / 7
    product, scale = evaluate(graph, [x, y])
    np.testing.assert_allclose(product, x * np.exp(y).T, rtol=1e-15)
    np.testing.assert_allclose(scale, np.exp(y).T, rtol=1e-15)
    with pytest.raises(ArgumentError, match="out_axes is None for product"):
        batch(scaled(), [0, None], 2, [None, None])


def test_an_op_without_a_rule_is_named_with_its_line() -> None:
    op = Op("odd", lambda x: x, lambda x: x)
    builder = Builder()
    graph = builder.freeze([op(builder.input("x", aval("f64[2]")))])
    with pytest.raises(TraceError, match="odd has no batching rule; map it with a loop"):
        batch(graph, [0], 2, [0])


def test_letters_of_a_contraction_may_run_out() -> None:
    assert fresh_letters("ab", 2) == "cd"
    with pytest.raises(ShapeError, match="53 axes are more than there are letters"):
        fresh_letters("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", 1)
    builder = Builder()
    a, b = builder.input("a", aval("f64[2,3]")), builder.input("b", aval("f64[3]"))
    graph = batch(builder.freeze([contract(a, b, lhs="ab", rhs="b", out="a")]), [0, 0], 4, [0])
    assert str(graph.output_avals[0]) == "f64[4,2]"
