"""Machine code kept on disk between processes, in the directory of the knob ``GRADC_CACHE_DIR``.

The key tells the trace (with the user's names and lines, which stand in messages), the options, the machine, and what
made the code (``gradc.backends.llvm.stamp``): with the same key the same code would be made. So a hit skips all that
follows a trace: differentiation, laws, lowering, emission, LLVM's passes and code generation. An entry is the object
file behind a head in JSON, plain data: what the kernel takes and gives, its work, the messages of checks, the size of
the arena. Large constants are linked by their symbols; those that stand in the trace come from there, others stand
between head and object file. What is under a key was written whole by this user (``gradc.backends.llvm.store``).
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from gradc import config
from gradc.backends.llvm.jit import Entry, load, load_object, object_code
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.stamp import stamp
from gradc.backends.llvm.store import Store, store
from gradc.backends.llvm.symbols import EMBEDDED, linked_constants
from gradc.errors import CompileError
from gradc.ir.aval import Aval, Dim
from gradc.ir.draft import Draft
from gradc.ir.graph import CONSTANT, Graph
from gradc.loops.language.lexer import Lexer
from gradc.loops.language.program import Buffer, Kind, LoopProgram

_HEAD: Final = struct.Struct("<Q")


@dataclass(frozen=True)
class Facts:
    """What is known of a kernel besides its code: what it takes and gives, and its flops and bytes."""

    inputs: tuple[Aval, ...]
    outputs: tuple[Aval, ...]
    work: tuple[Dim, Dim]


@dataclass(frozen=True)
class Hit:
    """A kernel that was on disk, loaded."""

    entry: Entry
    facts: Facts


@dataclass(frozen=True, eq=False)
class Place:
    """Where the machine code of a trace stands on disk, or will."""

    store: Store
    key: str
    source: Draft

    def find(self) -> Hit | None:
        """The kernel, where it is there and links into this process."""
        content = self.store.get(self.key)
        if content is None:
            return None
        program, facts, code = unpacked(content, self.source)
        try:
            return Hit(load_object(code, program), facts)
        except RuntimeError:  # LLVM's: this process lacks a function that the one which wrote the entry had
            self.store.discard(self.key)
            return None

    def keep(self, program: LoopProgram, facts: Facts, code: bytes) -> None:
        """Put a kernel there for the next process."""
        self.store.put(self.key, packed(program, facts, code, self.source))


def place_of(source: Draft, options: str) -> Place | None:
    """Where the code of a trace is kept; None where it is not.

    ``options`` tells all that the code depends on besides the trace. Raises CompileError where the system has no
    permissions that keep others from writing there.
    """
    own = _own_store()
    made_by = None if own is None else stamp()
    return None if own is None or made_by is None else Place(own, key_of(source, options, made_by), source)


def kept_object(ir: str) -> bytes:
    """The object file of a module that LLVM's passes leave alone, kept on disk by the module's text.

    It is of CPython's and NumPy's objects, whose layout stands in the text: their versions are in the key besides.
    """
    own = _own_store()
    if own is None:
        return object_code(ir, passes=False)
    import llvmlite
    import llvmlite.binding as binding

    parts = {
        "module": ir, "target": repr(host()), "llvmlite": llvmlite.__version__, "llvm": binding.llvm_version_info,
        "python": sys.version, "numpy": np.__version__,
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    code = own.get(key)
    if code is None:
        code = object_code(ir, passes=False)
        own.put(key, code)
    return code


def _own_store() -> Store | None:
    """The store of the directory that is set; None where none is."""
    directory = config.cache_dir.value
    if not directory:
        return None
    if os.name != "posix":
        raise CompileError("GRADC_CACHE_DIR needs the file permissions of a POSIX system; unset it")
    try:
        path = os.path.abspath(directory)
    except OSError:  # The working directory is gone, and a relative one in it: the store says that it cannot be used.
        path = directory
    return store(path)


def compile_entry(place: Place | None, make: Callable[[], tuple[str, LoopProgram, Facts]]) -> Entry:
    """The entry of what ``make`` gives, the IR and the program of a kernel; from its place where it is there by now."""
    if place is None:
        return load(*make()[:2])
    hit = place.find()
    if hit is not None:
        return hit.entry
    ir, program, facts = make()
    code = object_code(ir)
    place.keep(program, facts, code)
    return load_object(code, program)


def key_of(source: Draft, options: str, made_by: dict[str, str]) -> str:
    """What stands for the machine code of a trace: 64 hexadecimal digits."""
    parts = {"trace": source.digest, "options": options, "target": repr(host()), "by": made_by}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def packed(program: LoopProgram, facts: Facts, code: bytes, source: Draft) -> bytes:
    """The content of an entry."""
    linked = linked_constants(program)
    large = _large(source.graph) if linked else []
    places = {_bytes_digest(value): place for place, value in enumerate(large)}
    constants, own = [], []
    for buffer in linked:
        place = places.get(hashlib.sha256(buffer.data).digest(), -1)
        constants.append([*_described(buffer), place])
        if place < 0:
            own.append(buffer.data)
    head = {
        "name": program.name,
        "inputs": [_described(buffer) for buffer in program.inputs],
        "outputs": [_described(buffer) for buffer in program.outputs],
        "places": [buffer.place for buffer in program.outputs],
        "constants": constants,
        "data": [len(data) for data in own],
        "messages": program.messages,
        "arena_bytes": str(program.arena_bytes),
        "takes": [_told(aval) for aval in facts.inputs],
        "gives": [_told(aval) for aval in facts.outputs],
        "work": [str(amount) for amount in facts.work],
    }
    text = json.dumps(head).encode()
    return b"".join([_HEAD.pack(len(text)), text, *own, code])


def unpacked(content: bytes, source: Draft) -> tuple[LoopProgram, Facts, bytes]:
    """The program, without a body, the facts and the object file of an entry of this trace."""
    at = _HEAD.size + _HEAD.unpack_from(content)[0]
    head = json.loads(content[_HEAD.size : at])
    outputs = zip(head["outputs"], head["places"], strict=True)
    buffers = [_buffer("input", *b) for b in head["inputs"]]
    buffers += [replace(_buffer("output", *b), place=place) for b, place in outputs]
    own = []
    for length in head["data"]:
        own.append(content[at : at + length])
        at += length
    large = _large(source.graph) if any(entry[-1] >= 0 for entry in head["constants"]) else []
    rest = iter(own)
    for name, dtype, shape, place in head["constants"]:
        data = next(rest) if place < 0 else large[place].tobytes()
        buffers.append(_buffer("constant", name, dtype, shape, data))
    program = LoopProgram(
        head["name"], tuple(buffers), (), messages=tuple(head["messages"]), arena_bytes=_dim(head["arena_bytes"])
    )
    flops, traffic = map(_dim, head["work"])
    return program, Facts(_avals(head["takes"]), _avals(head["gives"]), (flops, traffic)), content[at:]


def _told(aval: Aval) -> list[Any]:
    return [aval.dtype.str, [str(length) for length in aval.shape], aval.weak]


def _avals(told: Sequence[Any]) -> tuple[Aval, ...]:
    return tuple([Aval(tuple(map(_dim, shape)), np.dtype(dtype), weak) for dtype, shape, weak in told])


def _described(buffer: Buffer) -> list[Any]:
    return [buffer.name, buffer.dtype.str, [str(length) for length in buffer.shape]]


def _buffer(kind: Kind, name: str, dtype: str, shape: list[str], data: bytes = b"") -> Buffer:
    return Buffer(name, np.dtype(dtype), tuple([_dim(length) for length in shape]), kind, data=data)


def _dim(text: str) -> Dim:
    return int(text) if text.isdecimal() else Lexer(text, "a size on disk").dim()


def _large(trace: Graph) -> list[np.ndarray]:
    """The constants of a trace that may be linked."""
    constants = [node.params["value"] for node in trace.nodes if node.op is CONSTANT]
    return [value for value in constants if value.nbytes > EMBEDDED]


def _bytes_digest(array: np.ndarray) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).digest()
