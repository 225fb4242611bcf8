"""When a write may go into the array itself: once nothing reads the old contents any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from gradc.backends.numpy.expressions import Expression
from gradc.ir.graph import Graph
from gradc.ir.node import Node

VIEWS = frozenset({"transpose", "reshape", "slice", "broadcast_to", "recompute", "real", "imag"})
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


def readers_to_bind(graph: Graph, progress: Progress, base: int, update: Node) -> list[int] | None:
    """The unnamed values that read ``base`` and have to be bound before ``update`` overwrites it.

    Small views among them have to be bound as copies. None where a later statement needs the old contents: a node
    that is not written yet reads them, or a large view of them.
    """
    if base in graph.outputs or (update.op.name == "scatter" and base in update.operands[1:]):
        return None
    found: list[int] = []
    for reader in graph.consumers[base]:
        if reader != update.id and not _collect(graph, progress, base, update, reader, found):
            return None
    return list(dict.fromkeys(found))


def _collect(graph: Graph, progress: Progress, base: int, update: Node, reader: int, found: list[int]) -> bool:
    """Add what must be bound of ``reader`` and of the unnamed values it is written into; False where that fails."""
    value, node = progress.values[reader], graph.nodes[reader]
    if value is None:
        return False
    view = bool(node.aval.shape) and is_view(graph, node)
    if reader in progress.bound and not view:
        return True
    if _is_needed_later(graph, progress, reader, update):
        if node.aval.shape and not (_is_small(graph, reader, base) if view else value.fresh):
            return False
        found.append(reader)
    written = [u for u in graph.consumers[reader] if u != update.id and progress.values[u] is not None]
    return all(_collect(graph, progress, base, update, user, found) for user in written)


def is_small_view(graph: Graph, view: int, base: int) -> bool:
    """Whether ``view`` is one of ``base`` alone, and a copy of it costs at most half of a copy of the whole array."""
    node = graph.nodes[view]
    return len(node.operands) == 1 and is_view(graph, node) and _is_small(graph, view, base)


def _is_small(graph: Graph, view: int, base: int) -> bool:
    """Whether a copy of the view costs at most half of a copy of the whole array."""
    part, whole = graph.nodes[view].aval.size, graph.nodes[base].aval.size
    return isinstance(part, int) and isinstance(whole, int) and 2 * part <= whole


def _is_needed_later(graph: Graph, progress: Progress, node: int, update: Node) -> bool:
    """Whether a statement still to come uses ``node``. ``np.add.at`` must not read what it writes."""
    return node in graph.outputs or any(
        update.op.name == "scatter" if user == update.id else progress.values[user] is None
        for user in graph.consumers[node]
    )
