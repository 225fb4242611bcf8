"""Loops are split where their indices are, and compute the same bits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.loops.language.parse import parse_program
from gradc.loops.language.verify import verify
from gradc.loops.shaping.split import split

RNG = np.random.default_rng(0)


def before(x: Any, w: Any, b: Any) -> Any:
    """A bias and an activation before the reshape to an image, which is pooled."""
    batch = x.shape[0]
    h = np.reshape(np.maximum(np.reshape(x, (batch * 48, 5)) @ w + b, 0.0), (batch, 6, 8, 7))
    return np.sum(np.max(np.reshape(h, (batch, 3, 2, 4, 2, 7)), axis=(2, 4)) ** 2)


def after(x: Any, w: Any, b: Any) -> Any:
    """The same with the reshape first."""
    batch = x.shape[0]
    h = np.maximum(np.reshape(np.reshape(x, (batch * 48, 5)) @ w, (batch, 6, 8, 7)) + b, 0.0)
    return np.sum(np.max(np.reshape(h, (batch, 3, 2, 4, 2, 7)), axis=(2, 4)) ** 2)


X, W, B = RNG.normal(size=(3, 48, 5)), RNG.normal(size=(5, 7)), RNG.normal(size=7)


@pytest.mark.parametrize(("batch", "wrt"), [(3, ("x", "w", "b")), ("n", ("x", "w"))])
def test_a_bias_before_a_reshape_costs_no_division(batch: int | str, wrt: tuple[str, ...]) -> None:
    avals = [gradc.aval(f"f64[{batch},48,5]"), gradc.aval("f64[5,7]"), gradc.aval("f64[7]")]
    kernels = [gradc.value_and_grad(f, wrt=wrt).compile(*avals) for f in (before, after)]
    _, _, statements = kernels[0].loops.partition("begin")
    assert "//" not in statements
    assert "%" not in statements
    (value, grads), (other, other_grads) = (k(X, W, B) for k in kernels)
    assert value == other
    for mine, expected in zip(grads, other_grads, strict=True):
        assert mine.tobytes() == expected.tobytes()
    np.testing.assert_allclose(value, before(X, W, B), rtol=1e-14)


def changed(text: str) -> str:
    """A program after its loops were split; it computes the same bits as before."""
    program = verify(parse_program(text))
    body = split(program.body, lambda depth: "ijklmnpqrs"[depth])
    divided = verify(replace(program, body=body))
    arrays = [RNG.normal(size=[int(d) for d in buffer.shape]) for buffer in program.inputs]
    results = [load(emit(p, host()), p)(arrays) for p in (program, divided)]
    for mine, expected in zip(*results, strict=True):
        assert mine.tobytes() == expected.tobytes()
    return str(divided)


HEAD = """program p
input a: f64[6,4]
input c: f64[4,6]
input d: f64[3,8]
output y: f64[24]
output z: f64[24,2]
output s: f64[]

begin
  s[] = 0.0
  for i in 0 to 24:
    y[i] = 0.0
    for j in 0 to 2:
      z[i, j] = 0.0
"""


ROWS = """  for i in 0 to 24 vector:
    y[i] = d[i // 8, i % 8]
"""
ROWS_SPLIT = """  for i in 0 to 3:
    for j in 0 to 8 vector:
      y[i * 8 + j] = d[i, j]
"""
TWO_SHAPES = """  for i in 0 to 24:
    for j in 0 to 2:
      z[i, j] = a[i // 4, i % 4] + d[i // 8, i // 2 % 4]
"""
TWO_SHAPES_SPLIT = """  for i in 0 to 3:
    for k in 0 to 2:
      for l in 0 to 2:
        for m in 0 to 2:
          for j in 0 to 2:
            z[i * 8 + k * 4 + l * 2 + m, j] = a[i * 2 + k, l * 2 + m] + d[i, k * 2 + l]
"""
# Divisors that do not divide each other, or the length, short innermost loops, and sums whose order counts iterations.
DIFFERENT = """  for i in 0 to 24:
    for j in 0 to 2:
      z[i, j] = a[i // 4, i % 4] + c[i // 6, i % 6]
"""
PART = """  for i in 0 to 20 vector:
    y[i] = d[i // 8, i % 8]
"""
SHORT = """  for i in 0 to 24 vector:
    y[i] = a[i // 4, i % 4]
"""
LANES = """  for i in 0 to 24 vector:
    s[] += d[i // 8, i % 8] in 8 lanes of i
"""


@pytest.mark.parametrize(("loops", "expected"), [(ROWS, ROWS_SPLIT), (TWO_SHAPES, TWO_SHAPES_SPLIT)])
def test_digits_of_a_variable_become_loops(loops: str, expected: str) -> None:
    assert changed(HEAD + loops) == HEAD + expected


@pytest.mark.parametrize("loops", [DIFFERENT, PART, SHORT, LANES])
def test_other_loops_stay_whole(loops: str) -> None:
    assert changed(HEAD + loops) == HEAD + loops


def test_a_sum_in_sequence_keeps_its_order() -> None:
    text = HEAD + "  for i in 0 to 24:\n    s[] += d[i // 8, i % 8] in sequence\n"
    assert "s[] += d[i, j] in sequence" in changed(text)
