"""The text of a graph, ``.gir``: one node a line, readable, and read back to the same graph.

    gir 1
    %0 = input index=0 name="w['hidden']" : f64[2,batch]
    %1 = constant 1.0 : f64[]
    %2 = reduce_sum %0 axes=(0,) keepdims=False : f64[batch]  # z at net.py:5 "z = w['hidden'].sum(0)"
    return %2 as "L"

What follows ``#`` are the tables: the user's name, ``cotangent of %3``, the user's lines. Numbers are written so that
every bit comes back: shortest decimals, ``-0.0``, ``inf``, ``nan`` (with its bits where they are not the usual ones).
Large arrays stand as base64 of their bytes, little-endian. The log of laws fired is not part of the text.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from gradc.errors import GradcError
from gradc.ir.aval import SymbolicDim, short_dtype
from gradc.ir.graph import CONSTANT, Graph, Node, Origin

HEADER: Final = "gir 1"
_BARE_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*(?!\w)")
_WORDS = frozenset({"at", "cotangent", "inf", "nan"})
_MOST_ELEMENTS_SHOWN = 64
_INTS: Final = {int}


def print_graph(graph: Graph, arrays: Callable[[np.ndarray], str] | None = None) -> str:
    """The text of a graph; two graphs are the same exactly where their texts are.

    ``arrays`` writes the elements of constants otherwise than ``array_text``, which reads back.
    """
    primals: dict[int, list[int]] = {}
    for primal, ct in graph.cotangents.items():
        primals.setdefault(ct, []).append(primal)
    lines = (_line(graph, node, primals.get(node.id, []), arrays or array_text) for node in graph.nodes)
    return "\n".join([HEADER, *lines, _returned(graph), ""])


def print_node(graph: Graph, node: Node) -> str:
    """The line of one node, with the user's name and lines."""
    return _line(graph, node, [primal for primal, ct in graph.cotangents.items() if ct == node.id], array_text)


def _line(graph: Graph, node: Node, primals: list[int], arrays: Callable[[np.ndarray], str]) -> str:
    words = [f"%{node.id} = {node.op.name}", *(f"%{i}" for i in node.operands)]
    if node.op is CONSTANT:
        words.append(arrays(node.params["value"]))
    words += [f"{key}={param_text(value)}" for key, value in node.params.items() if not _is_implied(node, key)]
    notes = " ".join(_notes(graph, node.id, primals))
    return f"{' '.join(words)} : {node.aval}" + (f"  # {notes}" if notes else "")


def _is_implied(node: Node, key: str) -> bool:
    """The parts of a constant and an input that their aval says."""
    return key in ("value", "weak") if node.op is CONSTANT else node.op.name == "input" and key == "aval"


def _returned(graph: Graph) -> str:
    listed = (f"%{i} as {_quoted(name)}" for i, name in zip(graph.outputs, graph.output_names, strict=True))
    return " ".join(["return", ", ".join(listed)]).rstrip()


def _notes(graph: Graph, node_id: int, primals: list[int]) -> Iterator[str]:
    name = graph.names.get(node_id)
    if name is not None:
        yield name if _BARE_NAME.fullmatch(name) and name not in _WORDS else _quoted(name)
    if primals:
        yield f"cotangent of {', '.join(f'%{p}' for p in sorted(primals))}"
    origins = graph.origins.get(node_id, ())
    if origins:
        yield "at " + ", ".join(_origin_text(o) for o in origins)


def _origin_text(origin: Origin) -> str:
    plain = re.fullmatch(r"[A-Za-z0-9_./\\-]+", origin.file)
    return f"{origin.file if plain else _quoted(origin.file)}:{origin.line} {_quoted(origin.text)}"


def _quoted(text: str) -> str:
    return json.dumps(text)


def param_text(value: Any) -> str:
    """A parameter of a node. Raises GradcError for one that has no text."""
    if isinstance(value, (bool, np.bool_)) or value is None:
        return str(value)
    if type(value) is tuple and {*map(type, value)} <= _INTS:
        return repr(value)
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, float):
        return number_text(np.float64(value))
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, np.dtype):
        return short_dtype(value)
    if isinstance(value, SymbolicDim):
        return f"{{{value}}}"
    if isinstance(value, Graph):  # of a scan, whose text is a key and is not read back
        return _quoted(print_graph(value))
    if isinstance(value, tuple):
        return f"({', '.join(map(param_text, value))}{',' if len(value) == 1 else ''})"
    raise GradcError(f"a parameter of type {type(value).__name__} has no text")


# Numbers and arrays


def array_text(array: np.ndarray) -> str:
    """The elements of an array: nested lists where it is small, base64 of its bytes where it is large."""
    if array.size > _MOST_ELEMENTS_SHOWN:
        raw = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        return f'base64 "{base64.b64encode(raw).decode()}"'
    if array.ndim == 0:
        return number_text(array[()])
    return f"[{', '.join(map(array_text, array))}]" if array.ndim > 1 else f"[{', '.join(map(number_text, array))}]"


def number_text(number: Any) -> str:
    """A NumPy scalar with all its bits."""
    kind = number.dtype.kind
    if kind == "c":
        return f"({number_text(number.real)}, {number_text(number.imag)})"
    if kind != "f":
        return str(number)
    if np.isnan(number) and number.tobytes() != type(number)(np.nan).tobytes():
        bits = number.view(f"u{number.dtype.itemsize}")
        return f"nan:{int(bits):#x}"
    return str(number)
