"""Kernel: a function compiled for one signature, callable, with everything to inspect it."""

from __future__ import annotations

import inspect
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradc.backends.llvm.entry.callee import Callee, Source
from gradc.compiler import Compiled, Cost
from gradc.errors import ArgumentError, CompileError
from gradc.frontend.binding import Binder
from gradc.frontend.donation import donated_arrays
from gradc.frontend.given import Given, given_results
from gradc.frontend.layout import Call, as_input
from gradc.frontend.tracing import Trace
from gradc.frontend.tree import TreeDef, tuple_of
from gradc.frontend.written import written_of
from gradc.ir.graph import Graph
from gradc.ir.signature import Leaf, Signature, Static
from gradc.ops import regions
from gradc.passes.release import without_checkpoints
from gradc.request import Format

if TYPE_CHECKING:
    from gradc.backends.llvm.entry.load import NativeEntry
    from gradc.inspect.derivation import Derivation

NOT_GIVEN: Final = object()
"""What stands for ``out`` in a call that has none."""

_KEPT_ENTRIES: Final = 8
"""Entries that a kernel keeps: one for calls without ``out``, and for ways to nest it."""


class Kernel(Callee, native=True):
    """A function compiled for one signature; callable, with everything to inspect it.

    Arguments have the dtypes and shapes it was compiled for; ``ArgumentError`` names the one that has not. As with a
    Function, ``out=`` takes arrays for the results.
    """

    def __init__(
        self,
        compiled: Compiled,
        call: Call,
        slots: Sequence[Leaf | Static],
        outputs: TreeDef,
        source: Trace,
        *,
        fills_defaults: bool = True,
        out: str = "out",
    ) -> None:
        self._compiled = compiled
        self._call = call
        self._slots = tuple(slots)
        self._outputs = outputs
        self._source = source
        self._bind = Binder(call.signature, compiled.request.name, defaults=fills_defaults)
        self._out = out
        self._entries: OrderedDict[TreeDef | None, NativeEntry | None] = OrderedDict()
        self.__name__ = compiled.request.name
        self.__signature__ = call.signature
        self._runs = 0

    @property
    def name(self) -> str:
        """The name of the generated function."""
        return self._compiled.request.name

    @property
    def signature(self) -> Signature:
        """How the kernel is called, as plain data."""
        return self._compiled.signature

    @property
    def graph(self) -> Graph:
        """The graph that runs: differentiated and simplified."""
        return self._compiled.final

    @property
    def trace(self) -> Graph:
        """The graph of the function as written."""
        return self._compiled.trace

    @property
    def derivation(self) -> Graph:
        """The graph of the derivative exactly as written, nothing simplified."""
        return self._compiled.derivation

    @property
    def cost(self) -> Cost:
        """Flops, bytes of arguments and results, bytes of scratch memory."""
        return self._compiled.cost

    @property
    def numpy_source(self) -> str:
        """The standalone NumPy module, as ``save`` writes it."""
        return self._compiled.numpy_source

    @property
    def loops(self) -> str:
        """The loop program as text."""
        return str(self._compiled.program)

    @property
    def llvm_ir(self) -> str:
        """The LLVM IR as emitted."""
        return self._compiled.llvm_ir

    @property
    def assembly(self) -> str:
        """The assembly of this machine."""
        return self._compiled.assembly

    @property
    def c_source(self) -> str:
        """The C source for this machine, as ``save`` writes it with ``format="c"``."""
        from gradc.artifacts.source import c_source

        return c_source(self._compiled, name=self.name)

    def explain(self, *, at: Sequence[Any] | Mapping[str, Any] | None = None) -> Derivation:
        """The derivation of the function as written; ``print`` it, or take ``.text()``, ``.latex()``, ``.json()``.

        ``at`` are values of the arguments, in order or by name, to fill in numbers.
        """
        from gradc.inspect.explain import explain

        traced = self._source.graph
        written = without_checkpoints(traced)
        values: dict[str, Any] | None = None
        if at is not None:
            if not isinstance(at, (Mapping, Sequence)):
                raise ArgumentError(f"at={at!r} is neither the arguments in order nor a dict of them by name")
            call = self._bind((), dict(at)) if isinstance(at, Mapping) else self._bind(tuple(at), {})
            values = dict(zip(self.graph.input_names, self.inputs(call), strict=True))
            values |= {written.input_names[position]: number for position, number in self._source.guards.items()}
        wrt = [self.trace.input_names[i] for i in self._compiled.request.wrt]
        return explain(
            written,
            function=self.signature.function,
            wrt=wrt or None,
            calls=self._source.calls if written is traced else (),
            inner_names=self._source.inner_names if written is traced else {},
            at=values,
            final=self.graph,
        )

    def report(self, *, written: Sequence[tuple[str, int, str]] = ()) -> str:
        """One HTML page with all of the above, side by side, lines linked by the user's line that they come from.

        ``written`` are the lines of the function to show: file as shown, number, text; by default those that the trace
        met. Complex numbers have no derivation; the page says so.
        """
        from gradc.inspect.report import forms_of, report

        return report(forms_of(self), written)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        format: Format = "py",
        style: str | None = None,
        selftest: bool | None = None,
        name: str | None = None,
        target: str | None = None,
        cpu: str | None = None,
        abi: str | None = None,
        bindings: Sequence[str] | None = None,
    ) -> None:
        """Write the kernel to ``path``, for use without gradc.

        ``format="py"`` is a standalone module that needs NumPy alone; with ``style="fast"`` it computes into arrays
        that it needs no more, with ``out=``: less memory, and a line for each operation. Sums may round otherwise then,
        for NumPy adds up in the order in which arrays lie. With ``selftest=True``, ``python -m`` and the module's name
        calls it with inputs that it makes, and compares with what comes of them here.

        ``format="lib"`` is a C library in the directory ``path``: header, object, static and shared library, manifest
        (docs/embedding.md); ``"c"`` is one file of C99 with that header (docs/c-source.md), ``"ir"`` LLVM IR of the
        same function, ``"wasm"`` a WebAssembly module. ``name`` is its symbol and the stem of its files, by default the
        kernel's; ``target`` and ``cpu`` are the machine that it is for, this one by default; ``abi="casadi"`` gives a
        library CasADi's calling convention, ``bindings=("python",)`` a module that calls it (docs/bindings.md).

        Files appear whole or not at all, the same byte for byte every time. Raises ArgumentError for a name that C
        could not have and for a machine or a choice that is not known, CompileError where that machine cannot run the
        kernel or where there is no linker, PathError (an OSError) where the file or the directory cannot be written.
        """
        from gradc.artifacts.save import save

        choices = {
            "style": style, "selftest": selftest, "name": name, "target": target, "cpu": cpu, "abi": abi,
            "bindings": bindings,
        }  # fmt: skip
        save(self._compiled, path, format, self.name, choices)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        out = kwargs.pop(self._out, NOT_GIVEN)
        call = self._bind(args, kwargs)
        if call.trees != self._call.trees:
            raise ArgumentError(f"{self.name}: the arguments are nested otherwise than those it was compiled for")
        return self.answer(call, self, (), out)

    def answer(self, call: Call, callee: Callee, sources: Sequence[Source] = (), out: Any = NOT_GIVEN) -> Any:
        """The result of a call of ``callee``, whose next calls the kernel's entry answers while ``sources`` hold."""
        given = None if out is NOT_GIVEN else given_results(out, self._outputs, self._out)
        donated = self._donated(call)
        if donated and given is not None and given.places:
            raise ArgumentError(
                f"{self.name}: results go into donated arguments, and {self._out}= says where they go too; leave it out"
            )
        result = self.run(self.inputs(call), given, donated)
        if self._runs > 1:
            callee.add_entry(self._entry(given), sources)
        return result

    @property
    def entry(self) -> NativeEntry | None:
        """The machine code that answers calls without Python in between, made when the kernel runs a second time.

        None before, and where there is none: other backends, other interpreters, dataclasses and other containers than
        dicts, lists, tuples and named tuples.
        """
        return self._entry(None) if self._runs > 1 else None

    def _entry(self, given: Given | None) -> NativeEntry | None:
        """The entry for calls without ``out``, or with one of this structure."""
        key = None if given is None else given.structure
        try:
            return self._entries[key]
        except KeyError:
            pass
        made = None
        if self._compiled.request.backend == "llvm":
            made = make_entry(self._compiled, self._call, self._slots, self._outputs, given)
        self._entries[key] = made
        while len(self._entries) > _KEPT_ENTRIES:
            self._entries.popitem(last=False)
        return made

    @property
    def uses_threads(self) -> bool:
        """Whether it has loops that run on several threads. It is compiled for that."""
        return getattr(self._compiled.entry, "uses_threads", False)

    def inputs(self, call: Call) -> list[np.ndarray]:
        """The arrays for the entry, every argument checked."""
        sizes: dict[str, int] = {}
        avals = self._compiled.input_avals
        inputs = []
        for position, (leaf, slot, own) in enumerate(zip(call.leaves, self._slots, self._call.leaves, strict=True)):
            if isinstance(slot, Leaf):
                aval = avals[slot.index]
                if type(leaf) is np.ndarray and leaf.dtype == aval.dtype and leaf.shape == aval.shape:
                    inputs.append(leaf if _is_ready(leaf) else leaf.copy("C"))
                elif type(leaf) is float and aval.weak and aval.dtype == np.float64:
                    inputs.append(np.array(leaf))
                else:
                    inputs.append(as_input(leaf, aval, call.paths[position], sizes))
            elif type(leaf) is not type(own) or leaf != own:
                path = call.paths[position]
                raise ArgumentError(f"argument {path} is {leaf!r} and the kernel is compiled for {own!r}")
        return inputs

    def _donated(self, call: Call) -> dict[int, np.ndarray]:
        """The arrays of a call that results are written into, by number of the result, every one checked."""
        pairs = self._compiled.request.donate
        return donated_arrays(call, self._slots, dict(pairs), self.name) if pairs else {}

    def run(
        self, inputs: Sequence[np.ndarray], given: Given | None = None, donated: Mapping[int, np.ndarray] | None = None
    ) -> Any:
        """Call the entry with checked inputs and put the results together, those of ``given`` in its arrays.

        Results for which an argument is ``donated`` are that argument.
        """
        results = self._compiled.entry(inputs)
        self._runs += 1
        for position, array in (donated or {}).items():
            if results[position] is not array:
                np.copyto(array, results[position])
        if donated:
            leaves = [donated.get(k, r if r.ndim else r[()]) for k, r in enumerate(results)]
            return self._outputs.unflatten(leaves[: self._outputs.num_leaves])
        if given is None:
            return self._outputs.unflatten([r if r.ndim else r[()] for r in results])
        filled = given.fill(results)
        if given.is_whole:
            return given.value
        new = [array is None for array, _ in given.arrays]
        return self._outputs.unflatten([r[()] if own and not r.ndim else r for r, own in zip(filled, new, strict=True)])

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process makes the kernel of: its record and the text of its trace, and how it is called.

        Raises CompileError for a kernel with values compiled in, or rules of its functions, that no text stands for.
        """
        from gradc.artifacts.record import record_of
        from gradc.ir.text import print_graph

        compiled = self._compiled
        trace = without_checkpoints(compiled.trace)
        ruled = next((node.params["name"] for node in trace.nodes if node.op is regions.call), None)
        if ruled is not None:
            raise CompileError(
                f"{self.name}: {ruled} has a derivative of its own, which a pickle does not keep; "
                "save the kernel as a module, or pickle what it is compiled of"
            )
        call = (self._call.signature.replace(return_annotation=inspect.Signature.empty), *self._abstract_call())
        settings = (compiled.request.backend, compiled.request.threads, self._bind.defaults, self._out)
        return _unpickled, (record_of(compiled), print_graph(trace), call, self._outputs, settings)

    def _abstract_call(self) -> tuple[Any, ...]:
        """Structure, leaves and slots of the call, with abstract values for arrays."""
        avals = self._compiled.input_avals
        leaves = zip(self._call.leaves, self._slots, strict=True)
        return (
            self._call.trees,
            tuple([avals[slot.index] if isinstance(slot, Leaf) else leaf for leaf, slot in leaves]),
            self._slots,
        )

    def __repr__(self) -> str:
        avals = ", ".join(map(str, self._compiled.input_avals))
        return f"<gradc.Kernel {self.name}({avals}) on {self._compiled.request.backend}>"


def of_compiled(
    compiled: Compiled,
    call: Call,
    slots: Sequence[Leaf | Static],
    outputs: TreeDef,
    *,
    fills: bool = True,
    out: str = "out",
) -> Kernel:
    """The kernel of a compilation whose function is not at hand: names that helpers gave are not known any more."""
    trace = compiled.trace
    trees = tuple_of(*[tree for _, tree in call.trees])
    source = Trace(written_of(trace), trees, outputs, trace.input_names, {}, (), ())
    return Kernel(compiled, call, slots, outputs, source, fills_defaults=fills, out=out)


def _unpickled(record: Any, text: str, called: tuple[Any, ...], outputs: TreeDef, settings: tuple[Any, ...]) -> Kernel:
    from gradc.artifacts.record import compiled_from

    signature, trees, leaves, slots = called
    backend, threads, fills, out = settings
    compiled = compiled_from(record, text, backend=backend, threads=threads)
    return of_compiled(compiled, Call(signature, trees, leaves), slots, outputs, fills=fills, out=out)


def _is_ready(array: np.ndarray) -> bool:
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def make_entry(
    compiled: Compiled, call: Call, slots: Sequence[Leaf | Static], outputs: TreeDef, given: Given | None = None
) -> NativeEntry | None:
    """The native entry of a kernel of the LLVM backend for calls of this kind, None where there is none.

    It is for calls without ``out``, or with one nested as ``given`` is.
    """
    from gradc.backends.llvm.entry.load import native_entry
    from gradc.backends.llvm.entry.plan import plan_call
    from gradc.backends.llvm.jit import Entry
    from gradc.backends.llvm.storage import StoredEntry

    entry = compiled.entry
    if isinstance(entry, StoredEntry):
        entry = entry.inner
    if not isinstance(entry, Entry) or len(entry.places) != len(compiled.request.donate):
        return None
    flops, traffic = compiled.work
    plan = plan_call(
        call, slots, compiled.input_avals, outputs, compiled.output_avals,
        name=compiled.request.name, arena=entry.arena_bytes, work=flops + traffic, given=given, donated=entry.places,
    )  # fmt: skip
    return None if plan is None else native_entry(entry, plan)
