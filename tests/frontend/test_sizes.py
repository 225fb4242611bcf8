"""Symbolic sizes: one graph for every size, and no graph where the size decides something."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradc.backends.reference import evaluate
from gradc.errors import TraceError
from gradc.frontend.tracing import trace
from gradc.ir.aval import aval

X = aval("f32[batch,3]")


def buffer(x: Any) -> Any:
    buf = np.empty_like(x)
    buf[:, 0] = x[:, 1]
    buf[:, 1:] = x[:, :2]
    return buf


def made(x: Any) -> Any:
    out = np.zeros((x.shape[0], 2))
    out += x @ np.ones((3, 2))
    return out, np.ones(x.shape), np.full(x.shape, x[0, 0])


SUPPORTED: dict[str, Callable[[Any], Any]] = {
    "divided": lambda x: x.sum() / x.shape[0],
    "factor": lambda x: x * (1.0 / x.shape[0]) + 0.5 * x.shape[0],
    "powers": lambda x: x * x.shape[0] ** -0.5 + x.shape[0] ** 2,
    "numpy": lambda x: x / np.sqrt(x.shape[0]) + np.maximum(x.shape[0], 2.5),
    "arithmetic": lambda x: x * (x.shape[0] - 1) + (2 * x.shape[0] + 1) * x,
    "size": lambda x: x.sum() / x.size + np.size(x, 0) + np.shape(x)[0] * x,
    "returned": lambda x: (x, x.shape),
    "slices": lambda x: (x[: x.shape[0] // 2], x[x.shape[0] // 2 :], x[1:], x[::-1], x[0]),
    "reshapes": lambda x: (x.reshape(x.shape[0], 1, 3), x.reshape(-1), np.reshape(x, (3, x.shape[0])), x.T, x.ravel()),
    "broadcast": lambda x: np.broadcast_to(x[0], (x.shape[0], 3)),
    "reductions": lambda x: (x.mean(axis=0), x.var(axis=0, ddof=1), np.max(x, axis=1, keepdims=True)),
    "joined": lambda x: np.concatenate([x, np.ones((x.shape[0], 1), np.float32)], axis=1),
    "equal": lambda x: x if x.shape == x.shape[:] and x.shape[0] != x.shape[0] + 1 and x.shape[1] == 3 else -x,
    "made": made,
    "buffer": buffer,
}


@pytest.mark.parametrize("name", SUPPORTED)
def test_one_graph_holds_for_every_size(name: str) -> None:
    function = SUPPORTED[name]
    traced = trace(function, (X,))
    for size in (2, 5):
        x = np.arange(3.0 * size, dtype=np.float32).reshape(size, 3) + 1
        expected = function(x)
        results = traced.out_tree.unflatten(evaluate(traced.graph, [x]))
        pairs = zip(expected, results, strict=True) if isinstance(expected, tuple) else [(expected, results)]
        for wanted, result in pairs:
            np.testing.assert_allclose(result, wanted, rtol=1e-6)
            if not isinstance(wanted, tuple):
                assert result.dtype == np.asarray(wanted).dtype


DECIDED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "==": (lambda x: x if x.shape[0] == 3 else -x, "whether it is == 3 is not known"),
    ">": (lambda x: x if x.shape[0] > 1 else -x, "whether it is > 1 is not known"),
    "shape": (lambda x: x if x.shape == (3, 3) else -x, "whether it is == 3 is not known"),
    "truth": (lambda x: x if x.shape[0] else -x, "whether it is 0 is not known"),
    "range": (lambda x: [x[k] for k in range(x.shape[0])], "Python needs a number here"),
    "int": (lambda x: int(x.shape[0]) * x, "Python needs a number here"),
    "math": (lambda x: math.sqrt(x.shape[0]) * x, r"float\(\) or a function of math needs a number"),
}


@pytest.mark.parametrize("name", DECIDED)
def test_what_the_size_decides_is_refused(name: str) -> None:
    function, reason = DECIDED[name]
    with pytest.raises(
        TraceError, match=rf"^the size batch is symbolic and {reason}.*; compile with .* \(test_sizes\.py:\d+: "
    ):
        trace(function, (X,))


@pytest.mark.parametrize("make", [np.eye, np.identity, lambda n: np.arange(1, n)])
def test_counting_needs_a_fixed_size(make: Callable[[Any], Any]) -> None:
    with pytest.raises(
        TraceError, match=r"^np\.(eye|identity|arange) counts up to a number and the size batch is symbolic; "
    ):
        trace(lambda x: make(x.shape[0]), (X,))


def test_len_and_iteration_need_a_fixed_size() -> None:
    for function in (lambda x: len(x) * x, list):
        with pytest.raises(
            TraceError, match=r"len\(\) needs a fixed size and this array has \(batch, 3\); use x\.shape\[0\]"
        ):
            trace(function, (X,))


def test_two_sizes_do_not_mix() -> None:
    with pytest.raises(TraceError, match="whether it is == other is not known"):
        trace(lambda x, y: x if x.shape[0] == y.shape[0] else y, (X, aval("f32[other,3]")))
