"""C programs around generated libraries: compilers, and programs that run the self-test."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

CC = shutil.which("gcc") or shutil.which("clang")
CXX = shutil.which("g++") or shutil.which("clang++")
needs_cc = pytest.mark.skipif(CC is None, reason="there is no C compiler")
needs_nm = pytest.mark.skipif(shutil.which("nm") is None, reason="there are no binutils")
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-O1"]


def said(*command: str | Path) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def program(name: str, size: int, body: str = "") -> str:
    """A C program that runs the self-test, in static memory."""
    memory = f"static union {{ unsigned char bytes[{size} + 64]; double d; }} memory;\n" if size else ""
    address = "memory.bytes + (64 - (size_t)memory.bytes % 64) % 64" if size else ""
    return (
        f'#include <stddef.h>\n#include <stdio.h>\n#include "{name}.h"\n#include "{name}.h"\n{memory}'
        f"int main(void) {{\n    {name}_status status = {name}_selftest({address});\n{body}"
        f'    printf("%d\\n", (int)status);\n    return status == {name.upper()}_OK ? 0 : 1;\n}}\n'
    )


def compiled(folder: Path, source: str, compiler: Sequence[str], *more: str) -> Path:
    """The program of a source in ``folder``."""
    suffix = "cc" if "++" in compiler[0] else "c"
    (folder / f"main.{suffix}").write_text(source)
    command = [*compiler, *STRICT, f"main.{suffix}", *more, "-o", "main"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "main"
