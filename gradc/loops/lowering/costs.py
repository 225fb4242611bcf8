"""What is worth an array of its own: rough costs of computing a value where it is used."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

from gradc.ir.aval import Dim, size_of
from gradc.ir.graph import CONSTANT, Graph, Node
from gradc.loops.language.expressions import MATHEMATICS, Apply, Expression
from gradc.loops.lowering.indexing import AnyIndex, Axis, Index, Indices, axes_of, strides_of
from gradc.loops.lowering.plan import Stage, is_move

DEAR: Final = MATHEMATICS | {"sqrt"}
"""Primitives that are worth a name where they are part of a larger rule."""

_LONG: Final = 400
"""The most parts that the text of a rule may have with all that it uses again written out."""

_WEIGHTS: Final = {
    **dict.fromkeys(MATHEMATICS, 20),
    **dict.fromkeys(("logistic", "softplus", "logistic_bce"), 40),
    **dict.fromkeys(("decay", "softplus_by"), 22),
    "logistic_by": 8,
    **dict.fromkeys(("div", "floor_div", "mod", "sqrt", "gather"), 5),
}  # fmt: skip
_CHEAP: Final = 4
"""The most operations that are repeated rather than stored."""


def is_dear(node: Node) -> bool:
    """Whether computing an element takes a function such as exp."""
    return weight_of(node) >= _WEIGHTS["exp"]


def weight_of(node: Node) -> int:
    """The operations that an element of an elementwise node takes, of which an exponential is 20."""
    return _WEIGHTS.get(node.op.name, 1)


def cheap_nodes(graph: Graph) -> list[bool]:
    """For each node whether it may be computed in several places: few operations on at most one large array."""
    cheap: list[bool] = []
    weights: list[int] = []
    arrays: list[frozenset[int]] = []
    for node in graph.nodes:
        weight, read, is_cheap = 0, frozenset((node.id,)), False
        if node.aval.size == 1 or node.op is CONSTANT:
            read = frozenset()
        elif is_move(node.op):
            (operand,) = node.operands
            weight = weights[operand]
            read = frozenset() if graph.nodes[operand].aval.size != node.aval.size else arrays[operand]
        elif node.op.elementwise:
            total = weight_of(node) + sum([weights[o] for o in node.operands])
            every = frozenset().union(*[arrays[o] for o in node.operands])
            is_cheap = total <= _CHEAP and len(every) <= 1
            if is_cheap:
                weight, read = total, every
        cheap.append(is_cheap)
        weights.append(weight)
        arrays.append(read)
    return cheap


def repeats(stage: Stage, index: Indices) -> Dim:
    """How often a stage would compute one and the same element, if it does so in the outermost loop that it can."""
    used = axes_of(index)
    deepest = max(used, default=-1)
    return size_of(tuple(stage.extents[a] for a in range(deepest) if a not in used)) * math.prod(map(overlap, index))


def overlap(index: AnyIndex) -> int:
    """How often about an index takes the same value, as that of a window does: ``i + j``, but not ``3 * i + j`` where j
    is below 3. Sizes that are not known count as if they made none."""
    if not isinstance(index, Index) or len(index.atoms) < 2:
        return 1
    steps = [(abs(f), a.extent) for a, f in index.atoms.items() if isinstance(a, Axis) and isinstance(f, int)]
    known = [(step, extent) for step, extent in steps if isinstance(extent, int)]
    if len(known) < len(index.atoms):
        return 1
    reach, overlaps = 0, False
    for step, extent in sorted(known):
        overlaps |= step <= reach
        reach += step * (extent - 1)
    count = math.prod(extent for _, extent in known)
    return max(2, -(-count // (reach + 1))) if overlaps else 1


def share(stage: Stage, index: Indices, node: Node) -> float:
    """How many of a node's elements a stage takes at an index, of 1; 1 where sizes are not known."""
    taken, size = size_of(tuple(stage.extents[a] for a in axes_of(index))), node.aval.size
    return taken / size if isinstance(taken, int) and isinstance(size, int) else 1.0


def is_onto(stage: Stage, index: Indices, node: Node) -> bool:
    """Whether the stage runs through every element of the node."""
    if any(strides_of(i, len(stage.extents)) is None or overlap(i) > 1 for i in index):
        return False
    return size_of(tuple(stage.extents[a] for a in axes_of(index))) == node.aval.size


def used_again(parts: Sequence[Expression]) -> set[Expression]:
    """What several parts of an expression use; where its text is short, choices alone. Operands stand before users."""
    length: dict[Expression, int] = {}
    uses: Counter[Expression] = Counter()
    for part in parts:
        length[part] = 1 + sum(length[operand] for operand in part.operands)
        uses.update(part.operands)
    again = {part for part, count in uses.items() if count > 1}
    return again if length[parts[-1]] > _LONG else {part for part in again if _is_choice(part)}


def _is_choice(part: Expression) -> bool:
    return isinstance(part, Apply) and part.primitive == "select"
