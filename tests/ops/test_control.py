"""The scan op: its meaning step by step, in both directions, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from gradc.backends.reference import evaluate
from gradc.errors import DerivativeError, ShapeError
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Graph
from gradc.ops.control import Parts, scan
from gradc.ops.elementwise import exp
from gradc.transforms.adjoint import adjoint


def body() -> Graph:
    """``next = state * row + fixed``; emits ``exp(state)``."""
    builder = Builder()
    state, row, fixed = (builder.input(name, aval("f64[2]")) for name in ("state", "row", "fixed"))
    return builder.freeze([state * row + fixed, exp(state)])


def scanned(backwards: bool) -> tuple[Builder, list, object]:
    builder = Builder()
    operands = [
        builder.input("first", aval("f64[2]")),
        builder.input("rows", aval("f64[5,2]")),
        builder.input("fixed", aval("f64[2]")),
    ]
    return builder, operands, scan(
        *operands, body=body(), states=1, rows=1, count=5, backwards=backwards, pullback=None
    )  # fmt: skip


@pytest.mark.parametrize("backwards", [False, True])
def test_a_scan_is_its_steps(backwards):
    builder, _, result = scanned(backwards)
    parts = Parts(body(), 1, 5)
    graph = builder.freeze([parts.state(result, 0), parts.rows(result, 0)])
    rng = np.random.default_rng(0)
    state, rows, fixed = rng.normal(size=2), rng.normal(size=(5, 2)), rng.normal(size=2)
    last, emitted = evaluate(graph, [state, rows, fixed])
    expected = np.empty((5, 2))
    for t in reversed(range(5)) if backwards else range(5):
        expected[t] = np.exp(state)
        state = state * rows[t] + fixed
    assert last.tobytes() == state.tobytes()
    assert emitted.tobytes() == expected.tobytes()


def test_a_scan_counts_the_work_of_all_steps():
    _, _, result = scanned(False)
    node = result.node
    avals = [result.builder.nodes[i].aval for i in node.operands]
    assert node.op.cost(node.aval, *avals, **node.params).flops == 5 * 6


def test_operands_that_do_not_fit_the_step_are_refused():
    builder = Builder()
    wrong = [builder.input(name, aval("f64[2]")) for name in ("first", "rows", "fixed")]
    with pytest.raises(
        ShapeError, match=r"^scan: the step takes f64\[2\], f64\[5,2\], f64\[2\], got f64\[2\], f64\[2\]"
    ):
        scan(*wrong, body=body(), states=1, rows=1, count=5, backwards=False, pullback=None)


def test_a_scan_without_a_pullback_has_no_derivative():
    builder, operands, result = scanned(False)
    with pytest.raises(DerivativeError, match=r"^scan has no derivative: its step was made without one$"):
        adjoint(builder, [result], [builder.full(1, result.aval)], operands)
