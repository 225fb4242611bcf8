"""Names in generated code. They come from outside, so they are data: made safe here, in one place."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Iterable

RESERVED = frozenset(keyword.kwlist) | frozenset(keyword.softkwlist) | frozenset(dir(builtins)) | {"np"}
"""What a generated name may not be: keywords, builtins (generated code uses some) and the name of NumPy."""

LONGEST = 40


def identifier(wanted: str, fallback: str = "t") -> str:
    """An identifier that reads like ``wanted``: what cannot stand in one becomes ``_``.

    Python folds identifiers to Unicode's NFKC, so that is done here: two names that are one to Python must
    be one to us.
    """
    folded = unicodedata.normalize("NFKC", wanted)
    name = re.sub(r"[^\w]+", "_", folded)[:LONGEST].strip("_") if folded.strip("_") else ""
    if not name:
        return fallback
    if not name.isidentifier():
        name = f"{fallback}_{name}"
    if not name.isidentifier():
        return fallback
    return f"{name}_" if name in RESERVED else name


class Names:
    """Hands out names, each once. Names of the user's code can be reserved: only their own values get them."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._reserved: set[str] = set()
        self._next: dict[str, int] = {}

    def reserve(self, wanted: Iterable[str]) -> None:
        """Keep names for ``take_reserved``."""
        self._reserved.update(map(identifier, wanted))

    def take(self, wanted: str, fallback: str = "t") -> str:
        """A free name like ``wanted``: itself, or with a number behind it."""
        name = identifier(wanted, fallback)
        if name in self._taken or name in self._reserved:
            return self._numbered(name, 2)
        self._taken.add(name)
        return name

    def take_reserved(self, wanted: str) -> str:
        """The user's name for the first value that has it, a number behind it for the next."""
        name = identifier(wanted)
        if name in self._taken:
            return self._numbered(name, 2)
        self._taken.add(name)
        return name

    def numbered(self, stem: str) -> str:
        """The next free name of the row ``t1``, ``t2``, ..."""
        return self._numbered(stem, 1)

    def _numbered(self, stem: str, first: int) -> str:
        stem = stem if stem[-1].isalpha() else f"{stem}_"
        number = self._next.get(stem, first)
        while f"{stem}{number}" in self._taken or f"{stem}{number}" in self._reserved:
            number += 1
        self._next[stem] = number + 1
        self._taken.add(f"{stem}{number}")
        return f"{stem}{number}"
