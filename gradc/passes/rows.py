"""Rows: reductions over axes whose results are spread over these axes again, however they came back into shape."""

from __future__ import annotations

from gradc.ir.aval import Dim
from gradc.ir.graph import Builder, Node
from gradc.ops.reduce import reduced_shape
from gradc.ops.shape import broadcast_to, reshape


def row_reduction(builder: Builder, node_id: int, shape: tuple[Dim, ...]) -> Node | None:
    """The reduction over axes of an array of ``shape`` whose results the node repeats along these axes."""
    node = builder.nodes[node_id]
    if node.op is not broadcast_to or node.aval.shape != shape:
        return None
    return unspread_reduction(builder, node.operands[0], shape)


def unspread_reduction(builder: Builder, node_id: int, shape: tuple[Dim, ...]) -> Node | None:
    """The same for the node below the broadcast: its shape must align with the rows of ``shape``."""
    source = reduction = builder.nodes[node_id]
    while reduction.op is reshape:
        reduction = builder.nodes[reduction.operands[0]]
    axes = reduction.params.get("axes")
    if axes is None or not reduction.operands or builder.nodes[reduction.operands[0]].aval.shape != shape:
        return None
    kept = reduced_shape(shape, axes, True)
    return reduction if _without_leading_ones(source.aval.shape) == _without_leading_ones(kept) else None


def _without_leading_ones(shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
    first = next((k for k, d in enumerate(shape) if d != 1), len(shape))
    return shape[first:]
