"""Formulas of symbolic sizes in C and C++: constant expressions that overflow for no sizes.

What does not fit is ``PTRDIFF_MAX``, which is more than any allocator gives and any array has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Final

from gradc.ir.aval import Dim, SymbolicDim, is_nonnegative

_Bound = dict[tuple[str, ...], Fraction]
"""A polynomial of sizes, by monomials. No coefficient is negative."""


@dataclass(frozen=True)
class Dialect:
    """How a language converts sizes.

    alone     one that is the whole formula
    compared  one that is compared
    signed    one that is computed with
    result    what was computed
    most      what stands for all that does not fit
    """

    alone: str
    compared: str
    signed: str
    result: str
    most: str


C: Final = Dialect("((size_t)({}))", "(uint64_t)({})", "(int64_t)({})", "(size_t)({})", "(size_t)PTRDIFF_MAX")
CPP: Final = Dialect("{}", "{}", "std::int64_t({})", "std::size_t({})", "std::size_t{PTRDIFF_MAX}")
"""Of sizes that are ``std::size_t`` already."""


def size_text(dim: Dim, names: Mapping[str, str], dialect: Dialect) -> str:
    """A size as an expression that can be part of any other, with ``names`` for symbols."""
    if not isinstance(dim, SymbolicDim):
        return str(dim)
    ((monomial, coefficient), *others) = dim.terms
    if not others and coefficient == 1 and len(monomial) == 1 and not isinstance(monomial[0], tuple):
        return dialect.alone.format(names[str(monomial[0])])
    too_large = " || ".join(_too_large(_bound(dim), names, dialect))
    return f"({too_large} ? {dialect.most} : {dialect.result.format(_sum(dim, names, dialect))})"


def shown(dim: Dim, names: Mapping[str, str]) -> str:
    """A size as it reads best, for comments."""
    return _sum(dim, names, None)


def _too_large(bound: _Bound, names: Mapping[str, str], dialect: Dialect) -> Iterator[str]:
    """Conditions of which one holds where a value of ``bound`` is no ``ptrdiff_t``.

    Sizes are multiplied by dividing: c n m > limit where m > limit / c / n. One of 0 counts as 1 in a product, for what
    else is computed of the other one.
    """
    constant = ceil(bound.pop((), Fraction(0)))
    largest = [m for m in bound if not any(m != other and _divides(m, other) for other in bound)]
    limit = "PTRDIFF_MAX" if constant == 0 else f"(PTRDIFF_MAX - {constant})"
    shares = dict.fromkeys(largest, Fraction(0))
    for monomial, coefficient in bound.items():
        shares[next(m for m in largest if _divides(monomial, m))] += coefficient
    for monomial, coefficient in shares.items():
        sizes = [dialect.compared.format(names[symbol]) for symbol in monomial]
        *others, last = sizes if len(sizes) == 1 else [f"({size} + !{size})" for size in sizes]
        divisors = [ceil(coefficient * len(shares)), *others]
        yield f"{last} > {'/'.join([limit, *(str(divisor) for divisor in divisors if divisor != 1)])}"


def _divides(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return all(one.count(symbol) <= other.count(symbol) for symbol in one)


def _bound(dim: Dim) -> _Bound:
    """What ``dim``, and whatever is computed on the way to it, is at most, up to its sign."""
    if not isinstance(dim, SymbolicDim):
        return {(): Fraction(abs(dim))}
    total: _Bound = {}
    for monomial, coefficient in dim.terms:
        product: _Bound = {(): Fraction(abs(coefficient))}
        for atom in monomial:
            product = _times(product, _bound_of_atom(atom))
        total = _plus(total, product)
    return _most(total, *(_bound(inner) for monomial, _ in dim.terms for atom in monomial for inner in _parts(atom)))


def _bound_of_atom(atom: object) -> _Bound:
    if not isinstance(atom, tuple):
        return {(str(atom),): Fraction(1)}
    operation, left, right = atom
    if operation == "//" and isinstance(right, int):
        rounding: _Bound = {} if is_nonnegative(left) else {(): Fraction(1)}
        return _plus({term: coefficient / right for term, coefficient in _bound(left).items()}, rounding)
    return _most(_bound(left), *([] if operation == "//" else [_bound(right)]))


def _parts(atom: object) -> tuple[Dim, ...]:
    return atom[1:] if isinstance(atom, tuple) else ()


def _times(one: _Bound, other: _Bound) -> _Bound:
    product: _Bound = {}
    for left, a in one.items():
        for right, b in other.items():
            product = _plus(product, {tuple(sorted(left + right)): a * b})
    return product


def _plus(one: _Bound, other: _Bound) -> _Bound:
    return {term: one.get(term, Fraction(0)) + other.get(term, Fraction(0)) for term in {**one, **other}}


def _most(*bounds: _Bound) -> _Bound:
    """What none of ``bounds`` exceeds: of each term the largest coefficient."""
    return {term: max(b.get(term, Fraction(0)) for b in bounds) for term in dict.fromkeys(t for b in bounds for t in b)}


def _sum(dim: Dim, names: Mapping[str, str], dialect: Dialect | None) -> str:
    if not isinstance(dim, SymbolicDim):
        return str(dim)
    text = " + ".join(_product(monomial, coefficient, names, dialect) for monomial, coefficient in dim.terms)
    return text.replace("+ -", "- ")


def _product(monomial: tuple[object, ...], coefficient: int, names: Mapping[str, str], dialect: Dialect | None) -> str:
    factors = [_atom(atom, names, dialect) for atom in monomial]
    if abs(coefficient) != 1 or not factors:
        factors.insert(0, str(abs(coefficient)))
    return f"{'-' if coefficient < 0 else ''}{'*'.join(factors)}"


def _atom(atom: object, names: Mapping[str, str], dialect: Dialect | None) -> str:
    if not isinstance(atom, tuple):
        return dialect.signed.format(names[str(atom)]) if dialect else names[str(atom)]
    operation, left, right = atom
    a, b = (str(dim) if isinstance(dim, int) else f"({_sum(dim, names, dialect)})" for dim in (left, right))
    if operation in ("min", "max"):
        return f"({a} {'<' if operation == 'min' else '>'} {b} ? {a} : {b})"
    quotient = f"({a}/{b})" if is_nonnegative(left) else f"(({a} - ({a} < 0 ? {b} - 1 : 0))/{b})"
    return quotient if operation == "//" else f"({a} - {quotient}*{b})"
