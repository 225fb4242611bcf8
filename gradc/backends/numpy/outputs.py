"""The results of a kernel: of exact shape, each in memory of its own."""

from __future__ import annotations

from gradc.backends.numpy.body import Body
from gradc.backends.numpy.expressions import Expression, filled, typed
from gradc.backends.numpy.overwriting import VIEWS, is_view
from gradc.backends.numpy.shapes import owned
from gradc.ir.graph import CONSTANT, INPUT, Graph
from gradc.ir.node import Node

GIVES_ARRAY = frozenset({"select", "convert", "gather", "contract", "masked_contract", "concatenate"}) | VIEWS
"""Ops of which NumPy may make a 0-d array instead of a number."""


def own_outputs(body: Body, graph: Graph) -> list[str]:
    """The texts of the results. None aliases an input, a constant or another result."""
    taken: set[int] = set()
    texts = []
    for output in graph.outputs:
        node = graph.nodes[output]
        texts.append(_own(body, graph, node, taken).text)
    return texts


def _own(body: Body, graph: Graph, node: Node, taken: set[int]) -> Expression:
    expression = body.value(node.id)
    if not node.aval.shape:
        number = typed(expression, node.aval.dtype)
        may_be_array = node.op.name in GIVES_ARRAY
        return filled("{0}[()]", [number]) if may_be_array and not expression.weak else number
    root = _root(graph, node)
    private = graph.nodes[root].op not in (INPUT, CONSTANT) and root not in taken
    taken.add(root)
    if private and expression.shape == node.aval.shape and not _repeats(body, graph, node):
        return expression
    return owned(expression, node.aval)


def _root(graph: Graph, node: Node) -> int:
    """The node whose memory the value may share."""
    while is_view(graph, node):
        node = graph.nodes[node.operands[0]]
    return node.id


def _repeats(body: Body, graph: Graph, node: Node) -> bool:
    """Whether the value is a view of a broadcast, whose elements share memory and must not be written."""
    while is_view(graph, node):
        if node.op.name == "broadcast_to":
            return True
        node = graph.nodes[node.operands[0]]
    return body.value(node.id).shape != node.aval.shape
