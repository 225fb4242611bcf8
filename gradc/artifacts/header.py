"""The C header of a kernel, or of several in one library: C99 and C++, everything documented where it is declared."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from gradc.artifacts.sizes import C, shown, size_text
from gradc.artifacts.templates import rendered
from gradc.backends.abi import ABI_VERSION, Argument, Interface
from gradc.backends.c_names import in_comment
from gradc.ir.aval import Dim, short_dtype

COLUMNS = 100
LICENCE = "Generated; yours, no conditions (0BSD)."
PROMISE = "No libm, no allocation, no writable globals."


@dataclass(frozen=True)
class Declared:
    """A function that a header declares.

    interface   how it is called
    selftest    bytes of memory that the self-test wants from its caller; 0 where it takes none, None without a test
    suffixes    of its versions for processors with more and more instructions, the first of which all can run
    stack       bytes of stack that a call takes at most; None where a compiler decides
    test_stack  the same of a call of the self-test
    """

    interface: Interface
    selftest: int | None = None
    suffixes: Sequence[str] = ("",)
    stack: int | None = None
    test_stack: int | None = None


def header(
    functions: Sequence[Declared], *, name: str, runs_on: str, group: int | None = None, libc: bool = False
) -> str:
    """The text of ``name.h``. ``runs_on`` says on which machines the code runs, ``libc`` whether it may call that.

    A group has a workspace for each of its functions, and a self-test of all, which takes ``group`` bytes of stack.
    """
    declared = [f.interface for f in functions]
    return rendered(
        "c/header.h.j2",
        head=about(functions, name=name, runs_on=runs_on, group=group is not None, libc=libc),
        guard=f"{name.upper()}_H",
        graphs=_digest(declared),
        includes=_includes(declared),
        functions=[_function(f, told=group is not None) for f in functions],
        group=None if group is None else _group(functions, name, group),
    )


def about(
    functions: Sequence[Declared], *, name: str, runs_on: str, group: bool = False, libc: bool = False
) -> list[str]:
    """The lines at the head of what is generated: what it computes, of what it was made, and what is promised of it.

    ``runs_on`` says on which machines the code runs, ``libc`` whether a compiler may call the C library.
    """
    from gradc import __version__

    declared = [f.interface for f in functions]
    heads = [f"{name}: {', '.join(i.name for i in declared)}."] if group else [f"{_computes(i)}." for i in declared]
    dtypes = ", ".join(dict.fromkeys(short_dtype(a.dtype) for i in declared for a in (*i.inputs, *i.outputs)))
    graphs = ", ".join(i.graph for i in declared)
    made = f"gradc {__version__}, {dtypes}, graph{'s' if len(declared) > 1 else ''} {graphs}. {runs_on}"
    paragraphs = [*heads, made, f"{LICENCE} {PROMISE if libc else PROMISE.replace('No', 'No libc, no', 1)}"]
    return [line for paragraph in paragraphs for line in textwrap.wrap(in_comment(paragraph), COLUMNS - 3)]


def _digest(interfaces: Sequence[Interface]) -> str:
    """A number by which a preprocessor tells headers apart: of the graphs and the names of all functions."""
    text = " ".join(part for interface in interfaces for part in (interface.name, interface.graph))
    return f"0x{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class _Group:
    """What the template lays out of all functions together."""

    macros: list[tuple[str, str, str]]
    lines: list[str]


def _group(functions: Sequence[Declared], name: str, stack: int) -> _Group:
    macro = name.upper()
    rows = []
    sizes = [f.interface.workspace for f in functions]
    if all(isinstance(size, int) for size in sizes):
        rows.append(("WORKSPACE_SIZE", str(max(map(int, sizes))), "bytes: enough for each function"))
    rows.append(("WORKSPACE_ALIGN", str(max(f.interface.alignment for f in functions)), ""))
    memory = max(f.selftest or 0 for f in functions)
    if memory:
        rows.append(("SELFTEST_SIZE", str(memory), "bytes of memory for the self-test"))
    width = max(len(row[0]) for row in rows)
    where = f", in {macro}_SELFTEST_SIZE bytes at a multiple of 64" if memory else ""
    told = f"The self-tests of all functions{where}: 0, or the status of the first that fails. "
    told += f"They take at most {stack} bytes of stack."
    lines = [
        *_comment(textwrap.wrap(told, COLUMNS - 3)),
        f"int {name}_selftest({'void *memory' if memory else 'void'});",
    ]
    return _Group([(f"{macro}_{own.ljust(width)}", value, remark) for own, value, remark in rows], lines)


def _computes(interface: Interface) -> str:
    """``L and dL/d(w11, w12) of loss(), net.py:4``"""
    signature = interface.signature
    groups = []
    for stem, members in groupby([a.path for a in interface.outputs], key=_stem):
        names = [member.removeprefix(stem) for member in members]
        listed = ", ".join(names) if len(names) <= 12 else f"{names[0]} ... {names[-1]}"
        groups.append(f"{stem}({listed})" if stem and len(names) > 1 else f"{stem}{listed}")
    origin = f", {signature.origin}" if signature.origin else ""
    return f"{' and '.join(groups)} of {signature.function or interface.name}(){origin}"


def _stem(path: str) -> str:
    """``dL/d`` of a gradient's path, empty for others."""
    before, slash, _ = path.partition("/d")
    return f"{before}/d" if slash and before.startswith("d") else ""


