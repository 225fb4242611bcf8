"""Symbolic sizes as C expressions of the kernel's parameters."""

from __future__ import annotations

from collections.abc import Callable

from gradc.ir.aval import Dim, SymbolicDim, is_nonnegative

Name = Callable[[str], str]
"""The C name of a symbol."""

Helper = Callable[[str], str]
"""The C name of a helper on i64, which the file has from then on."""


def size_text(dim: Dim, name: Name, helper: Helper) -> str:
    """A size as a C expression; a sum of several terms stands in parentheses."""
    if not isinstance(dim, SymbolicDim):
        return str(dim)
    text = ""
    for monomial, coefficient in dim.terms:
        term = _product(monomial, abs(coefficient), name, helper)
        text += (" - " if coefficient < 0 else " + ") + term if text else ("-" if coefficient < 0 else "") + term
    return f"({text})" if len(dim.terms) > 1 or text.startswith("-") else text


def _product(monomial: tuple[object, ...], coefficient: int, name: Name, helper: Helper) -> str:
    factors = [_atom(atom, name, helper) for atom in monomial]
    if coefficient != 1 or not factors:
        factors.insert(0, str(coefficient))
    return " * ".join(factors)


def _atom(atom: object, name: Name, helper: Helper) -> str:
    if not isinstance(atom, tuple):
        return name(str(atom))
    operation, left, right = atom
    x, y = size_text(left, name, helper), size_text(right, name, helper)
    if operation in ("min", "max"):
        return f"{helper('minimum' if operation == 'min' else 'maximum')}({_bare(x)}, {_bare(y)})"
    if is_nonnegative(left) and isinstance(right, int) and right > 0:
        return f"({x} {'/' if operation == '//' else '%'} {y})"
    return f"{helper('floor_div' if operation == '//' else 'mod')}({_bare(x)}, {_bare(y)})"


def _bare(text: str) -> str:
    """An expression without the parentheses around it, as an argument."""
    if not text.startswith("("):
        return text
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return text[1:-1] if place == len(text) - 1 else text
    return text
