"""Linking entries into this process, and letting them go when nobody runs them any more."""

from __future__ import annotations

import ctypes
import weakref
from functools import cache
from typing import Any, Final

import numpy as np

from gradc.backends.llvm.cache import kept_object
from gradc.backends.llvm.entry.abi import Abi, abi
from gradc.backends.llvm.entry.emit import KERNEL, PARAMETERS, emit_entry, parameter_table
from gradc.backends.llvm.entry.helpers import EXPORTS
from gradc.backends.llvm.entry.plan import Fixed, Plan
from gradc.backends.llvm.entry.reuse import KEPT, RECORD_RESULTS
from gradc.backends.llvm.entry.runtime import RECORD_ARENAS, RECORD_CALLS, RECORD_WORDS, text
from gradc.backends.llvm.jit import Entry, link
from gradc.config import environment
from gradc.frontend.session import RUNNING


class NativeEntry:
    """A kernel's entry: its machine code and everything that the code names. Made by ``native_entry``.

    The code goes when ``_token`` is deallocated: an array, which the collector does not track. What it tracks is
    finalized while others of a dying cycle may still call.
    """

    def __init__(self, kernel: Entry, library: Any, address: int, named: list[object], owned: list[object]) -> None:
        self._record = (ctypes.c_size_t * RECORD_WORDS)(address)
        self._named = named
        self._kept = Kept(self._record)
        self._token = np.empty(0)
        weakref.finalize(self._token, _let_go, self._record, [kernel, library, owned]).atexit = False

    @property
    def address(self) -> int:
        """Where its record stands (``gradc.backends.llvm.entry.runtime``)."""
        return ctypes.addressof(self._record)


class Kept:
    """The results of an entry that it may use again, where the collector sees them.

    Finalizers run before anything of a dying cycle is cleared: from then on the entry keeps none.
    """

    __slots__ = ("_record", "results")

    def __init__(self, record: Any) -> None:
        self.results: list[object] = [None] * KEPT
        self._record = record
        record[RECORD_RESULTS // 8] = id(self.results)

    def __del__(self, place: int = RECORD_RESULTS // 8) -> None:
        self._record[place] = 0


def native_entry(kernel: Entry, plan: Plan) -> NativeEntry | None:
    """The entry of a kernel that is called as ``plan`` says. None on interpreters whose objects are not known."""
    known = abi()
    if known is None:
        return None
    _sweep()
    ir, symbol, objects = emit_entry(plan)
    words, named = parameter_table(plan)
    table = (ctypes.c_size_t * len(words))(*words)
    addresses = known.addresses | _runtime() | {name: id(value) for name, value in objects.items()}
    addresses |= {KERNEL: kernel.address, PARAMETERS: ctypes.addressof(table)}
    library = link(kept_object(ir), addresses, [symbol], plan.name)
    # Values of the user's may lead back to the function: they are held where the collector sees them.
    fixed = [leaf.value for place in plan.places for leaf in place.leaves if isinstance(leaf, Fixed)]
    owned = [value for value in objects.values() if not any(value is own for own in fixed)]
    return NativeEntry(kernel, library, library[symbol], [*named, *fixed], [owned, table])


def dispatcher() -> int:
    """The address of the function that CPython calls for objects with entries."""
    return _runtime()["gradc.call"]


@cache
def _runtime() -> dict[str, int]:
    """The addresses of what all entries share, linked on first use."""
    known = abi()
    assert isinstance(known, Abi)
    addresses = known.addresses | {"gradc.traces": RUNNING.ctypes.data, "gradc.environment": ctypes.addressof(_ENVIRON)}
    library = link(kept_object(text()), addresses, EXPORTS, "entries")
    _KEPT.append(library)
    return {name: library[name] for name in EXPORTS}


_KEPT: Final[list[Any]] = []
_ENVIRON: Final = ctypes.py_object(environment())
_LEFT: Final[list[tuple[Any, list[object]]]] = []


def _let_go(record: Any, parts: list[object]) -> None:
    """Unload an entry, now or, where it is running, later."""
    if record[RECORD_CALLS // 8]:
        _LEFT.append((record, parts))
        return
    free = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(_runtime()["gradc.arena.free"])
    free(ctypes.addressof(record) + RECORD_ARENAS)
    parts.clear()


def _sweep() -> None:
    """Unload what was still running when it was let go."""
    waiting, _LEFT[:] = list(_LEFT), []
    for record, parts in waiting:
        _let_go(record, parts)
