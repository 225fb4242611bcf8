"""C++17: a header over the C header, with a class for each function that holds the workspace of its calls."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gradc.artifacts.bindings.bound import Bound
from gradc.artifacts.header import COLUMNS
from gradc.artifacts.sizes import CPP, shown, size_text
from gradc.artifacts.templates import rendered
from gradc.backends.abi import Argument, Interface
from gradc.backends.c_names import in_comment
from gradc.errors import CompileError

OWN_NAMES: Final = frozenset({"any_size", "detail", "error", "gradc", "view"})
"""What the header's own things in the namespace ``gradc`` are called, and it itself."""


def cpp_files(functions: Sequence[Bound], name: str) -> dict[str, str]:
    """``NAME.hpp``, which needs ``NAME.h`` beside it. Raises CompileError for a name that the header itself uses."""
    from gradc import __version__

    for function in functions:
        if function.interface.name in OWN_NAMES:
            raise CompileError(f"{function.interface.name!r} is a name of the C++ header's own; choose another name")
    text = rendered(
        "cpp/header.hpp.j2", library=name, version=__version__, guard=f"{name.upper()}_HPP",
        functions=[_class(function) for function in functions],
        grows=any(not isinstance(function.interface.workspace, int) for function in functions),
    )  # fmt: skip
    return {f"{name}.hpp": text}


@dataclass(frozen=True)
class _Row:
    """A parameter or a member with a remark behind it."""

    text: str
    remark: str

    def ended(self, ending: str) -> str:
        return f"{self.text}{ending}{f'  // {self.remark}' if self.remark else ''}"


@dataclass(frozen=True)
class _Class:
    """What the template lays out of one function."""

    name: str
    macro: str
    head: str
    about: list[str]
    members: list[str]
    call: list[str]
    run: list[str]
    reserve: str
    workspace: str
    failures: list[tuple[str, str]]
    selects: bool
    selftest: bool


def _class(function: Bound) -> _Class:
    interface = function.interface
    names = {symbol: name for name, symbol in interface.sizes}
    sizes = [name for name, _ in interface.sizes]
    workspace = _workspace(interface, sizes)
    grows = not isinstance(interface.workspace, int)
    about = []
    if workspace:
        about.append("An object holds the workspace of its calls: each thread wants one of its own.")
    if grows:
        about.append("It allocates only when a call needs more than all before, or in reserve().")
    if interface.in_structs:
        call, run = _with_structs(function, workspace)
    else:
        call, run = _with_views(
            function, names, f"memory_({workspace})" if grows else "workspace_" if workspace else "nullptr"
        )
    fixed = all(isinstance(a.aval.size, int) for a in interface.outputs) and not interface.in_structs
    pointers = not interface.in_structs and any(not a.is_number for a in interface.inputs)
    given = [(f"{interface.macro}_NULL_INPUT", '"an input is null"')] if pointers else []
    return _Class(
        name=interface.name,
        macro=interface.macro,
        head=in_comment(function.head[0].upper() + function.head[1:]),
        about=about,
        members=[_member(a, names).ended(";") for a in interface.outputs] if fixed else [],
        call=call,
        run=run,
        reserve=", ".join(f"std::size_t {size}" for size in sizes) if grows else "",
        workspace=workspace,
        failures=[
            *given,
            *((f"{interface.macro}_{f.name}", _quoted(f.message.replace(" {}", ""))) for f in interface.failures),
        ],
        selects=function.selects,
        selftest=function.selftest > 0,
    )


def _with_structs(function: Bound, workspace: str) -> tuple[list[str], list[str]]:
    """The call and the call that tells its status, of numbers in structs."""
    name = function.interface.name
    const = "" if workspace else " const"
    called = "function_" if function.selects else f"::{name}"
    call = [
        f"{name}_out operator()(const {name}_in& in){const} {{",
        f"    {name}_out out;", "    require_(run(in, out));", "    return out;", "}",
    ]  # fmt: skip
    run = [
        "/// The same, telling a failure by its status.",
        f"{name}_status run(const {name}_in& in, {name}_out& out){const} noexcept {{",
        f"    return {called}(&in, &out, {'workspace_' if workspace else 'nullptr'});", "}",
    ]  # fmt: skip
    return call, run


