"""C libraries: called, and compared bit for bit with the kernel."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.artifacts.elf import symbols_of
from gradc.artifacts.library import build
from gradc.backends.llvm.library import Code, object_file
from gradc.backends.llvm.targets import choose
from tests.artifacts.kernels import NAMES, typed_kernel, wide_kernel
from tests.artifacts.libraries import Library, bits, flat, run_selftest
from tests.artifacts.programs import CC, compiled, needs_cc

HERE = choose(None, None)


@pytest.mark.parametrize("name", NAMES)
def test_library_computes_the_kernels_bits(name: str, saved: Callable[[str], Any]) -> None:
    _, library, kernel, args = saved(name)
    symbolic = name == "regression"
    given = [*flat(args), *([2.0] if symbolic else [])]  # the default of scale is an argument too
    status, results = library(given, **({"batch": 7} if symbolic else {}))
    assert status == 0
    assert bits(results) == bits(flat(kernel(*args)))


@pytest.mark.parametrize("name", NAMES)
def test_selftest_passes(name: str, saved: Callable[[str], Any]) -> None:
    folder, library, kernel, _ = saved(name)
    assert run_selftest(library.code, folder, kernel.name) == 0


@pytest.mark.parametrize("batch", [0, 1, 33])
def test_symbolic_sizes_are_arguments(batch: int, saved: Callable[[str], Any]) -> None:
    _, library, kernel, (w, _, _) = saved("regression")
    args = (w, np.full((batch, 3), 0.25), np.full((batch, 2), 0.5))
    status, results = library([*flat(args), 2.0], batch=batch)
    assert status == 0
    assert bits(results) == bits(flat(kernel(*args)))


def test_every_dtype_arrives(tmp_path: Path) -> None:
    kernel, args = typed_kernel()
    kernel.save(tmp_path, format="lib")
    library = Library(tmp_path, "typed")
    status, results = library(list(args))
    assert status == 0
    assert bits(results) == bits(flat(kernel(*args)))
    assert run_selftest(library.code, tmp_path, "typed") == 0
    text = (tmp_path / "typed.h").read_text()
    assert "const float *x, const int16_t *n, const bool *flags, float rate, bool on," in text


def test_a_failed_check_has_a_status(tmp_path: Path) -> None:
    kernel, args = typed_kernel()
    kernel.save(tmp_path, format="lib")
    status, _ = Library(tmp_path, "typed")([args[0], np.array([5, 0], np.int16), *args[2:]])
    assert status == 16
    assert "TYPED_FAILED_1 = 16" in (tmp_path / "typed.h").read_text()


def test_null_and_crooked_pointers_are_refused(saved: Callable[[str], Any]) -> None:
    _, library, _, args = saved("classifier")
    arrays = flat(args)
    memory = np.zeros(library.about["workspace"]["bytes"] + 128, np.uint8)
    address = -(-memory.ctypes.data // 64) * 64
    assert library(arrays, workspace=None)[0] == 2
    assert library(arrays, workspace=address + 8)[0] == 2
    assert library(arrays, workspace=address)[0] == 0
    pointers = [ctypes.c_void_p(None) for _ in (*library.about["inputs"], *library.about["outputs"], "workspace")]
    assert library.function(*pointers) == 1
    assert saved("loss")[1].function(*[ctypes.c_void_p(None)] * 3) == 1


@pytest.mark.parametrize("form", ["lib", "c"])
@pytest.mark.parametrize("shape", ["n,3", "0,3"])
def test_an_array_without_elements_may_be_null(shape: str, form: Any, tmp_path: Path) -> None:
    """As ``malloc(0)`` and an empty ``std::vector`` may give it."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    kernel = gradc.value_and_grad(lambda w, x: np.sum(np.tanh(x @ w)) + w[0]).compile(
        gradc.aval("f64[3]"), gradc.aval(f"f64[{shape}]"), name="total"
    )
    kernel.save(tmp_path, format=form)
    if form == "c":
        if compiler is None:
            pytest.skip("there is no C compiler")
        command = [compiler, "-std=c99", "-march=native", "-shared", "-fPIC", "-o", "libtotal.so", "total.c"]
        subprocess.run(command, cwd=tmp_path, check=True)
    function = ctypes.CDLL(str(tmp_path / "libtotal.so")).total
    w, value, gradient = np.array([7.0, 1.0, 2.0]), np.zeros(1), np.full(3, 9.0)
    memory = np.zeros(1 << 12, np.uint8)
    given, into, slope = (ctypes.c_void_p(a.ctypes.data) for a in (w, value, gradient))
    workspace = ctypes.c_void_p(memory.ctypes.data + -memory.ctypes.data % 64)

    def call(*sizes: int) -> int:
        return int(function(*map(ctypes.c_size_t, sizes), given, ctypes.c_void_p(None), into, slope, workspace))

    assert call(*([0] if shape == "n,3" else [])) == 0
    assert (value[0], gradient.tolist()) == (7.0, [1.0, 0.0, 0.0])
    if shape == "n,3":
        assert call(2) == 1


