"""Rotations of neighbouring rows, sweep by sweep, kept and then applied to panels of vectors, each while it is in the
cache. (Van Zee, van de Geijn and Quintana-Orti, Restructuring the tridiagonal and bidiagonal QR algorithms for
performance, 2014.)
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gradc.loops.algebra.arithmetic import element
from gradc.loops.algebra.factors import let, loop, store
from gradc.loops.algebra.reflections import Columns
from gradc.loops.language.program import Buffer, Expression, Local, Statement, b, variable

KEPT: Final = 16
"""Sweeps whose rotations are kept until they are applied."""

KEPT_BYTES: Final = 48 * 1024
"""The stack that kept rotations take at most, but for a single sweep."""


def sweeps_kept(rows: int, sets: int, dtype: np.dtype) -> int:
    """How many sweeps are kept, where each has so many sets of rotations of rows."""
    return max(1, min(KEPT, KEPT_BYTES // (2 * sets * rows * dtype.itemsize)))


class Kept:
    """The rotations of some sweeps, one for each row and the one after it."""

    def __init__(self, word: str, layout: Columns, dtype: np.dtype, sweeps: int) -> None:
        self.layout, self.sweeps, self.dtype, self.word = layout, sweeps, dtype, word
        shape = (sweeps, layout.columns)
        self.cosines, self.sines = (Buffer(f"{word}_{x}", dtype, shape, "local") for x in ("cosines", "sines"))
        self.locals = (Local(self.cosines), Local(self.sines))

    def keep(self, sweep: Expression, i: Expression, c: Expression, s: Expression) -> tuple[Statement, ...]:
        """The rotation ``c * x + s * y``, ``c * y - s * x`` of rows i and i + 1."""
        return (store(self.cosines, (sweep, i), c), store(self.sines, (sweep, i), s))

    def applied(self, z: Buffer, panels: range, sweeps: Expression, first: Buffer, last: Buffer) -> Statement:
        """Rotate the rows of some panels of ``z`` by so many sweeps, from their rows ``first`` to their rows ``last``.

        The row that is next stays in registers.
        """
        word, width, size = self.word, self.layout.width, self.layout.columns
        p, k, i, t = variable("p"), variable("k"), variable("i"), variable("t")
        carried = Buffer(f"{word}_row", self.dtype, (width,), "local")
        begin, lo = let("lo", b.clamp(element(first, k), size))
        end, hi = let("hi", b.clamp(element(last, k), size))
        cosine, c = let("c", element(self.cosines, k, i))
        sine, s = let("s", element(self.sines, k, i))
        above, upper = let("upper", element(carried, t))
        beneath, lower = let("lower", element(z, p, b.add(i, 1), t))
        rotation = (
            above,
            beneath,
            store(z, (p, i, t), b.fma(c, upper, b.mul(s, lower))),
            store(carried, (t,), b.fma(c, lower, b.neg(b.mul(s, upper)))),
        )
        return loop(
            "p",
            panels.start,
            panels.stop,
            loop(
                "k",
                0,
                sweeps,
                begin,
                end,
                Local(carried),
                loop("t", 0, width, store(carried, (t,), element(z, p, lo, t)), mode="vector"),
                loop("i", lo, hi, cosine, sine, loop("t", 0, width, *rotation, mode="vector")),
                loop("t", 0, width, store(z, (p, hi, t), element(carried, t)), mode="vector"),
            ),
        )
