"""Factors, systems of equations and inverses, told in the ops of ``algebra.panels``; small ones written out.

Whatever is asked of one matrix comes from one node of factors: equal nodes are one, so that a value and its derivative
share them, and a system with a matrix shares them with a system with its transpose.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.loops.algebra.panels import (
    ORDER,
    PIVOTS,
    Panels,
    cholesky_panels,
    lower_panels,
    lu_panels,
    matrix_of,
    reordered,
    row_of,
    sweeps,
)
from gradc.loops.algebra.small import (
    LARGEST,
    Factors,
    checked,
    cholesky_rows,
    each_nonzero,
    element,
    from_elements,
    nonzero,
    rows_of,
    stacked_rows,
    substituted,
    transposed_rows,
)
from gradc.loops.lowering.calls import NOT_POSITIVE_DEFINITE
from gradc.ops.elementwise import convert, equal, logical_not, select
from gradc.ops.elimination import exchanges
from gradc.ops.linalg import stacked, swapped
from gradc.ops.reduce import reduce_any
from gradc.ops.shape import broadcast, reshape, reshaped, slice_, transpose

SINGULAR = "the matrix is singular"

Operands = tuple[Value, ...]
Params = dict[str, Any]


def _columns(b: Value, a: Value) -> Value:
    """Right-hand sides as columns, with one axis before their own."""
    return stacked(reshaped(b, (int(b.aval.shape[0]), 1)) if b.aval.ndim == a.aval.ndim - 1 else b)


def cholesky_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The factor, out of its panels."""
    if 0 in result.shape:
        return operands[0]
    if int(result.shape[-1]) <= LARGEST:
        rows, positive = cholesky_rows(stacked(operands[0]))
        rows = [checked(row, positive, NOT_POSITIVE_DEFINITE) for row in rows]
        return reshaped(from_elements(rows), result.shape)
    return _factor_of(cholesky_panels(stacked(operands[0])), result)


def _factor_of(panels: Value, result: Aval) -> Value:
    layout = Panels.of(int(result.shape[-1]))
    return reshaped(matrix_of(panels, layout, layout), result.shape)


def _panels_behind(factor: Value) -> Value | None:
    """The panels of a factor of cholesky, where it is one."""
    node = factor.node
    while node.op in (reshape, transpose, slice_):
        node = factor.builder.nodes[node.operands[0]]
    if node.op is not cholesky_panels:
        return None
    panels = factor.builder.value(node.id)
    return panels if _factor_of(panels, factor.aval) == factor else None


def triangular_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """One sweep over the panels of the factor."""
    factor, b = operands
    transposed, message = params["transposed"], f"triangular_solve: {SINGULAR}"
    if 0 in result.shape:
        return b
    size = int(factor.aval.shape[-1])
    if size <= LARGEST:
        matrices = stacked(factor)
        lower = [[element(matrices, i, j) for j in range(size)] for i in range(size)]
        rows = transposed_rows(lower) if transposed else lower
        found = substituted(rows, rows_of(_columns(b, factor)), forward=not transposed)
        holds = nonzero([lower[k][k] for k in range(size)])
        return reshaped(stacked_rows(checked(found, holds, message)), result.shape)
    panels = _panels_behind(factor)
    if panels is None:
        panels = lower_panels(stacked(factor))
    else:
        message = ""
    return _swept(panels, b, factor, ((not transposed, transposed, False),), result, message=message)


def solve_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """Two sweeps over the panels of factors that are made once for a matrix and its transpose."""
    a, b = operands
    if 0 in result.shape:
        return b
    a, transposed = upright(a, params["transposed"])
    message = f"solve: {SINGULAR}"
    if int(a.aval.shape[-1]) <= LARGEST:
        factors = Factors(stacked(a))
        found = factors.solve(rows_of(_columns(b, a)), transposed=transposed)
        return reshaped(stacked_rows(checked(found, nonzero(factors.pivots), message)), result.shape)
    panels = lu_panels(stacked(a))
    if not transposed:
        steps = ((True, False, True), (False, False, False))
        return _swept(panels, b, a, steps, result, message=message, ordered=True)
    steps = ((True, True, False), (False, True, True))
    return _swept(panels, b, a, steps, result, message=message, reorder=True)


