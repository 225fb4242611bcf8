"""A digest of a graph: two graphs have the same where their texts are the same.

Nodes repeat each other, so what they say besides their operands (op, params, names, lines) is written once and stands
as a number from then on.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from gradc.ir.graph import CONSTANT, INPUT, Graph, Node, Origin
from gradc.ir.text import array_text, param_text

_MOST_WRITTEN: Final = 64


class _Words:
    """Texts, by numbers in the order in which they were met."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))


def digest_of(
    nodes: Sequence[Node],
    outputs: Sequence[int],
    output_names: Sequence[str],
    names: Mapping[int, str],
    origins: Mapping[int, tuple[Origin, ...]],
    cotangents: Mapping[int, int],
) -> str:
    """64 hexadecimal digits for nodes in order with the tables of their graph."""
    words = _Words()
    bare: dict[Any, int] = {}
    told: dict[int, int] = {}
    numbers: list[int] = []
    for node in nodes:
        _, op, operands, params, _ = node
        if params:
            word = told.get(id(params))
            if word is None:
                word = told[id(params)] = words(_said(node))
        else:
            word = bare.get(op)
            if word is None:
                word = bare[op] = words(op.name)
        numbers.append(word)
        numbers.append(len(operands))
        numbers += operands
    numbers.append(-1)
    lines: dict[int, int] = {}
    for node_id, own in origins.items():
        word = lines.get(id(own))
        if word is None:
            word = lines[id(own)] = words(json.dumps(own))
        numbers.append(node_id)
        numbers.append(word)
    numbers.append(-1)
    for node_id, name in names.items():
        numbers.append(node_id)
        numbers.append(words(name))
    numbers.append(-1)
    for primal, ct in sorted(cotangents.items()):
        numbers += (primal, ct)
    numbers.append(-1)
    numbers += outputs
    made = hashlib.sha256(json.dumps([list(words.texts), list(output_names)]).encode())
    made.update(array("q", numbers).tobytes())
    return made.hexdigest()


def graph_digest(graph: Graph) -> str:
    """The digest of a graph."""
    return digest_of(
        graph.nodes, graph.outputs, graph.output_names, _sorted(graph.names), _sorted(graph.origins), graph.cotangents
    )


def _sorted(table: Mapping[int, Any]) -> dict[int, Any]:
    return dict(sorted(table.items()))


def _said(node: Node) -> str:
    """What a node says besides its operands: the same for equal params alone."""
    if node.op is INPUT:
        return f"{node.op.name} {node.params['index']} {json.dumps(node.params['name'])} : {node.aval}"
    if node.op is CONSTANT:
        return f"{node.op.name} {_elements(node.params['value'])} : {node.aval}"
    return f"{node.op.name} {' '.join(f'{key}={param_text(value)}' for key, value in node.params.items())}"


def _elements(value: np.ndarray) -> str:
    """The elements of a constant: a large array by its digest."""
    if value.size <= _MOST_WRITTEN:
        return array_text(value)
    return (
        f"{value.dtype.str} {hashlib.sha256(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data).hexdigest()}"
    )
