"""Functions that choose among factors in registers, where registers hold 32 numbers of f32.

Elsewhere the same formulas read the numbers from memory, so that their arithmetic is tried on every machine.
"""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.targets import MACHINES
from gradc.backends.math import tables
from gradc.ir.target import Target
from tests.backends.llvm import math_samples
from tests.backends.llvm.test_math import documented, program_of

F32 = np.dtype(np.float32)
NAMES = ("log2", "log10")


@pytest.fixture
def _with_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Target, "holds_tables", property(lambda _: True))


def evaluate(name: str, x: np.ndarray) -> np.ndarray:
    program = program_of(name, F32, x.size)
    ir = emit(program, host())
    assert "log2_factors" in ir or "vpermi2var" in ir
    return load(ir, program)([x])[0]


@pytest.mark.usefixtures("_with_tables")
@pytest.mark.parametrize("name", NAMES)
def test_errors_are_at_most_those_in_the_docs(name: str) -> None:
    (x,) = math_samples.samples(name, F32, 2000, 0)
    worst = np.float32([0.9719558, 0.97221845, 0.75, 1.5, 0.984375, 1.03125, 1.0620066, 1.0079636])
    beside = [np.nextafter(worst, np.float32(side)) for side in (-np.inf, np.inf)]
    x = np.concatenate([x, worst, *beside])
    assert math_samples.ulps(name, (x,), evaluate(name, x)).max() <= documented()[name, "f32", True]


@pytest.mark.usefixtures("_with_tables")
@pytest.mark.parametrize("name", NAMES)
def test_a_tail_gets_the_same_bits_as_a_vector(name: str) -> None:
    (x,) = math_samples.samples(name, F32, 200, 0)
    tail = np.ascontiguousarray(x[-3:])
    assert evaluate(name, tail).tobytes() == evaluate(name, x)[-3:].tobytes()


@pytest.mark.usefixtures("_with_tables")
def test_powers_of_two_are_exact() -> None:
    x = np.ldexp(np.ones(278, F32), np.arange(-149, 129)[:278].clip(max=127)).astype(F32)
    assert np.array_equal(evaluate("log2", x), np.arange(-149, 129).clip(max=127))


@pytest.mark.parametrize("cpu", ["skylake-avx512", "znver4"])
@pytest.mark.parametrize("name", NAMES)
def test_registers_hold_the_tables_in_order(name: str, cpu: str) -> None:
    """The low half is the first operand, which indices below 16 choose, the high half the third."""
    ir = emit(program_of(name, F32, 1024), MACHINES["x86_64-linux"].processors[cpu])
    calls = re.findall(
        r"vpermi2var\.ps\.512\(<16 x float> <([^>]*)>, [^<]*<16 x i32> [^<]*<16 x float> <([^>]*)>\)", ir
    )
    found = {tuple(re.findall(r"float (\S+?)(?:,|$)", f"{low}, {high}")) for low, high in calls}
    read = {tuple(_number(text) for text in texts) for texts in found}
    logs = tables.LOG2_CELLS["f32"]
    assert read == {tables.LOG2_FACTORS["f32"], (*logs[:16], *(log + 1 for log in logs[16:]))}


def test_logarithms_of_factors_can_be_added_to_exponents() -> None:
    """Sums with the exponents of f32 are exact, and the rest is small beside a unit of the least result."""
    for factor, log in zip(tables.LOG2_FACTORS["f32"], tables.LOG2_CELLS["f32"], strict=True):
        assert log == round(log * 2**16) / 2**16
        assert abs(math.log2(factor) + log) < 2**-32


def _number(text: str) -> float:
    """A number of LLVM's text: hexadecimal ones are the bits of f64."""
    return float(np.uint64(int(text, 16)).view(np.float64)) if text.startswith("0x") else float(text)
