"""Which nodes belong to the backward pass: those that are cotangents, and all that depend on them."""

from __future__ import annotations

from gradc.ir.graph import CONSTANT, INPUT, Graph


def backward_nodes(graph: Graph) -> frozenset[int]:
    """The nodes written after the forward pass. They are closed under use, so the order stays topological.

    A node that a primal result or a named primal value needs is of the forward pass, also where it equals a
    cotangent.
    """
    cotangents = set(graph.cotangents.values())
    needed = _ancestors(graph, [i for i in (*graph.outputs, *graph.names) if i not in cotangents])
    backward: set[int] = set()
    for node in graph.nodes:
        if node.op in (INPUT, CONSTANT) or node.id in needed:
            continue
        if node.id in cotangents or not backward.isdisjoint(node.operands):
            backward.add(node.id)
    return frozenset(backward)


def _ancestors(graph: Graph, roots: list[int]) -> set[int]:
    """The roots and all that they are computed of, cotangents of results apart."""
    found: set[int] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(graph.nodes[node].operands)
    return found
