"""The terms of symbolic sizes: their order, and how they are written. ``gradc.ir.aval`` says what they are."""

from __future__ import annotations


def atom_key(atom: object) -> tuple[int, str]:
    """Sorts atoms: names first."""
    return (0, atom) if isinstance(atom, str) else (1, atom_text(atom))


def monomial_key(term: tuple[tuple[object, ...], int]) -> tuple[int, list[tuple[int, str]]]:
    """Sorts terms: those of most factors first."""
    return (-len(term[0]), [atom_key(a) for a in term[0]])


def atom_text(atom: object) -> str:
    """A name, or a call of two sizes."""
    if isinstance(atom, tuple):
        operation, left, right = atom
        if operation in ("min", "max"):
            return f"{operation}({left}, {right})"
        return f"({_operand(left)} {operation} {_operand(right)})"
    return str(atom)


def monomial_text(monomial: tuple[object, ...], coefficient: int) -> str:
    """A term: factors with ``*`` between."""
    factors = [atom_text(a) for a in monomial]
    if coefficient != 1 or not factors:
        factors.insert(0, str(coefficient))
    return "*".join(factors)


def _operand(size: object) -> str:
    """A size beside an operator: in parentheses unless it is a number or a name."""
    text = str(size)
    return text if text.isdigit() or text.isidentifier() else f"({text})"
