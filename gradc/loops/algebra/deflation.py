"""Where an iteration on a matrix that has 0 below the elements under the diagonal comes apart: real or complex.

An element under the diagonal is negligible where it is small beside its neighbours, and its product with the one above
beside theirs. (Ahues and Tisseur, A new deflation criterion for the QR algorithm, LAPACK working note 122, 1997.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from gradc.loops.algebra.arithmetic import Number, Rows, extent, minus
from gradc.loops.algebra.factors import let, loop, store
from gradc.loops.language.program import Buffer, Expression, If, Local, Statement, b, variable

STEPS: Final = 60
"""Steps for an eigenvalue, after which there is no hope; every tenth has a shift that is out of the ordinary."""


class Deflation:
    """The search for eigenvalues of ``h`` from the last row up: steps on the part that has not come apart yet."""

    def __init__(self, h: Rows, size: int) -> None:
        self.h, self.size, self.dtype = h, size, h.w.dtype
        self.eps = float(np.finfo(self.dtype).eps)
        self.tiny = float(np.finfo(self.dtype).tiny) * size / self.eps
        self.start, self.done, self.skip = (
            Buffer(word, np.dtype(np.int64), (), "local") for word in ("start", "done", "skip")
        )
        self.m = b.sub(b.constant(size - 1), variable("turn"))
        """The last row of the part."""
        self.before = b.maximum(b.sub(self.m, 1), 0)

    def at(self, i: Expression | int, j: Expression | int) -> Number:
        """An element."""
        return self.h.at(i, j)

    def statements(
        self, attempt: Callable[[Expression], tuple[Statement, ...]], lost: tuple[Statement, ...]
    ) -> tuple[Statement, ...]:
        """``attempt(first)`` on rows ``first`` to ``m``, until it says that it is ``done``; ``lost`` where it is not.

        It sets ``skip`` where it gave the value before, too.
        """
        size, k = self.size, variable("k")
        first, row = let("first", b.clamp(b.load(self.start), size))
        apart = self.h.put(row, b.maximum(b.sub(row, 1), 0), self.h.zero())
        step = (
            store(self.start, (), b.constant(0)),
            loop("k", 1, b.sub(b.constant(size), variable("turn")), *self._found(k)),
            first,
            If(b.gt(row, 0), apart),
            *attempt(row),
        )
        one = (
            store(self.done, (), b.constant(0)),
            loop("count", 0, STEPS, If(b.eq(b.load(self.done), 0), step)),
            If(b.eq(b.load(self.done), 0), lost),
        )
        skipped = (store(self.skip, (), b.constant(0)),)
        return (
            Local(self.start),
            Local(self.done),
            Local(self.skip),
            store(self.skip, (), b.constant(0)),
            loop("turn", 0, size, If(b.eq(b.load(self.skip), 1), skipped, one)),
        )

    def finished(self, *, both: bool = False) -> tuple[Statement, ...]:
        """Say that the value in the last row is found, or also the one before it."""
        end = store(self.done, (), b.constant(1))
        return (end, store(self.skip, (), b.constant(1))) if both else (end,)

    def _found(self, k: Expression) -> tuple[Statement, ...]:
        """Start at row k where the element before its diagonal is negligible."""
        last, before = self.size - 1, b.sub(k, 1)
        here, there = self.at(k, k), self.at(before, before)
        sized, below = let("below", extent(self.at(k, before)))
        zero = b.constant(0.0, self.dtype)
        own, diagonal = let("diagonal", b.add(extent(here), extent(there)))
        beyond = b.add(
            extent(self.at(before, b.maximum(b.sub(k, 2), 0))), extent(self.at(b.minimum(b.add(k, 1), last), k))
        )
        around, neighbours = let("around", b.select(b.eq(diagonal, zero), beyond, diagonal))
        above = let("above", extent(self.at(before, k)))
        gap = let("gap", extent(minus(there, here)))
        size = let("own", extent(here))
        large, small = b.maximum(below, above[1]), b.minimum(below, above[1])
        total = let("total", b.add(b.maximum(size[1], gap[1]), large))
        share = b.div(b.maximum(size[1], gap[1]), total[1])
        bound = b.maximum(b.mul(b.mul(b.minimum(size[1], gap[1]), share), self.eps), self.tiny)
        begin = store(self.start, (), k)
        return (
            sized,
            own,
            around,
            If(
                b.le(below, self.tiny),
                (begin,),
                (
                    If(
                        b.le(below, b.mul(neighbours, self.eps)),
                        (
                            above[0],
                            gap[0],
                            size[0],
                            total[0],
                            If(b.le(b.mul(small, b.div(large, total[1])), bound), (begin,)),
                        ),
                    ),
                ),
            ),
        )

    def unusual(self) -> tuple[Expression, Expression]:
        """Whether a step has a shift out of the ordinary, by the first rows or by the last ones."""
        count = variable("count")
        phase = b.mod(count, 20)
        return b.eq(phase, 10), b.logical_and(b.eq(phase, 0), b.gt(count, 0))
