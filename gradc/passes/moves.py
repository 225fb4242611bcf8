"""Looking below movements: the value that was broadcast, reshaped, transposed, sliced or gathered."""

from __future__ import annotations

from collections.abc import Callable

from gradc.ir.graph import Builder, Node, Value
from gradc.ops.index import gather
from gradc.ops.shape import broadcast_to, reshape, slice_, transpose

MOVES = (broadcast_to, reshape, transpose, slice_, gather)
KINDS = " ".join(op.name for op in MOVES)
Move = Callable[[Value], Value]


def below_moves(builder: Builder, node_id: int) -> tuple[Node, Move]:
    """The node below a chain of movements, and the function that moves another value of its shape the same way."""
    chain = []
    node = builder.nodes[node_id]
    while node.op in MOVES:
        chain.append(node)
        node = builder.nodes[node.operands[0]]

    def move(value: Value) -> Value:
        for step in reversed(chain):
            value = builder.apply_ids(step.op, (value.id, *step.operands[1:]), step.params)
        return value

    return node, move
