"""Twice a product that is there is that product, doubled: ``200.0 * r`` beside ``100.0 * r``.

A square and its derivative have the same factor, once and twice. Doubling is a sum, for which machines have units
beside those for products, and a loop over both is as fast as the busier ones. The bits are the same, but for products
below the normal numbers, of which the last may differ.
"""

from __future__ import annotations

from collections import ChainMap
from dataclasses import replace

from gradc.loops.language.program import Apply, Constant, Expression, For, If, Let, Statement, Variable, b

_Products = ChainMap[tuple[float, Expression], Expression]
"""The products by numbers that have a name, by number and other factor."""


def with_doublings(body: tuple[Statement, ...], outer: _Products | None = None) -> tuple[Statement, ...]:
    """The same statements, every value a name of its own, with doubled names for such products."""
    known: _Products = ChainMap() if outer is None else outer.new_child()
    return tuple([_doubled(statement, known) for statement in body])


def _doubled(statement: Statement, known: _Products) -> Statement:
    match statement:
        case For(body=body):
            return replace(statement, body=with_doublings(body, known))
        case If(then=then, otherwise=otherwise):
            return replace(statement, then=with_doublings(then, known), otherwise=with_doublings(otherwise, known))
        case Let(value=Apply(primitive="mul", arguments=(Constant(value=number), Variable() as factor)) as product):
            if product.dtype.kind == "f":  # what a name stands for does not change, as memory may
                half = known.get((number / 2, factor))
                known[number, factor] = statement.variable
                if half is not None:
                    return replace(statement, value=b.mul(2.0, half))
    return statement
