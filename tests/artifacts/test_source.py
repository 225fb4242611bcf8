"""Saved C source: golden files, the bits of the library for the same machine, what it asks of a compiler, refusals."""

from __future__ import annotations

import importlib.util
import itertools
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.artifacts.source import c_source, source_files
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.targets import choose
from gradc.errors import ArgumentError, CompileError
from tests.artifacts.kernels import NAMES
from tests.artifacts.libraries import Library

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wvla", "-O2", "-ffp-contract=off"]
FLAGS = {"x86-64": [], "x86-64-v3": ["-mavx2", "-mfma"], "host": ["-march=native"]}


@pytest.mark.parametrize("name", ["loss", "matrices"])
def test_golden_source(name: str, sample: Callable[..., Any], golden: Callable[[str, str], None]) -> None:
    kernel, _ = sample(name, "llvm")
    files = source_files(kernel._compiled, choose("x86_64-linux", "x86-64").base, name=kernel.name)
    assert list(files) == [f"{name}_grad.h", f"{name}_grad.c"]
    golden(f"artifacts/{name}_grad.c", files[f"{name}_grad.c"].decode())


def compiled(kernel: gradc.Kernel, folder: Path, cpu: str, compiler: str) -> tuple[Library, Library]:
    """The library of a kernel, and its source as one."""
    machine = {} if cpu == "host" else {"target": "x86_64-linux", "cpu": cpu}
    made, written = folder / "made", folder / f"written {compiler}"
    kernel.save(made, format="lib", **machine)
    kernel.save(written, format="c", **machine)
    shutil.copy(made / f"{kernel.name}.json", written)
    command = [compiler, *STRICT, *FLAGS[cpu], "-shared", "-fPIC", "-o", f"lib{kernel.name}.so", f"{kernel.name}.c"]
    done = subprocess.run(command, cwd=written, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]
    return Library(made, kernel.name), Library(written, kernel.name)


def arrays_of(args: Any) -> list[np.ndarray]:
    found: list[np.ndarray] = []

    def collect(tree: Any) -> None:
        children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else None
        if children is None:
            found.append(np.asarray(tree))
        else:
            for child in children:
                collect(child)

    collect(args)
    return found


@pytest.mark.skipif(not COMPILERS, reason="there is no C compiler")
@pytest.mark.parametrize("cpu", FLAGS)
@pytest.mark.parametrize("name", NAMES)
def test_source_gives_the_bits_of_the_library(name: str, cpu: str, sample: Callable[..., Any], tmp_path: Path) -> None:
    kernel, args = sample(name, "llvm")
    sizes = {"batch": 7} if name == "regression" else {}
    for compiler in COMPILERS:
        made, written = compiled(kernel, tmp_path, cpu, compiler)
        arrays = arrays_of((*args, 2.0) if name == "regression" else args)  # the scale's default
        outputs = [a["name"] for a in made.about["outputs"]]
        choices = [(), *itertools.combinations(outputs, len(outputs) - 1)] if name != "loss" else [()]
        for without in choices:
            expected, actual = (library(arrays, without=without, **sizes) for library in (made, written))
            assert expected[0] == actual[0] == 0
            for right, got in zip(expected[1], actual[1], strict=True):
                assert (got is None) == (right is None)
                assert got is None or np.asarray(got).tobytes() == np.asarray(right).tobytes()


def convolution(w: Any, x: Any) -> Any:
    patches = np.concatenate([x[:, i : i + 19, j : j + 23, :] for i in range(3) for j in range(2)], axis=3)
    return np.sum(np.maximum(np.reshape(patches, (-1, 18)) @ w, 0.0) ** 2)


