"""In which order a backend adds up a contraction, for others to add up in the same one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradc.ir.aval import Dim


@dataclass(frozen=True, slots=True)
class Blocks:
    """A sum in blocks of ``length`` terms and what is left; ``even`` ones are as many, but of equal length."""

    length: int
    even: bool = False


@dataclass(frozen=True, slots=True)
class SumOrder:
    """How the terms of each element of a contraction are added up.

    The terms come in blocks. A block starts from 0, or, where it is of one term for all calls, from that; each term is
    added to it, fused where the target fuses. The first block is the element, each later one is added to it.

    lanes    term k of a block goes to partial sum ``k % (lanes * vectors)``; these are added vector by vector, halves
             first, and then so the lanes of the one that is left
    longer   where this size is at least the number, these are the blocks instead
    """

    blocks: Blocks
    lanes: int = 1
    vectors: int = 1
    longer: tuple[Dim, int, Blocks] | None = None


def cut(lengths: Sequence[int], terms: int) -> tuple[int, int]:
    """Where blocks of ``terms`` terms cut axes that are gone through one inside the other: which axis, and its part.

    The axes inside it are whole in every block, and the part divides the axis.
    """
    for level in range(len(lengths) - 1, 0, -1):
        if terms < lengths[level]:
            return level, terms
        terms //= lengths[level]
    return 0, min(terms, lengths[0])
