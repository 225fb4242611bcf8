"""Expressions as a person writes them: over the user's names, in the order of writing, nothing done behind the back.

The constructors ``add``, ``mul``, ``power`` only tidy what nobody would write (a factor 1, a term 0, a sum within a
sum). Everything that deserves a reason is a law of ``laws``. Operations are elementwise and broadcast as NumPy does, so
that the algebra of numbers holds for arrays as well; what mixes elements is an ``Apply``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Final

import numpy as np

from gradc.ir.aval import Dim, broadcast_shapes
from gradc.ir.op import REGISTRY, Op
from gradc.ops.regions import call

Shape = tuple[Dim, ...]


AXES: Final = "ijklmnopqrstuvwxyz"
"""The letters of the axes of an array."""


@dataclass(frozen=True)
class Number:
    """A rational number; a float of the program is read as the decimal that its shortest text says."""

    value: Fraction
    shape: Shape = ()


@dataclass(frozen=True)
class Symbol:
    """A value of the program by its name. ``role`` is ``input``, ``value``, or ``size`` (a symbolic size)."""

    name: str
    shape: Shape = ()
    role: str = "value"


@dataclass(frozen=True)
class Slope:
    """The derivative of ``of`` with respect to ``wrt``, left as it is: dL/dz."""

    of: str
    wrt: str
    shape: Shape = ()


@dataclass(frozen=True)
class Add:
    terms: tuple[Expr, ...]

    @cached_property
    def shape(self) -> Shape:
        return broadcast_shapes(*[t.shape for t in self.terms])


@dataclass(frozen=True)
class Mul:
    factors: tuple[Expr, ...]

    @cached_property
    def shape(self) -> Shape:
        return broadcast_shapes(*[f.shape for f in self.factors])


@dataclass(frozen=True)
class Power:
    base: Expr
    exponent: Expr

    @cached_property
    def shape(self) -> Shape:
        return broadcast_shapes(self.base.shape, self.exponent.shape)


@dataclass(frozen=True)
class Apply:
    """A function of ``gradc.inspect.functions`` or an op, applied. ``params`` are the op's static keywords."""

    function: str
    args: tuple[Expr, ...]
    shape: Shape = ()
    params: tuple[tuple[str, Any], ...] = ()

    def param(self, name: str) -> Any:
        return dict(self.params)[name]


@dataclass(frozen=True)
class Table:
    """The elements of a constant array, as a parameter that can be compared: its bytes and their dtype."""

    content: bytes
    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: np.ndarray) -> Table:
        return cls(array.tobytes(), array.dtype.str, array.shape)

    @property
    def array(self) -> np.ndarray:
        return np.frombuffer(self.content, self.dtype).reshape(self.shape)


_ROUNDING: Final = Fraction(1, 2**50)
"""A few units in the last place of a float."""

Expr = Number | Symbol | Slope | Add | Mul | Power | Apply

ZERO = Number(Fraction(0))
ONE = Number(Fraction(1))
MINUS_ONE = Number(Fraction(-1))
TWO = Number(Fraction(2))


def number(value: float | Fraction) -> Number:
    """A finite number as an expression."""
    return Number(value if isinstance(value, Fraction) else Fraction(str(value)))


def add(*terms: Expr) -> Expr:
    """The sum, sums within it opened, zeros left out, numbers gathered at the place of the first."""
    flat: list[Expr] = []
    constant, place = Fraction(0), -1
    for term in _opened(terms, Add):
        if isinstance(term, Number):
            constant += term.value
            place = len(flat) if place < 0 else place
        else:
            flat.append(term)
    if constant:
        flat.insert(place, Number(constant))
    if not flat:
        return ZERO
    return flat[0] if len(flat) == 1 else Add(tuple(flat))


def mul(*factors: Expr) -> Expr:
    """The product, products within it opened, the number in front, equal factors as a power.

    A factor and its reciprocal stay: that they cancel is a step of its own.
    """
    coefficient = Fraction(1)
    powers: dict[tuple[Expr, bool], Expr] = {}
    for factor in _opened(factors, Mul):
        if isinstance(factor, Number):
            coefficient *= factor.value
            continue
        base, exponent = base_and_exponent(factor)
        key = (base, _is_negative(exponent))
        powers[key] = add(powers[key], exponent) if key in powers else exponent
    if not coefficient:
        return ZERO
    flat = [power(base, exponent) for (base, _), exponent in powers.items()]
    if coefficient not in (1, -1):
        for factor in [f for f in flat if isinstance(f, Power) and isinstance(f.base, Number)]:
            if factor.exponent == MINUS_ONE and isinstance(factor.base, Number):
                coefficient /= factor.base.value
                flat.remove(factor)
    if coefficient != 1 or not flat:
        flat.insert(0, Number(_rounded(coefficient)))
    return flat[0] if len(flat) == 1 else Mul(tuple(flat))


def _rounded(value: Fraction) -> Fraction:
    """A fraction of long numbers as a short one within the rounding of floats, or as the decimal of its float."""
    if not _is_long(value):
        return value
    short = value.limit_denominator(1000)
    return short if abs(short - value) <= abs(value) * _ROUNDING else Fraction(repr(float(value)))


def _is_long(value: Fraction) -> bool:
    return max(abs(value.numerator), value.denominator) > 10**9


