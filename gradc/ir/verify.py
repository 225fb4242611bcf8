"""What a valid graph is, as numbered laws. Passes keep them; the tests check them between passes.

 1 ids are positions, and operands stand before their users
 2 every op is the registered one of its name
 3 the aval of a node is what its op infers
 4 the inputs are exactly the input nodes, numbered in order, under different names
 5 every output is a node, under a name of its own
 6 no two nodes compute the same
 7 every node but an input is needed by an output
 8 names, origins and cotangents speak of nodes; a cotangent has the shape of its primal
 9 constants cannot be written to
10 every symbolic size is one of an input
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradc.errors import GradcError, VerifyError
from gradc.ir.aval import SymbolicDim
from gradc.ir.graph import INPUT, Graph, Node
from gradc.ir.node import node_key
from gradc.ir.op import REGISTRY
from gradc.ir.text import print_node

LAWS = tuple(line.strip() for line in (__doc__ or "").splitlines() if line.strip()[:1].isdigit())
"""The laws, each beginning with its number."""


def verify(graph: Graph) -> None:
    """Check all laws. Raises VerifyError with the number, the law and the first node that breaks it."""
    count = len(graph.nodes)
    for position, node in enumerate(graph.nodes):
        if node.id != position or not all(0 <= i < position for i in node.operands):
            _fail(graph, 1, node)
    for node in graph.nodes:
        if REGISTRY.get(node.op.name) is not node.op:
            _fail(graph, 2, node)
        _verify_aval(graph, node)
    _verify_ends(graph)
    _verify_use(graph)
    for table in (graph.names, graph.origins, graph.cotangents, graph.cotangents.values()):
        for node_id in table:
            if not 0 <= node_id < count:
                raise VerifyError(f"{_law(8)}: a table speaks of %{node_id}, and the graph has {count} nodes")
    for primal, ct in graph.cotangents.items():
        if graph.nodes[primal].aval.shape != graph.nodes[ct].aval.shape:
            _fail(graph, 8, graph.nodes[ct])


def _verify_aval(graph: Graph, node: Node) -> None:
    try:
        inferred = node.op.infer(*[graph.nodes[i].aval for i in node.operands], **node.params)
    except GradcError as error:
        raise VerifyError(f"{_law(3)}: {print_node(graph, node)}: {error}") from error
    if inferred != node.aval:
        _fail(graph, 3, node, f"inferred {inferred}")


def _verify_ends(graph: Graph) -> None:
    found = tuple(n.id for n in graph.nodes if n.op is INPUT)
    if found != graph.inputs:
        raise VerifyError(f"{_law(4)}: the input nodes are {found}, the graph says {graph.inputs}")
    names = set()
    for index, node_id in enumerate(graph.inputs):
        node = graph.nodes[node_id]
        if node.params["index"] != index or node.params["name"] in names:
            _fail(graph, 4, node)
        names.add(node.params["name"])
    if len(graph.output_names) != len(graph.outputs) or len(set(graph.output_names)) != len(graph.output_names):
        raise VerifyError(f"{_law(5)}: {len(graph.outputs)} outputs are named {graph.output_names}")
    for node_id in graph.outputs:
        if not 0 <= node_id < len(graph.nodes):
            raise VerifyError(f"{_law(5)}: %{node_id} is an output and not a node")


def _verify_use(graph: Graph) -> None:
    used = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.id not in used and node.op is not INPUT:
            _fail(graph, 7, node)
        used.update(node.operands)
    known: dict[object, int] = {}
    symbols = set(_symbols(graph.nodes[i] for i in graph.inputs))
    for node in graph.nodes:
        first = known.setdefault(node_key(node.op, node.operands, node.params), node.id)
        if first != node.id and node.op is not INPUT:
            _fail(graph, 6, node, f"%{first} is the same")
        value = node.params.get("value")
        if isinstance(value, np.ndarray) and value.flags.writeable:
            _fail(graph, 9, node)
        for symbol in _symbols([node]):
            if symbol not in symbols:
                _fail(graph, 10, node, f"{symbol} is no size of an input")


def _symbols(nodes: Iterator[Node] | list[Node]) -> Iterator[str]:
    for node in nodes:
        for dim in node.aval.shape:
            if isinstance(dim, SymbolicDim):
                yield from dim.symbols


def _law(number: int) -> str:
    return f"law {LAWS[number - 1]}"


def _fail(graph: Graph, number: int, node: Node, why: str = "") -> None:
    raise VerifyError(f"{_law(number)}: {print_node(graph, node)}" + (f"; {why}" if why else ""))
