"""The graph of a function with some of its inputs fixed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradc.ir.draft import Draft
from gradc.ir.graph import Builder, Graph


def specialized(draft: Draft, values: Mapping[int, int]) -> Draft:
    """The draft in which the inputs at the given positions are these integers."""
    if not values:
        return draft
    fixed = sorted(values.items())
    return Draft(lambda: specialize(draft.graph, values), lambda: f"{draft.digest} of {fixed}")


def specialize(graph: Graph, values: Mapping[int, object]) -> Graph:
    """The graph in which the inputs at the given positions are constants; the others keep their order."""
    if not values:
        return graph
    builder = Builder()
    inputs = []
    for position, node_id in enumerate(graph.inputs):
        node = graph.nodes[node_id]
        if position in values:
            fixed = np.asarray(values[position], node.aval.dtype)
            inputs.append(builder.constant(fixed, weak=node.aval.weak))
        else:
            inputs.append(builder.input(node.params["name"], node.aval))
    return builder.freeze(graph.replay(builder, inputs), graph.output_names)
