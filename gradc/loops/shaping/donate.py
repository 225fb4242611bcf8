"""Results that take the memory of donated inputs: a program that updates its parameters in place.

The input and the result become one buffer, under the name of the result: what was read of the input is read of it,
until it is written. That is what the program meant where nothing reads an element of the input after the result's
element of that place was written: no statement after the first that writes, and in that statement itself every
iteration reads and writes one element, its own. Elsewhere the result is computed in scratch memory and copied at the
end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gradc.loops.language.accesses import reads_of, writes_of
from gradc.loops.language.expressions import Expression, Load, rewrite, walk
from gradc.loops.language.program import (
    ALIGNMENT,
    ZERO,
    Accumulate,
    Buffer,
    Call,
    Check,
    For,
    If,
    Let,
    LoopProgram,
    Mode,
    Statement,
    Store,
    b,
    size,
    variable,
)
from gradc.loops.language.traversal import buffers_named, declared_names, expressions_of, statements_of
from gradc.loops.shaping.expand import unused_name


def in_place(program: LoopProgram, pairs: Sequence[tuple[int, int]]) -> LoopProgram:
    """The program with results in the memory of inputs, ``pairs`` of their positions. Both are of one dtype and shape.

    A program with checks is left as it is: where one fails, a donated array must keep what it held.
    """
    if program.messages:
        return program
    for source, target in pairs:
        program = _merged(program, program.inputs[source], program.outputs[target])
    return program


def _merged(program: LoopProgram, source: Buffer, target: Buffer) -> LoopProgram:
    kept = replace(target, place=source.name)
    buffers = [kept if buffer == target else buffer for buffer in program.buffers]
    body, arena = program.body, program.arena_bytes
    if not _reads_before_it_writes(body, source.name, target.name):
        taken = set(program.buffer) | declared_names(body)
        staged = replace(target, name=unused_name(f"{target.name}_new", taken), kind="arena", offset=arena)
        buffers.append(staged)
        arena = arena + (staged.bytes + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        body = (*_renamed(body, {target.name: staged.name}), _copy(staged, kept, taken))
    body = _renamed(body, {source.name: target.name})
    return replace(program, buffers=tuple(buffers), body=body, arena_bytes=arena)


def _reads_before_it_writes(body: tuple[Statement, ...], source: str, target: str) -> bool:
    readers = [k for k, statement in enumerate(body) if source in reads_of(statement)]
    writers = [k for k, statement in enumerate(body) if target in writes_of(statement)]
    if not readers or not writers or readers[-1] < writers[0]:
        return True
    return readers[-1] == writers[0] and _by_element(body[writers[0]], source, target)


def _by_element(statement: Statement, source: str, target: str) -> bool:
    """Whether each iteration of a nest reads of ``source`` the element alone that it then writes, for the first time.

    So it is where all places are one tuple of distinct loop variables, which are those of the loops around the write.
    """
    loops: list[For] = []
    block: tuple[Statement, ...] = (statement,)
    while not any(isinstance(inner, Store) and inner.buffer == target for inner in block):
        around = [inner for inner in block if isinstance(inner, For) and target in buffers_named((inner,))]
        if len(around) != 1 or around[0].carry or around[0].step < 1:
            return False
        loops += around
        block = around[0].body
    (place, *others) = [inner.index for inner in block if isinstance(inner, Store) and inner.buffer == target]
    read = [part.index for part in _loads((statement,), source)]
    own = {variable(loop.var) for loop in loops}
    if others or any(index != place for index in read) or not own <= set(place) or len(set(place)) != len(place):
        return False
    if any(source in (view.buffer for view in call.views) for call in _calls(statement)):
        return False
    written = next(k for k, inner in enumerate(block) if isinstance(inner, Store) and inner.buffer == target)
    later = any(_loads(block[written + 1 :], source))
    # What surrounds the innermost block reads nothing of the source: the place is not known there.
    within = len(_loads(block, source)) == len(read)
    return within and not later and _writers(statement, target) == [block[written]]


def _loads(block: tuple[Statement, ...], buffer: str) -> list[Load]:
    parts = [part for statement in statements_of(block) for part in walk(*expressions_of(statement))]
    return [part for part in parts if isinstance(part, Load) and part.buffer == buffer]


def _calls(statement: Statement) -> list[Call]:
    return [inner for inner in statements_of((statement,)) if isinstance(inner, Call)]


def _writers(statement: Statement, target: str) -> list[Statement]:
    found: list[Statement] = []
    for inner in statements_of((statement,)):
        stores = isinstance(inner, (Store, Accumulate)) and inner.buffer == target
        if stores or (isinstance(inner, Call) and any(view.buffer == target for view in inner.views)):
            found.append(inner)
    return found


def _copy(source: Buffer, target: Buffer, taken: set[str]) -> Statement:
    """A nest that copies one buffer into another."""
    names = [unused_name("i", taken) for _ in source.shape]
    index = tuple(variable(name) for name in names)
    statement: Statement = Store(target.name, index, b.load(source, index))
    for axis, name in reversed(list(enumerate(names))):
        mode: Mode = "vector" if axis == len(names) - 1 else "parallel"
        statement = For(name, ZERO, size(source.shape[axis]), (statement,), mode=mode)
    return statement


def _renamed(block: tuple[Statement, ...], names: Mapping[str, str]) -> tuple[Statement, ...]:
    """The statements with other names for buffers."""
    renamed = dict(names)
    images: dict[Expression, Expression] = {}

    def of(expression: Expression) -> Expression:
        return rewrite(expression, images, renamed)

    def statement(s: Statement) -> Statement:
        match s:
            case For():
                carry = tuple(
                    replace(c, first=renamed.get(c.first, c.first), second=renamed.get(c.second, c.second))
                    for c in s.carry
                )
                return replace(s, lo=of(s.lo), hi=of(s.hi), body=blocks(s.body), carry=carry)
            case Let():
                return replace(s, value=of(s.value))
            case Store() | Accumulate():
                buffer = renamed.get(s.buffer, s.buffer)
                return replace(s, buffer=buffer, index=tuple(map(of, s.index)), value=of(s.value))
            case If():
                return If(of(s.condition), blocks(s.then), blocks(s.otherwise))
            case Call():
                assert s.epilogue is None, "epilogues come after results take the memory of inputs"
                views = tuple(replace(v, buffer=renamed.get(v.buffer, v.buffer), offset=of(v.offset)) for v in s.views)
                return replace(s, views=views, scalars=tuple(map(of, s.scalars)))
            case Check():
                return replace(s, condition=of(s.condition), value=of(s.value))
        return s

    def blocks(inner: tuple[Statement, ...]) -> tuple[Statement, ...]:
        return tuple(map(statement, inner))

    return blocks(block)
