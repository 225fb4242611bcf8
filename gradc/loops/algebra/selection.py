"""Values in order, with their vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from gradc.loops.algebra.factors import let, loop, store
from gradc.loops.algebra.reflections import element
from gradc.loops.language.program import Buffer, Expression, If, Local, Statement, b, variable


def in_order(
    w: Buffer,
    size: int,
    values: int,
    scale: Buffer,
    comes_before: Callable[[Expression, Expression], Expression],
    vectors: Mapping[str, int],
) -> tuple[Statement, ...]:
    """The values, in the row ``values`` of ``w``, in order by selection, and then in the matrix's own ``scale``.

    ``vectors`` are the first rows of the sets of vectors that go with them, by the name of an element on its way.
    """
    k, j = variable("k"), variable("j")
    best = Buffer("best", np.dtype(np.int64), (), "local")
    found, row = let("row", b.clamp(b.load(best), size))
    kept, value = let("value", element(w, values, k))

    def exchanged(name: str, start: int) -> Statement:
        here, there = b.add(k, start), b.add(row, start)
        mine, this = let(name, element(w, here, j))
        theirs = store(w, (here, j), element(w, there, j))
        return loop("j", 0, size, mine, theirs, store(w, (there, j), this))

    exchange = (
        kept,
        store(w, (values, k), element(w, values, row)),
        store(w, (values, row), value),
        *[exchanged(name, start) for name, start in vectors.items()],
    )
    before = comes_before(element(w, values, j), element(w, values, b.clamp(b.load(best), size)))
    choose = loop("j", b.add(k, 1), size, If(before, (store(best, (), j),)))
    return (
        Local(best),
        loop("k", 0, size, store(best, (), k), choose, found, If(b.ne(row, k), exchange)),
        loop("k", 0, size, store(w, (values, k), b.mul(element(w, values, k), b.load(scale)))),
    )
