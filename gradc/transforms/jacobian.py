"""The Jacobian of a graph, in one graph: a forward pass for all elements of the inputs, or a reverse pass for all
elements of the outputs, whichever are fewer."""

from __future__ import annotations

from collections.abc import Sequence

from gradc.ir.aval import Aval, Dim
from gradc.ir.graph import Builder, Graph, Rewrite, Value
from gradc.transforms.adjoint import adjoint
from gradc.transforms.identity import Tied, dense, identity, replay_tied
from gradc.transforms.pushforward import TANGENT_PREFIX, pushforward, replay_with_tangents


def jacobian(
    graph: Graph, wrt: Sequence[int], *, primals: int, rewrite: Rewrite | None = None, forward: bool | None = None
) -> Graph:
    """The derivative of each of the first ``primals`` outputs by each input of ``wrt``, then the other outputs.

    A block has the axes of the output, then those of the input; the blocks of one output stand together. ``forward``
    says by which mode; by default the one with fewer seeds.
    """
    if forward is None:
        forward = is_forward(graph, wrt, primals)
    builder = Builder(rewrite)
    inputs = [builder.input(graph.nodes[i].params["name"], graph.nodes[i].aval) for i in graph.inputs]
    passes = _columns if forward else _rows
    blocks = passes(graph, builder, inputs, wrt, primals)
    rest = graph.replay(builder, inputs)[primals:]
    outs, ins = graph.output_names, [graph.input_names[k] for k in wrt]
    names = [f"d_{name}" if primals == 1 else f"d_{out} d_{name}" for out in outs[:primals] for name in ins]
    return builder.freeze([*blocks, *rest], [*names, *outs[primals:]])


def is_forward(graph: Graph, wrt: Sequence[int], primals: int) -> bool:
    """Whether there are no more columns than rows. A symbolic size counts as larger than any number."""
    columns: Dim = sum((graph.input_avals[k].size for k in wrt), start=0)
    rows: Dim = sum((aval.size for aval in graph.output_avals[:primals]), start=0)
    if isinstance(columns, int) and isinstance(rows, int):
        return columns <= rows
    return isinstance(columns, int)


def _columns(graph: Graph, builder: Builder, inputs: Sequence[Value], wrt: Sequence[int], primals: int) -> list[Value]:
    """By tangents: one pass for each input, which gives a block of every output."""
    table = []
    for k in wrt:
        inner = Builder(builder.rewrite)
        own = [inner.input(graph.nodes[i].params["name"], graph.nodes[i].aval) for i in graph.inputs]
        tangent = inner.input(f"{TANGENT_PREFIX}{graph.input_names[k]}", own[k].aval)
        if inner.rewrite is None:
            outputs, found = replay_with_tangents(graph, inner, own, [own[k]], [tangent])
        else:
            outputs = graph.replay(inner, own)
            found = pushforward(inner, outputs[:primals], [own[k]], [tangent])
        pushed = _or_zeros(inner, found[:primals], outputs[:primals])
        table.append(_replayed(inner.freeze(pushed), builder, inputs, tangent.aval, behind=True))
    return [column[row] for row in range(primals) for column in table]


def _rows(graph: Graph, builder: Builder, inputs: Sequence[Value], wrt: Sequence[int], primals: int) -> list[Value]:
    """By cotangents: one pass for each output, which gives its blocks."""
    blocks = []
    for k in range(primals):
        inner = Builder(builder.rewrite)
        own = [inner.input(graph.nodes[i].params["name"], graph.nodes[i].aval) for i in graph.inputs]
        output = graph.replay(inner, own)[k]
        ct = inner.input(f"ct_{graph.output_names[k]}", output.aval)
        targets = [own[i] for i in wrt]
        pulled = _or_zeros(inner, adjoint(inner, [output], [ct], targets), targets)
        blocks += _replayed(inner.freeze(pulled), builder, inputs, ct.aval, behind=False)
    return blocks


def _or_zeros(builder: Builder, found: Sequence[Value | None], like: Sequence[Value]) -> list[Value]:
    return [builder.full(0, x.aval) if d is None else d for d, x in zip(found, like, strict=True)]


def _replayed(graph: Graph, builder: Builder, inputs: Sequence[Value], seed: Aval, *, behind: bool) -> list[Value]:
    """The outputs of a linear graph, whose last input is seeded with an identity, for all seeds.

    The axes of the seed stand in front of those of the output, or ``behind`` them.
    """
    lead = seed.shape
    found = replay_tied(graph, builder, [*inputs, identity(builder, seed)], lead)
    blocks = []
    for value, aval in zip(found, graph.output_avals, strict=True):
        if isinstance(value, Tied):
            blocks.append(dense(value, lead, aval.shape, behind=behind))
        else:
            shape = (*aval.shape, *lead) if behind else (*lead, *aval.shape)
            blocks.append(builder.full(0, aval.with_shape(shape)))
    return blocks
