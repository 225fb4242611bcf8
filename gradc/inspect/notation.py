"""How an expression is printed: the brackets and the fraction bars, for every output alike. See Text, Latex, Sympy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from itertools import pairwise
from typing import Final

from gradc.inspect.expression import (
    ONE,
    Add,
    Apply,
    Expr,
    Mul,
    Number,
    Power,
    Slope,
    Symbol,
    coefficient_of,
    factors_of,
    is_count,
    mul,
    negative,
    number,
    numerator_and_denominator,
)

RELATION: Final = 0
SUM: Final = 1
PRODUCT: Final = 2
PREFIX: Final = 3
POWER: Final = 4
ATOM: Final = 5

_WIDE: Final = ("reduce_sum", "contract")
"""Functions whose text goes on to the right, so that a coefficient is best put before it."""

Printed = tuple[str, int]
"""A text and how tightly its outermost operation binds."""


class Notation(ABC):
    """One way to write mathematics. Subclasses say how names, numbers, fractions, powers and functions look."""

    times = "·"
    loose_times = " · "
    elementwise_times = " ⊙ "
    before_sum = " "
    has_matrices = False
    dots = "…"
    most_terms = 8

    def __call__(self, expression: Expr) -> str:
        """The expression as text."""
        return self.printed(expression)[0]

    def printed(self, expression: Expr) -> Printed:
        """The text, and how tightly it binds."""
        match expression:
            case Number(value):
                return self.number(value)
            case Symbol():
                return self.symbol(expression), ATOM
            case Slope(of, wrt):
                return self.slope(of, wrt), PREFIX
            case Add(terms):
                return self.sum(terms), SUM
            case Mul():
                return self.product(expression)
            case Power(base, exponent):
                if isinstance(exponent, Number) and exponent.value < 0:
                    return self.fraction(*numerator_and_denominator(expression))
                return self.power(base, exponent)
            case Apply():
                return self.function(expression)
        raise AssertionError(expression)

    def at(self, expression: Expr, level: int) -> str:
        """The text, in brackets where it binds less tightly than ``level``."""
        text, binds = self.printed(expression)
        return self.bracketed(text, binds) if binds < level else text

    def bracketed(self, text: str, binds: int) -> str:
        """A text in brackets, square ones around a sum that has groups of its own."""
        nested = binds == SUM and (text.startswith("(") or " (" in text or "·(" in text or "/(" in text)
        return f"[{text}]" if nested else f"({text})"

    def sum(self, terms: tuple[Expr, ...]) -> str:
        """Terms with their signs; of a long sum the first two and the last."""
        if len(terms) > self.most_terms:
            return f"{self.sum(terms[:2])} + {self.dots}{self._continued(terms[-1])}"
        first, *others = terms
        negative_first = coefficient_of(first)[0] < 0
        text = f"-{self.at(_opposite(first), PRODUCT)}" if negative_first else self.at(first, PRODUCT)
        return text + "".join(self._continued(term) for term in others)

    def _continued(self, term: Expr) -> str:
        """A term after others, with its sign."""
        if coefficient_of(term)[0] < 0:
            return f" - {self.at(_opposite(term), PRODUCT)}"
        return f" + {self.at(term, PRODUCT)}"

    def product(self, expression: Mul) -> Printed:
        """A product or a fraction; with a factor that is itself a product, as the units that were multiplied."""
        if any(isinstance(f, Mul) for f in expression.factors):
            return self.joined(expression.factors, self.loose_times, PRODUCT), PRODUCT
        coefficient, _ = coefficient_of(expression)
        if coefficient < 0:
            opposite = _opposite(expression)
            text, binds = self.printed(opposite)
            plain = binds >= PRODUCT or self._wide_factor(opposite) is not None
            return f"-{text if plain else self.bracketed(text, binds)}", SUM
        wide = self._wide_factor(expression)
        if wide is not None:
            others = [f for f in expression.factors if f is not wide]
            return f"{self.at(mul(*others), PRODUCT)}{self.before_sum}{self(wide)}", SUM
        above, below = numerator_and_denominator(expression)
        if below == ONE or _is_decimal(below, coefficient):
            factors = _plain_factors(expression, below)
            loose = any(isinstance(f, Slope) for f in factors)
            return self.joined(factors, self.loose_times if loose else self.times, PREFIX), PRODUCT
        return self.fraction(above, below)

    def _wide_factor(self, expression: Expr) -> Expr | None:
        """The sum or matrix product that is the only factor besides numbers and counts."""
        factors = factors_of(expression)
        wide = [f for f in factors if isinstance(f, Apply) and f.function in _WIDE]
        return wide[0] if len(wide) == 1 and all(is_count(f) for f in factors if f is not wide[0]) else None

    def joined(self, factors: tuple[Expr, ...], times: str, level: int) -> str:
        """Factors side by side; between arrays that are multiplied element by element a sign of its own."""
        last = len(factors) - 1
        texts = [self.factor(factor, level, last=k == last) for k, factor in enumerate(factors)]
        for k, (before, factor) in enumerate(pairwise(factors), 1):
            both = self.has_matrices and before.shape and factor.shape
            texts[k] = (self.elementwise_times if both else times) + texts[k]
        return "".join(texts)

    def factor(self, factor: Expr, level: int, *, last: bool) -> str:
        """One factor of a product; ``last`` tells whether nothing follows that its text could be read to include."""
        return self.at(factor, level)

    def number(self, value: Fraction) -> Printed:
        if value.denominator == 1 or _terminates(value):
            return decimal(value), ATOM if value >= 0 else SUM
        if value < 0:
            return f"-{self.number(-value)[0]}", SUM
        return self.fraction(number(value.numerator), number(value.denominator))

    def fraction(self, above: Expr, below: Expr) -> Printed:
        return f"{self.at(above, PRODUCT)}/{self.at(below, PREFIX)}", PRODUCT

    @abstractmethod
    def power(self, base: Expr, exponent: Expr) -> Printed:
        """A power, brackets included."""

    @abstractmethod
    def symbol(self, symbol: Symbol) -> str:
        """A name."""

    @abstractmethod
    def slope(self, of: str, wrt: str) -> str:
        """The derivative of one name by another."""

    @abstractmethod
    def function(self, expression: Apply) -> Printed:
        """The application of a function."""


def printable(name: str) -> str:
    """A name on one line and without control characters, whatever the user put into a key."""
    return name if name.isprintable() else name.encode("unicode_escape").decode("ascii")


def _opposite(term: Expr) -> Expr:
    """The term without its minus sign, its factors otherwise as they stand."""
    if isinstance(term, Mul) and isinstance(term.factors[0], Number):
        value = -term.factors[0].value
        rest = term.factors[1:]
        if value == 1:
            return rest[0] if len(rest) == 1 else Mul(rest)
        return Mul((Number(value), *rest))
    return negative(term)


def _terminates(value: Fraction) -> bool:
    """Whether a number reads better as a decimal: 0.1 and 1.5, but not 1/3, and not 1/2, 1/4, ..., 1/64."""
    rest = value.denominator
    if abs(value.numerator) == 1 and rest <= 64 and rest & (rest - 1) == 0:
        return False
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _is_decimal(below: Expr, coefficient: Fraction) -> bool:
    return isinstance(below, Number) and _terminates(coefficient)


def _plain_factors(expression: Mul, below: Expr) -> tuple[Expr, ...]:
    return expression.factors if below != ONE else factors_of(mul(*expression.factors))


def decimal(value: Fraction) -> str:
    """A number as Python writes it, whole numbers without a point."""
    if value.denominator == 1:
        return str(value.numerator) if abs(value) < 10**15 else repr(float(value))
    return repr(float(value))
