"""Running graphs through loop programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.backends.reference import evaluate
from gradc.ir.graph import Graph
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import LoopProgram
from gradc.loops.language.verify import verify
from gradc.loops.lowering.lower import lower
from gradc.loops.shaping.arena import laid_out


def run_program(graph: Graph, inputs: Sequence[Any]) -> list[np.ndarray]:
    """The outputs of a graph through its loop program, which is verified and parsed back on the way."""
    program = verify(laid_out(verify(lower(graph))))
    assert parse_program(str(program)) == program
    return load(emit(program, host()), program)([np.asarray(x) for x in inputs])


def check_graph(graph: Graph, inputs: Sequence[Any], *, rtol: float = 1e-12, atol: float = 1e-13) -> LoopProgram:
    """Compare the loop program of a graph with the oracle."""
    arrays = [np.asarray(x) for x in inputs]
    expected = evaluate(graph, arrays)
    got = run_program(graph, arrays)
    for ours, theirs in zip(got, expected, strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)
    return lower(graph)


@pytest.fixture
def run() -> Callable[..., list[np.ndarray]]:
    """``run(graph, inputs)``: the outputs through LLVM."""
    return run_program


@pytest.fixture
def check() -> Callable[..., LoopProgram]:
    """``check(graph, inputs)``: LLVM agrees with the oracle; gives the loop program."""
    return check_graph
