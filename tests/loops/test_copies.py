"""Local arrays that are copies of others are read no more."""

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
from gradc.loops.shaping.copies import without_copies

PROGRAM = """program p
input x: f64[2,3]
output y: f64[2,3]

begin
  local s: f64[3]
  for i in 0 to 2:
    local sum: f64[3]
    for k in 0 to 3 vector:
      sum[k] = 0.0
    for j in 0 to 2:
      for k in 0 to 3 vector:
        sum[k] += x[j, k] in sequence
    for k in 0 to 3 vector:
      s[k] = sum[k]
    for k in 0 to 3 vector:
      y[i, k] = s[k] * x[i, k]
"""
COPY = "    for k in 0 to 3 vector:\n      s[k] = sum[k]\n"


def same(program: Any, changed: Any) -> None:
    x = [np.arange(6.0).reshape(2, 3) - 2.5]
    expected, got = (load(emit(p, host()), p)(x)[0] for p in (program, changed))
    assert got.tobytes() == expected.tobytes()


def test_a_copy_is_read_from_the_original() -> None:
    program = verify(parse_program(PROGRAM))
    changed = verify(without_copies(program))
    assert "y[i, k] = sum[k] * x[i, k]" in str(changed)
    assert " s: f64[3]" not in str(changed)
    assert "s[k] = sum[k]" not in str(changed)
    same(program, changed)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (COPY, f"{COPY}    sum[0] = 1.0\n"),  # the original changes
        (COPY, f"{COPY}    s[0] = 1.0\n"),  # the copy changes
        (COPY, "    for k in 0 to 3 vector:\n      s[k] = sum[2 - k]\n"),  # in another order
        (COPY, "    for k in 0 to 2 vector:\n      s[k] = sum[k]\n"),  # in part
        ("  for i in 0 to 2:\n", "  s[0] = 0.0\n  for i in 0 to 2:\n"),  # it was written before
        ("      sum[k] = 0.0\n", "      sum[k] = s[k]\n"),  # and read
        ("sum: f64[3]", "sum: f64[4]"),
    ],
)  # fmt: skip
def test_what_is_more_than_a_copy_stays(old: str, new: str) -> None:
    assert PROGRAM.count(old) == 1
    program = parse_program(PROGRAM.replace(old, new))
    assert without_copies(program) is program


def test_copies_are_read_from_the_original_after_contractions_too() -> None:
    program = verify(
        parse_program(
            PROGRAM.replace("input x: f64[2,3]", "input x: f64[2,3]\ninput m: f64[3,3]").replace(
                "    for k in 0 to 3 vector:\n      y[i, k] = s[k] * x[i, k]\n",
                "    y{0; 3, 1} = contract ij,jk->ik [i=2, j=3, k=3] f64 (x{0; 3, 1}, m{0; 3, 1}) then total of a, c:\n"
                "      y[a, c] = total * s[c]\n",
            )
        )
    )
    changed = str(verify(without_copies(program)))
    assert "y[a, c] = total * sum[c]" in changed
    assert " s: f64[3]" not in changed


def test_small_sums_have_one_name_in_c(tmp_path: Any) -> None:
    def loss(W: Any, b: Any, V: Any, x: Any, y: Any) -> Any:
        h = np.tanh(x @ W + b)
        return np.mean((h @ V - y) ** 2)

    avals = [gradc.aval(f"f64[{shape}]") for shape in ("2,3", "3", "3", "4,2", "4")]
    kernel = gradc.value_and_grad(loss, wrt=("W", "b", "V"), threads=1).compile(*avals)
    kernel.save(tmp_path, format="c")
    source = (tmp_path / "loss_grad.c").read_text()
    assert "= sum[j] + b[j];" in source
    assert "= sum[j];" not in source


def test_values_that_stand_in_an_array_are_not_kept_in_another(tmp_path: Any) -> None:
    def loss(W: Any, v: Any, x: Any) -> Any:
        h = 1 / (1 + np.exp(-(W @ x)))
        return np.sum((v @ h) ** 2)

    kernel = gradc.value_and_grad(loss, wrt=("W", "v"), threads=1).compile(
        *[gradc.aval(f"f64[{shape}]") for shape in ("3,2", "3", "2")]
    )
    kernel.save(tmp_path, format="c")
    assert "sum += v[i] * h[i];" in (tmp_path / "loss_grad.c").read_text()


def test_arguments_and_complete_sums_keep_their_names_in_c(tmp_path: Any) -> None:
    def loss(mean: Any, scale: Any, x: Any) -> Any:
        return np.sum(((x - mean) / scale) ** 2) + np.sum(np.abs(x)) * scale

    kernel = gradc.value_and_grad(loss, wrt=("mean", "scale"), threads=1).compile(
        gradc.aval("f64[]"), gradc.aval("f64[]"), gradc.aval("f64[n]")
    )
    kernel.save(tmp_path, format="c")
    source = (tmp_path / "loss_grad.c").read_text()
    assert "= mean;" not in source
    assert "if (x == NULL && n != 0) {" in source
    assert not [line for line in source.splitlines() if line.strip().startswith("const double s") and "= sum" in line]
