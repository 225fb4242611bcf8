"""Names in C: those of the loop program, but where C, its headers or our helpers have taken them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from gradc.backends.c_names import KEYWORDS, MACROS, Names

_HEADERS: Final = re.compile(
    r"u?int(_least|_fast)?\d+_t|u?int(ptr|max)_t|(size|ptrdiff)_t|[A-Z0-9_]*(INT|SIZE)[A-Z0-9_]*"
)
_HELPERS: Final = re.compile(r"\w+_[bfiu](8|16|32|64)")
_OWN: Final = frozenset(("in", "out", "workspace", "status", "main"))


class Spelling:
    """The C name of each name of a program, the same every time.

    ``given`` are names that should be spelled so, as far as they can; no other is spelled like one of them, one of
    ``taken``, or what a program has.
    """

    def __init__(self, programs: Iterable[str], given: Mapping[str, str], taken: Iterable[str]) -> None:
        self._out_of_use = frozenset(taken)
        self._names = Names((*programs, *given.values(), *taken))
        self._spelled = {
            name: wanted if self._is_free(wanted) else self.fresh(wanted) for name, wanted in given.items()
        }
        self._out_of_use |= frozenset(self._spelled.values())

    def __call__(self, name: str) -> str:
        if name not in self._spelled:
            self._spelled[name] = name if self._is_free(name) else self.fresh(name)
        return self._spelled[name]

    def fresh(self, wanted: str) -> str:
        """A name that nothing has, from now on taken."""
        name = self._names.take(wanted)
        while not self._is_free(name):
            name = self._names.take(f"{wanted}_x")
        return name

    def _is_free(self, name: str) -> bool:
        if name in KEYWORDS or name in MACROS or name in _OWN or name in self._out_of_use:
            return False
        return not (_HEADERS.fullmatch(name) or _HELPERS.fullmatch(name) or name.startswith("_"))
