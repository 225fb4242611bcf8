"""Loops are distributed over their statements where something can run at once, and compute the same bits."""

from __future__ import annotations

import itertools
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
from gradc.loops.shaping.distribute import Scalars, distribute

RNG = np.random.default_rng(0)


def changed(text: str) -> str:
    """The statements of a program after its loops were distributed; it computes the same bits as before."""
    program = verify(parse_program(text))
    numbers = itertools.count(1)
    names = Scalars(lambda raw: raw, lambda word: f"{word}_{next(numbers)}")
    body = distribute(program.body, names, {buffer.name: buffer for buffer in program.buffers})
    distributed = verify(replace(program, body=body))
    arrays = [RNG.normal(size=[int(d) for d in buffer.shape]) for buffer in program.inputs]
    results = [load(emit(p, host()), p)(arrays) for p in (program, distributed)]
    for mine, expected in zip(*results, strict=True):
        assert mine.tobytes() == expected.tobytes()
    return str(distributed).partition("begin\n")[2]


HEAD = """program p
input w: f64[6,5]
input x: f64[5]
output y: f64[6]
output z: f64[6,5]
output s: f64[]
arena a: f64[6] at 0
arena c: f64[8] at 0
arena 64 bytes

begin
  s[] = 0.0
  for i in 0 to 6 vector:
    y[i] = 0.0
    a[i] = 0.5
  for i in 0 to 6:
    for j in 0 to 5 vector:
      z[i, j] = 1.0
"""

ROWS = """  for i in 0 to 6:
    local sum: f64[]
    sum[] = 0.0
    for j in 0 to 5:
      sum[] += w[i, j] * x[j] in sequence
"""


def test_functions_of_the_sums_of_rows_run_in_vectors() -> None:
    assert changed(f"{HEAD}{ROWS}    y[i] = tanh(sum[])\n").endswith(
        """  local sums_1: f64[6]
  for i in 0 to 6:
    local sum: f64[]
    sum[] = 0.0
    for j in 0 to 5:
      sum[] += w[i, j] * x[j] in sequence
    sums_1[i] = sum[]
  for i in 0 to 6 vector:
    y[i] = tanh(sums_1[i])
"""
    )


def test_what_follows_the_function_has_a_loop_of_its_own() -> None:
    rest = """    let h = exp(sum[])
    s[] += h * h in sequence
    for j in 0 to 5 vector:
      z[i, j] = h * x[j]
"""
    assert changed(HEAD + ROWS + rest).endswith(
        """  for i in 0 to 6 vector:
    let h = exp(sums_1[i])
    h_2[i] = h
  for i in 0 to 6:
    s[] += h_2[i] * h_2[i] in sequence
    for j in 0 to 5 vector:
      z[i, j] = h_2[i] * x[j]
"""
    )


def test_a_function_of_terms_that_are_summed_in_order_runs_in_vectors() -> None:
    loop = """  for i in 0 to 6:
    let h = log1p(w[i, 0])
    s[] += h in sequence
"""
    assert changed(HEAD + loop).endswith(
        """  for i in 0 to 6 vector:
    let h = log1p(w[i, 0])
    h_1[i] = h
  for i in 0 to 6:
    s[] += h_1[i] in sequence
"""
    )


def test_sums_of_columns_add_up_rows() -> None:
    loop = """  for i in 0 to 5:
    local sum: f64[]
    sum[] = 0.25
    for j in 0 to 6:
      sum[] += w[j, i] * y[j] in sequence
    let t = sum[] * x[i]
    for j in 0 to 6:
      z[j, i] = t * y[j]
"""
    assert changed(HEAD + loop).endswith(
        """  local sums_1: f64[5]
  local t_2: f64[5]
  for i in 0 to 5 vector:
    sums_1[i] = 0.25
  for j in 0 to 6:
    for i in 0 to 5 vector:
      sums_1[i] += w[j, i] * y[j] in sequence
  for i in 0 to 5 vector:
    let t = sums_1[i] * x[i]
    t_2[i] = t
  for i in 0 to 5:
    for j in 0 to 6:
      z[j, i] = t_2[i] * y[j]
"""
    )


WHOLE = {
    "cheap": f"{ROWS}    y[i] = sqrt(sum[])\n",
    "one place": f"{ROWS}    y[0] = tanh(sum[])\n",
    "one row": """  for i in 0 to 1:
    for j in 0 to 5 vector:
      z[i, j] = x[j]
    y[i] = tanh(z[i, 0])
""",
    "the next row needs the function of this one": """  for i in 0 to 5:
    local sum: f64[]
    sum[] = 0.5
    for j in 0 to 5:
      sum[] += w[i, j] * y[i] in sequence
    y[i + 1] = tanh(sum[])
""",
    "the functions would take the place of what later rows read": """  for i in 0 to 5:
    c[i] = tanh(w[i, 0])
    for j in 0 to 5 vector:
      z[i, j] = a[i + 1]
""",
    "sums along rows": """  for i in 0 to 6:
    local sum: f64[]
    sum[] = 0.0
    for j in 0 to 5:
      sum[] += w[i, j] * x[j] in sequence
    y[i] = sum[]
""",
    "columns of several lengths": """  for i in 0 to 5:
    local sum: f64[]
    sum[] = 0.0
    for j in 0 to i:
      sum[] += w[j, i] in sequence
    y[i] = sum[]
""",
}


