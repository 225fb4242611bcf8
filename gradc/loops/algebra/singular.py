"""Singular values and vectors, told in nodes for a matrix: its two diagonals, and what is found of them.

A matrix with more rows than columns is the factors of QR first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.loops.algebra.bidiagonal import bidiagonal_function
from gradc.loops.algebra.golub_kahan import values_function, vectors_function
from gradc.loops.algebra.iteration import EXTRA, VALUES
from gradc.loops.algebra.orthogonal import copied, in_parts, matrices_of, of_parts, orthonormal, q_rule, reflections
from gradc.loops.algebra.panels import never
from gradc.loops.algebra.passes import TAUS, shape_held
from gradc.loops.algebra.reflections import Columns
from gradc.loops.algebra.spectra import found_statements, row_of
from gradc.loops.language.program import Expression, Statement
from gradc.ops.elementwise import greater, select
from gradc.ops.linalg import product, stacked, swapped
from gradc.ops.orthogonal import upper_part
from gradc.ops.shape import broadcast, reshaped, slice_
from gradc.ops.singular import NOT_CONVERGED
from gradc.ops.spectra import as_columns

Operands = tuple[Value, ...]
Params = dict[str, Any]


def _infer_diagonals(*a: Aval, keep: bool) -> Aval:
    layout = Columns.of(int(a[0].shape[2]), int(a[0].shape[2]))
    return Aval((a[0].shape[0], *shape_held(layout, len(a), 2 if keep else 1)), a[0].dtype)


def _infer_values(f: Aval, size: int, parts: int) -> Aval:
    layout = Columns.of(size, size)
    return Aval((f.shape[0], layout.count, EXTRA, layout.width), f.dtype)


def _infer_vectors(f: Aval, left: Aval, right: Aval, size: int, parts: int) -> Aval:
    layout = Columns.of(size, size)
    return Aval((f.shape[0], 2 * parts * layout.count, layout.padded + EXTRA, layout.width), f.dtype)


two_diagonals = Op("two_diagonals", _infer_diagonals, never)
"""Matrices ``[batch, n, n]`` as two diagonals, and the reflections that make them so. Complex ones are two operands,
their real and their imaginary parts."""

singular_value_row = Op("singular_value_row", _infer_values, never)
"""The singular values of two diagonals, and the state."""

singular_vectors = Op("singular_vectors", _infer_vectors, never)
"""The transposed left and right vectors of matrices, their singular values and the state, by two diagonals and what
made them."""

PRIVATE: Final = (two_diagonals, singular_value_row, singular_vectors)


def _square(a: Operands) -> Operands:
    """Matrices that have the same singular values, and the same vectors on the right."""
    if a[0].aval.shape[1] == a[0].aval.shape[2]:
        return a
    found, size = reflections(*a), int(a[0].aval.shape[2])
    return tuple(upper_part(x) for x in matrices_of(found, len(a), size, size))


def _decomposed(a: Operands) -> Value:
    size, parts = int(a[0].aval.shape[-1]), len(a)
    layout = Columns.of(size, size)
    found = two_diagonals(*_square(a), keep=True)
    numbers = {"layout": layout, "parts": parts, "taus": layout.padded + TAUS, "start": 0, "count": size}
    left = orthonormal(found, panel=0, shift=0, **numbers)
    right = orthonormal(found, panel=parts * layout.count, shift=1, **numbers)
    return singular_vectors(found, left, right, size=size, parts=parts)


def _vectors(a: Operands, *, right: bool) -> list[Value]:
    """The parts of the left or the right vectors of the square matrix, in columns."""
    size, parts = int(a[0].aval.shape[-1]), len(a)
    first = parts * Columns.of(size, size).count if right else 0
    return [swapped(x) for x in matrices_of(_decomposed(a), parts, size, size, first)]


def singular_values_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The row of values, of an iteration without vectors where they are ``alone``."""
    if 0 in result.shape:
        return operands[0].builder.full(0.0, result)
    size, parts, matrices = int(result.shape[-1]), len(operands), tuple(map(stacked, operands))
    if params["alone"]:
        diagonals = two_diagonals(*_square(matrices), keep=False)
        found = row_of(singular_value_row(diagonals, size=size, parts=parts), VALUES, size)
    else:
        found = row_of(_decomposed(matrices), Columns.of(size, size).padded + VALUES, size)
    return reshaped(found, result.shape)


