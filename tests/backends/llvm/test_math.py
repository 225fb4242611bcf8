"""Our own math functions: how exact they are, that they vectorise, and that they need no library."""

from __future__ import annotations

import dataclasses
import itertools
import re
import subprocess
import sys
from functools import cache, lru_cache
from pathlib import Path

import llvmlite.binding as binding
import numpy as np
import pytest
from mpmath import mp

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import Entry, assembly, load, optimised_ir
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.math.library import INLINED, INLINED_WIDE, NAMES
from gradc.backends.llvm.targets import MACHINES
from gradc.ir.target import Target
from gradc.loops.language.program import PRIMITIVES, Buffer, For, LoopProgram, Store, b, size, variable
from gradc.loops.language.verify import verify
from tests.backends.llvm import math_samples

ROOT = Path(__file__).parents[3]
DTYPES = ("f64", "f32")
NUMPY_DTYPES = {"f64": np.dtype(np.float64), "f32": np.dtype(np.float32)}
PROMISED = {"exp": 1.0, "log": 1.0}
"""In units in the last place; 2 for the other functions."""

UNFUSED = dataclasses.replace(host(), fma=False)


def program_of(name: str, dtype: np.dtype, length: int) -> LoopProgram:
    """``y[i] = name(x[i], ...)``."""
    inputs = [Buffer(f"x{k}", dtype, (length,), "input") for k in range(PRIMITIVES[name].arity)]
    i = variable("i")
    body = For("i", size(0), size(length), (Store("y", (i,), getattr(b, name)(*[b.load(x, (i,)) for x in inputs])),))
    body = dataclasses.replace(body, mode="vector")
    return verify(LoopProgram(f"{name}_of", (*inputs, Buffer("y", dtype, (length,), "output")), (body,)))


@lru_cache(maxsize=4)
def compiled(name: str, dtype: np.dtype, length: int, target: Target) -> Entry:
    program = program_of(name, dtype, length)
    return load(emit(program, target), program)


def evaluate(name: str, arguments: tuple[np.ndarray, ...], target: Target) -> np.ndarray:
    return compiled(name, arguments[0].dtype, arguments[0].size, target)(arguments)[0]


def foreign_calls(text: str) -> list[str]:
    """What machine code calls that is not ours."""
    called = re.findall(r"^\s+(?:call[ql]?|jmp[ql]?|blx?|b|tail)\s+([A-Za-z_]\S*)", text, re.MULTILINE)
    ours = set(re.findall(r"^([A-Za-z_]\S*):", text, re.MULTILINE))
    return [name for name in called if name not in ours]


@cache
def documented() -> dict[tuple[str, str, bool], float]:
    """The table of docs/math.md: worst error by function, dtype, and whether multiply-adds are fused."""
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", (ROOT / "docs" / "math.md").read_text(encoding="utf-8"), re.MULTILINE)
    columns = [("f64", True), ("f32", True), ("f64", False), ("f32", False)]
    return {
        (name, *column): float(cell)
        for name, cells in rows
        for column, cell in zip(columns, cells.split("|"), strict=True)
    }


def worst_case(name: str, dtype: str, target: Target, count: int, seed: int) -> tuple[float, list[float]]:
    """The largest error in units in the last place, and where it is."""
    arguments = math_samples.samples(name, NUMPY_DTYPES[dtype], count, seed)
    errors = math_samples.ulps(name, arguments, evaluate(name, arguments, target))
    worst = int(np.argmax(errors))
    return float(errors[worst]), [float(a[worst]) for a in arguments]


def test_the_table_in_the_docs_is_complete_and_keeps_the_promise() -> None:
    assert {name for name, _, _ in documented()} == set(NAMES) == set(math_samples.EXACT)
    for (name, _, _), error in documented().items():
        assert error <= PROMISED.get(name, 2.0)


