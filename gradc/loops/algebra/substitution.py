"""Triangular systems in place, as internal functions on panels (``gradc.loops.algebra.panels``).

A system is ``(forward, transposed, ones)``: whether its matrix is lower triangular, so that the first unknown is
found first; whether it is the transpose of what stands in the panels; whether its diagonal is 1 and not what stands
there. Many right-hand sides are solved block by block, with contractions between; a single one unknown by unknown.
"""

from __future__ import annotations

import numpy as np

from gradc.loops.algebra.factors import Index, Panelled, each, let, loop, store
from gradc.loops.algebra.panels import Panels
from gradc.loops.language.program import (
    Accumulate,
    Buffer,
    Call,
    Contraction,
    Expression,
    For,
    Function,
    Lanes,
    Local,
    Statement,
    Store,
    View,
    b,
    variable,
    whole,
)

System = tuple[bool, bool, bool]

LANES = 8
"""Dot products of a row run in this many partial sums."""


def sweep_function(
    name: str, system: System, layout: Panels, stride: int, columns: Panels, dtype: np.dtype
) -> Function:
    """``x``, panels of right-hand sides, becomes the solution with the triangular matrix in ``f``.

    ``stride`` are the rows that a panel of ``f`` has.
    """
    f = Buffer("f", dtype, (layout.count, stride, layout.width), "parameter")
    x = Buffer("x", dtype, (columns.count, layout.rows, columns.width), "parameter", writable=True)
    body = _one_column if columns.width == 1 else _many_columns
    return Function(name, (f, x), (), body(system, Panelled(layout, f), x))


def _counted(forward: bool, turn: Expression, count: int) -> Expression:
    """The number of a turn: from the first on, or from the last back."""
    return turn if forward or count == 1 else b.sub(b.constant(count - 1), turn)


# Many right-hand sides.


def _many_columns(system: System, matrix: Panelled, x: Buffer) -> tuple[Statement, ...]:
    """Block by block: a block is solved, and its products taken off those that are not solved yet."""
    layout, dtype = matrix.layout, x.dtype
    panels, _, across = (int(d) for d in x.shape)
    width, count = layout.width, layout.count
    negated = Buffer("negated", dtype, (width, across), "local")

    def panel(q: Expression) -> tuple[Statement, ...]:
        def block(turn: Expression) -> tuple[Statement, ...]:
            k = _counted(system[0], turn, count)
            inside = _within_a_block(system, matrix, x, q, k)
            return (inside,) if count == 1 else (inside, *_between_blocks(system, matrix, x, q, k, negated))

        return each("turn", count, block)

    return (*([Local(negated)] if count > 1 else []), *each("q", panels, panel))


def _between_blocks(
    system: System, matrix: Panelled, x: Buffer, q: Expression, k: Expression, negated: Buffer
) -> tuple[Statement, ...]:
    """Take the products of block k of the unknowns off the right-hand sides of those that come after it."""
    forward, transposed, _ = system
    layout, across = matrix.layout, int(x.shape[2])
    width = layout.width
    i, r, t = variable("i"), variable("r"), variable("t")
    copied = store(negated, (r, t), b.neg(b.load(x, (q, b.add(k * width, r), t))))
    panel, block = (i, k) if transposed else (k, i)
    letters = ("ki", "kj", "ij") if transposed else ("ik", "kj", "ij")
    sizes = {"i": width, "k": width, "j": across}
    contraction = Contraction(*letters, tuple((c, sizes[c]) for c in letters[0] + "j"), x.dtype, accumulate=True)
    place = View(x.name, (across, 1), b.mul(b.add(q * layout.rows, i * width), b.constant(across)))
    others = (b.add(k, 1), layout.count) if forward else (0, k)
    return (
        loop("r", 0, width, loop("t", 0, across, copied, mode="vector")),
        loop("i", *others, Call(contraction, (matrix.block(panel, block), whole(negated), place))),
    )


def _within_a_block(system: System, matrix: Panelled, x: Buffer, q: Expression, k: Expression) -> For:
    """Row by row: the rows before it are taken off, all columns at once, and it is divided by the diagonal."""
    forward, transposed, ones = system
    width, across = matrix.layout.width, int(x.shape[2])
    s, t = variable("s"), variable("t")
    r = _counted(forward, variable("r"), width)
    row, other = b.add(k * width, r), b.add(k * width, s)
    here, there = b.load(x, (q, row, t)), b.load(x, (q, other, t))
    element = matrix.at(k, other, r) if transposed else matrix.at(k, row, s)
    named, coefficient = let("coefficient", b.neg(element))
    less = store(x, (q, row, t), b.fma(coefficient, there, here))
    solved = (0, r) if forward else (b.add(r, 1), width)
    body: list[Statement] = [loop("s", *solved, named, loop("t", 0, across, less, mode="vector"))]
    if not ones:
        divisor, diagonal = let("diagonal", matrix.at(k, row, r))
        body += [divisor, loop("t", 0, across, store(x, (q, row, t), b.div(here, diagonal)), mode="vector")]
    return loop("r", 0, width, *body)


# One right-hand side.


def _one_column(system: System, matrix: Panelled, x: Buffer) -> tuple[Statement, ...]:
    """Along the rows that stand in the panels: as dot products, or, of the transpose, taken off what is unknown yet."""
    forward, transposed, ones = system
    layout, dtype = matrix.layout, x.dtype
    width, count = layout.width, layout.count
    s, t, zero = variable("s"), variable("t"), b.constant(0)
    r = _counted(forward, variable("r"), width)
    before = forward != transposed  # the elements before the diagonal, not those after it
    total = Buffer("total", dtype, (), "local")

    def unknown(at: Expression) -> Expression:
        return b.load(x, (zero, at, zero))

    def block(turn: Expression) -> tuple[Statement, ...]:
        k = _counted(forward, turn, count)
        row = b.add(k * width, r)
        divide = store(x, (zero, row, zero), b.div(unknown(row), matrix.at(k, row, r)))
        named, value = let("value", b.neg(unknown(row)))

        def along(panel: Expression, lo: Index, hi: Index) -> For:
            """Part of the row: a dot product with what is known, or what is known taken off."""
            other, element = b.add(panel * width, t), matrix.at(panel, row, t)
            if transposed:
                less = store(x, (zero, other, zero), b.fma(value, element, unknown(other)))
                return loop("t", lo, hi, less, mode="vector")
            term = Accumulate("add", total.name, (), b.mul(element, unknown(other)), Lanes("t", LANES))
            return loop("t", lo, hi, term)

        parts: list[Statement] = []
        if count > 1:
            parts.append(loop("s", *((zero, k) if before else (b.add(k, 1), count)), along(s, 0, width)))
        parts.append(along(k, *((zero, r) if before else (b.add(r, 1), width))))
        divided = [] if ones else [divide]
        if transposed:
            return (loop("r", 0, width, *divided, named, *parts),)
        start = (Local(total), Store(total.name, (), b.constant(0.0, dtype)))
        taken = store(x, (zero, row, zero), b.sub(unknown(row), b.load(total)))
        return (loop("r", 0, width, *start, *parts, taken, *divided),)

    return each("turn", count, block)
