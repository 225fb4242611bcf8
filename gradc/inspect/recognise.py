"""Known functions in their written-out forms: ``1/(1 + exp(-z))`` is read as ``σ(z)``."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations
from typing import Final

from gradc.inspect.expression import (
    MINUS_ONE,
    ONE,
    ZERO,
    Add,
    Apply,
    Expr,
    Mul,
    Number,
    Power,
    Symbol,
    add,
    coefficient_of,
    divide,
    mul,
    negative,
    power,
    substituted,
    terms_of,
)
from gradc.inspect.functions import U, apply

_E_U = apply("exp", U)
_E_MINUS_U = apply("exp", negative(U))
_SIGMA = apply("logistic", U)

FORMS: tuple[tuple[Expr, Expr], ...] = (
    (power(add(ONE, _E_MINUS_U), MINUS_ONE), _SIGMA),
    (divide(_E_U, add(ONE, _E_U)), _SIGMA),
    (power(add(ONE, _E_U), MINUS_ONE), apply("logistic", negative(U))),
    (apply("select", apply("ge", U, ZERO), _SIGMA, _SIGMA), _SIGMA),  # the two-sided sigmoid, once its sides are read
    (apply("select", apply("gt", U, ZERO), _SIGMA, _SIGMA), _SIGMA),
    (apply("log", add(ONE, _E_U)), apply("softplus", U)),
    (apply("log1p", _E_U), apply("softplus", U)),
    (apply("maximum", U, ZERO), apply("relu", U)),
    (apply("maximum", ZERO, U), apply("relu", U)),
    (apply("select", apply("gt", U, ZERO), U, ZERO), apply("relu", U)),
    (mul(U, apply("indicator", apply("gt", U, ZERO))), apply("relu", U)),
    (divide(add(_E_U, negative(_E_MINUS_U)), add(_E_U, _E_MINUS_U)), apply("tanh", U)),
    (power(U, Number(Fraction(1, 2))), apply("sqrt", U)),
)  # written  # read


def _head(expression: Expr) -> str:
    return expression.function if isinstance(expression, Apply) else type(expression).__name__


_BY_HEAD: Final = {head: [f for f in FORMS if _head(f[0]) == head] for head in {_head(written) for written, _ in FORMS}}


def recognised(expression: Expr) -> Expr:
    """The expression, read as a known function where it has one of the ``FORMS``."""
    for written, read in _BY_HEAD.get(_head(expression), ()):
        for found in match(written, expression, {}):
            return substituted(read, found)
    return expression


def match(pattern: Expr, expression: Expr, bound: dict[Expr, Expr]) -> Iterator[dict[Expr, Expr]]:
    """The ways in which an expression has the form of a pattern; its symbols of role ``pattern`` stand for anything."""
    if isinstance(pattern, Symbol) and pattern.role == "pattern":
        if pattern not in bound:
            yield {**bound, pattern: expression}
        elif bound[pattern] == expression:
            yield bound
        return
    if isinstance(pattern, Mul) and pattern.factors[0] == MINUS_ONE and len(pattern.factors) == 2:
        if all(coefficient_of(t)[0] < 0 for t in terms_of(expression)):
            opposite = add(*[negative(t) for t in terms_of(expression)])
            yield from match(pattern.factors[1], opposite, bound)
        return
    match pattern, expression:
        case (Add(parts), Add(others)) | (Mul(parts), Mul(others)) if len(parts) == len(others):
            for order in permutations(others):
                yield from _match_all(parts, order, bound)
        case Power(base, exponent), Power(other_base, other_exponent):
            yield from _match_all((base, exponent), (other_base, other_exponent), bound)
        case Apply(function, args), Apply(other, other_args) if function == other:
            yield from _match_all(args, other_args, bound)
        case _ if pattern == expression:
            yield bound


def _match_all(
    patterns: tuple[Expr, ...], expressions: tuple[Expr, ...], bound: dict[Expr, Expr]
) -> Iterator[dict[Expr, Expr]]:
    if not patterns:
        yield bound
        return
    for found in match(patterns[0], expressions[0], bound):
        yield from _match_all(patterns[1:], expressions[1:], found)