@pytest.mark.parametrize("target", [host(), UNFUSED], ids=["fused", "unfused"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(NAMES))
def test_errors_are_at_most_those_in_the_docs(name: str, dtype: str, target: Target) -> None:
    error, where = worst_case(name, dtype, target, 300, seed=0)
    assert error <= documented()[name, dtype, target.fma], where


@pytest.mark.parametrize("target", [host(), UNFUSED], ids=["fused", "unfused"])
@pytest.mark.parametrize(
    ("name", "dtype", "argument"),
    [
        ("cosh", "f32", -5.200029),
        ("cosh", "f32", 6.5864086),
        ("expm1", "f32", 0.3469698),
        ("expm1", "f32", 0.34747887),
        ("tan", "f64", -715162.3465735351),
        *(("arccos", "f32", x) for x in (0.57067263, 0.5896852)),
        *(("arcsin", "f32", x) for x in (0.6185268, 0.53148180)),
        ("arccos", "f64", 0.5662582760654196),
        ("arcsin", "f64", 0.5057117181966709),
        ("arctan", "f32", 1.015643835067749),
        *(("arctan", "f64", x) for x in (0.5054378810160248, 0.5095028929470976)),
        ("arcsinh", "f64", 0.5174572715106129),
        *(("arccosh", "f64", x) for x in (1.0641541689549552, 1.063343093160093)),
        ("cosh", "f64", 3.87081029065887),
        *(("erf", "f32", x) for x in (0.9655792117118835, -0.9734801)),
        *(("erfc", "f32", x) for x in (0.507630467414856, 0.5153499841690063, 0.5312515497207642)),
        *(("erfc", "f64", x) for x in (0.5034815043786536, 0.5088025817334174, 0.8134834701949452)),
        *(("exp2", "f64", x) for x in (364.50059850337493, 0.5034217532631909)),
        *(("expm1", "f32", x) for x in (0.3478897213935852, 0.3473967909812927)),
        ("expm1", "f64", 0.34673560076477683),
        ("log10", "f64", 1.3119852000090741),
        *(("log1p", "f64", x) for x in (0.46369042220572015, 0.41507716539856904)),
        ("log1p_unit", "f32", 0.99304473),
        ("sin", "f32", 117436.0),
        *(("sin", "f64", x) for x in (16236619704.78355, 564867.0311192365)),
        *(("sinh", "f32", x) for x in (5.3346428871154785, 4.643686294555664)),
        ("sinh", "f64", 1.1776700227835726),
        *(("tan", "f32", x) for x in (33199.56640625, 58919.78515625, 128528.0546875)),
        ("tanh", "f64", 0.2554126068327749),
        *(("tanh", "f32", x) for x in (0.20366618037223816, 0.12564097344875336)),
    ],
)
def test_arguments_with_large_errors(name: str, dtype: str, argument: float, target: Target) -> None:
    """Found among millions of numbers, in f32 among all."""
    arguments = (np.full(16, argument, NUMPY_DTYPES[dtype]),)
    assert (
        math_samples.ulps(name, arguments, evaluate(name, arguments, target))[0]
        <= documented()[name, dtype, target.fma]
    )


@pytest.mark.parametrize(("name", "end"), [("expm1", 86.9), ("sinh", 87.3)])
def test_both_paths_give_the_same_bits(name: str, end: float) -> None:
    """A vector with an element at the end of the range, and one without."""
    inside = np.linspace(-end, end, 1000, dtype=np.float32)
    beyond = np.where(np.arange(1000) % 16 == 3, np.float32(89.2), inside)
    found, expected = (evaluate(name, (x,), host()) for x in (beyond, inside))
    assert found[beyond == inside].tobytes() == expected[beyond == inside].tobytes()


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_large_angles_are_reduced_without_doubles(name: str) -> None:
    error, where = worst_case(name, "f32", dataclasses.replace(host(), fma=True, doubles=False), 2000, seed=0)
    assert error <= documented()[name, "f32", True], where


@pytest.mark.parametrize("fma", [True, False])
@pytest.mark.parametrize(("name", "most"), [("gammaln", 1.6), ("digamma", 1.7)])
def test_the_gamma_family_without_doubles(name: str, most: float, fma: bool) -> None:
    """The bounds of docs/math.md for machines that have none."""
    error, where = worst_case(name, "f32", dataclasses.replace(host(), fma=fma, doubles=False), 2000, seed=0)
    assert error <= most, where


@pytest.mark.parametrize("target", [host(), UNFUSED], ids=["fused", "unfused"])
@pytest.mark.parametrize("name", ["gammaln", "digamma"])
def test_digits_of_f32_are_right_at_the_zeros_left_of_0(name: str, target: Target) -> None:
    """The unit is that of the result alone, of which terms a million times as large cancel."""
    x = np.random.default_rng(0).uniform(-30, -0.5, 1 << 18).astype(np.float32)
    near = np.argsort(np.abs(evaluate(name, (x,), target)))[:128]
    results = evaluate(name, (x[near],), target)
    assert np.abs(results).min() < 1e-4
    with mp.workprec(math_samples.PRECISION):
        exact = [math_samples.EXACT[name](mp.mpf(float(point))) for point in x[near]]
        errors = [
            abs(mp.mpf(float(result)) - value) / float(np.spacing(abs(result)))
            for result, value in zip(results, exact, strict=True)
        ]
    assert max(errors) <= documented()[name, "f32", target.fma]


@pytest.mark.nightly
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("target", [host(), UNFUSED], ids=["fused", "unfused"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(NAMES))
def test_errors_over_many_arguments(name: str, dtype: str, target: Target, seed: int) -> None:
    error, where = worst_case(name, dtype, target, 10_000, seed)
    assert error <= documented()[name, dtype, target.fma], where


@pytest.mark.parametrize("target", [host(), UNFUSED], ids=["fused", "unfused"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_result_does_not_depend_on_the_elements_beside_it(name: str, dtype: str, target: Target) -> None:
    arguments = math_samples.samples(name, NUMPY_DTYPES[dtype], 100)
    order = np.random.default_rng(0).permutation(arguments[0].size)  # special values stand together at first
    shuffled = evaluate(name, tuple(np.ascontiguousarray(a[order]) for a in arguments), target)
    expected = evaluate(name, arguments, target)
    assert shuffled.tobytes() == expected[order].tobytes()
    alone = evaluate(name, tuple(np.repeat(a, 16) for a in arguments), target)  # a vector of nothing else
    assert alone[::16].tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_element_of_a_vector_and_its_tail_gets_the_same_bits(name: str, dtype: str) -> None:
    arguments = math_samples.samples(name, NUMPY_DTYPES[dtype], 20)
    whole = evaluate(name, arguments, host())
    tail = tuple(np.ascontiguousarray(a[-3:]) for a in arguments)
    assert evaluate(name, tail, host()).tobytes() == whole[-3:].tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(NAMES))
def test_loops_vectorise_and_nothing_is_called(name: str, dtype: str) -> None:
    program = program_of(name, NUMPY_DTYPES[dtype], 1000)
    ir = emit(program, host())
    assert re.search(r"store <\d+ x (double|float)>", optimised_ir(ir, host()))
    assert not foreign_calls(assembly(ir, host()))
    assert not re.search(r"declare (?!.*@llvm\.)", ir)


OTHERS = [
    Target("x86_64-unknown-linux-gnu", "x86-64"),
    Target("i686-unknown-linux-gnu", "pentium4"),
    Target("aarch64-unknown-linux-gnu", "generic", "+neon", fma=True),
    Target("armv7-unknown-linux-gnueabihf", "cortex-a9", "+neon"),
    Target("riscv64-unknown-linux-gnu", "generic-rv64", "+m,+a,+f,+d"),
    Target("wasm32-unknown-unknown", "generic", "+simd128"),
]


@pytest.mark.parametrize("target", OTHERS, ids=lambda target: target.triple.partition("-")[0])
def test_other_machines_need_no_library_either(target: Target) -> None:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    i, statements, buffers = variable("i"), [], []
    for name, dtype in itertools.product(sorted(NAMES), NUMPY_DTYPES.values()):
        count = 16 // dtype.itemsize  # a register of each machine: longer vectors are taken apart into the same
        x, y = (Buffer(f"{side}_{name}_{dtype.name}", dtype, (count,), side) for side in ("input", "output"))
        value = getattr(b, name)(*[b.load(x, (i,))] * PRIMITIVES[name].arity)
        statements.append(For("i", size(0), size(count), (Store(y.name, (i,), value),), mode="vector"))
        buffers += [x, y]
    ordered = tuple(sorted(buffers, key=lambda buffer: buffer.kind))
    ir = emit(verify(LoopProgram("every", ordered, tuple(statements))), target)
    text = assembly(ir, target)
    assert "gradc.sin.f64.x2" in text
    assert not foreign_calls(text)


def chain(calls: int, length: int, target: Target | None = None) -> str:
    f64 = np.dtype(np.float64)
    x, y, i = Buffer("x", f64, (length,), "input"), Buffer("y", f64, (length,), "output"), variable("i")
    value = b.load(x, (i,))
    for _ in range(calls):
        value = b.exp(value)
    body = For("i", size(0), size(length), (Store("y", (i,), value),), mode="vector")
    return emit(verify(LoopProgram("chain", (x, y), (body,))), target or host())


def test_few_short_functions_are_inlined_and_many_called() -> None:
    lanes = host().lanes(8)
    few, many = chain(INLINED, lanes), chain(INLINED + 1, lanes)
    assert "attributes #1 = { alwaysinline" in few
    assert "attributes #1 = { noinline" in many
    assert few.count(f"call <{lanes} x double> @gradc.exp.f64.x{lanes}(") == INLINED


@pytest.mark.parametrize(("cpu", "most"), [("haswell", 0), ("znver4", INLINED_WIDE // 4)])
def test_functions_of_several_registers_are_compiled_once_if_called_often(cpu: str, most: int) -> None:
    target = MACHINES["x86_64-linux"].processors[cpu]
    lanes = 4 * target.lanes(8)
    for calls in (most, most + 1):
        ir = chain(calls, 10 * lanes, target)
        assert len(re.findall(rf"call .*<{lanes} x double> @gradc.exp.f64.x{lanes}\(", ir)) == calls
        assert ("alwaysinline" in ir) == (0 < calls <= most)
    ir = optimised_ir(ir, target)
    assert len(re.findall(rf"call .*<{lanes} x double> @gradc.exp.f64.x{lanes}\(", ir)) == most + 1
    assert ir.count("define internal") == 1


@pytest.mark.parametrize(
    ("dtype", "count", "suffix"), [("f64", 4, "pd.256"), ("f32", 4, "ps.128"), ("f64", 8, "pd.512")]
)
def test_short_registers_have_exponents_where_those_are_instructions(dtype: str, count: int, suffix: str) -> None:
    znver4 = MACHINES["x86_64-linux"].processors["znver4"]
    without = dataclasses.replace(znver4, features=znver4.features.replace("+avx512vl", "-avx512vl"))
    program = program_of("exp", NUMPY_DTYPES[dtype], count)
    assert f"@llvm.x86.avx512.mask.scalef.{suffix}(" in emit(program, znver4)
    assert ("scalef" in emit(program, without)) == suffix.endswith("512")


@pytest.mark.parametrize("cpu", ["haswell", "znver4"])
def test_the_second_path_of_a_vector_function_is_one_of_its_own(cpu: str) -> None:
    target = MACHINES["x86_64-linux"].processors[cpu]
    lanes = 4 * target.lanes(4)
    near, far = re.findall(
        rf"^define internal .* @gradc\.tan\.f32\.x{lanes}(?:\.far)?\((?:.|\n)*?^}}",
        emit(program_of("tan", NUMPY_DTYPES["f32"], 1024), target),
        re.MULTILINE,
    )
    assert near.count("call ") == near.count("@llvm.") + 1
    assert f"@gradc.tan.f32.x{lanes}.far(" in near
    assert "double" in far
    assert "double" not in near


@pytest.mark.parametrize("cpu", ["haswell", "znver4"])
def test_registers_are_kept_where_no_access_crosses_a_line(cpu: str) -> None:
    target = MACHINES["x86_64-linux"].processors[cpu]
    text = assembly(emit(program_of("pow", NUMPY_DTYPES["f32"], 1024), target), target)
    stored = re.findall(r"^\s+v(\S+)\s+%[yz]mm\d+, (?:-?\d+)?\(%r[sb]p\)", text, re.MULTILINE)
    assert stored
    assert all(re.fullmatch(r"mov(ap[sd]|dqa\d*)", instruction) for instruction in stored)


def test_straight_line_code_has_no_forms_for_vectors() -> None:
    x, y = Buffer("x", np.dtype(np.float64), (), "input"), Buffer("y", np.dtype(np.float64), (), "output")
    ir = emit(verify(LoopProgram("one", (x, y), (Store("y", (), b.sin(b.load(x))),))), host())
    assert "@gradc.sin.f64(" in ir
    assert ".x" not in ir


def test_a_loop_over_two_widths_vectorises_too() -> None:
    x, y = Buffer("x", np.dtype(np.float32), (64,), "input"), Buffer("y", np.dtype(np.float64), (64,), "output")
    i = variable("i")
    value = b.convert(b.sin(b.load(x, (i,))), np.float64)
    ir = emit(
        verify(LoopProgram("mixed", (x, y), (For("i", size(0), size(64), (Store("y", (i,), value),), mode="vector"),))),
        host(),
    )
    assert re.search(r"store <\d+ x double>", optimised_ir(ir, host()))


def test_coefficients_are_those_that_the_tool_fits() -> None:
    tool = ROOT / "tools" / "fit_polynomials.py"
    assert subprocess.run([sys.executable, str(tool), "--check"]).returncode == 0


@pytest.mark.parametrize(("cpu", "aligns"), [("x86-64-v4", True), ("x86-64-v3", True), ("x86-64", False)])
def test_kernels_that_vector_math_becomes_part_of_align_their_stack(cpu: str, aligns: bool) -> None:
    """Wide registers are stored across lines of the cache otherwise, at three of four stack addresses."""
    target = MACHINES["x86_64-linux"].processors[cpu]
    i = variable("i")
    x, y = Buffer("x", np.dtype("f8"), (1000,), "input"), Buffer("y", np.dtype("f8"), (1000,), "output")
    loop = For("i", size(0), size(1000), (Store("y", (i,), b.exp(b.load(x, (i,)))),), mode="vector")
    text = emit(LoopProgram("aligned", (x, y), (loop,)), target)
    (kernel,) = re.findall(r"^\) (nounwind .*) \{$", text, re.MULTILINE)
    assert ("stackrealign" in kernel) == aligns
    copy = For("i", size(0), size(1000), (Store("y", (i,), b.load(x, (i,))),), mode="vector")
    assert "stackrealign" not in emit(LoopProgram("plain", (x, y), (copy,)), target)
