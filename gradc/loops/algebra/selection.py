"""Values in order, with their vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gradc.loops.algebra.arithmetic import element
from gradc.loops.algebra.factors import let, loop, store
from gradc.loops.language.program import Buffer, Expression, If, Local, Statement, b, variable


def in_order(
    values: Buffer,
    comes_before: Callable[[Expression, Expression], Expression],
    exchanged: Callable[[Expression, Expression], Sequence[Statement]],
) -> tuple[Statement, ...]:
    """A vector of values in order, by selection; ``exchanged(k, row)`` exchanges what goes with two of them."""
    k, j, size = variable("k"), variable("j"), int(values.shape[0])
    best = Buffer("best", np.dtype(np.int64), (), "local")
    found, row = let("row", b.clamp(b.load(best), size))
    kept, value = let("value", element(values, k))
    exchange = (
        kept,
        store(values, (k,), element(values, row)),
        store(values, (row,), value),
        *exchanged(k, row),
    )
    before = comes_before(element(values, j), element(values, b.clamp(b.load(best), size)))
    choose = loop("j", b.add(k, 1), size, If(before, (store(best, (), j),)))
    return (Local(best), loop("k", 0, size, store(best, (), k), choose, found, If(b.ne(row, k), exchange)))
