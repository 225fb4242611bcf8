"""Makes a body read well: a scalar that is used once stands where it is used, unused ones go, names are short.

Loads are not moved past a statement that writes memory, and nothing is moved into a loop.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

from gradc.loops.language.program import (
    Accumulate,
    Call,
    Check,
    Expression,
    For,
    If,
    Let,
    Load,
    Local,
    Statement,
    Store,
    Variable,
    rewrite,
    walk,
)
from gradc.loops.language.traversal import expressions_of, statements_of, uses_of
from gradc.loops.lowering.names import Names, Spelling

_DEEPEST: Final = 6


def tidy(body: tuple[Statement, ...], spoken: set[str]) -> tuple[Statement, ...]:
    """The same statements with fewer names; those of ``spoken`` stay if they are used."""
    uses = uses_of(body)
    return _Block(uses, spoken, _dead(body, uses)).run(body)


def spell(body: tuple[Statement, ...], names: Names) -> tuple[Statement, ...]:
    """The same statements with the names that people read in place of raw ones."""
    return _Speller(names).block(body, Spelling(None, names.taken))


def _dead(body: tuple[Statement, ...], uses: Counter[Expression]) -> set[Expression]:
    """The names that nothing needs. ``uses`` no longer counts what stands in their values."""
    dead: set[Expression] = set()
    for statement in reversed(list(statements_of(body))):
        if isinstance(statement, Let) and not uses[statement.variable]:
            dead.add(statement.variable)
            if isinstance(statement.value, Variable):
                uses[statement.value] -= 1
            for part in walk(statement.value):
                uses.subtract(o for o in part.operands if isinstance(o, Variable))
    return dead


class _Block:
    """A block that is being rewritten. ``waiting`` are the names that may still be put in place."""

    def __init__(self, uses: Counter[Expression], spoken: set[str], dead: set[Expression]) -> None:
        self.uses = uses
        self.spoken = spoken
        self.dead = dead

    def run(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        result: list[Statement] = []
        waiting: dict[Expression, Let] = {}
        heights: dict[Expression, int] = {}
        for statement in body:
            if isinstance(statement, For):
                result += waiting.values()
                waiting.clear()
                result.append(replace(statement, body=self.run(statement.body)))
                continue
            if isinstance(statement, If):
                result += waiting.values()
                waiting.clear()
                then, otherwise = self.run(statement.then), self.run(statement.otherwise)
                result.append(replace(statement, then=then, otherwise=otherwise))
                continue
            if isinstance(statement, Let) and statement.variable in self.dead:
                continue
            new, height = _placed(statement, waiting, heights)
            if isinstance(new, Let) and self._may_wait(new, height):
                waiting[new.variable] = new
                heights[new.variable] = height
                continue
            if isinstance(new, (Store, Accumulate, Call)):
                result += [let for let in waiting.values() if _loads(let.value)]
                waiting = {name: let for name, let in waiting.items() if not _loads(let.value)}
            result.append(new)
        return (*result, *waiting.values())

    def _may_wait(self, let: Let, height: int) -> bool:
        return self.uses[let.variable] == 1 and let.name not in self.spoken and height <= _DEEPEST


def _placed(
    statement: Statement, waiting: dict[Expression, Let], heights: dict[Expression, int]
) -> tuple[Statement, int]:
    """The statement with waiting names replaced by their values, and the height of its tallest expression."""
    expressions = expressions_of(statement)
    height: dict[Expression, int] = {}
    replaced: dict[Expression, Expression] = {}
    for part in walk(*expressions):
        let = waiting.pop(part, None)
        if let is not None:
            replaced[part] = let.value
            height[part] = heights[part]
        else:
            height[part] = 1 + max((height[o] for o in part.operands), default=-1)
    tallest = max((height[e] for e in expressions), default=0)
    if not replaced:
        return statement, tallest
    return _with(statement, replaced), tallest


def _with(statement: Statement, replaced: dict[Expression, Expression]) -> Statement:
    match statement:
        case Let(value=value):
            return replace(statement, value=rewrite(value, replaced))
        case Store(index=index, value=value) | Accumulate(index=index, value=value):
            placed = tuple(rewrite(i, replaced) for i in index)
            return replace(statement, index=placed, value=rewrite(value, replaced))
        case Check(condition=condition, value=value):
            return replace(statement, condition=rewrite(condition, replaced), value=rewrite(value, replaced))
        case _:
            return statement


class _Speller:
    """Renames scalars and local buffers. Raw names are unique, so that one table of replacements serves all blocks."""

    def __init__(self, names: Names) -> None:
        self.wanted = names.wanted
        self.replaced: dict[Expression, Expression] = {}
        self.locals: dict[str, str] = {}

    def block(self, body: tuple[Statement, ...], spelling: Spelling) -> tuple[Statement, ...]:
        return tuple([self._statement(statement, spelling) for statement in body])

    def _statement(self, statement: Statement, spelling: Spelling) -> Statement:
        match statement:
            case For(body=body):
                return replace(statement, body=self._inner(body, spelling))
            case If(condition=condition, then=then, otherwise=otherwise):
                named_then, named_otherwise = (self._inner(block, spelling) for block in (then, otherwise))
                return If(self._read(condition), named_then, named_otherwise)
            case Let(name=raw, value=value):
                let = Let(spelling.name(self.wanted[raw]), self._read(value))
                self.replaced[statement.variable] = let.variable
                return let
            case Local(buffer=buffer):
                self.locals[buffer.name] = spelling.name(self.wanted[buffer.name])
                return Local(replace(buffer, name=self.locals[buffer.name]))
            case Store(buffer=target, index=index, value=value) | Accumulate(buffer=target, index=index, value=value):
                place = tuple(self._read(i) for i in index)
                return replace(statement, buffer=self.locals.get(target, target), index=place, value=self._read(value))
            case Check(condition=condition, value=value):
                return replace(statement, condition=self._read(condition), value=self._read(value))
            case _:
                return statement

    def _inner(self, body: tuple[Statement, ...], spelling: Spelling) -> tuple[Statement, ...]:
        inner = Spelling(spelling, set())
        named = self.block(body, inner)
        spelling.count_on(inner)
        return named

    def _read(self, value: Expression) -> Expression:
        return rewrite(value, self.replaced, self.locals)


def _loads(value: Expression) -> bool:
    return any(isinstance(part, Load) for part in walk(value))
