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
from collections.abc import Mapping
from pathlib import Path

import llvmlite.binding as binding
import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import Entry, assembly, load_object, object_code
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.matmul.shares import scratch_elements
from gradc.backends.llvm.symbols import kernel_symbol
from gradc.ir.aval import Dim, dim_value, symbol
from gradc.ir.target import Target
from gradc.loops.language.program import Buffer, Call, Contraction, LoopProgram, whole
from gradc.loops.language.verify import verify
from gradc.loops.shaping.scratch import reserve

FORMS = ["ij,jk->ik", "ji,jk->ik", "ij,kj->ik", "ji,kj->ik"]
SHAPES = [(13, 37, 20), (1, 40, 50), (45, 1, 30), (3, 6, 1), (16, 16, 16), (7, 70, 130), (128, 10, 64), (2, 200, 700)]
SHAPES += [(20, 36, 57), (18, 20, 50), (34, 2, 133), (33, 4, 100)]
"""m, n, k: ragged, vectors, one term, squares, narrow, few rows by a matrix that is read in bands, columns of which
the last fill little of a vector, and columns that are gathered."""

N = symbol("n")
SYMBOLIC: list[tuple[str, dict[str, Dim]]] = [
    ("ij,jk->ik", {"i": N, "j": 70, "k": 10}),
    ("ij,jk->ik", {"i": N, "j": 130, "k": 5}),
    ("ij,kj->ik", {"i": N, "j": 70, "k": 9}),
    ("ji,jk->ik", {"i": 70, "j": N, "k": 10}),
    ("ji,jk->ik", {"i": 36, "j": N, "k": 13}),
    ("ji,jk->ik", {"i": 300, "j": N, "k": 18}),
]
LENGTHS = (0, 1, 7, 33, 100)
"""Any number of rows, groups of which are vectors, and any depth of few columns, of which each length is tried."""

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


def symbolic_cases(target: Target) -> list[tuple[str, LoopProgram, list[np.ndarray]]]:
    """The same of products of a size that the call tells, each program as often as there are lengths."""
    rng = np.random.default_rng(1)
    found = []
    for number, ((form, sizes), dtype) in enumerate(itertools.product(SYMBOLIC, ("f4", "f8"))):
        program = product(f"symbolic{number}", form, sizes, np.dtype(dtype), target)
        for length in LENGTHS:
            shapes = [[dim_value(d, {"n": length}) for d in x.shape] for x in program.inputs]
            found.append((form, program, [rng.standard_normal(shape).astype(dtype) for shape in shapes]))
    return found


def product(name: str, form: str, sizes: Mapping[str, Dim], dtype: np.dtype, target: Target) -> LoopProgram:
    lhs, rhs, out = form.replace("->", ",").split(",")
    a, b, c = (
        Buffer(label, dtype, tuple(sizes[letter] for letter in word), kind)
        for label, word, kind in (("a", lhs, "input"), ("b", rhs, "input"), ("c", out, "output"))
    )
    letters = tuple((letter, sizes[letter]) for letter in dict.fromkeys(lhs + rhs))
    call = Call(Contraction(lhs, rhs, out, letters, dtype), (whole(a), whole(b), whole(c)))
    program = LoopProgram(name, (a, b, c), (call,))
    return verify(reserve(program, lambda call: scratch_elements(call, program.buffer, target)))


def shape_of(form: str, arrays: list[np.ndarray]) -> tuple[int, int]:
    """The shape of the result."""
    left, right = form[:5].split(",")
    return arrays[0].shape[left.index("i")], arrays[1].shape[right.index("k")]


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
    made: dict[str, Entry] = {}
    for form, program, arrays in symbolic_cases(target):
        if program.name not in made:
            made[program.name] = load_object(object_code(emit(program, target), target), program)
        (result,) = made[program.name](arrays)
        assert_is_product(form, arrays, result)


@pytest.mark.parametrize(("form", "shape", "aside"), [
    ("ij,jk->ik", (128, 10, 64), True),  # the left operand is transposed beside two vectors of rows
    ("ij,kj->ik", (128, 10, 64), True),  # two, and beside them shuffles
    ("ij,jk->ik", (32, 20, 32), True),  # two vectors and a half
    ("ij,jk->ik", (16, 16, 16), False),  # two vectors, and nothing beside them
    ("ij,jk->ik", (16, 8, 16), False),  # one, whose elements come with the multiply-adds
])  # fmt: skip
def test_elements_are_spread_aside_where_units_that_shuffle_are_wanted(
    form: str, shape: tuple[int, int, int], aside: bool
) -> None:
    """By the instruction for integers, which on Zen 4 is a load alone, though what follows are multiply-adds."""
    sizes = dict(zip("ikj", shape, strict=True))
    wide = assembly(emit(product("product", form, sizes, np.dtype("f8"), AVX512), AVX512), AVX512)
    assert ("vpbroadcastq" in wide) == aside
    for target in (AVX2, SSE2):
        assert " asm " not in emit(product("product", form, sizes, np.dtype("f8"), target), target)


