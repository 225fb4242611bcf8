"""Loops in vectors have the bits of the same loops run one iteration after the other."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import assembly, load, optimised_ir
from gradc.backends.llvm.machine import host
from gradc.ir.aval import short_dtype
from gradc.ir.target import Target
from gradc.loops.language.parse import parse_program
from gradc.loops.language.verify import verify

Run = Callable[..., list[np.ndarray]]
LENGTHS = (1, 2, 3, 8, 9, 25, 32, 33, 64, 65, 129, 260)


def same_bits(text: str, run: Run, *arrays: np.ndarray) -> list[np.ndarray]:
    """The results of a program, which are those without vectors."""
    found = run(parse_program(text), *arrays)
    plain = text.replace(" vector:", ":")
    assert plain != text
    for mine, expected in zip(found, run(parse_program(plain), *arrays), strict=True):
        assert mine.tobytes() == expected.tobytes()
    return found


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_lengths(length: int, dtype: str, run: Run) -> None:
    half = "0.5_f32" if dtype == "f32" else "0.5"
    x = np.random.default_rng(length).standard_normal(length).astype(dtype.replace("f32", "f4").replace("f64", "f8"))
    text = f"""program p
input x: {dtype}[{length}]
output y: {dtype}[{length}]
output z: {dtype}[{length + 3}]
output m: bool[{length}]

begin
  for i in 0 to 3:
    z[i] = {half}
  for i in 0 to {length} vector:
    let t = x[i] * {half} + exp(x[i])
    let c = t > {half} and not isnan(x[i])
    m[i] = c
    y[i] = select(c, sin(t), neg(tanh(x[i])))
    z[i + 3] = maximum(minimum(x[i], {half}), sign(t)) / abs(t)
"""
    same_bits(text, run, x)


@pytest.mark.parametrize("length", [5, 8, 37, 130])
def test_places(length: int, run: Run) -> None:
    rng = np.random.default_rng(length)
    x, at = rng.standard_normal(3 * length), rng.integers(0, 3 * length, length).astype(np.int32)
    table = rng.standard_normal((7, 4))
    last = length - 1
    text = f"""program p
input x: f64[{3 * length}]
input at: i32[{length}]
input table: f64[7,4]
output strided: f64[{3 * length}]
output backward: f64[{length}]
output gathered: f64[{length}]
output counted: i64[{length}]
output total: f64[{length}]

