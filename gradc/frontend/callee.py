"""Whether a frame's code calls a function itself, and not some compiled code that the frame has called.

Compiled code leaves no frame: when Cython calls ``np.empty``, the caller that Python sees is whoever called Cython. It
relies on getting a plain array, often without a check, so a stand-in has to know. The instruction that stands in the
user's frame tells: the expression that it calls is found by its place in the source.
"""

from __future__ import annotations

import bisect
import dis
import functools
import inspect
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

_BASES: Final = (
    "LOAD_GLOBAL", "LOAD_NAME", "LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK", "LOAD_DEREF",
)  # fmt: skip
_ATTRIBUTES: Final = ("LOAD_ATTR", "LOAD_METHOD")
_CONSTANTS: Final = ("LOAD_CONST", "LOAD_SMALL_INT")
_TABLES: Final = (dict, list, tuple)
_CALLS: Final = ("CALL", "CALL_KW", "CALL_FUNCTION_EX", "PRECALL")


class _Item(NamedTuple):
    """``[key]`` in a called expression, of a constant or of a variable."""

    key: Any
    is_variable: bool


Chain = tuple[str | _Item, ...]


class _Calls(NamedTuple):
    """The calls in a code object by the offset of their instructions, found as they are met."""

    code: CodeType
    instructions: list[dis.Instruction]
    offsets: list[int]
    chains: dict[int, Chain]


_CHAINS: Final[dict[int, _Calls]] = {}
_CHAINS_KEPT: Final = 256
_UNKNOWN: Final = object()


def calls_itself(frame: FrameType, function: Any, name: str) -> bool:
    """Whether the call that ``frame`` is at is one of ``function``, whose own name is ``name``.

    Where the called expression is more than variables, attributes and items of tables, the last attribute has to be
    ``name``. A partial is a call of its function.
    """
    chain = _chain(frame.f_code, frame.f_lasti)
    if not chain:
        return False
    content = _variable(frame, str(chain[0])) if chain[0] else _UNKNOWN
    for step in chain[1:]:
        if content is _UNKNOWN:
            break
        content = _taken(frame, content, step) if isinstance(step, _Item) else _attribute(content, step)
    while type(content) is functools.partial:
        content = content.func
    return chain[-1] == name if content is _UNKNOWN else content is function


def _attribute(x: Any, name: str) -> Any:
    found = inspect.getattr_static(x, name, _UNKNOWN)
    return found.__func__ if isinstance(found, staticmethod) else found


def _taken(frame: FrameType, table: Any, item: _Item) -> Any:
    """What stands in a table of Python's own types, whose items are read without code of the user's."""
    key = _variable(frame, item.key) if item.is_variable else item.key
    if type(table) not in _TABLES or type(key) not in (str, int):
        return _UNKNOWN
    try:
        return table[key]
    except (LookupError, TypeError):
        return _UNKNOWN


def _chain(code: CodeType, offset: int) -> Chain:
    """The called expression as a variable, its attributes and items, ``("np", "zeros")``; the variable is empty where
    the expression begins otherwise. Nothing where the instruction is no call, or calls something else."""
    known = _CHAINS.get(id(code))
    if known is None or known.code is not code:
        if len(_CHAINS) >= _CHAINS_KEPT:
            _CHAINS.clear()
        instructions = list(dis.get_instructions(code))
        known = _CHAINS[id(code)] = _Calls(code, instructions, [i.offset for i in instructions], {})
    chain = known.chains.get(offset)
    if chain is None:
        position = bisect.bisect_right(known.offsets, offset) - 1
        chain = known.chains[offset] = _find(known.instructions, position)
    return chain


def _find(instructions: list[dis.Instruction], position: int) -> Chain:
    call = instructions[position].positions
    if instructions[position].opname not in _CALLS or call is None or call.lineno is None or call.col_offset is None:
        return ()
    chain: list[str | _Item] = []
    start, end = (call.lineno, call.col_offset), _end(call)
    for before in range(position - 1, -1, -1):
        instruction = instructions[before]
        place = instruction.positions
        if place is None or place.lineno is None or place.end_lineno is None:
            continue
        if place.end_lineno < call.lineno:
            break
        if (place.lineno, place.col_offset) != start or not _end(place) < end:
            continue
        if instruction.opname in _ATTRIBUTES:
            chain.insert(0, str(instruction.argval))
            end = _end(place)
        elif _is_subscript(instruction) and before and (item := _item(instructions[before - 1])) is not None:
            chain.insert(0, item)
            end = _end(place)
        elif instruction.opname in _BASES:
            return (str(instruction.argval), *chain)
        elif chain and instruction.opname != "PUSH_NULL":
            break
    return ("", *chain) if chain else ()


def _is_subscript(instruction: dis.Instruction) -> bool:
    return instruction.opname == "BINARY_SUBSCR" or (
        instruction.opname == "BINARY_OP" and instruction.argrepr.startswith("[")
    )


def _item(instruction: dis.Instruction) -> _Item | None:
    """The key that an instruction loads, where it is one constant or variable."""
    if instruction.opname in _CONSTANTS:
        return _Item(instruction.argval, False)
    return _Item(str(instruction.argval), True) if instruction.opname in _BASES else None


def _end(place: dis.Positions) -> tuple[int, int]:
    return (place.end_lineno or 0, place.end_col_offset or 0)


def _variable(frame: FrameType, name: str) -> Any:
    for scope in (frame.f_locals, frame.f_globals):
        if name in scope:
            return scope[name]
    return _UNKNOWN
