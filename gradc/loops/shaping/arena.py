"""The arena of a finished program, laid out anew.

Storage is planned while a graph is lowered. Afterwards contractions take over the arrays of their epilogues, reductions
get parts for chunks, contractions get scratch memory, recurrences their states, and each of these stood behind what was
there. Here every array lives from the first statement of the kernel that touches it through the last, and all of them
are laid out together. Arrays that share memory while both live, because one is made in the place of the other, go on
sharing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from gradc.loops.language.program import Buffer, Call, Choose, For, Local, LoopProgram
from gradc.loops.language.traversal import buffers_named, statements_of
from gradc.loops.shaping.buffers import Arena, Lifetime, lay_out

_MOST_ARRAYS: Final = 1000
"""Kernels of more arrays, unrolled recurrences, keep their layout: the time that this takes grows with the square."""


_MOST_WIDENED: Final = 1.1
"""How much more memory the arrays of repeated steps may take for lying apart."""

SMALL: Final = 512
"""Bytes of an arena that stands on the stack."""


class Lives(NamedTuple):
    """An array of the arena, and the statements of the kernel between which it holds something."""

    buffer: Buffer
    first: int
    last: int


def laid_out(program: LoopProgram, steps: Sequence[tuple[int, int]] = ()) -> LoopProgram:
    """The program with its arena laid out by the statements that use it; itself where that takes no less memory.

    ``steps`` are the first and the last statement of stretches in which different arrays shall lie apart: where that
    costs little, what lives in part of one lives in all of it. Symbolic arenas stay as they are.
    """
    if not isinstance(program.arena_bytes, int):
        return program
    lives = lives_of(program)
    groups = _groups(lives) if len(lives) <= _MOST_ARRAYS else None
    if groups is None:
        return program
    lifetimes = [_lifetime(group) for group in groups]
    arena = lay_out(lifetimes)
    if steps:
        apart = lay_out(_widened(lifetimes, steps))
        if int(apart.bytes) <= _MOST_WIDENED * min(int(arena.bytes), program.arena_bytes):
            return _placed(program, groups, apart)
    return _placed(program, groups, arena) if int(arena.bytes) < program.arena_bytes else program


def _placed(program: LoopProgram, groups: list[list[Lives]], arena: Arena) -> LoopProgram:
    offsets = {each.buffer.name: offset for group, offset in zip(groups, arena.offsets, strict=True) for each in group}
    buffers = tuple(replace(b, offset=offsets[b.name]) if b.name in offsets else b for b in program.buffers)
    return replace(program, buffers=buffers, arena_bytes=arena.bytes)


def _widened(lifetimes: Sequence[Lifetime], steps: Sequence[tuple[int, int]]) -> list[Lifetime]:
    """The lives of arrays, to the ends of the steps in which they begin and end."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for start, stop in steps:
        for position in range(start, stop + 1):
            first[position], last[position] = start, stop
    return [Lifetime(x.bytes, first.get(x.first, x.first), last.get(x.last, x.last)) for x in lifetimes]


def on_stack(program: LoopProgram) -> LoopProgram:
    """The program with the arrays of a small arena as local ones, for which the caller gives no memory.

    Arrays that are made in the place of others, element by element, stand apart. It stays as it is where other
    functions work on them.
    """
    if not isinstance(program.arena_bytes, int) or not 0 < program.arena_bytes <= SMALL or program.functions:
        return program
    shares = any(
        isinstance(s, (Call, Choose)) or (isinstance(s, For) and (s.carry or s.mode == "parallel"))
        for s in statements_of(program.body)
    )
    if shares or _groups(lives_of(program)) is None:
        return program
    arrays = [Local(replace(b, kind="local", offset=0, comment="")) for b in program.buffers if b.kind == "arena"]
    others = tuple(b for b in program.buffers if b.kind != "arena")
    return replace(program, buffers=others, body=(*arrays, *program.body), arena_bytes=0)


def lives_of(program: LoopProgram) -> list[Lives]:
    """The arrays of the arena that a kernel uses, in order of birth."""
    arrays = {buffer.name: buffer for buffer in program.buffers if buffer.kind == "arena"}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    ends: dict[str, tuple[str, str]] = {}
    for position, statement in enumerate(program.body):
        for name in _arrays_of(buffers_named((statement,)), ends):
            first.setdefault(name, position)
            last[name] = position
        if isinstance(statement, For):
            ends.update({carried.now: (carried.first, carried.second) for carried in statement.carry})
    found = [Lives(buffer, first[name], last[name]) for name, buffer in arrays.items() if name in first]
    return sorted(found, key=lambda each: each.first)


def _arrays_of(names: Iterable[str], ends: Mapping[str, tuple[str, str]]) -> Iterable[str]:
    """The buffers behind names: the state at the end of a loop stands in either of two."""
    for name in names:
        yield name
        yield from ends.get(name, ())


def _groups(lives: list[Lives]) -> list[list[Lives]] | None:
    """The arrays, together with those that share their memory while they live; None where they do so in part."""
    root = list(range(len(lives)))
    alive: list[int] = []
    for born, life in enumerate(lives):
        alive = [k for k in alive if lives[k].last >= life.first]
        for k in alive:
            if _share(lives[k].buffer, life.buffer):
                if lives[k].buffer.offset != life.buffer.offset:
                    return None
                one, other = root[k], root[born]
                root = [one if r == other else r for r in root]
        alive.append(born)
    groups: dict[int, list[Lives]] = {}
    for k, life in enumerate(lives):
        groups.setdefault(root[k], []).append(life)
    return list(groups.values())


def _share(one: Buffer, other: Buffer) -> bool:
    return int(one.offset) < int(other.offset + other.bytes) and int(other.offset) < int(one.offset + one.bytes)


def _lifetime(group: list[Lives]) -> Lifetime:
    size = max(int(each.buffer.bytes) for each in group)
    return Lifetime(size, min(each.first for each in group), max(each.last for each in group))