def _includes(interfaces: Sequence[Interface]) -> list[str]:
    types = {a.c_type for i in interfaces for a in (*i.inputs, *i.outputs)}
    found = []
    if "bool" in types:
        found.append("stdbool.h")
    if any(i.sizes for i in interfaces):
        found.append("stddef.h")
    if any(kind.endswith("_t") for kind in types) or any(i.sizes for i in interfaces):
        found.append("stdint.h")
    return found


@dataclass(frozen=True)
class _Struct:
    name: str
    members: list[str]


@dataclass(frozen=True)
class _Function:
    """What the template lays out of one function."""

    macros: list[tuple[str, str, str]]
    statuses: list[str]
    status: str
    structs: list[_Struct]
    remarks: list[str]
    declarations: list[str]


def _function(declared: Declared, *, told: bool) -> _Function:
    """``told`` says that the function's own comment tells what it computes."""
    interface = declared.interface
    structs = []
    if interface.in_structs:
        structs = [
            _Struct(f"{interface.name}_in", _members(interface.inputs)),
            _Struct(f"{interface.name}_out", _members(interface.outputs)),
        ]
    return _Function(
        _macros(declared), _statuses(declared), f"{interface.name}_status", structs, _remarks(interface, told=told),
        _declarations(declared),
    )  # fmt: skip


def _macros(declared: Declared) -> list[tuple[str, str, str]]:
    interface = declared.interface
    parameters = f"({', '.join(name for name, _ in interface.sizes)})" if interface.sizes else ""
    names = {symbol: name for name, symbol in interface.sizes}
    constant = isinstance(interface.workspace, int)
    remark = "bytes: a constant, so it can be a static array" if constant else "bytes"
    size = f"WORKSPACE_SIZE{'' if constant else parameters}"
    flops = f"FLOPS{'' if isinstance(interface.flops, int) else parameters}"
    rows = [
        ("ABI_VERSION", str(ABI_VERSION), ""),
        (size, size_text(interface.workspace, names, C), remark),
        ("WORKSPACE_ALIGN", str(interface.alignment), ""),
        (flops, size_text(interface.flops, names, C), "of a call"),
    ]
    if declared.stack is not None:
        rows.append(("STACK_SIZE", str(declared.stack), "bytes of stack that a call takes at most"))
    if declared.selftest:
        rows.append(("SELFTEST_SIZE", str(declared.selftest), "bytes of memory for the self-test"))
    width = max(len(name) for name, _, _ in rows)
    return [_macro(f"{interface.macro}_{name.ljust(width)}", value, remark) for name, value, remark in rows]


def _macro(name: str, value: str, remark: str) -> tuple[str, str, str]:
    """A macro with its value and a remark; a long value stands on lines of its own."""
    if len(f"#define {name} {value}  /* {remark} */") <= COLUMNS:
        return name, value, remark
    parts = [f"{part} :" for part in value.split(" : ")[:-1]] + [value.split(" : ")[-1]]
    lines = [line for part in parts for line in textwrap.wrap(part, COLUMNS - 6, break_long_words=False)]
    return name.rstrip(), "\\\n    " + " \\\n    ".join(lines), remark


