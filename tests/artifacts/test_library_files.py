"""The files of C libraries: compiled into C and C++ programs, found by build systems, and looked into."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.artifacts.elf import symbols_of
from gradc.artifacts.header import Declared, header
from gradc.artifacts.library import Built, build, library_files
from gradc.backends.llvm.library import Code, object_and_assembly, object_file
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.targets import choose
from gradc.errors import ArgumentError, CompileError
from tests.artifacts.kernels import NAMES, typed_kernel, wide_kernel
from tests.artifacts.programs import CC, CXX, compiled, needs_cc, needs_nm, program, said

PLAIN = choose("x86_64-linux", "x86-64")
HERE = choose(None, None)


def plain_library(kernel: gradc.Kernel, folder: Path) -> Built:
    """A library for any x86-64, which tools that know no newer instructions can run."""
    built = build(kernel._compiled, PLAIN, name=kernel.name)
    for file, content in library_files([built], PLAIN, name=kernel.name).items():
        (folder / file).write_bytes(content)
    return built


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
    assert "TEXTREL" not in said("readelf", "-d", folder / f"lib{stem}.so")
    listed = said("nm", "-g", folder / f"{stem}.o")
    assert sorted(line.split()[-1] for line in listed.splitlines()) == [stem, f"{stem}_selftest"]
    sections = subprocess.run(
        ["readelf", "-SW", folder / f"{stem}.o"], capture_output=True, text=True, check=True
    ).stdout
    for line in sections.splitlines():
        columns = line.partition("]")[2].split()
        if len(columns) >= 9 and "W" in columns[6]:
            pytest.fail(f"a section is writable: {line}")


@needs_nm
@pytest.mark.parametrize(("name", "apart"), [("loss", False), ("little", False), ("wide", True)])
def test_short_kernels_are_part_of_the_function_that_checks(
    name: str, apart: bool, sample: Callable[..., Any], tmp_path: Path
) -> None:
    avals = [gradc.aval(f"f64[{shape}]") for shape in ("3,3", "1,3", "3,1")]
    kernel = {
        "loss": lambda: sample("loss", backend="llvm").kernel,
        "little": lambda: gradc.value_and_grad(lambda v, w, x: np.sum(w @ np.tanh(v @ x)), name="little").compile(
            *avals
        ),
        "wide": lambda: wide_kernel()[0],
    }[name]()
    kernel.save(tmp_path, format="lib")
    listed = said("nm", tmp_path / f"{kernel.name}.o")
    assert (f"{kernel.name}.kernel\n" in listed) is apart


@pytest.mark.skipif(host().triple.split("-")[0] != "x86_64", reason="the instruction is that of x86-64")
def test_short_calls_leave_the_stack_as_it_is_aligned() -> None:
    """Results that nobody wants have memory there, and need no more than the caller gives."""
    avals = [gradc.aval(f"f64[{shape}]") for shape in ("3,3", "1,3", "3,1")]
    kernel = gradc.value_and_grad(lambda v, w, x: np.sum(w @ np.tanh(v @ x)), name="little").compile(*avals)
    built = build(kernel._compiled, PLAIN, name="little")
    assert built.interface.workspace == 0
    assembly = object_and_assembly(built.codes)[1]
    own = assembly.partition("\nlittle:\n")[2].partition("\n.Lfunc_end")[0]
    assert "mulsd" in own
    assert "andq" not in own


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


def test_a_library_calls_its_own_function_whatever_else_is_called_so(tmp_path: Path) -> None:
    """The C library of Linux has a function ``step`` too."""
    gradc.jit(lambda x: x * 2.0).compile(gradc.aval("f64[3]")).save(tmp_path, format="lib", name="step")
    call = f"import ctypes; raise SystemExit(ctypes.CDLL({str(tmp_path / 'libstep.so')!r}).step_selftest())"
    assert subprocess.run([sys.executable, "-c", call], check=False).returncode == 0


EVERY_FORMAT = """
import sys
sys.path.insert(0, sys.argv[1])
import networks, gradc, numpy as np
weights = {"hidden": np.ones((2, 2)), "out": np.ones((1, 2))}
k = gradc.value_and_grad(networks.matrices).compile(weights, np.ones((2, 5)), np.ones((1, 5)))
to = sys.argv[2]
k.save(f"{to}/lib", format="lib")
k.save(f"{to}/bindings", format="lib", target="x86_64-linux", bindings=("cpp", "python", "rust"))
k.save(f"{to}/casadi", format="lib", abi="casadi")
k.save(f"{to}/c", format="c")
k.save(f"{to}/ir", format="ir")
k.save(f"{to}/wasm", format="wasm")
k.save(f"{to}/fast.py", style="fast", selftest=True)
gradc.Library("both").add(k).add(k, name="again").save(f"{to}/both")
"""


@pytest.mark.skipif(host().triple.split("-")[0] != "x86_64", reason="all processors of x86-64 are served there alone")
def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        command = [sys.executable, "-c", EVERY_FORMAT, str(Path(__file__).parent), str(tmp_path / seed)]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
    one, other = (
        {str(f.relative_to(tmp_path / seed)): f.read_bytes() for f in (tmp_path / seed).rglob("*") if f.is_file()}
        for seed in ("1", "2")
    )
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
    assert sorted(name.removeprefix("lib/") for name in one if name.startswith("lib/")) == [
        "libmatrices_grad.a", "libmatrices_grad.so", "matrices_grad.gir", "matrices_grad.h", "matrices_grad.json",
        "matrices_grad.o", "matrices_grad.pc", "matrices_gradConfig.cmake",
    ]  # fmt: skip


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


@needs_nm
@pytest.mark.skipif(shutil.which("strip") is None, reason="there are no binutils")
@pytest.mark.parametrize("cpu", [None, "x86-64", "x86-64-v3", "x86-64-v4"])
def test_the_smallest_network_is_small(cpu: str | None, sample: Callable[..., Any], tmp_path: Path) -> None:
    machine = {"target": "x86_64-linux", "cpu": cpu} if cpu else {}
    sample("loss", backend="llvm").kernel.save(tmp_path, format="lib", **machine)
    subprocess.run(["strip", "--strip-debug", "loss_grad.o"], cwd=tmp_path, check=True)
    assert (tmp_path / "loss_grad.o").stat().st_size <= 4096
    assert "#define LOSS_GRAD_WORKSPACE_SIZE  0 " in (tmp_path / "loss_grad.h").read_text()


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
    assert function["bytes"] == "40*batch + 144"
    assert function["workspace"]["alignment"] == 64
    assert "batch" in function["workspace"]["bytes"]
    assert f"graph {function['graph']}." in (folder / "regression_grad.h").read_text()
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
