"""LLVM IR among a program in C, optimised as one when they are linked: inlined, and with the bits of the kernel."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import llvmlite.binding as binding
import numpy as np
import pytest

import gradc
from gradc.backends.llvm.machine import host, target_machine

LLVM = binding.llvm_version_info[0]
LINKER = shutil.which("ld") or shutil.which("ld.lld")
X86 = host().triple.startswith("x86_64") and "linux" in host().triple

CALLER = """
#include <stddef.h>
#include "step.h"

int caller(const TYPE *w, const TYPE *x, TYPE *L, TYPE *d_w);

int caller(const TYPE *w, const TYPE *x, TYPE *L, TYPE *d_w) {
    static unsigned char memory[STEP_WORKSPACE_SIZE + 64];
    return (int)step(w, x, L, d_w, memory + (64 - (size_t)memory % 64) % 64);
}
"""


def loss(w: Any, x: Any) -> Any:
    hidden = np.tanh(x @ w)
    return np.sum(np.log1p(np.exp(-hidden)) * hidden)


def saved(dtype: str, rows: int, folder: Path, **machine: str) -> gradc.Kernel:
    avals = gradc.aval(f"{dtype}[4,3]"), gradc.aval(f"{dtype}[{rows},4]")
    kernel = gradc.value_and_grad(loss, name="step").compile(*avals)
    kernel.save(folder, format="ir", **machine)
    (folder / "caller.c").write_text(CALLER.replace("TYPE", "double" if dtype == "f64" else "float"))
    return kernel


def require_same_bits(library: Path, kernel: gradc.Kernel, dtype: str, rows: int) -> None:
    rng = np.random.default_rng(rows)
    own = {"f64": np.float64, "f32": np.float32}[dtype]
    w, x = (rng.normal(size=shape).astype(own) for shape in ((4, 3), (rows, 4)))
    total, d_w = np.zeros(1, own), np.zeros((4, 3), own)
    call = ctypes.CDLL(str(library)).caller
    assert call(*(ctypes.c_void_p(a.ctypes.data) for a in (w, x, total, d_w))) == 0
    value, gradient = kernel(w, x)
    assert (total.tobytes(), d_w.tobytes()) == (value.tobytes(), gradient.tobytes())


def exported(library: Path) -> set[str]:
    return defined(library, "-D")


def defined(library: Path, *options: str) -> set[str]:
    command = ["nm", *options, "--defined-only", str(library)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in listed.splitlines()}


def compilers() -> dict[str, list[str]]:
    """The commands of Clang that are here, by where they come from."""
    found = {"system": ["clang"]} if shutil.which("clang") else {}
    zig = importlib.util.find_spec("ziglang")
    if zig is not None and zig.origin is not None:
        headers = Path(zig.origin).parent / "lib" / "include"
        command = [sys.executable, "-m", "ziglang", "clang", "-target", host().triple, "-isystem", str(headers)]
        found["ziglang"] = command
    return found


def version(command: list[str]) -> int:
    said = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"clang version (\d+)", said)
    return int(match[1]) if match else 0


def linked_by_lld(origin: str, folder: Path, *flags: str) -> Path:
    """The caller, compiled by Clang for optimisation at link time, and our bitcode as one library, by LLD."""
    command = compilers().get(origin)
    if command is None:
        pytest.skip(f"there is no Clang from {origin}")
    if version(command) < LLVM:
        pytest.skip(f"Clang {version(command)} does not read bitcode of LLVM {LLVM}")
    lld = [sys.executable, "-m", "ziglang", "ld.lld"] if origin == "ziglang" else ["ld.lld"]
    if origin == "system" and shutil.which("ld.lld") is None:
        pytest.skip("there is no LLD beside Clang")
    (folder / "exported").write_text("{ global: caller; local: *; };\n")
    for step in (
        [*command, "-std=c99", "-O2", "-flto", *flags, "-fPIC", "-c", "caller.c", "-o", "caller.o"],
        [*lld, "-shared", "--lto-O2", "--version-script=exported", "caller.o", "step.bc", "-o", "libcaller.so"],
    ):
        done = subprocess.run(step, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[:2000]
    assert (folder / "caller.o").read_bytes().startswith((b"BC", b"\xde\xc0\x17\x0b"))
    return folder / "libcaller.so"


@pytest.mark.skipif(not X86, reason="LLD is asked for a library of x86-64 Linux")
@pytest.mark.parametrize(("dtype", "rows"), [("f64", 1), ("f64", 40), ("f32", 40)])
@pytest.mark.parametrize("origin", ["system", "ziglang"])
def test_a_program_in_c_is_linked_with_bitcode(origin: str, dtype: str, rows: int, tmp_path: Path) -> None:
    kernel = saved(dtype, rows, tmp_path)
    library = linked_by_lld(origin, tmp_path, "-march=native")
    require_same_bits(library, kernel, dtype, rows)
    assert exported(library) == {"caller"}
    assert not {"step", "step_selftest"} & defined(library), "the one is inlined and nobody calls the other"


@pytest.mark.skipif(not X86 or LINKER is None, reason="the library is linked for x86-64 Linux")
@pytest.mark.skipif(shutil.which("clang") is None, reason="there is no Clang")
@pytest.mark.parametrize(("dtype", "rows"), [("f64", 1), ("f64", 40), ("f32", 40)])
def test_bitcode_of_an_older_clang_is_linked_by_the_llvm_that_made_ours(dtype: str, rows: int, tmp_path: Path) -> None:
    """One module, of which only the caller is seen from outside, as a linker makes it."""
    if version(["clang"]) > LLVM:
        pytest.skip("this Clang writes bitcode that is newer than ours")
    kernel = saved(dtype, rows, tmp_path)
    command = ["clang", "-std=c99", "-O2", "-fPIC", "-emit-llvm", "-c", "caller.c", "-o", "caller.bc"]
    subprocess.run(command, cwd=tmp_path, check=True)
    module = binding.parse_bitcode((tmp_path / "caller.bc").read_bytes())
    module.link_in(binding.parse_bitcode((tmp_path / "step.bc").read_bytes()))
    for function in module.functions:
        if function.name != "caller" and not function.is_declaration:
            function.linkage = "internal"
    machine = target_machine(host())
    options = binding.create_pipeline_tuning_options(speed_level=2)
    binding.create_pass_builder(machine, options).getModulePassManager().run(
        module, binding.create_pass_builder(machine, options)
    )
    (tmp_path / "caller.o").write_bytes(machine.emit_object(module))
    assert LINKER is not None
    subprocess.run([LINKER, "-shared", "caller.o", "-o", "libcaller.so"], cwd=tmp_path, check=True)
    require_same_bits(tmp_path / "libcaller.so", kernel, dtype, rows)
    assert {"step", "step_selftest"} & {f.name for f in module.functions} <= {"step"}, "nobody calls the other"


@pytest.mark.skipif(not X86, reason="the machines are x86-64")
def test_what_is_made_for_another_processor_keeps_its_instructions(tmp_path: Path) -> None:
    """A program for any x86-64, linked with a kernel for AVX2: the kernel alone has its instructions."""
    saved("f64", 40, tmp_path, target="x86_64-linux", cpu="x86-64-v3")
    library = linked_by_lld("ziglang", tmp_path)
    if shutil.which("objdump") is None:
        pytest.skip("there is no objdump")
    text = subprocess.run(["objdump", "-d", library], capture_output=True, text=True, check=True).stdout
    parts = {found[1]: found[2] for found in re.finditer(r"<(\w[\w.]*)>:\n((?:.+\n)+)", text)}
    assert "ymm" not in parts.pop("caller")
    assert any("ymm" in part for part in parts.values())
