"""What iterations on few diagonals share: the diagonals, on the stack, rotations, and values in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gradc.loops.algebra.arithmetic import element
from gradc.loops.algebra.factors import let, loop, store
from gradc.loops.algebra.passes import BESIDE, DIAGONAL, NUMBERS
from gradc.loops.algebra.reflections import Columns
from gradc.loops.algebra.selection import in_order
from gradc.loops.language.program import Buffer, Expression, Let, Local, Statement, Store, b, variable

Keep = Callable[[Expression, Expression, Expression], tuple[Statement, ...]]
"""What keeps the rotation of a row and the one after it, by its cosine and sine."""

VALUES, STATE, EXTRA = 0, 1, 2
"""The rows behind the vectors: the values, and the state, 1 or 0 where there is no result; and their count."""


class Rotation(NamedTuple):
    """One that brings a pair of numbers to their norm, and 0."""

    lets: tuple[Let, ...]
    c: Expression
    s: Expression
    norm: Expression


class Iteration:
    """The diagonals in ``f``, and the array ``w`` that gets the values behind ``rows`` rows of its panels.

    A set of vectors has ``panels``: those of real parts, and of imaginary ones if there are some.
    """

    def __init__(self, layout: Columns, parts: int, f: Buffer, w: Buffer, rows: int) -> None:
        self.layout, self.f, self.w, self.rows = layout, f, w, rows
        self.panels = parts * layout.count
        self.size, self.dtype = layout.columns, w.dtype
        self.zero, self.one = b.constant(0.0, w.dtype), b.constant(1.0, w.dtype)
        self.d = Buffer("d", w.dtype, (self.size,), "local")
        # The element beside rows i and i + 1 stands at i + 1.
        self.e = Buffer("e", w.dtype, (self.size + 1,), "local")
        information = np.finfo(w.dtype)
        self.eps, self.tiny = float(information.eps), float(information.tiny)

    def beside(self, i: Expression) -> Expression:
        """The element beside rows i and i + 1."""
        return element(self.e, b.add(i, 1))

    def put_beside(self, i: Expression, value: Expression) -> Store:
        return store(self.e, (b.add(i, 1),), value)

    def number(self, place: int) -> Expression:
        """One of the numbers of the matrix: what it was divided by, and whether it is finite."""
        return element(self.f, 0, self.layout.padded + NUMBERS, place)

    def state(self, value: Expression) -> Store:
        return store(self.w, (0, self.rows + STATE, 0), value)

    def started(self) -> tuple[Statement, ...]:
        """The diagonals, copied."""
        i, padded = variable("i"), self.layout.padded
        panel, _, column = self.layout.place(0, i)
        return (
            Local(self.d),
            Local(self.e),
            store(self.e, (0,), self.zero),
            loop(
                "i",
                0,
                self.size,
                store(self.d, (i,), element(self.f, panel, padded + DIAGONAL, column)),
                self.put_beside(i, element(self.f, panel, padded + BESIDE, column)),
            ),
            self.state(self.number(1)),
        )

    def rotation(self, word: str, x: Expression, y: Expression) -> Rotation:
        """That of the numbers x and y; what is too small for one is nothing beside the matrix."""
        least = b.constant(self.tiny / self.eps, self.dtype)
        squares, square = let(f"{word}_square", b.fma(y, y, b.mul(x, x)))
        tested, is_small = let(f"{word}_is_small", b.lt(square, least))
        rooted, root = let(f"{word}_root", b.sqrt(square))
        turned_c, c = let(f"{word}_c", b.select(is_small, self.one, b.div(x, root)))
        turned_s, s = let(f"{word}_s", b.select(is_small, self.zero, b.div(y, root)))
        return Rotation((squares, tested, rooted, turned_c, turned_s), c, s, b.select(is_small, x, root))

    def turned(self, q: Buffer, first: int) -> Statement:
        """The rows of a set of panels of ``w``, from panel ``first`` on, become the columns of ``q``."""
        p, i, t, width, count = variable("p"), variable("i"), variable("t"), self.layout.width, self.layout.count
        panel, row, column = self.layout.place(b.add(b.mod(p, count) * width, t), i)
        part = b.add(b.floor_div(p, count) * count, panel)
        moved = store(self.w, (b.add(p, first), i, t), element(q, part, row, column))
        return loop("p", 0, self.panels, loop("i", 0, self.size, loop("t", 0, width, moved, mode="vector")))

    def ordered(
        self, comes_before: Callable[[Expression, Expression], Expression], panels: int
    ) -> tuple[Statement, ...]:
        """Values in order, in the matrix's own scale, with their vectors in so many panels."""
        k, p, t, width = variable("k"), variable("p"), variable("t"), self.layout.width

        def exchanged(one: Expression, other: Expression) -> tuple[Statement, ...]:
            mine, this = let("this", element(self.w, p, one, t))
            theirs, that = let("that", element(self.w, p, other, t))
            both = (mine, theirs, store(self.w, (p, one, t), that), store(self.w, (p, other, t), this))
            return (loop("p", 0, panels, loop("t", 0, width, *both, mode="vector")),) if panels else ()

        panel, _, column = self.layout.place(0, k)
        value = b.mul(element(self.d, k), self.number(0))
        put = store(self.w, (panel, self.rows + VALUES, column), value)
        return (*in_order(self.d, comes_before, exchanged), loop("k", 0, self.size, put))
