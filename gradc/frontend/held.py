"""Callables that hold data: objects with numbers or arrays in their attributes, and methods of them."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from gradc.frontend.tree import flatten

_DATA: Final = (np.ndarray, np.generic, int, float, complex)
_FUNCTIONS: Final = (types.FunctionType, types.ModuleType, type, np.ufunc)
_LIBRARIES: Final = frozenset({"functools", "gradc", "numpy", "scipy"})
"""Packages whose callables are functions, whatever they keep in their attributes."""


def attribute_with_data(x: Any) -> str:
    """How an attribute of a callable is reached that holds a number or an array; empty where there is none."""
    owner = getattr(x, "__self__", x)
    where = "" if owner is x else "__self__."
    if isinstance(owner, np.ndarray):
        return "__self__"
    if isinstance(owner, _FUNCTIONS) or type(owner).__module__.partition(".")[0] in _LIBRARIES:
        return ""
    for name, content in _attributes(owner):
        if any(isinstance(leaf, _DATA) and not isinstance(leaf, bool) for leaf in flatten(content)[0]):
            return f"{where}{name}"
    return ""


def _attributes(x: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(x, "__dict__", {}).items()
    for kind in type(x).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(x, name):
                yield name, getattr(x, name)
