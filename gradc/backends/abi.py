"""How a kernel is called from C: the one place that says it, for the header, for libraries and for C source.

    NAME_status NAME(size_t batch, const double *w, const double *x, double *L, double *d_w, void *workspace)

Arguments stand in this order: symbolic sizes, inputs in the order of the user's arguments, results in the order of the
graph's outputs, workspace. A number as an argument is passed by value, a result and every array by pointer, row-major
without gaps. Where everything is a number, two structs take their place:

    NAME_status NAME(const NAME_in *in, NAME_out *out, void *workspace)

The status is 0, or the first that holds of: a pointer to an input is NULL that holds elements (1), or ``in`` or ``out``
is; the workspace is NULL or not aligned where one is needed (2); a check on the data failed (``Failure``). A result
whose pointer is NULL is not written. Results must not overlap inputs, each other or the workspace; but the result of a
donated input may stand in the very array of that input, which is then updated in place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from gradc.backends.c_names import Names, require_symbol
from gradc.backends.numpy.boundary import shown_path
from gradc.backends.numpy.documentation import result_labels
from gradc.errors import CompileError
from gradc.ir.aval import Aval, Dim, short_dtype
from gradc.ir.graph import Graph
from gradc.ir.signature import Branch, Key, Signature, Static, Tree
from gradc.loops.language.program import ALIGNMENT

ABI_VERSION: Final = 1
"""Counts changes of the calling convention."""

OK: Final = 0
NULL_INPUT: Final = 1
WORKSPACE: Final = 2
WRONG: Final = 3
"""What a self-test says where a result is not as recorded."""

FIRST_FAILURE: Final = 16
"""The status of the check whose code in the loop program is 1; the others follow."""

C_TYPES: Final = {
    "float64": "double", "float32": "float", "bool": "bool",
    "int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t",
    "uint8": "uint8_t", "uint16": "uint16_t", "uint32": "uint32_t", "uint64": "uint64_t",
}  # fmt: skip
"""The type of C of an element, by the name of its dtype. ``bool`` is that of stdbool.h: one byte, 0 or 1."""

_PARAMETERS: Final = ("in", "out", "workspace")
_FUNCTIONS: Final = ("in", "out", "status", "selftest", "select", "function")
MACROS: Final = (
    "H", "ABI_VERSION", "WORKSPACE_SIZE", "WORKSPACE_ALIGN", "FLOPS", "STACK_SIZE", "SELFTEST_SIZE",
    "OK", "NULL_INPUT", "WORKSPACE", "WRONG",
)  # fmt: skip
"""What stands behind a function's name, in capitals, in names of the header; failures have others."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An input or a result as C sees it. A complex ``c128[n]`` is ``f64[n,2]``, real and imaginary parts in turn.

    ``name`` is its identifier, ``path`` what the user calls it (``w["hidden"]``, ``dL/dw["hidden"]``), ``position`` its
    place among the inputs or the outputs of the graph, which is that among the kernel's pointers. ``place`` is the name
    of the donated input that a result may stand in.
    """

    name: str
    path: str
    position: int
    aval: Aval
    place: str = ""
    is_complex: bool = False

    @property
    def c_type(self) -> str:
        """The type of an element."""
        return C_TYPES[self.aval.dtype.name]

    @property
    def dtype(self) -> np.dtype:
        return self.aval.dtype

    @property
    def is_number(self) -> bool:
        """Whether it is a single number rather than an array."""
        return not self.aval.shape


@dataclass(frozen=True, slots=True)
class Failure:
    """A status for a failed check on data. ``name`` is behind the prefix in the enumeration: ``FAILED_1``."""

    name: str
    status: int
    message: str


@dataclass(frozen=True)
class Interface:
    """What a C program needs to know of a kernel.

    name        the symbol
    inputs      in the order of the call
    outputs     in the order of the call
    sizes       (identifier of C, symbol of the graph) of each symbolic size, in the order of the call and of the kernel
    compiled_in (path, literal) of each argument that is not data
    failures    of checks on data
    workspace   bytes of scratch memory
    flops       of a call
    graph       the first hexadecimal digits of a digest of the graph
    signature   the call in Python
    """

    name: str
    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]
    sizes: tuple[tuple[str, str], ...]
    compiled_in: tuple[tuple[str, str], ...]
    failures: tuple[Failure, ...]
    workspace: Dim
    flops: Dim
    graph: str
    signature: Signature

    @property
    def macro(self) -> str:
        """The prefix of macros and enumerators."""
        return self.name.upper()

    @cached_property
    def in_structs(self) -> bool:
        """Whether inputs and results are members of two structs: all of them are numbers."""
        return all(a.is_number for a in (*self.inputs, *self.outputs)) and bool(self.inputs)

    @property
    def alignment(self) -> int:
        """What the address of the workspace is a multiple of."""
        return 1 if self.workspace == 0 else ALIGNMENT


def own_names(name: str, failures: int) -> list[str]:
    """What the header of the function ``name`` defines itself, with statuses for so many failed checks."""
    macros = [*MACROS, *(f"FAILED_{k}" for k in range(1, failures + 1))]
    return [name, *(f"{name}_{word}" for word in _FUNCTIONS), *(f"{name.upper()}_{word}" for word in macros)]


def interface_of(
    graph: Graph,
    signature: Signature,
    *,
    name: str,
    messages: Sequence[str],
    workspace: Dim,
    flops: Dim,
    donate: Sequence[tuple[int, int]] = (),
) -> Interface:
    """The interface of the kernel that computes ``graph``, whose failed checks are told by ``messages``.

    ``donate`` are positions of inputs and of the results that may stand in them.

    Raises ArgumentError for a name that C could not have, CompileError for a dtype that C99 has no type for and for a
    graph without outputs.
    """
    require_symbol(name)
    inputs_in_c, outputs_in_c = ([_in_parts(aval) for aval in side] for side in (graph.input_avals, graph.output_avals))
    given = zip(graph.input_names, inputs_in_c, strict=True)
    for what, aval in (*given, *zip(graph.output_names, outputs_in_c, strict=True)):
        if aval.dtype.name not in C_TYPES:
            raise CompileError(
                f"{what} is {short_dtype(aval.dtype)}, for which the C interface has no type; "
                "pass f32 and convert it inside of the function"
            )
    if not graph.outputs:
        raise CompileError(f"{name} has no result that C could be given: the function returns no array or number")
    names = Names([*_PARAMETERS, *own_names(name, len(messages))])
    symbols = sorted({s for aval in graph.input_avals for d in aval.shape if not isinstance(d, int) for s in d.symbols})
    sizes = tuple((names.take(symbol, "n"), symbol) for symbol in symbols)
    inputs = []
    own: dict[str, str] = {}
    paths: dict[str, str] = {}
    for position, root, steps in signature.input_paths():
        wanted = "_".join([root, *(str(key) for _, key in steps)])
        identifier = names.take(wanted)
        own[graph.input_names[position]] = identifier
        paths[identifier] = shown_path(root, steps)
        is_complex = graph.input_avals[position].dtype.kind == "c"
        inputs.append(Argument(identifier, paths[identifier], position, inputs_in_c[position], is_complex=is_complex))
    outputs = []
    labels = result_labels(graph, signature)
    for position, (wanted, label) in enumerate(zip(graph.output_names, labels, strict=True)):
        of = own.get(wanted.removeprefix("d_")) if wanted.startswith("d_") else None
        place = next((own[graph.input_names[source]] for source, result in donate if result == position), "")
        gradient = f"d_{of}" if of and label.startswith("d") and "/d" in label else label
        identifier = names.take(f"{place}_new" if place else gradient, "result")
        label = f"the new {paths[place]}" if place else label
        is_complex = graph.output_avals[position].dtype.kind == "c"
        outputs.append(Argument(identifier, label, position, outputs_in_c[position], place, is_complex))
    static = [found for a in signature.arguments for found in _compiled_in(a.tree, a.name)]
    failures = tuple(Failure(f"FAILED_{k}", FIRST_FAILURE - 1 + k, text) for k, text in enumerate(messages, 1))
    return Interface(
        name, tuple(inputs), tuple(outputs), sizes, tuple(static), failures, workspace, flops,
        hashlib.sha256(str(graph).encode()).hexdigest()[:8], signature,
    )  # fmt: skip


def _in_parts(aval: Aval) -> Aval:
    """Complex numbers as NumPy stores them: the parts of each one behind each other."""
    if aval.dtype.kind != "c":
        return aval
    return Aval((*aval.shape, 2), np.dtype(f"f{aval.dtype.itemsize // 2}"))


def _compiled_in(tree: Tree, root: str, steps: tuple[tuple[str, Key], ...] = ()) -> Iterator[tuple[str, str]]:
    """The path and the literal of each static value in an argument."""
    if isinstance(tree, Static):
        yield shown_path(root, steps), tree.text
    elif isinstance(tree, Branch):
        for key, child in zip(tree.keys, tree.children, strict=True):
            yield from _compiled_in(child, root, (*steps, (tree.kind, key)))


def require_addresses(interface: Interface, bits: int, machine: str) -> None:
    """Raise CompileError where an array or the workspace is too large for addresses of ``bits``."""
    arrays = [(a.path, a.aval.size * a.dtype.itemsize) for a in (*interface.inputs, *interface.outputs)]
    for what, size in (*arrays, ("the workspace", interface.workspace)):
        if isinstance(size, int) and size >= 2 ** (bits - 1):
            raise CompileError(
                f"{machine} cannot run {interface.name}: {what} has {size} bytes, and its addresses have {bits} bits"
            )


def without_doubles(cpu: str, *interfaces: Interface) -> CompileError:
    """The refusal of functions that compute in f64, for a processor that does not."""
    wide = [f for f in interfaces if any(a.aval.dtype.itemsize == 8 and a.aval.dtype.kind == "f" for a in f.inputs)]
    remedy = "; take its arguments in f32 (--dtype f32)" if wide else ""
    name = (wide or interfaces)[0].name
    return CompileError(
        f"{cpu} cannot run {name}: it computes in f64, which that machine has no instructions for{remedy}"
    )
