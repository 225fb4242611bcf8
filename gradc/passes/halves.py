"""A graph of half precision as one of single precision: each value is a float32 that float16 holds exactly.

Loops compute in float32. A float16 input is an array of its bits, the same memory read in another way; so are results.
Whatever an op gives is rounded at once, as NumPy does, unless it only moves numbers that are rounded already.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gradc.ir.aval import Aval
from gradc.ir.graph import CONSTANT, INPUT, Builder, Graph, Node, Value
from gradc.ops.elementwise import convert
from gradc.ops.half import BITS, HALF, SINGLE, half_bits, half_value, round_half
from gradc.passes.pipeline import builder_rewrite

_EXACT: Final = frozenset((
    "neg", "abs", "sign", "floor", "ceil", "trunc", "rint", "copysign", "maximum", "minimum", "select", "reduce_max",
    "reduce_min", "broadcast_to", "reshape", "transpose", "slice", "concatenate", "gather", "stop_gradient",
    "recompute", "call",
))  # fmt: skip
"""Ops whose results are among the operands, or as short."""


def has_half(graph: Graph) -> bool:
    """Whether any value is a float16, in the graphs that ops hold too."""
    return any(
        node.aval.dtype == HALF or any(isinstance(x, Graph) and has_half(x) for x in node.params.values())
        for node in graph.nodes
    )


def widen_halves(graph: Graph) -> Graph:
    """The graph in float32; the graph itself where nothing is a float16. An input or output ``f16[n]`` becomes
    ``u16[n]``, its bits."""
    return _widened(graph, stored=True) if has_half(graph) else graph


def _widened(graph: Graph, *, stored: bool) -> Graph:
    """``stored``: inputs and outputs are bits, not numbers."""
    builder = Builder(builder_rewrite("off"))
    inside = BITS if stored else SINGLE
    inputs = [builder.input(graph.nodes[i].params["name"], _as(graph.nodes[i].aval, inside)) for i in graph.inputs]
    given = iter(inputs)
    image: list[Value] = []
    for node in graph.nodes:
        builder.origin = graph.origins.get(node.id, ())
        if node.op is INPUT:
            value = next(given)
            made = half_value(value) if stored and node.aval.dtype == HALF else value
        else:
            made = _single(builder, node, [image[i] for i in node.operands])
        image.append(made)
        if node.id in graph.names:
            builder.name(made, graph.names[node.id])
    builder.origin = ()
    outputs = [half_bits(image[i]) if stored and graph.nodes[i].aval.dtype == HALF else image[i] for i in graph.outputs]
    return builder.freeze(outputs, graph.output_names)


def _as(aval: Aval, dtype: np.dtype) -> Aval:
    return aval.with_dtype(dtype) if aval.dtype == HALF else aval


def _single(builder: Builder, node: Node, operands: list[Value]) -> Value:
    is_half = node.aval.dtype == HALF
    if node.op is CONSTANT:
        value = node.params["value"]
        return (
            builder.constant(value.astype(SINGLE), weak=node.aval.weak)
            if is_half
            else builder.apply(node.op, **node.params)
        )
    if node.op is convert and is_half:
        (x,) = operands
        return round_half(x if x.aval.dtype.kind == "f" else convert(x, dtype=SINGLE))
    if node.op is convert and operands[0].aval.dtype == node.params["dtype"]:
        return operands[0]
    made = builder.apply(node.op, *operands, **{name: _param(x) for name, x in node.params.items()})
    return made if not is_half or node.op.name in _EXACT else round_half(made)


def _param(value: Any) -> Any:
    if isinstance(value, Graph):
        return _widened(value, stored=False) if has_half(value) else value
    return SINGLE if isinstance(value, np.dtype) and value == HALF else value
