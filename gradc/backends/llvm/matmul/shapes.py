"""The shape of a register tile: the one that takes the fewest cycles, by a count that knows ragged edges."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from gradc.backends.llvm.matmul.ways import Part, parts

MAX_ROWS: Final = 24
MAX_VECTORS: Final = 8
"""The most rows and vectors of a tile."""

LATENCY: Final = 4
"""Cycles from one multiply-add to another that needs its result."""

TILE_CYCLES: Final = 20
"""What a tile takes beside its sums and stores: filling and emptying the pipeline, a mispredicted end."""

BESIDE: Final = 2.3
"""Instructions on vectors in a cycle where multiply-adds, two in a cycle at most, go with others. Measured (Zen 4)."""

CODE_SHARE: Final = 0.00125
"""What the code of a tile costs for each of its sums, as a share of the time of the product: compiling takes as long as
code is, and short code runs no slower than what fills the registers better by a few per cent."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a tile may take, and how it works.

    registers      vector registers of the target, of ``lanes`` elements
    rows, vectors  the most that a tile has
    square         sums are stored in squares of so many rows and lanes, or one by one
    turned         steps for which a tile transposes the right operand in registers at a time, or 0
    wide           of tiles as fast as each other the widest is taken, not the highest
    """

    registers: int
    lanes: int
    rows: int
    vectors: int
    square: int = 1
    turned: int = 0
    wide: bool = False

    @property
    def turns(self) -> float:
        """What transposing a vector for one step takes: pieces are put together, then elements change places."""
        return self.lanes / self.turned - 1 + math.log2(self.turned) if self.turned else 0


@dataclass(frozen=True, slots=True)
class _Width:
    """How many tiles of some vectors there are side by side; ``paired`` if two rows share the last of them."""

    tiles: int
    vectors: int
    paired: bool = False

    def sums(self, rows: int) -> int:
        """How many vectors hold the sums of so many rows."""
        return rows * self.vectors - (rows // 2 if self.paired else 0)

    def registers(self, rows: int, turned: int) -> int:
        """How many a tile takes: its sums, a row of the right operand, and an element of the left, or two and both.

        What is left of an odd number of rows takes the last columns as they are. Where the right operand is transposed,
        there are as many rows of it, and one is being made.
        """
        right = self.vectors * turned + 1 if turned else self.vectors
        return self.sums(rows) + right + (3 + rows % 2 if self.paired else 1)


def _widths(vectors_in_all: int, vectors: int, paired: bool) -> list[_Width]:
    """The tiles side by side; ``paired`` if rows share the last vector, where it is not the only one of its tile."""
    found = [_Width(_count(part), part.step) for part in parts(vectors_in_all, vectors)]
    if paired and found[-1].vectors > 1:
        last = found.pop()
        found += [replace(last, tiles=last.tiles - 1)] if last.tiles > 1 else []
        found.append(replace(last, tiles=1, paired=True))
    return found


def tile_shape(m: int, columns: tuple[int, bool], depth: int, room: Room) -> tuple[int, int]:
    """The rows and vectors of the tile that takes the fewest cycles, for ``m`` rows; code counts as time.

    ``columns`` are all vectors of a row, and whether two rows share the last.
    """
    best: tuple[float, int, int, int] | None = None
    for vectors in range(1, min(columns[0], room.vectors) + 1):
        widths = _widths(columns[0], vectors, columns[1])
        for rows in range(1, min(m, room.rows) + 1):
            if max(width.registers(rows, room.turned) for width in widths) > room.registers:
                break
            row_parts = list(parts(m, rows))
            cycles = sum(
                width.tiles * _count(down) * _cycles(down.step, width, depth, room)
                for width in widths
                for down in row_parts
            )
            code = sum(down.step for down in row_parts) * sum(part.step for part in parts(columns[0], vectors))
            code *= max(room.turned, 1)  # so many steps at least are written out
            candidate = (cycles * (1 + CODE_SHARE * code), -vectors if room.wide else 0, -rows, vectors)
            best = min(best, candidate) if best else candidate
    assert best is not None, "a tile of one row and one vector fits everywhere"
    return -best[2], best[3]


def _cycles(rows: int, width: _Width, depth: int, room: Room) -> float:
    """Cycles of a tile for a sum of ``depth``: two multiply-adds and two loads a cycle, and what a tile takes besides.

    A vector counts as two loads, since most lie across two cache lines.
    """
    vectors, sums = width.vectors, width.sums(rows)
    stored = -(-rows // room.square) * room.square * vectors
    step = max(sums / 2, rows / 2 + vectors, LATENCY, (sums + vectors * room.turns) / BESIDE if room.turned else 0)
    return depth * (step + 0.25) + stored + TILE_CYCLES


def _count(part: Part) -> int:
    return (int(part.stop) - int(part.start)) // part.step
