"""The header for C++17: programs of two compilers, without a warning, that compute the kernel's bits."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import CompileError
from tests.artifacts.bindings.conftest import NAMES, Saved, flat
from tests.artifacts.bindings.programs import About, hexadecimal, literal

Bound = Callable[[str], Saved]
COMPILERS = [found for found in (shutil.which("g++"), shutil.which("clang++")) if found]
STRICT = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2"]

needs_compiler = pytest.mark.skipif(not COMPILERS, reason="there is no C++ compiler")

HEAD = """#include <cinttypes>
#include <cstdio>
#include <vector>
#include "{name}.hpp"
template <class Value> static void print(const Value& value) {{
    if constexpr (std::is_arithmetic_v<Value>)
        std::printf("%a\\n", static_cast<double>(value));
    else
        for (auto element : value) print(element);
}}
"""


def run(folder: Path, name: str, source: str, compiler: str, *options: str) -> str:
    """What a program prints that is compiled with the library."""
    (folder / "main.cpp").write_text(source, encoding="utf-8")
    command = [compiler, *STRICT, *options, "main.cpp", f"lib{name}.a", "-o", "main"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ran = subprocess.run([folder / "main"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def call(about: About, args: list[Any], sizes: dict[str, int]) -> str:
    """The program that calls a function twice: for its results, and without one of them."""
    name = about.name
    text = HEAD.format(name=name)
    declared = [
        f"static const {a['c_type']} given_{a['name']}[] = {{{', '.join(map(literal, np.ravel(value)))}}};"
        for a, value in zip(about.inputs, args, strict=True)
    ]
    given = [
        f"given_{a['name']}[0]" if a["layout"] == "number" else f"given_{a['name']}"
        for a in about.inputs
    ]  # fmt: skip
    text += "\n".join(declared) + "\nint main() {\n"
    if about.in_structs:
        text += f"    const gradc::{name} function{{}};\n    const auto found = function({{{', '.join(given)}}});\n"
        text += "".join(f"    print(found.{a['name']});\n" for a in about.outputs)
    else:
        passed = ", ".join([*map(str, sizes.values()), *given])
        text += f"    static gradc::{name} function;\n    const auto found = function({passed});\n"
        text += "".join(f"    print(found.{a['name']});\n" for a in about.outputs)
        first, *others = about.outputs
        again = first["name"]
        text += "    decltype(found) unwritten{};\n    auto other = unwritten;\n"
        into = f"&other.{again}" if first["layout"] == "number" else f"other.{again}"
        only = ", ".join([passed, into, *["nullptr"] * len(others)])
        text += f"    if (function.run({only}) != {about.macro}_OK) return 3;\n"
        text += f"    print(other.{again});\n"
    return text + f"    return gradc::{name}::selftest() == {about.macro}_OK ? 0 : 2;\n}}\n"


@needs_compiler
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", NAMES)
def test_a_program_computes_the_kernels_bits(name: str, compiler: str, bound: Bound) -> None:
    saved = bound(name)
    about = About(saved)
    args = about.arguments()
    printed = run(saved.folder, about.name, call(about, args, about.sizes), compiler).split()
    results = [np.ravel(leaf) for leaf in flat(saved.kernel(*saved.args))]
    expected = [hexadecimal(number) for leaf in results for number in leaf]
    again = [] if about.in_structs else [hexadecimal(number) for number in results[0]]
    assert [hexadecimal(float.fromhex(number)) for number in printed] == expected + again


@pytest.mark.parametrize("name", ["loss", "classifier", "regression"])
def test_the_text(name: str, bound: Bound, golden: Callable[[str, str], None]) -> None:
    saved = bound(name)
    golden(f"bindings/{saved.kernel.name}.hpp", (saved.folder / f"{saved.kernel.name}.hpp").read_text())


CHECKS = """#include <cstdio>
#include <cstring>
#include <vector>
#include "classifier_grad.hpp"
#include "classifier_grad.hpp"

