"""Taking out what only transforms see, once nothing is differentiated any more: calls become their bodies."""

from __future__ import annotations

from typing import Any, Final

from gradc.ir.graph import Builder, Graph, Value, rebuild
from gradc.ir.op import Op
from gradc.ops.regions import call, stop_gradient

_RELEASED: Final = (call, stop_gradient)


def release(graph: Graph) -> Graph:
    """The same function without calls and stopped derivatives; the graph itself where it has none."""
    if not any(node.op in _RELEASED for node in graph.nodes):
        return graph
    return rebuild(graph, _released)


def without_checkpoints(graph: Graph) -> Graph:
    """The same function with the bodies of its checkpoints in their places; the graph itself where it has none."""
    if not any(_is_checkpoint(node.op, node.params) for node in graph.nodes):
        return graph
    return rebuild(
        graph, lambda b, op, ids, params: _released(b, op, ids, params) if _is_checkpoint(op, params) else None
    )


def _is_checkpoint(op: Op, params: dict[str, Any]) -> bool:
    return op is call and params["rule"] is None


def _released(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
    operands = [builder.value(i) for i in ids]
    if op is stop_gradient:
        return operands[0]
    if op is call:
        body: Graph = params["body"]
        return body.replay(builder, operands)[int(params["index"])]
    return None
