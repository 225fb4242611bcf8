"""Which functions of small arrays run over all elements at once, not row by row.

``tanh(w @ x)`` of a batch of two has rows of two elements, of which a vector would compute two at a time. Such a
function gets a loop of its own, over the elements as they lie in memory, and so does what is computed of it and of what
it reads: the derivatives ``1 - t * t``, which then need no loop in the reverse sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gradc.ir.aval import Aval, Dim, size_of
from gradc.ir.graph import CONSTANT, INPUT, Graph, Node
from gradc.loops.lowering.costs import is_dear
from gradc.loops.lowering.decompose import REDUCTIONS
from gradc.loops.lowering.indexing import AnyIndex, Indices, axis
from gradc.loops.lowering.plan import identity, is_move

MOST: Final = 64
"""The most elements of an array that is small: some registers."""

SHORT: Final = 8
"""Rows of so many elements fill a register by themselves."""


@dataclass(frozen=True, slots=True)
class Flat:
    """The nodes that are computed so, and those that can be computed on the way, at the places of their results."""

    nodes: frozenset[int]
    inside: frozenset[int]

    def identity(self, node: Node) -> tuple[Indices, tuple[Dim, ...]]:
        """The index of a node's own elements, and the lengths of the loops over them: one where the node is flat."""
        shape = node.aval.shape
        if node.id not in self.nodes:
            return identity(shape)
        count = size_of(shape)
        rest = axis(0, count)
        place: list[AnyIndex] = []
        for length in reversed(shape):
            place.append(rest % length if length != 1 else 0)
            rest = rest // length
        return tuple(reversed(place)), (count,)

    def is_apart(self, node: int, users: Sequence[int]) -> bool:
        """Whether a node that stages demand, those of the nodes ``users``, is not to be computed in them."""
        if node in self.nodes:
            return not all(user in self.nodes for user in users)
        return node not in self.inside and any(user in self.nodes for user in users)


def flat_nodes(graph: Graph) -> Flat:
    """The nodes of a graph that are computed so: dear functions of small sums, and what follows from them alone.

    What is computed of arguments alone stays with what it goes into, and what is computed of a contraction with that.
    """
    return _Finder(graph).run()


class _Finder:
    def __init__(self, graph: Graph) -> None:
        self.nodes = graph.nodes
        self.flat: set[int] = set()
        self.read: set[int] = set()
        self.kinds: dict[int, str] = {}
        self.inside: set[int] = set()
        """The elementwise nodes whose elements follow from those at the same places, and so may be computed there."""

    def run(self) -> Flat:
        small = [node for node in self.nodes if node.op.elementwise and is_small(node.aval)]
        if not any(is_dear(node) for node in small):
            return Flat(frozenset(), frozenset())
        for node in small:
            operands = self._operands(node)
            if all(map(self._is_there, operands)):
                self.inside.add(node.id)
            kinds = {self._kind(operand) for operand in operands}
            self.kinds[node.id] = "call" if "call" in kinds else "sum" if "sum" in kinds else ""
            if is_dear(node):
                if self.kinds[node.id] == "sum" and all(map(self._is_stored, operands)):
                    self.flat.add(node.id)
                    self._reads(node)
            elif node.id in self.inside and self._follows(node):
                self.flat.add(node.id)
        return Flat(frozenset(self.flat), frozenset(self.inside))

    def _kind(self, operand: int) -> str:
        """Of what an operand is computed: a ``sum``, a ``call`` that may go on with its elements, or neither."""
        node = self.nodes[operand]
        while is_move(node.op):
            node = self.nodes[node.operands[0]]
        if node.op.name in REDUCTIONS:
            return "sum"
        return self.kinds.get(node.id, "") if node.op.elementwise or node.op in (INPUT, CONSTANT) else "call"

    def _operands(self, node: Node) -> list[int]:
        """The operands that are not one number."""
        return [operand for operand in node.operands if self._source(operand, node.aval.shape) is not None]

    def _reads(self, node: Node) -> None:
        """Note all that a flat node reads, and all that is computed on the way."""
        waiting = self._operands(node)
        while waiting:
            operand = waiting.pop()
            if operand not in self.read:
                self.read.add(operand)
                waiting += self._operands(self.nodes[operand]) if operand in self.inside else []

    def _follows(self, node: Node) -> bool:
        """Whether a node is computed of flat ones, of arguments and of what flat ones read too."""
        operands = self._operands(node)
        return any(operand in self.flat for operand in operands) and all(map(self._is_at_hand, operands))

    def _is_at_hand(self, operand: int) -> bool:
        """Whether an operand that a flat node could read is there when the flat ones run."""
        return operand in self.flat or operand in self.read or self.nodes[operand].op in (INPUT, CONSTANT)

    def _is_there(self, operand: int) -> bool:
        """Whether an element of an operand is a load, or can be computed of loads, of elements at the same place."""
        node = self.nodes[operand]
        return operand in self.inside or (self._is_stored(operand) and not node.op.elementwise)

    def _is_stored(self, operand: int) -> bool:
        """Whether an operand can be an array whose elements lie as those of the result do."""
        node = self.nodes[operand]
        return node.op.elementwise or node.op in (INPUT, CONSTANT) or node.op.name in REDUCTIONS

    def _source(self, operand: int, shape: tuple[object, ...]) -> int | None:
        """The node itself; None where it is one number, perhaps moved."""
        found = self.nodes[operand]
        while is_move(found.op):
            found = self.nodes[found.operands[0]]
        return None if found.aval.size == 1 else operand


def is_small(aval: Aval) -> bool:
    """Whether an array has few elements, in one row or in short ones."""
    size, rows = aval.size, [length for length in aval.shape if length != 1]
    if not isinstance(size, int) or not 1 < size <= MOST or aval.dtype.kind != "f":
        return False
    last = rows[-1]
    return len(rows) == 1 or (isinstance(last, int) and last < SHORT)
