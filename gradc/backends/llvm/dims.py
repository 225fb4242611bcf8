"""Symbolic sizes as numbers: the i64 parameters of functions, and the instructions that compute others from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from math import prod
from typing import Final

from gradc.ir.aval import Dim, SymbolicDim

COUNTABLE: Final = 2**62
"""Sizes from here on, and what they are computed of, may not fit an i64."""


def countable_up_to(dims: Iterable[Dim]) -> int:
    """The largest power of two such that with symbols up to it no step of computing one of the dims overflows."""
    largest, listed = COUNTABLE, list(dims)
    while largest > 1 and max((_magnitude(dim, largest) for dim in listed), default=0) >= COUNTABLE:
        largest //= 2
    return largest


def _magnitude(dim: Dim, each: int) -> int:
    """What no step of computing a size passes in magnitude, its symbols being at most ``each``."""
    if not isinstance(dim, SymbolicDim):
        return abs(dim)
    return sum(abs(c) * prod(_atom_magnitude(atom, each) for atom in monomial) for monomial, c in dim.terms)


def _atom_magnitude(atom: object, each: int) -> int:
    if not isinstance(atom, tuple):
        return each
    _, left, right = atom
    return _magnitude(left, each) + _magnitude(right, each)


def size_parameters(symbols: Sequence[str]) -> list[tuple[str, str]]:
    """The parameters of a function for symbolic sizes, each with a remark for the reader."""
    return [(f"i64 {size_name(symbol)}", f"the size {symbol}") for symbol in symbols]


def size_arguments(symbols: Sequence[str]) -> list[str]:
    """The arguments with which a function hands its sizes on."""
    return [f"i64 {size_name(symbol)}" for symbol in symbols]


def size_name(symbol: str) -> str:
    """The parameter that holds a symbolic size."""
    return f"%{symbol}.size"


class Dims:
    """Sizes as i64 operands, each computed once.

    ``value`` emits an instruction where all users of its result come after, ``symbols`` are the operands of symbols.
    """

    def __init__(self, value: Callable[[str], str], symbols: Mapping[str, str] | None = None) -> None:
        self._value = value
        self._symbols = symbols
        self._known: dict[Dim, str] = {}

    def operand(self, dim: Dim) -> str:
        """A size as an operand: a number, or the name of one."""
        if not isinstance(dim, SymbolicDim):
            return str(dim)
        if dim not in self._known:
            self._known[dim] = reduce(self._sum, [self._product(*term) for term in dim.terms])
        return self._known[dim]

    def _sum(self, x: str, y: str) -> str:
        return self._value(f"add nsw i64 {x}, {y}")

    def _product(self, monomial: tuple[object, ...], coefficient: int) -> str:
        factors = [self._atom(atom) for atom in monomial]
        if coefficient != 1 or not factors:
            factors.append(str(coefficient))
        return reduce(lambda x, y: self._value(f"mul nsw i64 {x}, {y}"), factors)

    def _atom(self, atom: object) -> str:
        if not isinstance(atom, tuple):
            return size_name(str(atom)) if self._symbols is None else self._symbols[str(atom)]
        operation, left, right = atom
        x, y = self.operand(left), self.operand(right)
        if operation in ("min", "max"):
            first = self._value(f"icmp {'slt' if operation == 'min' else 'sgt'} i64 {x}, {y}")
            return self._value(f"select i1 {first}, i64 {x}, i64 {y}")
        quotient = self._quotient(x, y)
        if operation == "//":
            return quotient
        whole = self._value(f"mul nsw i64 {quotient}, {y}")
        return self._value(f"sub nsw i64 {x}, {whole}")

    def _quotient(self, x: str, y: str) -> str:
        """``x // y``, rounded down; 0 for a divisor 0."""
        if y.isdigit() and int(y) and int(y) & (int(y) - 1) == 0:
            return self._value(f"ashr i64 {x}, {int(y).bit_length() - 1}")
        none = self._value(f"icmp eq i64 {y}, 0")
        divisor = self._value(f"select i1 {none}, i64 1, i64 {y}")
        quotient = self._value(f"sdiv i64 {x}, {divisor}")
        rest = self._value(f"srem i64 {x}, {divisor}")
        signs = self._value(f"xor i64 {rest}, {divisor}")
        differ = self._value(f"icmp slt i64 {signs}, 0")
        some = self._value(f"icmp ne i64 {rest}, 0")
        lower = self._value(f"and i1 {differ}, {some}")
        one = self._value(f"zext i1 {lower} to i64")
        rounded = self._value(f"sub nsw i64 {quotient}, {one}")
        return self._value(f"select i1 {none}, i64 0, i64 {rounded}")
