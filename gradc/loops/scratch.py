"""Scratch memory for contractions that a backend computes in packed blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gradc.loops.expand import unused_name
from gradc.loops.program import ALIGNMENT, Buffer, Call, Contraction, For, If, LoopProgram, Statement, whole
from gradc.loops.traversal import declared_names

Needs = Callable[[Call], int]
"""How many elements of its dtype a contraction would have as scratch."""


def reserve(program: LoopProgram, needs: Needs) -> LoopProgram:
    """The program with a fourth view, of scratch memory, for each contraction that would have some.

    They take turns, so one block at the end of the arena serves all; contractions in loops whose iterations may run
    side by side get none. The program is returned as it is where nothing is needed.
    """
    wanted: dict[str, Buffer] = {}
    start = program.arena_bytes
    if isinstance(start, int):
        start = -(-start // ALIGNMENT) * ALIGNMENT
    names = set(program.buffer) | declared_names(program.body)

    def scratch(call: Call) -> Statement:
        contraction = call.callee
        if not isinstance(contraction, Contraction) or len(call.views) != 3:
            return call
        elements = needs(call)
        if not elements:
            return call
        kind = contraction.dtype
        known = wanted.get(kind.name)
        length = max(elements, int(known.shape[0]) if known else 0)
        name = known.name if known else unused_name(f"scratch_{kind.name}", names)
        wanted[kind.name] = Buffer(name, kind, (length,), "arena", start, comment="packed blocks of contractions")
        return replace(call, views=(*call.views, whole(wanted[kind.name])))

    def block(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
        return tuple(statement(s) for s in statements)

    def statement(found: Statement) -> Statement:
        match found:
            case Call():
                return scratch(found)
            case For(mode="seq"):
                return replace(found, body=block(found.body))
            case If():
                return replace(found, then=block(found.then), otherwise=block(found.otherwise))
        return found

    body = block(program.body)
    if not wanted:
        return program
    end = start + max(int(buffer.bytes) for buffer in wanted.values())
    return replace(program, body=body, buffers=(*program.buffers, *wanted.values()), arena_bytes=end)
