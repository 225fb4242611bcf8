"""How tightly the operators of C bind: an expression stands in parentheses where it binds less than it must."""

from __future__ import annotations

TERNARY, OR, AND, EQUALITY, RELATION, SUM, PRODUCT, UNARY, ATOM = range(1, 10)
"""Operators on bits stand in parentheses everywhere, as compilers ask for."""


def wrapped_in(text: str, strength: int, least: int) -> str:
    """An expression whose operator binds by ``strength``, where it must be ``least``."""
    return f"({text})" if strength < least else text
