"""Objects with entries: what Function and Kernel are."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gradc.backends.llvm.entry.native import WAYS, Native, call_natively, is_called_natively, point

if TYPE_CHECKING:
    from gradc.backends.llvm.entry.load import NativeEntry

Source = tuple[Any, Any, Any, Any]
"""What a setting came from: ``gradc.config.Knob.source``."""


@dataclass(frozen=True, eq=False)
class _Ways:
    """The entries of an object, the one that was added last in front, and what holds where they may be used."""

    entries: tuple[NativeEntry, ...]
    sources: tuple[Source, ...]
    fallback: Any


class Callee(Native):
    """An object whose ``__call__`` is Python, and whose calls machine code answers where an entry fits.

    That holds for classes made with ``native=True``; a class below one of them that says nothing is called as any.
    """

    # A slot: whatever happens to the ``__dict__``, what the pointers of the object point to stays.
    __slots__ = ("_ways",)

    _ways: _Ways

    def __init_subclass__(cls, *, native: bool = False) -> None:
        if native:
            call_natively(cls)

    def add_entry(self, entry: NativeEntry | None, sources: Sequence[Source] = ()) -> None:
        """Have calls tried on this entry first, if there is one, while the settings come from the given sources.

        Entries that were added under other settings are forgotten, and the oldest beyond ``WAYS``.
        """
        if entry is None or not is_called_natively(type(self)):
            return
        known: _Ways | None = getattr(self, "_ways", None)
        same = known is not None and len(known.sources) == len(sources) and all(map(_same, known.sources, sources))
        if known is not None and same and entry in known.entries:
            return
        from gradc.backends.llvm.entry.load import dispatcher

        with _LOCK:
            rest = [e for e in known.entries if e is not entry] if known is not None and same else []
            # All that is pointed to stands in ``ways``, and what was before stays until the pointers have changed.
            ways = _Ways((entry, *rest)[:WAYS], tuple(sources), type(self).__call__)
            words = [0 if part is None else id(part) for source in ways.sources for part in source]
            point(self, dispatcher(), ways.fallback, [e.address for e in ways.entries], words)
            self._ways = ways

    @abstractmethod
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The whole way of a call, in Python."""

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__)


_LOCK: Final = threading.Lock()


def _same(first: Source, second: Source) -> bool:
    return all(a is b for a, b in zip(first, second, strict=True))
