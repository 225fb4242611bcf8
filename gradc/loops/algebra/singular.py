"""Singular values and vectors: QR first, then ``algebra.jacobi`` on the triangle, in one node for a matrix."""

from __future__ import annotations

from typing import Any, Final

from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.loops.algebra.factors import loop
from gradc.loops.algebra.jacobi import EXTRA, STATE, VALUES, jacobi_function
from gradc.loops.algebra.orthogonal import matrix_of, q_rule, r_rule, reflections
from gradc.loops.algebra.panels import never
from gradc.loops.algebra.spectra import rows_of
from gradc.loops.language.program import Check, Expression, Statement, b, variable
from gradc.ops.elementwise import greater, less, select
from gradc.ops.linalg import product, stacked, swapped
from gradc.ops.reduce import reduce_sum
from gradc.ops.shape import broadcast, reshaped, slice_
from gradc.ops.singular import NOT_CONVERGED
from gradc.ops.spectra import as_columns, off_diagonal

Operands = tuple[Value, ...]
Params = dict[str, Any]

jacobi = Op("jacobi", lambda r: Aval((r.shape[0], 2 * int(r.shape[1]) + EXTRA, r.shape[2]), r.dtype), never)
"""Right vectors, left vectors and values of matrices ``[batch, n, n]``, row by row."""

PRIVATE: Final = (jacobi,)


def _decomposed(a: Value) -> Value:
    batch, _, size = a.aval.shape
    triangle = r_rule((a,), {}, Aval((batch, size, size), a.aval.dtype))
    assert triangle is not None, "QR is always told in reflections"
    return jacobi(triangle)


def singular_values_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The row of values."""
    (a,) = operands
    if 0 in result.shape:
        return a.builder.full(0.0, result)
    return reshaped(rows_of(_decomposed(stacked(a)), 2 * int(result.shape[-1]) + VALUES, 1), result.shape)


def left_vectors_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The orthonormal factor of QR, turned by the rotations."""
    (a,) = operands
    if 0 in result.shape:
        return a.builder.full(0.0, result)
    size, matrices = int(result.shape[-1]), stacked(a)
    factor = q_rule((matrices,), {}, matrices.aval)
    assert factor is not None, "QR is always told in reflections"
    return reshaped(product(factor, rows_of(_decomposed(matrices), size, size), "ik,jk->ij"), result.shape)


def right_vectors_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The rows that were made orthogonal, as columns.

    Those of values 0 are 0, and completed by reflections: QR of orthonormal columns leaves them but for their signs.
    """
    (a,) = operands
    if 0 in result.shape:
        return a.builder.full(0.0, result)
    size = int(result.shape[-1])
    rows = swapped(rows_of(_decomposed(stacked(a)), 0, size))
    square = matrix_of(reflections(rows), size, size)
    diagonal = reduce_sum(square - off_diagonal(square, 0.0), axes=(1,), keepdims=True) if size > 1 else square
    zero, one = (diagonal.builder.full(number, diagonal.aval) for number in (0.0, 1.0))
    signs = select(less(diagonal, zero), -one, one)
    columns = q_rule((rows,), {}, rows.aval)
    assert columns is not None, "QR is always told in reflections"
    return reshaped(columns * broadcast(signs, columns.aval.shape), result.shape)


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
    s = singular_values_rule((a,), {}, a.aval.with_shape((batch, size)))
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


def jacobi_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """One matrix, and a check that the sweeps came to their end."""
    size, dtype = whole.size, whole.out.dtype
    call = whole.call(f"jacobi_{size}", lambda name: jacobi_function(name, size, dtype), one, whole.out)
    state = b.load(whole.out, (one, b.constant(2 * size + STATE), b.constant(0)))
    row, column = variable(whole.names[1]), variable(whole.names[2])
    element = whole.put((one, row, column), whole.read[0](one, row, column))
    copied = loop(whole.names[1], 0, size, loop(whole.names[2], 0, size, element, mode="vector"))
    return (copied, call, Check(b.ne(state, whole.number(0.0)), whole.code(NOT_CONVERGED)))