def power(base: Expr, exponent: Expr) -> Expr:
    """The power, with numbers evaluated, and integer powers of powers and reciprocals of products opened."""
    if exponent == ONE or base == ONE:
        return base
    if exponent == ZERO:
        return ONE
    if isinstance(exponent, Number) and exponent.value.denominator == 1:
        n = int(exponent.value)
        if isinstance(base, Number) and (base.value or n > 0) and abs(n) <= 8:
            return Power(base, exponent) if n < 0 and _is_long(base.value) else Number(_rounded(base.value**n))
        if isinstance(base, Apply) and base.function == "sqrt" and n % 2 == 0:
            return power(base.args[0], Number(Fraction(n // 2)))
        if isinstance(base, Power) and isinstance(base.exponent, Number):
            inner = base.exponent.value
            if inner.denominator == 1:
                return power(base.base, Number(inner * n))
        if n < 0 and isinstance(base, Mul):
            return mul(*[power(f, exponent) for f in base.factors])
    return Power(base, exponent)


def negative(expression: Expr) -> Expr:
    return mul(MINUS_ONE, expression)


def divide(numerator: Expr, denominator: Expr) -> Expr:
    return mul(numerator, power(denominator, MINUS_ONE))


def _opened(parts: tuple[Expr, ...], kind: type[Add | Mul]) -> Iterator[Expr]:
    for part in parts:
        if isinstance(part, Add) and kind is Add:
            yield from _opened(part.terms, kind)
        elif isinstance(part, Mul) and kind is Mul:
            yield from _opened(part.factors, kind)
        else:
            yield part


def _is_negative(exponent: Expr) -> bool:
    return isinstance(exponent, Number) and exponent.value < 0


def base_and_exponent(factor: Expr) -> tuple[Expr, Expr]:
    """``x**n`` as ``(x, n)``, anything else as ``(itself, 1)``."""
    return (factor.base, factor.exponent) if isinstance(factor, Power) else (factor, ONE)


def terms_of(expression: Expr) -> tuple[Expr, ...]:
    return expression.terms if isinstance(expression, Add) else (expression,)


def factors_of(expression: Expr) -> tuple[Expr, ...]:
    return expression.factors if isinstance(expression, Mul) else (expression,)


def coefficient_of(expression: Expr) -> tuple[Fraction, Expr]:
    """The number in front, and what it stands before."""
    if isinstance(expression, Number):
        return expression.value, ONE
    if isinstance(expression, Mul) and isinstance(expression.factors[0], Number):
        rest = expression.factors[1:]
        return expression.factors[0].value, rest[0] if len(rest) == 1 else Mul(rest)
    return Fraction(1), expression


def numerator_and_denominator(expression: Expr) -> tuple[Expr, Expr]:
    """The two sides of the fraction bar. Numbers such as 1/3 are split too."""
    above: list[Expr] = []
    below: list[Expr] = []
    for factor in factors_of(expression):
        base, exponent = base_and_exponent(factor)
        if isinstance(factor, Number) and factor.value.denominator != 1:
            above.append(Number(Fraction(factor.value.numerator)))
            below.append(Number(Fraction(factor.value.denominator)))
        elif _is_negative(exponent):
            below.append(power(base, negative(exponent)))
        else:
            above.append(factor)
    return mul(*above), mul(*below)


def narrow(expression: Expr) -> Expr:
    """What is repeated, without the repetition: elementwise operations repeat by themselves."""
    if isinstance(expression, Apply) and expression.function == "broadcast_to":
        return expression.args[0]
    return expression


def spread(expression: Expr, shape: Shape) -> Expr:
    """The expression repeated to a shape, where it does not have it."""
    if expression.shape == shape:
        return expression
    return Apply("broadcast_to", (narrow(expression),), shape, (("shape", shape),))


def is_count(factor: Expr) -> bool:
    """Whether a factor is a number or a count of elements, or a power of one."""
    base, _ = base_and_exponent(factor)
    return isinstance(base, Number) or (isinstance(base, Symbol) and base.role == "size")


def children(expression: Expr) -> tuple[Expr, ...]:
    """The parts of an expression, one level down."""
    match expression:
        case Add(terms):
            return terms
        case Mul(factors):
            return factors
        case Power(base, exponent):
            return (base, exponent)
        case Apply(args=args):
            return args
    return ()


def record_of(function: str) -> Op | None:
    """The record of an op by the name that an expression has for it."""
    return call if function == call.name else REGISTRY.get(function)


def is_pointwise(function: str) -> bool:
    """Whether a function is applied element by element."""
    op = record_of(function)
    return function not in ("item", "others") if op is None else op.elementwise


def rebuilt(expression: Expr, parts: tuple[Expr, ...]) -> Expr:
    """The same kind of expression from other parts."""
    match expression:
        case Add():
            return add(*parts)
        case Mul():
            return mul(*parts)
        case Power():
            return power(parts[0], parts[1])
        case Apply(function):
            shape = broadcast_shapes(*[p.shape for p in parts]) if is_pointwise(function) else expression.shape
            return replace(expression, args=parts, shape=shape)
    return expression


def transformed(expression: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """The expression with ``change`` made wherever it gives something, from the leaves up."""
    parts = children(expression)
    if parts:
        new = tuple([transformed(p, change) for p in parts])
        if new != parts:
            expression = rebuilt(expression, new)
    changed = change(expression)
    return expression if changed is None else changed


def substituted(expression: Expr, by: Mapping[Expr, Expr]) -> Expr:
    """The expression with leaves (or whole parts) exchanged."""
    return transformed(expression, by.get) if by else expression


def walk(expression: Expr) -> Iterator[Expr]:
    """The expression and all its parts, outermost first, left to right."""
    yield expression
    for part in children(expression):
        yield from walk(part)


def contains(expression: Expr, part: Expr) -> bool:
    return any(e == part for e in walk(expression))


def leaves(expression: Expr) -> int:
    """How much there is to read: symbols, numbers and function names; a sign or an exponent counts as well."""
    return sum(1 for e in walk(expression) if isinstance(e, Number | Symbol | Slope | Apply))
