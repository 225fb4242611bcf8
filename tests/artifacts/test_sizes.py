"""Formulas of symbolic sizes in C and C++: right where they fit, and PTRDIFF_MAX where not, never a small number."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.artifacts.sizes import CPP, C, Dialect, size_text
from gradc.loops.language.lexer import Lexer
from tests.artifacts.libraries import eval_size

MOST = 2**63 - 1
FORMULAS = [
    "batch", "10406*batch + 3", "2368*((batch + 7)//8) + 128", "8*batch*features + 64*batch + 128",
    "4*batch*batch + 8*features", "3*max(batch, features) + 2", "8*((batch - features)//4) + 8*batch + 8*features",
    "batch%8 + 1", "7*batch*features*features + 3*batch", "64*min(batch, 100)", "9*((batch*features)//64) + batch",
]  # fmt: skip
SIZES = [0, 1, 2, 3, 7, 100, 10**6, 2**31 + 5, 2**32, 10**12, 2**58, 2**61 + 1, 2**62, MOST, 2**64 - 1]
LANGUAGES = [
    pytest.param(C, "c", "-std=c99 -x c", id="C"),
    pytest.param(CPP, "cpp", "-std=c++17 -Wold-style-cast -x c++", id="C++"),
]
WARNINGS = "-Wall -Wextra -Werror -pedantic -Wconversion -Wsign-conversion -Wshadow -fsanitize=undefined"
COMPILERS = [compiler for compiler in ("gcc", "clang") if shutil.which(compiler)]


def run(text: str, folder: Path, compiler: str, options: str) -> list[int]:
    (folder / "main").unlink(missing_ok=True)
    libraries = ["-lstdc++"] if "c++" in options else []
    command = [compiler, *options.split(), *WARNINGS.split(), "-", "-x", "none", "-o", "main", *libraries]
    subprocess.run(command, input=text, text=True, cwd=folder, check=True)
    ran = subprocess.run([folder / "main"], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return [int(line) for line in ran.stdout.split()]


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("dialect", "kind", "options"), LANGUAGES)
def test_what_does_not_fit_is_the_most(
    dialect: Dialect, kind: str, options: str, compiler: str, tmp_path: Path
) -> None:
    names = {"batch": "batch", "features": "features"}
    dims = [Lexer(formula, "a size").dim() for formula in FORMULAS]
    calls = "\n".join(f'    printf("%zu\\n", {size_text(dim, names, dialect)});' for dim in dims)
    asked = "\n".join(f"    all({a}u, {b}u);" for a, b in itertools.product(SIZES, SIZES))
    text = (
        "#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n"
        f"{'#include <cstdint>' if kind == 'cpp' else ''}\n"
        f"static void all(size_t batch, size_t features)\n{{\n    (void)features;\n{calls}\n}}\n"
        f"int main(void)\n{{\n{asked}\n    return 0;\n}}\n"
    )
    found = iter(run(text, tmp_path, compiler, options))
    for a, b in itertools.product(SIZES, SIZES):
        for dim in dims:
            exact = eval_size(str(dim), {"batch": a, "features": b})
            fits = max(exact, a, b, max(a, 1) * max(b, 1) ** 2) < MOST // 1000
            if str(dim) == "batch" or fits:
                assert next(found) == exact
            else:
                assert next(found) in ({MOST} if exact > MOST else {MOST, exact})


@pytest.mark.parametrize("compiler", COMPILERS)
def test_no_workspace_is_too_small_for_a_huge_batch(compiler: str, tmp_path: Path) -> None:
    def loss(w: Any, x: Any) -> Any:
        h = np.tanh(x @ w)
        return np.sum(h @ h.T)

    kernel = gradc.value_and_grad(loss).compile(gradc.aval("f64[5,3]"), gradc.aval("f64[batch,5]"), name="huge")
    kernel.save(tmp_path, format="c")
    text = """
#include <stdio.h>
#include "huge.h"
unsigned char memory[HUGE_WORKSPACE_SIZE(16)];
int main(void)
{
    size_t n;
    printf("%zu\\n", sizeof memory);
    for (n = 1; n != 0; n = 2 * n) printf("%zu\\n%zu\\n", HUGE_WORKSPACE_SIZE(n), HUGE_FLOPS(n));
    return 0;
}
"""
    sixteen, *found = run(text, tmp_path, compiler, f"-std=c99 -I{tmp_path} -x c")
    spaces, flops = found[::2], found[1::2]
    assert sixteen == spaces[4] > 16 * 3 * 8
    assert spaces == sorted(spaces)
    assert flops == sorted(flops)
    assert spaces[40:] == flops[40:] == [MOST] * 24


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_an_empty_array_is_not_a_huge_batch(tmp_path: Path) -> None:
    """2**61 rows of 8 elements are 0 elements where multiplication wraps."""
    kernel = gradc.jit(lambda x: np.sum(x, axis=1)).compile(gradc.aval("f64[rows,8]"), name="totals")
    kernel.save(tmp_path, format="lib", bindings=("cpp",))
    (tmp_path / "main.cpp").write_text(
        """
#include <cstdio>
#include <vector>
#include "totals.hpp"
int main() {
    gradc::totals totals{};
    std::vector<double> nothing;
    try {
        totals(std::size_t{1} << 61, nothing, gradc::view<double>(nothing.data(), std::size_t{1} << 61));
    } catch (const std::length_error& error) {
        std::puts(error.what());
    }
}
"""
    )
    options = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wold-style-cast", "-Wconversion"]
    subprocess.run(["g++", *options, "main.cpp", "libtotals.a", "-o", "main"], cwd=tmp_path, check=True)
    ran = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"x has 0 elements, expected {MOST}\n"
