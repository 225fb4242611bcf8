"""Machine code kept on disk between processes, in the directory of the knob ``GRADC_CACHE_DIR``.

The key tells the finished graph (its text, with the user's names and lines, which stand in messages), the options, the
machine, and what made the code (``gradc.backends.llvm.stamp``): with the same key the same code would be made. So a hit
skips lowering, emission, LLVM's passes and code generation. An entry is the object file behind a head in JSON, plain
data: the buffers of the call, the messages of checks, the size of the arena. Large constants are linked by their
symbols and come from the graph, so they are not on disk. What is under a key was written whole by this user
(``gradc.backends.llvm.store``).
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from gradc import config
from gradc.backends.llvm.jit import Entry, load, load_object, object_code
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.stamp import stamp
from gradc.backends.llvm.store import store
from gradc.backends.llvm.symbols import EMBEDDED, linked_constants
from gradc.errors import CompileError
from gradc.ir.aval import Dim
from gradc.ir.graph import CONSTANT, Graph
from gradc.ir.text import array_text, print_graph
from gradc.loops.lexer import Lexer
from gradc.loops.program import Buffer, Kind, LoopProgram
from gradc.ops.control import scan

_HEAD: Final = struct.Struct("<Q")
_MOST_WRITTEN: Final = 64


def load_cached(graph: Graph, options: str, make: Callable[[], tuple[str, LoopProgram]]) -> Entry:
    """The entry of a graph: from the cache, or compiled from the IR and the program that ``make`` gives, and kept.

    ``options`` tells all that the program depends on besides the graph. Raises CompileError where others than this user
    may write into the cache.
    """
    directory = config.cache_dir.value
    if directory and os.name != "posix":
        raise CompileError("GRADC_CACHE_DIR needs the file permissions of a POSIX system; unset it")
    made_by = stamp() if directory else None
    if made_by is None:
        return load(*make())
    kept = store(os.path.abspath(directory))
    key = key_of(graph, options, made_by)
    content = kept.get(key)
    if content is not None:
        program, code = unpacked(content, graph)
        try:
            return load_object(code, program)
        except RuntimeError:  # LLVM's: this process lacks a function that the one which wrote the entry had
            kept.discard(key)
    ir, program = make()
    code = object_code(ir)
    content = packed(program, code, graph)
    if content is not None:
        kept.put(key, content)
    return load_object(code, program)


def key_of(graph: Graph, options: str, made_by: dict[str, str]) -> str:
    """What stands for the machine code of a graph: 64 hexadecimal digits."""
    parts = {"graph": print_graph(graph, _elements), "options": options, "target": repr(host()), "by": made_by}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def packed(program: LoopProgram, code: bytes, graph: Graph) -> bytes | None:
    """The content of an entry; None for a program with a large constant that is none of the graph's."""
    large = ((place, value) for place, value in enumerate(_constants(graph)) if value.nbytes > EMBEDDED)
    places = {_bytes_digest(value): place for place, value in large}
    constants = []
    for buffer in linked_constants(program):
        place = places.get(hashlib.sha256(buffer.data).digest())
        if place is None:
            return None
        constants.append([*_described(buffer), place])
    head = {
        "name": program.name,
        "inputs": [_described(buffer) for buffer in program.inputs],
        "outputs": [_described(buffer) for buffer in program.outputs],
        "places": [buffer.place for buffer in program.outputs],
        "constants": constants,
        "messages": program.messages,
        "arena_bytes": str(program.arena_bytes),
    }
    text = json.dumps(head).encode()
    return _HEAD.pack(len(text)) + text + code


def unpacked(content: bytes, graph: Graph) -> tuple[LoopProgram, bytes]:
    """The program, without a body, and the object file of an entry of this graph."""
    start = _HEAD.size + _HEAD.unpack_from(content)[0]
    head = json.loads(content[_HEAD.size : start])
    outputs = zip(head["outputs"], head["places"], strict=True)
    buffers = [_buffer("input", *b) for b in head["inputs"]]
    buffers += [replace(_buffer("output", *b), place=place) for b, place in outputs]
    values = _constants(graph) if head["constants"] else []
    for name, dtype, shape, place in head["constants"]:
        data = values[place].tobytes()
        buffers.append(_buffer("constant", name, dtype, shape, data))
    program = LoopProgram(
        head["name"], tuple(buffers), (), messages=tuple(head["messages"]), arena_bytes=_dim(head["arena_bytes"])
    )
    return program, content[start:]


def _described(buffer: Buffer) -> list[Any]:
    return [buffer.name, buffer.dtype.str, [str(length) for length in buffer.shape]]


def _buffer(kind: Kind, name: str, dtype: str, shape: list[str], data: bytes = b"") -> Buffer:
    return Buffer(name, np.dtype(dtype), tuple([_dim(length) for length in shape]), kind, data=data)


def _dim(text: str) -> Dim:
    return Lexer(text, "a size on disk").dim()


def _constants(graph: Graph) -> list[np.ndarray]:
    """The constants of a graph and of the steps of its scans, in order."""
    values: list[np.ndarray] = []
    for node in graph.nodes:
        if node.op is CONSTANT:
            values.append(node.params["value"])
        elif node.op is scan:
            values += _constants(node.params["body"])
    return values


def _elements(array: np.ndarray) -> str:
    """The elements of a constant in a key: a large array by its digest."""
    if array.size <= _MOST_WRITTEN:
        return array_text(array)
    return f"{array.dtype.str} {_bytes_digest(array).hex()}"


def _bytes_digest(array: np.ndarray) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).digest()