int main() {
    static gradc::classifier_grad step;
    double W0[4][5] = {}, b0[5] = {}, W1[5][3] = {}, x[6][4] = {};
    std::array<double, 3> b1{};
    std::vector<std::int64_t> labels{0, 1, 2, 0, 1, 2};
    const auto found = step(W0, b0, W1, b1, gradc::view<const double, 24>{&x[0][0]}, labels);
    std::printf("%.6f\\n", found.L);
    try {
        labels.push_back(0);
        step(W0, b0, W1, b1, x, labels);
    } catch (const std::length_error& error) {
        std::printf("%s\\n", error.what());
    }
    try {
        step(W0, b0, W1, b1, x, std::vector<std::int64_t>(6, 3));
    } catch (const gradc::error& error) {
        std::printf("%d %d\\n", error.status(), std::strncmp(error.what(), "index is out of bounds", 22));
    }
    try {
        step(W0, nullptr, W1, b1, x, std::vector<std::int64_t>(6, 2));
    } catch (const gradc::error& error) {
        std::printf("%d %s\\n", error.status(), error.what());
    }
    return 0;
}
"""


@needs_compiler
@pytest.mark.parametrize("compiler", COMPILERS)
def test_arrays_of_all_kinds_and_failures(compiler: str, bound: Bound) -> None:
    folder = bound("classifier").folder
    printed = run(folder, "classifier_grad", CHECKS, compiler).splitlines()
    assert printed[:2] == [f"{np.log(3):.6f}", "a view has 7 elements, expected 6"]
    status, differs = map(int, printed[2].split())
    assert status >= 16
    assert printed[3] == "1 an input is null"
    assert differs == 0


@needs_compiler
def test_another_number_of_elements_does_not_compile(bound: Bound) -> None:
    folder = bound("classifier").folder
    wrong = CHECKS.replace("std::array<double, 3> b1", "std::array<double, 2> b1")
    (folder / "wrong.cpp").write_text(wrong, encoding="utf-8")
    command = [COMPILERS[0], *STRICT, "-fsyntax-only", "wrong.cpp"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "the array has another number of elements" in done.stderr


ALLOCATES = """#include <cstdio>
#include <cstdlib>
#include <new>
#include "regression_grad.hpp"
static int allocations = 0;
void* operator new(std::size_t size) { ++allocations; return std::malloc(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

int main() {
    gradc::regression_grad step;
    static const double a[6] = {}, b[2] = {}, x[90] = {}, y[60] = {};
    step.reserve(30);
    const int before = allocations;
    for (std::size_t batch = 0; batch <= 30; ++batch)
        step(batch, a, b, {x, batch * 3}, {y, batch * 2}, 2.0);
    try {
        step(7, a, b, {x, 20}, {y, 14}, 2.0);
    } catch (const std::length_error& error) {
        std::printf("%s\\n", error.what());
    }
    std::printf("%d\\n", before);
    allocations -= before;
    for (std::size_t batch = 0; batch <= 30; ++batch)
        if (step.run(batch, a, b, {x, batch * 3}, {y, batch * 2}, 2.0, nullptr, nullptr, nullptr)) return 1;
    return 0;
}
"""


@needs_compiler
def test_calls_allocate_only_for_more_than_before(bound: Bound) -> None:
    source = ALLOCATES.replace("    try {", '    std::printf("%d\\n", allocations - before);\n    try {')
    printed = run(bound("regression").folder, "regression_grad", source, COMPILERS[0]).splitlines()
    assert printed == ["0", "x has 20 elements, expected 21", "1"]


@needs_compiler
@pytest.mark.parametrize("compiler", COMPILERS)
def test_it_compiles_without_exceptions(compiler: str, bound: Bound) -> None:
    source = '#include "regression_grad.hpp"\nint main() { return gradc::regression_grad::selftest(); }\n'
    assert run(bound("regression").folder, "regression_grad", source, compiler, "-fno-exceptions", "-fno-rtti") == ""


@needs_compiler
def test_several_functions_and_versions(tmp_path: Path, bound: Bound) -> None:
    first, second = bound("matrices"), bound("loss")
    library = gradc.Library("control").add(first.kernel, name="net").add(second.kernel, name="small")
    library.save(tmp_path, target="x86_64-linux", bindings=("cpp",))
    source = (
        '#include "control.hpp"\nint main() {\n'
        "    return gradc::control_net::selftest() + gradc::control_small::selftest()\n"
        "        + (gradc::control_small{}({0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0, 2.0, 1.0}).L > 0.4);\n}\n"
    )
    assert run(tmp_path, "control", source, COMPILERS[0]) == ""
    assert "::control_net_select()" in (tmp_path / "control.hpp").read_text()


@pytest.mark.parametrize("name", ["view", "gradc"])
def test_a_name_of_the_headers_own_is_refused(name: str, tmp_path: Path, bound: Bound) -> None:
    with pytest.raises(CompileError, match=rf"'{name}' is a name of the C\+\+ header's own"):
        bound("loss").kernel.save(tmp_path, format="lib", name=name, bindings=("cpp",))
