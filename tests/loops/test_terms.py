"""The terms of short sums are computed in loops of their own, and every bit stays what it was."""

from __future__ import annotations

import numpy as np
import pytest

import gradc.backends.llvm.emit as emitting
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.loops.language.parse import parse_program
from gradc.loops.language.verify import verify
from gradc.loops.shaping.terms import with_terms_apart

HEAD = """program p
input x: f64[3,2]
input y: f64[2,3]
output z: f64[]
output rows: f64[3,2]

begin
  local part: f64[2]
  part[0] = 1.0
  part[1] = 2.0
  local sum: f64[]
  sum[] = 0.0
  for i in 0 to 3:
    for j in 0 to 2 vector:
      rows[i, j] = 1.0
    for j in 0 to 2:
"""


def changed(body: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What becomes of the loop with this body; the program computes the same bits as before."""
    text = HEAD + "".join(f"      {line}\n" for line in body.splitlines()) + "  z[] = sum[]\n"
    program = verify(parse_program(text))
    apart = verify(with_terms_apart(program))
    monkeypatch.setattr(emitting, "with_terms_apart", lambda program: program)
    arrays = [np.random.default_rng(0).normal(size=[int(d) for d in buffer.shape]) for buffer in program.inputs]
    results = [load(emitting.emit(p, host()), p)(arrays) for p in (program, apart)]
    for mine, expected in zip(*results, strict=True):
        assert mine.tobytes() == expected.tobytes()
    return str(apart).partition("rows[i, j] = 1.0\n")[2].partition("  z[] =")[0]


def test_terms_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert changed("let t = x[i, j] - 1.0\npart[j] = t\nsum[] += t * t in sequence", monkeypatch) == (
        """    local terms: f64[2]
    for j in 0 to 2 vector:
      let t = x[i, j] - 1.0
      part[j] = t
      terms[j] = t * t
    for j in 0 to 2:
      sum[] += terms[j] in sequence
"""
    )


@pytest.mark.parametrize("body", [
    "sum[] += x[i, j] in sequence",  # nothing is computed
    "sum[] += x[i, j] * y[j, i] in sequence",  # elements of y are no neighbours
    "part[j] = sum[]\nsum[] += x[i, j] * 2.0 in sequence",  # the sum is read before it is there
    "rows[i, j] = x[i, j]\nsum[] += x[i, j] * 2.0 in sequence",  # results may share the memory of arguments
    "part[1 - j] = x[i, j]\nsum[] += part[j] * 2.0 in sequence",  # a later iteration reads what an earlier one wrote
    "part[j] = x[i, j]\nsum[] += part[1 - j] * 2.0 in sequence",
    "part[j] += x[i, j] * 2.0 in sequence",  # two sums
])  # fmt: skip
def test_other_loops_stay(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "terms" not in changed(body, monkeypatch)


def test_what_an_iteration_wrote_itself_may_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = changed("part[j] = x[i, j] * 3.0\nsum[] += part[j] * 2.0 in sequence", monkeypatch)
    assert "terms[j] = part[j] * 2.0" in text
