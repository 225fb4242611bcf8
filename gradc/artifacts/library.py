"""C libraries: an object file, static and shared library, with a header, a manifest and what build systems read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from gradc.artifacts.archive import Member, archive, bsd_archive
from gradc.artifacts.bindings import binding_files, require_bindings
from gradc.artifacts.bindings.bound import Bound
from gradc.artifacts.elf import symbols_of
from gradc.artifacts.files import write_files
from gradc.artifacts.header import Declared, header
from gradc.artifacts.linker import shared_library
from gradc.artifacts.record import record_of
from gradc.artifacts.seal import sealed
from gradc.artifacts.templates import rendered
from gradc.backends.abi import ABI_VERSION, Argument, Interface, interface_of, require_addresses, without_doubles
from gradc.backends.c_names import require_symbol
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.library import Code, kernel_code, object_and_assembly, object_file
from gradc.backends.llvm.machine import pointer_bits
from gradc.backends.llvm.select import select_code
from gradc.backends.llvm.selftest import selftest_code, selftest_of_all
from gradc.backends.llvm.stack import stack_bytes
from gradc.backends.llvm.targets import Choice, choose
from gradc.backends.recording import Recording, memory_of, record
from gradc.backends.spare import workspace_of
from gradc.compiler import Compiled
from gradc.errors import ArgumentError, CompileError
from gradc.ir.aval import maximum_dim
from gradc.ir.graph import Graph
from gradc.ir.text import print_graph
from gradc.loops.shaping.optional import with_optional_results


@dataclass(frozen=True)
class Built:
    """A function of a library: how it is called, its modules, the recording it tests itself with, what runs.

    ``kernel`` is the record of what it is made of, and ``graph`` the text of its trace (``gradc.artifacts.record``).

    ``suffixes`` are those of its versions for processors of more and more instructions; ``("",)`` where there is one.
    """

    interface: Interface
    codes: tuple[Code, ...]
    suffixes: tuple[str, ...]
    recording: Recording
    kernel: dict[str, Any]
    graph: str
    runs: Graph

    @property
    def bound(self) -> Bound:
        """What bindings for other languages are made of."""
        return Bound(self.interface, self.runs, self.selftest_bytes, self.suffixes)

    @property
    def selftest_bytes(self) -> int:
        """The memory that the self-test wants from its caller."""
        memory = memory_of(self.interface, self.recording)
        return 0 if memory.on_stack else memory.bytes

    def declared(self, assembly: str) -> Declared:
        """What a header declares of it. The assembly of the library tells how much stack calls take at most."""
        name, triple = self.interface.name, self.codes[0].target.triple
        call = stack_bytes(assembly, triple, [f"{name}{suffix}" for suffix in self.suffixes])
        test = stack_bytes(assembly, triple, [f"{name}_selftest"])
        return Declared(self.interface, self.selftest_bytes, self.suffixes, call, test)

    @property
    def symbols(self) -> list[str]:
        """What an object file of it defines for others."""
        name = self.interface.name
        select = [f"{name}_select"] if len(self.suffixes) > 1 else []
        return [*[f"{name}{suffix}" for suffix in self.suffixes], *select, f"{name}_selftest"]


def build(compiled: Compiled, choice: Choice, *, name: str) -> Built:
    """Make a function of C of a kernel. Raises ArgumentError for a name that C could not have."""
    require_symbol(name)
    programs = [
        with_optional_results(
            replace(compiled.lowered(part.target, donate=compiled.request.donate), name=f"{name}{part.suffix}")
        )
        for part in choice.parts
    ]
    places = {buffer.name: k for k, buffer in enumerate(programs[0].program.inputs)}
    outputs = enumerate(programs[0].program.outputs)
    donate = [(places[buffer.place], k) for k, buffer in outputs if buffer.place]
    interface = interface_of(
        compiled.runs, compiled.signature, name=name, messages=programs[0].program.messages,
        workspace=reduce(maximum_dim, map(workspace_of, programs)), flops=compiled.work[0], donate=donate,
    )  # fmt: skip
    require_addresses(interface, pointer_bits(choice.base), choice.name)
    recording = record(interface, load(compiled.llvm_ir, compiled.program).run)
    codes = [
        kernel_code(program, interface, f"{name}{part.suffix}", part.target)
        for program, part in zip(programs, choice.parts, strict=True)
    ]
    suffixes = tuple(part.suffix for part in choice.parts)
    selector = f"{name}_select" if len(suffixes) > 1 else ""
    apart = "linux" in choice.base.triple or "-none-" in choice.base.triple
    tests = selftest_code(interface, recording, f"i{pointer_bits(choice.base)}", selector, apart=apart)
    select = select_code(name, suffixes) if selector else ""
    codes[0] = Code(f"{codes[0].ir}\n{select}\n{tests}", choice.base)
    kernel, graph = _record(compiled, name), print_graph(compiled.trace)
    return Built(interface, tuple(codes), suffixes, recording, kernel, graph, compiled.runs)


def _record(compiled: Compiled, name: str) -> dict[str, Any]:
    """What ``gradc.load`` makes the function again of, or why it cannot."""
    try:
        return record_of(replace(compiled, request=replace(compiled.request, name=name)))
    except CompileError as error:
        return {"refusal": str(error)}


def save_library(
    compiled: Compiled,
    folder: str | os.PathLike[str],
    *,
    name: str,
    target: str | None = None,
    cpu: str | None = None,
    bindings: Sequence[str] = (),
) -> None:
    """Write the library ``name`` of one kernel into a directory, for this machine or another (docs/embedding.md).

    The files are NAME.h, NAME.o, libNAME.a, libNAME.so where the machine's programs load such, the manifest NAME.json,
    the graph NAME.gir, NAME.pc for pkg-config, NAMEConfig.cmake, and those of ``bindings`` (docs/bindings.md). All
    appear or none; they are the same byte for byte every time. Raises ArgumentError for names that are not known or
    that C could not have, CompileError where the machine lacks what the code needs or where there is no linker.
    """
    require_bindings(bindings)
    choice = choose(target, cpu)
    write_files(
        library_files([build(compiled, choice, name=name)], choice, name=name, bindings=bindings), folder, "lib"
    )


def save_functions(
    kernels: Mapping[str, Compiled],
    folder: str | os.PathLike[str],
    *,
    name: str,
    target: str | None = None,
    cpu: str | None = None,
    bindings: Sequence[str] = (),
) -> None:
    """The same for several kernels by the names of their functions, with a self-test of all."""
    require_bindings(bindings)
    choice = choose(target, cpu)
    functions = [build(compiled, choice, name=own) for own, compiled in kernels.items()]
    first = functions[0]
    tests = selftest_of_all(name, {f.interface.name: f.selftest_bytes for f in functions})
    functions[0] = replace(first, codes=(Code(f"{first.codes[0].ir}\n{tests}", choice.base), *first.codes[1:]))
    write_files(library_files(functions, choice, name=name, group=True, bindings=bindings), folder, "lib")


def library_files(
    functions: Sequence[Built], choice: Choice, *, name: str, group: bool = False, bindings: Sequence[str] = ()
) -> dict[str, bytes]:
    """The files of a library by name; a ``group`` has a self-test of all of its functions."""
    from gradc import __version__

    content, assembly = object_and_assembly([code for function in functions for code in function.codes])
    require_whole(functions, choice)
    declared = [f.declared(assembly) for f in functions]
    all_tests = stack_bytes(assembly, choice.base.triple, [f"{name}_selftest"]) if group else None
    symbols = [*[s for f in functions for s in f.symbols], *([f"{name}_selftest"] if group else [])]
    packaging = {"name": name, "version": __version__, "description": f"{name}, generated by gradc"}
    files = {
        f"{name}.h": header(declared, name=name, runs_on=runs_on(choice), group=all_tests).encode(),
        f"{name}.o": content,
        f"lib{name}.a": static_library([Member(f"{name}.o", content, symbols)], choice),
        f"{name}.pc": rendered("c/package.pc.j2", **packaging).encode(),
        f"{name}Config.cmake": rendered("c/config.cmake.j2", **packaging).encode(),
    }
    if choice.emulation:
        files[f"lib{name}.so"] = shared_library(content, name, emulation=choice.emulation, native=choice.is_native)
    elif "python" in bindings:
        raise ArgumentError(f'bindings="python" loads a shared library, which {choice.name} has none of')
    files |= {f"{f.interface.name}.gir": f.graph.encode() for f in functions}
    beside = binding_files([f.bound for f in functions], name, bindings, files[f"lib{name}.a"])
    return files | beside | {f"{name}.json": sealed(manifest(functions, name, choice, declared), files, beside)}


def static_library(members: Sequence[Member], choice: Choice) -> bytes:
    """The archive of object files, in the format of the machine."""
    return bsd_archive(members) if "apple" in choice.base.triple else archive(members)


def require_whole(functions: Sequence[Built], choice: Choice) -> None:
    """Raise CompileError where the code calls what it does not define. Other formats than ELF are read as that."""
    codes = [code for function in functions for code in function.codes]
    machine = choice.base.triple.split("-")[0].replace("arm64", "aarch64")
    if "linux" not in choice.base.triple and "-none-" not in choice.base.triple:
        codes = [replace(c, target=replace(c.target, triple=f"{machine}-unknown-linux-gnu")) for c in codes]
    missing = symbols_of(object_file(codes)).undefined
    if not missing:
        return
    if not choice.base.doubles and any("df" in s or s.startswith("__aeabi_d") for s in missing):
        raise without_doubles(choice.base.cpu, *[function.interface for function in functions])
    raise CompileError(
        f"{choice.name} cannot run {functions[0].interface.name} without a runtime library: the code would call "
        f"{', '.join(missing)}"
    )


def runs_on(choice: Choice) -> str:
    """The sentence of a header that says which machines run the code."""
    cpus = [part.target.cpu for part in choice.parts]
    if choice.is_host:
        return f"Runs on {choice.base.triple}, {cpus[0]} and processors that have its instructions."
    if len(cpus) > 1:
        return f"Runs on {choice.name}, every processor; with versions for {' and '.join(cpus[1:])}."
    return f"Runs on {choice.name}, {cpus[0]} and processors that have its instructions."


def manifest(
    functions: Sequence[Built], name: str, choice: Choice, declared: Sequence[Declared] = ()
) -> dict[str, Any]:
    """What a program needs to know to call the functions of a library, and what ``gradc.load`` does: plain data.

    Sizes that depend on symbolic ones are formulas as text. What is ``declared`` tells how much stack calls take.
    """
    from gradc import __version__

    stacks = {
        d.interface.name: {"stack": d.stack, "selftest": {"bytes": d.selftest, "stack": d.test_stack}} for d in declared
    }

    return {
        "gradc": __version__,
        "abi_version": ABI_VERSION,
        "library": name,
        "target": {
            "triple": choice.base.triple,
            "versions": [
                {"suffix": part.suffix, "cpu": part.target.cpu, "features": part.target.features}
                for part in choice.parts
            ],
        },
        "functions": [
            _function(f.interface) | stacks.get(f.interface.name, {}) | {"kernel": f.kernel} for f in functions
        ],
    }


def _function(interface: Interface) -> dict[str, Any]:
    arrays = (*interface.inputs, *interface.outputs)
    traffic = sum((a.aval.size * a.dtype.itemsize for a in arrays[1:]), arrays[0].aval.size * arrays[0].dtype.itemsize)
    return {
        "name": interface.name,
        "function": interface.signature.function,
        "origin": interface.signature.origin,
        "computes": interface.signature.summary,
        "graph": interface.graph,
        "convention": "structs" if interface.in_structs else "arguments",
        "sizes": [name for name, _ in interface.sizes],
        "inputs": [_argument(a) for a in interface.inputs],
        "outputs": [_argument(a) for a in interface.outputs],
        "compiled_in": dict(interface.compiled_in),
        "statuses": {str(f.status): f.message for f in interface.failures},
        "workspace": {"bytes": _number(interface.workspace), "alignment": interface.alignment},
        "flops": _number(interface.flops),
        "bytes": _number(traffic),
    }


def _argument(argument: Argument) -> dict[str, Any]:
    return {
        "name": argument.name,
        "path": argument.path,
        "dtype": argument.dtype.name,
        "c_type": argument.c_type,
        "shape": [_number(dim) for dim in argument.aval.shape],
        "layout": "number" if argument.is_number else "row-major",
    } | ({"complex": True} if argument.is_complex else {})


def _number(dim: Any) -> Any:
    return dim if isinstance(dim, int) else str(dim)
