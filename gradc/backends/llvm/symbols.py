"""What the globals of a module are called, and which constants are linked: known without the emitter."""

from __future__ import annotations

from typing import Final

from gradc.loops.language.program import Buffer, LoopProgram

EMBEDDED: Final = 4096
"""Constants of at most this many bytes stand in the module; larger ones are linked by address."""


def constant_symbol(program: LoopProgram, buffer: Buffer) -> str:
    """The global of a constant buffer, without ``@``."""
    return f"{program.name}.constant.{buffer.name}"


def kernel_symbol(program: LoopProgram) -> str:
    """The global of the kernel, without ``@``."""
    return f"{program.name}.kernel"


def linked_constants(program: LoopProgram) -> list[Buffer]:
    """The constants that the loader links by address."""
    return [b for b in program.buffers if b.kind == "constant" and len(b.data) > EMBEDDED]
