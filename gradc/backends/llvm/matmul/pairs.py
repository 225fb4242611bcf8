"""The last columns of two rows in one vector, where they fill so little of one that it is no longer than those of AVX.

Lane 2 * c + i is for column c of row i of both.
"""

from __future__ import annotations

from typing import Final

from gradc.backends.llvm.matmul.code import Code

PAIR_BYTES: Final = 32
"""What the last columns of two rows fill where they are in one vector. A longer one of two takes as long as two of one,
or is made by shuffles that do; columns that leave some of a shorter one empty are better off along the rows."""


def pairs_up(lanes: int, columns: int, itemsize: int) -> bool:
    """Whether so many columns end in some that are in vectors of two rows, where others have so many lanes."""
    return columns > lanes and 2 * (columns % lanes) * itemsize == PAIR_BYTES <= lanes * itemsize


def of_two(code: Code) -> Code:
    """The vectors for two rows of the columns that these are for."""
    return Code(code.library, code.dtype, 2 * code.lanes, code.writer)


def twice(code: Code, columns: str) -> str:
    """What belongs to each column, for both rows."""
    return code.shuffle(columns, "poison", [lane // 2 for lane in range(2 * code.lanes)])


def both(code: Code, wide: Code, first: str, second: str) -> str:
    """An element of each row, from vectors ``wide`` of which all lanes have it, for all columns.

    What is within 16 bytes is interleaved there. On Zen 4 one of three units does that, where one of two takes shuffles
    that go farther, and one of the two that multiply and add blends of f64.
    """
    pair, within = of_two(code), 16 // code.bytes
    firsts, seconds = (wide.piece(element, pair, 0) for element in (first, second))
    lanes = [lane - lane % within + lane % within // 2 + lane % 2 * pair.lanes for lane in range(pair.lanes)]
    return pair.shuffle(firsts, seconds, lanes)


def apart(code: Code, sums: str) -> list[str]:
    """The sums of each of both rows."""
    pair = of_two(code)
    return [pair.shuffle(sums, "poison", range(row, pair.lanes, 2)) for row in range(2)]
