"""What a compilation is known by: from a trace through its derivative to the texts and code of a backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from gradc import config
from gradc.derived import derive, derived, gathered
from gradc.errors import CompileError
from gradc.ir.aval import Aval, Dim
from gradc.ir.collector import without_collector
from gradc.ir.draft import Draft, draft_of
from gradc.ir.graph import CONSTANT, INPUT, Graph
from gradc.ir.signature import Signature
from gradc.passes.halves import widen_halves
from gradc.passes.roll import is_rolled
from gradc.passes.split_complex import split_complex
from gradc.request import Request
from gradc.transforms.derivative import differentiate

if TYPE_CHECKING:
    from gradc.backends.llvm.cache import Hit, Place
    from gradc.ir.target import Target
    from gradc.loops.language.program import Buffer, Call, Function, LoopProgram, Statement

Entry = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
"""A flat call: C-contiguous, aligned arrays in native byte order to new arrays."""


@dataclass(frozen=True)
class Cost:
    """What one call takes: floating-point operations, bytes of arguments and results, bytes of scratch memory."""

    flops: Dim
    bytes: Dim
    arena: Dim

    def __str__(self) -> str:
        return f"{self.flops} flops, {self.bytes} bytes of arguments and results, {self.arena} of scratch"


@dataclass(frozen=True)
class Compiled:
    """Everything known of one compilation. Text and machine code are made when asked for.

    ``source`` is the trace, a graph when asked for, ``runs`` the graph of the simplified derivative that the backend is
    given: ``final``, or for the LLVM backend one in which unrolled recurrences are loops again (``gradc.passes.roll``).
    Where the machine code was on disk (``hit``), it too is made when asked for. ``place`` is where the code is kept.
    """

    source: Draft
    signature: Signature
    request: Request
    place: Place | None = None
    hit: Hit | None = None

    @property
    def trace(self) -> Graph:
        """The function as written."""
        return self.source.graph

    @cached_property
    def runs(self) -> Graph:
        """The graph that the backend is given."""
        return derived(self.trace, self.request)

    @cached_property
    def final(self) -> Graph:
        """The simplified derivative as the function is written: every step of a recurrence, every write."""
        with without_collector():
            changed = is_rolled(self.runs) or gathered(self.trace, self.request) is not self.trace
            return derive(self.trace, self.request) if changed else self.runs

    @property
    def input_avals(self) -> tuple[Aval, ...]:
        """What the kernel takes."""
        return self.runs.input_avals if self.hit is None else self.hit.facts.inputs

    @property
    def output_avals(self) -> tuple[Aval, ...]:
        """What the kernel gives."""
        return self.runs.output_avals if self.hit is None else self.hit.facts.outputs

    @cached_property
    def loops_of(self) -> Graph:
        """The graph that becomes loops: what runs, its complex numbers as pairs of real ones, float16 in float32."""
        return widen_halves(split_complex(self.runs))

    @cached_property
    def derivation(self) -> Graph:
        """The derivative of the function exactly as written."""
        return differentiate(self.trace, self.request.derivative, self.request.wrt, primals=self.request.primals)

    @cached_property
    def numpy_source(self) -> str:
        """The standalone NumPy module, written to be read."""
        return self.module("readable")

    def module(self, style: str, *, selftest: bool = False) -> str:
        """The standalone NumPy module in one of the styles of ``gradc.backends.numpy``, and with a self-test."""
        from gradc.backends.numpy import render

        tests = self._selftest() if selftest else ()
        return render(self.final, self.signature, name=self.request.name, style=style, tests=tests)

    def _selftest(self) -> Sequence[str]:
        """What the module tests itself with: what it computes here of inputs that it can make anywhere."""
        from gradc.backends.abi import interface_of
        from gradc.backends.numpy.selftest import selftest
        from gradc.backends.recording import record

        graph, entry = self.final, _numpy_entry(self)
        names, avals = (*graph.input_names, *graph.output_names), (*graph.input_avals, *graph.output_avals)
        for name, aval in zip(names, avals, strict=True):
            if aval.dtype.kind == "c":
                raise CompileError(f"{name} is {aval}, and a self-test has no complex numbers; save it without one")

        def run(inputs: Sequence[np.ndarray]) -> tuple[int, list[np.ndarray]]:
            try:
                return 0, entry(inputs)
            except (IndexError, np.linalg.LinAlgError):
                return 1, []

        interface = interface_of(graph, self.signature, name="recorded", messages=(), workspace=0, flops=0)
        return selftest(graph, self.signature, self.request.name, record(interface, run))

    @cached_property
    def program(self) -> LoopProgram:
        """The loop program for this machine."""
        from gradc.backends.llvm.machine import host

        return self.lowered(host(), self._threads, donate=self.request.donate, repeats=True)

    def lowered(
        self,
        target: Target,
        threads: int = 1,
        *,
        donate: Sequence[tuple[int, int]] = (),
        repeats: bool = False,
        steps: bool = True,
    ) -> LoopProgram:
        """The loop program for a target, its arena with what the kernels of contractions want there as scratch.

        ``donate`` are positions of an input and of the output that takes its memory. With ``repeats``, nests that come
        again and again are internal functions; with ``steps``, contractions in steps of recurrences are computed as
        those of the kernel are.
        """
        from gradc.backends.llvm.matmul.functions import runs_epilogue
        from gradc.backends.llvm.matmul.shares import is_shared, scratch_elements
        from gradc.backends.llvm.parts import is_task
        from gradc.loops.language.traversal import buffers_in
        from gradc.loops.lowering.lower import lower
        from gradc.loops.shaping.arena import laid_out, on_stack
        from gradc.loops.shaping.attach import with_epilogues
        from gradc.loops.shaping.copies import without_copies
        from gradc.loops.shaping.divide import divide
        from gradc.loops.shaping.donate import in_place
        from gradc.loops.shaping.repeats import with_repeats
        from gradc.loops.shaping.scratch import reserve
        from gradc.loops.shaping.strips import in_strips

        def fused(program: LoopProgram) -> LoopProgram:
            return with_epilogues(program, lambda call: runs_epilogue(call, program.buffer, target))

        def needs(buffers: Mapping[str, Buffer], threads: int) -> Callable[[Call], int]:
            return lambda call: scratch_elements(call, buffers, target, threads)

        def inside(function: Function) -> Callable[[Call], int]:
            return needs(buffers_in(function, program), 1)

        name, doubles = self.request.name, target.doubles
        lowered = lower(self.loops_of, name=name, doubles=doubles, steps=fused if steps else None)
        program = divide(fused(in_strips(in_place(lowered, donate))))
        program = reserve(program, needs(program.buffer, threads), inside if steps else None)
        if not repeats:
            return without_copies(on_stack(laid_out(program)))

        def stays(statement: Statement) -> bool:
            return threads > 1 and (is_task(statement) or is_shared(statement, program, target, threads))

        return without_copies(on_stack(with_repeats(program, stays, laid_out)))

    @property
    def _threads(self) -> int:
        from gradc.backends.llvm.threads.pool import has_threads

        return self.request.threads if has_threads() else 1

    @cached_property
    def llvm_ir(self) -> str:
        """The LLVM IR of the kernel as emitted, for this machine."""
        from gradc.backends.llvm.emit import emit
        from gradc.backends.llvm.machine import host

        return emit(self.program, host(), threads=self._threads)

    @cached_property
    def assembly(self) -> str:
        """The machine's assembly."""
        from gradc.backends.llvm.jit import assembly
        from gradc.backends.llvm.machine import host

        return assembly(self.llvm_ir, host())

    @cached_property
    def entry(self) -> Entry:
        """The callable of the requested backend."""
        with without_collector():
            return _ENTRIES[self.request.backend](self)

    @cached_property
    def cost(self) -> Cost:
        """Flops and traffic counted on the graph, and the arena of the loop program; formulas of symbolic sizes."""
        return Cost(*self.work, self.program.arena_bytes)

    @cached_property
    def work(self) -> tuple[Dim, Dim]:
        """Flops, and bytes of arguments and results, counted on the graph."""
        if self.hit is not None:
            return self.hit.facts.work
        flops: Dim = 0
        for node in self.runs.nodes:
            if node.op not in (INPUT, CONSTANT):
                operands = [self.runs.nodes[i].aval for i in node.operands]
                flops = flops + node.op.cost(node.aval, *operands, **node.params).flops
        traffic: Dim = 0
        for aval in (*self.runs.input_avals, *self.runs.output_avals):
            traffic = traffic + aval.size * aval.dtype.itemsize
        return flops, traffic


