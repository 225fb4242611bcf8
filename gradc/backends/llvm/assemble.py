"""Object files whose constants stand beside the code that reads them.

LLVM puts each constant into a section of its kind, under a symbol, and every instruction that reads it gets a
relocation of 24 bytes: more than a small function itself. On x86-64, where an instruction finds a constant by its
distance, the assembler resolves that if both are in one section. So a module is written as assembly text, small
constants are moved into the sections of the functions behind them, and the text is assembled by LLVM again.
"""

from __future__ import annotations

import re
from typing import Any, Final

from gradc.backends.llvm.machine import parse, target_machine
from gradc.ir.target import Target

SMALL: Final = 4096
"""The most bytes of a table that is moved into a section of code."""

_SECTION: Final = re.compile(r"^\t(?:\.section\t|\.text$)", re.MULTILINE)
_CONSTANTS: Final = re.compile(r"\t\.section\t\.rodata(?:\.cst\d+|(?P<own>\.[^,]+))?,")
_BYTES: Final = re.compile(r"^\t\.size\t\S+, (\d+)$", re.MULTILINE)


def is_resolved(target: Target) -> bool:
    """Whether constants in the section of the code need no relocations."""
    return target.triple.startswith("x86_64") and "linux" in target.triple


def with_resolved_constants(module: Any, target: Target) -> bytes:
    """The object file of a module."""
    return assembled(with_constants_in_code(target_machine(target).emit_assembly(module)), target)


def assembled(text: str, target: Target) -> bytes:
    """The object file of assembly text as LLVM writes it."""
    lines = "\n".join(f'module asm "{_quoted(line)}"' for line in text.splitlines() if line)
    return bytes(target_machine(target).emit_object(parse(f"{lines}\n", target)))


def with_constants_in_code(assembly: str) -> str:
    """Assembly text in which the small constants of a function stand behind it, in its section."""
    starts = [found.start() for found in _SECTION.finditer(assembly)]
    chunks = [assembly[start:stop] for start, stop in zip(starts, [*starts[1:], len(assembly)], strict=True)]
    result: list[str] = []
    constants: list[str] = []
    for chunk in chunks:
        directive, _, rest = chunk.partition("\n")
        table = _CONSTANTS.match(directive)
        if table is not None and re.search(r"^\.LCPI", rest, re.MULTILINE):
            constants.append(rest)  # of the function that follows
            continue
        if table is not None and sum(map(int, _BYTES.findall(rest))) <= SMALL:
            directive = f'\t.section\t.text{table["own"]},"ax",@progbits' if table["own"] else "\t.text"
        result += [f"{directive}\n{rest}", *constants]
        constants = []
    head = re.sub(r"^\t\.file\t.*\n", "", assembly[: starts[0]], flags=re.MULTILINE)  # the new module has a name too
    return head + "".join(result)


def _quoted(line: str) -> str:
    """A line as a string of IR."""
    return re.sub(r'[\\"\t]', lambda found: f"\\{ord(found[0]):02X}", line)
