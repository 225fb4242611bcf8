"""WebAssembly modules: a kernel with 128-bit vectors, without imports, for browsers and other runtimes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from gradc.artifacts.bindings.javascript import javascript_files
from gradc.artifacts.files import write_files
from gradc.artifacts.header import header
from gradc.artifacts.library import build, manifest
from gradc.artifacts.linker import run
from gradc.artifacts.seal import sealed
from gradc.backends.llvm.library import object_and_assembly
from gradc.backends.llvm.targets import WASM
from gradc.compiler import Compiled
from gradc.errors import ArgumentError, CompileError

STACK: Final = 2**17
"""Bytes of the stack at the start of memory; more of them where a call needs more."""


def save_wasm(compiled: Compiled, folder: str | os.PathLike[str], *, name: str) -> None:
    """Write ``NAME.wasm``, ``NAME.h``, ``NAME.json`` and, for JavaScript, ``NAME.mjs`` with its types into a directory.

    The module exports its memory, ``__heap_base``, from where on memory is the caller's, and the functions of the
    header; a pointer is a place in that memory, a ``size_t`` has 32 bits. Files appear all or none, the same byte for
    byte every time. Raises ArgumentError for a name that C could not have, CompileError where there is no linker.
    """
    if name == "memory":
        raise ArgumentError(f"{name!r} is what the module calls its memory; choose another name")
    built = build(compiled, WASM, name=name)
    content, assembly = object_and_assembly(built.codes)
    declared = built.declared(assembly)
    files = {
        f"{name}.wasm": _linked(content, name, built.symbols, max(STACK, declared.test_stack or 0)),
        f"{name}.h": header([declared], name=name, runs_on="Runs as WebAssembly with 128-bit vectors.").encode(),
        f"{name}.gir": built.graph.encode(),
    }
    beside = {file: text.encode() for file, text in javascript_files(built.bound, name).items()}
    about = sealed(manifest([built], name, WASM, [declared]), files, beside)
    write_files(files | beside | {f"{name}.json": about}, folder, "wasm")


def _linked(content: bytes, name: str, exports: list[str], stack: int) -> bytes:
    with tempfile.TemporaryDirectory(prefix="gradc-") as folder:
        place = Path(folder)
        (place / f"{name}.o").write_bytes(content)
        listed = [f"--export={symbol}" for symbol in (*exports, "__heap_base")]
        options = ["--no-entry", "--strip-all", "-z", f"stack-size={-(-stack // 64) * 64}", *listed]
        run([*_linker(), *options, "-o", f"{name}.wasm", f"{name}.o"], place)
        return (place / f"{name}.wasm").read_bytes()


def _linker() -> list[str]:
    if shutil.which("wasm-ld"):
        return ["wasm-ld"]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "wasm-ld"]
    raise CompileError(
        "a WebAssembly module needs the linker wasm-ld, and there is none: install lld, or pip install 'gradc[cross]'"
    )
