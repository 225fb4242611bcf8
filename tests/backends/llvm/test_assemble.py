"""Objects for x86-64 have their constants in the sections of the functions that read them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import llvmlite.binding as binding
import numpy as np
import pytest

import gradc
from gradc.backends.llvm.assemble import assembled, with_constants_in_code, with_resolved_constants
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.machine import parse, target_machine, tidy
from gradc.backends.llvm.targets import MACHINES
from gradc.loops.lowering.lower import lower

PROCESSORS = MACHINES["x86_64-linux"].processors

LISTING = """\t.file\t"<string>"
\t.section\t.rodata.cst8,"aM",@progbits,8
\t.p2align\t3, 0x0
.LCPI0_0:
\t.quad\t1
\t.text
\t.globl\tf
f:
\tmovsd\t.LCPI0_0(%rip), %xmm0
\tretq
\t.section\t.rodata.cst16,"aM",@progbits,16
.LCPI1_0:
\t.zero\t16
\t.section\t.text.g_selftest,"ax",@progbits
g:
\tretq
\t.section\t.rodata.g_selftest,"aM",@progbits,8,unique,3
.Lrecorded:
\t.quad\t2
\t.size\t.Lrecorded, 8
\t.section\t.rodata,"a",@progbits
.Llarge:
\t.zero\t8192
\t.size\t.Llarge, 8192
\t.section\t".note.GNU-stack","",@progbits
"""


def test_constants_follow_the_function_that_reads_them() -> None:
    assert (
        with_constants_in_code(LISTING)
        == """\t.text
\t.globl\tf
f:
\tmovsd\t.LCPI0_0(%rip), %xmm0
\tretq
\t.p2align\t3, 0x0
.LCPI0_0:
\t.quad\t1
\t.section\t.text.g_selftest,"ax",@progbits
g:
\tretq
.LCPI1_0:
\t.zero\t16
\t.section\t.text.g_selftest,"ax",@progbits
.Lrecorded:
\t.quad\t2
\t.size\t.Lrecorded, 8
\t.section\t.rodata,"a",@progbits
.Llarge:
\t.zero\t8192
\t.size\t.Llarge, 8192
\t.section\t".note.GNU-stack","",@progbits
"""
    )


def network(w: Any, x: Any) -> Any:
    return np.sum(np.tanh(w @ x) ** 3.5) + np.sum(np.sin(x)) - np.sum(np.log(np.abs(x) + 2))


def sections(content: bytes) -> dict[str, bytes]:
    """The sections of an object file by name."""
    return {(s.name() or b"").decode(): s.data() for s in binding.ObjectFileRef.from_data(content).sections()}


def instructions(content: bytes, folder: Path) -> list[str]:
    """The instructions of an object file with their places, but for those that fill gaps."""
    (folder / "code.o").write_bytes(content)
    command = ["objdump", "-d", "-r", "--no-show-raw-insn", "code.o"]
    listed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if "nop" not in line]


@pytest.mark.skipif(shutil.which("objdump") is None, reason="needs binutils' objdump")
@pytest.mark.parametrize("cpu", ["x86-64", "x86-64-v3", "x86-64-v4"])
@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_text_assembles_to_the_instructions_of_the_module(tmp_path: Path, cpu: str, dtype: str) -> None:
    target = PROCESSORS[cpu]
    kernel = gradc.grad(network, name="f").compile(gradc.aval(f"{dtype}[9,7]"), gradc.aval(f"{dtype}[7]"))
    module = parse(emit(lower(kernel.graph, name="f"), target, embedded=True), target)
    tidy(module, target)
    machine = target_machine(target)
    direct = bytes(machine.emit_object(module))
    assert instructions(assembled(machine.emit_assembly(module), target), tmp_path) == instructions(direct, tmp_path)
    assert ".rela.text" in sections(direct)
    moved = sections(with_resolved_constants(module, target))
    assert len(moved[".text"]) > len(sections(direct)[".text"])
    assert not any(name.startswith(".rela") for name in moved)


def entropy(w11, w12, w21, w22, v1, v2, x1, x2, y):  # type: ignore[no-untyped-def]
    a1 = np.maximum(w11 * x1 + w12 * x2, 0)
    a2 = np.maximum(w21 * x1 + w22 * x2, 0)
    y_hat = 1 / (1 + np.exp(-(v1 * a1 + v2 * a2)))
    return -(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))


@pytest.mark.skipif(shutil.which("strip") is None, reason="needs binutils' strip")
@pytest.mark.parametrize("cpu", ["x86-64", "x86-64-v3", "x86-64-v4"])
def test_a_network_of_numbers_takes_four_thousand_bytes(tmp_path: Path, cpu: str) -> None:
    kernel = gradc.value_and_grad(entropy, wrt=range(6), name="loss_grad").compile(*[gradc.aval("f64[]")] * 9)
    kernel.save(tmp_path, format="lib", target="x86_64-linux", cpu=cpu)
    subprocess.run(["strip", "--strip-unneeded", "loss_grad.o"], cwd=tmp_path, check=True)
    assert (tmp_path / "loss_grad.o").stat().st_size <= 4000
    assert "#define LOSS_GRAD_WORKSPACE_SIZE  0 " in (tmp_path / "loss_grad.h").read_text()
    listed = subprocess.run(["nm", "loss_grad.o"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert sorted(line.split()[-2:] for line in listed.splitlines()) == [
        ["T", "loss_grad"],
        ["T", "loss_grad_selftest"],
    ]
