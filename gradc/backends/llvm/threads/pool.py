"""The pool of this process: linked when a kernel first has use for it, stopped at exit, new in a forked child."""

from __future__ import annotations

import atexit
import ctypes
import os
import platform
import sys
from functools import cache
from typing import Any

from gradc.backends.llvm.jit import link, object_code
from gradc.backends.llvm.threads.text import CALLED, EXPORTS, SYSTEMS, System, text
from gradc.config import processors


class Pool:
    """The linked module, never unloaded: its workers run in it."""

    def __init__(self, system: System) -> None:
        self._library: Any = link(object_code(text(system), passes=False, quick=True), {}, EXPORTS, "threads")
        self.addresses: dict[str, int] = {name: self._library[name] for name in CALLED}
        """Where what kernels call stands in this process."""

    def limit(self, most: int) -> None:
        """Have at most so many workers beside the caller; those that were started stay.

        Whether they have processors to run on is found out anew.
        """
        self._call("gradc.pool.limit", most)

    def workers(self) -> int:
        """How many have been started."""
        return self._call("gradc.pool.workers")

    def forget(self) -> None:
        """In a forked child: begin anew, without the parent's workers."""
        self._call("gradc.pool.forget")
        self.limit(processors() - 1)

    def stop(self) -> None:
        """End the workers; every call runs on its own thread from now on."""
        self._call("gradc.pool.stop")

    def _call(self, name: str, *arguments: int) -> int:
        signature = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * len(arguments))
        return int(signature(self._library[name])(*arguments))


def has_threads() -> bool:
    """Whether parallel loops run on several threads on this system; where they do not, they run in order."""
    return _system() is not None


@cache
def pool() -> Pool:
    """The pool of this process. Only asked for where ``has_threads``."""
    system = _system()
    assert system is not None, "kernels that call it are only made where it runs"
    made = Pool(system)
    made.limit(processors() - 1)
    os.register_at_fork(after_in_child=made.forget)
    # Before the interpreter tears down its modules, and the machine code with them.
    atexit.register(made.stop)
    return made


def _system() -> System | None:
    wide = sys.maxsize > 2**32
    return SYSTEMS.get(platform.machine()) if sys.platform == "linux" and wide else None
