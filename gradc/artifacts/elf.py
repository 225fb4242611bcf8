"""Reading the symbols of ELF object files: what they define for others, and what they lack.

The layout of headers and symbol tables is that of the System V ABI, chapter 4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_SYMBOL_TABLE: Final = 2
_UNDEFINED: Final = 0
_LOCAL: Final = 0


@dataclass(frozen=True, slots=True)
class Symbols:
    """The global symbols of an object file."""

    defined: tuple[str, ...]
    undefined: tuple[str, ...]


def symbols_of(content: bytes) -> Symbols:
    """The global symbols of a little-endian ELF object of 32 or 64 bits. Raises ValueError for other files."""
    if content[:4] != b"\x7fELF" or content[5] != 1:
        raise ValueError("not a little-endian ELF file")
    defined: list[str] = []
    undefined: list[str] = []
    for name, binding, section in _entries(content, wide=content[4] == 2):
        if binding != _LOCAL:
            (undefined if section == _UNDEFINED else defined).append(name)
    return Symbols(tuple(sorted(defined)), tuple(sorted(undefined)))


def _entries(content: bytes, *, wide: bool) -> Iterator[tuple[str, int, int]]:
    """Name, binding and section of each symbol."""
    start, size, count = (
        (*struct.unpack_from("<Q", content, 0x28), *struct.unpack_from("<HH", content, 0x3A))
        if wide
        else (*struct.unpack_from("<I", content, 0x20), *struct.unpack_from("<HH", content, 0x2E))
    )
    sections = [
        # type, offset, size, link
        _picked(struct.unpack_from("<IIQQQQIIQQ" if wide else "<10I", content, start + k * size))
        for k in range(count)
    ]
    for kind, offset, length, link in sections:
        if kind != _SYMBOL_TABLE:
            continue
        strings = sections[link][1]
        for place in range(offset, offset + length, 24 if wide else 16):
            if wide:
                name, info, _, section = struct.unpack_from("<IBBH", content, place)
            else:
                name, _, _, info, _, section = struct.unpack_from("<IIIBBH", content, place)
            end = content.index(b"\0", strings + name)
            if name:
                yield content[strings + name : end].decode(), info >> 4, section


def _picked(header: tuple[int, ...]) -> tuple[int, int, int, int]:
    return header[1], header[4], header[5], header[6]
