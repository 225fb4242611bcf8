"""What iterations for Schur forms share: the search for eigenvalues, where a step begins, and what is turned in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gradc.loops.algebra.arithmetic import Rows
from gradc.loops.algebra.deflation import Deflation
from gradc.loops.algebra.factors import Index, loop, store
from gradc.loops.language.program import Buffer, Expression, If, Let, Local, Statement, b, variable

Turn = Callable[[Rows, Sequence[tuple[Index, Index]]], tuple[Statement, ...]]
"""What turns the elements at some places of a matrix."""


class Trial(NamedTuple):
    """Whether elements before a row are so ``small`` that a step may begin there, and what is ``kept`` of it then."""

    lets: tuple[Statement, ...]
    small: Expression
    kept: tuple[Statement, ...]


class Schur:
    """``h`` becomes its Schur form, ``z`` is turned with it; ``values`` are the rows of the parts of eigenvalues.

    Without ``z`` only the part of ``h`` that has not come apart is kept up.
    """

    def __init__(self, h: Rows, z: Rows | None, size: int, values: tuple[int, int]) -> None:
        self.h, self.z, self.size, self.values = h, z, size, values
        self.w, self.dtype = h.w, h.w.dtype
        self.search = Deflation(h, size)
        self.m, self.before = self.search.m, self.search.before
        self.begin = Buffer("bulge_row", self.search.start.dtype, (), "local")
        self.zero, self.one = b.constant(0.0, self.dtype), b.constant(1.0, self.dtype)

    @property
    def end(self) -> Expression:
        """Where the columns end that are kept up."""
        return b.constant(self.size) if self.z is not None else b.add(self.m, 1)

    def statements(self, lost: tuple[Statement, ...]) -> tuple[Statement, ...]:
        """All eigenvalues, the last one first; ``lost`` where there is no end."""
        return (*self.bulge(), Local(self.begin), *self.search.statements(self.attempt, lost))

    def bulge(self) -> tuple[Statement, ...]:
        """The declarations of the elements that are chased."""
        raise NotImplementedError

    def attempt(self, first: Expression) -> tuple[Statement, ...]:
        """Keep eigenvalues of rows ``first`` to ``m``, or else make a step."""
        raise NotImplementedError

    def begun(self, row: Let, k: Expression, rows: Index, first: Expression, trial: Trial) -> tuple[Statement, ...]:
        """The last of ``rows`` rows at which a step may begin, row k, named in ``row``; at ``first`` it always may."""
        ends = b.logical_or(b.eq(k, first), trial.small)
        kept = If(ends, (*trial.kept, store(self.begin, (), k)))
        open_yet = b.logical_and(b.lt(b.load(self.begin), 0), b.ge(k, first))
        return (
            store(self.begin, (), b.constant(-1)),
            loop("back", 0, rows, row, If(open_yet, (*trial.lets, kept))),
        )

    def turned(self, k: Expression, count: int, last: Expression, rows: Turn, columns: Turn) -> tuple[Statement, ...]:
        """Rows k to ``k + count`` of the matrix, its columns up to the row ``last``, and the rows of ``z``."""
        i, j = variable("i"), variable("j")
        lines = [b.add(k, n) for n in range(count)]
        z = () if self.z is None else columns(self.z, [(line, j) for line in lines])
        return (
            loop("j", k, self.end, *rows(self.h, [(line, j) for line in lines]), mode="vector"),
            loop("i", 0, last, *columns(self.h, [(i, line) for line in lines])),
            *((loop("j", 0, self.size, *z, mode="vector"),) if z else ()),
        )
