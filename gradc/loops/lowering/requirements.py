"""What sizes have to be for a kernel to run at all: an empty axis has no largest element, and no index is inside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gradc.ir.aval import Dim, SymbolicDim
from gradc.ir.graph import Graph, Node
from gradc.loops.language.program import Expression, b, size


@dataclass(frozen=True, slots=True)
class Requirement:
    """A condition on sizes, and what it means where it does not hold. ``node`` has the user's line."""

    condition: Expression
    message: str
    node: int


def requirements(graph: Graph) -> list[Requirement]:
    """The requirements of a graph, each once."""
    found: dict[tuple[Expression, str], Requirement] = {}
    for node in graph.nodes:
        for requirement in _of(graph, node):
            found.setdefault((requirement.condition, requirement.message), requirement)
    return list(found.values())


def _of(graph: Graph, node: Node) -> Iterator[Requirement]:
    name = node.op.name
    if name in ("reduce_max", "reduce_min"):
        x, axes = graph.nodes[node.operands[0]].aval, node.params["axes"]
        message = f"{name}: {x} has no element along axes {axes}, and there is no smallest or largest of none"
        for axis in axes:
            if isinstance(x.shape[axis], SymbolicDim):
                yield Requirement(b.gt(size(x.shape[axis]), 0), message, node.id)
    elif name in ("gather", "scatter"):
        array = graph.nodes[node.operands[0]].aval
        index = graph.nodes[node.operands[1 if name == "gather" else 2]].aval
        for axis in node.params["axes"]:
            length = array.shape[axis]
            if isinstance(length, SymbolicDim) and index.size != length:
                message = f"{name}: no index is in bounds for axis {axis} of {array}, which has no elements"
                yield Requirement(_some_unless_none(length, index.size), message, node.id)


def _some_unless_none(length: Dim, count: Dim) -> Expression:
    """Whether an axis has elements, unless there is no index into it."""
    is_long = b.gt(size(length), 0)
    return is_long if isinstance(count, int) and count else b.logical_or(is_long, b.le(size(count), 0))
