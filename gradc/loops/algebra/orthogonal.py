"""QR, told in reflections; whatever is asked of one matrix comes from one node of them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.loops.algebra.factors import loop
from gradc.loops.algebra.panels import never
from gradc.loops.algebra.reflections import householder_function, orthonormal_function
from gradc.loops.language.program import Expression, Statement, variable
from gradc.ops.linalg import stacked
from gradc.ops.orthogonal import upper_part
from gradc.ops.shape import broadcast, reshaped, slice_

Operands = tuple[Value, ...]
Params = dict[str, Any]

reflections = Op("reflections", lambda a: Aval((a.shape[0], int(a.shape[1]) + 1, a.shape[2]), a.dtype), never)
"""The reflections of matrices ``[batch, m, n]``, and R; see ``algebra.reflections.householder_function``."""

orthonormal = Op("orthonormal", lambda w, start, count: Aval((w.shape[0], int(w.shape[1]) - 1, count), w.dtype), never)
"""Columns of the product of reflections, ``count`` from ``start`` on."""

PRIVATE: Final = (reflections, orthonormal)


def r_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """What stands on and above the diagonal."""
    (a,) = operands
    if 0 in result.shape:
        return a.builder.full(0.0, result)
    found = reflections(stacked(a))
    batch, size = found.aval.shape[0], result.shape[-1]
    square = slice_(found, starts=(0, 0, 0), sizes=(batch, size, size), steps=(1, 1, 1))
    return reshaped(upper_part(square), result.shape)


def q_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The first columns of the product."""
    return _columns(operands[0], 0, result)


def complement_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The others."""
    return _columns(operands[0], int(operands[0].aval.shape[-1]), result)


def _columns(a: Value, start: int, result: Aval) -> Value:
    if 0 in result.shape:
        return a.builder.full(0.0, result)
    if 0 in a.aval.shape:
        return broadcast(a.builder.constant(np.eye(int(result.shape[-1]), dtype=a.aval.dtype)), result.shape)
    return reshaped(orthonormal(reflections(stacked(a)), start=start, count=int(result.shape[-1])), result.shape)


# Statements.


def copied(whole: Any, one: Expression, rows: int) -> Statement:
    """The first rows of the result from the operand."""
    row, column = variable(whole.names[1]), variable(whole.names[2])
    element = whole.put((one, row, column), whole.read[0](one, row, column))
    return loop(whole.names[1], 0, rows, loop(whole.names[2], 0, whole.size, element, mode="vector"))


def reflections_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """One matrix, brought to R."""
    _, rows, columns = (int(d) for d in whole.out.shape)
    dtype = whole.out.dtype
    call = whole.call(
        f"householder_{rows - 1}_{columns}",
        lambda name: householder_function(name, rows - 1, columns, dtype),
        one,
        whole.out,
    )
    return (copied(whole, one, rows - 1), call)


def orthonormal_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """The columns of one matrix."""
    start, count = whole.params["start"], whole.params["count"]
    rows, columns, dtype = int(whole.out.shape[1]), whole.size, whole.out.dtype
    call = whole.call(
        f"orthonormal_{rows}_{columns}_{start}_{count}",
        lambda name: orthonormal_function(name, rows, columns, start, count, dtype),
        one,
        whole.factors,
        whole.out,
    )
    return (call,)
