"""Singular values and vectors, told in nodes for a matrix: its two diagonals, and what is found of them.

A matrix with more rows than columns is the factors of QR first.
"""

from __future__ import annotations

from typing import Any, Final

from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.loops.algebra.bidiagonal import bidiagonal_function
from gradc.loops.algebra.golub_kahan import values_function, vectors_function
from gradc.loops.algebra.iteration import EXTRA, VALUES
from gradc.loops.algebra.orthogonal import copied, matrix_of, orthonormal, q_rule, r_rule
from gradc.loops.algebra.panels import never
from gradc.loops.algebra.passes import TAUS, shape_held
from gradc.loops.algebra.reflections import Columns
from gradc.loops.algebra.spectra import found_statements, row_of
from gradc.loops.language.program import Expression, Statement
from gradc.ops.elementwise import greater, select
from gradc.ops.linalg import product, stacked, swapped
from gradc.ops.shape import broadcast, reshaped, slice_
from gradc.ops.singular import NOT_CONVERGED
from gradc.ops.spectra import as_columns

Operands = tuple[Value, ...]
Params = dict[str, Any]


def _infer_diagonals(a: Aval, keep: bool) -> Aval:
    layout = Columns.of(int(a.shape[2]), int(a.shape[2]))
    return Aval((a.shape[0], *shape_held(layout, 2 if keep else 1)), a.dtype)


def _infer_values(f: Aval, size: int) -> Aval:
    layout = Columns.of(size, size)
    return Aval((f.shape[0], layout.count, EXTRA, layout.width), f.dtype)


def _infer_vectors(f: Aval, left: Aval, right: Aval, size: int) -> Aval:
    layout = Columns.of(size, size)
    return Aval((f.shape[0], 2 * layout.count, layout.padded + EXTRA, layout.width), f.dtype)


two_diagonals = Op("two_diagonals", _infer_diagonals, never)
"""Matrices ``[batch, n, n]`` as two diagonals, and the reflections that make them so."""

singular_value_row = Op("singular_value_row", _infer_values, never)
"""The singular values of two diagonals, and the state."""

singular_vectors = Op("singular_vectors", _infer_vectors, never)
"""The transposed left and right vectors of matrices, their singular values and the state, by two diagonals and what
made them."""

PRIVATE: Final = (two_diagonals, singular_value_row, singular_vectors)


def _square(a: Value) -> Value:
    """Matrices that have the same singular values, and the same vectors on the right."""
    batch, rows, columns = a.aval.shape
    if rows == columns:
        return a
    triangle = r_rule((a,), {}, Aval((batch, columns, columns), a.aval.dtype))
    assert triangle is not None, "QR is always told in reflections"
    return triangle


def _decomposed(a: Value) -> Value:
    size = int(a.aval.shape[-1])
    layout = Columns.of(size, size)
    found = two_diagonals(_square(a), keep=True)
    taus = layout.padded + TAUS
    left, right = (
        orthonormal(found, layout=layout, panel=panel, taus=taus, shift=shift, start=0, count=size)
        for shift, panel in ((0, 0), (1, layout.count))
    )
    return singular_vectors(found, left, right, size=size)


def _columns_of(found: Value, which: int, size: int) -> Value:
    """The left or the right vectors, in columns."""
    batch, panels, padded, width = found.aval.shape
    count = int(panels) // 2
    own = slice_(found, starts=(0, which * count, 0, 0), sizes=(batch, count, padded, width), steps=(1, 1, 1, 1))
    return swapped(matrix_of(own, size, size))


def singular_values_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The row of values, of an iteration without vectors where they are ``alone``."""
    (a,) = operands
    if 0 in result.shape:
        return a.builder.full(0.0, result)
    size, matrices = int(result.shape[-1]), stacked(a)
    if params["alone"]:
        found = row_of(singular_value_row(two_diagonals(_square(matrices), keep=False), size=size), VALUES, size)
    else:
        found = row_of(_decomposed(matrices), Columns.of(size, size).padded + VALUES, size)
    return reshaped(found, result.shape)


def left_vectors_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The rows of left vectors as columns, behind the orthonormal factor of QR where there is one."""
    (a,) = operands
    if 0 in result.shape:
        return a.builder.full(0.0, result)
    size, matrices = int(result.shape[-1]), stacked(a)
    vectors = _columns_of(_decomposed(matrices), 0, size)
    if result.shape[-2] != result.shape[-1]:
        factor = q_rule((matrices,), {}, matrices.aval)
        assert factor is not None, "QR is always told in reflections"
        vectors = product(factor, vectors, "ik,kj->ij")
    return reshaped(vectors, result.shape)


def right_vectors_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The rows of right vectors as columns."""
    (a,) = operands
    if 0 in result.shape:
        return a.builder.full(0.0, result)
    return reshaped(_columns_of(_decomposed(stacked(a)), 1, int(result.shape[-1])), result.shape)


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
    size, keep, dtype = whole.size, whole.params["keep"], whole.out.dtype
    name = f"two_diagonals_{size}{'_kept' if keep else ''}"
    call = whole.call(name, lambda name: bidiagonal_function(name, size, dtype, keep=keep), one, whole.out)
    return (*copied(whole, one, Columns.of(size, size)), call)


def singular_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """What is found of one matrix."""
    function = values_function if whole.node.op is singular_value_row else vectors_function
    return found_statements(whole, one, function, NOT_CONVERGED)
