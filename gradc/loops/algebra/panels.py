"""How the factors of a matrix lie in memory, and the ops that only the lowering knows, which make and use them.

A matrix is cut into panels of whole columns, each of them a row-major array of its own: element (i, j) stands at
``[j // width, i, j % width]``. So the rows of a panel are a few whole vectors, its square blocks are dense, and no
power of two in a matrix's size makes rows collide in the cache. Where there is more than one panel the matrix is
padded to whole blocks by an identity. Factors of any matrix have three more rows: in column j the pivot that stands
on the diagonal, the row of the matrix that was brought to row j, and, in the first column, the sign of that order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from gradc.errors import CompileError
from gradc.ir.aval import Aval, Dim
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops.shape import reshape, slice_, transpose

SINGLE: Final = 32
"""Matrices up to this size are one panel."""

NARROW: Final = 16
WIDE: Final = 24
"""Widths of panels: within a panel rows are taken off one by one, outside of it in products. Up to 256 columns the
narrow one leaves least to do, beyond, the wide one reads less memory."""

COLUMNS: Final = (168, 184, 200, 216, 232)
"""Widths of panels of right-hand sides, of which up to the last stand in one; none is a power of two."""

PIVOTS, ORDER, PARITY = 0, 1, 2
"""The rows below the factors of any matrix."""


@dataclass(frozen=True, slots=True)
class Panels:
    """The layout of a matrix of ``size`` rows: ``count`` panels of ``width`` columns and ``rows`` rows."""

    size: int
    width: int
    count: int

    @property
    def rows(self) -> int:
        """The rows of a panel, padding counted."""
        return self.width * self.count

    @staticmethod
    def of(size: int) -> Panels:
        """The layout for a size."""
        if size <= SINGLE:
            return Panels(size, size, 1)
        return _padded(size, (WIDE if size > 256 else NARROW,))

    @staticmethod
    def of_columns(columns: int) -> Panels:
        """The layout of right-hand sides."""
        return Panels(columns, columns, 1) if columns <= COLUMNS[-1] else _padded(columns, COLUMNS)


def _padded(size: int, widths: tuple[int, ...]) -> Panels:
    width = min(widths, key=lambda w: (-(-size // w) * w, -w))
    return Panels(size, width, -(-size // width))


def never(*operands: Any, **params: Any) -> NoReturn:
    """What is evaluated of an op that only the lowering knows."""
    raise CompileError("this op stands in loop programs alone")


def _infer_panels(extra: int) -> Callable[..., Aval]:
    def infer(a: Aval) -> Aval:
        layout = Panels.of(int(a.shape[-1]))
        return Aval((a.shape[0], layout.count, layout.rows + extra, layout.width), a.dtype)

    return infer


def _infer_sweeps(factor: Aval, *sides: Aval, size: int, columns: int, **params: Any) -> Aval:
    rows, beside = Panels.of(size), Panels.of_columns(columns)
    return Aval((factor.shape[0], beside.count, rows.rows, beside.width), factor.dtype)


def _infer_reordered(factor: Aval, sides: Aval) -> Aval:
    return sides


cholesky_panels = Op("cholesky_panels", _infer_panels(0), never)
"""The factor of cholesky, for a stack of matrices ``[batch, n, n]``; 0 above the diagonal."""

lower_panels = Op("lower_panels", _infer_panels(0), never)
"""The lower triangle of matrices, as panels; what stands above it is not set."""

lu_panels = Op("lu_panels", _infer_panels(3), never)
"""The factors of any matrices: L without its diagonal of ones below, U above, and how rows were ordered."""

sweeps = Op("sweeps", _infer_sweeps, never)
"""Right-hand sides ``[batch, size, columns]``, an identity by default, solved with factors, as panels of columns.

``steps`` are the systems, one after the other: ``(forward, transposed, ones)``, see ``algebra.substitution``.
``ordered`` says that the rows are first brought into the order of the factors; ``message`` is told for factors with a
0 on their diagonal, where that is an error.
"""

reordered = Op("reordered", _infer_reordered, never)
"""Solutions ``[batch, n, m]`` whose rows stand in the order of the factors, brought into that of the matrix."""

complete_cofactors = Op(
    "complete_cofactors",
    lambda a, usable: Aval((a.shape[0], 2 * int(a.shape[2]) + 2, a.shape[2]), a.dtype),
    never,
)
"""The cofactors of those matrices that ``usable`` does not name, in the first rows; see ``algebra.cofactors``."""

require = Op("require", lambda x, holds, message: x, never, elementwise=True)
"""``x``, with an error of this message when it runs where ``holds`` is false."""

PRIVATE: Final = (complete_cofactors, cholesky_panels, lower_panels, lu_panels, sweeps, reordered)


# Panels back to matrices, by ops that only move elements.


def matrix_of(panels: Value, layout: Panels, columns: Panels) -> Value:
    """The matrices ``[batch, n, m]`` that stand in panels ``[batch, count, rows, width]``."""
    batch, count, rows, width = panels.aval.shape
    beside = reshape(transpose(panels, axes=(0, 2, 1, 3)), shape=(batch, rows, count * width))
    return _first(beside, (batch, layout.size, columns.size))


def row_of(panels: Value, layout: Panels, row: int) -> Value:
    """One of the rows below the factors of any matrices, ``[batch, n]``."""
    batch, count, _, width = panels.aval.shape
    found = slice_(panels, starts=(0, 0, layout.rows + row, 0), sizes=(batch, count, 1, width), steps=(1, 1, 1, 1))
    return _first(reshape(found, shape=(batch, count * width)), (batch, layout.size))


def _first(x: Value, sizes: tuple[Dim, ...]) -> Value:
    if x.aval.shape == sizes:
        return x
    return slice_(x, starts=(0,) * len(sizes), sizes=sizes, steps=(1,) * len(sizes))
