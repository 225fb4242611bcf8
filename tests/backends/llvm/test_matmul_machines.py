"""Products on other machines than this one: compiled for each, run, and compared with NumPy.

x86-64 with and without AVX-512, AVX2 and fused multiply-adds runs here, AArch64 under qemu.
"""

from __future__ import annotations

import importlib.util
import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as binding
import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import assembly, load_object, object_code
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.matmul.shares import scratch_elements
from gradc.backends.llvm.symbols import kernel_symbol
from gradc.ir.target import Target
from gradc.loops.language.program import Buffer, Call, Contraction, LoopProgram, whole
from gradc.loops.language.verify import verify
from gradc.loops.shaping.scratch import reserve

FORMS = ["ij,jk->ik", "ji,jk->ik", "ij,kj->ik", "ji,kj->ik"]
SHAPES = [(13, 37, 20), (1, 40, 50), (45, 1, 30), (3, 6, 1), (16, 16, 16), (7, 70, 130), (128, 10, 64), (2, 200, 700)]
SHAPES += [(20, 36, 57), (18, 20, 50), (34, 2, 133), (33, 4, 100)]
"""m, n, k: ragged, vectors, one term, squares, narrow, few rows by a matrix that is read in bands, columns of which
the last fill little of a vector, and columns that are gathered."""

LARGE = (130, 129, 2050)
"""Of f64: packed in blocks."""

LINUX = "unknown-linux-gnu"
AVX512 = Target(f"x86_64-{LINUX}", "skylake-avx512", "", 512, 32, True)
AVX2 = Target(f"x86_64-{LINUX}", "haswell", "", 256, 16, True)
SSE2 = Target(f"x86_64-{LINUX}", "x86-64", "", 128, 16, False)
NEON = Target(f"aarch64-{LINUX}", "cortex-a72", "", 128, 32, True)


def cases(target: Target) -> list[tuple[str, LoopProgram, list[np.ndarray]]]:
    """Form, program and operands of every product that is tried."""
    chosen = [*itertools.product(FORMS, SHAPES, ("f4", "f8")), *((form, LARGE, "f8") for form in FORMS)]
    rng = np.random.default_rng(0)
    found = []
    for number, (form, (m, n, k), dtype) in enumerate(chosen):
        program = product(f"product{number}", form, {"i": m, "k": n, "j": k}, np.dtype(dtype), target)
        arrays = [rng.standard_normal(tuple(map(int, x.shape))).astype(dtype) for x in program.inputs]
        assert (program.arena_bytes > 0) == ((m, n, k) == LARGE)
        found.append((form, program, arrays))
    return found


def product(name: str, form: str, sizes: dict[str, int], dtype: np.dtype, target: Target) -> LoopProgram:
    lhs, rhs, out = form.replace("->", ",").split(",")
    a, b, c = (
        Buffer(label, dtype, tuple(sizes[letter] for letter in word), kind)
        for label, word, kind in (("a", lhs, "input"), ("b", rhs, "input"), ("c", out, "output"))
    )
    letters = tuple((letter, sizes[letter]) for letter in dict.fromkeys(lhs + rhs))
    call = Call(Contraction(lhs, rhs, out, letters, dtype), (whole(a), whole(b), whole(c)))
    program = LoopProgram(name, (a, b, c), (call,))
    return verify(reserve(program, lambda call: scratch_elements(call, program.buffer, target)))


def assert_is_product(form: str, arrays: list[np.ndarray], result: np.ndarray) -> None:
    """Within as many roundings of the sum of absolute products as there are terms, and NumPy's own."""
    left, right = (
        a.T if word == bad else a for a, word, bad in zip(arrays, form[:5].split(","), ("ji", "kj"), strict=True)
    )
    wide = left.astype(np.float64), right.astype(np.float64)
    depth = left.shape[1]
    scale = np.abs(wide[0]) @ np.abs(wide[1])
    bound = (depth + 2) * scale * (np.finfo(result.dtype).eps / 2 + np.finfo(np.float64).eps)
    assert np.all(np.abs(result - wide[0] @ wide[1]) <= bound)


def _has(*features: str) -> bool:
    return host().triple.startswith("x86_64") and all(binding.get_host_cpu_features().get(f) for f in features)


