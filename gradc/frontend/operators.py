"""Python's operators on traced arrays: each is one call of the operator's meaning over Values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

_BINARY: Final = (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
)
_COMPARISONS: Final = ("eq", "ne", "lt", "le", "gt", "ge")
_UNARY: Final = ("neg", "pos", "abs", "invert")


def _forward(name: str) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        return self._operate(name, self, other)

    return method


def _reflected(name: str) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        return self._operate(name, other, self)

    return method


def _in_place(name: str) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        return self._update(name, other)

    return method


def _unary(name: str) -> Callable[..., Any]:
    def method(self: Any) -> Any:
        return self._operate(name, self)

    return method


def _divmod(self: Any, other: Any) -> Any:
    return self // other, self % other


def _rdivmod(self: Any, other: Any) -> Any:
    return other // self, other % self


def _methods() -> dict[str, Callable[..., Any]]:
    made = {f"__{name}__": _unary(name) for name in _UNARY}
    for name in (*_BINARY, *_COMPARISONS):
        made[f"__{name}__"] = _forward(name)
    for name in _BINARY:
        made[f"__r{name}__"] = _reflected(name)
        made[f"__i{name}__"] = _in_place(name)
    made["__divmod__"], made["__rdivmod__"] = _divmod, _rdivmod
    for special, method in made.items():
        method.__name__ = special
        method.__qualname__ = f"ArrayOperators.{special}"
    return made


ArrayOperators: Any = type("ArrayOperators", (), {"__slots__": (), "__doc__": __doc__, **_methods()})
"""A base class with Python's operators; a subclass has ``_operate(name, *operands)`` and ``_update(name, other)``."""
