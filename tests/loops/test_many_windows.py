"""Places of many windows are counted in the graph, not stored, and run as those that are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.frontend.numpy_api import grids
from gradc.ir.aval import aval
from gradc.ir.graph import CONSTANT, Builder
from gradc.loops.lowering.windows import summed_steps
from gradc.ops.shape import broadcast, reshaped

windows = np.lib.stride_tricks.sliding_window_view
X, W = (np.random.default_rng(k).normal(size=size) for k, size in enumerate((200, 40)))

PROGRAMS: dict[str, Callable[[Any, Any], Any]] = {
    "many places": lambda x, w: np.sum(np.maximum(windows(x, 40) @ w, 0)),
    "few places": lambda x, w: np.sum(np.tanh(windows(x, 6) @ w[:6])),
    "every third": lambda x, w: np.sum(np.tanh(windows(x, 6)[::3] @ w[:6])),
    "two axes": lambda x, w: np.sum(
        np.einsum("ijkl,kl->ij", windows(x.reshape(20, 10), (4, 5)), w[:20].reshape(4, 5)) ** 2
    ),
    "squares": lambda x, w: np.sum(windows(x, 30) ** 2) * w[0],
}


def unnumbered(text: str) -> str:
    """A program without the numbers of nodes in names."""
    return re.sub(r"_\d+\b", "", text)


@pytest.mark.parametrize("wrt", [0, 1])
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_those_of_tables(name: str, wrt: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def kernel(backend: str) -> Any:
        return gradc.value_and_grad(PROGRAMS[name], wrt=wrt, backend=backend).compile(X, W)

    stored = kernel("llvm")
    monkeypatch.setattr(grids, "_STORED", 0)
    counted = kernel("llvm")
    assert unnumbered(counted.loops) == unnumbered(stored.loops)
    value, slope = counted(X, W)
    for backend in ("numpy", "reference"):
        other = kernel(backend)(X, W)
        np.testing.assert_allclose(value, other[0], rtol=1e-12)
        np.testing.assert_allclose(slope, other[1], rtol=1e-10, atol=1e-12)


def test_nothing_large_is_stored() -> None:
    kernel = gradc.value_and_grad(lambda x, w: np.sum(windows(x, 64) @ w), wrt=1, backend="numpy").compile(
        gradc.aval("f64[100000]"), gradc.aval("f64[64]")
    )
    constants = [node.aval.size for node in kernel.trace.nodes if node.op is CONSTANT]
    assert max(constants) == 99937
    assert "x[np.arange(99937)[:, None] + np.arange(64)]" in kernel.numpy_source
    assert len(kernel.numpy_source) < 4000


def test_sparse_jacobians_know_the_places(monkeypatch: pytest.MonkeyPatch) -> None:
    def filtered(x: Any) -> Any:
        return windows(x, 3) @ np.array([1.0, -2.0, 1.0])

    pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    monkeypatch.setattr(grids, "_STORED", 0)
    assert gradc.jacobian(filtered, sparse=True)(np.arange(200.0)).nnz == 198 * 3


def test_a_sum_that_leaves_the_axis_is_data() -> None:
    builder = Builder()
    places = builder.constant(np.arange(5))
    total = broadcast(reshaped(places, (5, 1)), (5, 4)) + broadcast(builder.constant(np.arange(4) * 2), (5, 4))
    data = total + builder.input("k", aval("i64[5,4]"))
    nodes = builder.nodes
    assert summed_steps(nodes, total.id, 11) == (0, (1, 2))
    assert summed_steps(nodes, total.id, 10) is None
    assert summed_steps(nodes, data.id, 100) is None
