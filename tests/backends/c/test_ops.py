"""Every op, its derivative, and whole networks: C gives the bits of machine code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.compiler import compiled_of
from gradc.ir.graph import Builder, Graph
from gradc.ir.signature import flat_signature
from gradc.request import Request
from tests.artifacts import networks
from tests.backends.c.conftest import COMPILERS, check_program
from tests.inspect import networks as explained
from tests.ops.test_systematic import F64, ROWS, Row, floats, numbers, value_graph, vjp_graph

Check = Callable[..., str]
Given = tuple[Graph, Sequence[Any]]
"""A graph and its inputs."""

TOGETHER = 8
GROUPS = [ROWS[k : k + TOGETHER] for k in range(0, len(ROWS), TOGETHER)]
"""Rows that are compiled together: a compiler takes most of its time to start."""


def check_graphs(given: Sequence[Given], folder: Path, compiler: str) -> None:
    """Graphs side by side, as the C source of one loop program."""
    if compiler not in COMPILERS:
        pytest.skip(f"there is no {compiler}")
    builder = Builder()
    outputs = []
    for k, (graph, _) in enumerate(given):
        operands = [builder.input(f"x{k}_{i}", aval) for i, aval in enumerate(graph.input_avals)]
        outputs += graph.replay(builder, operands)
    together = builder.freeze(outputs)
    compiled = compiled_of(together, together, flat_signature(together), Request())
    check_program(compiled.program, [np.asarray(x) for _, inputs in given for x in inputs], folder, [compiler])


def named(rows: Sequence[Row]) -> str:
    return f"{rows[0]} to {rows[-1]}"


@pytest.mark.parametrize("rows", GROUPS, ids=named)
def test_values(rows: Sequence[Row], tmp_path: Path) -> None:
    check_graphs([(value_graph(row), row.inputs) for row in rows], tmp_path, "gcc")


@pytest.mark.parametrize("rows", GROUPS, ids=named)
def test_vjps(rows: Sequence[Row], tmp_path: Path) -> None:
    given: list[Given] = []
    for row in rows:
        result = value_graph(row).output_avals[0]
        if floats(row) and result.dtype == F64:
            given.append((vjp_graph(row), [*row.inputs, numbers(*map(int, result.shape), seed=9)]))
    if given:
        check_graphs(given, tmp_path, "clang")


def leaves(tree: Any) -> list[np.ndarray]:
    """The arrays of nested arguments."""
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, (list, tuple)):
        return [leaf for value in tree for leaf in leaves(value)]
    return [np.asarray(tree)]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


LABELS = np.eye(4)[np.arange(12) % 4]
LAYERS = [{"W": normal(5, 8), "b": normal(8)}, {"W": normal(8, 4), "b": normal(4)}]
WEIGHTS = {"W1": normal(5, 40), "b1": normal(40), "W2": normal(40, 4), "b2": normal(4)}
BINARY = (normal(1, 6, seed=3) > 0).astype(float)


def lstm(w: np.ndarray, u: np.ndarray, b: np.ndarray, x: np.ndarray) -> Any:
    h, c = np.zeros(6, x.dtype), np.zeros(6, x.dtype)
    for t in range(40):
        z = w @ x[t] + u @ h + b
        i, f, o = (1 / (1 + np.exp(-z[k * 6 : k * 6 + 6])) for k in range(3))
        c = f * c + i * np.tanh(z[18:])
        h = o * np.tanh(c)
    return np.sum(h * h)


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> Any:
    scores = q @ k.T / np.sqrt(8.0)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.mean((e / e.sum(axis=1, keepdims=True) @ v) ** 2)


def gathered(table: np.ndarray, rows: np.ndarray) -> Any:
    return np.sum(np.tanh(table[rows]) ** 2)


def regression(a: np.ndarray, y: np.ndarray) -> Any:
    weights = np.linalg.solve(a.T @ a + np.eye(a.shape[1]), a.T @ y)
    factor = np.linalg.cholesky(a.T @ a + np.eye(a.shape[1]))
    return np.sum((a @ weights - y) ** 2) + np.sum(np.log(np.diagonal(factor)))


def spectrum(a: np.ndarray) -> Any:
    values, vectors = np.linalg.eigh(a + a.T)
    return np.sum(np.tanh(values)) + np.sum((vectors[0] * vectors[1] + vectors[2]) ** 2)


def general(a: np.ndarray) -> Any:
    """Of a real and of a complex matrix."""
    values, vectors = np.linalg.eig(a)
    others = np.linalg.eigvals(a + 1j * a.T)
    return np.sum(np.abs(values) ** 3) + np.sum(np.abs(vectors) ** 4) + np.sum(np.abs(others))


def singular(a: np.ndarray) -> Any:
    left, values, right = np.linalg.svd(a, full_matrices=False)
    return np.sum((left * values**2) @ right) + np.sum(np.linalg.pinv(a) ** 2) + np.linalg.cond(a)


def orthogonal(a: np.ndarray) -> Any:
    q, r = np.linalg.qr(a)
    return np.sum(q[0] * q[1]) + np.sum(np.log(np.abs(np.diagonal(r)))) + np.linalg.det(r)


NETWORKS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "scalar": (explained.loss, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0, 2.0, 1.0)),
    "matrix": (networks.matrices, ({"hidden": normal(3, 2), "out": normal(1, 3)}, normal(2, 6), BINARY)),
    "classifier": (networks.classifier, (LAYERS, normal(12, 5), np.arange(12) % 4)),
    "softmax": (explained.classifier, (WEIGHTS, normal(12, 5), LABELS)),
    "recurrence": (explained.recurrence, (0.5, 0.1, 0.3)),
    "lstm": (lstm, (normal(24, 3) / 3, normal(24, 6) / 3, normal(24), normal(40, 3))),
    "attention": (attention, (normal(9, 8), normal(11, 8, seed=1), normal(11, 5))),
    "gather": (gathered, (normal(6, 3), np.array([0, 5, 2, 2, -1]))),
    "linear algebra": (regression, (normal(9, 4), normal(9))),
    "eigenvalues": (spectrum, (normal(6, 6),)),
    "any eigenvalues": (general, (normal(5, 5),)),
    "singular values": (singular, (normal(7, 4),)),
    "orthogonal factors": (orthogonal, (normal(7, 4, seed=2),)),
}


def programs(name: str, dtype: str) -> tuple[Any, list[np.ndarray]]:
    """The loop program of a network's value and gradient, and arrays for it."""
    function, arguments = NETWORKS[name]

    def cast(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {key: cast(value) for key, value in tree.items()}
        if isinstance(tree, (list, tuple)):
            return type(tree)(map(cast, tree))
        array = np.asarray(tree)
        return array.astype(dtype) if array.dtype.kind == "f" else array

    arguments = cast(arguments)
    kernel = gradc.value_and_grad(function, name="network").compile(*arguments)
    return kernel._compiled.program, leaves(arguments)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str, dtype: str, check: Check) -> None:
    program, arrays = programs(name, dtype)
    check(program, arrays)
