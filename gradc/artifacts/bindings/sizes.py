"""Formulas of symbolic sizes in languages whose integers divide otherwise than those of C."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gradc.ir.aval import Dim, SymbolicDim


@dataclass(frozen=True)
class Language:
    """How a language writes operations on integers; division rounds down.

    ``{a}`` and ``{b}`` stand for operands that can be part of any expression, ``{x}`` and ``{y}`` for the same as
    arguments of a call.
    """

    divide: str
    remainder: str
    minimum: str
    maximum: str


JAVASCRIPT: Final = Language(
    "Math.floor({a} / {b})", "({a} - Math.floor({a} / {b}) * {b})", "Math.min({x}, {y})", "Math.max({x}, {y})"
)
RUST: Final = Language(
    "i128::div_euclid({x}, {y})", "i128::rem_euclid({x}, {y})", "i128::min({x}, {y})", "i128::max({x}, {y})"
)
"""Of signed numbers; divisors are sizes, which are positive."""


def expression(dim: Dim, names: Mapping[str, str], language: Language) -> str:
    """A size as an expression, with ``names`` for symbols."""
    if not isinstance(dim, SymbolicDim):
        return str(dim)
    terms = []
    for monomial, coefficient in dim.terms:
        factors = [_atom(atom, names, language) for atom in monomial]
        if coefficient != 1 or not factors:
            factors.insert(0, str(coefficient))
        terms.append(" * ".join(factors))
    return " + ".join(terms).replace("+ -", "- ")


def _atom(atom: object, names: Mapping[str, str], language: Language) -> str:
    if not isinstance(atom, tuple):
        return names[str(atom)]
    operation, left, right = atom
    form = {"//": language.divide, "%": language.remainder, "min": language.minimum, "max": language.maximum}[operation]
    x, y = (expression(dim, names, language) for dim in (left, right))
    a, b = (text if text.isalnum() or text.isidentifier() else f"({text})" for text in (x, y))
    return form.format(a=a, b=b, x=x, y=y)
