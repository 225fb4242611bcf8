"""A trace with symbolic sizes at given values: the same trace with numbers for the sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradc.backends.sizes import bind_sizes, with_numbers
from gradc.frontend.names import Call
from gradc.ir.graph import INPUT, Builder, Graph, Value


@dataclass(frozen=True)
class Told:
    """What is told: the trace, the calls of the user's functions in it, and the names inside these."""

    graph: Graph
    calls: tuple[Call, ...]
    inner_names: Mapping[int, str]


def with_sizes(told: Told, values: Mapping[str, Any]) -> Told:
    """The trace for inputs of the given values; the same where it has no symbolic sizes or no values are given.

    Raises ArgumentError where the shapes of the values do not fit.
    """
    graph = told.graph
    if not graph.symbols or not values:
        return told
    sizes = bind_sizes(graph, [np.shape(values[name]) for name in graph.input_names])
    builder = Builder()
    made: dict[int, Value] = {}
    for node in graph.nodes:
        builder.origin = graph.origins.get(node.id, ())
        if node.op is INPUT:
            aval = replace(node.aval, shape=with_numbers(node.aval.shape, sizes))
            made[node.id] = builder.input(node.params["name"], aval)
        else:
            params = {key: with_numbers(value, sizes) for key, value in node.params.items()}
            made[node.id] = builder.apply_ids(node.op, tuple(made[i].id for i in node.operands), params)
        if node.id in graph.names:
            builder.name(made[node.id], graph.names[node.id])
    outputs = [made[i] for i in graph.outputs]
    place = {old: new for new, old in enumerate(builder.kept(outputs))}
    image = {i: place[value.id] for i, value in made.items() if value.id in place}
    return Told(
        builder.freeze(outputs, graph.output_names),
        tuple(_moved(call, image) for call in told.calls),
        {image[i]: name for i, name in told.inner_names.items() if i in image},
    )


def _moved(call: Call, image: Mapping[int, int]) -> Call:
    inside = _images(range(*call.nodes), image)
    return replace(
        call,
        arguments=_images(call.arguments, image),
        results=_images(call.results, image),
        nodes=(min(inside), max(inside) + 1) if inside else (0, 0),
    )


def _images(nodes: Sequence[int], image: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(image[i] for i in nodes if i in image)
