"""The course of a QR iteration on few diagonals: sweep after sweep over the last part that has not come apart yet.

The part ends at ``last`` and begins behind the last element beside the diagonal that is negligible. (Golub and Van
Loan, Matrix Computations, 8.3.3 and 8.6.2.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from gradc.loops.algebra.factors import let, loop, store
from gradc.loops.language.program import Buffer, Expression, If, Local, Statement, b, variable

STEPS: Final = 30
"""Sweeps for a value, after which there is no hope; two suffice on average."""

Sweep = Callable[[Expression, Expression, Expression], Sequence[Statement]]
"""A sweep from a row to another one, both counted, and the number by which its rotations are kept."""


class Course:
    """An iteration on ``size`` values, which keeps the rotations of ``kept`` sweeps; 0 where they are of no use."""

    def __init__(self, size: int, kept: int) -> None:
        self.size, self.kept = size, kept
        i64 = np.dtype(np.int64)
        self.last, self.first, self.count = (Buffer(word, i64, (), "local") for word in ("last", "first", "count"))
        self.firsts, self.lasts = (Buffer(word, i64, (max(kept, 1),), "local") for word in ("firsts", "lasts"))

    def statements(
        self,
        finite: Expression,
        negligible: Callable[[Expression], Expression],
        sweep: Sweep,
        applied: Callable[[Expression], Sequence[Statement]],
        failed: Statement,
    ) -> tuple[Statement, ...]:
        """All of it. ``negligible(i)`` is about the element beside rows i and i + 1, ``applied(count)`` uses rotations.

        Nothing is done where it is not ``finite``; ``failed`` says that it did not end.
        """
        i, zero = variable("i"), b.constant(0)
        bottom, last = let("last_row", b.clamp(b.load(self.last), self.size))
        top, first = let("first_row", b.clamp(b.load(self.first), self.size))
        which, number = let("number", b.clamp(b.load(self.count), max(self.kept, 1)))
        full, filled = let("filled", b.clamp(b.load(self.count), self.kept + 1))
        noted = (
            store(self.firsts, (number,), first),
            store(self.lasts, (number,), last),
            store(self.count, (), b.add(number, 1)),
        )
        flushed = (full, *applied(filled), store(self.count, (), zero)) if self.kept else ()
        use = (If(b.ge(b.load(self.count), self.kept), flushed),) if self.kept else ()
        step = (
            bottom,
            store(self.first, (), zero),
            loop("i", 0, last, If(negligible(i), (store(self.first, (), b.add(i, 1)),))),
            top,
            If(
                b.eq(first, last),
                (store(self.last, (), b.sub(last, 1)),),
                ((which, *sweep(first, last, number), *noted, *use) if self.kept else tuple(sweep(first, last, zero))),
            ),
        )
        buffers = (self.last, self.first, *((self.count, self.firsts, self.lasts) if self.kept else ()))
        return (
            *map(Local, buffers),
            store(self.last, (), b.select(finite, b.constant(self.size - 1), zero)),
            *((store(self.count, (), zero),) if self.kept else ()),
            loop("turn", 0, STEPS * self.size, If(b.gt(b.load(self.last), zero), step)),
            *flushed,
            If(b.gt(b.load(self.last), zero), (failed,)),
        )