begin
  for i in 0 to {3 * length} vector:
    strided[i] = 0.0
  for i in 0 to {length} vector:
    strided[i * 3 + 1] = x[i * 3] - x[i * 2 + 1]
    backward[i] = x[{last} - i]
    let k = convert(at[i], i64)
    let place = minimum(maximum(k, 0), {3 * length - 1})
    gathered[i] = x[place] * table[i % 4, i // 4 % 2] + table[minimum(place, 6), 2]
    counted[i] = i * 2 - place
    total[i] = x[0]
  for i in 0 to {length} vector:
    total[i] += x[i + {length}] in sequence
    total[i] *= convert(counted[i], f64) in sequence
"""
    found = same_bits(text, run, x, at, table)
    assert np.array_equal(
        found[2], x[at] * table[np.arange(length) % 4, np.arange(length) // 4 % 2] + table[at.clip(0, 6), 2]
    )


@pytest.mark.parametrize("dtype", ["i8", "u8", "i16", "u32", "i64", "bool"])
def test_integers_and_bools(dtype: str, run: Run) -> None:
    kind = np.dtype({"bool": "?"}.get(dtype, f"{dtype[0]}{int(dtype[1:] or 8) // 8}" if dtype != "bool" else "?"))
    rng = np.random.default_rng(3)
    x, y = (rng.integers(0, 100, 45).astype(kind) for _ in range(2))
    text = f"""program p
input x: {dtype}[45]
input y: {dtype}[45]
output least: {dtype}[45]
output wide: f64[45]
output differ: bool[45]

begin
  for i in 0 to 45 vector:
    least[i] = minimum(x[i], y[i]) + maximum(x[i], y[i]) * x[i]
    wide[i] = convert(x[i], f64) - convert(y[i], f64)
    differ[i] = x[i] != y[i] xor x[i] > y[i]
"""
    same_bits(text, run, x, y)


@pytest.mark.parametrize("length", [0, 1, 5, 8, 33, 150])
def test_symbolic_sizes(length: int, run: Run) -> None:
    text = """program p
input x: f64[batch]
input turned: f32[3,batch]
output y: f64[batch]
output z: f32[batch,3]
output m: bool[batch]

begin
  for i in 0 to {batch} vector:
    y[i] = exp(x[i]) - x[i]
    m[i] = x[i] > 0.0
  for i in 0 to {batch} vector:
    z[i, 1] = turned[0, i] * 2.0_f32
    z[i, 0] = exp(turned[1, i])
  for i in 0 to {batch}:
    for j in 2 to 3 vector:
      z[i, j] = turned[j, i]
"""
    rng = np.random.default_rng(length)
    same_bits(text, run, rng.standard_normal(length), rng.standard_normal((3, length)).astype(np.float32))


def test_bounds_that_other_loops_give(run: Run) -> None:
    text = """program p
input x: f64[90,90]
output y: f64[90,90]

begin
  for i in 0 to 90:
    for j in 0 to 90 vector:
      y[i, j] = 0.0
    for j in 0 to i vector:
      y[i, j] = exp(x[i, j]) * x[i, 0]
    for j in i to 90 vector:
      y[i, j] = x[j, i]
"""
    same_bits(text, run, np.random.default_rng(1).standard_normal((90, 90)))


@pytest.mark.parametrize("length", [16, 37, 1024, 1030])
@pytest.mark.parametrize("lanes", [8, 16, 64])
def test_sums_in_lanes_of_a_vector_loop(length: int, lanes: int, run: Run) -> None:
    text = f"""program p
input x: f32[{length}]
output total: f64[]
output largest: f32[]
output y: f32[{length}]

begin
  total[] = 0.0
  largest[] = -inf_f32
  for i in 0 to {length} vector:
    let t = exp(x[i])
    total[] += convert(t, f64) in {lanes} lanes of i, blocks of 256
    largest[] max= t in {lanes} lanes of i, blocks of 256
    y[i] = t * 2.0_f32
"""
    x = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    total, largest, y = same_bits(text, run, x)
    np.testing.assert_allclose(total, (y.astype(np.float64) / 2).sum(), rtol=1e-13)
    assert largest == y.max() / 2


@pytest.mark.parametrize("length", ["32", "21", "n"])
def test_products_in_lanes_are_fused(length: str) -> None:
    """``(1 + e) * (1 - e) - 1`` is ``-e * e`` where the product is not rounded before it is added."""
    text = f"""program p
input x: f64[{length}]
input y: f64[{length}]
output total: f64[]

begin
  total[] = 0.0
  for i in 0 to {"{n}" if length == "n" else length} vector:
    total[] += x[i] * y[i] in 16 lanes of i, blocks of 1024
"""
    program = verify(parse_program(text))
    count = 32 if length == "n" else int(length)
    e, later = 2.0**-30, np.arange(count) >= 16
    arrays = [np.where(later, 1 + e, -1.0), np.where(later, 1 - e, 1.0)]
    (total,) = load(emit(program, host()), program)(arrays)
    assert total == count - 32 - (count - 16) * e * e * host().fma


def test_vectors_are_in_the_text() -> None:
    text = """program p
input x: f64[1000]
output y: f64[1000]

begin
  for i in 0 to 1000 vector:
    y[i] = x[i] * 2.0
"""
    lanes = host().lanes(8)
    assert f"fmul <{lanes} x double> %" in emit(verify(parse_program(text)), host())


@pytest.mark.parametrize(("cpu", "bits", "registers"), [("skylake-avx512", 512, 32), ("haswell", 256, 16)])
def test_partial_sums_are_in_registers(cpu: str, bits: int, registers: int) -> None:
    """Of a loop whose length is not known too: LLVM leaves no memory for them."""
    text = """program p
input x: f64[n]
output total: f64[]
output y: f64[n]

begin
  total[] = 0.0
  for i in 0 to {n} vector:
    total[] += x[i] * x[i] in 16 lanes of i, blocks of 1024
    y[i] = 2.0 * x[i]
"""
    target = Target("x86_64-unknown-linux-gnu", cpu, "", bits, registers, True)
    emitted = emit(verify(parse_program(text)), target)
    assert "alloca [16 x double]" in emitted
    finished = optimised_ir(emitted, target)
    assert "alloca" not in finished
    assert "phi <16 x double>" in finished


@pytest.mark.parametrize("length", [0, 1, 7, 8, 17, 1023, 1025, 2060])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_registers_of_any_width_give_the_same_bits(length: int, dtype: type) -> None:
    name = short_dtype(np.dtype(dtype))
    text = f"""program p
input x: {name}[n]
output total: {name}[]
output largest: {name}[]
output y: {name}[n]
output m: bool[n]

begin
  total[] = convert(0, {name})
  largest[] = convert(-100, {name})
  for i in 0 to {{n}} vector:
    let t = x[i] * x[i] + x[i]
    total[] += t in 16 lanes of i, blocks of 1024
    largest[] max= t in 16 lanes of i, blocks of 1024
    y[i] = t
  for i in 0 to {{n}} vector:
    m[i] = y[i] > x[i]
"""
    program = verify(parse_program(text))
    x = (10 * np.random.default_rng(length).standard_normal(length)).astype(dtype)
    widths = sorted({128, min(256, host().vector_bits), host().vector_bits})
    first, *others = [load(emit(program, replace(host(), vector_bits=bits)), program)([x]) for bits in widths]
    assert np.array_equal(first[3], first[2] > x)
    for results in others:
        for mine, expected in zip(results, first, strict=True):
            assert mine.tobytes() == expected.tobytes()


def test_two_names_of_one_value(run: Run) -> None:
    text = """program p
input x: f64[21]
output y: f64[21]

begin
  for i in 0 to 21 vector:
    let t = x[i]
    let first = t < 0.5
    let second = t < 0.5
    y[i] = select(first, t, 1.0) + select(second, x[i], 2.0)
"""
    same_bits(text, run, np.random.default_rng(0).standard_normal(21))


def test_a_body_of_many_values_keeps_its_vectors_in_registers() -> None:
    """Of four registers for each value, one after the other is computed: 16 registers hold no more."""
    avx2 = Target("x86_64-unknown-linux-gnu", "haswell", "", 256, 16, True)
    program = verify(
        parse_program("""program p
input x: f64[4098]
output y: f64[4096]
output total: f64[]

begin
  total[] = 0.0
  for i in 0 to 4096 vector:
    let a = x[i + 1]
    let b = fma(neg(a), a, x[i + 2])
    let c = 1.0 - a
    total[] += 100.0 * (b * b) + c * c in 16 lanes of i, blocks of 1024
    let d = x[i]
    let e = 200.0 * b * a
    y[i] = neg(2.0 * c + e + e) + 200.0 * fma(neg(d), d, a)
""")
    )
    code = assembly(emit(program, avx2), avx2)
    loops = re.findall(r"^(\.LBB\w+):\n((?:\t.*\n)*?)\t*j\w+\t\1$", code, re.MULTILINE)
    longest = max((body for _, body in loops), key=lambda body: body.count("vfnmadd"))
    assert longest.count("vfnmadd") == 8
    assert "(%rsp)" not in longest
