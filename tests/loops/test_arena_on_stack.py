"""Small arenas stand on the stack, so that kernels of few numbers ask for no memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradc
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.loops.language.parse import parse_program
from gradc.loops.language.verify import verify
from gradc.loops.shaping.arena import SMALL, on_stack

PROGRAM = """program p
input x: f64[4]
output y: f64[4]
arena a: f64[4] at 0
arena c: f64[4] at {place}
arena {bytes} bytes

begin
  for i in 0 to 4 vector:
    a[i] = x[i] * x[i]
  for i in 0 to 4 vector:
    c[i] = a[3 - i] + 1.0
  for i in 0 to 4 vector:
    y[i] = a[i] - c[i]
"""


def test_arrays_become_local() -> None:
    program = verify(parse_program(PROGRAM.format(place=64, bytes=128)))
    changed = verify(on_stack(program))
    assert changed.arena_bytes == 0
    assert "  local a: f64[4]\n  local c: f64[4]\n" in str(changed)
    x = [np.array([1.0, 2.0, -3.0, 4.5])]
    expected, got = (load(emit(p, host()), p)(x)[0] for p in (program, changed))
    assert got.tobytes() == expected.tobytes()


def test_arrays_in_one_place_stand_apart() -> None:
    in_place = PROGRAM.replace("a[3 - i] + 1.0", "a[i] + 1.0").replace("a[i] - c[i]", "c[i] * 2.0")
    program = verify(parse_program(in_place.format(place=0, bytes=64)))
    changed = verify(on_stack(program))
    assert "  local a: f64[4]\n  local c: f64[4]\n" in str(changed)
    x = [np.array([1.0, 2.0, -3.0, 4.5])]
    expected, got = (load(emit(p, host()), p)(x)[0] for p in (program, changed))
    assert got.tobytes() == expected.tobytes()


@pytest.mark.parametrize(("place", "size"), [(16, 64), (SMALL, SMALL + 64)], ids=["in the place of a part", "large"])
def test_other_arenas_stay(place: int, size: int) -> None:
    program = parse_program(PROGRAM.format(place=place, bytes=size))
    assert on_stack(program) is program


def test_a_network_of_one_sample_needs_no_memory() -> None:
    def loss(w1: Any, w2: Any, x: Any, y: Any) -> Any:
        return np.mean((w2 @ np.tanh(w1 @ x) - y) ** 2)

    avals = [gradc.aval(f"f64[{shape}]") for shape in ("8,4", "3,8", "4,1", "3,1")]
    kernel = gradc.value_and_grad(loss, wrt=("w1", "w2"), threads=1).compile(*avals)
    assert kernel.cost.arena == 0
    assert "local tanh_9: f64[8,1]" in kernel.loops