def _tools() -> tuple[list[str], list[str]] | None:
    """A compiler and a linker for AArch64, of the system or Zig's. They need no C library, which Zig would build."""
    zig = [sys.executable, "-m", "ziglang"] if importlib.util.find_spec("ziglang") else None
    compiler = ["clang"] if shutil.which("clang") else zig and [*zig, "clang"]
    linker = ["ld.lld"] if shutil.which("ld.lld") else zig and [*zig, "ld.lld"]
    return (compiler, linker) if compiler and linker else None


def test_neon(tmp_path: Path) -> None:
    """One executable with a kernel for each product reads the operands and writes the results."""
    tools, qemu = _tools(), shutil.which("qemu-aarch64")
    if tools is None or qemu is None:
        pytest.skip("needs qemu-aarch64, and clang and ld.lld or ziglang")
    compiler, linker = tools
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    made = [*cases(NEON), *symbolic_cases(NEON)]
    objects = []
    for program in {program.name: program for _, program, _ in made}.values():
        objects.append(tmp_path / f"{program.name}.o")
        objects[-1].write_bytes(object_code(emit(program, NEON), NEON))
    (tmp_path / "main.c").write_text(main_of(made))
    main, start_up = tmp_path / "main", tmp_path / "main.o"
    flags = ["--target=aarch64-linux-gnu", "-O1", "-ffreestanding", "-fno-pic"]
    subprocess.run([*compiler, *flags, "-c", "-o", str(start_up), str(tmp_path / "main.c")], check=True)
    linked = [*linker, "-m", "aarch64linux", "-static", "-o", str(main), str(start_up), *map(str, objects)]
    subprocess.run(linked, check=True)
    operands = b"".join(a.tobytes() for _, _, arrays in made for a in arrays)
    written = subprocess.run([qemu, str(main)], input=operands, stdout=subprocess.PIPE, check=True).stdout
    start = 0
    for form, program, arrays in made:
        (out,) = program.outputs
        shape = shape_of(form, arrays)
        stop = start + int(np.prod(shape)) * out.dtype.itemsize
        assert_is_product(form, arrays, np.frombuffer(written[start:stop], out.dtype).reshape(shape))
        start = stop
    assert start == len(written)


MAIN = """\
typedef unsigned long size_t;
typedef long kernel(const void *, const void *, void *, void *, long);

static long call(long number, long first, const void *second, long third) {
  register long x8 __asm__("x8") = number, x0 __asm__("x0") = first, x2 __asm__("x2") = third;
  register const void *x1 __asm__("x1") = second;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
  return x0;
}

static void leave(long status) { call(93, status, (void *)0, 0); }

static _Alignas(64) unsigned char memory[MEMORY];
static size_t used;

static void *block(size_t bytes) {
  void *found = memory + used;
  used += (bytes + 64) / 64 * 64;
  if (used > sizeof memory) leave(1);
  return found;
}

static void *operand(size_t bytes) {
  unsigned char *found = block(bytes);
  for (size_t start = 0; start < bytes;) {
    long count = call(63, 0, found + start, bytes - start);
    if (count <= 0) leave(2);
    start += count;
  }
  return found;
}

static void run(kernel *product, size_t left, size_t right, size_t result, size_t arena, long length) {
  used = 0;
  void *a = operand(left), *b = operand(right), *scratch = block(arena);
  unsigned char *c = block(result);
  if (product(a, b, c, scratch, length)) leave(3);
  for (size_t start = 0; start < result;) {
    long count = call(64, 1, c + start, result - start);
    if (count <= 0) leave(4);
    start += count;
  }
}

__asm__(".globl _start\\n_start: bl main\\n");
"""


def main_of(made: list[tuple[str, LoopProgram, list[np.ndarray]]]) -> str:
    """A C program, without a C library, that runs the kernels one after the other.

    Each gets the length of a symbolic size, which those without one do not look at.
    """
    runs = [
        [*(a.nbytes for a in arrays), int(np.prod(shape_of(form, arrays))) * arrays[0].itemsize, int(p.arena_bytes)]
        for form, p, arrays in made
    ]
    lines = [f"#define MEMORY {max(map(sum, runs)) + 4 * 64}", MAIN]
    for number, (_, program, _) in enumerate(made):
        lines.append(f'extern kernel kernel{number} __asm__("{kernel_symbol(program)}");')
    lines.append("\nint main(void) {")
    for number, (sizes, (_, _, arrays)) in enumerate(zip(runs, made, strict=True)):
        lines.append(f"  run(kernel{number}, {', '.join(map(str, sizes))}, {len(arrays[0])});")
    lines += ["  leave(0);", "  return 0;", "}", ""]
    return "\n".join(lines)
