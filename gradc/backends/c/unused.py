"""Names that nothing uses: compilers warn of them."""

from __future__ import annotations

from dataclasses import replace

from gradc.loops.language.program import Comment, For, If, Let, Statement, Variable, walk
from gradc.loops.language.traversal import expressions_of


def without_unused(block: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """The block without lets that no later statement uses, blocks that do nothing, and remarks on nothing."""
    return _kept(block, set())


def _kept(block: tuple[Statement, ...], used: set[str]) -> tuple[Statement, ...]:
    """What stays of a block after which ``used`` are used; ``used`` are then those before it."""
    kept: list[Statement] = []
    for statement in reversed(block):
        match statement:
            case Let(name=name) if name not in used:
                continue
            case Comment() if not kept:  # what it told of has become part of something earlier
                continue
            case Let(name=name):
                used.discard(name)
            case For(var=var, body=body):
                inner = set(used)
                statement = replace(statement, body=_kept(body, inner))
                if not statement.body and not statement.carry:
                    continue
                used |= inner - {var}
            case If(then=then, otherwise=otherwise):
                first, second = set(used), set(used)
                statement = replace(statement, then=_kept(then, first), otherwise=_kept(otherwise, second))
                used |= first | second
        for part in walk(*expressions_of(statement)):
            if isinstance(part, Variable):
                used.add(part.name)
        kept.append(statement)
    return tuple(reversed(kept))
