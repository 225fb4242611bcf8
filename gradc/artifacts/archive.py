"""Static libraries: ``ar`` archives with an index of symbols, as the linkers of Unix, Windows and macOS read them.

The formats are those of System V and, for macOS, of BSD: https://en.wikipedia.org/wiki/Ar_(Unix). No times, owners or
modes of ours get in, so equal members make equal archives.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_MAGIC: Final = b"!<arch>\n"
_HEADER: Final = 60
_SHORT: Final = 15


@dataclass(frozen=True, slots=True)
class Member:
    """An object file and the symbols that it defines for others."""

    name: str
    content: bytes
    symbols: Sequence[str]


def archive(members: Sequence[Member]) -> bytes:
    """The bytes of the archive."""
    long_names = b""
    names = []
    for member in members:
        if len(member.name) <= _SHORT:
            names.append(f"{member.name}/")
        else:
            names.append(f"/{len(long_names)}")
            long_names += f"{member.name}/\n".encode()
    bodies = [_entry(name, member.content) for name, member in zip(names, members, strict=True)]
    table = _entry("//", long_names) if long_names else b""
    symbols = [symbol for member in members for symbol in member.symbols]
    text = b"".join(symbol.encode() + b"\0" for symbol in symbols)
    index_size = 4 + 4 * len(symbols) + len(text)
    place = len(_MAGIC) + _HEADER + index_size + index_size % 2 + len(table)
    places: list[int] = []
    for member, body in zip(members, bodies, strict=True):
        places += [place] * len(member.symbols)
        place += len(body)
    index = struct.pack(f">{1 + len(places)}I", len(places), *places) + text
    return b"".join([_MAGIC, _entry("/", index), table, *bodies])


def bsd_archive(members: Sequence[Member]) -> bytes:
    """The same as macOS's linker reads it: members at multiples of 8, C's symbols with an underscore before them."""
    symbols = sorted((f"_{symbol}", place) for place, member in enumerate(members) for symbol in member.symbols)
    text = b"".join(symbol.encode() + b"\0" for symbol, _ in symbols)
    text += b"\0" * (-len(text) % 8)
    bodies = [_named_entry(member.name, member.content) for member in members]
    size = len(_named_entry("__.SYMDEF SORTED", b"\0" * (8 + 8 * len(symbols) + len(text))))
    places, place = [], len(_MAGIC) + size
    for body in bodies:
        places.append(place)
        place += len(body)
    ranlibs, offset = b"", 0
    for symbol, member in symbols:
        ranlibs += struct.pack("<II", offset, places[member])
        offset += len(symbol) + 1
    index = struct.pack("<I", len(ranlibs)) + ranlibs + struct.pack("<I", len(text)) + text
    return b"".join([_MAGIC, _named_entry("__.SYMDEF SORTED", index), *bodies])


def _named_entry(name: str, content: bytes) -> bytes:
    """A member whose name stands before its bytes, both padded so that the next one starts at a multiple of 8."""
    label = name.encode() + b"\0" * (-(len(_MAGIC) + _HEADER + len(name)) % 8)
    return _entry(f"#1/{len(label)}", label + content + b"\0" * (-len(content) % 8))


def _entry(name: str, content: bytes) -> bytes:
    """A member: its header, its bytes, and one more where their number is odd."""
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(content):<10}`\n".encode()
    return header + content + b"\n" * (len(content) % 2)
