"""The ways of computing a product: in register tiles or as dots, and what of its operands is packed for that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gradc.backends.llvm.matmul.limits import Packing
from gradc.loops.language.program import Contraction


@dataclass(frozen=True, slots=True)
class Part:
    """A range of rows or columns in steps of ``step``; its ends may be names of numbers of the call."""

    start: int | str
    stop: int | str
    step: int


def parts(length: int, step: int) -> Iterator[Part]:
    """The range up to ``length`` in whole steps, and what is left."""
    whole = length - length % step
    if whole:
        yield Part(0, whole, step)
    if whole != length:
        yield Part(whole, length, length - whole)


def gap(columns: int) -> int:
    """How much longer than what it holds each column of a packed panel is.

    Panels of powers of two would begin at the same place of the first cache, which holds a row of few of them.
    """
    return -(-16 // columns)


def pitch(depth: int, columns: int) -> int:
    """Elements from column to column between packed panels of ``depth`` rows."""
    return depth + gap(columns)


@dataclass(frozen=True, slots=True)
class TilePlan:
    """Sums along k in registers, one element of the result in each lane.

    depth          how much of k is done before the sums are added to the result
    height, width  the block of rows, and of columns, that is done before the next
    packing        how a panel of the right operand is made
    packs_blocks   whether whole blocks of both operands are packed, into scratch memory
    streams        of a k that the call tells: beyond the first number, the second is the depth
    ahead          how far after the right operand the next one lies, in elements, half of which is fetched meanwhile
    """

    rows: int
    vectors: int
    lanes: int
    depth: int
    height: int
    width: int
    packing: Packing = "none"
    packs_blocks: bool = False
    streams: tuple[int, int] | None = None
    ahead: int = 0

    @property
    def columns(self) -> int:
        return self.vectors * self.lanes

    @property
    def left_scratch(self) -> int:
        """Elements of a packed block of the left operand, whole panels and cache lines."""
        panels = -(-self.height // self.rows)
        return -(-panels * self.rows * pitch(self.depth, self.rows) // 16) * 16

    @property
    def scratch(self) -> int:
        """Elements of scratch memory that it needs."""
        panels = -(-self.width // self.columns)
        right = panels * self.columns * pitch(self.depth, self.columns)
        return self.left_scratch + right if self.packs_blocks else 0


@dataclass(frozen=True, slots=True)
class DotPlan:
    """Sums along k in lanes: ``rows`` by ``columns`` elements at a time, ``unroll`` vectors of k each.

    A right operand that is dense along n, or a left one that is dense along m, is gathered first, ``depth`` elements of
    k at a time.
    ``ahead`` as in TilePlan: this one fetches the other half.
    """

    rows: int
    columns: int
    lanes: int
    unroll: int
    depth: int
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class Share(Contraction):
    """A contraction that is done by a given plan, not by the one that is best for it."""

    plan: TilePlan | DotPlan | None = None