@pytest.mark.parametrize("without", [("L",), ("d_w_a",), ("d_w_b",), ("L", "d_w_a"), ("d_w_a", "d_w_b")])
def test_results_that_are_not_wanted_are_not_written(without: tuple[str, ...], tmp_path: Path) -> None:
    kernel, args = wide_kernel()
    kernel.save(tmp_path, format="lib")
    library = Library(tmp_path, "wide_grad")
    status, results = library(flat(args), without=without)
    expected = flat(kernel(*args))
    names = [a["name"] for a in library.about["outputs"]]
    assert names == ["L", "d_w_a", "d_w_b"]
    assert status == 0
    wanted = [None if n in without else e for n, e in zip(names, expected, strict=True)]
    assert bits(results) == bits(wanted)


def test_nothing_runs_where_nothing_is_wanted(tmp_path: Path) -> None:
    kernel, args = wide_kernel()
    kernel.save(tmp_path, format="lib")
    library = Library(tmp_path, "wide_grad")
    assert library(flat(args), without=("L", "d_w_a", "d_w_b"), workspace=None)[0] == 0


THREADS = r"""
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "wide_grad.h"

enum { THREADS = 10, ROUNDS = 200 };
static double a[24 * 40], b[40 * 5], x[THREADS][32 * 24], y[32 * 5];
static unsigned char workspaces[THREADS][WIDE_GRAD_WORKSPACE_SIZE + 64];
static double expected[THREADS][1 + 24 * 40 + 40 * 5], found[THREADS][1 + 24 * 40 + 40 * 5];

static int call(int k, double *out) {
    unsigned char *w = workspaces[k];
    w += (64 - (size_t)w % 64) % 64;
    return (int)wide_grad(a, b, x[k], y, out, out + 1, out + 1 + 24 * 40, w);
}

static void *work(void *arg) {
    int k = *(int *)arg, round;
    for (round = 0; round < ROUNDS; round++)
        if (call(k, found[k]) || memcmp(found[k], expected[k], sizeof found[k])) return arg;
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    int numbers[THREADS], i, k, wrong = 0;
    for (i = 0; i < 24 * 40; i++) a[i] = 0.01 * (i % 17) - 0.1;
    for (i = 0; i < 40 * 5; i++) b[i] = 0.02 * (i % 13) - 0.1;
    for (k = 0; k < THREADS; k++)
        for (i = 0; i < 32 * 24; i++) x[k][i] = 0.1 * ((i + k) % 7) - 0.3;
    for (k = 0; k < THREADS; k++) if (call(k, expected[k])) return 2;
    for (k = 0; k < THREADS; k++) {
        numbers[k] = k;
        if (pthread_create(&threads[k], NULL, work, &numbers[k])) return 3;
    }
    for (k = 0; k < THREADS; k++) {
        void *failed;
        pthread_join(threads[k], &failed);
        wrong += failed != NULL;
    }
    printf("%d\n", wrong);
    return wrong;
}
"""


