"""NumPy's scalar types, called on traced values: ``np.float32(x)`` is ``x.astype(np.float32)``, a number of a number.

A type takes no operand by a protocol, so that a class stands in its place where the user's code calls it by name.
"""

from __future__ import annotations

import dis
import sys
import types
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType
from typing import Any, Final

import numpy as np

from gradc.frontend.creation import CREATION
from gradc.frontend.integers import require_fitting
from gradc.frontend.session import current_session, holds_traced

_AS_ARRAY: Final = np.asarray

_KINDS: Final = frozenset(np.dtype(char).type for char in "?bhilqBHILQefdFD")

NAMES: Final = frozenset(name for name, kind in vars(np).items() if isinstance(kind, type) and kind in _KINDS) - {
    "bool"
}
"""The names under which NumPy has the scalar types of which there are traced values.

Without ``np.bool``, with which NumPy's own code compares identities.
"""


class _Cast(type):
    """The class of the stand-ins. They derive from the types in whose place they stand, and pass for them."""

    original: Any

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != 1 or current_session() is None or not holds_traced(args):
            return cls.original(*args, **kwargs)
        (x,) = args
        require_fitting(x, cls.original)
        array = CREATION[_AS_ARRAY](_AS_ARRAY, (x,), {}) if isinstance(x, (list, tuple)) else x
        converted = array.astype(cls.original)
        return converted if converted.shape else converted[()]

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.original)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.original)

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is cls.original

    def __hash__(cls) -> int:
        return hash(cls.original)

    def __repr__(cls) -> str:
        return repr(cls.original)


def _standing_for(kind: type) -> _Cast:
    """The class that stands for a scalar type."""
    return _Cast(kind.__name__, (kind,), {"__doc__": kind.__doc__, "__module__": kind.__module__, "original": kind})


class TypesOfNumPy:
    """NumPy's scalar types by name. What is put in the place of one is seen by the traces that call it alone.

    A module asks its ``__getattr__`` for a name that it does not hold, so that the name is taken out of it meanwhile.
    """

    def __init__(self, module: types.ModuleType) -> None:
        self._held = vars(module)
        self._original = {name: self._held[name] for name in NAMES}
        self._standing: dict[str, Any] = {}
        self._lacks = self._held["__getattr__"]
        self._called: ContextVar[frozenset[str]] = ContextVar("called", default=frozenset())

    @contextmanager
    def called(self, names: Iterable[str]) -> Iterator[None]:
        """In this thread the code of a trace calls types by these names, as that of the traces around it does."""
        token = self._called.set(self._called.get().union(names))
        try:
            yield
        finally:
            self._called.reset(token)

    def get(self, name: str) -> Any:
        """What a trace finds that calls it."""
        return self._standing[name] if name in self._standing else self._held.get(name)

    def put(self, name: str, kind: Any) -> None:
        """Put something in a place, or there again what NumPy has there."""
        if kind is self._original[name]:
            self._held[name] = kind
            del self._standing[name]
            if not self._standing:
                self._held["__getattr__"] = self._lacks
        else:
            self._standing[name] = kind
            self._held["__getattr__"] = self._found
            del self._held[name]

    def _found(self, name: str) -> Any:
        if name not in NAMES:
            return self._lacks(name)
        original = self._original[name]
        return self._standing.get(name, original) if name in self._called.get() else original


OF_NUMPY: Final = TypesOfNumPy(np)

CASTS: Final = {id(kind): _standing_for(kind) for kind in _KINDS}
"""The stand-ins by the identity of what they stand for."""

_LOADS: Final = frozenset({"LOAD_GLOBAL", "LOAD_DEREF", "LOAD_ATTR", "LOAD_METHOD"})
_READ: Final[dict[int, tuple[CodeType, frozenset[str], bool]]] = {}
_KEPT: Final = 4096


def called(code: CodeType) -> frozenset[str]:
    """The names, of globals, attributes and captured variables, that code calls."""
    return _read(code)[1]


def compares(code: CodeType) -> bool:
    """Whether code compares identities: ``x.dtype.type is np.float64`` would not see through a stand-in."""
    return _read(code)[2]


def _read(code: CodeType) -> tuple[CodeType, frozenset[str], bool]:
    known = _READ.get(id(code))  # hashing a code object reads all of it
    if known is None or known[0] is not code:
        if len(_READ) >= _KEPT:
            _READ.clear()
        instructions = [i for i in dis.get_instructions(code) if i.opname not in ("CACHE", "EXTENDED_ARG", "NOP")]
        names = {i.argval for k, i in enumerate(instructions) if _is_called(instructions, k)}
        inner = [_read(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
        identities = any(i.opname == "IS_OP" for i in instructions) or any(part[2] for part in inner)
        known = _READ[id(code)] = (code, frozenset(names).union(*[part[1] for part in inner]), identities)
    return known


def _is_called(instructions: list[dis.Instruction], position: int) -> bool:
    """Whether what an instruction loads by name is called: the place for ``self`` stands beside it on the stack.

    It is filled by the instruction itself, before ``module.name`` is loaded part by part, or behind.
    """
    following = instructions[position + 1].opname if position + 1 < len(instructions) else ""
    name = instructions[position].opname
    if name not in _LOADS or following == "LOAD_ATTR":
        return False
    if following == "PUSH_NULL" or name == "LOAD_METHOD":
        return True
    while instructions[position].opname == "LOAD_ATTR" and not _has_place(instructions[position]) and position:
        position -= 1
    before = instructions[position - 1].opname if position else ""
    return _has_place(instructions[position]) or (before == "PUSH_NULL" and instructions[position].opname in _LOADS)


def _has_place(instruction: dis.Instruction) -> bool:
    marks = ("LOAD_GLOBAL",) if sys.version_info < (3, 12) else ("LOAD_GLOBAL", "LOAD_ATTR")
    return instruction.opname in marks and bool((instruction.arg or 0) & 1)
