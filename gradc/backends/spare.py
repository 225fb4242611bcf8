"""Memory for results that are written though nobody wants them, and the workspace that a call needs for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gradc.ir.aval import Dim
from gradc.loops.language.program import ALIGNMENT
from gradc.loops.shaping.optional import Optional

SPARE_ON_STACK: Final = 512
"""Bytes of results nobody wants that stand on the stack; more of them stand in the workspace."""


@dataclass(frozen=True, slots=True)
class Spare:
    """Memory for results that are written though they are not wanted, as places in bytes by the name of the buffer."""

    places: dict[str, Dim]
    bytes: Dim
    on_stack: bool


def spare_of(program: Optional) -> Spare:
    """Where results that nobody wants go: on the stack while they are small."""
    places: dict[str, Dim] = {}
    end: Dim = 0
    for name in program.spared:
        places[name] = end
        end = rounded(end + program.program.buffer[name].bytes)
    fixed = isinstance(end, int) and end <= SPARE_ON_STACK
    return Spare(places, end, fixed)


def workspace_of(program: Optional) -> Dim:
    """The bytes that a call needs from its caller: the arena, and spare memory behind it."""
    spare = spare_of(program)
    return program.program.arena_bytes if spare.on_stack else rounded(program.program.arena_bytes) + spare.bytes


def rounded(size: Dim) -> Dim:
    """A size up to whole ALIGNMENTs."""
    if not isinstance(size, int) and size.content % ALIGNMENT == 0:
        return size
    return (size + (ALIGNMENT - 1)) // ALIGNMENT * ALIGNMENT
