"""Products by 2, 4, 8, ... are exact, and loops do with fewer of them.

Twice a product that is there is that product, doubled: ``200.0 * r`` beside ``100.0 * r``. A square and its derivative
have the same factor, once and twice. Doubling is a sum, for which machines have units beside those for products, and a
loop over both is as fast as the busier ones. The bits are the same, but for products below the normal numbers, of which
the last may differ.

A sum or a difference with ``2.0 * x`` that nothing else reads is a multiply-add, and one of ``2.0 * x`` and ``2.0 * y``
is that of x and y, doubled: an operation less, to the same bits, but that nothing overflows where only the doubled
values would.
"""

from __future__ import annotations

import math
from collections import ChainMap, Counter
from dataclasses import dataclass, field, replace

from gradc.loops.language.program import Apply, Constant, Expression, For, If, Let, Load, Statement, Variable, b, walk
from gradc.loops.language.traversal import uses_of


def with_doublings(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """The same statements, every value a name of its own, with such products and sums."""
    return _Doublings(uses_of(body)).block(body)


@dataclass(frozen=True, slots=True)
class _Doublings:
    """What is known inside a block.

    uses       how often each name is read
    products   those by numbers that have a name, by number and other factor
    multiples  names that are read once, of exact products: the number and the other factor

    The other factors are computed from names, which do not change, as memory may.
    """

    uses: Counter[Expression]
    products: ChainMap[tuple[float, Expression], Expression] = field(default_factory=ChainMap)
    multiples: ChainMap[Expression, tuple[float, Expression]] = field(default_factory=ChainMap)

    def block(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        inner = _Doublings(self.uses, self.products.new_child(), self.multiples.new_child())
        return tuple([inner.statement(statement) for statement in body])

    def statement(self, statement: Statement) -> Statement:
        match statement:
            case For(body=body):
                return replace(statement, body=self.block(body))
            case If(then=then, otherwise=otherwise):
                return replace(statement, then=self.block(then), otherwise=self.block(otherwise))
            case Let(value=Apply() as value) if value.dtype.kind == "f":
                statement = replace(statement, value=self._value(value, statement.variable))
                multiple = self._multiple(statement.value)
                if multiple is not None and self.uses[statement.variable] == 1:
                    self.multiples[statement.variable] = multiple
        return statement

    def _value(self, value: Apply, name: Expression) -> Expression:
        match value:
            case Apply(primitive="mul", arguments=(Constant(value=number), Variable() as factor)):
                half = self.products.get((number / 2, factor))
                self.products[number, factor] = name
                return value if half is None else b.mul(2.0, half)
            case Apply(primitive="add", arguments=(x, y)):
                return self._sum(x, y, subtracts=False) or value
            case Apply(primitive="sub", arguments=(x, y)):
                return self._sum(x, y, subtracts=True) or value
        return value

    def _sum(self, x: Expression, y: Expression, *, subtracts: bool) -> Expression | None:
        """A sum or a difference of values of which one is an exact product at least; None for others."""
        sign = -1 if subtracts else 1
        left, right = self.multiples.get(x), self.multiples.get(y)
        if left is not None and right is not None and left[0] == abs(right[0]):
            return b.mul(left[0], (b.add if right[0] * sign > 0 else b.sub)(left[1], right[1]))
        if left is not None and right is not None and -left[0] == right[0] * sign > 0:
            return b.mul(-left[0], b.sub(right[1], left[1]))
        if right is not None:
            return b.fma(sign * right[0], right[1], x)
        if left is not None:
            return b.fma(left[0], left[1], b.neg(y) if subtracts else y)
        return None

    def _multiple(self, value: Expression) -> tuple[float, Expression] | None:
        match value:
            case Apply(primitive="mul", arguments=(Constant(value=number), factor)) if _is_exact(number):
                return None if any(isinstance(part, Load) for part in walk(factor)) else (number, factor)
            case Apply(primitive="neg", arguments=(x,)) if x in self.multiples:
                number, factor = self.multiples[x]
                return -number, factor
        return None


def _is_exact(number: float) -> bool:
    """Whether a product by a number is exact, and larger."""
    return number > 1 and math.frexp(number)[0] == 0.5
