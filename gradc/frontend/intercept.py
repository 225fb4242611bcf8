"""Functions of NumPy and SciPy that do not dispatch on traced arrays, replaced while a function is traced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def intercepted(function: Callable[..., Any], arguments: Any) -> Iterator[None]:
    """Replace, for the time of a trace, what ``function`` and its arguments can reach."""
    yield
