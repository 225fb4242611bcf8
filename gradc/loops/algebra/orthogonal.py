"""QR, told in reflections; whatever is asked of one matrix comes from one node of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.loops.algebra.factors import each, loop
from gradc.loops.algebra.panels import never
from gradc.loops.algebra.products import orthonormal_function
from gradc.loops.algebra.reflections import Columns
from gradc.loops.algebra.triangles import householder_function, rows_held
from gradc.loops.language.program import Expression, Function, Statement, b, variable
from gradc.ops.linalg import stacked
from gradc.ops.orthogonal import upper_part
from gradc.ops.shape import broadcast, reshape, reshaped, slice_, transpose

Operands = tuple[Value, ...]
Params = dict[str, Any]


def _infer_reflections(a: Aval) -> Aval:
    layout = Columns.of(int(a.shape[1]), int(a.shape[2]))
    return Aval((a.shape[0], layout.count, rows_held(layout), layout.width), a.dtype)


def _infer_orthonormal(w: Aval, layout: Columns, panel: int, taus: int, shift: int, start: int, count: int) -> Aval:
    return Aval((w.shape[0], -(-count // layout.width), layout.padded, layout.width), w.dtype)


reflections = Op("reflections", _infer_reflections, never)
"""The reflections of matrices ``[batch, m, n]``, and R, in panels; see ``algebra.triangles``."""

orthonormal = Op("orthonormal", _infer_orthonormal, never)
"""Columns of the product of reflections in panels from ``panel`` on: ``count`` from ``start`` on; see
``algebra.products``."""

PRIVATE: Final = (reflections, orthonormal)


def matrix_of(panels: Value, rows: int, columns: int) -> Value:
    """The matrices ``[batch, rows, columns]`` that stand in panels ``[batch, count, padded, width]``."""
    batch, count, padded, width = panels.aval.shape
    beside = reshape(transpose(panels, axes=(0, 2, 1, 3)), shape=(batch, padded, count * width))
    return slice_(beside, starts=(0, 0, 0), sizes=(batch, rows, columns), steps=(1, 1, 1))


def r_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """What stands on and above the diagonal."""
    (a,) = operands
    if 0 in result.shape:
        return a.builder.full(0.0, result)
    size = int(result.shape[-1])
    return reshaped(upper_part(matrix_of(reflections(stacked(a)), size, size)), result.shape)


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
    rows, columns, count = int(a.aval.shape[-2]), int(a.aval.shape[-1]), int(result.shape[-1])
    layout = Columns.of(rows, columns)
    found = reflections(stacked(a))
    made = orthonormal(found, layout=layout, panel=0, taus=rows_held(layout) - 1, shift=0, start=start, count=count)
    return reshaped(matrix_of(made, rows, count), result.shape)


# Statements.


def copied(whole: Any, one: Expression, layout: Columns) -> tuple[Statement, ...]:
    """The panels of the result from the operand, padded by zeros."""
    row, column = variable(whole.names[2]), variable(whole.names[3])
    rows, width, rest = layout.rows, layout.width, layout.columns % layout.width

    def filled(panel: Expression, columns: int) -> tuple[Statement, ...]:
        def cleared(lo: int, hi: int, start: int) -> tuple[Statement, ...]:
            nothing = whole.put((one, panel, row, column), whole.number(0.0))
            inner = loop(whole.names[3], start, width, nothing, mode="vector")
            return (loop(whole.names[2], lo, hi, inner),) if lo < hi and start < width else ()

        read = whole.read[0](one, row, b.add(panel * width, column))
        element = whole.put((one, panel, row, column), read)
        inner = loop(whole.names[3], 0, columns, element, mode="vector")
        return (loop(whole.names[2], 0, rows, inner), *cleared(0, rows, columns), *cleared(rows, layout.padded, 0))

    full = layout.columns // width
    statements = each(whole.names[1], full, lambda panel: filled(panel, width)) if full else ()
    return (*statements, *filled(b.constant(full), rest)) if rest else statements


def reflections_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """One matrix, brought to R."""
    rows, columns = whole.sizes
    layout, dtype = Columns.of(rows, columns), whole.out.dtype
    name = f"householder_{rows}_{columns}"
    call = whole.call(name, lambda name: householder_function(name, layout, dtype), one, whole.out)
    return (*copied(whole, one, layout), call)


def orthonormal_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """The columns of one matrix."""
    params, dtype, held = whole.params, whole.out.dtype, int(whole.factors.shape[2])
    layout: Columns = params["layout"]
    numbers = {word: params[word] for word in ("shift", "start", "count")}
    name = "_".join(map(str, ("orthonormal", layout.rows, layout.columns, *numbers.values())))

    def make(name: str) -> Function:
        return orthonormal_function(name, layout, held, params["taus"], dtype=dtype, **numbers)

    call = whole.call(name, make, one, whole.factors, whole.out)
    reflected, made = call.views
    first = params["panel"] * held * layout.width
    return (replace(call, views=(replace(reflected, offset=b.add(reflected.offset, first)), made)),)
