"""Whether a frame's code calls a function itself, and not some compiled code that the frame has called.

Compiled code leaves no frame: when Cython calls ``np.empty``, the caller that Python sees is whoever called Cython. It
relies on getting a plain array, often without a check, so a stand-in has to know. The instruction that stands in the
user's frame tells: the expression that it calls is found by its place in the source.
"""

from __future__ import annotations

import bisect
import dis
import inspect
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

_BASES: Final = (
    "LOAD_GLOBAL", "LOAD_NAME", "LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK", "LOAD_DEREF",
)  # fmt: skip
_ATTRIBUTES: Final = ("LOAD_ATTR", "LOAD_METHOD")
_CALLS: Final = ("CALL", "CALL_KW", "CALL_FUNCTION_EX", "PRECALL")


class _Calls(NamedTuple):
    """The calls in a code object by the offset of their instructions, found as they are met."""

    code: CodeType
    instructions: list[dis.Instruction]
    offsets: list[int]
    chains: dict[int, tuple[str, ...]]


_CHAINS: Final[dict[int, _Calls]] = {}
_CHAINS_KEPT: Final = 256
_UNKNOWN: Final = object()


def calls_itself(frame: FrameType, function: Any, name: str) -> bool:
    """Whether the call that ``frame`` is at is one of ``function``, whose own name is ``name``.

    Where the called expression is more than variables and attributes, the last attribute has to be ``name``.
    """
    chain = _chain(frame.f_code, frame.f_lasti)
    if not chain:
        return False
    content = _variable(frame, chain[0]) if chain[0] else _UNKNOWN
    for attribute in chain[1:]:
        if content is _UNKNOWN:
            break
        content = inspect.getattr_static(content, attribute, _UNKNOWN)
        if isinstance(content, staticmethod):
            content = content.__func__
    return chain[-1] == name if content is _UNKNOWN else content is function


def _chain(code: CodeType, offset: int) -> tuple[str, ...]:
    """The called expression as a variable and its attributes, ``("np", "zeros")``; the variable is empty where the
    expression begins otherwise. Nothing where the instruction is no call, or calls something else."""
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


def _find(instructions: list[dis.Instruction], position: int) -> tuple[str, ...]:
    call = instructions[position].positions
    if instructions[position].opname not in _CALLS or call is None or call.lineno is None or call.col_offset is None:
        return ()
    chain: list[str] = []
    start, end = (call.lineno, call.col_offset), _end(call)
    for instruction in reversed(instructions[:position]):
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
        elif instruction.opname in _BASES:
            return (str(instruction.argval), *chain)
        elif chain and instruction.opname != "PUSH_NULL":
            break
    return ("", *chain) if chain else ()


def _end(place: dis.Positions) -> tuple[int, int]:
    return (place.end_lineno or 0, place.end_col_offset or 0)


def _variable(frame: FrameType, name: str) -> Any:
    for scope in (frame.f_locals, frame.f_globals):
        if name in scope:
            return scope[name]
    return _UNKNOWN
