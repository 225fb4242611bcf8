"""From IR text to a callable, through LLJIT."""

from __future__ import annotations

import ctypes
import itertools
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Final

import numpy as np

from gradc.backends.llvm.dims import COUNTABLE
from gradc.backends.llvm.divide import divide
from gradc.backends.llvm.machine import host, parse, target_machine, tidy
from gradc.backends.llvm.status import failure
from gradc.backends.llvm.symbols import constant_symbol, kernel_symbol, linked_constants
from gradc.backends.llvm.threads.text import PARALLEL
from gradc.backends.sizes import read_sizes
from gradc.errors import ArgumentError, ShapeError
from gradc.ir.aval import Dim, aval_of, dim_value
from gradc.ir.target import Target
from gradc.loops.language.program import ALIGNMENT, LoopProgram

_COUNT = itertools.count()

MEMORY: Final = 64 * 2**20
"""Bytes that have to be free before LLVM is called."""

MEMORY_OF_TEXT: Final = 64
"""Bytes more for each of the IR."""


class Entry:
    """A loaded kernel: C-contiguous aligned arrays in, new arrays out. Calls may run side by side.

    A result in place of an input is that very array, written.

    Raises ArgumentError for arrays that do not fit the program's inputs, IndexBoundsError or MatrixError where a check
    on data fails.
    """

    def __init__(
        self, program: LoopProgram, library: Any, constants: Sequence[bytes], *, uses_threads: bool = False
    ) -> None:
        self._program = program
        self.uses_threads = uses_threads
        """Whether loops of it run on several threads."""
        # The code goes with an array, which the collector does not track: what it tracks is finalized while others of a
        # dying cycle may still call.
        self._token = np.empty(0)
        weakref.finalize(self._token, list.clear, [library, constants]).atexit = False
        self._inputs = [(b.name, b.aval) for b in program.inputs]
        self._outputs = [(b.shape, b.dtype) for b in program.outputs]
        names = [b.name for b in program.inputs]
        self.places = {k: names.index(b.place) for k, b in enumerate(program.outputs) if b.place}
        """Results that take the memory of an input, by number: the number of the input."""
        self._symbols = program.symbols
        self.arena_bytes = program.arena_bytes
        """The scratch memory that a call needs."""
        self.work: Dim = 0
        """Operations and bytes of a call."""
        self._arenas: list[tuple[np.ndarray, int]] = []
        pointers = len(self._inputs) + len(self._outputs) + 1
        self.address: int = library[kernel_symbol(program)]
        """Where the kernel's machine code stands."""
        sizes = [ctypes.c_int64] * len(self._symbols)
        signature = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * pointers, *sizes)
        self._call = signature(self.address)

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the kernel; the results are new arrays, but those in place of an input."""
        status, outputs = self.run(inputs)
        if status:
            raise failure(status, self._program.messages)
        return outputs

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[int, list[np.ndarray]]:
        """Run the kernel; its status (``gradc.backends.llvm.status``), and the results, complete where that is 0."""
        if len(inputs) != len(self._inputs):
            raise ArgumentError(f"{self._program.name} takes {len(self._inputs)} arrays, got {len(inputs)}")
        for array, (name, aval) in zip(inputs, self._inputs, strict=True):
            flags = array.flags
            fits = array.shape == aval.shape or aval.is_symbolic
            if not fits or array.dtype != aval.dtype or not (flags.c_contiguous and flags.aligned):
                layout = "" if flags.c_contiguous and flags.aligned else ", not contiguous and aligned"
                raise ArgumentError(f"{name}: expected {aval}, got {aval_of(array)}{layout}")
        sizes = self._sizes(inputs)
        if sizes:
            self._require_countable(sizes)
        outputs = [
            inputs[self.places[k]] if k in self.places else np.empty([dim_value(dim, sizes) for dim in shape], dtype)
            for k, (shape, dtype) in enumerate(self._outputs)
        ]
        arena = self._arena(dim_value(self.arena_bytes, sizes))
        pointers = [*[a.ctypes.data for a in inputs], *[a.ctypes.data for a in outputs], arena[1]]
        try:
            status = self._call(*pointers, *[sizes[symbol] for symbol in self._symbols])
        finally:
            self._arenas.append(arena)
        return status, outputs

    def _sizes(self, inputs: Sequence[np.ndarray]) -> dict[str, int]:
        """The symbolic sizes, read off the inputs."""
        if not self._symbols:
            return {}
        names, avals = zip(*self._inputs, strict=True)
        return read_sizes(names, avals, [array.shape for array in inputs])

    def _require_countable(self, sizes: dict[str, int]) -> None:
        """Raise ShapeError where the kernel's own arithmetic of sizes would overflow."""
        steps, memory = dim_value(self.work, sizes), dim_value(self.arena_bytes, sizes)
        if max(steps, memory) >= COUNTABLE:
            given = ", ".join(f"{symbol} = {number}" for symbol, number in sorted(sizes.items()))
            raise ShapeError(
                f"{self._program.name}: a call with {given} takes {steps:.1e} steps and {memory:.1e} bytes of scratch "
                "memory, more than can be counted; call it on smaller arrays"
            )

    def _arena(self, size: int) -> tuple[np.ndarray, int]:
        """A block of scratch memory, and the aligned address in it. A call has one to itself while it runs."""
        with suppress(IndexError):
            idle = self._arenas.pop()
            if idle[0].size >= size + ALIGNMENT:
                return idle
        block = np.empty(size + ALIGNMENT, np.uint8)
        return block, -(-block.ctypes.data // ALIGNMENT) * ALIGNMENT


def load(ir: str, program: LoopProgram) -> Entry:
    """Compile IR that ``emit`` made from ``program`` into this process. The code lives as long as the entry."""
    return load_object(object_code(ir), program)


def object_code(ir: str, target: Target | None = None, *, passes: bool = True, quick: bool = False) -> bytes:
    """The object file of a module, for this machine unless told otherwise. It holds no address of this process.

    ``passes`` is whether LLVM's run first, ``quick`` whether making the code shall take a fifth of the time.
    """
    target = target or host()
    _require_memory(MEMORY + MEMORY_OF_TEXT * len(ir))
    module = _finished(ir, target) if passes else parse(ir, target)
    return bytes(target_machine(target, quick=quick).emit_object(module))


def load_object(code: bytes, program: LoopProgram) -> Entry:
    """Link the object file of a program into this process. Raises RuntimeError where a symbol is missing.

    Of the program, the buffers of inputs, outputs and constants count, the messages, and the size of the arena.
    """
    constants = linked_constants(program)
    addresses = {constant_symbol(program, b): np.frombuffer(b.data, np.uint8).ctypes.data for b in constants}
    uses_threads = PARALLEL.encode() in code
    if uses_threads:
        from gradc.backends.llvm.threads.pool import pool

        addresses |= pool().addresses
    library = link(code, addresses, [kernel_symbol(program)], program.name)
    return Entry(program, library, [buffer.data for buffer in constants], uses_threads=uses_threads)


def link(code: bytes, addresses: Mapping[str, int], exports: Sequence[str], label: str) -> Any:
    """Link an object file into this process; ``addresses`` are of its external symbols.

    Gives the library: exported symbols to addresses, and the code for as long as the library lives.
    """
    import llvmlite.binding as binding

    _require_memory(MEMORY)
    builder = binding.JITLibraryBuilder().add_object_img(code).add_current_process()
    for symbol, address in addresses.items():
        builder.import_symbol(symbol, address)
    for symbol in exports:
        builder.export_symbol(symbol)
    return builder.link(_lljit(), f"gradc.{next(_COUNT)}.{label}")


def _require_memory(size: int) -> None:
    """Ask for a block, untouched and given back at once. Raises MemoryError, where LLVM would end the process."""
    try:
        np.empty(size, np.uint8)
    except MemoryError:
        raise MemoryError(f"compiling takes some {size >> 20} MiB of memory, which this process does not get") from None


def optimised_ir(ir: str, target: Target) -> str:
    """The module that machine code is made from, as text: after LLVM's passes, where they are run."""
    return str(_finished(ir, target))


def assembly(ir: str, target: Target) -> str:
    """The machine code of a module, as text."""
    return str(target_machine(target).emit_assembly(_finished(ir, target)))


def _finished(ir: str, target: Target) -> Any:
    """A fresh module (emitting machine code changes it). Straight-line code is emitted as good as passes make it."""
    if " = phi " not in ir and " = alloca " not in ir:
        return parse(ir, target)
    rest, written, shared = divide(ir)
    module = parse(rest, target)
    tidy(module, target)
    if written:
        other = parse(written, target)
        tidy(other, target)
        module.link_in(other)
        for name in shared:
            module.get_function(name).linkage = "internal"
    return module


@cache
def _lljit() -> Any:
    import llvmlite.binding as binding

    return binding.create_lljit_compiler(target_machine(host()))
