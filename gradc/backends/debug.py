"""Evaluation that refuses a NaN among the results, and tells in which operation it first appeared.

From a result that is NaN the way leads back along operands that are, to the first node that none of its operands
explains. NaNs that no result depends on, as in branches that are not taken, are on no such way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from gradc.backends.reference import every_value
from gradc.backends.sizes import bind_sizes, with_numbers
from gradc.errors import NanError
from gradc.ir.graph import CONSTANT, INPUT, Graph, Node
from gradc.ops.elementwise import select
from gradc.ops.index import gather
from gradc.ops.shape import broadcast_to, concatenate, reshape, slice_, transpose, update_slice

_COPYING: Final = (broadcast_to, concatenate, gather, reshape, select, slice_, transpose, update_slice)
"""Ops each element of whose result is an element of an operand."""

Element = tuple[int, tuple[int, ...]]
"""A node by its id, and a place in its value."""

_MOST_OPERANDS: Final = 4
"""Of an operation with more operands their values are not told."""


def evaluate(graph: Graph, inputs: Sequence[Any]) -> list[np.ndarray]:
    """The outputs of ``graph``, as ``gradc.backends.reference.evaluate`` gives them.

    Raises NanError for an output with a NaN: the operation, its operands there, the user's line, the adjoint.
    """
    values = every_value(graph, inputs)
    for output, name in zip(graph.outputs, graph.output_names, strict=True):
        if _is_nan(values[output]).any():
            raise _refusal(graph, values, output, name)
    return [values[i].copy() for i in graph.outputs]


def _is_nan(value: np.ndarray) -> np.ndarray:
    return np.isnan(value) if value.dtype.kind in "fc" else np.zeros(value.shape, np.bool_)


def _refusal(graph: Graph, values: Sequence[np.ndarray], output: int, name: str) -> NanError:
    node, place = _first(graph, values, output, _place(values[output]))
    at = f" at {list(place)}" if place else ""
    if node.op is INPUT:
        return NanError(f"{name} is NaN because the argument {node.params['name']} is{at}; look where it was made")
    if node.op is CONSTANT:
        return NanError(f"{name} is NaN because a constant of the function is{at}; look where it was made")
    adjoint = _adjoint(graph, node.id)
    told = f"{name} is NaN: {_told(node, values, place)}"
    if place:
        told += f"{at} of {' by '.join(map(str, values[node.id].shape))}"
    if adjoint:
        told += f", on the way to dL/d{adjoint}"
    origins = graph.origins.get(node.id, ())
    line = f"{origins[0]}: {origins[0].text}" if origins else ""
    return NanError(told, line=line)


def _first(
    graph: Graph, values: Sequence[np.ndarray], start: int, place: tuple[int, ...]
) -> tuple[Node, tuple[int, ...]]:
    """The node in which the NaN at an element of the node ``start`` appeared first, and the element of it."""
    node, choices = graph.nodes[start], list[tuple[Node, tuple[int, ...]]]()
    while True:
        if node.op is select:
            choices.append((node, place))
        elif node.op not in _COPYING and node.op is not CONSTANT:
            choices.clear()
        came = _came_from(graph, node, values, place)
        while came is None and choices:
            came = _asked_for(graph, values, *choices.pop())
        if came is None:
            return node, place
        node, place = graph.nodes[came[0]], came[1]


def _came_from(graph: Graph, node: Node, values: Sequence[np.ndarray], place: tuple[int, ...]) -> Element | None:
    """The operand, and the element of it, that explains the NaN at an element of a node; None where none does."""
    if node.op in _COPYING:
        return _copied(graph, node, values, place)
    for operand in node.operands:
        nan = _is_nan(values[operand])
        same = node.op.elementwise and nan.shape == values[node.id].shape
        if nan[place] if same else nan.any():
            return operand, place if same else _place(values[operand])
    return None


def _copied(graph: Graph, node: Node, values: Sequence[np.ndarray], place: tuple[int, ...]) -> Element:
    """Where an op that only copies has an element from: told by one number for each element that it could be."""
    tags, first = list[np.ndarray](), 0.0
    for operand in node.operands:
        own = values[operand]
        tagged = own.dtype.kind in "fc"
        tags.append(first + np.arange(float(own.size)).reshape(own.shape) if tagged else own)
        first += own.size
    sizes = bind_sizes(graph, [values[i].shape for i in graph.inputs])
    params = {key: with_numbers(value, sizes) for key, value in node.params.items()} if sizes else node.params
    tag = int(np.asarray(node.op.evaluate(*tags, **params))[place])
    for operand in node.operands:
        if tag < values[operand].size:
            return operand, tuple(int(k) for k in np.unravel_index(tag, values[operand].shape))
        tag -= values[operand].size
    raise AssertionError(f"{node.op.name} copies no element to {place}")


def _asked_for(graph: Graph, values: Sequence[np.ndarray], chosen: Node, place: tuple[int, ...]) -> Element | None:
    """Where a constant NaN is chosen because of another NaN, that one: ``median`` and others look for it."""
    pending: list[tuple[int, tuple[int, ...] | None]] = [(chosen.operands[0], place)]
    seen = set[int]()
    while pending:
        current, at = pending.pop()
        condition = graph.nodes[current]
        for operand in condition.operands if current not in seen else ():
            value = values[operand]
            same = at is not None and condition.op.elementwise and value.shape == values[current].shape
            if value.dtype == np.bool_:
                pending.append((operand, at if same else None))
            elif _is_nan(value)[at if same else ...].any():
                return operand, at if same and at is not None else _place(value)
        seen.add(current)
    return None


def _place(value: np.ndarray) -> tuple[int, ...]:
    return tuple(int(k) for k in np.unravel_index(int(np.argmax(_is_nan(value))), value.shape))


def _told(node: Node, values: Sequence[np.ndarray], place: tuple[int, ...]) -> str:
    """The operation with its operands at the element, where these are single numbers."""
    operands = [values[i] for i in node.operands]
    if not node.op.elementwise or len(operands) > _MOST_OPERANDS:
        return node.op.name
    numbers = [x[place] if x.shape == values[node.id].shape else x for x in operands]
    return f"{node.op.name}({', '.join(str(number) for number in numbers)})"


def _adjoint(graph: Graph, node_id: int) -> str:
    """What a node of the backward sweep is the cotangent of, or on the way to; empty for one of the forward sweep."""
    primals = {slope: primal for primal, slope in graph.cotangents.items()}
    forward, pending = set[int](), list(graph.cotangents)
    while pending:
        current = pending.pop()
        if current not in forward:
            forward.add(current)
            pending += graph.nodes[current].operands
    if node_id in forward:
        return ""
    front, seen = [node_id], {node_id}
    while front:
        for current in front:
            if current in primals:
                primal = primals[current]
                node = graph.nodes[primal]
                return str(node.params["name"]) if node.op is INPUT else graph.names.get(primal, node.op.name)
        front = [k for current in front for k in graph.consumers[current] if k not in seen]
        seen.update(front)
    return ""
