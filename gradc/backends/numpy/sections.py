"""Which nodes belong to the backward pass."""

from __future__ import annotations

from gradc.ir.graph import Graph


def backward_nodes(graph: Graph) -> frozenset[int]:
    """The nodes written after the forward pass: what no primal result and no named primal value needs.

    They are closed under use, so forward nodes first is a topological order too.
    """
    if not graph.cotangents:
        return frozenset()
    cotangents = set(graph.cotangents.values())
    needed = set(graph.inputs)
    stack = [i for i in (*graph.outputs, *graph.names) if i not in cotangents]
    while stack:
        node = stack.pop()
        if node not in needed:
            needed.add(node)
            stack.extend(graph.nodes[node].operands)
    return frozenset(node.id for node in graph.nodes if node.id not in needed)
