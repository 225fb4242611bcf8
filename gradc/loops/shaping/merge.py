"""Merges neighbouring nests that add to one array, so that what they read is read in one pass.

The adjoint of overlapping slices (the windows of a convolution) adds each of them to the same array, in a nest of its
own. Such nests become one where this changes the order of no two accesses to one element: an iteration of the earlier
nest must touch nothing that an iteration of the later one before it touches. So every element has the same bits.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gradc.ir.aval import is_nonnegative
from gradc.loops.language.independence import may_run_as_one
from gradc.loops.language.program import Accumulate, Buffer, Comment, For, Let, Local, Sequential, Statement, Store
from gradc.loops.language.ranges import Ranges
from gradc.loops.language.traversal import buffers_named, declared_names

MOST: Final = 16
"""Statements of a merged nest."""


def merge(block: tuple[Statement, ...], buffers: Mapping[str, Buffer]) -> tuple[Statement, ...]:
    """The statements of a kernel with nests merged; ``buffers`` are those that are not local, by name."""
    known = dict(buffers)
    result: list[Statement] = []
    for statement in block:
        if isinstance(statement, Local):
            known[statement.buffer.name] = statement.buffer
        place = next((k for k in reversed(range(len(result))) if not isinstance(result[k], Comment)), -1)
        before = result[place] if place >= 0 else None
        if isinstance(statement, For) and isinstance(before, For):
            merged = _merged(before, statement, known)
            if merged is not None:
                del result[place]
                statement = merged
        result.append(statement)
    return tuple(result)


def _merged(first: For, second: For, buffers: Mapping[str, Buffer]) -> For | None:
    """Two nests as one; None where they stay apart."""
    one, other = _levels(first), _levels(second)
    if not one or len(one) != len(other):
        return None
    body, more = one[-1].body, other[-1].body
    names = {loop.var for loop in one}
    if not _written(body) & _written(more) or len(body) + len(more) > MOST:
        return None
    judged = _judged(first, second, buffers)
    if (declared_names((first,)) - names) & declared_names((second,)) or judged is None:
        return None
    ranges = Ranges()
    for left, right in zip(one, other, strict=True):
        if replace(left, body=()) != replace(right, body=()) or not may_run_as_one(left, right, judged, ranges):
            return None
        ranges = ranges.inside(left.var, ranges.of_loop(left.lo, left.hi, left.step))
    statements: tuple[Statement, ...] = (*body, *more)
    for loop in reversed(one):
        statements = (replace(loop, body=statements),)
    (nest,) = statements
    assert isinstance(nest, For), "a nest has at least one loop"
    return nest


def _levels(nest: For) -> list[For]:
    """The loops of a nest that computes in its innermost loop alone, outermost first; none for other nests."""
    loops: list[For] = []
    inner: Statement = nest
    while isinstance(inner, For):
        if inner.carry or inner.mode == "parallel" or not inner.body:
            return []
        loops.append(inner)
        inner = inner.body[0]
        if isinstance(inner, For) and len(loops[-1].body) != 1:
            return []
    for statement in loops[-1].body:
        in_order = not isinstance(statement, Accumulate) or isinstance(statement.order, Sequential)
        if not isinstance(statement, (Let, Store, Accumulate)) or not in_order:
            return []
    return loops


def _written(body: tuple[Statement, ...]) -> set[str]:
    return {statement.buffer for statement in body if isinstance(statement, (Store, Accumulate))}


def _judged(first: For, second: For, buffers: Mapping[str, Buffer]) -> dict[str, Buffer] | None:
    """The buffers that two nests name, such that it can be told what accesses to them meet; None where it cannot.

    That is so where sizes and places are numbers, and where symbolic sizes are those of first axes and lie apart: then
    each stands for itself.
    """
    named = {name: buffers.get(name) for name in buffers_named((first, second))}
    known = {name: buffer for name, buffer in named.items() if buffer is not None}
    if len(known) < len(named):
        return None
    if all(isinstance(x.bytes, int) and isinstance(x.offset, int) for x in known.values()):
        return known
    arena = [x for x in known.values() if x.kind == "arena"]
    if not all(_lie_apart(one, other) for one, other in itertools.combinations(arena, 2)):
        return None
    if not all(isinstance(length, int) for x in known.values() for length in x.shape[1:]):
        return None
    return {name: replace(x, kind="output", offset=0) for name, x in known.items()}


def _lie_apart(one: Buffer, other: Buffer) -> bool:
    """Whether two arrays of the arena have no byte in common, whatever the sizes are."""
    return is_nonnegative(other.offset - one.offset - one.bytes) or is_nonnegative(
        one.offset - other.offset - other.bytes
    )
