"""Random graphs keep their meaning through every level, and simplifying is done in one walk."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradc.backends.reference import evaluate
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Graph, Value
from gradc.ir.op import REGISTRY
from gradc.ir.parse import parse_graph
from gradc.ir.text import print_graph
from gradc.passes.pipeline import builder_rewrite, simplify
from gradc.transforms.adjoint import adjoint

UNARY = ["neg", "exp", "log", "log1p", "expm1", "sqrt", "tanh", "abs", "logistic", "softplus"]
BINARY = ["add", "sub", "mul", "div", "maximum", "minimum"]
NUMBERS = [0.0, 1.0, -1.0, 2.0, 0.5, 3.0, -0.25]
SHAPES: list[tuple[int, ...]] = [(), (3,), (2, 3)]


def random_graph(seed: int, length: int, unary: list[str] = UNARY, binary: list[str] = BINARY) -> Graph:
    """Elementwise ops, movements, reductions and selections over three inputs and a few numbers."""
    chance = random.Random(seed)
    builder = Builder()
    values: list[Value] = [builder.input(n, aval(t)) for n, t in (("x", "f64[2,3]"), ("y", "f64[3]"), ("s", "f64[]"))]
    for _ in range(length):
        values.append(_step(builder, chance, values, unary, binary))
    return builder.freeze(values[-2:])


def _spread(value: Value, shape: tuple[int, ...]) -> Value:
    return value if value.aval.shape == shape else REGISTRY["broadcast_to"](value, shape=shape)


def _step(builder: Builder, chance: random.Random, values: list[Value], unary: list[str], binary: list[str]) -> Value:
    value = chance.choice(values[-6:])
    kind = chance.random()
    if kind < 0.3:
        return REGISTRY[chance.choice(unary)](value)
    if kind < 0.4:
        axes = tuple(a for a in range(value.aval.ndim) if chance.random() < 0.7)
        name = chance.choice(["reduce_sum", "reduce_max"])
        keepdims = chance.random() < 0.5 or value.aval.ndim - len(axes) not in (0, value.aval.ndim)
        reduced = REGISTRY[name](value, axes=axes, keepdims=keepdims)
        return reduced if reduced.aval.shape in SHAPES else _spread(reduced, value.aval.shape)  # type: ignore[arg-type]
    if kind < 0.45 and value.aval.ndim == 2:
        turned = REGISTRY["transpose"](value, axes=(1, 0))
        return REGISTRY["transpose"](REGISTRY["exp"](turned), axes=(1, 0))
    other = builder.full(chance.choice(NUMBERS), value.aval) if chance.random() < 0.4 else chance.choice(values[-6:])
    shape: Any = max((value.aval.shape, other.aval.shape), key=len)
    left, right = _spread(value, shape), _spread(other, shape)
    if chance.random() < 0.5:
        left, right = right, left
    if kind > 0.9:
        mask = REGISTRY["gt"](left, right)
        if chance.random() < 0.5:
            mask = REGISTRY["logical_not"](mask)
        return REGISTRY["select"](mask, left, right)
    return REGISTRY[chance.choice(binary)](left, right)


ODD = [np.array([[0.5, -1.5, 0.0], [np.inf, 2.0, -np.inf]]), np.array([1.0, np.nan, -0.75]), np.array(0.25)]
SMALL = [np.array([[0.51, 1.53, 0.32], [0.71, 0.22, 0.63]]), np.array([0.91, 0.43, 0.75]), np.array(0.27)]
PLAIN = [np.array([[0.5, -1.5, 0.3], [1.7, 2.0, -0.6]]), np.array([1.1, 0.4, -0.75]), np.array(0.25)]


def finite_everywhere(graph: Graph, points: list[np.ndarray], limit: float) -> bool:
    every = replace(graph, outputs=tuple(range(len(graph.nodes))))
    return all(np.isfinite(w).all() and (np.abs(w) < limit).all() for w in evaluate(every, points))


@given(st.integers(0, 10**9), st.integers(1, 25))
@settings(max_examples=200)
def test_canonical_laws_keep_nan_and_infinity(seed: int, length: int) -> None:
    """Without division: the sign of a zero, which is not kept, cannot become that of an infinity."""
    graph = random_graph(seed, length, binary=["add", "sub", "mul", "maximum", "minimum"])
    now = simplify(graph, stabilize="off", check=True)
    assert simplify(now, stabilize="off") is now
    assert print_graph(parse_graph(print_graph(now))) == print_graph(now)
    for expected, found in zip(evaluate(graph, ODD), evaluate(now, ODD), strict=True):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@given(st.integers(0, 10**9), st.integers(1, 25))
@settings(max_examples=200)
def test_canonical_laws_keep_the_value(seed: int, length: int) -> None:
    """To the digits that a sum of equal numbers may lose against one multiplication."""
    graph = random_graph(seed, length)
    now = simplify(graph, stabilize="off", check=True)
    if finite_everywhere(graph, PLAIN, 1e200):
        for expected, found in zip(evaluate(graph, PLAIN), evaluate(now, PLAIN), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@given(seed=st.integers(0, 10**9), length=st.integers(1, 12))
@settings(max_examples=200)
def test_stable_laws_are_no_further_from_the_real_value(real: Any, seed: int, length: int) -> None:
    graph = random_graph(seed, length)
    now = simplify(graph, stabilize="safe", check=True)
    assert simplify(now, stabilize="safe") is now
    if not finite_everywhere(graph, PLAIN, 1e100):
        return
    for written, stable, exact in zip(evaluate(graph, PLAIN), evaluate(now, PLAIN), real(graph, PLAIN), strict=True):
        for w, s, e in zip(*map(np.ravel, (written, stable, exact)), strict=True):
            assert abs(float(s) - e) <= 10 * abs(float(w) - e) + 1e-12 * (1 + abs(e))


def gradient(graph: Graph, rewrite: Any) -> Graph:
    builder = Builder(rewrite)
    inputs = [builder.input(n, a) for n, a in zip(graph.input_names, graph.input_avals, strict=True)]
    outputs = graph.replay(builder, inputs)
    found = adjoint(builder, outputs, [builder.full(1.0, v.aval) for v in outputs], inputs)
    return builder.freeze([builder.full(0.0, i.aval) if g is None else g for g, i in zip(found, inputs, strict=True)])


@pytest.mark.parametrize("level", ["off", "safe"])
@given(seed=st.integers(0, 10**9), length=st.integers(1, 10))
@settings(max_examples=150)
def test_laws_keep_the_gradient(real: Any, level: str, seed: int, length: int) -> None:
    """Within 1e-12 of the real value, or not ten times further from it than the graph as written."""
    graph = random_graph(seed, length, ["neg", "exp", "tanh", "logistic", "softplus", "log1p"])
    plain = gradient(graph, None)
    written, now = evaluate(plain, SMALL), evaluate(gradient(graph, builder_rewrite(level)), SMALL)
    if not (finite_everywhere(graph, SMALL, 1e6) and all((np.abs(w) < 1e6).all() for w in written)):
        return
    for found, before, exact in zip(now, written, real(plain, SMALL), strict=True):
        for n, w, e in zip(*map(np.ravel, (found, before, exact)), strict=True):
            assert abs(float(n) - e) <= 10 * abs(float(w) - e) + 1e-12 * (1 + abs(e))


@given(seed=st.integers(0, 10**9), length=st.integers(1, 25))
@settings(max_examples=200)
def test_a_graph_never_becomes_dearer(seed: int, length: int) -> None:
    """A negation that has other users stays beside the one that moved; apart from these nothing is added."""
    graph = random_graph(seed, length)
    now = simplify(graph, stabilize="off")
    assert flops(now, without="neg") <= flops(graph)


def flops(graph: Graph, without: str = "") -> int:
    total = 0
    for node in graph.nodes:
        cost = node.op.cost(node.aval, *[graph.nodes[i].aval for i in node.operands], **node.params)
        total += int(cost.flops) if node.op.name != without else 0  # type: ignore[arg-type]
    return total
