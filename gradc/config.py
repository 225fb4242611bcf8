"""The knobs: each an environment variable ``GRADC_...`` and a context manager.

    with config.stabilize("off"):
        ...                         # in this thread or task only

``config.stabilize.value`` is what holds now: the innermost ``with``, else the variable, else the default.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from gradc.errors import ArgumentError

T = TypeVar("T")


class Knob(Generic[T]):
    """One setting. ``read`` turns text into a value and raises ValueError for text that is none."""

    def __init__(self, variable: str, default: T, read: Callable[[str], T]) -> None:
        self.variable = variable
        self.default = default
        self._read = read
        self._chosen: ContextVar[T] = ContextVar(variable)
        self._key = os.environ.encodekey(variable)

    @property
    def value(self) -> T:
        """What holds now. Raises ArgumentError where the environment variable has no valid value."""
        chosen = self._chosen.get(None)
        if chosen is not None:
            return chosen
        encoded = environment().get(self._key)
        if not encoded:
            return self.default
        text = os.environ.decodevalue(encoded)
        try:
            return self._read(text)
        except ValueError as error:
            raise ArgumentError(f"the environment variable {self.variable}={text!r} is not valid: {error}") from error

    def source(self) -> tuple[ContextVar[T], T | None, Any, Any]:
        """What decides the value, to compare by identity: the context variable and what it holds, then the key of the
        environment and what it holds there. None where it holds nothing."""
        return self._chosen, self._chosen.get(None), self._key, environment().get(self._key)

    @contextmanager
    def __call__(self, value: T) -> Iterator[None]:
        """Let ``value`` hold inside a ``with`` block."""
        token = self._chosen.set(value)
        try:
            yield
        finally:
            self._chosen.reset(token)


def environment() -> dict[Any, Any]:
    """The variables of the environment as ``os.environ`` keeps them, encoded."""
    return os.environ._data  # type: ignore[attr-defined, no-any-return]


def threads_now() -> int:
    """The threads of functions that are given none: the knob's, else OMP_NUM_THREADS, else one for each processor."""
    if threads.value:
        return threads.value
    most = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(most) if most.isascii() and most.isdecimal() and int(most) else processors()


def _choice(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"it is one of {', '.join(choices)}")
        return text

    return read


def _switch(text: str) -> bool:
    if text.lower() not in ("0", "1", "true", "false"):
        raise ValueError("it is 0 or 1")
    return text.lower() in ("1", "true")


CONTROL_GROUPS: Final = (Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
"""Where Linux says which control groups this process is in, and where they stand."""


def processors() -> int:
    """How many processors this process may run on; no more than its control groups pay for, in whole ones."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return max(1, int(min(len(usable), _paid())))


@cache
def _paid() -> float:
    """The processors' time that control groups give this process, in processors. Read once: it seldom changes."""
    table, root = CONTROL_GROUPS
    return min([share for group in _groups(table, root) for share in _shares(group)], default=math.inf)


def _groups(table: Path, root: Path) -> Iterator[Path]:
    """The directories of the process's control groups, of version 2 and 1, and of those around them."""
    for line in _words(table, "\n"):
        number, controllers, place = (*line.split(":", 2), "", "")[:3]
        second = number == "0" and not controllers
        if not second and "cpu" not in controllers.split(","):
            continue
        for top in (root, root / "unified") if second else (root / controllers, root / "cpu"):
            group = top / place.lstrip("/")
            # In a container the place may be one of the machine, which cannot be seen from inside.
            yield from (top, *(part for part in (group, *group.parents) if part.is_relative_to(top)))


def _shares(group: Path) -> Iterator[float]:
    """The processors that one control group pays for, where it says so."""
    quota = _words(group / "cpu.max")
    if not quota:
        quota = [*_words(group / "cpu.cfs_quota_us"), *_words(group / "cpu.cfs_period_us")]
    if len(quota) == 2 and all(word.isdecimal() for word in quota) and int(quota[1]):
        yield int(quota[0]) / int(quota[1])


def _words(path: Path, separator: str | None = None) -> list[str]:
    """The words of a file; none where it cannot be read."""
    try:
        return path.read_text().split(separator)
    except (OSError, UnicodeDecodeError):
        return []


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError("it is a whole number")
    return int(text)


stabilize: Final = Knob("GRADC_STABILIZE", "safe", _choice("off", "safe", "aggressive"))
"""The level of functions that are given none: ``off``, ``safe`` or ``aggressive``."""

backend: Final = Knob("GRADC_BACKEND", "llvm", _choice("llvm", "numpy", "reference", "debug"))
"""The backend of functions that are given none."""

roll: Final = Knob("GRADC_ROLL", True, _switch)
"""Whether recurrences that a function writes out step by step become loops again for the LLVM backend."""

threads: Final = Knob("GRADC_THREADS", 0, _count)
"""The threads of functions that are given none; 0: see ``threads_now``."""

verify: Final = Knob("GRADC_VERIFY", False, _switch)
"""Whether graphs are verified between passes: slow, for the tests and for whoever writes a pass."""

dump: Final = Knob("GRADC_DUMP", "", str)
"""A directory into which every stage of a compilation is written, or empty."""

cache_dir: Final = Knob("GRADC_CACHE_DIR", "", str)
"""A private directory in which machine code is kept between processes, or empty: none is kept."""