def _statuses(declared: Declared) -> list[str]:
    """The enumerators, short remarks behind them; what a check found, above."""
    interface = declared.interface
    null = "in or out is NULL" if interface.in_structs else "an input is NULL"
    rows = [("OK", 0, ""), ("NULL_INPUT", 1, null), ("WORKSPACE", 2, "missing, or not aligned")]
    if declared.selftest is not None:
        rows.append(("WRONG", 3, "of the self-test: a result is not as recorded"))
    width = max(len(name) for name, _, _ in rows)
    lines = [
        f"{interface.macro}_{name} = {value},{f'{chr(32) * (width - len(name))}  /* {remark} */' if remark else ''}"
        for name, value, remark in rows
    ]
    for failure in interface.failures:
        said = in_comment(f"{failure.message.replace(' {}', '')}")
        lines += _comment(textwrap.wrap(said, COLUMNS - 10, break_on_hyphens=False))
        lines.append(f"{interface.macro}_{failure.name} = {failure.status},")
    last = max(k for k, line in enumerate(lines) if " = " in line and line.startswith(interface.macro))
    lines[last] = lines[last].replace(",", " ", 1).rstrip()
    return lines


def _comment(lines: Sequence[str]) -> list[str]:
    """Lines as a comment."""
    starts = ["/* ", *[" * "] * (len(lines) - 1)]
    ends = [*[""] * (len(lines) - 1), " */"]
    return [f"{start}{line}{end}" for start, line, end in zip(starts, lines, ends, strict=True)]


def _members(arguments: Sequence[Argument]) -> list[str]:
    """The members of a struct, those of one type in one declaration."""
    lines = []
    for kind, group in groupby(arguments, key=lambda a: a.c_type):
        members = list(group)
        plain = f"{kind} {', '.join(a.name for a in members)};"
        wrapped = textwrap.wrap(plain, COLUMNS - 4, subsequent_indent="    ", break_on_hyphens=False)
        others = [f"{a.name} is {in_comment(a.path)}" for a in members if _is_other(a)]
        lines += wrapped
        lines += [f"/* {line} */" for line in textwrap.wrap("; ".join(others), COLUMNS - 10)]
    return lines


def _is_other(argument: Argument) -> bool:
    """Whether the user calls it something that the name in C does not tell."""
    return argument.path != argument.name and not (
        argument.name.startswith("d_") and argument.path.endswith(f"/d{argument.name[2:]}")
    )


def _remarks(interface: Interface, *, told: bool) -> list[str]:
    """The comment above the declaration."""
    compiled_in = [f"Compiled in: {', '.join(f'{path} = {text}' for path, text in interface.compiled_in)}."]
    lines = [f"{_computes(interface)}."] if told else []
    lines += compiled_in if interface.compiled_in else []
    if not interface.in_structs:
        names = [name for name, _ in interface.sizes]
        width = max(len(n) for n in (*names, *(a.name for a in (*interface.inputs, *interface.outputs)), "workspace"))
        if names:
            lines += ["Sizes:", *[f"  {name.ljust(width)}  each call's own" for name in names]]
        if interface.inputs:
            lines += ["Inputs:", *_rows(interface.inputs, width, interface)]
        alone = len(interface.outputs) == 1
        lines.append("Result:" if alone else "Results; one whose pointer is NULL is not written:")
        lines += _rows(interface.outputs, width, interface)
        lines.append("Arrays are row-major without gaps; results overlap nothing else.")
        if any(a.is_complex for a in (*interface.inputs, *interface.outputs)):
            lines.append(
                "The parts of a complex number stand in turn, the real one first, as in C's and C++'s own types."
            )
        donated = [f"{a.name} may be {a.place}" for a in interface.outputs if a.place and not a.is_number]
        if donated:
            lines.append(
                f"But results may stand where inputs do, which are updated in place then: {', '.join(donated)}."
            )
    lines += _about_workspace(interface)
    return [part for line in lines for part in _filled(in_comment(line) if not line.startswith("  ") else line)]


def _filled(line: str) -> list[str]:
    return textwrap.wrap(line, COLUMNS - 3, subsequent_indent="    ", break_on_hyphens=False) or [""]


