"""Scratch memory for contractions that a backend computes in packed blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gradc.loops.language.program import (
    ALIGNMENT,
    Buffer,
    Call,
    Contraction,
    For,
    Function,
    If,
    LoopProgram,
    Statement,
    whole,
)
from gradc.loops.language.traversal import declared_names, statements_of
from gradc.loops.shaping.expand import unused_name

Needs = Callable[[Call], int]
"""How many elements of its dtype a contraction would have as scratch."""

Inside = Callable[[Function], Needs]
"""The needs of the contractions in an internal function."""


Given = Callable[[np.dtype, int], Buffer]
"""A block of a dtype with at least so many elements."""


def reserve(program: LoopProgram, needs: Needs, inside: Inside | None = None) -> LoopProgram:
    """The program with a fourth view, of scratch memory, for each contraction that would have some.

    They take turns, so one block at the end of the arena serves all; contractions in loops whose iterations may run
    side by side get none. A function that the kernel calls gets its block as a parameter, where ``inside`` tells what
    it needs. The program is returned as it is where nothing is needed.
    """
    blocks = _Blocks(program)
    if inside is not None:
        alone = _called_alone(program)
        functions = tuple(blocks.of_function(f, inside(f)) if f.name in alone else f for f in program.functions)
        program = replace(program, functions=functions)
    body = blocks.block(program.body, needs, blocks.of_kernel)
    if not blocks.wanted:
        return program
    end = blocks.start + max(int(buffer.bytes) for buffer in blocks.wanted.values())
    return replace(program, body=body, buffers=(*program.buffers, *blocks.wanted.values()), arena_bytes=end)


def _called_alone(program: LoopProgram) -> set[str]:
    """The functions that are called by the kernel, in sequence, and nowhere else."""
    inside = {s.callee for f in program.functions for s in statements_of(f.body) if isinstance(s, Call)}
    beside = {
        inner.callee
        for statement in statements_of(program.body)
        if isinstance(statement, For) and statement.mode != "seq"
        for inner in statements_of(statement.body)
        if isinstance(inner, Call)
    }
    return {f.name for f in program.functions} - inside - beside


class _Blocks:
    """The blocks of scratch memory of a program: one for each dtype, and those that functions have as parameters."""

    def __init__(self, program: LoopProgram) -> None:
        start = program.arena_bytes
        self.start = -(-start // ALIGNMENT) * ALIGNMENT if isinstance(start, int) else start
        self.names = set(program.buffer) | declared_names(program.body)
        self.wanted: dict[str, Buffer] = {}
        self.parameters: dict[str, tuple[Buffer, ...]] = {}

    def of_kernel(self, dtype: np.dtype, elements: int) -> Buffer:
        """The block of a dtype in the arena, which has at least so many elements from now on."""
        known = self.wanted.get(dtype.name)
        length = max(elements, int(known.shape[0]) if known else 0)
        name = known.name if known else unused_name(f"scratch_{dtype.name}", self.names)
        block = Buffer(name, dtype, (length,), "arena", self.start, comment="packed blocks of contractions")
        self.wanted[dtype.name] = block
        return block

    def of_function(self, function: Function, needs: Needs) -> Function:
        """The function with blocks as parameters."""
        own: dict[str, Buffer] = {}
        names = {parameter.name for parameter in function.parameters} | declared_names(function.body) | self.names

        def block(dtype: np.dtype, elements: int) -> Buffer:
            known = own.get(dtype.name)
            length = max(elements, int(known.shape[0]) if known else 0)
            name = known.name if known else unused_name(f"scratch_{dtype.name}", names)
            own[dtype.name] = Buffer(name, dtype, (length,), "parameter", writable=True)
            return own[dtype.name]

        self.block(function.body, needs, block)  # how much they need in all
        body = self.block(function.body, needs, block)
        self.parameters[function.name] = tuple(own.values())
        return replace(function, parameters=(*function.parameters, *own.values()), body=body)

    def block(self, statements: tuple[Statement, ...], needs: Needs, given: Given) -> tuple[Statement, ...]:
        """The statements with scratch memory, from the blocks that are ``given``."""

        def statement(found: Statement) -> Statement:
            match found:
                case Call(callee=Contraction() as contraction, views=(_, _, _)):
                    elements = needs(found)
                    return (
                        replace(found, views=(*found.views, whole(given(contraction.dtype, elements))))
                        if elements
                        else found
                    )
                case Call(callee=str() as callee):
                    parts = [given(p.dtype, int(p.shape[0])) for p in self.parameters.get(callee, ())]
                    return replace(found, views=(*found.views, *map(whole, parts)))
                case For(mode="seq"):
                    return replace(found, body=self.block(found.body, needs, given))
                case If():
                    then, otherwise = (self.block(b, needs, given) for b in (found.then, found.otherwise))
                    return replace(found, then=then, otherwise=otherwise)
            return found

        return tuple(statement(s) for s in statements)
