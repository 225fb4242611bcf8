"""Libraries in CasADi's calling convention, which ``casadi.external`` loads, with the Jacobian where there is one."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gradc.artifacts.archive import Member
from gradc.artifacts.files import write_files
from gradc.artifacts.header import COLUMNS, LICENCE
from gradc.artifacts.library import Built, build, manifest, require_whole, runs_on, static_library
from gradc.artifacts.linker import shared_library
from gradc.artifacts.seal import sealed
from gradc.artifacts.templates import rendered
from gradc.backends.abi import Argument
from gradc.backends.c_names import in_comment, require_symbol
from gradc.backends.llvm.casadi import Convention, Matrix, casadi_code, exported, matrix
from gradc.backends.llvm.library import Code, object_file
from gradc.backends.llvm.machine import pointer_bits
from gradc.backends.llvm.targets import choose
from gradc.compiler import Compiled, compile_trace
from gradc.errors import ArgumentError, CompileError, DerivativeError
from gradc.ir.draft import draft_of
from gradc.ir.signature import Argument as Input
from gradc.ir.signature import Branch, Leaf, Signature

ORDERS: Final = 2
"""Derivatives that come with a function: its Jacobian, and the Jacobian of that."""

MOST_ELEMENTS: Final = 2**18
"""The largest Jacobian that does."""


_MOST_LISTED: Final = 24
"""Arguments or results of which a header lists all."""


def save_casadi(
    compiled: Compiled, folder: str | os.PathLike[str], *, name: str, target: str | None = None, cpu: str | None = None
) -> None:
    """Write ``libNAME.so``, ``libNAME.a``, ``NAME.o``, ``NAME.h`` and ``NAME.json`` into a directory.

    ``casadi.external("NAME", "libNAME.so")`` makes a function of it. It has ``jac_NAME`` and ``jac_jac_NAME`` too,
    which CasADi calls for derivatives, unless there is none or it has too many elements. Arguments are f64 of fixed
    shapes, of at most two axes: vectors are columns, matrices stored by columns. Raises ArgumentError for others, and
    as ``save_library`` does.
    """
    require_symbol(name)
    choice = choose(target, cpu)
    if len(choice.parts) > 1:
        raise ArgumentError(f"abi='casadi' has one version of a function; choose a cpu= of {choice.name}")
    if pointer_bits(choice.base) != 64:
        raise ArgumentError(f"abi='casadi' is for machines of 64 bits, and {choice.name} has 32")
    built = [build(compiled, choice, name=f"{name}_c")]
    first = built[0].interface
    functions = [Convention(name, first, _matrices(first.inputs), _matrices(first.outputs))]
    for _ in range(ORDERS):
        following = functions[-1].jacobian(functions[-1].callee)
        fits = all(item.can_be_copied for item in following.computed)
        found = _jacobian(compiled, functions[-1]) if fits and _elements(following) <= MOST_ELEMENTS else None
        if found is None:
            break
        compiled = found
        built.append(build(compiled, choice, name=f"{following.name}_c"))
        functions.append(replace(following, callee=built[-1].interface))
    write_files(_files(name, built, functions, target, cpu), folder, "lib")


def _elements(function: Convention) -> int:
    return sum(item.count for item in function.computed)


def _files(
    name: str, built: Sequence[Built], functions: Sequence[Convention], target: str | None, cpu: str | None
) -> dict[str, bytes]:
    choice = choose(target, cpu)
    declared = "\n".join(f"declare i32 @{f.callee.name}()" for f in functions[1:])
    codes = [code for one in built for code in one.codes]
    codes[0] = Code(f"{codes[0].ir}\n{declared}\n{casadi_code(functions)}\n", choice.base)
    whole = [replace(built[0], codes=tuple(codes))]
    content = object_file(codes)
    require_whole(whole, choice)
    symbols = [s for f in functions for s in exported(f)] + [s for one in built for s in one.symbols]
    about = manifest(built, name, choice) | {"abi": "casadi"}
    files = {
        f"{name}.h": _header(name, built[0], functions, runs_on(choice)).encode(),
        f"{name}.o": content,
        f"lib{name}.a": static_library([Member(f"{name}.o", content, symbols)], choice),
    }
    if choice.emulation:
        files[f"lib{name}.so"] = shared_library(content, name, emulation=choice.emulation, native=choice.is_native)
    files |= {f"{one.interface.name}.gir": one.graph.encode() for one in built}
    return files | {f"{name}.json": sealed(about, files)}


def _header(name: str, value: Built, functions: Sequence[Convention], machine: str) -> str:
    from gradc import __version__

    signature = value.interface.signature
    origin = f", {signature.origin}" if signature.origin else ""
    told = f"{signature.summary} of {signature.function or name}(){origin}, as CasADi calls it."
    head = [
        in_comment(told[0].upper() + told[1:]),
        in_comment(f"gradc {__version__}, graph {value.interface.graph}. {machine}"),
        f"{LICENCE} Load it with casadi.external, or call it as CasADi's generated C is called.",
    ]
    return rendered(
        "c/casadi.h.j2",
        head=[line for paragraph in head for line in textwrap.wrap(paragraph, COLUMNS - 3)],
        guard=f"{name.upper()}_H",
        functions=[
            {
                "name": f.name,
                "told": _told(f),
                "work": f.work,
                "arg": len(f.inputs) + len(f.ignored),
                "res": len(f.outputs),
                "macro": f.name.upper(),
            }
            for f in functions
        ],
    )


def _told(function: Convention) -> list[str]:
    """The comment above the declarations of a function, line by line."""
    rows = [
        f"{function.name}: dense, stored by columns. A NULL input is zero, a NULL result is not wanted.",
        f"arg: {_listed(function.inputs, 'name_in')}",
        *([f"then, not read: {_listed(function.ignored, 'name_in')}"] if function.ignored else []),
        f"res: {_listed(function.outputs, 'name_out')}",
    ]
    return [line for row in rows for line in textwrap.wrap(row, COLUMNS - 6, subsequent_indent="    ")]


def _listed(items: Sequence[Matrix], teller: str) -> str:
    """Matrices by name and size; of many the first and the last, and what tells the others."""
    if len(items) > _MOST_LISTED:
        return f"{_shown(items[0])} ... {_shown(items[-1])} ({len(items)}, by {teller})"
    return ", ".join(map(_shown, items))


def _shown(item: Matrix) -> str:
    return item.name if item.count == 1 else f"{item.name}[{item.rows}x{item.columns}]"


def _matrices(arguments: Sequence[Argument]) -> tuple[Matrix, ...]:
    found = []
    for argument in arguments:
        if argument.dtype.name != "float64" or argument.is_complex:
            own = "complex" if argument.is_complex else argument.aval
            raise ArgumentError(f"abi='casadi' takes f64 alone, and {argument.path} is {own}")
        if argument.aval.is_symbolic:
            raise ArgumentError(f"abi='casadi' takes fixed sizes, and {argument.path} is {argument.aval}")
        if len(argument.aval.shape) > 2:
            raise ArgumentError(f"abi='casadi' takes vectors and matrices, and {argument.path} is {argument.aval}")
        found.append(matrix(argument.name, [int(dim) for dim in argument.aval.shape]))
    return tuple(found)


def _jacobian(compiled: Compiled, function: Convention) -> Compiled | None:
    """The Jacobians of all results by all arguments; None where there is no derivative."""
    order = tuple(position for position, _, _ in compiled.signature.input_paths())
    request = replace(
        compiled.request, derivative="jacobian", wrt=order, primals=len(compiled.runs.outputs), donate=(),
        name=f"jac_{function.name}_c",
    )  # fmt: skip
    graph = compiled.trace if compiled.request.derivative == "value" else compiled.derivation

    def flat(results: int) -> Signature:
        positions = tuple(range(results))
        arguments = tuple(Input(graph.input_names[position], Leaf(position)) for position in order)
        return Signature(arguments, Branch("list", positions, tuple(map(Leaf, positions))))

    try:
        return compile_trace(draft_of(graph), flat, request)
    except (DerivativeError, CompileError):
        return None
