"""Random graphs: both modes are transposes of each other, a batch is single calls, all Jacobians are one."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradc.backends.reference import evaluate
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Graph, Value
from gradc.ir.op import REGISTRY
from gradc.passes.pipeline import builder_rewrite
from gradc.transforms.batching import batch
from gradc.transforms.derivative import differentiate
from gradc.transforms.jacobian import jacobian
from gradc.transforms.sparse import sparse_jacobian

RNG = np.random.default_rng(0)
POINTS = [[RNG.normal(size=(2, 3)), RNG.normal(size=3)] for _ in range(3)]
Make = Callable[[random.Random, Value, Value], Value]


def op(name: str, *operands: Value, **params: Any) -> Value:
    return REGISTRY[name](*operands, **params)


def spread(x: Value, shape: tuple[int, ...]) -> Value:
    return x if x.aval.shape == shape else op("broadcast_to", x, shape=shape)


def constant(x: Value, value: object) -> Value:
    return x.builder.constant(np.asarray(value))


def unary(chance: random.Random, x: Value, y: Value) -> Value:
    return op(chance.choice(["tanh", "sin", "cos", "logistic", "softplus", "neg", "abs", "arctan"]), x)


def binary(chance: random.Random, x: Value, y: Value) -> Value:
    shape: Any = max((x.aval.shape, y.aval.shape), key=len)
    name = chance.choice(["add", "sub", "mul", "maximum", "minimum", "hypot"])
    return op(name, spread(x, shape), spread(y, shape))


def selected(chance: random.Random, x: Value, y: Value) -> Value:
    shape: Any = max((x.aval.shape, y.aval.shape), key=len)
    left, right = spread(x, shape), spread(y, shape)
    other = chance.choice([right, right.builder.full(0.5, right.aval)])
    return op("select", op("gt", left, right), op("exp", op("tanh", left)), other)


def reduced(chance: random.Random, x: Value, y: Value) -> Value:
    axis = chance.randrange(x.aval.ndim)
    name = chance.choice(["reduce_sum", "reduce_max", "reduce_prod", "logsumexp"])
    return spread(op(name, x, axes=(axis,), keepdims=True), x.aval.shape)  # type: ignore[arg-type]


def along(chance: random.Random, x: Value, y: Value) -> Value:
    axis = chance.randrange(x.aval.ndim)
    if chance.random() < 0.5:
        return op(chance.choice(["softmax", "log_softmax"]), x, axes=(axis,))
    return op("cumsum", x, axis=axis, reverse=chance.random() < 0.5)


def moved(chance: random.Random, x: Value, y: Value) -> Value:
    size = int(x.aval.shape[-1])
    starts, steps = (0,) * (x.aval.ndim - 1), (1,) * (x.aval.ndim - 1)
    flipped = op("slice", x, starts=(*starts, size - 1), sizes=x.aval.shape, steps=(*steps, -1))
    first = op("slice", x, starts=(*starts, 0), sizes=(*x.aval.shape[:-1], 2), steps=(*steps, 1))
    last = op("slice", x, starts=(*starts, 2), sizes=(*x.aval.shape[:-1], 1), steps=(*steps, 1))
    turned = op("concatenate", last, first, axis=x.aval.ndim - 1)
    written = op("update_slice", x, first, starts=(*starts, 1), steps=(*steps, 1), mode=chance.choice(["set", "add"]))
    return chance.choice([flipped, turned, written])


def indexed(chance: random.Random, x: Value, y: Value) -> Value:
    axis = x.aval.ndim - 1
    places = constant(x, [chance.randrange(3) for _ in range(3)])
    if chance.random() < 0.5:
        return op("gather", x, places, axes=(axis,))
    return op("scatter", x, op("tanh", x), places, axes=(axis,), mode=chance.choice(["set", "add"]))


def contracted(chance: random.Random, x: Value, y: Value) -> Value:
    matrix = constant(x, np.arange(9.0).reshape(3, 3) % 4 - 1)
    letters = "ij"[2 - x.aval.ndim :]
    product = op("contract", x, matrix, lhs=letters, rhs="jk", out=letters[:-1] + "k")
    if x.aval.ndim == 1 or y.aval.ndim == 1:
        return product
    gram = op("contract", x, y, lhs="ij", rhs="kj", out="ik")
    return op("contract", gram, y, lhs="ik", rhs="kj", out="ij")


KINDS: list[Make] = [unary, unary, binary, binary, selected, reduced, along, moved, indexed, contracted]


def random_graph(seed: int, length: int) -> Graph:
    chance = random.Random(seed)
    builder = Builder()
    values = [builder.input("x", aval("f64[2,3]")), builder.input("y", aval("f64[3]"))]
    for _ in range(length):
        made = chance.choice(KINDS)(chance, chance.choice(values[-4:]), chance.choice(values[-4:]))
        values.append(op("tanh", made))  # so that nothing grows without bounds
    return builder.freeze(values[-2:] if length > 1 else values[-1:])


graphs = st.builds(random_graph, st.integers(0, 10**9), st.integers(1, 12))


@pytest.mark.parametrize("level", [None, "safe"])
@given(graph=graphs)
@settings(max_examples=150)
def test_both_modes_are_transposes(level: str | None, graph: Graph) -> None:
    rewrite = None if level is None else builder_rewrite(level)
    rng = np.random.default_rng(1)
    point, count = POINTS[0], len(graph.outputs)
    tangents = [rng.normal(size=x.shape) for x in point]
    pushed = differentiate(graph, "jvp", (0, 1), primals=count, rewrite=rewrite)
    forward = evaluate(pushed, [*point, *tangents])[count:]
    cts = [rng.normal(size=t.shape) for t in forward]
    pulled = differentiate(graph, "vjp", (0, 1), primals=count, rewrite=rewrite)
    backward = evaluate(pulled, [*point, *cts])
    left = [c * t for c, t in zip(cts, forward, strict=True)]
    right = [g * t for g, t in zip(backward, tangents, strict=True)]
    size = sum(np.abs(v).sum() for v in (*left, *right))
    assert sum(v.sum() for v in left) == pytest.approx(sum(v.sum() for v in right), abs=1e-11 * (1 + size))


@given(graph=graphs, flags=st.sampled_from([(True, True), (True, False), (False, True)]))
@settings(max_examples=150)
def test_a_batch_is_single_calls(graph: Graph, flags: tuple[bool, bool]) -> None:
    batched = batch(graph, [0 if flag else None for flag in flags], 3, [0] * len(graph.outputs))
    many = [np.stack([p[k] for p in POINTS]) if flag else POINTS[0][k] for k, flag in enumerate(flags)]
    single = [evaluate(graph, [p[k] if flag else POINTS[0][k] for k, flag in enumerate(flags)]) for p in POINTS]
    for found, each in zip(evaluate(batched, many), zip(*single, strict=True), strict=True):
        np.testing.assert_allclose(found, np.stack(each), rtol=1e-11, atol=1e-12)


@given(graph=graphs)
@settings(max_examples=100)
def test_all_jacobians_are_one(graph: Graph) -> None:
    count = len(graph.outputs)
    forward, reverse = (
        evaluate(jacobian(graph, (0, 1), primals=count, forward=by_columns), POINTS[0]) for by_columns in (True, False)
    )
    parts = evaluate(sparse_jacobian(graph, (0, 1), primals=count), POINTS[0])
    for k, (first, second) in enumerate(zip(forward, reverse, strict=True)):
        np.testing.assert_allclose(first, second, rtol=1e-10, atol=1e-12)
        data, indices, starts, shape = parts[4 * k : 4 * k + 4]
        full = np.zeros(shape)
        full[indices, np.repeat(np.arange(shape[1]), np.diff(starts))] = data
        np.testing.assert_allclose(full, first.reshape(shape), rtol=1e-10, atol=1e-12)