def _with_views(function: Bound, names: dict[str, str], workspace: str) -> tuple[list[str], list[str]]:
    """The same of arguments. Where lengths of results are known the call gives them, else it takes where they go."""
    interface = function.interface
    sizes = [_Row(f"std::size_t {name}", "") for name, _ in interface.sizes]
    inputs = [*sizes, *(_input(a, names) for a in interface.inputs)]
    outputs = [_output(a, names) for a in interface.outputs]
    given = [*names.values(), *(a.name for a in interface.inputs)]
    arguments = (*interface.inputs, *interface.outputs)
    lengths = [a for a in arguments if not a.is_number and not isinstance(a.aval.size, int)]
    const = " const" if workspace == "nullptr" else ""
    thrown = [
        *(["gradc::error where a check on the data fails"] if interface.failures else []),
        *(["std::length_error where an array has another length"] if lengths else []),
    ]
    told = [f"/// Throws {', '.join(thrown)}."] if thrown else []
    if all(isinstance(a.aval.size, int) for a in interface.outputs):
        into = [f"&results_.{a.name}" if a.is_number else f"results_.{a.name}" for a in interface.outputs]
        call = [
            *told, *_declared("results operator()", inputs, f"{const} {{"), f"    {interface.name}::results results_;",
            *_called("    require_(this->run", [*given, *into], "));"), "    return results_;", "}",
        ]  # fmt: skip
    else:
        passed = [*given, *(a.name for a in interface.outputs)]
        call = [
            *told, *_declared("void operator()", [*inputs, *outputs], f"{const} {{"),
            *_called("    require_(this->run", passed, "));"), "}",
        ]  # fmt: skip
    called = "function_" if function.selects else f"::{interface.name}"
    checks = [line for a in lengths for line in _check(a, names, optional=a in interface.outputs)]
    pointers = [*names.values(), *(a.name if a.is_number else f"{a.name}.data()" for a in arguments), workspace]
    safe = " noexcept" if not lengths and workspace in ("workspace_", "nullptr") else ""
    run = [
        "/// Results go where the caller wants them, nowhere for nullptr. A failed check is told by the status.",
        *_declared(f"{interface.name}_status run", [*inputs, *outputs], f"{const}{safe} {{"),
        *checks, *_called(f"    return {called}", pointers, ");"), "}",
    ]  # fmt: skip
    return call, run


def _check(argument: Argument, names: dict[str, str], *, optional: bool) -> list[str]:
    """The check of the length of an array, where it is given."""
    text = size_text(argument.aval.size, names, CPP).removeprefix("(").removesuffix(")")
    given = f"if ({argument.name}.data()) " if optional else ""
    return _called(f"    {given}detail::require_length", [f'"{argument.name}"', f"{argument.name}.size()", text], ");")


def _declared(head: str, rows: Sequence[_Row], tail: str) -> list[str]:
    """A declaration with a line for each parameter."""
    if not rows:
        return [f"{head}(){tail}"]
    lines = [f"    {row.ended(',')}" for row in rows[:-1]]
    return [f"{head}(", *lines, f"    {rows[-1].ended(f'){tail}')}"]


def _called(head: str, arguments: Sequence[str], tail: str) -> list[str]:
    """A call, on several lines where it is long."""
    indent = " " * (len(head) - len(head.lstrip()) + 4)
    whole = f"{head}({', '.join(arguments)}{tail}"
    if len(whole) <= COLUMNS:
        return [whole]
    return [
        f"{head}(",
        *textwrap.wrap(f"{', '.join(arguments)}{tail}", COLUMNS, initial_indent=indent, subsequent_indent=indent),
    ]


def _workspace(interface: Interface, sizes: Sequence[str]) -> str:
    """The bytes of a workspace, as the C header has them; empty where there is none."""
    if interface.workspace == 0:
        return ""
    given = "" if isinstance(interface.workspace, int) else f"({', '.join(sizes)})"
    return f"{interface.macro}_WORKSPACE_SIZE{given}"


def _input(argument: Argument, names: dict[str, str]) -> _Row:
    if argument.is_number:
        return _Row(f"{argument.c_type} {argument.name}", _remark(argument, names))
    return _Row(f"gradc::view<const {_view(argument)}> {argument.name}", _remark(argument, names))


def _output(argument: Argument, names: dict[str, str]) -> _Row:
    if argument.is_number:
        return _Row(f"{argument.c_type}* {argument.name}", _remark(argument, names))
    return _Row(f"gradc::view<{_view(argument)}> {argument.name}", _remark(argument, names))


def _member(argument: Argument, names: dict[str, str]) -> _Row:
    kind = argument.c_type if argument.is_number else f"std::array<{_view(argument)}>"
    return _Row(f"{kind} {argument.name}", _remark(argument, names))


def _view(argument: Argument) -> str:
    """``double, 6``; where the number of elements is known only in a call, ``double``."""
    size = argument.aval.size
    return f"{argument.c_type}, {size}" if isinstance(size, int) else argument.c_type


def _pointer(argument: Argument) -> str:
    return argument.name if argument.is_number else f"{argument.name}.data()"


def _remark(argument: Argument, names: dict[str, str]) -> str:
    """``[2][2]  w["hidden"]``: the shape, and what the user calls it."""
    shape = "".join(f"[{shown(dim, names)}]" for dim in argument.aval.shape)
    path = in_comment(argument.path) if argument.path != argument.name else ""
    return "  ".join(part for part in (shape, path) if part)


def _quoted(message: str) -> str:
    """A string literal of C++."""
    line = "".join(c if c.isprintable() else " " for c in message)
    return '"' + line.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?") + '"'
