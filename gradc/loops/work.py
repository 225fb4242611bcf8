"""How much a loop nest computes: what decides whether it is worth several threads."""

from __future__ import annotations

from typing import Final

from gradc.loops.program import Apply, Call, Constant, Contraction, Expression, For, Statement, walk
from gradc.loops.ranges import Ranges, loop_interval
from gradc.loops.traversal import expressions_of, nested

_DEAR: Final = {
    **dict.fromkeys(("exp", "log", "log1p", "expm1", "tanh", "sin", "cos", "erf", "pow"), 16),
    **dict.fromkeys(("div", "floor_div", "mod", "sqrt"), 4),
}  # fmt: skip


def work_of(block: tuple[Statement, ...], ranges: Ranges) -> int:
    """The operations of a block; ``ranges`` are of the variables outside of it. A dear one counts as several."""
    total = 0
    for statement in block:
        total += sum(map(_weight, walk(*expressions_of(statement)))) + 1
        match statement:
            case For(var=var, lo=lo, hi=hi, step=step, body=body):
                first, last = loop_interval(ranges.of(lo), ranges.of(hi), step)
                if first <= last:
                    total += ((last - first) // step + 1) * work_of(body, ranges.inside(var, (first, last)))
            case Call(callee=Contraction(sizes=sizes)):
                products = 1
                for _, length in sizes:
                    products *= length if isinstance(length, int) else 1
                total += products
            case _:
                total += sum(work_of(inner, ranges) for inner in nested(statement))
    return total


def _weight(part: Expression) -> int:
    return _DEAR.get(part.primitive, 1) if isinstance(part, Apply) else int(not isinstance(part, Constant))
