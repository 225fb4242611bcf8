"""Sums start from -0.0 where no result tells the sign of a zero, and every bit stays what it was."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import gradc.backends.llvm.emit as emitting
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import LoopProgram
from gradc.loops.language.verify import verify
from gradc.loops.shaping.zeros import without_signs_of_zeros

HEAD = """program p
input x: f64[2]
output y: f64[]

begin
  local sum: f64[]
  sum[] = 0.0
  for i in 0 to 2:
    sum[] += x[i] in sequence
"""
VALUES = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan)


def runs(program: LoopProgram) -> list[bytes]:
    """What it computes from all pairs of values, as bits."""
    entry = load(emitting.emit(program, host()), program)
    with np.errstate(all="ignore"):
        return [entry([np.array(pair)])[0].tobytes() for pair in itertools.product(VALUES, repeat=2)]


def starts(text: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What its sums start from, after the pass; it computes the same bits as before."""
    program = verify(parse_program(text))
    changed = verify(without_signs_of_zeros(program))
    monkeypatch.setattr(emitting, "without_signs_of_zeros", lambda program: program)
    assert runs(changed) == runs(program)
    return [line.split(" = ")[1] for line in str(changed).splitlines() if line.endswith("0.0")]


@pytest.mark.parametrize("use", [
    "y[] = abs(sum[])",
    "y[] = exp(sum[])",
    "y[] = select(sum[] >= 0.0, 1.0, x[0])",
    "let t = neg(sum[]) * x[0]\n  y[] = cos(t)",
    "let t = abs(sum[] + x[1])\n  y[] = t / (1.0 + t)",
])  # fmt: skip
def test_a_sum_whose_sign_no_result_tells_starts_from_minus_zero(use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert starts(f"{HEAD}  {use}\n", monkeypatch) == ["-0.0"]


@pytest.mark.parametrize("use", [
    "y[] = sum[]",
    "y[] = 1.0 / sum[]",
    "y[] = abs(1.0 / sum[])",
    "y[] = sqrt(sum[])",
    "y[] = copysign(1.0, sum[])",
    "y[] = arctan2(sum[], x[0])",
    "y[] = maximum(sum[], 0.0)",
    "let t = sum[] * 2.0\n  y[] = t",
    "y[] = select(x[0] >= 0.0, sum[], 1.0)",
])  # fmt: skip
def test_one_whose_sign_a_result_tells_does_not(use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert starts(f"{HEAD}  {use}\n", monkeypatch) == ["0.0"]


def test_what_is_added_to_a_sum_from_zero_has_no_sign_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second sum makes 0.0 of -0.0, so that the first one's sign is never told; nor is one's in a sum like it."""
    text = f"""{HEAD}  local total: f64[]
  total[] = 0.0
  for i in 0 to 2:
    total[] += sum[] * x[i] in sequence
  y[] = total[]
"""
    assert starts(text, monkeypatch) == ["-0.0", "0.0"]
    assert starts(text.replace("y[] = total[]", "y[] = abs(total[])"), monkeypatch) == ["-0.0", "-0.0"]


def test_a_sum_that_starts_from_another_number_tells_the_sign_of_its_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"""{HEAD}  local total: f64[]
  total[] = x[0]
  total[] += sum[] in sequence
  y[] = total[]
"""
    assert starts(text, monkeypatch) == ["0.0"]


def test_a_name_of_two_blocks_is_two_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the sums called ``part`` is a result, the other is not."""
    block = """  for k in 0 to 2:
    local part: f64[]
    part[] = 0.0
    part[] += x[k] in sequence
    STORE
"""
    text = HEAD.replace("output y: f64[]\n", "output y: f64[]\noutput z: f64[2]\n")
    text += (
        "  y[] = abs(sum[])\n" + block.replace("STORE", "z[k] = part[]") + block.replace("STORE", "let t = abs(part[])")
    )
    assert starts(text, monkeypatch) == ["-0.0", "0.0", "-0.0"]


def test_the_sum_behind_a_sigmoid_is_not_added_to_zero() -> None:
    """What the pass is for: in a network of few numbers, one addition less before each activation."""
    import gradc

    kernel = gradc.value_and_grad(lambda w, x: np.sum((1 / (1 + np.exp(-(w @ x)))) ** 2), name="f").compile(
        gradc.aval("f64[2,2]"), gradc.aval("f64[2]")
    )
    assert "0.0\n" in str(kernel.loops)
    assert "-0.0" not in str(kernel.loops)
    assert "double -0.0" in kernel.llvm_ir
