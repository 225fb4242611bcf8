"""C source: a kernel as one file of C99 and its header."""

from __future__ import annotations

import os
from dataclasses import replace

from gradc.artifacts.files import write_files
from gradc.artifacts.header import Declared, header
from gradc.backends.abi import interface_of, require_addresses
from gradc.backends.c import render
from gradc.backends.c_names import require_symbol
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import pointer_bits
from gradc.backends.llvm.matmul.order import sum_order
from gradc.backends.llvm.targets import choose
from gradc.backends.recording import memory_of, record
from gradc.backends.spare import workspace_of
from gradc.compiler import Compiled
from gradc.ir.target import Target
from gradc.loops.shaping.optional import Optional, with_optional_results


def save_source(
    compiled: Compiled, folder: str | os.PathLike[str], *, name: str, target: str | None = None, cpu: str | None = None
) -> None:
    """Write NAME.c and NAME.h into a directory, for this machine or another (docs/c-source.md).

    Both appear or none; they are the same byte for byte every time. Raises ArgumentError for names that are not known
    or that C could not have, CompileError for what cannot be written in C.
    """
    write_files(source_files(compiled, choose(target, cpu).base, name=name), folder, "c")


def c_source(compiled: Compiled, *, name: str) -> str:
    """The C source for this machine. Raises as ``save_source`` does."""
    return source_files(compiled, choose(None, None).base, name=name)[f"{name}.c"].decode()


def source_files(compiled: Compiled, target: Target, *, name: str) -> dict[str, bytes]:
    """The two files by name. Sums are added up as machine code for the target adds them up."""
    require_symbol(name)
    arrays = [(source, result) for source, result in compiled.request.donate if compiled.runs.input_avals[source].shape]
    program = replace(compiled.lowered(target, donate=arrays, steps=False), name=name)
    has_arrays = any(buffer.shape for buffer in (*program.inputs, *program.outputs))
    optional = with_optional_results(program) if has_arrays else Optional(program, "", ())
    interface = interface_of(
        compiled.runs, compiled.signature, name=name, messages=program.messages, workspace=workspace_of(optional),
        flops=compiled.work[0], donate=() if program.messages else compiled.request.donate,
    )  # fmt: skip
    require_addresses(interface, pointer_bits(target), target.cpu)
    recording = record(interface, load(compiled.llvm_ir, compiled.program).run)
    memory = memory_of(interface, recording)
    declared = Declared(interface, 0 if memory.on_stack else memory.bytes)
    source = render(optional, interface, target, lambda call: sum_order(call, program.buffer, target), recording)
    return {
        f"{name}.h": header([declared], name=name, runs_on="For source in C99.").encode(),
        f"{name}.c": source.encode(),
    }
