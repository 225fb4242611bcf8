"""The oracle: a graph evaluated node by node with each op's own ``evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradc.backends.sizes import bind_sizes, with_numbers
from gradc.errors import ArgumentError
from gradc.ir.graph import INPUT, Graph


def evaluate(graph: Graph, inputs: Sequence[Any]) -> list[np.ndarray]:
    """The outputs of ``graph`` for the given input arrays, which must have the dtypes and shapes of its inputs.

    Symbolic sizes are read off the inputs' shapes. Floating-point exceptions pass silently. The results are
    arrays of their own: they alias neither inputs, constants nor each other.
    Raises ArgumentError for inputs that do not fit.
    """
    values = every_value(graph, inputs)
    return [values[i].copy() for i in graph.outputs]


def every_value(graph: Graph, inputs: Sequence[Any]) -> list[np.ndarray]:
    """The value of each node, as ``evaluate`` computes them."""
    arrays = [np.asarray(value) for value in inputs]
    sizes = bind_sizes(graph, [array.shape for array in arrays])
    for name, aval, array in zip(graph.input_names, graph.input_avals, arrays, strict=True):
        if array.dtype != aval.dtype:
            raise ArgumentError(f"{name} has dtype {array.dtype}, expected {aval.dtype}")
    given = iter(arrays)
    values: list[np.ndarray] = []
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            if node.op is INPUT:
                values.append(next(given))
                continue
            params = node.params
            if sizes:
                params = {key: with_numbers(value, sizes) for key, value in params.items()}
            values.append(np.asarray(node.op.evaluate(*[values[i] for i in node.operands], **params)))
    return values
