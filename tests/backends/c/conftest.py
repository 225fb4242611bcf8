"""C source compiled and called: what it computes, beside the machine code of the same program."""

from __future__ import annotations

import ctypes
import itertools
import shutil
import subprocess
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gradc.artifacts.header import Declared
from gradc.artifacts.header import header as header_of
from gradc.backends.abi import FIRST_FAILURE, Argument, Interface, interface_of
from gradc.backends.c import render
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.matmul.order import sum_order
from gradc.backends.sizes import read_sizes
from gradc.backends.spare import workspace_of
from gradc.ir.aval import dim_value
from gradc.ir.graph import Builder
from gradc.ir.signature import flat_signature
from gradc.loops.language.program import ALIGNMENT, LoopProgram
from gradc.loops.shaping.optional import Optional, with_optional_results

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2", "-march=native", "-ffp-contract=off"]
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]


_COUNT = itertools.count()
"""Libraries of one path are loaded once in a process."""


class CheckError(Exception):
    """A check of the data failed; the status says which."""


def flat_interface(optional: Optional) -> Interface:
    """The interface of a program by itself: its buffers are the arguments."""
    program = optional.program
    builder = Builder()
    inputs = [builder.input(b.name, b.aval) for b in program.inputs if b.name != optional.wanted]
    graph = builder.freeze(inputs or [builder.constant(0.0)])
    made = interface_of(
        graph, flat_signature(graph, graph.input_names), name=program.name, messages=program.messages,
        workspace=workspace_of(optional), flops=0,
    )  # fmt: skip
    outputs = tuple(Argument(b.name, b.name, k, b.aval) for k, b in enumerate(program.outputs))
    return replace(made, outputs=outputs)


def header(interface: Interface) -> str:
    """The header that goes with the source."""
    return header_of([Declared(interface)], name=interface.name, runs_on="For source in C99.")


def build(
    source: str, interface: Interface, folder: Path, compiler: str = "gcc", flags: Sequence[str] = STRICT
) -> ctypes.CDLL:
    """The source as a library."""
    name = interface.name
    (folder / f"{name}.h").write_text(header(interface))
    (folder / f"{name}.c").write_text(source)
    library = folder / f"{name}.{compiler}.{next(_COUNT)}.so"
    command = [compiler, *flags, "-shared", "-fPIC", "-nostdlib", "-o", str(library), str(folder / f"{name}.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{compiler} refuses it:\n{done.stderr[:3000]}\n{source}", False)
    return ctypes.CDLL(str(library))


def call(
    library: ctypes.CDLL, interface: Interface, arrays: Sequence[np.ndarray], wanted: Collection[str] | None = None
) -> list[np.ndarray]:
    """The results for arrays in the order of the program's inputs; 77 for those that are not ``wanted``."""
    inputs = interface.inputs
    by_position = sorted(inputs, key=lambda a: a.position)
    sizes = read_sizes([a.name for a in by_position], [a.aval for a in by_position], [a.shape for a in arrays])
    outputs = [np.full([dim_value(d, sizes) for d in a.aval.shape], 77, a.dtype) for a in interface.outputs]
    block = np.empty(dim_value(interface.workspace, sizes) + ALIGNMENT, np.uint8)
    workspace = -(-block.ctypes.data // ALIGNMENT) * ALIGNMENT
    given: list[object] = []
    if interface.in_structs:
        packed = [ctypes.create_string_buffer(_struct(arguments).itemsize) for arguments in (inputs, interface.outputs)]
        into = np.frombuffer(packed[0], _struct(inputs))
        for argument in inputs:
            into[argument.name] = arrays[argument.position]
        given = [ctypes.c_void_p(ctypes.addressof(p)) for p in packed]
    else:
        given += [ctypes.c_size_t(sizes[symbol]) for _, symbol in interface.sizes]
        for argument in inputs:
            array = arrays[argument.position]
            number = np.ctypeslib.as_ctypes_type(argument.dtype)
            given.append(number(array[()]) if argument.is_number else ctypes.c_void_p(array.ctypes.data))
        for argument, array in zip(interface.outputs, outputs, strict=True):
            is_wanted = wanted is None or argument.name in wanted
            given.append(ctypes.c_void_p(array.ctypes.data) if is_wanted else None)
    status = getattr(library, interface.name)(*given, ctypes.c_void_p(workspace))
    if status:
        raise CheckError(status - FIRST_FAILURE + 1)
    if interface.in_structs:
        out = np.frombuffer(packed[1], _struct(interface.outputs))
        outputs = [out[a.name].reshape(()) for a in interface.outputs]
    return [outputs[k] for k in sorted(range(len(outputs)), key=lambda k: interface.outputs[k].position)]


def _struct(arguments: Sequence[Argument]) -> np.dtype:
    return np.dtype([(a.name, a.dtype) for a in arguments], align=True)


def same_bits(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> bool:
    """Whether results agree bit for bit; a NaN is a NaN, whatever its own bits are."""
    return all(
        (a.shape, a.dtype) == (b.shape, b.dtype) and np.array_equal(_bits(a), _bits(b))
        for a, b in zip(ours, theirs, strict=True)
    )


def _bits(array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array)
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), array.dtype.type(np.nan), array)
    return np.frombuffer(array.tobytes(), np.uint8)


def source_of(program: LoopProgram) -> tuple[str, Interface]:
    """The C source of a program for this machine, and how it is called."""
    scalar = all(not b.shape for b in (*program.inputs, *program.outputs))
    optional = Optional(program, "", ()) if scalar else with_optional_results(program)
    interface = flat_interface(optional)
    return render(optional, interface, host(), lambda call: sum_order(call, program.buffer, host())), interface


def check_program(
    program: LoopProgram, arrays: Sequence[np.ndarray], folder: Path, compilers: Sequence[str] = ("gcc",)
) -> str:
    """The C source of a program, which gives the bits of its machine code."""
    arrays = [_in_pairs(np.ascontiguousarray(a).reshape(np.shape(a))) for a in arrays]
    expected = load(emit(program, host()), program)(arrays)
    source, interface = source_of(program)
    for compiler in compilers:
        actual = call(build(source, interface, folder, compiler), interface, arrays)
        for ours, theirs in zip(actual, expected, strict=True):
            assert same_bits([ours], [theirs]), f"{ours}\n{theirs}\n{source}"
    return source


def _in_pairs(array: np.ndarray) -> np.ndarray:
    """Complex numbers as loop programs take them."""
    return np.stack([array.real, array.imag], axis=-1) if array.dtype.kind == "c" else array


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., str]:
    """``check(program, arrays)``: gcc and clang, where they are, give the bits of LLVM; the source."""
    if not COMPILERS:
        pytest.skip("there is no C compiler")
    return lambda program, arrays: check_program(program, arrays, tmp_path, COMPILERS)
