"""The arena: scratch arrays laid out in one block of memory by their lifetimes.

Arrays are placed in order of birth, each in the smallest gap that holds it (best fit). Gaps that touch are one. An
array may take over the place of one that dies at its birth, where the caller knows that to be safe; where it says
nothing of that, the largest are placed first instead if that takes less.

Arrays whose bytes are a number times one size that is known when the kernel is called (rows of a batch) are laid out
among themselves, in bytes for each row, and stand behind the others; their places are formulas. The size counts rounded
up, so that each place is aligned.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from gradc.ir.aval import Dim, SymbolicDim
from gradc.loops.language.program import ALIGNMENT

WORD: Final = 8
MOST_PADDING: Final = 1.05
"""Rows of arrays are rounded up to so many bytes where all of them together grow by at most this factor."""


class Lifetime(NamedTuple):
    """An array of ``bytes`` that holds something from position ``first`` of a kernel through ``last``."""

    bytes: Dim
    first: int
    last: int

    @property
    def rows(self) -> Dim:
        """The size that its bytes are a number times of; 1 where they are known."""
        return 1 if isinstance(self.bytes, int) else self.bytes // self.bytes.content

    @property
    def slot(self) -> int:
        """The bytes that it takes, a positive multiple of ALIGNMENT; with symbolic rows, for each of them."""
        if isinstance(self.bytes, int):
            return max(-(-self.bytes // ALIGNMENT), 1) * ALIGNMENT
        return self.bytes.content


class Arena(NamedTuple):
    """The place of each array in bytes, and the size of the whole."""

    offsets: list[Dim]
    bytes: Dim


MayTake = Callable[[int, int], bool]

_Places = tuple[dict[int, int], int]
"""The places of arrays with slots in one unit, and the end of them all."""


def lay_out(lifetimes: Sequence[Lifetime], may_take: MayTake | None = None) -> Arena:
    """Place arrays so that no two that live at the same time overlap.

    ``may_take(dying, born)`` says whether array ``born`` may stand where ``dying`` stands although both live at the
    position where the one is born and the other dies. It is asked for arrays with slots of one size.
    """
    lifetimes = list(lifetimes)
    alike: dict[Dim, list[int]] = {1: []}
    for k, life in enumerate(lifetimes):
        alike.setdefault(life.rows, []).append(k)
    offsets: list[Dim] = [0] * len(lifetimes)
    start: Dim = 0
    for rows, chosen in alike.items():
        if isinstance(rows, SymbolicDim):
            for k, slot in zip(chosen, _in_words([lifetimes[k].slot for k in chosen]), strict=True):
                lifetimes[k] = lifetimes[k]._replace(bytes=rows * slot)
        places, end, heirs = _by_birth(chosen, lifetimes, may_take)
        if isinstance(rows, SymbolicDim) or (may_take is None and end > largest_live([lifetimes[k] for k in chosen])):
            places, end = min((places, end), _by_size(chosen, lifetimes, heirs), key=lambda made: made[1])
        count = _whole_lines(rows, [lifetimes[k].slot for k in chosen])
        for k in chosen:
            offsets[k] = start + places[k] * count
        start = start + end * count
    return Arena(offsets, start)


def _in_words(slots: list[int]) -> list[int]:
    """The bytes for each row in whole words, where that costs little.

    A mask whose rows have an odd number of bytes would have all rows counted up to a multiple of ALIGNMENT.
    """
    words = [-(-slot // WORD) * WORD for slot in slots]
    return words if sum(words) <= MOST_PADDING * sum(slots) else slots


def _whole_lines(rows: Dim, slots: Sequence[int]) -> Dim:
    """``rows``, where they are symbolic rounded up so that each slot times them is a multiple of ALIGNMENT."""
    if isinstance(rows, int):
        return rows
    multiple = ALIGNMENT // math.gcd(ALIGNMENT, *slots)
    return (rows + multiple - 1) // multiple * multiple


def _by_size(chosen: Sequence[int], lifetimes: Sequence[Lifetime], heirs: Mapping[int, int]) -> _Places:
    """The largest first, each in the first gap among those that live with it; heirs stand where the first stands."""
    together = {k: lifetimes[k] for k in chosen if k not in heirs}
    for k, first in heirs.items():
        together[first] = together[first]._replace(last=max(together[first].last, lifetimes[k].last))
    offsets: dict[int, int] = {}
    for born in sorted(together, key=lambda k: (-together[k].slot, together[k].first, k)):
        life, place = together[born], 0
        others = [k for k in offsets if together[k].first <= life.last and life.first <= together[k].last]
        for k in sorted(others, key=lambda k: offsets[k]):
            if place + life.slot <= offsets[k]:
                break
            place = max(place, offsets[k] + together[k].slot)
        offsets[born] = place
    end = max((offsets[k] + life.slot for k, life in together.items()), default=0)
    return offsets | {k: offsets[first] for k, first in heirs.items()}, end


def _by_birth(
    chosen: Sequence[int], lifetimes: Sequence[Lifetime], may_take: MayTake | None
) -> tuple[dict[int, int], int, dict[int, int]]:
    """Each in the smallest gap when it is born; and whose place was taken first by those that took one."""
    offsets: dict[int, int] = {}
    heirs: dict[int, int] = {}
    gaps = _Gaps()
    dying: dict[int, list[int]] = defaultdict(list)
    order = sorted(chosen, key=lambda k: (lifetimes[k].first, -lifetimes[k].slot, k))
    ends = sorted({lifetimes[k].last for k in chosen}, reverse=True)
    for born in order:
        life = lifetimes[born]
        while ends and ends[-1] < life.first:
            for dead in dying.pop(ends.pop(), ()):
                gaps.release(offsets[dead], lifetimes[dead].slot)
        candidates = dying.get(life.first, [])
        equal = (k for k in candidates if lifetimes[k].slot == life.slot and lifetimes[k].first < life.first)
        taken = next((k for k in equal if may_take is not None and may_take(k, born)), None)
        if taken is None:
            offsets[born] = gaps.take(life.slot)
        else:
            candidates.remove(taken)
            offsets[born] = offsets[taken]
            heirs[born] = heirs.get(taken, taken)
        dying[life.last].append(born)
    return offsets, gaps.end, heirs


def largest_live(lifetimes: Sequence[Lifetime]) -> int:
    """The largest number of bytes that live at one position, of arrays in one unit.

    No plan needs less, unless arrays take others' places.
    """
    change: dict[int, int] = defaultdict(int)
    for life in lifetimes:
        change[life.first] += life.slot
        change[life.last + 1] -= life.slot
    live = largest = 0
    for position in sorted(change):
        live += change[position]
        largest = max(largest, live)
    return largest


class _Gaps:
    """The free parts of the arena, by place and by size."""

    def __init__(self) -> None:
        self.end = 0
        self.places: list[int] = []
        self.sizes: dict[int, int] = {}
        self.by_size: list[tuple[int, int]] = []

    def take(self, size: int) -> int:
        """The start of ``size`` bytes: in the smallest gap that has them, else at the end with the gap there."""
        position = bisect_left(self.by_size, (size, -1))
        if position < len(self.by_size):
            length, start = self.by_size[position]
            self._remove(start)
            if length > size:
                self._insert(start + size, length - size)
            return start
        start = self.end
        if self.places and self.places[-1] + self.sizes[self.places[-1]] == self.end:
            start = self.places[-1]
            self._remove(start)
        self.end = start + size
        return start

    def release(self, start: int, size: int) -> None:
        """Give bytes back, joined with the gaps on either side."""
        position = bisect_left(self.places, start)
        if position < len(self.places) and self.places[position] == start + size:
            size += self._remove(start + size)
        if position and self.places[position - 1] + self.sizes[self.places[position - 1]] == start:
            before = self.places[position - 1]
            size += self._remove(before)
            start = before
        self._insert(start, size)

    def _insert(self, start: int, size: int) -> None:
        insort(self.places, start)
        insort(self.by_size, (size, start))
        self.sizes[start] = size

    def _remove(self, start: int) -> int:
        size = self.sizes.pop(start)
        del self.places[bisect_left(self.places, start)]
        del self.by_size[bisect_left(self.by_size, (size, start))]
        return size
