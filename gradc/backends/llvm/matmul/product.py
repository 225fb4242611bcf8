"""A contraction in normal form: ``out[m, n] += sum over k of left[m, k] * right[k, n]``, inside loops of other letters.

Letters of one kind whose strides follow on from each other are one (the rows of a batch that shares its right operand).
The operands trade places where that makes the result dense along n. Windows of an array are summed along several axes
that do not follow on from each other (``gradc.backends.llvm.matmul.windows``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from gradc.ir.aval import Dim
from gradc.loops.language.program import Contraction


@dataclass(frozen=True, slots=True)
class Axis:
    """A letter, or several in one: its length and the strides, in elements, in the left operand, right and result.

    The length may be a symbolic size. ``others`` are the strides in what an epilogue loads and stores.
    """

    length: Dim
    left: int
    right: int
    out: int
    others: tuple[int, ...] = ()

    def with_length(self, number: int) -> Axis:
        """The same with a number for a symbolic length."""
        return self if isinstance(self.length, int) else replace(self, length=number)

    @property
    def swapped(self) -> Axis:
        return replace(self, left=self.right, right=self.left)

    def follows(self, inner: Axis) -> bool:
        """Whether this axis and the one inside it are one longer axis."""
        return all(
            outer_stride == inner_stride * inner.length
            for outer_stride, inner_stride in (
                (self.left, inner.left), (self.right, inner.right), (self.out, inner.out),
                *zip(self.others, inner.others, strict=True),
            )
        )  # fmt: skip


TYPICAL: Final = 32
"""What a symbolic length is taken for where something is chosen by it: then tiles fit batches of powers of two."""


SHORT_ROWS: Final = 12
"""Rows of a window up to which those of several places are done together."""


@dataclass(frozen=True, slots=True)
class Product:
    """One matrix product for each place in the ``outer`` loops.

    ``swapped`` says that ``left`` is the contraction's right operand. ``accumulate`` adds to what the result holds.
    ``deep`` are more axes that are summed, around k, from the outermost in. ``group`` are the rows of one place of m
    where these are several, that only the result has one after the other.
    """

    dtype: np.dtype
    outer: tuple[Axis, ...]
    m: Axis
    n: Axis
    k: Axis
    accumulate: bool = False
    swapped: bool = False
    deep: tuple[Axis, ...] = ()
    group: Axis | None = None

    def with_lengths(self, number: int) -> Product:
        """The same with a number for symbolic lengths."""
        outer = tuple(axis.with_length(number) for axis in self.outer)
        m, n, k, *deep = (axis.with_length(number) for axis in (self.m, self.n, self.k, *self.deep))
        return replace(self, outer=outer, m=m, n=n, k=k, deep=tuple(deep))

    @property
    def typical(self) -> Product:
        """The same with a usual number for symbolic lengths, to make choices by."""
        return self.with_lengths(TYPICAL)

    @property
    def transposed(self) -> Product:
        """The same with the operands in each other's place."""
        outer = tuple(axis.swapped for axis in self.outer)
        m, n, k = self.n.swapped, self.m.swapped, self.k.swapped
        deep = tuple(axis.swapped for axis in self.deep)
        return replace(self, outer=outer, m=m, n=n, k=k, swapped=not self.swapped, deep=deep)


def is_turned(product: Product) -> bool:
    """Whether the result is dense along the rows of tiles, not along their vectors."""
    return product.m.out == 1 and product.n.out not in (0, 1)


def product_of(
    contraction: Contraction, strides: Sequence[Sequence[Dim]], others: Sequence[Sequence[Dim]] = ()
) -> Product | None:
    """The normal form of a contraction on views of these strides (lhs, rhs, out).

    ``others`` are strides in more views by the letters of the result.

    None where it has none: strides that are not known, a size 0, summed letters that strides do not join of which one
    inside others has no known length, no letter that only one operand has and none that is summed.
    """
    axes = _axes(contraction, strides, others)
    if axes is None:
        return None
    kinds: dict[str, list[Axis]] = {"batch": [], "m": [], "n": [], "k": []}
    for letter, axis in axes.items():
        if axis.length != 1:
            kinds[_kind(letter, contraction)].append(axis)
    outer = _joined(kinds["batch"])
    m, n, k = (_joined(kinds[kind]) for kind in "mnk")
    if not (k or (m and n)) or not all(isinstance(axis.length, int) for axis in k[1:]):
        return None
    none = Axis(1, 0, 0, 0, (0,) * len(others))
    (rows, more_rows), (columns, more_columns) = _innermost(m, none), _innermost(n, none)
    summed, deep = _innermost(k, none)
    around = (*outer, *more_rows, *more_columns)
    product = Product(contraction.dtype, around, rows, columns, summed, contraction.accumulate, deep=tuple(deep))
    if columns.length == 1 or (columns.out != 1 and rows.out == 1):
        product = product.transposed
    return grouped(product) if product.deep else product


def grouped(product: Product) -> Product:
    """The same where the rows of several places of an outer loop, which the result has in one, are done together.

    A window's rows are short: those of one place would leave registers empty.
    """
    m = product.m
    if not isinstance(m.length, int) or not 1 < m.length <= SHORT_ROWS:
        return product
    for axis in reversed(product.outer):
        ends = zip((axis.out, *axis.others), (m.out, *m.others), strict=True)
        if axis.right == 0 and isinstance(axis.length, int) and all(a == b * m.length for a, b in ends):
            outer = tuple(other for other in product.outer if other is not axis)
            return replace(product, outer=outer, m=axis, group=m)
    return product


def _axes(
    contraction: Contraction, strides: Sequence[Sequence[Dim]], others: Sequence[Sequence[Dim]]
) -> dict[str, Axis] | None:
    """Each letter's length and strides; None where a stride is not a number, or an array is empty."""
    words = (contraction.lhs, contraction.rhs, *[contraction.out] * (1 + len(others)))
    by_letter = [dict(zip(word, steps, strict=True)) for word, steps in zip(words, (*strides, *others), strict=True)]
    axes: dict[str, Axis] = {}
    for letter, length in contraction.sizes:
        numbers = [steps.get(letter, 0) for steps in by_letter]
        if length == 0 or not all(isinstance(number, int) for number in numbers):
            return None
        left, right, out, *more = map(int, numbers)
        axes[letter] = Axis(length, left, right, out, tuple(more))
    return axes


def _kind(letter: str, contraction: Contraction) -> str:
    if letter not in contraction.out:
        return "k"
    if letter not in contraction.rhs:
        return "m"
    return "n" if letter not in contraction.lhs else "batch"


def _joined(axes: list[Axis]) -> list[Axis]:
    """Axes from the outermost in, those that follow on from each other as one."""
    joined: list[Axis] = []
    for axis in sorted(axes, key=lambda a: (a.out, a.left, a.right), reverse=True):
        if joined and joined[-1].follows(axis):
            axis = replace(axis, length=joined.pop().length * axis.length)
        joined.append(axis)
    return joined


def _innermost(axes: list[Axis], none: Axis) -> tuple[Axis, list[Axis]]:
    """The axis that the tiles run along, the densest in the result, and the others; ``none`` where there is none."""
    return (axes[-1], axes[:-1]) if axes else (none, [])
