"""Complex arguments and results in C: the parts of each number in turn, as NumPy and C++ store them."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import ArgumentError, CompileError
from tests.artifacts.libraries import Library


def mixed(z: Any, k: Any, x: Any) -> Any:
    shifted = np.exp(1j * x) * z + k
    return shifted, np.sum(np.abs(shifted)), np.sum(shifted)


def arguments(dtype: str = "c16") -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    z = (rng.normal(size=(2, 3)) + 1j * rng.normal(size=(2, 3))).astype(dtype)
    return [z, np.asarray(0.5 - 2.0j, dtype), rng.normal(size=3).astype(z.real.dtype)]


def parts(array: np.ndarray) -> np.ndarray:
    return array if array.dtype.kind != "c" else np.stack([array.real, array.imag], axis=-1)


def kernel_of(dtype: str) -> gradc.Kernel:
    return gradc.jit(mixed).compile(*arguments(dtype))


@pytest.mark.parametrize("dtype", ["c16", "c8"])
def test_a_library_gives_the_bits_of_the_kernel(dtype: str, tmp_path: Path) -> None:
    kernel = kernel_of(dtype)
    kernel.save(tmp_path, format="lib")
    status, results = Library(tmp_path, "mixed")([parts(a) for a in arguments(dtype)])
    assert status == 0
    for found, expected in zip(results, kernel(*arguments(dtype)), strict=True):
        assert np.array_equal(found, parts(np.asarray(expected)))
    assert "[2][3][2], complex" in (tmp_path / "mixed.h").read_text()
    for found, expected in zip(gradc.load(tmp_path)(*arguments(dtype)), kernel(*arguments(dtype)), strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
def test_source_gives_the_bits_of_the_library(tmp_path: Path) -> None:
    kernel = kernel_of("c16")
    kernel.save(tmp_path / "made", format="lib")
    kernel.save(tmp_path / "written", format="c")
    shutil.copy(tmp_path / "made" / "mixed.json", tmp_path / "written")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2", "-march=native", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", "libmixed.so", "mixed.c"], cwd=tmp_path / "written", check=True)
    given = [parts(a) for a in arguments()]
    ours, theirs = (Library(tmp_path / folder, "mixed") for folder in ("made", "written"))
    for one, other in zip(ours(given)[1], theirs(given)[1], strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
    assert theirs.code.mixed_selftest() == 0


PROGRAM = """
#include <complex>
#include <cstdio>
#include "square.hpp"
int main()
{
    const std::complex<double> z[2] = {{1.0, 2.0}, {-3.0, 0.5}};
    std::complex<double> squares[2];
    square_status status = square(reinterpret_cast<const double *>(z), reinterpret_cast<double *>(squares), nullptr);
    return status != SQUARE_OK || squares[0] != z[0] * z[0] || squares[1] != z[1] * z[1];
}
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")
def test_a_program_in_cpp_passes_its_own_complex_numbers(tmp_path: Path) -> None:
    kernel = gradc.jit(lambda z: z * z, name="square").compile(gradc.aval("c128[2]"))
    kernel.save(tmp_path, format="lib", bindings=["cpp"])
    (tmp_path / "main.cc").write_text(PROGRAM)
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic", "main.cc", "libsquare.a", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert subprocess.run(["./main"], cwd=tmp_path, check=False).returncode == 0


def test_the_python_binding_takes_complex_arrays(tmp_path: Path) -> None:
    kernel = gradc.jit(mixed).compile(gradc.aval("c128[n,3]"), gradc.aval("c128[]"), gradc.aval("f64[3]"))
    kernel.save(tmp_path, format="lib", bindings=["python"])
    spec = importlib.util.spec_from_file_location("mixed", tmp_path / "mixed.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    z, k, x = arguments()
    for found, expected in zip(module.mixed(z.T.copy().T, complex(k), x), kernel(z, complex(k), x), strict=True):
        assert type(found) is type(expected)
        assert np.array_equal(found, expected)


def test_a_complex_number_is_an_array_of_two(tmp_path: Path) -> None:
    gradc.jit(lambda z: z * 1j, name="turn").compile(gradc.aval("c128[]")).save(tmp_path, format="lib")
    library = ctypes.CDLL(str(tmp_path / "libturn.so"))
    z, found = np.array([3.0, 4.0]), np.zeros(2)
    assert library.turn(ctypes.c_void_p(z.ctypes.data), ctypes.c_void_p(found.ctypes.data), None) == 0
    assert found.tolist() == [-4.0, 3.0]
    assert library.turn_selftest() == 0


def test_what_has_no_complex_numbers_says_so(tmp_path: Path) -> None:
    kernel = kernel_of("c16")
    with pytest.raises(ArgumentError, match="abi='casadi' takes f64 alone, and z is complex"):
        kernel.save(tmp_path, format="lib", abi="casadi")
    with pytest.raises(CompileError, match=r"z is c128\[2,3\], and a self-test has no complex numbers"):
        kernel.save(tmp_path / "mixed.py", selftest=True)
