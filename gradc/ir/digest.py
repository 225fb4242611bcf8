"""A digest of a graph: two graphs have the same where their texts are the same.

Nodes repeat each other, so what they say besides their operands (op, params, names, lines) is written once and stands
as a number from then on.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from gradc.ir.graph import CONSTANT, INPUT, Graph, Node
from gradc.ir.node import Tables
from gradc.ir.text import array_text, param_text

_MOST_WRITTEN: Final = 64


class _Words:
    """Texts, by numbers in the order in which they were met. What has an identity is asked once for its text."""

    def __init__(self, text: Callable[[Any], str]) -> None:
        self.text = text
        self.texts: dict[str, int] = {}
        self.known: dict[Any, int] = {}

    def number(self, identity: Any, thing: Any) -> int:
        """The number of what a thing says, kept for its identity."""
        number = self.known[identity] = self.texts.setdefault(self.text(thing), len(self.texts))
        return number


def digest_of(nodes: Sequence[Node], tables: Tables, told: Any, numbers: Sequence[Sequence[int]]) -> str:
    """64 hexadecimal digits for nodes in order and the tables of their graph, with plain data and integers besides."""
    words, lines = _Words(_said), _Words(json.dumps)
    written = array("q")
    known = words.known
    for node in nodes:
        _, op, operands, params, _ = node
        identity = (id(op), id(params)) if params else id(op)
        word = known.get(identity)
        written.extend((words.number(identity, node) if word is None else word, len(operands), *operands))
    known = lines.known
    for node_id, own in tables.origins.items():
        word = known.get(id(own))
        written.extend((node_id, lines.number(id(own), own) if word is None else word))
    parts = [written, *[array("q", part) for part in (tables.cotangents, tables.cotangents.values(), *numbers)]]
    lengths = [len(part) for part in parts]
    said = [list(words.texts), list(lines.texts), list(tables.names.items()), len(nodes), lengths, told]
    made = hashlib.sha256(json.dumps(said).encode())
    for part in parts:
        made.update(part.tobytes())
    return made.hexdigest()


def graph_digest(graph: Graph) -> str:
    """The digest of a graph."""
    tables = Tables(_sorted(graph.names), _sorted(graph.origins), _sorted(graph.cotangents))
    return digest_of(graph.nodes, tables, graph.output_names, [graph.outputs])


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
