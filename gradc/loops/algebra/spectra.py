"""Eigenvalues and eigenvectors, told in nodes for a matrix: its three diagonals, and what is found of them."""

from __future__ import annotations

from typing import Any, Final

from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.loops.algebra.eigen import values_function, vectors_function
from gradc.loops.algebra.iteration import EXTRA, STATE, VALUES
from gradc.loops.algebra.orthogonal import copied, in_parts, matrices_of, of_parts, orthonormal
from gradc.loops.algebra.panels import never
from gradc.loops.algebra.passes import TAUS, shape_held
from gradc.loops.algebra.reflections import Columns
from gradc.loops.algebra.tridiagonal import tridiagonal_function
from gradc.loops.language.program import Check, Expression, Statement, b
from gradc.ops.linalg import stacked, swapped
from gradc.ops.shape import reshape, reshaped, slice_
from gradc.ops.spectra import NOT_CONVERGED

Operands = tuple[Value, ...]
Params = dict[str, Any]


def _infer_diagonals(*a: Aval, keep: bool) -> Aval:
    size = int(a[0].shape[2])
    return Aval((a[0].shape[0], *shape_held(Columns.of(size, size), len(a), 1)), a[0].dtype)


def _infer_values(f: Aval, size: int, parts: int) -> Aval:
    layout = Columns.of(size, size)
    return Aval((f.shape[0], layout.count, EXTRA, layout.width), f.dtype)


def _infer_vectors(f: Aval, q: Aval, size: int, parts: int) -> Aval:
    layout = Columns.of(size, size)
    return Aval((f.shape[0], parts * layout.count, layout.padded + EXTRA, layout.width), f.dtype)


three_diagonals = Op("three_diagonals", _infer_diagonals, never)
"""Matrices ``[batch, n, n]`` by their lower triangle as three diagonals, and the reflections that make them so. Complex
ones are two operands, their real and their imaginary parts."""

eigen_values = Op("eigen_values", _infer_values, never)
"""The eigenvalues of three diagonals, and the state."""

eigen_vectors = Op("eigen_vectors", _infer_vectors, never)
"""The transposed eigenvectors of matrices, their eigenvalues and the state, by three diagonals and what made them."""

PRIVATE: Final = (three_diagonals, eigen_values, eigen_vectors)


def row_of(panels: Value, row: int, size: int) -> Value:
    """A row of matrices ``[batch, size]`` that stands in panels."""
    batch, count, _, width = panels.aval.shape
    found = slice_(panels, starts=(0, 0, row, 0), sizes=(batch, count, 1, width), steps=(1, 1, 1, 1))
    return slice_(reshape(found, shape=(batch, count * width)), starts=(0, 0), sizes=(batch, size), steps=(1, 1))


def _vectors(a: Operands) -> Value:
    size, parts = int(a[0].aval.shape[-1]), len(a)
    layout = Columns.of(size, size)
    found = three_diagonals(*a, keep=True)
    numbers = {"taus": layout.padded + TAUS, "shift": 1, "start": 0, "count": size}
    made = orthonormal(found, layout=layout, parts=parts, panel=0, **numbers)
    return eigen_vectors(found, made, size=size, parts=parts)


def eigenvalues_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The row of values, of an iteration without vectors where they are ``alone``."""
    if 0 in result.shape:
        return operands[0].builder.full(0.0, result)
    size, parts, matrices = int(result.shape[-1]), len(operands), tuple(map(stacked, operands))
    if params["alone"]:
        values = eigen_values(three_diagonals(*matrices, keep=False), size=size, parts=parts)
        found = row_of(values, VALUES, size)
    else:
        found = row_of(_vectors(matrices), Columns.of(size, size).padded + VALUES, size)
    return reshaped(found, result.shape)


def eigenvectors_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The rows of vectors, as columns."""
    if 0 in result.shape:
        return operands[0].builder.full(0.0, result)
    size, found = int(result.shape[-1]), _vectors(tuple(map(stacked, operands)))
    return in_parts([swapped(x) for x in matrices_of(found, len(operands), size, size)], result)


# Statements.


def diagonals_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """One matrix, brought to three diagonals."""
    size, keep, dtype, parts = whole.size, whole.params["keep"], whole.out.dtype, len(whole.read)
    name = f"three_diagonals_{size}{'_kept' if keep else ''}{of_parts(parts)}"
    call = whole.call(name, lambda name: tridiagonal_function(name, size, parts, dtype, keep=keep), one, whole.out)
    return (*copied(whole, one, Columns.of(size, size)), call)


def eigen_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """What is found of one matrix."""
    function = values_function if whole.node.op is eigen_values else vectors_function
    return found_statements(whole, one, function, NOT_CONVERGED)


def found_statements(whole: Any, one: Expression, function: Any, message: str) -> tuple[Statement, ...]:
    """The call of an iteration, and a check that it came to its end."""
    size, parts, dtype = whole.params["size"], whole.params["parts"], whole.out.dtype
    name = f"{whole.node.op.name}_{size}{of_parts(parts)}"
    call = whole.call(name, lambda name: function(name, size, parts, dtype), one, *whole.arrays, whole.out)
    row = int(whole.out.shape[2]) - EXTRA + STATE
    state = b.load(whole.out, (one, b.constant(0), b.constant(row), b.constant(0)))
    return (call, Check(b.ne(state, whole.number(0.0)), whole.code(message)))