def upright(a: Value, transposed: bool) -> tuple[Value, bool]:
    """A matrix that is the transpose of another as that one, transposed."""
    node, ndim = a.node, a.aval.ndim
    if node.op is transpose and node.params["axes"] == (*range(ndim - 2), ndim - 1, ndim - 2):
        return a.builder.value(node.operands[0]), not transposed
    return a, transposed


def _swept(
    panels: Value, b: Value, a: Value, steps: Any, result: Aval, *, message: str, ordered: bool = False,
    reorder: bool = False,
) -> Value:  # fmt: skip
    layout = Panels.of(int(a.aval.shape[-1]))
    columns = _columns(b, a)
    width = int(columns.aval.shape[-1])
    solved = sweeps(panels, columns, size=layout.size, columns=width, steps=steps, ordered=ordered, message=message)
    found = matrix_of(solved, layout, Panels.of_columns(width))
    return reshaped(reordered(panels, found) if reorder else found, result.shape)


def inverse_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The solution for an identity; NaN of a singular matrix where that is no error."""
    (a,) = operands
    if 0 in result.shape:
        return a
    a, turned = upright(a, False)
    inverted = _inverted(stacked(a), strict=params["strict"])
    found = reshaped(inverted, result.shape)
    return swapped(found) if turned else found


def _inverted(a: Value, *, strict: bool) -> Value:
    """The inverses of stacked matrices."""
    size = int(a.aval.shape[-1])
    message = f"inverse: {SINGULAR}"
    if size <= LARGEST:
        factors = Factors(a)
        identity = broadcast(a.builder.constant(np.eye(size, dtype=a.aval.dtype)), a.aval.shape)
        rows = factors.solve(rows_of(identity), transposed=False)
        if strict:
            return stacked_rows(checked(rows, nonzero(factors.pivots), message))
        found = stacked_rows(rows)
        singular = logical_not(each_nonzero(factors.pivots))
    else:
        layout, panels = Panels.of(size), lu_panels(a)
        steps = ((True, False, True), (False, False, False))
        told = message if strict else ""
        solved = sweeps(panels, size=size, columns=size, steps=steps, ordered=True, message=told)
        found = matrix_of(solved, layout, Panels.of_columns(size))
        if strict:
            return found
        singular = vanishes(row_of(panels, layout, PIVOTS))
    mask = broadcast(reshaped(singular, (*singular.aval.shape, 1, 1)), found.aval.shape)
    return select(mask, found.builder.full(math.nan, found.aval), found)


def lu_factors_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The factors of any matrix, out of their panels."""
    return operands[0] if 0 in result.shape else _factor_of(lu_panels(stacked(operands[0])), result)


def _order(a: Value) -> Value:
    """The rows in the order of the factors, of stacked matrices."""
    return row_of(lu_panels(stacked(a)), Panels.of(int(a.aval.shape[-1])), ORDER)


def lu_order_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The row of the panels that holds it."""
    found = operands[0].builder.full(0, result) if 0 in result.shape else _order(operands[0])
    return reshaped(convert(found, dtype=result.dtype), result.shape)


def lu_pivots_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """Where each row of the factors stands when it is its turn, the rows before having been exchanged."""
    if 0 in result.shape:
        return operands[0].builder.full(0, result)
    return reshaped(convert(exchanges(_order(operands[0])), dtype=result.dtype), result.shape)


def vanishes(pivots: Value) -> Value:
    """Which matrices have a pivot that is 0."""
    return reduce_any(equal(pivots, pivots.builder.full(0.0, pivots.aval)), axes=(1,), keepdims=False)
