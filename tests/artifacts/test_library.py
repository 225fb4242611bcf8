"""C libraries: compiled into C and C++ programs, called, compared bit for bit with the kernel, and looked into."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.artifacts.elf import symbols_of
from gradc.artifacts.header import Declared, header
from gradc.artifacts.library import Built, build, library_files
from gradc.backends.llvm.library import Code, object_file
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.targets import choose
from gradc.errors import ArgumentError, CompileError
from tests.artifacts.libraries import Library, aligned

CC = shutil.which("gcc") or shutil.which("clang")
CXX = shutil.which("g++") or shutil.which("clang++")
needs_cc = pytest.mark.skipif(CC is None, reason="there is no C compiler")
needs_nm = pytest.mark.skipif(shutil.which("nm") is None, reason="there are no binutils")

STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-O1"]
PLAIN = choose("x86_64-linux", "x86-64")
HERE = choose(None, None)
NAMES = ["loss", "matrices", "classifier", "regression", "recurrence"]


def flat(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for child in tree.values() for leaf in flat(child)]
    if isinstance(tree, list | tuple):
        return [leaf for child in tree for leaf in flat(child)]
    return [tree]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, sample: Callable[..., Any]) -> Callable[[str], Any]:
    """``saved("loss")``: directory, library, LLVM kernel and arguments."""
    made: dict[str, Any] = {}

    def make(name: str) -> Any:
        if name not in made:
            kernel, args = sample(name, backend="llvm")
            folder = tmp_path_factory.mktemp(name)
            kernel.save(folder, format="lib")
            made[name] = (folder, Library(folder, kernel.name), kernel, args)
        return made[name]

    return make


def said(*command: str | Path) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def bits(arrays: Sequence[Any]) -> list[bytes | None]:
    return [None if a is None else np.asarray(a).tobytes() for a in arrays]


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


def run_selftest(code: Any, folder: Path, name: str) -> int:
    text = (folder / f"{name}.h").read_text()
    macro = f"#define {name.upper()}_SELFTEST_SIZE"
    sizes = [int(line.split()[2]) for line in text.splitlines() if line.startswith(macro)]
    test = getattr(code, f"{name}_selftest")
    if not sizes:
        return int(test())
    memory, _ = aligned(sizes[0])
    return int(test(ctypes.c_void_p(memory.ctypes.data)))


@pytest.mark.parametrize("batch", [0, 1, 33])
def test_symbolic_sizes_are_arguments(batch: int, saved: Callable[[str], Any]) -> None:
    _, library, kernel, (w, _, _) = saved("regression")
    args = (w, np.full((batch, 3), 0.25), np.full((batch, 2), 0.5))
    status, results = library([*flat(args), 2.0], batch=batch)
    assert status == 0
    assert bits(results) == bits(flat(kernel(*args)))


def typed(x: Any, n: Any, flags: Any, rate: Any, on: Any) -> Any:
    return {
        "scaled": np.where(flags, x * rate, x),
        "picked": x[n],
        "count": np.sum(n) + 1,
        "both": np.logical_and(flags, on),
    }


def typed_kernel() -> tuple[gradc.Kernel, tuple[Any, ...]]:
    x = np.linspace(-2, 2, 5, dtype=np.float32)
    args = (x, np.array([4, 0], np.int16), np.array([True, False, True, True, False]), np.float32(0.3), np.True_)
    return gradc.jit(typed, name="typed").compile(*args), args


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


def wide(w: Any, x: Any, y: Any) -> Any:
    h = np.tanh(x @ w["a"])
    return np.mean((h @ w["b"] - y) ** 2)


def wide_kernel() -> tuple[gradc.Kernel, tuple[Any, ...]]:
    draw = np.random.default_rng(3).normal
    args = ({"a": draw(size=(24, 40)), "b": draw(size=(40, 5))}, draw(size=(32, 24)), draw(size=(32, 5)))
    return gradc.value_and_grad(wide).compile(*args), args


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


@needs_nm
@pytest.mark.parametrize("name", [*NAMES, "wide"])
def test_object_needs_nothing_and_writes_nothing(name: str, saved: Callable[[str], Any], tmp_path: Path) -> None:
    if name == "wide":
        folder, stem = tmp_path, "wide_grad"
        wide_kernel()[0].save(folder, format="lib")
    else:
        folder, _, kernel, _ = saved(name)
        stem = kernel.name
    for file in (f"{stem}.o", f"lib{stem}.so"):
        assert said("nm", "-u", *(["-D"] if file.endswith(".so") else []), folder / file) == ""
    listed = said("nm", "-g", folder / f"{stem}.o")
    assert sorted(line.split()[-1] for line in listed.splitlines()) == [stem, f"{stem}_selftest"]
    sections = subprocess.run(
        ["readelf", "-SW", folder / f"{stem}.o"], capture_output=True, text=True, check=True
    ).stdout
    for line in sections.splitlines():
        columns = line.partition("]")[2].split()
        if len(columns) >= 9 and "W" in columns[6]:
            pytest.fail(f"a section is writable: {line}")


def program(name: str, size: int, body: str = "") -> str:
    """A C program that runs the self-test, in static memory."""
    memory = f"static union {{ unsigned char bytes[{size} + 64]; double d; }} memory;\n" if size else ""
    address = "memory.bytes + (64 - (size_t)memory.bytes % 64) % 64" if size else ""
    return (
        f'#include <stddef.h>\n#include <stdio.h>\n#include "{name}.h"\n#include "{name}.h"\n{memory}'
        f"int main(void) {{\n    {name}_status status = {name}_selftest({address});\n{body}"
        f'    printf("%d\\n", (int)status);\n    return status == {name.upper()}_OK ? 0 : 1;\n}}\n'
    )


def compiled(folder: Path, source: str, compiler: Sequence[str], *more: str) -> Path:
    """The program of a source in ``folder``."""
    suffix = "cc" if "++" in compiler[0] else "c"
    (folder / f"main.{suffix}").write_text(source)
    command = [*compiler, *STRICT, f"main.{suffix}", *more, "-o", "main"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "main"


@needs_cc
@pytest.mark.parametrize("language", ["c99", "c11", "c++11", "c++20"])
@pytest.mark.parametrize("name", ["loss", "classifier", "regression", "typed"])
def test_header_and_archive_make_a_program(
    name: str, language: str, sample: Callable[..., Any], tmp_path: Path
) -> None:
    kernel = typed_kernel()[0] if name == "typed" else sample(name, backend="llvm").kernel
    kernel.save(tmp_path, format="lib")
    compiler = CXX if "++" in language else CC
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    built = build(kernel._compiled, HERE, name=kernel.name)
    source = program(kernel.name, built.selftest_bytes)
    main = compiled(tmp_path, source, [compiler, f"-std={language}"], f"lib{kernel.name}.a")
    assert subprocess.run([main], capture_output=True, text=True, check=True).stdout == "0\n"


def plain_library(kernel: gradc.Kernel, folder: Path) -> Built:
    """A library for any x86-64, which tools that know no newer instructions can run."""
    built = build(kernel._compiled, PLAIN, name=kernel.name)
    for file, content in library_files([built], PLAIN, name=kernel.name).items():
        (folder / file).write_bytes(content)
    return built


@needs_cc
@pytest.mark.skipif(host().triple.split("-")[0] != "x86_64", reason="the library is for x86-64")
@pytest.mark.parametrize(
    ("tool", "flags"),
    [
        ("valgrind", []),
        ("sanitizers", ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]),
    ],
)
def test_memory_checkers_find_nothing(tool: str, flags: list[str], tmp_path: Path) -> None:
    if tool == "valgrind" and shutil.which("valgrind") is None:
        pytest.skip("valgrind is not there")
    kernel, _ = wide_kernel()
    built = plain_library(kernel, tmp_path)
    size = built.selftest_bytes
    heap = "#include <stdlib.h>\n#include <stdint.h>\n" + program("wide_grad", 0).replace(
        "int main(void) {", f"int main(void) {{\n    char *block = (char *)malloc({size} + 64);"
    ).replace("selftest()", "selftest(block + (64 - (uintptr_t)block % 64) % 64)").replace(
        "    printf", "    free(block);\n    printf"
    )
    assert CC is not None
    try:
        main = compiled(tmp_path, heap, [CC, "-std=c99", *flags], "libwide_grad.a")
    except AssertionError:
        if flags and not _links_sanitizers(tmp_path):
            pytest.skip("the compiler has no sanitizers")
        raise
    before = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full"] if tool == "valgrind" else []
    done = subprocess.run([*before, main], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def _links_sanitizers(folder: Path) -> bool:
    (folder / "empty.c").write_text("int main(void) { return 0; }\n")
    command = [str(CC), "-fsanitize=address,undefined", "empty.c", "-o", "empty"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


@needs_cc
@needs_nm
def test_the_selftest_is_left_out_where_nothing_calls_it(saved: Callable[[str], Any], tmp_path: Path) -> None:
    folder, _, _, _ = saved("loss")
    source = (
        '#include <stddef.h>\n#include "loss_grad.h"\nint main(void) {\n    loss_grad_in in = {0};\n'
        "    loss_grad_out out;\n    return (int)loss_grad(&in, &out, NULL);\n}\n"
    )
    flags = [f"-I{folder}", f"{folder}/libloss_grad.a", "-Wl,--gc-sections"]
    assert CC is not None
    main = compiled(tmp_path, source, [CC, "-std=c99"], *flags)
    listed = said("nm", main)
    assert " loss_grad\n" in listed
    assert "selftest" not in listed
    assert subprocess.run([main], check=False).returncode == 0


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


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import networks, gradc, numpy as np\n"
        "k = gradc.value_and_grad(networks.matrices).compile("
        "{'hidden': np.ones((2, 2)), 'out': np.ones((1, 2))}, np.ones((2, 5)), np.ones((1, 5)))\n"
        "k.save(sys.argv[2], format='lib')"
    )
    for seed in ("1", "2"):
        command = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path / seed)]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
    one, other = ({f.name: f.read_bytes() for f in (tmp_path / seed).iterdir()} for seed in ("1", "2"))
    assert sorted(one) == [
        "libmatrices_grad.a", "libmatrices_grad.so", "matrices_grad.gir", "matrices_grad.h", "matrices_grad.json",
        "matrices_grad.o", "matrices_grad.pc", "matrices_gradConfig.cmake",
    ]  # fmt: skip
    assert one == other


def test_files_appear_all_or_none(tmp_path: Path, sample: Callable[..., Any]) -> None:
    kernel = sample("loss", backend="llvm").kernel
    (tmp_path / "loss_grad.json").mkdir()
    with pytest.raises(ArgumentError, match=r"loss_grad\.json' is a directory"):
        kernel.save(tmp_path, format="lib")
    assert [f.name for f in tmp_path.iterdir()] == ["loss_grad.json"]


def test_a_file_is_no_directory(tmp_path: Path, sample: Callable[..., Any]) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ArgumentError, match="is a file; give a directory"):
        sample("loss", backend="llvm").kernel.save(tmp_path / "taken", format="lib")


@pytest.mark.parametrize("name", ["int", "exp", "class", "a b"])
def test_the_symbol_is_the_users_but_not_any(name: str, sample: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="choose"):
        sample("loss", backend="llvm").kernel.save(tmp_path, format="lib", name=name)
    assert not list(tmp_path.iterdir())


def test_without_a_linker_the_error_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch, sample: Callable[..., Any], tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CompileError, match=r"needs a linker for .*pip install 'gradc\[cross\]'"):
        sample("loss", backend="llvm").kernel.save(tmp_path, format="lib")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["loss", "classifier", "regression"])
def test_golden_header(name: str, sample: Callable[..., Any], golden: Callable[[str, str], None]) -> None:
    kernel = sample(name, backend="llvm").kernel
    built = build(kernel._compiled, PLAIN, name=kernel.name)
    interface = built.interface
    if isinstance(interface.workspace, int) and interface.workspace:
        interface = replace(interface, workspace=896)  # whatever the arena's plan makes of it
    text = header([Declared(interface, built.selftest_bytes)], name=kernel.name, runs_on="Runs on any x86-64.")
    golden(f"artifacts/{name}_grad.h", text)
    assert max(map(len, text.splitlines())) <= 120


def test_manifest_tells_how_to_call(saved: Callable[[str], Any]) -> None:
    folder, _, kernel, _ = saved("regression")
    manifest = json.loads((folder / "regression_grad.json").read_text())
    (function,) = manifest["functions"]
    assert function["sizes"] == ["batch"]
    assert function["inputs"][2] == {
        "name": "x", "path": "x", "dtype": "float64", "c_type": "double", "shape": ["batch", 3], "layout": "row-major",
    }  # fmt: skip
    assert [a["path"] for a in function["outputs"]] == ["L", 'dL/dw["a"]', 'dL/dw["b"]']
    assert function["compiled_in"] == {"mode": "'mean'"}
    assert function["flops"] == str(kernel.cost.flops)
    assert [version["cpu"] for version in manifest["target"]["versions"]] == [host().cpu]
    assert manifest["gradc"] == gradc.__version__


@needs_cc
@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="pkg-config is not there")
def test_pkg_config_finds_the_library(saved: Callable[[str], Any], tmp_path: Path) -> None:
    folder, _, _, _ = saved("loss")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(folder)}
    command = ["pkg-config", "--cflags", "--libs", "loss_grad"]
    flags = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    assert CC is not None
    main = compiled(tmp_path, program("loss_grad", 0), [CC, "-std=c99"], *flags, f"-Wl,-rpath,{folder}")
    assert subprocess.run([main], capture_output=True, text=True, check=True).stdout == "0\n"


@needs_cc
@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not there")
def test_cmake_finds_the_library(saved: Callable[[str], Any], tmp_path: Path) -> None:
    folder, _, _, _ = saved("loss")
    (tmp_path / "main.c").write_text(program("loss_grad", 0))
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.10)\nproject(main C)\nfind_package(loss_grad CONFIG REQUIRED)\n"
        "add_executable(main main.c)\ntarget_link_libraries(main loss_grad::loss_grad)\n"
    )
    configure = ["cmake", "-S", ".", "-B", "out", f"-DCMAKE_PREFIX_PATH={folder}"]
    for command in (configure, ["cmake", "--build", "out"]):
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert subprocess.run([tmp_path / "out" / "main"], capture_output=True, text=True, check=True).stdout == "0\n"


def test_undefined_symbols_are_seen() -> None:
    ir = "declare void @elsewhere()\ndefine void @here() {\n  call void @elsewhere()\n  ret void\n}\n"
    found = symbols_of(object_file([Code(ir, host())]))
    assert found.defined == ("here",)
    assert found.undefined == ("elsewhere",)


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
