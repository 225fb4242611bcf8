"""Libraries for other machines: their self-tests under qemu, versions for processors of x86-64, what is refused."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special

import gradc
from gradc.artifacts.library import build
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.targets import MACHINES, choose
from gradc.errors import ArgumentError, CompileError
from tests.artifacts.libraries import Library

START = """
#include <stddef.h>
#include "{name}.h"
#ifdef {macro}_SELFTEST_SIZE
static unsigned char memory[{macro}_SELFTEST_SIZE + 64];
#define MEMORY memory + (64 - (size_t)memory % 64) % 64
#else
#define MEMORY
#endif
__attribute__((noreturn)) static void leave(long status) {{
    {leave}
    for (;;) {{ }}
}}
void run(void) {{
    leave((long){name}_selftest(MEMORY));
}}
__asm__({start});
"""

ARM_LEAVE = """register long r0 __asm__("r0") = status, r7 __asm__("r7") = 1;
    __asm__ volatile("svc 0" :: "r"(r0), "r"(r7));"""
ARM64_LEAVE = """register long x0 __asm__("x0") = status, x8 __asm__("x8") = 93;
    __asm__ volatile("svc 0" :: "r"(x0), "r"(x8));"""
RISCV_LEAVE = """register long a0 __asm__("a0") = status, a7 __asm__("a7") = 93;
    __asm__ volatile("ecall" :: "r"(a0), "r"(a7));"""
EMULATED = {
    # machine: clang's target and flags, lld's emulation, qemu, how a program ends, how it starts
    "aarch64-linux": (
        ["--target=aarch64-linux-gnu"], "aarch64linux", "qemu-aarch64", ARM64_LEAVE,
        '".globl _start\\n_start: bl run\\n"',
    ),
    "riscv64-linux": (
        ["--target=riscv64-linux-gnu", "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-mno-relax"],
        "elf64lriscv", "qemu-riscv64", RISCV_LEAVE,
        '".globl _start\\n_start: call run\\n"',
    ),
    "armv7-linux": (
        ["--target=armv7-linux-gnueabihf"], "armelf_linux_eabi", "qemu-arm", ARM_LEAVE,
        '".globl _start\\n_start: bl run\\n"',
    ),
    "cortex-m4": (
        ["--target=armv7-linux-gnueabihf", "-mthumb"], "armelf_linux_eabi", "qemu-arm", ARM_LEAVE,
        '".thumb_func\\n.globl _start\\n_start: bl run\\n"',
    ),
}  # fmt: skip


def linker() -> list[str] | None:
    if shutil.which("ld.lld"):
        return ["ld.lld"]
    return [sys.executable, "-m", "ziglang", "ld.lld"] if importlib.util.find_spec("ziglang") else None


def network(w: Any, x: Any, y: Any) -> Any:
    h = np.tanh(x @ w["a"] + w["b"])
    z = h @ w["c"]
    return np.mean(np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0) - y * z) + 0.01 * np.sum(w["a"] ** 2)


def scalars(w: Any, v: Any, x: Any, y: Any) -> Any:
    z = v * np.maximum(w * x, 0)
    p = 1 / (1 + np.exp(-z))
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def gather(table: Any, rows: Any) -> Any:
    return np.sum(np.sqrt(table[rows]) ** 3)


def angles(x: Any) -> Any:
    large = np.sin(3e5 * x) + np.cos(2e9 * x) * np.tan(-1e12 * x)
    return np.sum(np.floor(4 * x) * (np.sin(x) + np.cos(x) * np.tan(x)) + np.exp(large / (1 + large * large)))


def train(w: Any, state: Any, x: Any, y: Any) -> Any:
    """A step of training, parameters and all that Adam keeps updated in place."""
    value, grads = gradc.value_and_grad(network)(w, x, y)
    w, state = gradc.optim.adamw(w, grads, state, rate=0.01)
    return value, w, state


def kernels(dtype: str) -> dict[str, gradc.Kernel]:
    def spec(shape: str) -> gradc.Aval:
        return gradc.aval(f"{dtype}[{shape}]")

    weights = {"a": spec("9,17"), "b": spec("17"), "c": spec("17,3")}
    grad = gradc.value_and_grad
    kind = {"f32": np.float32, "f64": np.float64}[dtype]
    initial = gradc.optim.adam_state(
        {"a": np.zeros((9, 17), kind), "b": np.zeros(17, kind), "c": np.zeros((17, 3), kind)}
    )
    step = gradc.jit(train, donate=("w", "state"), name="train_step")
    return {
        "training": step.compile(weights, initial, spec("21,9"), spec("21,3")),
        "network": grad(network).compile(weights, spec("21,9"), spec("21,3")),
        "any_batch": grad(network, name="any_batch").compile(weights, spec("batch,9"), spec("batch,3")),
        "scalars": grad(scalars, wrt=("w", "v")).compile(*[spec("")] * 4),
        "gather": grad(gather).compile(spec("12,5"), gradc.aval("i32[7]")),
        "angles": gradc.jit(angles).compile(spec("9")),
        "solve": grad(lambda a, b: np.sum(np.linalg.solve(a, b)), name="solve").compile(spec("7,7"), spec("7")),
    }


CASES = [
    (machine, dtype, name)
    for machine in EMULATED
    for dtype in ("f64", "f32")
    for name in ("network", "training", "any_batch", "scalars", "gather", "solve", "angles")
    if (machine, dtype) != ("cortex-m4", "f64")
]


@pytest.fixture(scope="module")
def compiled() -> Callable[[str, str], gradc.Kernel]:
    made: dict[str, dict[str, gradc.Kernel]] = {}

    def get(dtype: str, name: str) -> gradc.Kernel:
        if dtype not in made:
            made[dtype] = kernels(dtype)
        return made[dtype][name]

    return get


@pytest.mark.skipif(shutil.which("clang") is None, reason="there is no clang, which compiles for every machine")
@pytest.mark.skipif(linker() is None, reason="there is no ld.lld, nor ziglang, which has one")
@pytest.mark.parametrize(("machine", "dtype", "name"), CASES)
def test_selftest_passes_under_qemu(
    machine: str, dtype: str, name: str, compiled: Callable[[str, str], gradc.Kernel], tmp_path: Path
) -> None:
    flags, emulation, qemu, leave, start = EMULATED[machine]
    if shutil.which(qemu) is None:
        pytest.skip(f"{qemu} is not there")
    kernel = compiled(dtype, name)
    kernel.save(tmp_path, format="lib", target=machine)
    source = START.format(name=kernel.name, macro=kernel.name.upper(), leave=leave, start=start)
    (tmp_path / "start.c").write_text(source)
    command = ["clang", *flags, "-std=gnu99", "-O1", "-ffreestanding", "-fno-pic", "-Wall", "-Werror", "-c", "start.c"]
    link = [*(linker() or []), "-m", emulation, "-static", "-o", "main", "start.o", f"lib{kernel.name}.a"]
    for step in (command, link):
        done = subprocess.run(step, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert subprocess.run([qemu, "main"], cwd=tmp_path, check=False).returncode == 0


@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="the versions are for x86-64")
def test_versions_for_processors_of_x86_64_agree(compiled: Callable[[str, str], gradc.Kernel], tmp_path: Path) -> None:
    kernel = compiled("f64", "network")
    kernel.save(tmp_path, format="lib", target="x86_64-linux")
    draw = np.random.default_rng(5).normal
    args = (
        {"a": draw(size=(9, 17)), "b": draw(size=17), "c": draw(size=(17, 3))},
        draw(size=(21, 9)),
        draw(size=(21, 3)),
    )
    value, grads = kernel(*args)
    expected = [value, *grads.values()]
    library = Library(tmp_path, "network_grad")
    select = library.code.network_grad_select
    select.restype = ctypes.c_void_p
    versions = {name: getattr(library.code, f"network_grad{name}") for name in ("", "_avx2", "_avx512")}
    addresses = {ctypes.cast(f, ctypes.c_void_p).value: name for name, f in versions.items()}
    able = {"": 128, "_avx2": 256, "_avx512": 512}
    chosen = addresses[select()]
    assert able[chosen] == host().vector_bits or (host().vector_bits == 256 and chosen == "")
    for name, function in versions.items():
        if able[name] <= able[chosen]:
            library.function = function
            function.restype = ctypes.c_int
            status, results = library([*args[0].values(), *args[1:]])
            assert status == 0
            for result, right in zip(results, expected, strict=True):
                np.testing.assert_allclose(result, right, rtol=1e-12, atol=1e-14)
    text = (tmp_path / "network_grad.h").read_text()
    assert "network_grad_function network_grad_select(void);" in text
    assert [v["cpu"] for v in json.loads((tmp_path / "network_grad.json").read_text())["target"]["versions"]] == [
        "x86-64", "x86-64-v3", "x86-64-v4",
    ]  # fmt: skip


@pytest.mark.parametrize("machine", [m for m in MACHINES if "linux" not in m])
def test_objects_of_other_formats_are_written(
    machine: str, compiled: Callable[[str, str], gradc.Kernel], tmp_path: Path
) -> None:
    if machine.startswith("x86_64") and not host().triple.startswith("x86_64"):
        pytest.skip("versions for processors of x86-64 are made on x86-64")
    kernel = compiled("f32", "network")
    kernel.save(tmp_path, format="lib", target=machine)
    magic = (tmp_path / "network_grad.o").read_bytes()[:4]
    formats = {"macos": b"\xcf\xfa\xed\xfe", "windows": b"\x64\x86", "cortex-m4": b"\x7fELF"}
    expected = next(start for name, start in formats.items() if name in machine)
    assert magic.startswith(expected)
    assert not (tmp_path / "libnetwork_grad.so").exists()


WHOLE = """
#include <stddef.h>
#include "scalars_grad.h"
int start(void) {
    static const scalars_grad_in in = {0.5f, 0.25f, 2.0f, 1.0f};
    scalars_grad_out out;
    return (int)scalars_grad_selftest() + (int)CHOSEN(&in, &out, NULL);
}
"""
LD64 = next(filter(shutil.which, ["ld64.lld", *(f"ld64.lld-{version}" for version in range(25, 12, -1))]), None)
HAS_ZIG = importlib.util.find_spec("ziglang") is not None
LLD_LINK = ["lld-link"] if shutil.which("lld-link") else [sys.executable, "-m", "ziglang", "lld-link"] * HAS_ZIG
LINKED = {
    # machine: clang's target, the command that links, and how a program begins
    "x86_64-windows": (
        "x86_64-w64-windows-gnu",
        LLD_LINK and [*LLD_LINK, "/entry:start", "/subsystem:console", "/nodefaultlib", "/out:main"],
        b"MZ",
    ),
    "x86_64-macos": (
        "x86_64-apple-macos11",
        LD64 and [LD64, "-arch", "x86_64", "-platform_version", "macos", "11.0", "11.0", "-dylib", "-o", "main"],
        b"\xcf\xfa\xed\xfe",
    ),
    "aarch64-macos": (
        "arm64-apple-macos11",
        LD64 and [LD64, "-arch", "arm64", "-platform_version", "macos", "11.0", "11.0", "-dylib", "-o", "main"],
        b"\xcf\xfa\xed\xfe",
    ),
}  # fmt: skip


@pytest.mark.skipif(shutil.which("clang") is None, reason="there is no clang, which compiles for every machine")
@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="versions for processors of x86-64 are made there")
@pytest.mark.parametrize("machine", LINKED)
def test_archives_of_other_formats_are_linked(
    machine: str, compiled: Callable[[str, str], gradc.Kernel], tmp_path: Path
) -> None:
    """Linkers of Windows and macOS find every symbol in the archive, and miss none."""
    triple, link, magic = LINKED[machine]
    if not link:
        pytest.skip(f"there is no lld for {machine}")
    compiled("f32", "scalars").save(tmp_path, format="lib", target=machine)
    chosen = "scalars_grad_select()" if machine.startswith("x86_64") else "scalars_grad"
    (tmp_path / "start.c").write_text(WHOLE.replace("CHOSEN", chosen))
    compile_it = ["clang", f"--target={triple}", "-ffreestanding", "-O1", "-Werror", "-c", "start.c", "-o", "start.o"]
    for command in (compile_it, [*map(str, link), "start.o", "libscalars_grad.a"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "main").read_bytes().startswith(magic)


@pytest.mark.parametrize("cpu", ["cortex-m4", "cortex-m7"])
def test_doubles_are_refused_where_there_are_none(
    cpu: str, compiled: Callable[[str, str], gradc.Kernel], tmp_path: Path
) -> None:
    inverse = gradc.jit(scipy.special.betaincinv, name="network_grad").compile(*[gradc.aval("f32[3]")] * 3)
    message = "cannot run network_grad.* it computes in f64, which that machine has no instructions for"
    for kernel, remedy in (
        (compiled("f64", "network"), r"; take its arguments in f32 \(--dtype f32\)"),
        (inverse, "$"),
    ):
        for form in ("lib", "c"):
            with pytest.raises(CompileError, match=message + remedy):
                kernel.save(tmp_path, format=form, target="cortex-m4", cpu=cpu)
    assert not list(tmp_path.iterdir())


def test_a_single_processor_has_one_version(compiled: Callable[[str, str], gradc.Kernel], tmp_path: Path) -> None:
    built = build(compiled("f64", "network")._compiled, choose("x86_64-linux", "haswell"), name="network_grad")
    assert built.symbols == ["network_grad", "network_grad_selftest"]
    assert built.codes[0].target.vector_bits == 256


@pytest.mark.parametrize("found", ["ld.lld", "ziglang"])
def test_any_linker_makes_the_shared_library(
    found: str, monkeypatch: pytest.MonkeyPatch, compiled: Callable[[str, str], gradc.Kernel], tmp_path: Path
) -> None:
    if found == "ld.lld" and shutil.which("ld.lld") is None:
        pytest.skip("there is no ld.lld")
    if found == "ziglang" and importlib.util.find_spec("ziglang") is None:
        pytest.skip("there is no ziglang")
    which = shutil.which
    monkeypatch.setattr("shutil.which", lambda name: which(name) if name == found else None)
    kernel = compiled("f64", "scalars")
    kernel.save(tmp_path, format="lib")
    status, results = Library(tmp_path, "scalars_grad")([0.5, 0.25, 2.0, 1.0])
    value, grads = kernel(0.5, 0.25, 2.0, 1.0)
    assert status == 0
    assert [r.tobytes() for r in results] == [np.asarray(e).tobytes() for e in (value, *grads)]


@pytest.mark.parametrize(
    ("choices", "machine"),
    [
        ({"format": "lib", "target": "cortex-m4"}, "cortex-m4"),
        ({"format": "lib", "target": "armv7-linux"}, "armv7-linux"),
        ({"format": "c", "target": "cortex-m4"}, "cortex-m4"),
        ({"format": "ir", "target": "armv7-linux"}, "armv7-linux"),
        ({"format": "wasm"}, "wasm32"),
    ],
)
def test_arrays_beyond_all_addresses_are_refused(choices: Any, machine: str, tmp_path: Path) -> None:
    kernel = gradc.jit(np.sum, name="total").compile(gradc.aval("f32[30000,30000]"))
    with pytest.raises(CompileError, match=rf"^{machine} cannot run total: \w+ has 3600000000 bytes, and .* 32 bits$"):
        kernel.save(tmp_path, **choices)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["lib", "c", "ir"])
def test_a_selftest_that_does_not_fit_into_memory_is_told(form: Any, tmp_path: Path) -> None:
    kernel = gradc.jit(np.sum, name="total").compile(gradc.aval("f32[1000000000000]"))
    with pytest.raises(CompileError, match=r"total cannot be run for its self-test: .*; make sizes symbolic"):
        kernel.save(tmp_path, format=form)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("target", "cpu", "message"),
    [
        ("vax", None, "target='vax' is not one of 'x86_64-linux', 'x86_64-macos'"),
        ("aarch64-linux", "z80", "cpu='z80' is not one that aarch64-linux is known to have: 'generic', 'cortex-a53'"),
    ],
)
def test_unknown_machines_are_refused(target: str, cpu: str | None, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        choose(target, cpu)


def test_a_module_has_no_machine(compiled: Callable[[str, str], gradc.Kernel], tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"target='cortex-m4' is for format=.lib. and .c. and .ir."):
        compiled("f64", "network").save(tmp_path / "m.py", target="cortex-m4")


CHOICE = """
#include <stdio.h>
#include "scalars_grad.h"
int main(void) {
    scalars_grad_function chosen = scalars_grad_select();
    puts(chosen == scalars_grad_avx512 ? "avx512" : chosen == scalars_grad_avx2 ? "avx2" : "plain");
    return (int)scalars_grad_selftest();
}
"""


@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="the versions are for x86-64")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
@pytest.mark.skipif(shutil.which("qemu-x86_64") is None, reason="qemu-x86_64 is not there")
@pytest.mark.parametrize(("cpu", "version"), [("Nehalem", "plain"), ("SandyBridge", "plain"), ("Haswell", "avx2")])
def test_each_processor_gets_a_version_that_it_runs(
    cpu: str, version: str, compiled: Callable[[str, str], gradc.Kernel], tmp_path: Path
) -> None:
    compiled("f64", "scalars").save(tmp_path, format="lib", target="x86_64-linux")
    (tmp_path / "main.c").write_text(CHOICE)
    command = ["gcc", "-std=c99", "-static", "main.c", "libscalars_grad.a", "-o", "main"]
    if subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode:
        pytest.skip("there is no static C library")
    done = subprocess.run(
        ["qemu-x86_64", "-cpu", cpu, "main"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"{version}\n")
