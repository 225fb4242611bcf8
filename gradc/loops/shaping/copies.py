"""Local arrays that are copies of others: what reads the copy reads the original.

Sums into a small array are added up in a local one and then stored. Where the array that they are stored into stands on
the stack too, it is one more name for the same numbers.
"""

from __future__ import annotations

from dataclasses import replace

from gradc.loops.language.expressions import load_from
from gradc.loops.language.program import (
    ZERO,
    Accumulate,
    Buffer,
    Constant,
    Expression,
    For,
    If,
    Load,
    Local,
    LoopProgram,
    Statement,
    Store,
    walk,
)
from gradc.loops.language.traversal import buffers_named, expressions_of, statements_of, with_expressions

Block = tuple[Statement, ...]


def without_copies(program: LoopProgram) -> LoopProgram:
    """The program without local arrays that hold what another one holds wherever they are read."""
    arrays = {s.buffer.name: s.buffer for s in program.body if isinstance(s, Local)}
    if not arrays:
        return program
    finder = _Copies(program, arrays)
    body = finder.block(program.body)
    kept = tuple([s for s in body if not (isinstance(s, Local) and s.buffer.name in finder.gone)])
    return replace(program, body=kept) if finder.gone else program


class _Copies:
    """``arrays`` are the local ones of the kernel; ``gone`` those that turned out to be copies."""

    def __init__(self, program: LoopProgram, arrays: dict[str, Buffer]) -> None:
        self.program = program
        self.arrays = arrays
        self.gone: set[str] = set()

    def block(self, block: Block) -> Block:
        """A block and the blocks in it, whose copies are read no more."""
        position = 0
        while position < len(block):
            rest = block[position + 1 :]
            names = self._copy(block[position])
            if names is not None and self._is_same(block[:position], rest, *names):
                source, target = names
                self.gone.add(target)
                block = (*block[:position], *_read_from(rest, source, target))
            else:
                block = (*block[:position], self._inside(block[position]), *rest)
                position += 1
        return block

    def _inside(self, statement: Statement) -> Statement:
        match statement:
            case For(body=body):
                return replace(statement, body=self.block(body))
            case If(condition=condition, then=then, otherwise=otherwise):
                return If(condition, self.block(then), self.block(otherwise))
        return statement

    def _copy(self, statement: Statement) -> tuple[str, str] | None:
        """The names of two arrays of which the statement copies one, whole, into the other."""
        match statement:
            case For(var=var, hi=Constant(value=count), step=1, body=(Store() as store,)) if statement.lo is ZERO:
                value, place = store.value, store.index
                target = self.arrays.get(store.buffer)
                is_load = isinstance(value, Load) and value.index == place and len(place) == 1
                if is_load and str(place[0]) == var and target is not None and target.shape == (count,):
                    assert isinstance(value, Load)
                    return value.buffer, store.buffer
        return None

    def _is_same(self, before: Block, rest: Block, source: str, target: str) -> bool:
        """Whether the array, read in the rest alone, holds there what the other one holds, which is of this block."""
        own = [s.buffer for s in before if isinstance(s, Local) and s.buffer.name == source]
        array = self.arrays[target]
        if not own or (own[0].dtype, own[0].shape) != (array.dtype, array.shape):
            return False
        outside = sum(name == target for name in buffers_named(self.program.body))
        inside = sum(name == target for name in buffers_named(rest))
        written = _written(rest)
        loads = sum(name == target for name in _loaded(rest))
        return outside == inside + 1 and loads == inside and not written & {source, target}


def _loaded(block: Block) -> list[str]:
    """The buffers of the loads of statements, as often as ``buffers_named`` has them."""
    return [part.buffer for s in statements_of(block) for part in walk(*expressions_of(s)) if isinstance(part, Load)]


def _written(block: Block) -> set[str]:
    """What statements write, or may write: all that they name otherwise than in a load, and all that they declare."""
    found: set[str] = set()
    for statement in statements_of(block):
        match statement:
            case Store(buffer=name) | Accumulate(buffer=name):
                found.add(name)
            case Local(buffer=local):
                found.add(local.name)
    loaded = _loaded(block)
    every = list(buffers_named(block))
    return found | {name for name in set(every) if every.count(name) > loaded.count(name)}


def _read_from(block: Block, source: str, target: str) -> Block:
    """The statements with loads of ``target`` from ``source``."""
    images: dict[Expression, Expression] = {}
    for statement in statements_of(block):
        for part in walk(*expressions_of(statement)):
            if isinstance(part, Load) and part.buffer == target:
                images[part] = load_from(source, part.dtype, part.index)
    return tuple([with_expressions(statement, images) for statement in block])
