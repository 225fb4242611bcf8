"""Names that stand for what has one already: an argument that is a number, or a sum that is complete."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from gradc.loops.language.program import Expression, For, If, Let, Load, Local, Statement
from gradc.loops.language.traversal import buffers_named, statements_of, with_expressions

Block = tuple[Statement, ...]

_MADE: Final = re.compile(r"[st]\d+|total(_\d+)?")
"""Names that nobody gave."""


def without_aliases(block: Block, numbers: AbstractSet[str] = frozenset()) -> Block:
    """The block without such names; ``numbers`` are the arguments that are passed by value, which nothing writes."""
    position = 0
    while position < len(block):
        statement, rest = block[position], block[position + 1 :]
        if isinstance(statement, Let) and _is_alias(statement, block[:position], rest, numbers):
            images: dict[Expression, Expression] = {statement.variable: statement.value}
            block = (*block[:position], *[with_expressions(later, images) for later in rest])
            continue
        match statement:
            case For(body=body):
                statement = replace(statement, body=without_aliases(body, numbers))
            case If(condition=condition, then=then, otherwise=otherwise):
                statement = If(condition, without_aliases(then, numbers), without_aliases(otherwise, numbers))
        block = (*block[:position], statement, *rest)
        position += 1
    return block


def _is_alias(let: Let, before: Block, rest: Block, numbers: AbstractSet[str]) -> bool:
    """Whether the value is a number that has a name, and that nothing changes later."""
    value = let.value
    if not isinstance(value, Load) or value.index or not _MADE.fullmatch(let.name):
        return False
    if value.buffer in numbers:
        return True
    declared = any(isinstance(s, Local) and s.buffer.name == value.buffer for s in before)
    later = statements_of(rest)
    return declared and not any(value.buffer in buffers_named((s,)) for s in later)
