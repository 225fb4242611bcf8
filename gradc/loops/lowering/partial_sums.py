"""Partial sums that are local arrays: cleared, folded and added up."""

from __future__ import annotations

from typing import Final

from gradc.loops.language.program import (
    ZERO,
    Accumulate,
    Buffer,
    Expression,
    For,
    Statement,
    Store,
    b,
    constant,
    size,
    variable,
)
from gradc.loops.shaping.expand import unused_name

LISTED: Final = 4
"""Partial sums that are added in one expression."""


def cleared(sums: Buffer, taken: set[str]) -> list[Statement]:
    """All partial sums set to 0."""
    zero = constant(0, sums.dtype)
    if not sums.shape:
        return [Store(sums.name, (), zero)]
    place = variable(unused_name("column", set(taken)))
    return [For(str(place), ZERO, size(sums.shape[0]), (Store(sums.name, (place,), zero),), mode="vector")]


def folded(sums: Buffer, lanes: int, lane: Expression) -> list[Statement]:
    """The vectors of partial sums added up, halves first, and then the lanes of the first down to a few."""
    statements: list[Statement] = []

    def add(start: int, other: int, count: int) -> None:
        fold = Accumulate("add", sums.name, (b.add(lane, start),), b.load(sums, (b.add(lane, other),)))
        statements.append(For(str(lane), ZERO, size(count), (fold,), mode="vector"))

    vectors = list(range(int(sums.shape[0]) // lanes))
    while len(vectors) > 1:
        half = len(vectors) // 2
        if vectors == list(range(2 * half)):
            add(0, half * lanes, half * lanes)
        else:
            for k in range(half):
                add(vectors[k] * lanes, vectors[k + half] * lanes, lanes)
        vectors = [*vectors[:half], *vectors[2 * half :]]
    while lanes > LISTED:
        lanes //= 2
        add(0, lanes, lanes)
    return statements


def pairwise(values: list[Expression]) -> Expression:
    """The sum of a power of two of values, halves first."""
    while len(values) > 1:
        half = len(values) // 2
        values = [b.add(values[k], values[k + half]) for k in range(half)]
    return values[0]
