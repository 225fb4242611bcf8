"""Short sums: their terms are computed at once, in vectors, before they are added up one after the other.

What a loop adds to a sum waits for the sum, but what it computes for that does not: ``t = a[i] - y[i]; sum += t * t``
becomes a loop over both that runs in vectors, and one that adds up. Every number is computed by the same operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gradc.loops.language.expressions import Apply, Constant, Expression, Load, load_from, variable, walk
from gradc.loops.language.independence import conflict
from gradc.loops.language.program import (
    SEQUENTIAL,
    ZERO,
    Accumulate,
    Buffer,
    For,
    If,
    Let,
    Local,
    LoopProgram,
    Statement,
    Store,
)
from gradc.loops.language.ranges import Ranges
from gradc.loops.language.traversal import buffers_named, declared_names, expressions_of
from gradc.loops.shaping.expand import unused_name

TERMS: Final = 2
"""So many terms of a sum are computed at once. With 4 and 8 of them too, no small network was any faster."""

Block = tuple[Statement, ...]


def with_terms_apart(program: LoopProgram) -> LoopProgram:
    """The program whose short sums have loops of their own for their terms."""
    taken = {buffer.name for buffer in program.buffers} | declared_names(program.body)
    return replace(program, body=_block(program.body, program.buffer, Ranges(), taken))


def _block(block: Block, outside: Mapping[str, Buffer], ranges: Ranges, taken: set[str]) -> Block:
    buffers = dict(outside)
    found: list[Statement] = []
    for statement in block:
        match statement:
            case Local(buffer=buffer):
                buffers[buffer.name] = buffer
            case For(var=var, body=body) if not statement.carry:
                interval = ranges.of_loop(statement.lo, statement.hi, statement.step)
                inner = _block(body, buffers, ranges.inside(var, interval), taken)
                found += _apart(replace(statement, body=inner), buffers, ranges, taken)
                continue
            case If(then=then, otherwise=otherwise):
                branches = (_block(part, buffers, ranges, taken) for part in (then, otherwise))
                statement = If(statement.condition, *branches)
            case _:
                pass
        found.append(statement)
    return tuple(found)


def _apart(loop: For, buffers: Mapping[str, Buffer], ranges: Ranges, taken: set[str]) -> list[Statement]:
    """The loops in place of one; itself where it is no short sum, or its terms wait for each other."""
    if not _is_short_sum(loop, buffers):
        return [loop]
    var = variable(loop.var)
    terms: list[Local] = []
    at_once: list[Statement] = []
    sums: list[Statement] = []
    for statement in loop.body:
        if not isinstance(statement, Accumulate):
            at_once.append(statement)
            continue
        dtype = statement.value.dtype
        local = Local(Buffer(unused_name("terms", taken), dtype, (TERMS,), "local"))
        terms.append(local)
        at_once.append(Store(local.buffer.name, (var,), statement.value))
        sums.append(replace(statement, value=load_from(local.buffer.name, dtype, (var,))))
    first = replace(loop, body=tuple(at_once), mode="vector")
    known = {**buffers, **{local.buffer.name: local.buffer for local in terms}}
    if conflict(first, known, {}, ranges):
        return [loop]
    return [*terms, first, replace(loop, body=tuple(sums))]


def _is_short_sum(loop: For, buffers: Mapping[str, Buffer]) -> bool:
    """Whether a loop adds up to local sums, each named once, what it computes of neighbours."""
    plain = loop.mode == "seq" and loop.lo is ZERO and loop.step == 1
    if not plain or not isinstance(loop.hi, Constant) or loop.hi.value != TERMS:
        return False
    sums = [s for s in loop.body if isinstance(s, Accumulate)]
    others = [s for s in loop.body if not isinstance(s, Accumulate)]
    plain = all(isinstance(s, Let) or (isinstance(s, Store) and _is_local(s.buffer, buffers)) for s in others)
    if not sums or not plain:
        return False
    names = list(buffers_named(loop.body))
    for one in sums:
        fixed = not any(part is variable(loop.var) for part in walk(*one.index))
        if not (one.order == SEQUENTIAL and fixed and _is_local(one.buffer, buffers) and names.count(one.buffer) == 1):
            return False
    parts = walk(*(e for s in loop.body for e in expressions_of(s)))
    loads = [part.index for part in parts if isinstance(part, Load)]
    places = [*loads, *(s.index for s in others if isinstance(s, Store))]
    return any(isinstance(p, Apply) and p.dtype.kind == "f" for p in parts) and all(
        _is_dense(i, loop.var) for i in places
    )


def _is_local(name: str, buffers: Mapping[str, Buffer]) -> bool:
    return name in buffers and buffers[name].kind == "local"


def _is_dense(index: tuple[Expression, ...], var: str) -> bool:
    """Whether iterations touch neighbours, or all the same."""
    own = variable(var)
    *outer, last = index or (ZERO,)
    return not any(part is own for part in walk(*outer)) and (last is own or not any(p is own for p in walk(last)))
