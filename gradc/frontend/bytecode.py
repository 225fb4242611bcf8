"""What a code object says about its instructions: where a result is stored, what a return gives, the user's line."""

from __future__ import annotations

import dis
import itertools
import linecache
import opcode
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

from gradc.ir.graph import Origin

RETURNED: Final = ("",)
"""The targets of an instruction whose result the function returns; no variable has this name."""

_SKIPPED: Final = frozenset({"NOP", "EXTENDED_ARG", "CACHE", "COPY", "PRECALL", "NOT_TAKEN"})
_STORES: Final = frozenset({"STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF"})
_SUBSCRIPT: Final = next((k for k, (name, _) in enumerate(getattr(opcode, "_nb_ops", ())) if name == "NB_SUBSCR"), -1)
_LOADS: Final = frozenset({"LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK", "LOAD_DEREF", "LOAD_NAME"})


_GENERATORS: Final = 0x20 | 0x80 | 0x200


class Site(NamedTuple):
    """An instruction: the variables that its result goes to, or RETURNED, or nothing; and its line."""

    targets: tuple[str, ...]
    origin: tuple[Origin, ...]


class CodeTable(NamedTuple):
    """The sites of a code object by instruction offset, and the variables each of its returns gives.

    ``call`` is the name under which calls of it are told, empty for what is no function of the user's by name;
    ``parameters`` are the variables that its arguments come in.
    """

    code: CodeType
    sites: dict[int, Site]
    returns: dict[int, tuple[str, ...]]
    call: str
    parameters: tuple[str, ...]


_TABLES: Final[dict[int, CodeTable]] = {}
_TABLES_KEPT: Final = 2048


def table_of(code: CodeType, module_globals: dict[str, Any] | None = None) -> CodeTable:
    """The table of a code object, made once. It is keyed by identity: hashing a code object reads all of it."""
    found = _TABLES.get(id(code))
    if found is not None and found.code is code:
        return found
    if len(_TABLES) >= _TABLES_KEPT:
        _TABLES.clear()
    table = _make(code, module_globals)
    _TABLES[id(code)] = table
    return table


def subscript_use(frame: FrameType | None) -> str:
    """``"store"`` where a frame is at an ``a[i] = v``, ``"load"`` where it is at an ``a[i]``, else nothing."""
    if frame is None:
        return ""
    code = frame.f_code.co_code
    name, argument = dis.opname[code[frame.f_lasti]], code[frame.f_lasti + 1]
    if name == "STORE_SUBSCR":
        return "store"
    is_load = name == "BINARY_SUBSCR" or (name == "BINARY_OP" and argument == _SUBSCRIPT)
    return "load" if is_load else ""


def shown(text: str) -> str:
    """Text from outside in one printable line, so that it can stand in messages and comments."""
    return "".join([c if c.isprintable() else " " for c in text]).strip()


def origin_of(code: CodeType, line: int, module_globals: dict[str, Any] | None = None) -> Origin:
    """A line of a code object's file; the file is shown without its directory, so that output is reproducible."""
    file = code.co_filename
    text = linecache.getline(file, line, module_globals)
    return Origin(shown(file.replace("\\", "/").rpartition("/")[2]) or "?", line, shown(text))


def _make(code: CodeType, module_globals: dict[str, Any] | None) -> CodeTable:
    linecache.checkcache(code.co_filename)
    written = list(dis.get_instructions(code))
    # In 3.11 a call has two instructions, and once it ran often a frame stands on the first while it lasts.
    begins = {two.offset: one.offset for one, two in itertools.pairwise(written) if one.opname == "PRECALL"}
    instructions = [i for i in written if i.opname not in _SKIPPED]
    lines = _lines(code, module_globals)
    sites: dict[int, Site] = {}
    returns: dict[int, tuple[str, ...]] = {}
    end = len(code.co_code)
    for position, instruction in enumerate(instructions):
        offset = instruction.offset
        following = instructions[position + 1].offset if position + 1 < len(instructions) else end
        # Unpacking an array is an operation itself: it takes the rows apart.
        first = position if instruction.opname == "UNPACK_SEQUENCE" else position + 1
        site = Site(_targets(instructions, first), lines.get(offset, ()))
        # A frame that called Python code stands, in some versions, on the inline caches after its call.
        for covered in range(begins.get(offset, offset), following, 2):
            sites[covered] = site
        if instruction.opname == "RETURN_VALUE":
            returns[offset] = _returned(instructions, position)
    named = not code.co_name.startswith("<") and not code.co_flags & _GENERATORS
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    return CodeTable(code, sites, returns, code.co_name if named else "", code.co_varnames[:count])


def _lines(code: CodeType, module_globals: dict[str, Any] | None) -> dict[int, tuple[Origin, ...]]:
    by_line: dict[int, tuple[Origin, ...]] = {}
    by_offset: dict[int, tuple[Origin, ...]] = {}
    for start, stop, line in code.co_lines():
        if line is None:
            continue
        origin = by_line.get(line)
        if origin is None:
            origin = by_line[line] = (origin_of(code, line, module_globals),)
        for offset in range(start, stop, 2):
            by_offset[offset] = origin
    return by_offset


def _stored(instruction: dis.Instruction) -> list[str] | None:
    """The variables an instruction stores to, the top of the stack first; None for any other instruction."""
    name, value = instruction.opname, instruction.argval
    if name in _STORES:
        return [value]
    if name == "STORE_FAST_STORE_FAST":
        return list(value)
    if name == "STORE_FAST_LOAD_FAST":
        return [value[0]]
    return None


def _targets(instructions: list[dis.Instruction], position: int) -> tuple[str, ...]:
    if position >= len(instructions):
        return ()
    instruction = instructions[position]
    if instruction.opname == "RETURN_VALUE":
        return RETURNED
    if instruction.opname != "UNPACK_SEQUENCE":
        stored = _stored(instruction)
        return (stored[0],) if stored else ()
    wanted, names = int(instruction.argval), list[str]()
    for following in instructions[position + 1 : position + 1 + wanted]:
        stored = _stored(following)
        if stored is None:
            break
        names += stored
    return tuple(names) if len(names) == wanted and wanted > 1 else ()


def _returned(instructions: list[dis.Instruction], position: int) -> tuple[str, ...]:
    """The local variables whose values a return gives, where it gives variables and nothing else."""
    position -= 1
    wanted = 1
    if position >= 0 and instructions[position].opname == "BUILD_TUPLE":
        wanted = int(instructions[position].argval)
        position -= 1
    names: list[str] = []
    while len(names) < wanted and position >= 0:
        instruction = instructions[position]
        if instruction.opname in _LOADS:
            names.insert(0, instruction.argval)
        elif instruction.opname in ("LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW"):
            names[:0] = instruction.argval
        else:
            return ()
        position -= 1
    return tuple(names) if len(names) == wanted else ()
