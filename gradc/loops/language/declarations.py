"""The laws of what a loop program declares, by their numbers in ``language.verify``: buffers and messages."""

from __future__ import annotations

from gradc.loops.language.program import ALIGNMENT, Buffer, LoopProgram
from gradc.loops.language.reach import broken, check_name
from gradc.loops.language.traversal import buffers_named


def check_declarations(program: LoopProgram) -> None:
    """Raise VerifyError for a buffer or a message that breaks a law by itself."""
    check_name(program.name)
    seen: set[str] = set()
    for buffer in program.buffers:
        check_name(buffer.name)
        if buffer.name in seen:
            broken(1, f"{buffer.name} is declared again where it is in reach")
        seen.add(buffer.name)
        if buffer.kind not in ("input", "output", "arena", "constant"):
            broken(2, f"{buffer.name} is a {buffer.kind} outside of any function")
        one_line(buffer.comment)
        if buffer.place:
            _stands_in(program, buffer)
        if buffer.kind == "constant" and len(buffer.data) != buffer.bytes:
            broken(9, f"{buffer.name}: {len(buffer.data)} bytes for {buffer.aval}")
        if buffer.kind == "arena":
            offset, end = buffer.offset, buffer.offset + buffer.bytes
            if isinstance(offset, int) and (offset % ALIGNMENT or offset < 0):
                broken(9, f"{buffer.name}: the offset {offset} is not a multiple of {ALIGNMENT}")
            if isinstance(end, int) and isinstance(program.arena_bytes, int) and end > program.arena_bytes:
                broken(9, f"{buffer.name} ends at {end}, the arena at {program.arena_bytes}")
    for message in program.messages:
        one_line(message)


def _stands_in(program: LoopProgram, buffer: Buffer) -> None:
    """The law about an output in place of an input."""
    source = program.buffer.get(buffer.place)
    if buffer.kind != "output" or source is None or source.kind != "input" or source.aval != buffer.aval:
        broken(9, f"{buffer.name} stands in place of {buffer.place}, which is no input of {buffer.aval}")
    if [b.place for b in program.outputs].count(buffer.place) > 1 or buffer.place in buffers_named(program.body):
        broken(9, f"{buffer.place} is named although {buffer.name} stands in its place")


def one_line(text: str) -> None:
    """Raise VerifyError for a text of several lines."""
    if text != text.strip() or len(text.splitlines()) > 1 or "  # " in text:
        broken(13, f"{text!r} is not one line")
