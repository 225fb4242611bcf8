"""Matrices of complex numbers told in real ones of twice the size.

``[[A, -B], [B, A]]`` stands for ``A + i B``: products and inverses of such matrices are those of what they stand for
(Higham, Accuracy and Stability of Numerical Algorithms, section 14.6). With the parts of each element beside each
other instead of the parts of the matrix, triangles with a real diagonal stay triangles.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.ir.graph import Value
from gradc.ir.node import Node
from gradc.ops import elementwise as ops
from gradc.ops import linalg as factors
from gradc.ops.linalg import lower_part
from gradc.ops.reduce import reduce_sum
from gradc.ops.shape import broadcast, concatenate, reshaped, slice_
from gradc.passes.complex_functions import Pair, number, quotient


def part(x: Value, axis: int, start: int, size: int, step: int = 1) -> Value:
    """``size`` elements along an axis, from ``start`` on."""
    shape = x.aval.shape
    axis %= len(shape)
    return slice_(
        x,
        starts=tuple(start if k == axis else 0 for k in range(len(shape))),
        sizes=tuple(size if k == axis else d for k, d in enumerate(shape)),
        steps=tuple(step if k == axis else 1 for k in range(len(shape))),
    )


def conjugate(x: Pair) -> Pair:
    """The conjugate."""
    return Pair(x.re, -x.im)


# The parts of a matrix beside each other.


def _blocks(a: Pair) -> Value:
    axis = a.re.aval.ndim - 2
    left, right = concatenate(a.re, a.im, axis=axis), concatenate(-a.im, a.re, axis=axis)
    return concatenate(left, right, axis=axis + 1)


def _block(x: Value, row: int, rows: int, columns: int) -> Value:
    return part(part(x, -2, row * rows, rows), -1, 0, columns)


def solve(node: Node, a: Pair, b: Pair) -> Pair:
    """The op ``solve``. The transpose of a matrix stands for the conjugate of what that is transposed."""
    transposed = node.params["transposed"]
    b = conjugate(b) if transposed else b
    axis = 0 if b.re.aval.ndim == 1 else b.re.aval.ndim - 2
    size = int(b.re.aval.shape[axis])
    found = node.op(_blocks(a), concatenate(*b, axis=axis), transposed=transposed)
    x = Pair(part(found, axis, 0, size), part(found, axis, size, size))
    return conjugate(x) if transposed else x


def inverse(node: Node, a: Pair) -> Pair:
    """The op ``inverse``."""
    size = int(node.aval.shape[-1])
    found = node.op(_blocks(a), **node.params)
    return Pair(_block(found, 0, size, size), _block(found, 1, size, size))


# The parts of each element beside each other.


def _interleaved(a: Pair) -> Value:
    *batch, rows, columns = a.re.aval.shape
    axis = len(batch) + 1

    def turned(x: Value, y: Value) -> Value:
        return concatenate(*[reshaped(each, (*batch, rows, 1, columns, 1)) for each in (x, y)], axis=axis)

    both = concatenate(turned(a.re, a.im), turned(-a.im, a.re), axis=axis + 2)
    return reshaped(both, (*batch, 2 * rows, 2 * columns))


def _interleaved_rows(x: Pair) -> Value:
    """The right-hand sides as rows of parts; a vector too."""
    shape = x.re.aval.shape
    axis = max(len(shape) - 2, 0)
    apart = (*shape[: axis + 1], 1, *shape[axis + 1 :])
    both = concatenate(*[reshaped(each, apart) for each in x], axis=axis + 1)
    return reshaped(both, (*shape[:axis], 2 * shape[axis], *shape[axis + 1 :]))


def _every_second(x: Value, axis: int, start: int) -> Value:
    return part(x, axis, start, int(x.aval.shape[axis]) // 2, 2)


def cholesky(node: Node, a: Pair) -> Pair:
    """The op ``cholesky``: the factor has a real diagonal, so that its parts beside each other are a triangle."""
    below = Pair(lower_part(a.re), lower_part(a.im, -1))
    columns = _every_second(factors.cholesky(_interleaved(below)), -1, 0)
    return Pair(_every_second(columns, -2, 0), lower_part(_every_second(columns, -2, 1), -1))


def triangular_solve(node: Node, factor: Pair, b: Pair) -> Pair:
    """The op ``triangular_solve``, by rows divided by the diagonal, which then is 1; 0 where the matrix is singular."""
    transposed = node.params["transposed"]
    diagonal = Pair(*[diagonal_of(x) for x in factor])
    unit = Pair(*[lower_part(x, -1) for x in quotient(factor, Pair(*[_along_rows(x, factor.re) for x in diagonal]))])
    zero = number(diagonal.re, 0.0)
    singular = ops.logical_and(ops.equal(diagonal.re, zero), ops.equal(diagonal.im, zero))
    ones = ops.select(singular, zero, number(diagonal.re, 1.0))
    unit = Pair(unit.re + _on_diagonal(ones, unit.re), unit.im)
    divisor = Pair(*[_along_rows(x, b.re) for x in diagonal])
    right = conjugate(b) if transposed else quotient(b, divisor)
    found = factors.triangular_solve(_interleaved(unit), _interleaved_rows(right), transposed=transposed)
    axis = max(found.aval.ndim - 2, 0)
    x = Pair(_every_second(found, axis, 0), _every_second(found, axis, 1))
    return quotient(conjugate(x), divisor) if transposed else x


def _eye(like: Value) -> Value:
    mask = like.builder.constant(np.eye(int(like.aval.shape[-1]), dtype=bool))
    return broadcast(mask, like.aval.shape)


def diagonal_of(x: Value) -> Value:
    """The diagonals of matrices."""
    kept = ops.select(_eye(x), x, number(x, 0.0))
    return reduce_sum(kept, axes=(x.aval.ndim - 1,), keepdims=False)


def _on_diagonal(numbers: Value, like: Value) -> Value:
    return ops.select(_eye(like), _along_rows(numbers, like), number(like, 0.0))


def _along_rows(numbers: Value, like: Value) -> Value:
    """A number for each row of matrices, or for each element of a vector."""
    shape: Any = like.aval.shape
    return numbers if len(shape) == 1 else broadcast(reshaped(numbers, (*numbers.aval.shape, 1)), shape)