def compile_trace(source: Draft, signature_of: Callable[[int], Signature], request: Request) -> Compiled:
    """Simplify, differentiate and simplify again, unless the machine code of it all is on disk.

    ``signature_of`` describes the call of a kernel with that number of results.
    """
    place, hit = _on_disk(source, request) if request.backend == "llvm" else (None, None)
    if hit is not None and not (config.dump.value or config.verify.value):
        inputs, outputs, runs = len(hit.facts.inputs), len(hit.facts.outputs), None
    else:
        runs = derived(source.graph, request)
        inputs, outputs = len(runs.inputs), len(runs.outputs)
    signature = signature_of(outputs)
    signature.check(inputs, outputs)
    compiled = Compiled(source, signature, request, place, hit)
    if runs is not None:
        vars(compiled)["runs"] = runs
    return compiled


def compiled_of(trace: Graph, runs: Graph, signature: Signature, request: Request) -> Compiled:
    """The record of a compilation that was made elsewhere."""
    compiled = Compiled(draft_of(trace), signature, request)
    vars(compiled)["runs"] = runs
    return compiled


def _on_disk(source: Draft, request: Request) -> tuple[Place | None, Hit | None]:
    """Where the machine code is kept, and what is there already."""
    if not config.cache_dir.value:
        return None, None
    from gradc.backends.llvm.cache import place_of

    place = place_of(source, f"{request!r}, roll={config.roll.value}")
    return place, None if place is None else place.find()


