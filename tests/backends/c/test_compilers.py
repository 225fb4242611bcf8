"""What compilers make of the source: sanitizers find nothing, and other machines and callers get the same results."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gradc
from gradc.backends.abi import Interface
from gradc.backends.c.types import c_type, literal
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.loops.language.program import Expression, b
from tests.backends.c.conftest import COMPILERS, STRICT, CheckError, build, call, header, same_bits, source_of
from tests.backends.c.test_ops import programs
from tests.backends.c.test_programs import elementwise, function_samples

pytestmark = pytest.mark.skipif(not COMPILERS, reason="there is no C compiler")


ALGEBRA = ["linear algebra", "eigenvalues", "singular values", "orthogonal factors"]


def table(name: str, array: np.ndarray, const: str = "") -> str:
    values = ", ".join(literal(v, array.dtype) for v in array.reshape(-1).tolist()) or "0"
    return f"static {const}{c_type(array.dtype)} {name}[{max(array.size, 1)}] = {{{values}}};"


def main(interface: Interface, arrays: list[np.ndarray], expected: list[np.ndarray]) -> str:
    """A program that calls the kernel with some arrays and gives 0 where the results are those expected."""
    lines = [f'#include "{interface.name}.h"', "#include <string.h>"]
    lines.append(f"static _Alignas(64) unsigned char workspace[{max(int(interface.workspace), 1)}];")
    given, compared = [], []
    for argument in interface.inputs:
        array = arrays[argument.position]
        lines.append(table(f"in_{argument.name}", array, "const "))
        given.append(f"in_{argument.name}{'[0]' if argument.is_number else ''}")
    for argument in interface.outputs:
        array = expected[argument.position]
        lines += [table(f"out_{argument.name}", np.zeros_like(array)), table(f"right_{argument.name}", array, "const ")]
        given.append(f"out_{argument.name}")
        compared.append(f"memcmp(out_{argument.name}, right_{argument.name}, sizeof right_{argument.name})")
    lines += ["int main(void) {", f"    if ({interface.name}({', '.join([*given, 'workspace'])}) != 0) return 1;"]
    return "\n".join([*lines, f"    return {' || '.join(compared)};", "}", ""])


@pytest.mark.parametrize("name", ["classifier", "lstm", "attention", "gather", *ALGEBRA])
def test_sanitizers_find_nothing(name: str, tmp_path: Path) -> None:
    program, arrays = programs(name, "f8")
    expected = load(emit(program, host()), program)(arrays)
    source, interface = source_of(program)
    (tmp_path / "network.h").write_text(header(interface))
    (tmp_path / "network.c").write_text(source)
    (tmp_path / "main.c").write_text(main(interface, arrays, expected))
    sanitizers = ["-g", "-O1", "-std=c11", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    flags = [flag for flag in STRICT if flag not in ("-O2", "-std=c99")]
    command = [COMPILERS[0], *flags, *sanitizers, "main.c", "network.c", "-o", "main"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[:2000]
    ran = subprocess.run(["./main"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("instruction", [True, False])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_roots_with_and_without_an_instruction(dtype: str, instruction: bool, tmp_path: Path) -> None:
    own = np.dtype(dtype)
    squares = np.arange(1, 50).astype(own) ** 2
    x = np.concatenate([function_samples(own), squares, np.nextafter(squares, own.type(0)), subnormals(own)])
    program = elementwise({"root": lambda x: b.sqrt(x)}, [x])
    source, interface = source_of(program)
    hidden = [] if instruction else ["-U__AVX__", "-U__SSE2__"]
    library = build(source, interface, tmp_path, COMPILERS[0], [*STRICT, *hidden])
    with np.errstate(invalid="ignore"):
        assert same_bits(call(library, interface, [x]), [np.sqrt(x)])


def subnormals(dtype: np.dtype) -> np.ndarray:
    return (np.arange(1, 40) * np.finfo(dtype).smallest_subnormal).astype(dtype)


@pytest.mark.parametrize("flags", [["-O0"], ["-O3"]])
def test_other_levels_of_optimisation(flags: list[str], tmp_path: Path) -> None:
    program, arrays = programs("softmax", "f8")
    expected = load(emit(program, host()), program)(arrays)
    source, interface = source_of(program)
    for compiler in COMPILERS:
        assert same_bits(
            call(build(source, interface, tmp_path, compiler, [*STRICT, *flags]), interface, arrays), expected
        )


@pytest.mark.skipif("gcc" not in COMPILERS, reason="there is no gcc")
def test_products_and_sums_are_not_fused(tmp_path: Path) -> None:
    x, y = (np.random.default_rng(k).normal(size=100) for k in (1, 2))
    program = elementwise({"total": lambda x, y: b.add(b.mul(x, y), y)}, [x, y])
    source, interface = source_of(program)
    flags = [*STRICT, "-std=gnu99", "-ffp-contract=fast"]
    assert same_bits(call(build(source, interface, tmp_path, "gcc", flags), interface, [x, y]), [x * y + y])


UNTOLD = [
    ["-funsafe-math-optimizations"],
    ["-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math"],
    ["-freciprocal-math"],
    ["-fno-signed-zeros"],
]


@pytest.mark.skipif(host().triple.split("-")[0] != "x86_64", reason="elsewhere Clang before 15 has not all the pragmas")
@pytest.mark.parametrize("flags", UNTOLD, ids=" ".join)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_what_compilers_do_not_tell_they_do_not_do(compiler: str, flags: list[str], tmp_path: Path) -> None:
    """GCC before 12 defines none of the macros that are taken away here, Clang none ever."""
    x = np.concatenate([[0.0, -0.0, 1e300, -1e300, np.inf, np.nan, 1.0], np.random.default_rng(1).normal(size=30)])
    y = np.roll(x, 3)
    formulas: dict[str, Callable[..., Expression]] = {
        "back": lambda x, y: b.sub(b.add(x, y), x),
        "third": lambda x, y: b.div(x, b.constant(3.0, "f8")),
        "twice": lambda x, y: b.add(b.div(x, y), b.div(b.constant(1.0, "f8"), y)),
        "zero": lambda x, y: b.add(x, b.constant(0.0, "f8")),
        "turned": lambda x, y: b.sub(b.constant(0.0, "f8"), b.sub(y, x)),
        "same": lambda x, y: b.convert(b.eq(x, x), "f8"),
    }
    program = elementwise(formulas, [x, y])
    with np.errstate(all="ignore"):
        expected = [(x + y) - x, x / 3, x / y + 1 / y, x + 0.0, 0.0 - (y - x), (x == x).astype("f8")]
    source, interface = source_of(program)
    macros = ("ASSOCIATIVE_MATH", "RECIPROCAL_MATH", "NO_SIGNED_ZEROS")
    hidden = [f"-U__{macro}__" for macro in macros]
    library = build(source, interface, tmp_path, compiler, [*STRICT, *flags, *hidden])
    assert same_bits(call(library, interface, [x, y]), expected)


@pytest.mark.skipif("clang" not in COMPILERS, reason="there is no clang")
def test_nan_is_told_from_numbers_where_clang_honours_none(tmp_path: Path) -> None:
    x = np.array([1.0, np.nan, np.inf])
    program = elementwise({"mask": lambda x: b.convert(b.isnan(x), "f8"), "same": lambda x: b.sub(x, x)}, [x])
    source, interface = source_of(program)
    library = build(source, interface, tmp_path, "clang", [*STRICT, "-fno-honor-nans"])
    with np.errstate(invalid="ignore"):
        assert same_bits(call(library, interface, [x]), [np.isnan(x).astype("f8"), x - x])


def test_results_that_nobody_wants(tmp_path: Path) -> None:
    program, arrays = programs("classifier", "f8")
    expected = load(emit(program, host()), program)(arrays)
    source, interface = source_of(program)
    library = build(source, interface, tmp_path, COMPILERS[0])
    for wanted in range(2 ** len(expected)):
        names = {a.name for k, a in enumerate(interface.outputs) if wanted >> k & 1}
        got = call(library, interface, arrays, names)
        for argument, result, right in zip(interface.outputs, got, expected, strict=True):
            assert same_bits([result], [right]) if argument.name in names else (result == 77).all()


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    program, arrays = programs("softmax", "f8")
    source, interface = source_of(program)
    function = build(source, interface, tmp_path, COMPILERS[0]).network
    outputs = [np.zeros([int(d) for d in a.aval.shape]) for a in interface.outputs]
    block = np.empty(int(interface.workspace) + 128, np.uint8)
    aligned = -(-block.ctypes.data // 64) * 64
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (*arrays, *outputs)]
    assert function(*pointers, ctypes.c_void_p(aligned)) == 0
    assert function(None, *pointers[1:], ctypes.c_void_p(aligned)) == 1
    assert function(*pointers, None) == 2
    assert function(*pointers, ctypes.c_void_p(aligned + 8)) == 2


def awkward(int: object, double: object, exp_f64: object, status: object, t1: object, linux: object) -> object:
    register = np.exp(int * double) + exp_f64
    NULL = register * status - t1
    int64_t = np.tanh(NULL) * linux
    return np.sum(int64_t)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_names_that_c_has_taken(shape: tuple[int, ...], check: Callable[..., str]) -> None:
    names = ["int", "double", "exp_f64", "status", "t1", "linux"]
    arrays = [np.random.default_rng(k).normal(size=shape) for k in range(6)]
    kernel = gradc.value_and_grad(awkward, wrt=names, name="network").compile(*arrays)
    check(kernel._compiled.program, arrays)


def test_a_failed_check_is_told(tmp_path: Path) -> None:
    kernel = gradc.jit(lambda x, k: x[k] * 2.0, name="network").compile(gradc.aval("f64[5]"), gradc.aval("i64[2]"))
    source, interface = source_of(kernel._compiled.program)
    library = build(source, interface, tmp_path, COMPILERS[0])
    x = np.arange(5.0)
    assert call(library, interface, [x, np.array([4, -5])])[0].tolist() == [8.0, 0.0]
    for wrong in ([5, 0], [0, -6], [2**62, 0]):
        with pytest.raises(CheckError):
            call(library, interface, [x, np.array(wrong)])


def test_a_check_of_sizes_comes_first(tmp_path: Path) -> None:
    kernel = gradc.jit(lambda x: np.max(x, axis=0), name="network").compile(gradc.aval("f64[batch,2]"))
    source, interface = source_of(kernel._compiled.program)
    library = build(source, interface, tmp_path, COMPILERS[0])
    assert call(library, interface, [np.array([[1.0, 5.0], [4.0, 2.0]])])[0].tolist() == [4.0, 5.0]
    with pytest.raises(CheckError):
        call(library, interface, [np.zeros((0, 2))])