@pytest.mark.parametrize("loop", WHOLE.values(), ids=WHOLE)
def test_other_loops_stay_whole(loop: str) -> None:
    assert changed(HEAD + loop) == str(parse_program(HEAD + loop)).partition("begin\n")[2]


def test_arrays_beyond_the_cache_are_read_once() -> None:
    text = """program p
input x: f64[32,{columns}]
output y: f64[32,{columns}]

begin
  for i in 0 to 32:
    local sum: f64[]
    sum[] = 0.0
    for j in 0 to {columns}:
      sum[] += x[i, j] in sequence
    let h = log(sum[] * sum[])
    for j in 0 to {columns} vector:
      y[i, j] = x[i, j] - h
"""
    small, large = (text.format(columns=columns) for columns in (16, 512))
    assert changed(small).count("for i") == 3
    assert changed(large).count("for i") == 1


def test_a_network_of_one_sample_runs_in_vectors() -> None:
    def loss(w1: Any, w2: Any, x: Any, y: Any) -> Any:
        return np.mean((w2 @ np.tanh(w1 @ x) - y) ** 2)

    avals = [gradc.aval(f"f64[{shape}]") for shape in ("8,4", "3,8", "4,1", "3,1")]
    kernel = gradc.value_and_grad(loss, wrt=("w1", "w2"), threads=1).compile(*avals)
    assert "  for i in 0 to 8 vector:\n    let t1 = tanh(sums[i])\n    tanh_9[i, 0] = t1\n" in kernel.loops
    w1, w2, x, y = (RNG.normal(size=shape) for shape in ((8, 4), (3, 8), (4, 1), (3, 1)))
    value, (d_w1, d_w2) = kernel(w1, w2, x, y)
    hidden = np.tanh(w1 @ x)
    error = w2 @ hidden - y
    np.testing.assert_allclose(value, np.mean(error**2), rtol=1e-14)
    np.testing.assert_allclose(d_w2, 2 / 3 * error @ hidden.T, rtol=1e-13)
    np.testing.assert_allclose(d_w1, 2 / 3 * (w2.T @ error) * (1 - hidden**2) @ x.T, rtol=1e-12)


def test_a_loop_that_has_an_array_of_its_own() -> None:
    def function(x, y):
        padded = np.pad(y, [(1, 0), (2, 2), (0, 0)], "edge")
        rows = x / (2 + np.cos(np.sum(np.stack([padded, padded], 3), axis=-3, keepdims=True)))
        state, seen = rows[0], []
        for row in range(rows.shape[0]):
            state = np.tanh(0.3 * state + rows[row])
            seen.append(state)
        return np.sum(np.sin(np.stack(seen)))

    arrays = RNG.normal(size=(3, 2)), RNG.normal(size=(4, 2, 1))
    found, expected = (gradc.grad(function, (0, 1), backend=backend)(*arrays) for backend in ("llvm", "reference"))
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-14)


def test_short_rows_of_a_batch_that_the_call_tells() -> None:
    def spread(x: Any) -> Any:
        raised = np.exp(x - np.max(x, axis=1, keepdims=True))
        return raised, np.sum(raised, axis=1)

    several = gradc.jit(spread).compile(gradc.aval("f64[n,3]"), backend="llvm")
    single = gradc.jit(spread).compile(gradc.aval("f64[5,3]"), backend="llvm")
    rows = str(several.loops).partition("for j in 0 to 3 vector:")[2]
    assert "exp(" in rows.partition("for ")[0]
    x = RNG.normal(size=(5, 3))
    for ours, expected in zip(several(x), single(x), strict=True):
        assert ours.tobytes() == expected.tobytes()


def test_an_array_in_the_place_of_another_waits_until_that_is_read() -> None:
    """What stands behind a sum goes along with the function before it, unless it takes the memory that is summed."""
    text = changed(
        HEAD
        + """  for i in 0 to 6:
    let t = tanh(w[i, 0])
    y[i] = t
    s[] += a[i] in sequence
    c[i] = 2.0 * t
    z[i, 0] = 3.0 * t
  for i in 0 to 6:
    s[] += c[i] in sequence
"""
    )
    together, *_ = text.partition("s[] += a[i] in sequence")
    assert "z[i, 0] = 3.0 * t" in together
    assert "c[i]" not in together


def test_a_program_whose_arrays_take_turns_in_memory() -> None:
    """The cosine of the exponential was written over numbers whose sines were still to be summed."""

    def function(x: Any) -> Any:
        clipped = np.clip(abs(np.fft.rfft(x)) ** 2, -0.12, 0.12)
        scaled = clipped[np.argmax(clipped)] * clipped
        chosen = np.where(scaled > clipped, scaled * clipped, clipped - scaled)
        written = scaled.copy()
        written[0] = 0.366
        total = np.sum(np.sin(written)) + np.sum(np.sin(np.exp2(np.sin(chosen))))
        return total + np.sum(np.sin(np.diff(chosen, prepend=0.3)))

    x = RNG.normal(size=3)
    value, slope = gradc.value_and_grad(function)(x)
    expected, expected_slope = gradc.value_and_grad(function, backend="numpy")(x)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-12, atol=1e-14)