@needs_cc
def test_ten_threads_with_workspaces_of_their_own(tmp_path: Path) -> None:
    wide_kernel()[0].save(tmp_path, format="lib")
    assert CC is not None
    main = compiled(tmp_path, THREADS, [CC, "-std=c99", "-pthread"], "libwide_grad.a")
    assert subprocess.run([main], capture_output=True, text=True, check=True).stdout == "0\n"


ELEMENT = r"(@wide_grad\.recorded\.1 = .* \[double )[^,]*"
TOTAL = r"(call i1 @wide_grad\.agrees\.f64\(.*@wide_grad\.recorded\.1, double [^,]*, double )[^,]*"


@pytest.mark.skipif(shutil.which("ld") is None, reason="there are no binutils")
@pytest.mark.parametrize("place", [ELEMENT, TOTAL])
def test_selftest_finds_a_wrong_result(place: str, tmp_path: Path) -> None:
    kernel, _ = wide_kernel()
    built = build(kernel._compiled, HERE, name="wide_grad")
    (code,) = built.codes
    changed, count = re.subn(place, r"\g<1>0.5", code.ir)
    assert count == 1
    (tmp_path / "wrong.o").write_bytes(object_file([Code(changed, code.target)]))
    linked = ["ld", "-shared", "-o", str(tmp_path / "wrong.so"), str(tmp_path / "wrong.o")]
    subprocess.run(linked, check=True)
    memory = np.zeros(built.selftest_bytes + 64, np.uint8)
    test = ctypes.CDLL(str(tmp_path / "wrong.so")).wide_grad_selftest
    assert test(ctypes.c_void_p(-(-memory.ctypes.data // 64) * 64)) == 3
    assert test(ctypes.c_void_p(None)) == 2


def test_checks_on_data_take_part_in_the_selftest(tmp_path: Path) -> None:
    kernel = gradc.jit(np.linalg.cholesky, name="factor").compile(gradc.aval("f64[6,6]"))
    kernel.save(tmp_path, format="lib")
    built = build(kernel._compiled, HERE, name="factor")
    assert built.recording.fill.diagonal
    assert built.recording.status == 0
    library = Library(tmp_path, "factor")
    assert run_selftest(library.code, tmp_path, "factor") == 0
    assert library([-np.eye(6)])[0] == 16


def chain(x: Any, y: Any) -> Any:
    h = np.tanh(x @ y)
    return h, h @ x, np.sum(h)


@pytest.mark.parametrize("without", [("result",), ("result_2",), ("result", "result_2")])
def test_a_result_that_others_are_made_of_has_spare_memory(without: tuple[str, ...], tmp_path: Path) -> None:
    kernel = gradc.jit(chain, threads=1).compile(gradc.aval("f64[30,40]"), gradc.aval("f64[40,30]"))
    kernel.save(tmp_path, format="lib")
    library = Library(tmp_path, "chain")
    args = [np.linspace(-1, 1, 1200).reshape(30, 40), np.linspace(0, 1, 1200).reshape(40, 30)]
    names = [a["name"] for a in library.about["outputs"]]
    status, results = library(args, without=tuple(n for n in without if n in names))
    assert status == 0
    wanted = [None if n in without else e for n, e in zip(names, kernel(*args), strict=True)]
    assert bits(results) == bits(wanted)


def test_arrays_from_outside_are_part_of_the_library(tmp_path: Path) -> None:
    weights = np.random.default_rng(4).normal(size=(64, 80))
    kernel = gradc.jit(lambda x: np.tanh(weights @ x), threads=1, name="layer").compile(gradc.aval("f64[80]"))
    kernel.save(tmp_path, format="lib")
    x = np.linspace(-1, 1, 80)
    status, results = Library(tmp_path, "layer")([x])
    assert status == 0
    assert bits(results) == bits([kernel(x)])
    assert symbols_of((tmp_path / "layer.o").read_bytes()).undefined == ()
