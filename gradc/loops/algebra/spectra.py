"""Eigenvalues and eigenvectors, told in one node for a matrix; see ``gradc.loops.algebra.eigen``."""

from __future__ import annotations

from typing import Any, Final

from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.loops.algebra.eigen import EXTRA, STATE, VALUES, eigen_function
from gradc.loops.algebra.factors import loop
from gradc.loops.algebra.panels import never
from gradc.loops.language.program import Check, Expression, Statement, b, variable
from gradc.ops.linalg import stacked, swapped
from gradc.ops.shape import reshaped, slice_
from gradc.ops.spectra import NOT_CONVERGED

Operands = tuple[Value, ...]
Params = dict[str, Any]

eigen = Op("eigen", lambda a: Aval((a.shape[0], 2 * int(a.shape[1]) + EXTRA, a.shape[2]), a.dtype), never)
"""The transposed eigenvectors of matrices ``[batch, n, n]``, scratch, and the eigenvalues in row ``2 * n``."""

PRIVATE: Final = (eigen,)


def rows_of(x: Value, start: int, count: int) -> Value:
    """Some rows of each matrix."""
    batch, _, columns = x.aval.shape
    return slice_(x, starts=(0, start, 0), sizes=(batch, count, columns), steps=(1, 1, 1))


def eigenvalues_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The row of values."""
    (a,) = operands
    if 0 in result.shape:
        return a.builder.full(0.0, result)
    return reshaped(rows_of(eigen(stacked(a)), 2 * int(result.shape[-1]) + VALUES, 1), result.shape)


def eigenvectors_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The rows of vectors, as columns."""
    (a,) = operands
    if 0 in result.shape:
        return a.builder.full(0.0, result)
    return reshaped(swapped(rows_of(eigen(stacked(a)), 0, int(result.shape[-1]))), result.shape)


# Statements.


def eigen_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """One matrix, copied below the rows of the vectors, and a check that the iteration came to its end."""
    size, dtype = whole.size, whole.out.dtype
    row, column = variable(whole.names[1]), variable(whole.names[2])
    element = whole.put((one, b.add(row, size), column), whole.read[0](one, row, column))
    call = whole.call(f"eigen_{size}", lambda name: eigen_function(name, size, dtype), one, whole.out)
    state = b.load(whole.out, (one, b.constant(2 * size + STATE), b.constant(0)))
    return (
        loop(whole.names[1], 0, size, loop(whole.names[2], 0, size, element, mode="vector")),
        call,
        Check(b.ne(state, whole.number(0.0)), whole.code(NOT_CONVERGED)),
    )
