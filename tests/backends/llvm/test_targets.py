"""Processors by name: what gradc takes them to have, LLVM takes them to have too, and code for them makes use of it."""

from __future__ import annotations

import llvmlite.binding as binding
import numpy as np
import pytest

import gradc
from gradc.artifacts.library import build
from gradc.backends.llvm.library import object_and_assembly
from gradc.backends.llvm.targets import MACHINES, choose

WIDE = '"min-legal-vector-width"="512"'
PROBES = {
    # lines of a function of IR, and the register or instruction by which code shows that a processor has the feature
    "+popcnt": ("declare i64 @llvm.ctpop.i64(i64)", "define i64 @f(i64 %x) {", "%y = call i64 @llvm.ctpop.i64(i64 %x)",
                "ret i64 %y", "popcntq"),
    "+bmi2": ("define i64 @f(i64 %x, i64 %n) {", "%y = shl i64 %x, %n", "ret i64 %y", "shlx"),
    "+fma": ("declare double @llvm.fma.f64(double, double, double)", "define double @f(double %x) {",
             "%y = call double @llvm.fma.f64(double %x, double %x, double %x)", "ret double %y", "vfmadd"),
    "+avx2": ("define <8 x i32> @f(<8 x i32> %x) {", "%y = mul <8 x i32> %x, %x", "ret <8 x i32> %y", "vpmulld\t%ymm"),
    "+avx512f": (f"define void @f(ptr %p) {WIDE} {{", "%x = load <8 x double>, ptr %p",
                 "%y = fadd <8 x double> %x, %x", "store <8 x double> %y, ptr %p", "ret void", "%zmm"),
    "+avx512dq": (f"define void @f(ptr %p) {WIDE} {{", "%x = load <8 x i64>, ptr %p",
                  "%y = mul <8 x i64> %x, %x", "store <8 x i64> %y, ptr %p", "ret void", "vpmullq"),
}  # fmt: skip
LINUX = MACHINES["x86_64-linux"].processors


@pytest.mark.parametrize("cpu", LINUX)
def test_a_processor_has_what_it_has_in_the_tables_of_llvm(cpu: str) -> None:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    target = binding.Target.from_triple("x86_64-unknown-linux-gnu")
    machine = target.create_target_machine(cpu=cpu, opt=2, reloc="pic")
    features = LINUX[cpu].features.split(",")
    for feature, (*lines, shown) in PROBES.items():
        assembly = machine.emit_assembly(binding.parse_assembly("\n".join([*lines, "}\n"])))
        assert (shown in assembly) == (feature in features), feature
    assert LINUX[cpu].fma == ("+fma" in features)
    assert LINUX[cpu].vector_bits == 512 if "+avx512f" in features else 256 if "+avx2" in features else 128


@pytest.mark.parametrize("cpu", LINUX)
@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_functions_take_the_instructions_of_the_processor(cpu: str, dtype: str) -> None:
    """Exponents are taken apart by instructions of AVX-512 wherever code is made for a processor that has them."""
    kernel = gradc.jit(lambda x: np.log(x) + np.exp(x), name="both").compile(gradc.aval(f"{dtype}[64]"))
    built = build(kernel._compiled, choose("x86_64-linux", cpu), name="both")
    _, assembly = object_and_assembly(built.codes)
    for instruction in ("vscalef", "vgetexp", "vgetmant"):
        assert (instruction in assembly) == (LINUX[cpu].vector_bits == 512)
