"""Which nodes belong to the backward pass."""

from __future__ import annotations

from gradc.ir.graph import Graph
from gradc.ops.regions import recompute


def backward_nodes(graph: Graph) -> frozenset[int]:
    """The nodes written after the forward pass: what no primal result and no named primal value needs.

    They are closed under use, so forward nodes first is a topological order too. A value that is computed again for
    the backward pass belongs to it, whatever its name.
    """
    if not graph.cotangents:
        return frozenset()
    cotangents = set(graph.cotangents.values())
    again: set[int] = set()
    for made in graph.nodes:
        if made.op is recompute or not again.isdisjoint(made.operands):
            again.add(made.id)
    needed = set(graph.inputs)
    stack = [i for i in (*graph.outputs, *(i for i in graph.names if i not in again)) if i not in cotangents]
    while stack:
        node = stack.pop()
        if node not in needed:
            needed.add(node)
            stack.extend(graph.nodes[node].operands)
    return frozenset(node.id for node in graph.nodes if node.id not in needed)
