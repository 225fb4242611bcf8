"""The order in which the terms of a sum over a loop are added: in how many lanes, in blocks of which length.

It follows from the graph alone. So the value does not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gradc.ir.aval import Dim
from gradc.ir.graph import Node
from gradc.loops.lowering.costs import is_dear
from gradc.loops.lowering.decompose import BLOCK
from gradc.loops.lowering.indexing import axes_of
from gradc.loops.lowering.plan import Stage

LANES: Final = 8
"""Long sums run in at least this many partial sums."""

SHORT: Final = 4
"""Sums of fewer terms run in sequence."""


def lanes_and_block(extent: Dim, members: Sequence[Node], *, nested: bool) -> tuple[int, int]:
    """How many partial results sums over a loop have, and after how many terms these are combined (0: at its end).

    There are more of them where the loop computes in small floats, or with dear functions (``members`` are the nodes
    that it computes), and only the least number where it has loops inside (``nested``). Long loops have the same as
    those over symbolic sizes.
    """
    if isinstance(extent, int) and extent < 2 * LANES:
        return (1 if nested or extent < SHORT else min(LANES, 1 << extent.bit_length() - 1)), 0
    floats = [node.aval.dtype.itemsize for node in members if node.aval.dtype.kind == "f"]
    lanes = LANES if nested else 2 * LANES if not any(map(is_dear, members)) else 32 * LANES // min(floats)
    if not isinstance(extent, int):
        return lanes, BLOCK
    while lanes > LANES and extent < 2 * lanes:
        lanes //= 2
    return lanes, BLOCK if extent > BLOCK else 0


def may_exceed(length: Dim, limit: int) -> bool:
    """Whether a length is larger than a number, or may be when the kernel is called."""
    return not isinstance(length, int) or length > limit


def adds_columns(stage: Stage) -> bool:
    """Whether a short sum goes down the columns of an array whose rows lie along the loop around it."""
    if len(stage.reduced) != 1:
        return False
    (level,) = stage.reduced
    if level == 0 or may_exceed(stage.extents[level], 2 * LANES - 1):
        return False
    elements = [element for member in stage.members for element in member.operands]
    for _, index in elements:
        axes = [axes_of((place,)) for place in index]
        long = [found for found in axes if found]
        if len(long) > 1 and long[-1] == {level - 1} and {level} in long[:-1]:
            return True
    return False
