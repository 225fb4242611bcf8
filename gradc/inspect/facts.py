"""What the definitions of named values say about products: with ``p = e/s``, wherever ``e/s`` occurs it is ``p``.

Only quotients are used in this way, because only there a textbook does: softmax is shorter than its parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from gradc.inspect.expression import (
    MINUS_ONE,
    ONE,
    Add,
    Apply,
    Expr,
    Mul,
    Number,
    Power,
    Symbol,
    add,
    base_and_exponent,
    divide,
    factors_of,
    mul,
    negative,
    number,
    power,
)
from gradc.inspect.laws import Law, Reason, Steps, cancel
from gradc.inspect.polynomial import monomial


@dataclass(frozen=True)
class Fact:
    """A product, by its factors and their exponents, and what it equals."""

    factors: frozenset[tuple[Expr, Fraction]]
    result: Expr
    reason: Reason


def facts_of(symbol: Symbol, definition: Expr) -> Iterator[Fact]:
    """What a definition says: ``p = e/s`` that e/s is p; ``s = 1/(1 + e)`` that s*e is 1 - s as well."""
    key, coefficient = monomial(definition)
    quotient = any(exponent < 0 for _, exponent in key)
    if not quotient or not isinstance(definition, Mul | Power) or definition.shape != symbol.shape:
        return
    yield Fact(
        key, divide(symbol, number(coefficient)), Reason("definition", "{0} = {1}", (symbol, definition), "${0} = {1}$")
    )
    if isinstance(definition, Power) and definition.exponent == MINUS_ONE and isinstance(definition.base, Add):
        first, *others = definition.base.terms
        rest = add(*others)
        if first == ONE and not isinstance(rest, Add | Number):
            product = monomial(mul(symbol, rest))[0]
            parts = (mul(symbol, rest), add(ONE, negative(symbol)), symbol, definition)
            reason = Reason("definition", "{0} = {1}, as {2} = {3}", parts, "${0} = {1}$, as ${2} = {3}$")
            yield Fact(product, add(ONE, negative(symbol)), reason)


def by_facts(facts: Sequence[Fact]) -> Law:
    """The law that puts a fact into a product, and cancels what can be cancelled then."""

    def law(expression: Expr) -> Steps:
        if not isinstance(expression, Mul):
            return []
        for fact in facts:
            for changed in (_in_product(expression, fact), _in_sum(expression, fact)):
                if changed is not None:
                    return [(changed, fact.reason), *cancel(changed)]
        return []

    return law


def _in_product(expression: Mul, fact: Fact) -> Expr | None:
    taken = {base: exponent for base, exponent in fact.factors if _has(_exponents(expression), base, exponent)}
    if len(taken) < len(fact.factors):
        return None
    return mul(fact.result, *_without(expression, taken))


def _in_sum(expression: Mul, fact: Fact) -> Expr | None:
    """The same where some of the factors stand within a sum and the others, the same for all its terms, before it."""
    for place, factor in enumerate(expression.factors):
        if not isinstance(factor, Apply) or factor.function != "reduce_sum":
            continue
        if factor.shape and not factor.param("keepdims"):
            continue
        (inside,) = factor.args
        outside = [f for k, f in enumerate(expression.factors) if k != place]
        within = _exponents(inside)
        around = _exponents(mul(*[f for f in outside if _constant_along(f, factor)]))
        inner = {b: e for b, e in fact.factors if _has(within, b, e)}
        outer = {b: e for b, e in fact.factors if b not in inner and _has(around, b, e)}
        if inner and outer and len(inner) + len(outer) == len(fact.factors):
            summed = mul(fact.result, *_without(inside, inner))
            if summed.shape == inside.shape:
                moved = Apply(factor.function, (summed,), factor.shape, factor.params)
                return mul(moved, *_without(mul(*outside), outer))
    return None


def _exponents(expression: Expr) -> dict[Expr, Fraction]:
    return dict(monomial(expression)[0])


def _has(exponents: Mapping[Expr, Fraction], base: Expr, needed: Fraction) -> bool:
    present = exponents.get(base, Fraction(0))
    return present * needed > 0 and abs(present) >= abs(needed)


def _constant_along(factor: Expr, summed: Apply) -> bool:
    """Whether a factor is the same for all elements that a sum adds up."""
    if not summed.shape:
        return not factor.shape
    rank = len(summed.shape)
    lead = rank - len(factor.shape)
    return all(axis < lead or factor.shape[axis - lead] == 1 for axis in summed.param("axes"))


def _without(expression: Expr, taken: Mapping[Expr, Fraction]) -> list[Expr]:
    left: list[Expr] = []
    for factor in factors_of(expression):
        base, exponent = base_and_exponent(factor)
        if base in taken and isinstance(exponent, Number):
            left.append(power(base, Number(exponent.value - taken[base])))
        else:
            left.append(factor)
    return left
