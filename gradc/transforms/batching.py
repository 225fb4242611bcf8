"""A graph applied to many values at once: graph to graph, by the batching rule of each op.

A value that is the same for all stays one value; others have the batch as their first axis. An elementwise op has its
operands spread over the batch, every other op its own rule in its record.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradc.errors import ArgumentError, TraceError
from gradc.ir.aval import Aval, Dim
from gradc.ir.graph import INPUT, Builder, Graph, Node, Value
from gradc.ir.op import BatchContext
from gradc.ops.regions import Rule, call
from gradc.ops.shape import broadcast, spread_over_batch, transpose


def batch(graph: Graph, in_axes: Sequence[int | None], size: Dim, out_axes: Sequence[int | None]) -> Graph:
    """The graph that applies ``graph`` ``size`` times.

    Input k has the batch as axis ``in_axes[k]``, or is the same for all where that is None; output k has it as axis
    ``out_axes[k]``. Raises ArgumentError for an output without a batch axis that is not the same for all, and for an
    axis that is out of range.
    """
    builder = Builder()
    inputs = []
    flags = []
    for node_id, axis in zip(graph.inputs, in_axes, strict=True):
        name, aval = graph.nodes[node_id].params["name"], graph.nodes[node_id].aval
        if axis is not None:
            shape = (*aval.shape[:axis], size, *aval.shape[axis:])
            aval = Aval(shape, aval.dtype)
        value = builder.input(name, aval)
        inputs.append(value if axis is None else _moved(value, axis, 0))
        flags.append(axis is not None)
    found = replay_batched(graph, builder, inputs, flags, (size,))
    outputs = []
    for (value, is_batched), axis, name in zip(found, out_axes, graph.output_names, strict=True):
        outputs.append(_finished(value, is_batched, axis, size, name))
    return builder.freeze(outputs, graph.output_names)


def _finished(value: Value, is_batched: bool, axis: int | None, size: Dim, name: str) -> Value:
    ndim = value.aval.ndim - is_batched
    if axis is None:
        if is_batched:
            raise ArgumentError(f"out_axes is None for {name}, which differs from one application to the next")
        return value
    if not -ndim - 1 <= axis <= ndim:
        raise ArgumentError(f"out_axes is {axis} for {name}, which has {ndim} axes and the batch")
    spread = value if is_batched else broadcast(value, (size, *value.aval.shape))
    return _moved(spread, 0, axis % (ndim + 1))


def _moved(value: Value, source: int, target: int) -> Value:
    order = [a for a in range(value.aval.ndim) if a != source]
    order.insert(target, source)
    return value if order == sorted(order) else transpose(value, axes=tuple(order))


def replay_batched(
    graph: Graph, builder: Builder, inputs: Sequence[Value], batched: Sequence[bool], lead: tuple[Dim, ...]
) -> list[tuple[Value, bool]]:
    """The outputs of ``graph`` where some inputs have axes of the sizes ``lead`` in front, and whether it has them."""
    image = dict(zip(graph.inputs, zip(inputs, batched, strict=True), strict=True))
    outer = builder.origin
    for node in graph.nodes:
        if node.op is INPUT:
            continue
        builder.origin = graph.origins.get(node.id, outer)
        operands = [image[i] for i in node.operands]
        if any(flag for _, flag in operands):
            value = apply_batched(graph, node, [x for x, _ in operands], [flag for _, flag in operands], lead)
            image[node.id] = value, True
        else:
            ids = tuple([x.id for x, _ in operands])
            image[node.id] = builder.apply_ids(node.op, ids, node.params), False
        if node.id in graph.names:
            builder.name(image[node.id][0], graph.names[node.id])
    builder.origin = outer
    return [image[i] for i in graph.outputs]


def apply_batched(
    graph: Graph, node: Node, operands: Sequence[Value], batched: Sequence[bool], lead: tuple[Dim, ...]
) -> Value:
    """One node of ``graph`` for operands of which some have batch axes in front; the result has them."""
    avals = tuple([graph.nodes[i].aval for i in node.operands])
    context = BatchContext(tuple(operands), tuple(batched), lead, avals, node.aval, node.params)
    if node.op is call:
        return _called(node, spread_over_batch(context), lead)
    if node.op.elementwise:
        return node.op(*spread_over_batch(context), **node.params)
    if node.op.batch is None:
        origins = graph.origins.get(node.id, ())
        line = f"{origins[0]}: {origins[0].text}" if origins else ""
        raise TraceError(f"{node.op.name} has no batching rule; map it with a loop", line=line)
    return node.op.batch(context)


def _called(node: Node, operands: Sequence[Value], lead: tuple[Dim, ...]) -> Value:
    """A call with a batch of every operand: its body and its rule for a batch."""
    params = dict(node.params)
    rule: Rule | None = params["rule"]
    params["body"] = _for_all(params["body"], lead)
    if rule is not None:
        pullbacks = tuple([None if p is None else _for_all(p, lead) for p in rule.pullbacks])
        params["rule"] = Rule(rule.places, _for_all(rule.pushforward, lead), pullbacks)
    return call(*operands, **params)


def _for_all(graph: Graph, lead: tuple[Dim, ...]) -> Graph:
    """The graph with a batch in front of every input and output."""
    for size in reversed(lead):
        graph = batch(graph, [0] * len(graph.inputs), size, [0] * len(graph.outputs))
    return graph
