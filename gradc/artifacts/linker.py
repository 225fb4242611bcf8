"""Making a shared library of an object file: by the system's compiler or linker, else by the one of ziglang."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gradc.errors import CompileError

SECONDS = 120
"""How long a linker may take."""


def shared_library(content: bytes, name: str, *, emulation: str, native: bool) -> bytes:
    """The bytes of ``libNAME.so``, which needs no other library.

    ``emulation`` is the linker's name of the machine (``elf_x86_64``); ``native`` says whether the
    system's own linker serves. Raises CompileError where there is no linker, or where it fails.
    """
    with tempfile.TemporaryDirectory(prefix="gradc-") as folder:
        place = Path(folder)
        (place / f"{name}.o").write_bytes(content)
        run([*linker(emulation, native=native), *_options(name), "-o", f"lib{name}.so", f"{name}.o"], place)
        return (place / f"lib{name}.so").read_bytes()


def _options(name: str) -> list[str]:
    """The options; with ``-Bsymbolic`` the library calls its own functions, whatever else a process calls so."""
    return ["-shared", "-Bsymbolic", "-soname", f"lib{name}.so", "--build-id=none", "-znoexecstack", "-znow", "-zrelro"]


def linker(emulation: str, *, native: bool) -> list[str]:
    """The command that links for a machine. Raises CompileError where there is none."""
    if native and shutil.which("ld"):
        return ["ld", "-m", emulation]
    if shutil.which("ld.lld"):
        return ["ld.lld", "-m", emulation]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "ld.lld", "-m", emulation]
    raise CompileError(
        f"a shared library needs a linker for {emulation}, and there is none: install binutils for this machine, "
        "or for any machine pip install 'gradc[cross]'"
    )


def run(command: Sequence[str], folder: Path) -> None:
    """Run a linker in a directory. Raises CompileError with what it said where it fails."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, env=environment, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompileError(f"the linker {command[0]} did not run: {error}") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise CompileError(f"the linker {command[0]} failed: {said[:400]}")
