"""Seeds of a Jacobian: which ops keep an axis tied, and what comes of it where they do not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gradc.backends.reference import evaluate
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Value
from gradc.ops.contraction import contract
from gradc.ops.elementwise import convert, select
from gradc.ops.reduce import reduce_sum
from gradc.ops.shape import broadcast_to, concatenate, reshape, slice_, transpose
from gradc.transforms.identity import Tied, dense, identity, replay_tied
from gradc.transforms.jacobian import jacobian

A = np.arange(6.0).reshape(2, 3) + 1


def constant(x: Value, value: object) -> Value:
    return x.builder.constant(np.asarray(value))


LINEAR: dict[str, tuple[Callable[[Value], Value], tuple[int | None, ...]]] = {
    "neg": (lambda x: -x, (0, 1)),
    "mul": (lambda x: x * constant(x, A), (0, 1)),
    "div": (lambda x: x / constant(x, A), (0, 1)),
    "add": (lambda x: x + x * constant(x, A), (0, 1)),
    "select": (lambda x: select(constant(x, A > 2), x, x.builder.full(0.0, x.aval)), (0, 1)),
    "convert": (lambda x: convert(x, dtype=np.dtype(np.float32)), (0, 1)),
    "transpose": (lambda x: transpose(x, axes=(1, 0)), (1, 0)),
    "broadcast_to": (lambda x: broadcast_to(x, shape=(4, 2, 3)), (1, 2)),
    "reshape": (lambda x: reshape(x, shape=(2, 1, 3)), (0, 2)),
    "reshape that mixes": (lambda x: reshape(x, shape=(3, 2)), (None, None)),
    "slice": (lambda x: slice_(x, starts=(0, 0), sizes=(2, 3), steps=(1, 1)), (0, 1)),
    "slice of rows": (lambda x: slice_(x, starts=(1, 0), sizes=(1, 3), steps=(1, 1)), (None, None)),
    "sum of rows": (lambda x: reduce_sum(x, axes=(1,), keepdims=False), (0, None)),
    "sum of columns": (lambda x: reduce_sum(x, axes=(0,), keepdims=True), (None, 1)),
    "sum": (lambda x: reduce_sum(x, axes=(0, 1), keepdims=False), (None, None)),
    "contract": (lambda x: contract(x, constant(x, A), lhs="ij", rhs="kj", out="ik"), (0, None)),
    "contract, second": (lambda x: contract(constant(x, A), x, lhs="kj", rhs="ij", out="ki"), (1, None)),
    "contract, all": (lambda x: contract(x, constant(x, A), lhs="ij", rhs="ij", out=""), (None, None)),
    "contract, none": (lambda x: contract(x, constant(x, A), lhs="ij", rhs="ij", out="ij"), (0, 1)),
    "concatenate": (lambda x: concatenate(x, x, axis=0), (None, None)),
    "two in a row": (
        lambda x: reduce_sum(x * constant(x, A), axes=(0,), keepdims=False) * constant(x, A[0]),
        (None, 0),
    ),
    "sum of a product": (
        lambda x: reduce_sum(contract(x, constant(x, A), lhs="ij", rhs="kj", out="ik"), axes=(0,), keepdims=False),
        (None, None),
    ),
    "different ties": (lambda x: x + broadcast_to(reduce_sum(x, axes=(0,), keepdims=True), shape=(2, 3)), (None, None)),
}


@pytest.mark.parametrize(("function", "ties"), LINEAR.values(), ids=LINEAR.keys())
def test_ties_and_values(function: Callable[[Value], Value], ties: tuple[int | None, ...]) -> None:
    inner = Builder()
    x = inner.input("x", aval("f64[2,3]"))
    graph = inner.freeze([function(x)])
    builder = Builder()
    seed = identity(builder, x.aval)
    (found,) = replay_tied(graph, builder, [seed], (2, 3))
    assert isinstance(found, Tied)
    assert found.ties == ties
    shape = graph.output_avals[0].shape
    both = [dense(found, (2, 3), shape), dense(found, (2, 3), shape, behind=True)]
    (front, behind) = evaluate(builder.freeze(both), [])
    basis = np.eye(6).reshape(2, 3, 2, 3)
    expected = np.stack([[evaluate(graph, [e])[0] for e in row] for row in basis])
    np.testing.assert_array_equal(front, expected)
    np.testing.assert_array_equal(behind, np.moveaxis(expected, (0, 1), (-2, -1)))


def test_an_axis_of_size_one_is_not_tied() -> None:
    """It may be repeated, and then agrees with every place."""
    seed = identity(Builder(), aval("f64[1,3]"))
    assert seed.ties == (None, 1)
    builder = Builder()
    x = builder.input("x", aval("f64[1,3]"))
    graph = jacobian(builder.freeze([broadcast_to(x, shape=(2, 3))]), [0], primals=1, forward=True)
    (found,) = evaluate(graph, [np.ones((1, 3))])
    np.testing.assert_array_equal(found, np.broadcast_to(np.eye(3)[:, None], (2, 3, 1, 3)))


@pytest.mark.parametrize(("shapes", "name"), [(("f64[2]", "f64[3]"), "tangent"), (("f64[3]", "f64[2]"), "cotangent")])
def test_the_mode_is_the_one_with_fewer_seeds(shapes: tuple[str, str], name: str) -> None:
    builder = Builder()
    x = builder.input("x", aval(shapes[0]))
    rows, columns = int(aval(shapes[1]).shape[0]), int(x.aval.shape[0])
    matrix = builder.constant(np.ones((rows, columns)))
    y = contract(matrix, x, lhs="ij", rhs="j", out="i")
    z = contract(builder.constant(np.ones((rows, rows))), y * y, lhs="ij", rhs="j", out="i")
    graph = jacobian(builder.freeze([z]), [0], primals=1)
    (product,) = [n for n in graph.nodes if n.op is contract and n.aval.ndim == 2]
    first = {"tangent": (columns, rows), "cotangent": (rows, columns)}[name]
    assert product.aval.shape == first