@pytest.mark.parametrize(("target", "wider", "runs"), [
    pytest.param(AVX512, None, _has("avx512f", "avx512vl", "avx512dq", "avx512bw"), id="avx512"),
    pytest.param(AVX2, "zmm", _has("avx2", "fma"), id="avx2"),
    pytest.param(SSE2, "[yz]mm", _has("sse2"), id="sse2"),
])  # fmt: skip
def test_x86(target: Target, wider: str | None, runs: bool) -> None:
    if not runs:
        pytest.skip("this processor lacks the instructions")
    for form, program, arrays in cases(target):
        ir = emit(program, target)
        (result,) = load_object(object_code(ir, target), program)(arrays)
        assert_is_product(form, arrays, result)
    assert wider is None or not re.search(wider, assembly(ir, target))


def _linker() -> list[str] | None:
    """A compiler that links for AArch64: of the system, or Zig's."""
    if gcc := shutil.which("aarch64-linux-gnu-gcc"):
        return [gcc, "-static"]
    if zig := shutil.which("zig"):
        command = [zig]
    elif importlib.util.find_spec("ziglang"):
        command = [sys.executable, "-m", "ziglang"]
    else:
        return None
    return [*command, "cc", "-target", "aarch64-linux-musl", "-static"]


def test_neon(tmp_path: Path) -> None:
    """One executable with a kernel for each product reads the operands and writes the results."""
    linker, qemu = _linker(), shutil.which("qemu-aarch64")
    if linker is None or qemu is None:
        pytest.skip("needs qemu-aarch64, and aarch64-linux-gnu-gcc or zig")
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    made = cases(NEON)
    objects = []
    for _, program, _ in made:
        objects.append(tmp_path / f"{program.name}.o")
        objects[-1].write_bytes(object_code(emit(program, NEON), NEON))
    (tmp_path / "main.c").write_text(main_of([program for _, program, _ in made]))
    main = tmp_path / "main"
    subprocess.run([*linker, "-O1", "-o", str(main), str(tmp_path / "main.c"), *map(str, objects)], check=True)
    operands = b"".join(a.tobytes() for _, _, arrays in made for a in arrays)
    written = subprocess.run([qemu, str(main)], input=operands, stdout=subprocess.PIPE, check=True).stdout
    start = 0
    for form, program, arrays in made:
        (out,) = program.outputs
        shape = tuple(map(int, out.shape))
        stop = start + int(np.prod(shape)) * out.dtype.itemsize
        assert_is_product(form, arrays, np.frombuffer(written[start:stop], out.dtype).reshape(shape))
        start = stop
    assert start == len(written)


MAIN = """\
#include <stdio.h>
#include <stdlib.h>

typedef long kernel(const void *, const void *, void *, void *);

static void *block(size_t bytes) {
  void *found = aligned_alloc(64, (bytes + 64) / 64 * 64);
  if (!found) exit(1);
  return found;
}

static void *operand(size_t bytes) {
  void *found = block(bytes);
  if (fread(found, 1, bytes, stdin) != bytes) exit(2);
  return found;
}

static void run(kernel *product, size_t left, size_t right, size_t result, size_t arena) {
  void *a = operand(left), *b = operand(right), *c = block(result), *scratch = block(arena);
  if (product(a, b, c, scratch)) exit(3);
  if (fwrite(c, 1, result, stdout) != result) exit(4);
  free(a), free(b), free(c), free(scratch);
}
"""


def main_of(programs: list[LoopProgram]) -> str:
    """A C program that runs the kernels one after the other."""
    lines = [MAIN]
    for number, program in enumerate(programs):
        lines.append(f'extern kernel kernel{number} __asm__("{kernel_symbol(program)}");')
    lines.append("\nint main(void) {")
    for number, program in enumerate(programs):
        sizes = [int(np.prod(x.shape)) * x.dtype.itemsize for x in (*program.inputs, *program.outputs)]
        lines.append(f"  run(kernel{number}, {', '.join(map(str, [*sizes, program.arena_bytes]))});")
    lines += ["  return 0;", "}", ""]
    return "\n".join(lines)
