"""Polynomials over whatever is neither a sum, a product nor an integer power: to multiply out, compare and divide.

Terms keep the order of writing, because they are shown.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from gradc.inspect.expression import (
    ONE,
    ZERO,
    Add,
    Expr,
    Mul,
    Number,
    Power,
    add,
    base_and_exponent,
    coefficient_of,
    factors_of,
    mul,
    number,
    power,
    terms_of,
)

Monomial = frozenset[tuple[Expr, Fraction]]
Polynomial = dict[Monomial, Fraction]

_MOST_TERMS = 24
"""Nobody wants to read a longer sum, so nothing is multiplied out into one."""


def monomial(term: Expr) -> tuple[Monomial, Fraction]:
    """A product as its factors with their exponents, and its coefficient."""
    coefficient, rest = coefficient_of(term)
    exponents: dict[Expr, Fraction] = {}
    for factor in factors_of(rest):
        base, exponent = base_and_number(factor)
        if base != ONE:
            exponents[base] = exponents.get(base, Fraction(0)) + exponent
    return frozenset((b, e) for b, e in exponents.items() if e), coefficient


def base_and_number(factor: Expr) -> tuple[Expr, Fraction]:
    """``x**n`` with a number n as ``(x, n)``, anything else, ``x**y`` too, as ``(itself, 1)``."""
    base, exponent = base_and_exponent(factor)
    return (base, exponent.value) if isinstance(exponent, Number) else (factor, Fraction(1))


@lru_cache(maxsize=4096)
def multiplied_out(expression: Expr) -> tuple[Expr, ...] | None:
    """The terms after all products of sums are multiplied out, in order; None where these are too many."""
    terms: list[Expr] = []
    for term in terms_of(expression):
        products: list[Expr] = [ONE]
        for factor in factors_of(term):
            sums = _sum_of(factor)
            if sums is None or len(products) * len(sums) > _MOST_TERMS:
                return None
            products = [mul(p, s) for p in products for s in sums]
        terms += products
        if len(terms) > _MOST_TERMS:
            return None
    return tuple(terms)


def _sum_of(factor: Expr) -> tuple[Expr, ...] | None:
    if isinstance(factor, Add | Mul):
        return multiplied_out(factor)
    if isinstance(factor, Power) and isinstance(factor.base, Add) and isinstance(factor.exponent, Number):
        n = factor.exponent.value
        if n.denominator == 1 and 2 <= n <= 4:
            return multiplied_out(Mul((factor.base,) * int(n)))
    return (factor,)


def polynomial(expression: Expr) -> Polynomial | None:
    """The expression with like terms collected; None where it is too long."""
    terms = multiplied_out(expression)
    if terms is None:
        return None
    collected: Polynomial = {}
    for term in terms:
        key, coefficient = monomial(term)
        collected[key] = collected.get(key, Fraction(0)) + coefficient
    return {key: c for key, c in collected.items() if c}


def ratio(numerator: Expr, denominator: Expr) -> Fraction | None:
    """The number ``c`` with ``numerator = c * denominator``, if there is one."""
    above, below = polynomial(numerator), polynomial(denominator)
    if not above or not below or above.keys() != below.keys():
        return None
    ratios = {above[key] / below[key] for key in above}
    return ratios.pop() if len(ratios) == 1 else None


def quotient(numerator: Expr, denominator: Expr) -> Expr | None:
    """The polynomial ``q`` with ``numerator = q * denominator``, if the division leaves no rest."""
    rest, divisor = polynomial(numerator), polynomial(denominator)
    if not rest or not divisor or any(e < 0 for key in (*rest, *divisor) for _, e in key):
        return None
    atoms = list(dict.fromkeys(b for key in (*divisor, *rest) for b, _ in sorted(key, key=repr)))
    order = {atom: position for position, atom in enumerate(atoms)}

    def rank(key: Monomial) -> tuple[Fraction, ...]:
        exponents = [Fraction(0)] * len(atoms)
        for base, exponent in key:
            exponents[order[base]] = exponent
        return tuple(exponents)

    lead = max(divisor, key=rank)
    terms: list[Expr] = []
    while rest:
        key = max(rest, key=rank)
        over = _over(key, lead)
        if over is None or len(terms) > _MOST_TERMS:
            return None
        coefficient = rest[key] / divisor[lead]
        terms.append(mul(number(coefficient), *[power(b, Number(e)) for b, e in sorted(over, key=repr)]))
        for other, c in divisor.items():
            product = _times(other, over)
            left = rest.get(product, Fraction(0)) - coefficient * c
            if left:
                rest[product] = left
            else:
                rest.pop(product, None)
    return add(*terms) if terms else ZERO


def _over(key: Monomial, lead: Monomial) -> Monomial | None:
    exponents = dict(key)
    for base, exponent in lead:
        exponents[base] = exponents.get(base, Fraction(0)) - exponent
        if exponents[base] < 0:
            return None
    return frozenset((b, e) for b, e in exponents.items() if e)


def _times(left: Monomial, right: Monomial) -> Monomial:
    exponents = dict(left)
    for base, exponent in right:
        exponents[base] = exponents.get(base, Fraction(0)) + exponent
    return frozenset((b, e) for b, e in exponents.items() if e)
