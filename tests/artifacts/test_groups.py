"""gradc.Library: several functions in one library, called from one program with one workspace."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.artifacts.elf import symbols_of
from gradc.backends.llvm.machine import host
from gradc.errors import ArgumentError
from tests.artifacts.libraries import Library, aligned

CC = shutil.which("gcc") or shutil.which("clang")


def cost(u: Any, x: Any) -> Any:
    return np.sum(np.tanh(u @ x) ** 2) + 0.1 * np.sum(u**2)


def step(x: Any, dt: Any) -> Any:
    return x + dt * np.sin(x)


def kernels() -> tuple[gradc.Kernel, gradc.Kernel, gradc.Kernel]:
    return (
        gradc.value_and_grad(cost).compile(gradc.aval("f64[30,40]"), gradc.aval("f64[40,5]")),
        gradc.jit(step).compile(gradc.aval("f64[6]"), gradc.aval("f64[]")),
        gradc.grad(lambda a, b: a * np.exp(b), wrt=("a", "b")).compile(1.0, 2.0, name="product"),
    )


def test_functions_share_a_library(tmp_path: Path) -> None:
    first, second, third = kernels()
    gradc.Library("control").add(first).add(second, name="move").add(third).save(tmp_path)
    u, x = np.linspace(-1, 1, 1200).reshape(30, 40), np.linspace(0, 1, 200).reshape(40, 5)
    status, (value, gradient) = Library(tmp_path, "control", "control_cost_grad")([u, x])
    expected = first(u, x)
    assert status == 0
    assert (value.tobytes(), gradient.tobytes()) == (expected[0].tobytes(), expected[1].tobytes())
    status, (moved,) = Library(tmp_path, "control", "control_move")([x[:6, 0], np.float64(0.1)])
    assert (status, moved.tobytes()) == (0, second(x[:6, 0], 0.1).tobytes())
    library = Library(tmp_path, "control", "control_product")
    assert [float(r) for r in library([1.0, 2.0])[1]] == [float(r) for r in third(1.0, 2.0)]
    text = (tmp_path / "control.h").read_text()
    (size,) = [int(line.split()[2]) for line in text.splitlines() if line.startswith("#define CONTROL_SELFTEST_SIZE")]
    memory, _ = aligned(size)
    assert library.code.control_selftest(ctypes.c_void_p(memory.ctypes.data)) == 0
    assert library.code.control_selftest(ctypes.c_void_p(None)) == 2
    stacks = [entry["selftest"]["stack"] for entry in library.manifest["functions"]]
    assert (
        max(stacks) < int(re.findall(r"They\s+(?:\* )?take at most (\d+) bytes of stack", text)[0]) < max(stacks) + 200
    )


@pytest.mark.skipif(CC is None, reason="there is no C compiler")
def test_one_workspace_serves_all(tmp_path: Path) -> None:
    first, second, third = kernels()
    gradc.Library("control").add(first).add(second, name="move").add(third).save(tmp_path)
    (tmp_path / "main.c").write_text(
        '#include <stddef.h>\n#include "control.h"\n'
        "static unsigned char memory[CONTROL_WORKSPACE_SIZE + CONTROL_WORKSPACE_ALIGN];\n"
        "static double u[1200], x[200], d_u[1200], y[6];\n"
        "int main(void) {\n"
        "    void *workspace = memory + (64 - (size_t)memory % 64) % 64;\n"
        "    control_product_in in = {1.0, 2.0};\n    control_product_out out;\n    double value;\n"
        "    return (int)control_cost_grad(u, x, &value, d_u, workspace) + (int)control_move(x, 0.1, y, workspace)\n"
        "        + (int)control_product(&in, &out, workspace);\n}\n"
    )
    command = [str(CC), "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "main.c", "libcontrol.a", "-o", "main"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert subprocess.run([tmp_path / "main"], check=False).returncode == 0


@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="the versions are for x86-64")
@pytest.mark.skipif(CC is None, reason="there is no C compiler")
@pytest.mark.parametrize("name", ["loss", "Loss"])
def test_two_libraries_of_one_name_are_noticed(name: str, tmp_path: Path) -> None:
    """The second header would be left out as if it were the first."""
    first, second, _ = kernels()
    first.save(tmp_path / "a", format="lib", name="loss")
    second.save(tmp_path / "b", format="lib", name=name)
    command = [str(CC), "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "main.c"]
    includes = [f'#include "{header}.h"\n' for header in ("a/loss", "a/loss", f"b/{name}")]
    (tmp_path / "main.c").write_text("".join(includes[:2]) + "int main(void) { return 0; }\n")
    subprocess.run(command, cwd=tmp_path, check=True)
    (tmp_path / "main.c").write_text("".join(includes) + "int main(void) { return 0; }\n")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "another library has the names of this one: save one of them under another name" in done.stderr


@pytest.mark.skipif(CC is None, reason="there is no C compiler")
def test_functions_in_small_letters_are_no_macros(tmp_path: Path) -> None:
    """``pre_f_flops`` is not ``PRE_F_FLOPS``."""
    kernel = kernels()[2]
    library = gradc.Library("pre")
    for name in ("f", "f_flops", "workspace_size", "h"):
        library.add(kernel, name=name)
    library.save(tmp_path)
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-x", "c"]
    subprocess.run([str(CC), *flags, "pre.h"], cwd=tmp_path, check=True)


def test_versions_for_processors_come_for_each_function(tmp_path: Path) -> None:
    first, second, _ = kernels()
    gradc.Library("control").add(first).add(second).save(tmp_path, target="x86_64-linux")
    defined = symbols_of((tmp_path / "control.o").read_bytes()).defined
    assert {f"control_{name}" for name in ("step", "step_avx512", "cost_grad_avx2", "step_select")} <= set(defined)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda k: gradc.Library("int"), "name='int' is a keyword of C"),
        (lambda k: gradc.Library("a").add(k).add(k), "a_product clashes with what the library a has already"),
        (lambda k: gradc.Library("a").add(k, name="selftest"), "a_selftest clashes with what the library a has"),
        (lambda k: gradc.Library("a").add(k, name="step").add(k, name="step_in"), "a_step_in clashes"),
        (lambda k: gradc.Library("a").add(k, name="step").add(k, name="Step"), "a_Step clashes"),
        (
            lambda k: gradc.Library("A").add(k, name="WORKSPACE_SIZE"),
            "A_WORKSPACE_SIZE clashes with what the library A",
        ),
        (lambda k: gradc.Library("A").add(k, name="H"), "A_H clashes"),
        (lambda k: gradc.Library("A").add(k, name="F").add(k, name="F_OK"), "A_F_OK clashes"),
        (lambda k: gradc.Library("A").add(k, name="f_FLOPS").add(k, name="F_FLOPS"), "A_F_FLOPS clashes"),
        (lambda k: gradc.Library("A").add(k, name="F_FAILED_1").add(k, name="F"), "A_F clashes"),
        (lambda k: gradc.Library("a").add(step), "made of kernels, not of <function step"),
        (lambda k: gradc.Library("a").save("nowhere"), "the library a has no functions"),
    ],
)
def test_what_makes_no_library_is_refused(make: Any, message: str) -> None:
    kernel = kernels()[2]
    with pytest.raises(ArgumentError, match=message):
        make(kernel)
