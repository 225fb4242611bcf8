"""The stack that a call takes: what the header says is a bound of what is measured, and not a wild one."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import gradc
from gradc.backends.llvm.stack import stack_bytes
from tests.artifacts.kernels import wide
from tests.artifacts.test_machines import EMULATED, linker

MEASURE = """
#include <stddef.h>
#include "kernel.h"
static float a[24 * 24], result[24 * 24];
static unsigned char memory[KERNEL_WORKSPACE_SIZE + 64];
static void *workspace(void) { return memory + (64 - (size_t)memory % 64) % 64; }
__attribute__((noinline)) static int measure(void) {
    volatile unsigned char *here = (volatile unsigned char *)__builtin_frame_address(0);
    long deepest;
    int status;
    for (long k = 512; k < 65536; k++) here[-k] = 0xA5;
    status = (int)kernel(a, result, workspace());
    for (deepest = 65535; deepest >= 512 && here[-deepest] == 0xA5; deepest--) {}
    if (status != KERNEL_OK) return 3;
    return deepest > KERNEL_STACK_SIZE + 512 ? 1 : 2 * (deepest + 512) < KERNEL_STACK_SIZE ? 2 : 0;
}
static int run_all(void) {
    for (int i = 0; i < 24; i++) {
        for (int j = 0; j < 24; j++) a[24 * i + j] = (float)((i + 2 * j) % 7) / 9.0f;
    }
    return measure();
}
"""

HOSTED = f"{MEASURE}\nint main(void) {{ return run_all(); }}\n"

FREESTANDING = """
__attribute__((noreturn)) static void leave(long status) {{
    {leave}
    for (;;) {{ }}
}}
void run(void) {{ leave((long)run_all()); }}
__asm__({start});
"""


def square() -> gradc.Kernel:
    """A kernel with local arrays, and calls within calls."""
    return gradc.grad(lambda a: np.sum(np.tanh(a @ a) ** 2), name="kernel").compile(gradc.aval("f32[24,24]"))


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
@pytest.mark.parametrize("machine", [{}, {"target": "x86_64-linux", "cpu": "x86-64"}])
def test_a_call_takes_no_more_stack_than_the_header_says(machine: dict[str, str], tmp_path: Path) -> None:
    square().save(tmp_path, format="lib", **machine)
    (tmp_path / "main.c").write_text(HOSTED)
    subprocess.run(["gcc", "-std=c11", "-O1", "main.c", "libkernel.a", "-o", "main"], cwd=tmp_path, check=True)
    assert subprocess.run(["./main"], cwd=tmp_path, check=False).returncode == 0
    about = json.loads((tmp_path / "kernel.json").read_text())["functions"][0]
    assert f"#define KERNEL_STACK_SIZE      {about['stack']}  /* bytes" in (tmp_path / "kernel.h").read_text()
    assert about["stack"] > 1000
    assert about["selftest"]["stack"] > about["stack"]
    assert f"at most {about['selftest']['stack']} bytes of stack. */" in (tmp_path / "kernel.h").read_text()


SELFTEST = """
#include <stddef.h>
#include "kernel.h"
__attribute__((noinline)) static int measure(void) {
    volatile unsigned char *here = (volatile unsigned char *)__builtin_frame_address(0);
    long deepest;
    int status;
    for (long k = 512; k < 65536; k++) here[-k] = 0xA5;
    status = (int)kernel_selftest();
    for (deepest = 65535; deepest >= 512 && here[-deepest] == 0xA5; deepest--) {}
    if (status != KERNEL_OK) return 3;
    return deepest > STACK + 512 ? 1 : 2 * (deepest + 512) < STACK ? 2 : 0;
}
int main(void) { return measure(); }
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
@pytest.mark.parametrize("machine", [{}, {"target": "x86_64-linux"}])
def test_a_selftest_takes_no_more_stack_than_the_header_says(machine: dict[str, str], tmp_path: Path) -> None:
    made = gradc.grad(lambda a: np.sum(np.tanh(a @ a) ** 2), name="kernel").compile(gradc.aval("f64[8,8]"))
    made.save(tmp_path, format="lib", **machine)
    stack = json.loads((tmp_path / "kernel.json").read_text())["functions"][0]["selftest"]["stack"]
    (tmp_path / "main.c").write_text(SELFTEST.replace("STACK", str(stack)))
    subprocess.run(["gcc", "-std=c11", "-O1", "main.c", "libkernel.a", "-o", "main"], cwd=tmp_path, check=True)
    assert subprocess.run(["./main"], cwd=tmp_path, check=False).returncode == 0


@pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not there")
@pytest.mark.skipif(linker() is None, reason="there is no ld.lld, nor ziglang, which has one")
@pytest.mark.parametrize("machine", EMULATED)
def test_on_other_machines_under_qemu(machine: str, tmp_path: Path) -> None:
    flags, emulation, qemu, leave, start = EMULATED[machine]
    if shutil.which(qemu) is None:
        pytest.skip(f"{qemu} is not there")
    square().save(tmp_path, format="lib", target=machine)
    (tmp_path / "main.c").write_text(MEASURE + FREESTANDING.format(leave=leave, start=start))
    options = ["-std=gnu11", "-O1", "-ffreestanding", "-fno-stack-protector", "-fno-builtin"]
    subprocess.run(["clang", *flags, *options, "-c", "main.c", "-o", "main.o"], cwd=tmp_path, check=True)
    command = [*(linker() or []), "-m", emulation, "-o", "main", "main.o", "libkernel.a"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert subprocess.run([qemu, "main"], cwd=tmp_path, check=False).returncode == 0


SAMPLES = {
    "x86_64-unknown-linux-gnu": """
leaf:
	pushq	%rbx
	subq	$40, %rsp
	retq
root:
	pushq	%rbp
	movq	%rsp, %rbp
	andq	$-64, %rsp
	subq	$192, %rsp # a comment: subq $7, %rsp
	callq	leaf
	retq
""",
    "aarch64-unknown-linux-gnu": """
leaf:
	sub	sp, sp, #1, lsl #12
	sub	sp, sp, #48
	ret
root:
	stp	x29, x30, [sp, #-16]!
	sub	x9, sp, #48
	and	sp, x9, #0xffffffffffffffc0
	bl	leaf
""",
    "riscv64-unknown-linux-gnu": """
leaf:
	lui	a0, 2
	addi	a0, a0, 16
	sub	sp, sp, a0
	ret
root:
	addi	sp, sp, -192
	andi	sp, sp, -64
	call	leaf
	addi	sp, sp, 192
""",
    "thumbv7em-none-eabihf": """
leaf:
	push	{r4, r5, r7, lr}
	vpush	{d8, d9}
	sub.w	sp, sp, #4096
	bx	lr
root:
	push	{r7, lr}
	sub	sp, #12
	bfc	r4, #0, #6
	bl	leaf
""",
    "wasm32-unknown-unknown": """
leaf:
	local.get	0
	i32.const	9
	i32.sub
root:
	global.get	__stack_pointer
	local.tee	3
	local.set	4
	local.get	3
	i32.const	9600
	i32.sub
	i32.const	-64
	i32.and
	call	leaf
""",
}

BYTES = {
    "x86_64-unknown-linux-gnu": (8 + 8 + 40) + (8 + 8 + 64 + 192) + 128,
    "aarch64-unknown-linux-gnu": (4096 + 48) + (16 + 48 + 64),
    "riscv64-unknown-linux-gnu": (8192 + 2048) + (192 + 64),
    "thumbv7em-none-eabihf": (16 + 16 + 4096) + (8 + 12 + 64),
    "wasm32-unknown-unknown": 9600 + 64,
}


@pytest.mark.parametrize("triple", SAMPLES)
def test_what_assembly_takes_off_the_stack(triple: str) -> None:
    assert stack_bytes(SAMPLES[triple], triple, ["root"]) == BYTES[triple]


@pytest.mark.parametrize("machine", ["x86_64-linux", "x86_64-windows", "x86_64-macos", "aarch64-macos", "cortex-m4"])
def test_a_function_may_be_called_as_places_in_code_are(machine: str, tmp_path: Path) -> None:
    kernel = gradc.value_and_grad(wide).compile(
        {"a": gradc.aval("f32[24,40]"), "b": gradc.aval("f32[40,5]")}, gradc.aval("f32[32,24]"), gradc.aval("f32[32,5]")
    )
    stacks = []
    for name in ("loss", "Loss", "L"):
        kernel.save(tmp_path, format="lib", name=name, target=machine)
        stacks.append(json.loads((tmp_path / f"{name}.json").read_text())["functions"][0]["stack"])
    assert stacks[0] > 500
    assert stacks[0] == stacks[1] == stacks[2]


def test_functions_in_tables_count_where_the_table_is_named() -> None:
    text = (
        "root:\n\tleaq\ttable(%rip), %rax\n\tcallq\t*(%rax)\n\tretq\n\t.section\t.rodata\n"
        "table:\n\t.quad\tinner\n\t.globl\tinner\ninner:\n\tsubq\t$1000, %rsp\n\tretq\nother:\n\tsubq\t$9000, %rsp\n"
    )
    assert stack_bytes(text, "x86_64-unknown-linux-gnu", ["root"]) == 8 + 8 + 8 + 1000 + 128
