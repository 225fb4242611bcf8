"""Archives, read back by their formats: names, contents, and the index of symbols."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from gradc.artifacts.archive import Member, archive, bsd_archive

MEMBERS = [Member("one.o", b"odd", ["first", "second"]), Member("a_name_of_many_letters.o", b"even", ["third"])]


def entries(content: bytes) -> Iterator[tuple[int, str, bytes]]:
    """Place, name and bytes of each member."""
    assert content[:8] == b"!<arch>\n"
    place = 8
    while place < len(content):
        header = content[place : place + 60]
        assert header[58:] == b"`\n"
        size = int(header[48:58])
        yield place, header[:16].decode().rstrip(), content[place + 60 : place + 60 + size]
        place += 60 + size + size % 2


def test_system_v_index_leads_to_the_members() -> None:
    found = {place: (name, body) for place, name, body in entries(archive(MEMBERS))}
    names = [name for name, _ in found.values()]
    assert names == ["/", "//", "one.o/", "/0"]
    index = next(body for name, body in found.values() if name == "/")
    (count,) = struct.unpack_from(">I", index)
    places = struct.unpack_from(f">{count}I", index, 4)
    symbols = index[4 + 4 * count :].split(b"\0")[:count]
    assert symbols == [b"first", b"second", b"third"]
    assert [found[place][1] for place in places] == [b"odd", b"odd", b"even"]
    assert next(body for name, body in found.values() if name == "//") == b"a_name_of_many_letters.o/\n"


def test_bsd_index_leads_to_the_members() -> None:
    found = {}
    for place, name, body in entries(bsd_archive(MEMBERS)):
        length = int(name.removeprefix("#1/"))
        assert (place + 60 + length) % 8 == 0
        found[place] = (body[:length].rstrip(b"\0").decode(), body[length:])
    assert [name for name, _ in found.values()] == ["__.SYMDEF SORTED", "one.o", "a_name_of_many_letters.o"]
    index = next(iter(found.values()))[1]
    (size,) = struct.unpack_from("<I", index)
    pairs = [struct.unpack_from("<II", index, 4 + 8 * k) for k in range(size // 8)]
    text = index[8 + size :]
    symbols = [text[offset : text.index(b"\0", offset)].decode() for offset, _ in pairs]
    assert symbols == ["_first", "_second", "_third"]
    assert [found[place][1].rstrip(b"\0") for _, place in pairs] == [b"odd", b"odd", b"even"]


def test_equal_members_make_equal_archives() -> None:
    assert archive(MEMBERS) == archive(list(MEMBERS))