def left_vectors_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The rows of left vectors as columns, behind the orthonormal factor of QR where there is one."""
    if 0 in result.shape:
        return operands[0].builder.full(0.0, result)
    matrices = tuple(map(stacked, operands))
    vectors = _vectors(matrices, right=False)
    if result.shape[-2] != result.shape[-1]:
        vectors = _products(_orthonormal_parts(matrices), vectors)
    return in_parts(vectors, result)


def _orthonormal_parts(a: Operands) -> list[Value]:
    """The parts of the orthonormal factor of QR."""
    shape = a[0].aval.shape
    found = q_rule(a, {}, a[0].aval.with_shape(shape if len(a) == 1 else (2, *shape)))
    assert found is not None, "QR is always told in reflections"
    if len(a) == 1:
        return [found]
    ends = (1,) * len(shape)
    parts = [slice_(found, starts=(k, 0, 0, 0), sizes=(1, *shape), steps=(1, *ends)) for k in (0, 1)]
    return [reshaped(part, shape) for part in parts]


def _products(x: Sequence[Value], y: Sequence[Value]) -> list[Value]:
    """The parts of a matrix product."""

    def of(one: Value, other: Value) -> Value:
        return product(one, other, "ik,kj->ij")

    if len(x) == 1:
        return [of(x[0], y[0])]
    return [of(x[0], y[0]) - of(x[1], y[1]), of(x[0], y[1]) + of(x[1], y[0])]


def right_vectors_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The rows of right vectors as columns."""
    if 0 in result.shape:
        return operands[0].builder.full(0.0, result)
    return in_parts(_vectors(tuple(map(stacked, operands)), right=True), result)


def pseudo_inverse_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """By singular values, of which small ones count as 0."""
    (a,) = operands
    if 0 in result.shape:
        return a.builder.full(0.0, result)
    matrices = stacked(a)
    rows, columns = matrices.aval.shape[1:]
    if int(rows) >= int(columns):
        return reshaped(_pseudo_inverse(matrices, params["rtol"]), result.shape)
    return reshaped(swapped(_pseudo_inverse(swapped(matrices), params["rtol"])), result.shape)


def _pseudo_inverse(a: Value, rtol: float) -> Value:
    batch, _, size = a.aval.shape
    square = a.aval.with_shape((batch, size, size))
    s = singular_values_rule((a,), {"alone": False}, a.aval.with_shape((batch, size)))
    left, right = left_vectors_rule((a,), {}, a.aval), right_vectors_rule((a,), {}, square)
    assert s is not None, "there are rules for all of them"
    assert left is not None, "there are rules for all of them"
    assert right is not None, "there are rules for all of them"
    largest = slice_(s, starts=(0, 0), sizes=(batch, 1), steps=(1, 1))
    zero, one = a.builder.full(0.0, s.aval), a.builder.full(1.0, s.aval)
    large = greater(s, broadcast(largest * rtol, s.aval.shape))
    inverted = select(large, one / select(large, s, one), zero)
    return product(right * as_columns(inverted, square.shape), left, "ik,jk->ij")


# Statements.


def two_diagonals_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """One matrix, brought to two diagonals."""
    size, keep, dtype, parts = whole.size, whole.params["keep"], whole.out.dtype, len(whole.read)
    name = f"two_diagonals_{size}{'_kept' if keep else ''}{of_parts(parts)}"
    call = whole.call(name, lambda name: bidiagonal_function(name, size, parts, dtype, keep=keep), one, whole.out)
    return (*copied(whole, one, Columns.of(size, size)), call)


def singular_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """What is found of one matrix."""
    function = values_function if whole.node.op is singular_value_row else vectors_function
    return found_statements(whole, one, function, NOT_CONVERGED)
