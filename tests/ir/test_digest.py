"""Digests tell graphs apart as their texts do, and drafts know theirs before they are put in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc import config
from gradc.frontend.tracing import trace
from gradc.ir.digest import graph_digest
from gradc.ir.draft import draft_of
from gradc.ir.graph import Builder, Graph
from gradc.ir.node import Params
from gradc.ir.op import REGISTRY
from gradc.ir.parse import parse_graph
from gradc.transforms.specialize import specialized

X = np.linspace(0.0, 1.0, 6)
LARGE = np.linspace(0.0, 1.0, 5000)


def changed(array: np.ndarray) -> np.ndarray:
    other = array.copy()
    other[len(other) // 2] = np.nextafter(other[len(other) // 2], 2)
    return other


def of(function: Callable[..., Any], *arguments: Any) -> Graph:
    return trace(function, arguments or (X,)).graph


def first(x: Any) -> Any:
    y = x * 2
    return y


def renamed(x: Any) -> Any:
    z = x * 2
    return z


def elsewhere(x: Any) -> Any:
    y = x * 2
    return y


@gradc.custom_derivative(vjp=lambda ct, out, x: (2 * ct,))
def ruled(x: Any) -> Any:
    return x + x


@gradc.custom_derivative(vjp=lambda ct, out, x: (3 * ct,))
def otherwise(x: Any) -> Any:
    return x + x


ONE_LINE: dict[str, Callable[[], Graph]] = {
    "an op": lambda: of(lambda x: np.sin(x)), "another op": lambda: of(lambda x: np.cos(x)),
    "order": lambda: of(lambda x: x - x[::-1]), "the other order": lambda: of(lambda x: x[::-1] - x),
    "params": lambda: of(lambda x: x[1:3]), "other params": lambda: of(lambda x: x[2:4]),
    "dtype": lambda: of(lambda x: np.sin(x), X.astype("f4")), "shape": lambda: of(lambda x: np.sin(x), X[:2]),
    "a size": lambda: of(lambda x: np.sin(x), gradc.aval("f64[n]")),
    "a Python number": lambda: of(lambda x: np.sin(x), 2.0), "a NumPy number": lambda: of(lambda x: np.sin(x), X[0]),
    "zero": lambda: of(lambda x: x + 0.0), "minus zero": lambda: of(lambda x: x + -0.0),
    "int": lambda: of(lambda x: x + np.array([1])), "bool": lambda: of(lambda x: x + np.array([True])),
    "large": lambda: of(lambda x: x[0] + LARGE), "large, one bit": lambda: of(lambda x: x[0] + changed(LARGE)),
    "large, its shape": lambda: of(lambda x: x[0] + LARGE.reshape(50, 100)),
    "large, its dtype": lambda: of(lambda x: x[0] + LARGE.view("i8")),
    "a name": lambda: of(first), "another name": lambda: of(renamed),
    "results": lambda: of(lambda x: (x, x + 1)), "results, swapped": lambda: of(lambda x: (x + 1, x)),
    "names of results": lambda: of(lambda x: {"a": x, "b": x + 1}),
    "no rule": lambda: of(lambda x: gradc.checkpoint(np.tanh)(x)),
    "a rule": lambda: of(lambda x: ruled(x)), "another rule": lambda: of(lambda x: otherwise(x)),
    "derivative": lambda: gradc.grad(lambda x: np.sum(x * x * 2)).compile(X).derivation,
    "simplified": lambda: gradc.grad(lambda x: np.sum(x * x * 2)).compile(X).graph,
}  # fmt: skip


def test_different_graphs_have_different_digests() -> None:
    digests = {name: graph_digest(make()) for name, make in ONE_LINE.items()}
    assert len(set(digests.values())) == len(digests), digests
    assert {len(digest) for digest in digests.values()} == {64}


@pytest.mark.parametrize("name", [name for name in ONE_LINE if "rule" not in name])
def test_a_graph_that_is_made_again_has_the_same_digest(name: str) -> None:
    graph = ONE_LINE[name]()
    assert graph_digest(ONE_LINE[name]()) == graph_digest(graph)
    assert graph_digest(parse_graph(str(graph))) == graph_digest(graph)


def test_a_line_of_the_source_counts() -> None:
    assert graph_digest(of(first)) != graph_digest(of(elsewhere))
    lines = [function.__code__.co_firstlineno + 1 for function in (first, elsewhere)]
    assert str(of(first)).replace(f":{lines[0]} ", f":{lines[1]} ") == str(of(elsewhere))


def test_ops_that_share_their_params_are_told_apart() -> None:
    def digest(*ops: str) -> str:
        builder = Builder()
        x = builder.input("x", gradc.aval("f64[3]"))
        params = Params({"axes": (0,), "keepdims": False})
        sums = [builder.apply_ids(REGISTRY[op], (x.id,), params) for op in ops]
        return graph_digest(builder.freeze(sums))

    assert len({digest("reduce_sum", "reduce_max"), digest("reduce_sum", "reduce_prod")}) == 2


def test_a_trace_knows_its_digest_before_it_is_in_order() -> None:
    def function(x: Any, n: int) -> Any:
        unused = np.exp(x)
        assert unused.shape == x.shape
        return x * n + np.sin(x)

    with config.cache_dir("elsewhere"):  # so that putting it in order keeps the digest
        early, late = trace(function, (X, 2)), trace(function, (X, 2))
        digest = early.written.draft.digest
        assert early.written._ordered is None
        assert late.graph.outputs
        assert late.written.draft.digest == digest
    assert str(early.graph) == str(late.graph)
    assert trace(lambda x, n: x * n, (X, 2)).written.draft.digest != digest


def test_fixed_integers_count() -> None:
    draft = draft_of(of(lambda x, n: x * n, X, 2))
    assert specialized(draft, {}) is draft
    digests = {specialized(draft, {1: value}).digest for value in (2, 3)}
    assert len({*digests, draft.digest}) == 3
    assert len(specialized(draft, {1: 2}).graph.inputs) == 1