@pytest.mark.skipif(not COMPILERS, reason="there is no C compiler")
@pytest.mark.parametrize("cpu", FLAGS)
def test_windows_are_summed_in_the_same_order(cpu: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    w, x = rng.normal(size=(18, 8)).astype("f4"), rng.normal(size=(5, 21, 24, 3)).astype("f4")
    kernel = gradc.value_and_grad(convolution, argnums=(0, 1)).compile(w, x)
    made, written = compiled(kernel, tmp_path, cpu, COMPILERS[0])
    expected, actual = (library([w, x]) for library in (made, written))
    assert expected[0] == actual[0] == 0
    assert [np.asarray(y).tobytes() for y in actual[1]] == [np.asarray(y).tobytes() for y in expected[1]]


SAMPLES: dict[str, tuple[Any, ...]] = {
    "checked": (lambda x, k: x[k] * 2.0, "f64[5]", "i64[40]"),
    "whole": (lambda k, b: (np.where(b, k + 1, k), b | (k > 0), np.sum(k)), "i32[20]", "bool[20]"),
}

TEST = """
#include "name.h"
#include <stdio.h>
#ifdef NAME_SELFTEST_SIZE
static _Alignas(64) unsigned char memory[NAME_SELFTEST_SIZE];
#else
#define memory
#endif
int main(void)
{
    const int status = name_selftest(memory);
    return printf("%s", status == NAME_OK ? "OK" : status == NAME_WRONG ? "WRONG" : "?") < 0;
}
"""


def network(w: Any, x: Any, y: Any) -> Any:
    h = np.tanh(x @ w["a"] + w["b"])
    z = h @ w["c"]
    return np.mean(np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0) - y * z) + 0.01 * np.sum(w["a"] ** 2)


LINKS = shutil.which("ld.lld") is not None or importlib.util.find_spec("ziglang") is not None

MAIN = """
#include "made.h"
#include "written.h"
#include <string.h>
static double a[153], b[17], c[51], x[189], y[63], ours[222], theirs[222];
static _Alignas(64) unsigned char one[MADE_WORKSPACE_SIZE], other[WRITTEN_WORKSPACE_SIZE];
static void fill(double *to, int count, int seed)
{
    for (int k = 0; k < count; k++) to[k] = ((k * 37 + seed) % 61 - 30) / 17.0;
}
int main(void)
{
    fill(a, 153, 1); fill(b, 17, 2); fill(c, 51, 3); fill(x, 189, 4); fill(y, 63, 5);
    if (made(a, b, c, x, y, ours, ours + 1, ours + 154, ours + 171, one) != 0) return 2;
    if (written(a, b, c, x, y, theirs, theirs + 1, theirs + 154, theirs + 171, other) != 0) return 3;
    return ours[0] == 0.0 || memcmp(ours, theirs, sizeof ours) != 0;
}
"""


@pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="qemu-aarch64 is not there")
@pytest.mark.skipif(shutil.which("aarch64-linux-gnu-gcc") is None, reason="there is no gcc for AArch64")
@pytest.mark.skipif(not LINKS, reason="there is no ld.lld, nor ziglang, which has one")
def test_source_gives_the_bits_of_the_library_on_aarch64(tmp_path: Path) -> None:
    weights = {"a": gradc.aval("f64[9,17]"), "b": gradc.aval("f64[17]"), "c": gradc.aval("f64[17,3]")}
    kernel = gradc.value_and_grad(network).compile(weights, gradc.aval("f64[21,9]"), gradc.aval("f64[21,3]"))
    kernel.save(tmp_path, format="lib", name="made", target="aarch64-linux")
    kernel.save(tmp_path, format="c", name="written", target="aarch64-linux")
    (tmp_path / "main.c").write_text(MAIN)
    flags = [*STRICT[1:], "-std=c11", "-static", "-o", "main"]
    command = ["aarch64-linux-gnu-gcc", *flags, "main.c", "written.c", "made.o"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert subprocess.run(["qemu-aarch64", "./main"], cwd=tmp_path, check=False).returncode == 0


@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="there is no gcc for Cortex-M")
def test_a_machine_without_doubles_computes_in_none(tmp_path: Path) -> None:
    weights = {"a": gradc.aval("f32[9,17]"), "b": gradc.aval("f32[17]"), "c": gradc.aval("f32[17,3]")}
    kernel = gradc.value_and_grad(network).compile(weights, gradc.aval("f32[21,9]"), gradc.aval("f32[21,3]"))
    kernel.save(tmp_path, format="c", target="cortex-m4")
    machine = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-ffreestanding"]
    command = ["arm-none-eabi-gcc", *machine, *STRICT, "-Wdouble-promotion", "-c", f"{kernel.name}.c", "-o", "kernel.o"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    symbols = subprocess.run(["nm", "-u", "kernel.o"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert set(symbols.split()) <= {"U", "memset", "memcpy"}


@pytest.mark.parametrize("name", NAMES)
def test_functions_call_those_above_them_alone(name: str, sample: Callable[..., Any]) -> None:
    """So nothing recurses: none is declared before it is defined, and none calls itself."""
    kernel, _ = sample(name, "llvm")
    source = c_source(kernel._compiled, name=kernel.name)
    head = r"^(?:static (?:inline )?)?[\w]+ \*?(\w+)\(([^;{]*?)\)(\n\{|;)"
    functions = list(re.finditer(head, source, re.MULTILINE))
    assert len(functions) > 3
    assert all(function[3] == "\n{" for function in functions)
    for position, function in enumerate(functions):
        end = functions[position + 1].start() if position + 1 < len(functions) else len(source)
        called = set(re.findall(r"\b(\w+)\(", source[function.end() : end]))
        assert not called & {later[1] for later in functions[position:]}, function[1]


@pytest.mark.skipif("gcc" not in COMPILERS, reason="there is no gcc")
def test_nothing_is_called(sample: Callable[..., Any], tmp_path: Path) -> None:
    kernel, _ = sample("classifier", "llvm")
    kernel.save(tmp_path, format="c")
    flags = [*STRICT, "-march=native", "-ffreestanding", "-fno-tree-loop-distribute-patterns"]
    subprocess.run(["gcc", *flags, "-c", f"{kernel.name}.c", "-o", "kernel.o"], cwd=tmp_path, check=True)
    symbols = subprocess.run(["nm", "kernel.o"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    found = [line.split()[1:] for line in symbols.splitlines() if line.split()[-2] not in "rt"]
    assert found == [["T", kernel.name], ["T", f"{kernel.name}_selftest"]]


REFUSED = {
    "-O2": "made for a machine with fused multiply-adds: compile with -mfma",
    "-Ofast -mfma": "results would differ: compile without -ffast-math",
    "-ffinite-math-only -mfma": "NaN and infinities would be lost: compile without -ffinite-math-only",
    "-fassociative-math -fno-signed-zeros -fno-trapping-math -mfma": "sums would be reordered: compile without",
    "-freciprocal-math -mfma": "quotients would be rounded otherwise: compile without -freciprocal-math",
    "-fno-signed-zeros -mfma": "signs of zeros would be lost: compile without -fno-signed-zeros",
    "-mfpmath=387 -mfma": "results would differ: compile for registers of the width of the types",
    "-mfpmath=sse+387 -mfma": "results would differ: compile for registers of the width of the types",
    "-fsingle-precision-constant -mfma": "classifier_grad_constants_are_doubles",
}


@pytest.mark.skipif("gcc" not in COMPILERS, reason="there is no gcc")
@pytest.mark.skipif(host().triple.split("-")[0] != "x86_64", reason="the flags are those of x86-64")
@pytest.mark.parametrize("flags", REFUSED)
def test_a_compiler_that_would_change_results_is_told(flags: str, sample: Callable[..., Any], tmp_path: Path) -> None:
    kernel, _ = sample("classifier", "llvm")
    kernel.save(tmp_path, format="c", target="x86_64-linux", cpu="x86-64-v3")
    command = ["gcc", "-std=c99", *flags.split(), "-c", f"{kernel.name}.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert REFUSED[flags] in done.stderr


def test_single_precision_knows_no_doubles(tmp_path: Path) -> None:
    """Programs for small processors are compiled with -fsingle-precision-constant."""
    gradc.grad(lambda x: np.sum(np.tanh(x)), name="step").compile(gradc.aval("f32[3]")).save(
        tmp_path, format="c", target="cortex-m4"
    )
    assert "double" not in (tmp_path / "step.c").read_text().replace("registers of the width", "")


@pytest.mark.skipif("gcc" not in COMPILERS, reason="there is no gcc")
@pytest.mark.parametrize("name", [*NAMES, "checked", "whole"])
def test_source_tests_itself(name: str, sample: Callable[..., Any], tmp_path: Path) -> None:
    if name in SAMPLES:
        kernel = gradc.jit(SAMPLES[name][0], name=name).compile(*map(gradc.aval, SAMPLES[name][1:]))
    else:
        kernel, _ = sample(name, "llvm")
    kernel.save(tmp_path, format="c")
    (tmp_path / "main.c").write_text(TEST.replace("NAME", kernel.name.upper()).replace("name", kernel.name))
    file = tmp_path / f"{kernel.name}.c"
    source = file.read_text()
    _, test = source.split(f"{kernel.name}_selftest(")
    number = next(iter(re.findall(r"\d+\.\d{9,}|(?<=\{)\d+", test)))
    other = source.replace(test, test.replace(number, f"1{number}"))
    for text, status in ((source, "OK"), (other, "WRONG")):
        file.write_text(text)
        subprocess.run(
            ["gcc", *STRICT, "-std=c11", "-march=native", "main.c", file.name, "-o", "main"], cwd=tmp_path, check=True
        )
        done = subprocess.run(["./main"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout == status


def test_the_same_bytes_every_time(sample: Callable[..., Any], tmp_path: Path) -> None:
    kernel, _ = sample("matrices", "llvm")
    kernel.save(tmp_path / "a", format="c")
    kernel.save(tmp_path / "b", format="c")
    for ending in ("c", "h"):
        one, other = ((tmp_path / folder / f"matrices_grad.{ending}").read_bytes() for folder in "ab")
        assert one == other


def test_names_and_machines_that_are_refused(sample: Callable[..., Any], tmp_path: Path) -> None:
    kernel, _ = sample("loss", "llvm")
    with pytest.raises(ArgumentError, match="name='exp' is a name of the C library; choose another name"):
        kernel.save(tmp_path, format="c", name="exp")
    with pytest.raises(ArgumentError, match="target='pdp11' is not one of"):
        kernel.save(tmp_path, format="c", target="pdp11")
    assert not list(tmp_path.iterdir())


def crowded(kernel_in: Any, KERNEL_OK: Any, KERNEL_WORKSPACE_SIZE: Any, memory: Any, fill_f64: Any) -> Any:
    KERNEL_WRONG = np.outer(kernel_in, KERNEL_OK) @ KERNEL_WORKSPACE_SIZE
    return KERNEL_WRONG * memory + fill_f64, np.exp(KERNEL_WRONG)


EDGES: dict[str, tuple[Any, ...]] = {
    "names of the header": (crowded, *["f64[3]"] * 5),
    "no elements": (lambda x: (x * 2.0, np.sum(x)), "f64[0,3]"),
    "no arguments": (lambda: np.arange(3.0),),
    "a number": (lambda: np.float64(2.0),),
    "nothing used": (lambda x, y: np.ones(2), "f64[3]", "f64[]"),
    "an argument as it is": (lambda x, n: (x, n), "i8[3]", "bool[]"),
    "numbers that are not": (lambda x: np.where(x > 2, [np.nan, np.inf, -np.inf], -0.0), "f32[3]"),
}


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("format", ["lib", "c"])
def test_edges(name: str, format: str, tmp_path: Path) -> None:
    function, *specs = EDGES[name]
    gradc.jit(function, name="kernel").compile(*map(gradc.aval, specs)).save(tmp_path, format=format)
    (tmp_path / "main.c").write_text(TEST.replace("NAME", "KERNEL").replace("name", "kernel"))
    for compiler in COMPILERS:
        command = [compiler, *STRICT, "-std=c11", "-march=native", "main.c", "-o", "main"]
        command.append("kernel.c" if format == "c" else "libkernel.a")
        subprocess.run(command, cwd=tmp_path, check=True)
        done = subprocess.run(["./main"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout == "OK"


@pytest.mark.parametrize("format", ["lib", "c", "ir"])
@pytest.mark.parametrize("result", [None, ()])
def test_a_function_without_a_result_is_refused(result: Any, format: str, tmp_path: Path) -> None:
    kernel = gradc.jit(lambda x: result, name="kernel").compile(gradc.aval("f64[3]"))
    with pytest.raises(CompileError, match="kernel has no result that C could be given: the function returns no array"):
        kernel.save(tmp_path, format=format)
    assert not list(tmp_path.iterdir())
