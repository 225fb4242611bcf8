"""How much a loop nest computes: what decides whether it is worth several threads."""

from __future__ import annotations

import math
from typing import Final

from gradc.loops.language.expressions import EXPANSIONS
from gradc.loops.language.program import Apply, Call, Constant, Contraction, Expression, For, Statement, walk
from gradc.loops.language.ranges import Ranges
from gradc.loops.language.traversal import expressions_of, nested

NANOSECONDS: Final = 0.15
"""What an operation takes in vectors, roughly, on one core of a machine of the 2020s."""

PRODUCT_BYTES: Final = 32
"""Products of a contraction that count as an operation, in bytes of an operand."""

_DEAR: Final = {
    **dict.fromkeys(("exp", "exp_unit", "log", "log1p", "log1p_unit", "expm1", "tanh", "sin", "cos", "erf", "pow"), 16),
    **dict.fromkeys(("div", "floor_div", "mod", "sqrt"), 4),
    **dict.fromkeys(EXPANSIONS, 500),
}  # fmt: skip


def work_of(block: tuple[Statement, ...], ranges: Ranges) -> int:
    """The operations of a block; ``ranges`` are of the variables outside of it. A dear one counts as several."""
    total = 0
    for statement in block:
        total += sum(map(_weight, walk(*expressions_of(statement)))) + 1
        match statement:
            case For(var=var, lo=lo, hi=hi, step=step, body=body):
                first, last = ranges.of_loop(lo, hi, step)
                if first <= last:
                    total += ((last - first) // step + 1) * work_of(body, ranges.inside(var, (first, last)))
            case Call(callee=Contraction() as contraction):
                total += products_of(contraction) * contraction.dtype.itemsize // PRODUCT_BYTES
            case _:
                total += sum(work_of(inner, ranges) for inner in nested(statement))
    return total


def products_of(contraction: Contraction) -> int:
    """How many products a contraction sums up; symbolic sizes count as 1."""
    return math.prod(length for _, length in contraction.sizes if isinstance(length, int))


def _weight(part: Expression) -> int:
    return _DEAR.get(part.primitive, 1) if isinstance(part, Apply) else int(not isinstance(part, Constant))