def _about_workspace(interface: Interface) -> list[str]:
    if interface.workspace == 0:
        return ["It needs no workspace: pass NULL. Calls may run side by side."]
    size = f"{interface.macro}_WORKSPACE_SIZE"
    if not isinstance(interface.workspace, int):
        size += f"({', '.join(name for name, _ in interface.sizes)})"
    where = f"The workspace has {size} bytes and starts at a multiple of {interface.alignment}."
    return [f"{where} Calls may run side by side, each with a workspace of its own."]


def _rows(arguments: Sequence[Argument], width: int, interface: Interface) -> list[str]:
    rows = [(a, _layout(a, interface)) for a in arguments]
    widest = max(len(layout) for _, layout in rows)
    return [
        "  " + f"{a.name.ljust(width)}  {layout.ljust(widest)}  {in_comment(a.path) if _is_other(a) else ''}".rstrip()
        for a, layout in rows
    ]


def _layout(argument: Argument, interface: Interface) -> str:
    """``[4][3], w[i*3 + j]``"""
    if argument.is_number:
        return "a number"
    names = {symbol: name for name, symbol in interface.sizes}
    dims = [_plain(dim, names) for dim in argument.aval.shape]
    shape = "".join(f"[{dim}]" for dim in dims)
    if argument.is_complex:
        return f"{shape}, complex"
    if len(dims) == 1 or len(dims) > 4:
        return shape
    index = "i"
    for letter, dim in zip("jkl", dims[1:], strict=False):
        index = f"{index}*{dim}" if index == "i" else f"({index})*{dim}"
        index = f"{index} + {letter}"
    return f"{shape}, {argument.name}[{index}]"


def _plain(dim: Dim, names: dict[str, str]) -> str:
    """A size as it reads best: a number, a name, or a formula in parentheses."""
    text = shown(dim, names)
    return text if text.isalnum() or text.isidentifier() else f"({text.strip('()')})"


def _declarations(declared: Declared) -> list[str]:
    interface = declared.interface
    name = interface.name
    if interface.in_structs:
        parameters = [f"const {name}_in *in", f"{name}_out *out", "void *workspace"]
    else:
        parameters = [f"size_t {size}" for size, _ in interface.sizes]
        parameters += [
            f"{a.c_type} {a.name}" if a.is_number else f"const {a.c_type} *{a.name}" for a in interface.inputs
        ]
        parameters += [f"{a.c_type} *{a.name}" for a in interface.outputs]
        parameters.append("void *workspace")
    lines = _wrapped(f"{name}_status {name}(", parameters)
    if len(declared.suffixes) > 1:
        lines += _versions(declared, parameters)
    if declared.selftest is not None:
        what = "recorded inputs against recorded results"
        memory = "void *memory" if declared.selftest else "void"
        where = f", in {interface.macro}_SELFTEST_SIZE bytes at a multiple of 64" if declared.selftest else ""
        told = f"{what[0].upper()}{what[1:]}{where}."
        told += f" It takes at most {declared.test_stack} bytes of stack." if declared.test_stack else ""
        lines += ["", *_comment(textwrap.wrap(told, COLUMNS - 3)), f"{name}_status {name}_selftest({memory});"]
    return lines


def _versions(declared: Declared, parameters: Sequence[str]) -> list[str]:
    """The versions for abler processors, and the function that chooses."""
    name = declared.interface.name
    lines = ["", "/* The same for processors with more instructions; others stop the program with SIGILL. */"]
    for suffix in declared.suffixes[1:]:
        lines += _wrapped(f"{name}_status {name}{suffix}(", parameters)
    remark = "The version for the processor that asks. It takes microseconds: call it once and keep the result."
    lines += ["", *_wrapped(f"typedef {name}_status (*{name}_function)(", parameters)]
    return [*lines, f"/* {remark} */", f"{name}_function {name}_select(void);"]


def _wrapped(head: str, parameters: Sequence[str]) -> list[str]:
    """A declaration, broken between its parameters where it is too long."""
    whole = f"{head}{', '.join(parameters)});"
    if len(whole) <= COLUMNS:
        return [whole]
    lines, current = [head], ""
    for parameter in [*[f"{p}," for p in parameters[:-1]], f"{parameters[-1]});"]:
        if current and len(current) + len(parameter) + 9 > COLUMNS:
            lines.append(f"        {current}")
            current = ""
        current = f"{current} {parameter}".lstrip()
    return [*lines, f"        {current}"]
