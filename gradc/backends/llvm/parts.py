"""Cutting a long kernel into parts, and the frame of what lives across them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from gradc.loops.language.program import (
    ALIGNMENT,
    ZERO,
    Buffer,
    Comment,
    Constant,
    For,
    Let,
    Local,
    LoopProgram,
    Statement,
    Variable,
    walk,
)
from gradc.loops.language.traversal import buffers_named, expressions_of, nested, statements_of

NESTS: Final = 50
"""Loop nests a function: beyond it, LLVM's passes take time that grows with the square."""

INSTRUCTIONS: Final = 40
"""Straight-line operations that weigh as much as a nest."""


@dataclass(slots=True)
class Frame:
    """The memory of names that later parts use: scalars, local buffers, pointers of carried state.

    ``scalars`` and ``carried`` map a name to its place in bytes, ``scalars`` with its dtype; ``locals`` too.
    """

    bytes: int = 0
    scalars: dict[str, tuple[int, np.dtype]] = field(default_factory=dict)
    locals: dict[str, tuple[int, Buffer]] = field(default_factory=dict)
    carried: dict[str, tuple[int, str]] = field(default_factory=dict)

    def reserve(self, size: int, alignment: int) -> int:
        """A place for ``size`` bytes."""
        place = -(-self.bytes // alignment) * alignment
        self.bytes = place + size
        return place


def split(program: LoopProgram, *, tasks: bool = False) -> tuple[list[tuple[Statement, ...]], Frame]:
    """The body in parts of bounded weight, in order, and the frame that they share.

    With ``tasks`` each loop that may run on several threads (``is_task``) is a part of its own.
    """
    pieces: list[list[Statement]] = [[]]
    weight = 0.0
    for statement in program.body:
        apart = tasks and is_task(statement)
        more = math.inf if apart else weight_of(statement)
        if (weight or apart) and weight + more > NESTS:
            pieces.append(_remarks(pieces[-1]) if apart else [])
            weight = 0.0
        pieces[-1].append(statement)
        weight += more
    blocks = [tuple(piece) for piece in pieces if piece]
    return blocks, _frame(blocks) if len(blocks) > 1 else Frame()


def _remarks(block: list[Statement]) -> list[Statement]:
    """Takes the comments at the end of a block from it: they are about what comes."""
    count = 0
    while count < len(block) and isinstance(block[-1 - count], Comment):
        count += 1
    remarks = block[len(block) - count :]
    del block[len(block) - count :]
    return remarks


def is_task(statement: Statement) -> bool:
    """Whether a statement of the kernel's is a loop that may run on several threads: parallel, counting from 0."""
    if not isinstance(statement, For) or statement.mode != "parallel" or statement.step != 1:
        return False
    return statement.lo is ZERO and isinstance(statement.hi, Constant)


def weight_of(statement: Statement) -> float:
    """How much a statement adds to its function, in loop nests."""
    inner = sum(weight_of(s) for block in nested(statement) for s in block)
    if isinstance(statement, For):
        return max(1.0, inner)
    parts = sum(1 for _ in walk(*expressions_of(statement)))
    return inner + parts / INSTRUCTIONS


def names_used(block: tuple[Statement, ...]) -> Iterator[str]:
    """The variables and buffers that a block mentions."""
    yield from buffers_named(block)
    for statement in statements_of(block):
        yield from (part.name for part in walk(*expressions_of(statement)) if isinstance(part, Variable))


def _frame(blocks: list[tuple[Statement, ...]]) -> Frame:
    """Places for the top-level names of each block that a later one uses."""
    frame = Frame()
    needed: set[str] = set()
    for block in reversed(blocks):
        for statement in block:
            match statement:
                case Let(name=name, value=value) if name in needed:
                    frame.scalars[name] = frame.reserve(8, 8), value.dtype
                case Local(buffer=local) if local.name in needed:
                    frame.locals[local.name] = frame.reserve(int(local.bytes), ALIGNMENT), local
                case For(carry=carry):
                    for carried in carry:
                        if carried.now in needed:
                            frame.carried[carried.now] = frame.reserve(8, 8), carried.first
        needed.update(names_used(block))
    return frame
