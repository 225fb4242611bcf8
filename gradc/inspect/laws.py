"""The laws by which a derivation is brought into the form that a textbook prints.

A law takes an expression and gives the steps it makes of it, each with its reason; no steps where it does not apply.
1. A law never makes an expression longer to read: what is multiplied out and does not get shorter is left alone.
2. Every step has the value of the one before wherever that one has a value.
3. ``simplified`` ends: each law lowers the measure (symbols to read, then fractions, then sums).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Final

from gradc.inspect.expression import (
    MINUS_ONE,
    ONE,
    Add,
    Apply,
    Expr,
    Mul,
    Number,
    add,
    base_and_exponent,
    children,
    coefficient_of,
    divide,
    factors_of,
    is_count,
    leaves,
    mul,
    narrow,
    negative,
    number,
    numerator_and_denominator,
    power,
    rebuilt,
    spread,
    terms_of,
    transformed,
    walk,
)
from gradc.inspect.polynomial import base_and_number, monomial, multiplied_out, quotient, ratio


@dataclass(frozen=True)
class Reason:
    """Why a step is right. ``{0}`` in ``text`` stands for the first of ``parts``; ``latex`` where it differs."""

    law: str
    text: str
    parts: tuple[Expr, ...] = ()
    latex: str = ""


Steps = list[tuple[Expr, Reason]]
Law = Callable[[Expr], Steps]


def measure(expression: Expr) -> tuple[int, int, int]:
    """How much there is to read: symbols; fractions; sums."""
    parts = list(walk(expression))
    fractions = sum(1 for p in parts if isinstance(p, Mul | Add) and numerator_and_denominator(p)[1] != ONE)
    return leaves(expression), fractions, sum(1 for p in parts if isinstance(p, Add))


# Laws of products


def cancel(expression: Expr) -> Steps:
    """What stands above and below the fraction bar falls away."""
    if not isinstance(expression, Mul):
        return []
    factors = list(expression.factors)
    gone: list[Expr] = []
    while (pair := _common_pair(factors)) is not None:
        above, below, replacement, common = pair
        factors = [f for k, f in enumerate(factors) if k not in (above, below)]
        factors[min(above, below) : min(above, below)] = replacement
        gone.append(common)
    if not gone:
        return []
    return [(in_order(mul(*factors)), Reason("cancel", "{0} cancels", (mul(*gone),)))]


def _common_pair(factors: list[Expr]) -> tuple[int, int, list[Expr], Expr] | None:
    for low, below in enumerate(factors):
        bottom, negative_exponent = base_and_exponent(below)
        if not isinstance(negative_exponent, Number) or negative_exponent.value >= 0:
            continue
        for high, above in enumerate(factors):
            top, exponent = base_and_exponent(above)
            if high == low or not isinstance(exponent, Number) or exponent.value <= 0:
                continue
            if top == bottom:
                common = min(exponent.value, -negative_exponent.value)
                left = [
                    power(top, Number(exponent.value - common)),
                    power(top, Number(negative_exponent.value + common)),
                ]
                return high, low, [f for f in left if f != ONE], power(top, Number(common))
            divided = _divided(top, bottom)
            if divided is not None:
                left = [
                    divided,
                    power(top, Number(exponent.value - 1)),
                    power(bottom, Number(negative_exponent.value + 1)),
                ]
                return high, low, [f for f in left if f != ONE], bottom
    return None


def _divided(top: Expr, bottom: Expr) -> Expr | None:
    """``top / bottom`` where a sum is involved and nothing is left over."""
    if not isinstance(top, Add):
        return None
    same = ratio(top, bottom)
    return number(same) if same is not None else quotient(top, bottom)


def in_order(expression: Expr) -> Expr:
    """``-(a - b)`` as ``b - a``, and a sum that starts with a minus turned so that it does not, where it can."""
    if isinstance(expression, Add):
        return (
            add(*sorted(expression.terms, key=lambda t: coefficient_of(t)[0] < 0))
            if _starts_negative(expression)
            else expression
        )
    coefficient, rest = coefficient_of(expression)
    if coefficient >= 0:
        return expression
    factors = factors_of(rest)
    for k, factor in enumerate(factors):
        if isinstance(factor, Add) and any(coefficient_of(t)[0] < 0 for t in factor.terms):
            turned = in_order(add(*[negative(t) for t in factor.terms]))
            return mul(number(-coefficient), *factors[:k], turned, *factors[k + 1 :])
    return expression


def _starts_negative(expression: Add) -> bool:
    signs = [coefficient_of(t)[0] < 0 for t in expression.terms]
    return signs[0] and not all(signs)


# Laws of sums


def like_terms(expression: Expr) -> Steps:
    """Terms that differ in their number alone become one; those that add up to 0 cancel."""
    if not isinstance(expression, Add):
        return []
    terms: dict[object, tuple[Fraction, Expr]] = {}
    gone: list[Expr] = []
    merged = False
    for term in expression.terms:
        key, coefficient = monomial(term)
        known = terms.get(key)
        if known is None:
            terms[key] = (coefficient, coefficient_of(term)[1])
            continue
        merged = True
        if known[0] + coefficient:
            terms[key] = (known[0] + coefficient, known[1])
        else:
            gone.append(mul(number(abs(coefficient)), known[1]))
            del terms[key]
    if not merged:
        return []
    left = add(*[mul(number(c), rest) for c, rest in terms.values()])
    if gone:
        text = ", ".join(f"±{{{k}}}" for k in range(len(gone)))
        latex = ", ".join(rf"\pm {{{k}}}" for k in range(len(gone)))
        return [(in_order(left), Reason("opposite-terms", f"{text} cancel", tuple(gone), f"${latex}$ cancel"))]
    return [(left, Reason("like-terms", "like terms"))]


def common_factor(expression: Expr) -> Steps:
    """What all terms share stands once, before the brackets."""
    if not isinstance(expression, Add):
        return []
    split = [monomial(term) for term in expression.terms]
    shared = dict(split[0][0])
    for key, _ in split[1:]:
        other = dict(key)
        shared = {b: min(e, other[b], key=abs) for b, e in shared.items() if b in other and (e > 0) == (other[b] > 0)}
    sizes = {abs(c) for _, c in split}
    signs = {c > 0 for _, c in split}
    number_shared = sizes.pop() if len(sizes) == 1 else Fraction(1)
    if not shared and (number_shared == 1 or len(split) < 2):
        return []
    order = [base_and_number(f)[0] for f in factors_of(expression.terms[0])]
    common = [power(b, Number(shared[b])) for b in order if b in shared]
    if number_shared != 1:
        common.insert(0, number(number_shared))
    if signs == {False}:
        common.insert(0, MINUS_ONE)
    whole = mul(*common)
    inside = add(*[_without(term, whole) for term in expression.terms])
    result = in_order(mul(*common, inside))
    above, _ = numerator_and_denominator(whole)
    if above in (ONE, MINUS_ONE):
        return [(result, Reason("common-denominator", "common denominator"))]
    return [(result, Reason("common-factor", "common factor {0}", (negative(above) if signs == {False} else above,)))]


def _without(term: Expr, factor: Expr) -> Expr:
    """``term / factor`` where the factor is there."""
    exponents: dict[Expr, Fraction] = {}
    coefficient = Fraction(1)
    for sign, product in ((1, term), (-1, factor)):
        key, c = monomial(product)
        coefficient = coefficient * c if sign > 0 else coefficient / c
        for base, exponent in key:
            exponents[base] = exponents.get(base, Fraction(0)) + sign * exponent
    order = [base_and_number(f)[0] for f in factors_of(term)]
    return mul(number(coefficient), *[power(b, Number(exponents[b])) for b in order if exponents.get(b)])


def common_denominator(expression: Expr) -> Steps:
    """A sum of fractions over one denominator, multiplied out above, opposite terms cancelled, factors taken out."""
    factors = factors_of(expression)
    place = next((k for k, f in enumerate(factors) if isinstance(f, Add) and 2 <= len(f.terms) <= 6), -1)
    if place < 0:
        return []
    outside = [f for k, f in enumerate(factors) if k != place]

    def whole(numerator: Expr, denominator: Expr) -> Expr:
        return mul(*outside, divide(numerator, denominator))

    numerator, denominator = _over_one_bar(factors[place])
    steps: Steps = []
    if denominator != ONE:
        steps.append((whole(numerator, denominator), Reason("common-denominator", "common denominator")))
    products = multiplied_out(numerator)
    if products is None:
        return []
    opened = Add(products) if len(products) > 1 else products[0]
    if opened != numerator:
        numerator = opened
        steps.append((whole(numerator, denominator), Reason("multiply-out", "multiply out")))
    for law in (like_terms, common_factor):
        for changed, reason in law(numerator):
            numerator = changed
            steps.append((whole(numerator, denominator), reason))
    if not steps:
        return []
    steps += cancel(steps[-1][0])
    last = in_order(steps[-1][0])
    if measure(last) >= measure(expression):
        return []
    return [*steps[:-1], (last, steps[-1][1])]


def _over_one_bar(expression: Expr) -> tuple[Expr, Expr]:
    split = [numerator_and_denominator(t) for t in terms_of(expression)]
    common: dict[Expr, Fraction] = {}
    size = 1
    for _, below in split:
        key, coefficient = monomial(below)
        size = lcm(size, int(coefficient))
        order = [base_and_number(f)[0] for f in factors_of(below)]
        for base, exponent in sorted(key, key=lambda pair: order.index(pair[0])):
            common[base] = max(common.get(base, Fraction(0)), exponent)
    denominator = mul(number(Fraction(size)), *[power(b, Number(e)) for b, e in common.items()])
    terms = [mul(above, _without(denominator, below)) for above, below in split]
    return add(*terms), denominator


# Laws of linear functions

LINEAR: Final = ("reduce_sum", "broadcast_to", "reshape", "transpose", "contract", "slice", "item")


def constants_out(expression: Expr) -> Expr | None:
    """Numbers and counts come out of a sum or a matrix product, as anybody writes it at once."""
    if not isinstance(expression, Apply) or expression.function not in LINEAR:
        return None
    if expression.function in ("item", "slice") and isinstance(narrow(expression.args[0]), Number):
        return spread(narrow(expression.args[0]), expression.shape)
    outside: list[Expr] = []
    inside: list[Expr] = []
    for arg in expression.args:
        plain = [f for f in factors_of(arg) if is_count(f)]
        kept = [f for f in factors_of(arg) if not is_count(f)]
        if not kept:
            return None
        outside += plain
        inside.append(mul(*kept))
    return mul(*outside, rebuilt(expression, tuple(inside))) if outside else None


LAWS: tuple[Law, ...] = (cancel, like_terms, common_factor, common_denominator)


def simplified(expression: Expr, more: Sequence[Law] = ()) -> Steps:
    """The steps from an expression to its simplest form by ``LAWS`` and ``more``, innermost parts first."""
    laws = (LAWS[0], *more, *LAWS[1:])
    steps: Steps = []
    for _ in range(24):
        found = _first(steps[-1][0] if steps else expression, laws)
        if not found:
            break
        steps += [(tidied(form), why) for form, why in found]
    return steps


def tidied(expression: Expr) -> Expr:
    """The expression with its constants before the sums."""
    return transformed(expression, constants_out)


def in_final_order(expression: Expr) -> Expr:
    """The expression with its minus signs where a person would write them."""
    return in_order(transformed(expression, lambda part: in_order(part) if isinstance(part, Add) else None))


def _first(expression: Expr, laws: Sequence[Law]) -> Steps:
    """The steps of the first law that applies to a part of the expression, told on the whole."""
    opaque = isinstance(expression, Apply) and expression.function not in LINEAR
    parts = () if opaque else children(expression)
    for k, part in enumerate(parts):
        steps = _first(part, laws)
        if steps:
            return [(rebuilt(expression, (*parts[:k], new, *parts[k + 1 :])), why) for new, why in steps]
    for law in laws:
        steps = law(expression)
        if steps and _worth(expression, steps[-1][0]):
            return [(_kept_shape(new, expression), why) for new, why in steps]
    return []


def _worth(before: Expr, after: Expr) -> bool:
    return measure(after) < measure(before) or leaves(after) == leaves(before)


def _kept_shape(new: Expr, old: Expr) -> Expr:
    """Where what varied along an axis has fallen away, the value still has one element for each place."""
    return spread(new, old.shape)