def _reference_entry(compiled: Compiled) -> Entry:
    from gradc.backends.reference import evaluate

    return lambda inputs: evaluate(compiled.runs, list(inputs))


def _debug_entry(compiled: Compiled) -> Entry:
    from gradc.backends.debug import evaluate

    return lambda inputs: evaluate(compiled.runs, list(inputs))


def _numpy_entry(compiled: Compiled) -> Entry:
    from gradc.backends.numpy import flat_entry

    return flat_entry(compiled.runs, name=compiled.request.name)


def _llvm_entry(compiled: Compiled) -> Entry:
    from gradc.backends.llvm.cache import Facts, compile_entry
    from gradc.backends.llvm.storage import as_stored, is_stored_otherwise

    def make() -> tuple[str, LoopProgram, Facts]:
        return compiled.llvm_ir, compiled.program, Facts(inputs, outputs, compiled.work)

    inputs, outputs = compiled.input_avals, compiled.output_avals
    entry = compile_entry(compiled.place, make) if compiled.hit is None else compiled.hit.entry
    if any(aval.is_symbolic for aval in inputs):
        flops, traffic = compiled.work
        entry.work = flops + traffic
    return as_stored(entry, outputs) if any(map(is_stored_otherwise, (*inputs, *outputs))) else entry


_ENTRIES: Final[dict[str, Callable[[Compiled], Entry]]] = {
    "reference": _reference_entry,
    "debug": _debug_entry,
    "numpy": _numpy_entry,
    "llvm": _llvm_entry,
}
