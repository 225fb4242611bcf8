"""The oracle: sizes bound from the inputs, results of their own, refusals by name."""

from __future__ import annotations

import numpy as np
import pytest

import gradc.ops  # noqa: F401
from gradc.backends.reference import evaluate
from gradc.errors import ArgumentError
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Graph
from gradc.ir.op import REGISTRY


def mean_graph() -> Graph:
    """The mean of a batch, and its input."""
    builder = Builder()
    x = builder.input("x", aval("f64[batch,3]"))
    y = builder.input("y", aval("f64[batch]"))
    total = REGISTRY["reduce_sum"](x, axes=(0,), keepdims=False)
    count = builder.apply(REGISTRY["dim_value"], dim=x.aval.shape[0], dtype=np.dtype(float))
    mean = total / REGISTRY["broadcast_to"](count, shape=(3,))
    return builder.freeze([mean, x, x, y])


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_symbolic_sizes_come_from_the_inputs(batch: int) -> None:
    x = np.arange(3.0 * batch).reshape(batch, 3)
    mean = evaluate(mean_graph(), [x, np.zeros(batch)])[0]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(mean, x.sum(axis=0) / batch if batch else [np.nan] * 3)


def test_results_alias_nothing() -> None:
    x = np.ones((2, 3))
    results = evaluate(mean_graph(), [x, np.zeros(2)])
    for k, result in enumerate(results):
        assert not np.shares_memory(result, x)
        assert not any(np.shares_memory(result, other) for other in results[:k])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([np.ones((2, 3)), np.ones(4)], "y has shape (4,), expected (batch,) with batch = 2"),
        ([np.ones((2, 2)), np.ones(2)], "x has shape (2, 2), expected (batch, 3) with batch = 2"),
        ([np.ones(3), np.ones(2)], "x has shape (3,), expected (batch, 3)"),
        ([np.ones((2, 3), "f4"), np.ones(2)], "x has dtype float32, expected float64"),
        ([np.ones((2, 3))], "the graph takes 2 inputs and was given 1"),
    ],
)
def test_unfit_inputs_are_refused_by_name(inputs: list[np.ndarray], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        evaluate(mean_graph(), inputs)
    assert str(caught.value) == message


def test_a_size_that_no_axis_shows_is_refused() -> None:
    builder = Builder()
    x = builder.input("x", aval("f64[n]"))
    doubled = REGISTRY["concatenate"](x, x, axis=0)
    graph = builder.freeze([doubled])
    assert evaluate(graph, [np.ones(2)])[0].shape == (4,)
    other = Builder()
    other.input("x", doubled.aval)
    with pytest.raises(ArgumentError, match="the size n cannot be read off the shapes"):
        evaluate(other.freeze([other.value(0)]), [np.ones(4)])
