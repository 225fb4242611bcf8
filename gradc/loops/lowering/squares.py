"""Squares that are added up, and what is a positive number of times one, go to the sum over a loop one by one.

``sum[] += a * a + 2.0 * b * b`` becomes a fused multiply-add for each term, where adding up the terms first takes a sum
more. None of the terms is negative, so nothing cancels that would have cancelled before: the sum is as accurate.
"""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from gradc.loops.language.program import (
    Accumulate,
    Apply,
    Constant,
    Expression,
    For,
    If,
    Lanes,
    Let,
    Statement,
)
from gradc.loops.language.traversal import statements_of, uses_of

_TERMS: Final = 4
"""The most terms that go one by one."""

_DEEPEST: Final = 4
"""How many products and sums are looked into, one inside the other."""


def with_separate_squares(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """The same statements, every value a name of its own, with such sums in parts."""
    if not any(_takes_squares(statement) for statement in statements_of(body)):
        return body
    return tuple(_Squares(uses_of(body)).block(body))


def _takes_squares(statement: Statement) -> bool:
    return (
        isinstance(statement, Accumulate)
        and (statement.op, statement.value.dtype.kind) == ("add", "f")
        and isinstance(statement.order, Lanes)
    )


@dataclass(frozen=True, slots=True)
class _Squares:
    """What is known inside a block: how often each name is read, and what each stands for."""

    uses: Counter[Expression]
    values: ChainMap[Expression, Expression] = field(default_factory=ChainMap)

    def block(self, body: tuple[Statement, ...]) -> Iterator[Statement]:
        inner = _Squares(self.uses, self.values.new_child())
        for statement in body:
            yield from inner.separated(statement)

    def separated(self, statement: Statement) -> Iterator[Statement]:
        match statement:
            case For(body=body):
                yield replace(statement, body=tuple(self.block(body)))
            case If(then=then, otherwise=otherwise):
                yield replace(statement, then=tuple(self.block(then)), otherwise=tuple(self.block(otherwise)))
            case Accumulate(value=value) if _takes_squares(statement):
                terms = list(self._terms(value))
                apart = 1 < len(terms) <= _TERMS and all(self._odd_factors(term) == frozenset() for term in terms)
                yield from [replace(statement, value=term) for term in terms] if apart else [statement]
            case Let(value=value):
                self.values[statement.variable] = value
                yield statement
            case _:
                yield statement

    def _terms(self, value: Expression, depth: int = 0) -> Iterator[Expression]:
        """What a value that is read once adds up."""
        match self.values.get(value):
            case Apply(primitive="add", arguments=arguments) if self.uses[value] == 1 and depth < _DEEPEST:
                for argument in arguments:
                    yield from self._terms(argument, depth + 1)
            case _:
                yield value

    def _odd_factors(self, value: Expression, depth: int = 0) -> frozenset[Expression] | None:
        """The values that stand an odd number of times in a product, beside positive numbers; None for no such product.

        What is not a product is its own factor; so nothing is left over of squares alone.
        """
        if isinstance(value, Constant):
            return frozenset() if value.value > 0 else None
        match self.values.get(value):
            case Apply(primitive="mul", arguments=(one, other)) if depth < _DEEPEST:
                if one == other:
                    return frozenset()
                left, right = self._odd_factors(one, depth + 1), self._odd_factors(other, depth + 1)
                return None if left is None or right is None else left ^ right
        return frozenset((value,))
