"""Comparisons that are read off a value which is stored anyway: ``z > c`` where a product reads ``max(z, c)``.

The derivative of ``h = maximum(z, 0)`` asks where ``z > 0``, which is where ``h > 0``. Asked of z, it would keep the
sum under the maximum in memory from the forward sweep to the reverse one, next to h, which the gradient of the next
layer's weights reads. The answer is the same for every z and c, NaN and both zeros among them: ``max(z, c) > c`` is
false where either is NaN and where z is not larger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gradc.ir.graph import Graph
from gradc.loops.lowering.plan import is_move

_CHOSEN_BY: Final = {"gt": "maximum", "lt": "minimum"}
_CALLS: Final = frozenset(("contract", "masked_contract"))


def read_off(graph: Graph) -> Mapping[int, tuple[int, ...]]:
    """The operands to compare instead, of comparisons that a stored extremum answers: the extremum and the bound."""
    asked = [node for node in graph.nodes if node.op.name in _CHOSEN_BY]
    if not asked:
        return {}
    stored = _stored(graph)
    extrema = {(node.op.name, frozenset(node.operands)): node.id for node in reversed(graph.nodes) if node.id in stored}
    found: dict[int, tuple[int, ...]] = {}
    for node in asked:
        extremum = extrema.get((_CHOSEN_BY[node.op.name], frozenset(node.operands)))
        if extremum is not None and extremum < node.id:
            found[node.id] = (extremum, node.operands[1])
    return found


def _stored(graph: Graph) -> set[int]:
    """The maxima and minima that products read as arrays."""
    nodes = graph.nodes
    found: set[int] = set()
    for node in nodes:
        for operand in node.operands if node.op.name in _CALLS else ():
            below = nodes[operand]
            while is_move(below.op):
                below = nodes[below.operands[0]]
            if below.op.name in _CHOSEN_BY.values():
                found.add(below.id)
    return found
