"""Results that a caller may do without: what only serves those that are not wanted is not run.

A statement serves the outputs that its values flow into. In the kernel's outermost block, nests and calls that serve
some of the outputs alone get a condition; it reads from one more input, ``wanted``, which has a bool for each output.
A nest that fills several large outputs is there twice: as it was, for when all of them are wanted, and with a condition
around each store. An output that anything else mentions, such as a store in the outermost block or a nest that reads
it, may be written though nobody wants it: it needs spare memory then, and so does a small one, and one in place of an
input, where that is read. Scalars of the outermost block are always computed, and so is what a check depends on. A
caller that wants no output at all does not call the kernel.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import reduce
from itertools import groupby
from typing import Final

from gradc.loops.language.accesses import reads_of, writes_of
from gradc.loops.language.builder import b
from gradc.loops.language.program import (
    BOOL,
    Buffer,
    Call,
    Check,
    Comment,
    For,
    If,
    LoopProgram,
    Statement,
    Store,
)
from gradc.loops.language.traversal import buffers_named, declared_names, statements_of
from gradc.loops.shaping.expand import unused_name


@dataclass(frozen=True, slots=True)
class Optional:
    """A program whose outputs are optional.

    ``wanted`` is the name of its last input, empty where it has no conditions; ``spared`` are the outputs that need
    memory though they are not wanted.
    """

    program: LoopProgram
    wanted: str
    spared: tuple[str, ...]


SMALL: Final = 256
"""The most bytes of an output for which spare memory is less trouble than a nest that is there twice."""


def with_optional_results(program: LoopProgram) -> Optional:
    """The program with conditions around what serves some of its outputs alone. Straight-line code stays as it is."""
    outputs = tuple(buffer.name for buffer in program.outputs)
    every = frozenset(outputs)
    serves = _serves(program, every)
    conditional = [
        _may_be_skipped(statement) and bool(served) and served != every
        for statement, served in zip(program.body, serves, strict=True)
    ]
    spared = [
        buffer.name
        for buffer in program.outputs
        if buffer.place or not _is_left_alone(buffer.name, program, serves, conditional)
    ]
    doubled = [name for name in spared if not program.buffer[name].place and _may_be_guarded(name, program)]
    if not any(conditional) and not doubled:
        return Optional(program, "", tuple(spared))
    buffer = Buffer(
        unused_name("wanted", {*program.buffer, *declared_names(program.body)}), BOOL, (len(outputs),), "input",
        comment="which results the caller wants",
    )  # fmt: skip
    body: list[Statement] = []
    rows = zip(program.body, serves, conditional, strict=True)
    for (served, some), group in groupby(_with_comments(list(rows)), key=lambda row: row[1:]):
        block = tuple(_doubled(statement, buffer, outputs, doubled) for statement, _, _ in group)
        if some:
            loads = [b.load(buffer, [k]) for k, name in enumerate(outputs) if name in served]
            block = (If(reduce(b.logical_or, loads), block),)
        body += block
    inputs = (*program.inputs, buffer)
    rest = tuple(found for found in program.buffers if found.kind != "input")
    kept = tuple(name for name in spared if name not in doubled)
    return Optional(replace(program, buffers=(*inputs, *rest), body=tuple(body)), buffer.name, kept)


def _serves(program: LoopProgram, every: frozenset[str]) -> list[frozenset[str]]:
    """For each statement of the outermost block, the outputs that its values flow into."""
    found = []
    needed: dict[str, frozenset[str]] = defaultdict(frozenset)
    for statement in reversed(program.body):
        checked = any(isinstance(inner, Check) for inner in statements_of((statement,)))
        served = every if checked else frozenset()
        for name in writes_of(statement):
            served |= needed[name] | ({name} & every)
        for name in reads_of(statement):
            needed[name] |= served
        found.append(served)
    return found[::-1]


def _may_be_skipped(statement: Statement) -> bool:
    """Whether a statement is work worth a condition, and declares nothing for those after it."""
    return isinstance(statement, (Call, If)) or (isinstance(statement, For) and not statement.carry)


def _is_left_alone(name: str, program: LoopProgram, serves: list[frozenset[str]], conditional: list[bool]) -> bool:
    """Whether an output is mentioned only where it is wanted."""
    return len(program.outputs) == 1 or all(
        some and served == {name}
        for statement, served, some in zip(program.body, serves, conditional, strict=True)
        if name in buffers_named((statement,))
    )


def _may_be_guarded(name: str, program: LoopProgram) -> bool:
    """Whether a large output is only stored to, element by element, in nests."""
    size = program.buffer[name].bytes
    if isinstance(size, int) and size <= SMALL:
        return False
    for statement in program.body:
        if name not in buffers_named((statement,)):
            continue
        if not isinstance(statement, For) or name in reads_of(statement):
            return False
        for inner in statements_of((statement,)):
            if isinstance(inner, Call) or (isinstance(inner, For) and inner.carry):
                return False
    return True


def _doubled(statement: Statement, wanted: Buffer, outputs: tuple[str, ...], doubled: list[str]) -> Statement:
    """A nest as it is where every large output that it fills is wanted, else with a condition around each store."""
    filled = [name for name in doubled if name in buffers_named((statement,))]
    if not filled:
        return statement
    flags = {name: b.load(wanted, [outputs.index(name)]) for name in filled}

    def guarded(block: tuple[Statement, ...]) -> tuple[Statement, ...]:
        return tuple(guard(inner) for inner in block)

    def guard(inner: Statement) -> Statement:
        match inner:
            case Store(buffer=name) if name in flags:
                return If(flags[name], (inner,))
            case For():
                apart = not flags.keys().isdisjoint(buffers_named((inner,)))
                mode = "seq" if apart and inner.mode == "vector" else inner.mode
                return replace(inner, body=guarded(inner.body), mode=mode)
            case If():
                return replace(inner, then=guarded(inner.then), otherwise=guarded(inner.otherwise))
        return inner

    return If(reduce(b.logical_and, flags.values()), (statement,), (guard(statement),))


def _with_comments(
    rows: list[tuple[Statement, frozenset[str], bool]],
) -> list[tuple[Statement, frozenset[str], bool]]:
    """The rows, in which a comment goes with the statement that it is about."""
    found: list[tuple[Statement, frozenset[str], bool]] = []
    key: tuple[frozenset[str], bool] = (frozenset(), False)
    for statement, served, some in reversed(rows):
        if not isinstance(statement, Comment):
            key = (served, some)
        found.append((statement, *key))
    return found[::-1]
