"""Functions that choose among factors in registers, where registers hold 32 numbers of f32.

Elsewhere the same formulas read the numbers from memory, so that their arithmetic is tried on every machine.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from mpmath import mp

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.targets import MACHINES
from gradc.backends.math import tables
from gradc.backends.math.formats import format_of
from gradc.ir.target import Target
from tests.backends.llvm import math_samples
from tests.backends.llvm.test_math import documented, program_of

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
NAMES = (("log2", F32), ("log10", F32), ("log2", F64))
WORST = {
    "f32": [0.9719558, 0.97221845, 0.75, 1.5, 0.984375, 1.03125, 1.0620066, 1.0079636],
    "f64": [0.9386177527663371, 0.9403325446415012, 0.75, 1.5, 0.96875, 1.0625, 1.1247233564790973],
}
"""Found among all numbers of f32 from 1/2 to 4, and many of f64, and ends of intervals."""


@pytest.fixture
def _with_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Target, "holds_tables", property(lambda _: True))


def evaluate(name: str, x: np.ndarray) -> np.ndarray:
    program = program_of(name, x.dtype, x.size)
    ir = emit(program, host())
    assert "log2_factors" in ir or "vpermi2var" in ir
    return load(ir, program)([x])[0]


@pytest.mark.usefixtures("_with_tables")
@pytest.mark.parametrize(("name", "dtype"), NAMES)
def test_errors_are_at_most_those_in_the_docs(name: str, dtype: np.dtype) -> None:
    (x,) = math_samples.samples(name, dtype, 2000, 0)
    form = format_of(dtype).name
    worst = np.array(WORST[form], dtype)
    beside = [np.nextafter(worst, dtype.type(side)) for side in (-np.inf, np.inf)]
    x = np.concatenate([x, worst, *beside])
    assert math_samples.ulps(name, (x,), evaluate(name, x)).max() <= documented()[name, form, True]


@pytest.mark.usefixtures("_with_tables")
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize(("name", "dtype"), NAMES)
def test_short_vectors_and_numbers_get_the_same_bits(name: str, dtype: np.dtype, count: int) -> None:
    (x,) = math_samples.samples(name, dtype, 200, 0)
    tail = np.ascontiguousarray(x[-count:])
    assert evaluate(name, tail).tobytes() == evaluate(name, x)[-count:].tobytes()


@pytest.mark.usefixtures("_with_tables")
@pytest.mark.parametrize("dtype", [F32, F64])
def test_powers_of_two_are_exact(dtype: np.dtype) -> None:
    limits = np.finfo(dtype)
    powers = np.arange(limits.minexp - limits.nmant, limits.maxexp)
    assert np.array_equal(evaluate("log2", np.ldexp(np.ones(powers.size, dtype), powers)), powers)


@pytest.mark.parametrize("cpu", ["skylake-avx512", "znver4"])
@pytest.mark.parametrize("count", [4, 1024])
@pytest.mark.parametrize(("name", "dtype"), NAMES)
def test_registers_hold_the_tables_in_order(name: str, dtype: np.dtype, count: int, cpu: str) -> None:
    """The low half is the first operand, which smaller indices choose, the high half the third."""
    ir = emit(program_of(name, dtype, count), MACHINES["x86_64-linux"].processors[cpu])
    form = format_of(dtype)
    t = f"<{512 // form.bits} x {form.type}>"
    calls = re.findall(rf"vpermi2var\.p[sd]\.512\({t} <([^>]*)>, [^<]*<[^<]*{t} <([^>]*)>\)", ir)
    found = {tuple(re.findall(rf"{form.type} (\S+?)(?:,|$)", f"{low}, {high}")) for low, high in calls}
    read = {tuple(_number(text) for text in texts) for texts in found}
    logs = tables.LOG2_CELLS[form.name]
    half = len(logs) // 2
    assert read == {tables.LOG2_FACTORS[form.name], (*logs[:half], *(log + 1 for log in logs[half:]))}


@pytest.mark.parametrize(("form", "bits", "rest"), [("f32", 16, 2**-32), ("f64", 41, 2**-60)])
def test_logarithms_of_factors_can_be_added_to_exponents(form: str, bits: int, rest: float) -> None:
    """Sums with the exponents are exact, and what is left is small beside a unit of the least result."""
    for factor, log in zip(tables.LOG2_FACTORS[form], tables.LOG2_CELLS[form], strict=True):
        assert log == round(log * 2**bits) / 2**bits
        with mp.workprec(100):
            assert abs(mp.log(factor, 2) + log) < rest


def _number(text: str) -> float:
    """A number of LLVM's text: hexadecimal ones are the bits of f64."""
    return float(np.uint64(int(text, 16)).view(np.float64)) if text.startswith("0x") else float(text)
