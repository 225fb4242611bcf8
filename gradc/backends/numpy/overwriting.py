"""When a write may go into the array itself: once nothing reads the old contents any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from gradc.backends.numpy.expressions import Expression
from gradc.ir.graph import Graph
from gradc.ir.node import Node

VIEWS = frozenset({"transpose", "reshape", "slice", "broadcast_to"})
"""Ops that copy nothing."""


class Progress(Protocol):
    """How far the body is written: values so far, and which of them are variables."""

    @property
    def values(self) -> Sequence[Expression | None]: ...
    @property
    def bound(self) -> Collection[int]: ...


def is_view(graph: Graph, node: Node) -> bool:
    """Whether NumPy gives the value as a view: also of one row that an integer picks."""
    return node.op.name in VIEWS or (node.op.name == "gather" and not graph.nodes[node.operands[1]].aval.shape)


def readers_to_bind(graph: Graph, progress: Progress, node: int, update: Node) -> list[int] | None:
    """The unnamed values that read ``node`` and have to be bound before ``update`` overwrites it.

    None where a later statement needs the old contents: a node that is not written yet reads it, or a view of it.
    """
    if node in graph.outputs:
        return None
    if update.op.name == "scatter" and node in update.operands[1:]:
        return None
    found: list[int] = []
    for reader in graph.consumers[node]:
        if reader == update.id and update.operands[0] == node:
            continue
        value = progress.values[reader]
        if value is None and reader != update.id:
            return None
        view = bool(graph.nodes[reader].aval.shape) and is_view(graph, graph.nodes[reader])
        if reader == update.id or (reader in progress.bound and not view):
            continue
        if _is_needed_later(graph, progress, reader, update):
            if view or value is None or not (value.fresh or not graph.nodes[reader].aval.shape):
                return None
            found.append(reader)
        deeper = readers_to_bind(graph, progress, reader, update)
        if deeper is None:
            return None
        found += deeper
    return found


def _is_needed_later(graph: Graph, progress: Progress, node: int, update: Node) -> bool:
    """Whether a statement still to come uses ``node``. ``np.add.at`` must not read what it writes."""
    return any(
        (user == update.id and update.op.name == "scatter") or (user != update.id and progress.values[user] is None)
        for user in graph.consumers[node]
    )
