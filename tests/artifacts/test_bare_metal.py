"""Libraries on a Cortex-M4 without an operating system: a board that qemu emulates, whose FPU has no doubles.

Numbers come in its registers, and gcc links nothing else.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special

import gradc

TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm")

START = """
#include <stddef.h>
#include <stdint.h>
#include "NAME_grad.h"

static const float x[COUNT] = { ARGUMENTS };
static float value, d_x[COUNT];

/* Semihosting: the debugger, here qemu, does what r0 asks for with the block at r1. */
static void ask(uint32_t what, const void *block) {
    register uint32_t r0 __asm__("r0") = what;
    register const void *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void show(float number) {
    union { float number; uint32_t bits; } pun = { number };
    char text[10] = "00000000\\n";
    for (int k = 0; k < 8; k++) text[k] = "0123456789abcdef"[pun.bits >> (28 - 4 * k) & 15];
    ask(4, text);
}

static void reset(void) {
    *(volatile uint32_t *)0xE000ED88 |= 0xF << 20; /* the FPU may be used */
    __asm__ volatile("dsb\\n isb");
    int status = (int)NAME_grad_selftest();
    if (status == UPPER_GRAD_OK) status = (int)NAME_grad(x, SCALE, &value, d_x, NULL);
    show(value);
    for (int k = 0; k < COUNT; k++) show(d_x[k]);
    const uint32_t block[2] = { 0x20026, (uint32_t)status };
    ask(0x20, block);
    for (;;) { }
}

static void fault(void) {
    const uint32_t block[2] = { 0x20026, 99 };
    ask(0x20, block);
    for (;;) { }
}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    (void *)0x20010000, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
};
"""

SCRIPT = """
SECTIONS {
    . = 0;
    .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) }
    . = 0x20000000;
    .bss : { *(.data*) *(.bss*) }
}
"""


def angles(x: Any, scale: Any) -> Any:
    return np.sum(np.sin(x) * np.floor(scale * np.tan(x)) + np.cos(x) / (1 + np.exp(np.sin(x))))


def gammas(x: Any, scale: Any) -> Any:
    return np.sum(scipy.special.gammaln(x) * scale)


def inverses(x: Any, scale: Any) -> Any:
    p = 1 / (1 + np.exp(-x))
    return scale * np.sum(scipy.special.ndtri(p) + scipy.special.erfcx(x) + scipy.special.erfinv(np.tanh(x) / 2))


def waves(x: Any, scale: Any) -> Any:
    return np.sum(scale * scipy.special.j0(x) + scipy.special.polygamma(1, x * x))


def integrals(x: Any, scale: Any) -> Any:
    below = scipy.special.gammainc(np.float32(2.5), x * x)
    return scale * np.sum(below + scipy.special.betaincc(2.0, 3.5, 1 / (1 + np.exp(-x))))


LARGE = [0.5, -3.0, 1e3, 2e5, -1e9, 3.3e20, 3e38]
ORDINARY = [0.5, -1.3, 2.0, -0.01, 4.5, 3.0, -5.5]
BELOW_AND_ABOVE_0 = [0.5, -3.3, 1e3, 1e-20, -0.75, 1.5, 3e36]

CASES = [(angles, LARGE), (gammas, BELOW_AND_ABOVE_0), (inverses, ORDINARY), (waves, ORDINARY), (integrals, ORDINARY)]


@pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {' and '.join(TOOLS)}")
@pytest.mark.parametrize("form", ["lib", "c"])
@pytest.mark.parametrize(("function", "numbers"), CASES)
def test_functions_without_doubles(tmp_path: Path, function: Any, numbers: list[float], form: Any) -> None:
    x = np.array(numbers, np.float32)
    kernel = gradc.value_and_grad(function).compile(gradc.aval("f32[7]"), gradc.aval("f32[]"))
    kernel.save(tmp_path, format=form, target="cortex-m4")
    literals = ", ".join(f"{float(number).hex()}f" for number in x)
    (tmp_path / "start.c").write_text(
        START.replace("NAME", function.__name__)
        .replace("UPPER", function.__name__.upper())
        .replace("COUNT", str(x.size))
        .replace("ARGUMENTS", literals)
        .replace("SCALE", "1.5f")
    )
    (tmp_path / "script.ld").write_text(SCRIPT)
    flags = "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -O1 -Wall -Werror -ffreestanding -nostdlib"
    link = [
        "-Wl,-Tscript.ld,--build-id=none",
        "start.c",
        f"lib{kernel.name}.a" if form == "lib" else f"{kernel.name}.c",
        "-o",
        "main.elf",
    ]
    command = ["arm-none-eabi-gcc", *flags.split(), *link]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    board = "-M mps2-an386 -nographic -monitor none -serial none -semihosting-config enable=on,target=native"
    run = ["timeout", "60", "qemu-system-arm", *board.split(), "-kernel", "main.elf"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (done.stdout + done.stderr).split()
    shown = np.array([int(line, 16) for line in lines], np.uint32).view(np.float32)
    value, gradient = kernel(x, np.float32(1.5))
    np.testing.assert_allclose(shown[0], value, rtol=1e-5)
    np.testing.assert_allclose(shown[1:], gradient, rtol=2e-5, atol=2e-6)
