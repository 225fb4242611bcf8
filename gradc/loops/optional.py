"""Results that a caller may do without: what only serves those that are not wanted is not run.

A statement serves the outputs that its values flow into. In the kernel's outermost block, nests and calls that serve
some of the outputs alone get a condition; it reads from one more input, ``wanted``, which has a bool for each output.
An output that anything else mentions, such as a store in the outermost block or a nest that fills two of them, may be
written though nobody wants it: it needs spare memory then. Scalars of the outermost block are always computed, and so
is what a check depends on. A caller that wants no output at all does not call the kernel.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import reduce
from itertools import groupby

from gradc.loops.accesses import reads_of, writes_of
from gradc.loops.builder import b
from gradc.loops.expand import unused_name
from gradc.loops.program import (
    BOOL,
    Buffer,
    Call,
    Check,
    Comment,
    For,
    If,
    LoopProgram,
    Statement,
)
from gradc.loops.traversal import buffers_named, declared_names, statements_of


@dataclass(frozen=True, slots=True)
class Optional:
    """A program whose outputs are optional.

    ``wanted`` is the name of its last input, empty where it has no conditions; ``spared`` are the outputs that need
    memory though they are not wanted.
    """

    program: LoopProgram
    wanted: str
    spared: tuple[str, ...]


def with_optional_results(program: LoopProgram) -> Optional:
    """The program with conditions around what serves some of its outputs alone. Straight-line code stays as it is."""
    outputs = tuple(buffer.name for buffer in program.outputs)
    every = frozenset(outputs)
    serves = _serves(program, every)
    conditional = [
        _may_be_skipped(statement) and bool(served) and served != every
        for statement, served in zip(program.body, serves, strict=True)
    ]
    spared = [name for name in outputs if not _is_left_alone(name, program, serves, conditional)]
    if not any(conditional):
        return Optional(program, "", tuple(spared))
    buffer = Buffer(
        unused_name("wanted", {*program.buffer, *declared_names(program.body)}), BOOL, (len(outputs),), "input",
        comment="which results the caller wants",
    )  # fmt: skip
    body: list[Statement] = []
    rows = zip(program.body, serves, conditional, strict=True)
    for (served, some), group in groupby(_with_comments(list(rows)), key=lambda row: row[1:]):
        block = tuple(statement for statement, _, _ in group)
        if some:
            loads = [b.load(buffer, [k]) for k, name in enumerate(outputs) if name in served]
            block = (If(reduce(b.logical_or, loads), block),)
        body += block
    inputs = (*program.inputs, buffer)
    rest = tuple(found for found in program.buffers if found.kind != "input")
    return Optional(replace(program, buffers=(*inputs, *rest), body=tuple(body)), buffer.name, tuple(spared))


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
