"""LLVM IR: the function of C that a kernel becomes, as text and as bitcode, for other compilers to link and inline."""

from __future__ import annotations

import os

from gradc.artifacts.files import write_files
from gradc.artifacts.header import Declared, about, header
from gradc.artifacts.library import build, runs_on
from gradc.backends.llvm.library import bitcode, module_text
from gradc.backends.llvm.targets import SUFFIXES, choose
from gradc.compiler import Compiled


def save_ir(
    compiled: Compiled, folder: str | os.PathLike[str], *, name: str, target: str | None = None, cpu: str | None = None
) -> None:
    """Write ``NAME.ll``, the text as gradc emits it, ``NAME.bc``, the same as bitcode, and ``NAME.h`` into a directory.

    A machine with several kinds of processors has one pair of files for each, and those of an earlier save are removed.
    Files appear all or none. Raises ArgumentError for names that are not known or that C could not have.
    """
    choice = choose(target, cpu)
    built = build(compiled, choice, name=name)
    declared = Declared(built.interface, built.selftest_bytes, built.suffixes)
    machine = f"As LLVM IR, r{runs_on(choice)[1:]}"
    comment = "".join(f"; {line}\n" for line in about([declared], name=name, runs_on=machine, libc=True))
    files = {f"{name}.h": header([declared], name=name, runs_on=machine, libc=True).encode()}
    for suffix, code in zip(built.suffixes, built.codes, strict=True):
        files[f"{name}{suffix}.ll"] = (comment + module_text(code)).encode()
        files[f"{name}{suffix}.bc"] = bitcode(code)
    earlier = [f"{name}{suffix}.{kind}" for suffix in SUFFIXES for kind in ("ll", "bc")]
    write_files(files, folder, "ir", earlier=earlier)
