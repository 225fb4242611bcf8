"""How many bytes of stack a call of a function takes at most, read off the assembly of its module.

All that a function takes off the stack pointer counts, wherever it does, alignment as if all of it were lost; what it
calls, or mentions by its address, comes on top. So the sum is a bound, some tens of bytes above what a call takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

_Take = tuple[str, Callable[[re.Match[str]], int]]

_ALIGNMENT: Final = 64


def _number(found: re.Match[str]) -> int:
    return int(found[1])


def _aligned(found: re.Match[str]) -> int:
    return _ALIGNMENT


def _shifted(found: re.Match[str]) -> int:
    return int(found[1]) << (12 if found[2] else 0)


def _listed(found: re.Match[str]) -> int:
    registers = found[2].split(",")
    return len(registers) * (8 if found[2].lstrip().startswith("d") else 4)


_X86: Final[tuple[_Take, ...]] = (
    (r"\bpushq\s", lambda found: 8),
    (r"\bsubq\s+\$(\d+), %rsp", _number),
    (r"\bandq\s+\$-\d+, %rsp", _aligned),
)
_AARCH64: Final[tuple[_Take, ...]] = (
    (r"\bsub\s+(?:sp|x\d+), sp, #(\d+)(, lsl #12)?", _shifted),
    (r"\[sp, #-(\d+)\]!", _number),
    (r"\band\s+sp, x\d+, ", _aligned),
)
_ARM: Final[tuple[_Take, ...]] = (
    (r"\b(v?push)(?:\.w)?\s+\{([^}]*)\}", _listed),
    (r"\bsub(?:\.w|w)?\s+sp, (?:sp, )?#(\d+)", _number),
    (r"\[sp, #-(\d+)\]!", _number),
    (r"\bbf[ci]\s+\w+, #0, #\d+", _aligned),
)
_RISCV: Final[tuple[_Take, ...]] = (
    (r"\baddi\s+sp, sp, -(\d+)", _number),
    (r"\blui\s+(\w+), (\d+)\s(?:[^\n]*\n){1,3}?\s*sub\s+sp, sp, \1\b", lambda found: (int(found[2]) << 12) + 2048),
    (r"\bandi\s+sp, sp, -\d+", _aligned),
)
_WASM: Final[tuple[_Take, ...]] = (
    (r"\bglobal\.get\s+__stack_pointer\s+(?:local\.\w+\s+\d+\s+)*i32\.const\s+(\d+)\s+i32\.sub", _number),
    (r"\bi32\.const\s+-64\s+i32\.and", _aligned),
)

_TAKES: Final[tuple[tuple[str, tuple[_Take, ...], int, int], ...]] = (
    ("x86_64", _X86, 8, 128),
    ("aarch64", _AARCH64, 0, 0),
    ("arm64", _AARCH64, 0, 0),
    ("riscv64", _RISCV, 0, 0),
    ("wasm32", _WASM, 0, 0),
    ("arm", _ARM, 0, 0),
    ("thumb", _ARM, 0, 0),
)
"""By the start of a triple: what takes stack, the bytes of a return address, and those below the stack pointer that a
function uses without taking them."""

_LABEL: Final = re.compile(r"^(?!\.L)([\w.$]+):", re.MULTILINE)
_APPLE_LABEL: Final = re.compile(r"^(?!L)([\w.$]+):", re.MULTILINE)
"""The labels that are no places within a function. Names of functions begin with ``_`` on Apple's systems alone."""
_COMMENT: Final = re.compile(r"(?://|@|#+|;)\s.*$", re.MULTILINE)
_DIRECTIVE: Final = re.compile(r"^\s*\.(?!quad|xword|dword|long|word|8byte|4byte|int32|int64)\w.*$", re.MULTILINE)


def stack_bytes(assembly: str, triple: str, roots: Sequence[str]) -> int:
    """The most bytes that a call of one of ``roots`` takes, in the assembly of a module for a machine."""
    takes, address, below = next(row[1:] for row in _TAKES if triple.startswith(row[0]))
    text = _DIRECTIVE.sub("", _COMMENT.sub("", assembly))
    pieces = (_APPLE_LABEL if "apple" in triple else _LABEL).split(text)[1:]
    bodies = dict(zip(pieces[::2], pieces[1::2], strict=True))
    frames = {
        name: address + sum(take(found) for pattern, take in takes for found in re.finditer(pattern, body))
        for name, body in bodies.items()
    }
    mentioned = {name: [w for w in set(re.findall(r"[\w.$]+", body)) if w in bodies] for name, body in bodies.items()}
    deepest: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in deepest:
            deepest[name] = 0  # where a function is reached again, it is by its address alone: nothing recurses
            deepest[name] = frames[name] + max((depth(other) for other in mentioned[name]), default=0)
        return deepest[name]

    return below + max(depth(root if root in bodies else f"_{root}") for root in roots)
