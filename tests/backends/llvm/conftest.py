"""Small programs made on the spot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.loops.language.program import Buffer, Expression, For, LoopProgram, Store, b, size, variable
from gradc.loops.language.verify import verify


def run_program(program: LoopProgram, *arrays: np.ndarray) -> list[np.ndarray]:
    return load(emit(verify(program), host()), program)(arrays)


@pytest.fixture
def run() -> Callable[..., list[np.ndarray]]:
    """``run(program, *arrays)``: the results of a program, verified and compiled for this machine."""
    return run_program


@pytest.fixture
def apply() -> Callable[..., np.ndarray]:
    """``apply(formula, *arrays)``: the formula applied to the elements of one-dimensional arrays, in a loop."""

    def applied(formula: Callable[..., Expression], *arrays: np.ndarray) -> np.ndarray:
        length = arrays[0].size
        inputs = [Buffer(f"x{k}", a.dtype, (length,), "input") for k, a in enumerate(arrays)]
        i = variable("i")
        value = formula(*[b.load(x, (i,)) for x in inputs])
        output = Buffer("y", value.dtype, (length,), "output")
        body = For("i", size(0), size(length), (Store("y", (i,), value),), mode="vector")
        return run_program(LoopProgram("elementwise", (*inputs, output), (body,)), *arrays)[0]

    return applied
