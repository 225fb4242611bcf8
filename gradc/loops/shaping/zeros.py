"""Sums that may start from -0.0: where no result tells the sign of a zero, the first term is added to nothing.

A sum starts from 0.0, so that terms of -0.0 alone make 0.0, as in NumPy's products of matrices. ``-0.0 + x`` is always
x, ``0.0 + x`` is not where x is -0.0: that is an addition, for whose latency a kernel of few numbers waits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Final

from gradc.loops.language.expressions import I64, Apply, Constant, Expression, Load, Variable, constant
from gradc.loops.language.program import Accumulate, Call, Choose, For, If, Let, Local, LoopProgram, Statement, Store
from gradc.loops.language.traversal import buffers_named, expressions_of, nested

KEEPS: Final = frozenset(("add", "sub", "mul", "neg", "fma", "convert", "select"))
"""A zero of the other sign makes the same result, or a zero of the other sign."""

DROPS: Final = frozenset(("abs", "exp", "exp_unit", "cos", "cosh", "lt", "le", "gt", "ge", "eq", "ne"))
"""It makes the same result."""


def without_signs_of_zeros(program: LoopProgram) -> LoopProgram:
    """The program whose sums in local buffers start from -0.0 where that changes no result."""
    signs = _Signs(list(_scoped(program.body, {}, count())))
    free = signs.started - signs.telling()
    if not free:
        return program
    scopes = (names for _, names in _scoped(program.body, {}, count()))
    return replace(program, body=_restarted(program.body, scopes, free))


Names = Mapping[str, str]
"""The local names at a statement, each with one that no other block gives to something else."""


def _scoped(block: tuple[Statement, ...], outer: Names, numbers: Iterator[int]) -> Iterator[tuple[Statement, Names]]:
    """Every statement, outer first, with the names that it finds and declares."""
    names = dict(outer)
    for statement in block:
        if isinstance(statement, Let):
            names = names | {statement.name: f"{statement.name}.{next(numbers)}"}
        elif isinstance(statement, Local):
            names = names | {statement.buffer.name: f"{statement.buffer.name}.{next(numbers)}"}
        yield statement, names
        for inner in nested(statement):
            yield from _scoped(inner, names, numbers)


def _restarted(block: tuple[Statement, ...], scopes: Iterator[Names], free: set[str]) -> tuple[Statement, ...]:
    found: list[Statement] = []
    for statement in block:
        names = next(scopes)
        inner = [_restarted(part, scopes, free) for part in nested(statement)]
        match statement:
            case Store(buffer=name, value=value) if names.get(name) in free:
                statement = replace(statement, value=constant(-0.0, value.dtype))
            case For():
                statement = replace(statement, body=inner[0])
            case If():
                statement = replace(statement, then=inner[0], otherwise=inner[1])
            case _:
                pass
        found.append(statement)
    return tuple(found)


class _Signs:
    """Where the signs of zeros go: from the local buffers and names that have them to others, and to results.

    started  local buffers that are sums from 0.0 and nothing else: what is added to that has a zero's sign no more
    """

    def __init__(self, statements: list[tuple[Statement, Names]]) -> None:
        self.started = _started(statements)
        self.told: set[str] = set()
        self.sources: dict[str, set[str]] = defaultdict(set)
        for statement, names in statements:
            self._read(statement, names)

    def telling(self) -> set[str]:
        """The names whose zeros' signs a result tells."""
        found: set[str] = set()
        waiting = list(self.told)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.sources[name]
        return found

    def _read(self, statement: Statement, names: Names) -> None:
        *others, value = expressions_of(statement) or (constant(0, I64),)
        target: str | None = None
        match statement:
            case Let(name=name) | Store(buffer=name):
                target = names.get(name)
            case Accumulate(op="add", buffer=name):
                target = names.get(name)
                if target in self.started:
                    others, value = [*statement.index], constant(0, I64)
                    self._kept(statement.value, names)
            case For(carry=carry):
                self._tell({name for state in carry for name in (state.first, state.second)}, names)
            case Call() | Choose() | Accumulate():
                self._tell(set(buffers_named((statement,))), names)
            case _:
                pass
        self._flow(value, target, names)
        for other in others:
            self._flow(other, None, names)

    def _tell(self, found: set[str], names: Names) -> None:
        self.told |= {names[name] for name in found if name in names}

    def _flow(self, value: Expression, target: str | None, names: Names) -> None:
        """Note that what is read in a value goes on to a local name, or else to a result."""
        kept = self._kept(value, names)
        if target is None:
            self.told |= kept
            return
        self.sources[target] |= kept

    def _kept(self, value: Expression, names: Names) -> set[str]:
        """The names in an expression whose zeros' signs its own zeros may have; what tells more of them is noted."""
        match value:
            case Load(buffer=name, index=index):
                for part in index:
                    self._flow(part, None, names)
                return {names[name]} if name in names else set()
            case Variable(name=name):
                return {names[name]} if name in names else set()
            case Apply(primitive=primitive, arguments=arguments):
                parts = [self._kept(argument, names) for argument in arguments]
                if primitive == "div":
                    self.told |= parts.pop()
                elif primitive not in KEEPS | DROPS:
                    self.told.update(*parts)
                return set() if primitive in DROPS else set[str]().union(*parts)
            case _:
                return set()


def _started(statements: list[tuple[Statement, Names]]) -> set[str]:
    """The local buffers of floats that are set to 0.0 and added to, and nothing else."""
    found = {
        names[statement.buffer.name]
        for statement, names in statements
        if isinstance(statement, Local) and statement.buffer.dtype.kind == "f"
    }
    for statement, names in statements:
        match statement:
            case Store(value=Constant(value=value)) if str(value) == "0.0":
                pass
            case Store(buffer=name) if name in names:
                found.discard(names[name])
            case Accumulate(op=op, buffer=name) if op != "add" and name in names:
                found.discard(names[name])
            case _:
                pass
    return found
