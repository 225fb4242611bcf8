"""Nests that add to one array become one where no element can tell the difference."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import gradc
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.loops.language.parse import parse_program
from gradc.loops.language.verify import verify
from gradc.loops.shaping.merge import MOST, merge

RNG = np.random.default_rng(0)

HEAD = """program p
input c: f64[6,7,16]
input t: i64[6]
output y: f64[8,9,8]
output z: f64[6,7,8]

begin
  for i in 0 to 8:
    for j in 0 to 9:
      for k in 0 to 8 vector:
        y[i, j, k] = 0.0
  for i in 0 to 7:
    for j in 0 to 6:
      for k in 0 to 8 vector:
        z[j, i, k] = 0.0
"""


def nest(statement: str, rows: int = 6, mode: str = " vector", order: str = " in sequence") -> str:
    return f"""  for i in 0 to {rows}:
    for j in 0 to 7:
      for k in 0 to 8{mode}:
        {statement}{order}
"""


def nests(text: str) -> int:
    """How many nests a program has once they are merged; it computes the same bits as before."""
    program = verify(parse_program(text))
    merged = verify(replace(program, body=merge(program.body, program.buffer)))
    arrays = [RNG.normal(size=(6, 7, 16)), np.zeros(6, np.int64)]
    results = [load(emit(p, host()), p)(arrays) for p in (program, merged)]
    for mine, expected in zip(*results, strict=True):
        assert mine.tobytes() == expected.tobytes()
    return len(merged.body) - 2


ALONG = "y[i, j + 2, k] += c[i, j, k]"
BEFORE = "y[i, j + 1, k] += c[i, j, k + 8]"
AFTER = "y[i + 1, j, k] += c[i, j, k]"


@pytest.mark.parametrize(
    ("parts", "count"),
    [
        ([nest(ALONG), nest(BEFORE)], 1),
        ([nest(AFTER), nest(ALONG), nest(BEFORE)], 1),
        ([nest(ALONG), "  # what the second does\n", nest(BEFORE)], 2),
        # In the other order an element would get its terms in another order.
        ([nest(BEFORE), nest(ALONG)], 2),
        ([nest(ALONG), nest(BEFORE), nest(AFTER)], 2),
        # Other ranges, arrays that differ, what is read of the array, places that are data.
        ([nest(ALONG, rows=5), nest(BEFORE)], 2),
        ([nest(ALONG), nest("z[i, j, k] += c[i, j, k]")], 2),
        ([nest("z[i, j, k] += y[i + 2, j, k]"), nest("z[i, j, k] += c[i, j, k]")], 1),
        ([nest("z[i, j, k] = c[i, j, k]", order=""), nest("z[i, j, k] += c[i, j, k + 8]")], 1),
        ([nest("z[i, j, k] += c[i, j, k]"), nest("z[5 - i, j, k] += c[i, j, k]")], 2),
        ([nest(ALONG), nest("y[minimum(maximum(t[i], 0), 7), j, k] += c[i, j, k]", mode="")], 2),
    ],
)
def test_which_nests_are_merged(parts: list[str], count: int) -> None:
    assert nests(HEAD + "".join(parts)) == count


def test_vectors_stay_independent() -> None:
    def part(place: str) -> str:
        return f"  for i in 0 to 6:\n    for j in 0 to 6 vector:\n      z[i, {place}, 0] += c[i, j, 0] in sequence\n"

    assert nests(HEAD + part("j + 1") + part("j")) == 2
    assert nests(HEAD + (part("j + 1") + part("j")).replace(" vector", "")) == 1


def test_a_nest_does_not_grow_without_end() -> None:
    assert nests(HEAD + (MOST + 1) * nest(ALONG)) == 2


def test_the_adjoint_of_windows_is_one_pass() -> None:
    def f(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        windows = np.concatenate([x[:, i : i + 4, j : j + 5, :] for i in range(3) for j in range(3)], axis=3)
        return np.sum(np.tanh(np.reshape(windows, (40, 72)) @ w))

    x, w = RNG.normal(size=(2, 6, 7, 8)), RNG.normal(size=(72, 5))
    kernel = gradc.grad(f).compile(x, w)
    (cotangent,) = re.findall(r"(\w+)\{0; 72, 1\} = contract", kernel.loops)
    adding = [line for line in kernel.loops.splitlines() if f"] += {cotangent}[" in line]
    assert len(adding) == 8
    first = kernel.loops.index(adding[0])
    assert "for " not in kernel.loops[first : kernel.loops.index(adding[-1])]
    eps = 1e-6
    shift = np.zeros_like(x)
    shift[1, 3, 2, 4] = eps
    slope = (f(x + shift, w) - f(x - shift, w)) / (2 * eps)
    np.testing.assert_allclose(kernel(x, w)[1, 3, 2, 4], slope, rtol=1e-6)


def test_the_adjoint_of_any_number_of_windows_is_one_pass() -> None:
    def f(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        windows = np.concatenate([x[:, i : i + 4, j : j + 5, :] for i in range(3) for j in range(3)], axis=3)
        return np.sum(np.tanh(windows @ w))

    w = RNG.normal(size=(72, 8))
    kernel = gradc.grad(f).compile(gradc.aval("f64[batch,6,7,8]"), w)
    adding = [line for line in kernel.loops.splitlines() if "] += contract" in line]
    assert len(adding) == 8
    first = kernel.loops.index(adding[0])
    assert "for " not in kernel.loops[first : kernel.loops.index(adding[-1])]
    for rows in (0, 1, 5):
        x = RNG.normal(size=(rows, 6, 7, 8))
        np.testing.assert_array_equal(kernel(x, w), gradc.grad(f)(x, w) if rows else x)


def test_symbolic_arrays_that_may_overlap_are_left_alone() -> None:
    head = (
        "program p\ninput c: f64[batch,4]\noutput z: f64[batch,4]\n"
        "arena a: f64[batch,4] at 0\narena b: f64[batch,4] at {}\narena {} bytes\n\nbegin\n"
    )
    loops = [
        f"  for i in 0 to {{batch}}:\n    for j in 0 to 4 vector:\n      {statement}\n"
        for statement in ("a[i, j] = c[i, j]", "a[i, j] += b[i, j] in sequence")
    ]
    units = "((batch + 7) // 8)"
    for place, count in ((f"256*{units}", 1), (f"128*{units}", 2)):
        program = verify(parse_program(head.format(place, f"512*{units}") + "".join(loops)))
        assert len(merge(program.body, program.buffer)) == count
