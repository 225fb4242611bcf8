"""QR, told in reflections; whatever is asked of one matrix comes from one node of them."""

from __future__ import annotations

from collections.abc import Sequence
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
from gradc.ops.shape import broadcast, concatenate, reshape, reshaped, slice_, transpose

Operands = tuple[Value, ...]
Params = dict[str, Any]


def _infer_reflections(a: Aval, *imaginary: Aval) -> Aval:
    layout, parts = Columns.of(int(a.shape[1]), int(a.shape[2])), 1 + len(imaginary)
    return Aval((a.shape[0], parts * layout.count, rows_held(layout), layout.width), a.dtype)


def _infer_orthonormal(
    w: Aval, layout: Columns, parts: int, panel: int, taus: int, shift: int, start: int, count: int
) -> Aval:
    return Aval((w.shape[0], parts * -(-count // layout.width), layout.padded, layout.width), w.dtype)


reflections = Op("reflections", _infer_reflections, never)
"""The reflections of matrices ``[batch, m, n]``, and R, in panels; see ``algebra.triangles``. Complex matrices are two
operands, and sets of panels: their real parts, and their imaginary ones."""

orthonormal = Op("orthonormal", _infer_orthonormal, never)
"""Columns of the product of reflections in panels from ``panel`` on: ``count`` from ``start`` on; see
``algebra.products``."""

PRIVATE: Final = (reflections, orthonormal)


def matrix_of(panels: Value, rows: int, columns: int) -> Value:
    """The matrices ``[batch, rows, columns]`` that stand in panels ``[batch, count, padded, width]``."""
    batch, count, padded, width = panels.aval.shape
    beside = reshape(transpose(panels, axes=(0, 2, 1, 3)), shape=(batch, padded, count * width))
    return slice_(beside, starts=(0, 0, 0), sizes=(batch, rows, columns), steps=(1, 1, 1))


def matrices_of(panels: Value, parts: int, rows: int, columns: int, first: int = 0) -> list[Value]:
    """The parts of matrices that stand in as many sets of panels, the first of them beginning with panel ``first``."""
    batch, _, padded, width = panels.aval.shape
    count = -(-columns // int(width))
    sets = [
        slice_(panels, starts=(0, first + k * count, 0, 0), sizes=(batch, count, padded, width), steps=(1, 1, 1, 1))
        for k in range(parts)
    ]
    return [matrix_of(own, rows, columns) for own in sets]


def in_parts(parts: Sequence[Value], result: Aval) -> Value:
    """The parts of a result in its shape, behind an axis of them where there are two."""
    if len(parts) == 1:
        return reshaped(parts[0], result.shape)
    return concatenate(*[reshaped(part, (1, *result.shape[1:])) for part in parts], axis=0)


def r_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """What stands on and above the diagonal."""
    if 0 in result.shape:
        return operands[0].builder.full(0.0, result)
    size, found = int(result.shape[-1]), reflections(*map(stacked, operands))
    return in_parts([upper_part(x) for x in matrices_of(found, len(operands), size, size)], result)


def q_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The first columns of the product."""
    return _columns(operands, 0, result)


def complement_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The others."""
    return _columns(operands, int(operands[0].aval.shape[-1]), result)


def _columns(operands: Operands, start: int, result: Aval) -> Value:
    a, parts = operands[0], len(operands)
    if 0 in result.shape:
        return a.builder.full(0.0, result)
    rows, columns, count = int(a.aval.shape[-2]), int(a.aval.shape[-1]), int(result.shape[-1])
    if 0 in a.aval.shape:
        identity = a.builder.constant(np.eye(count, dtype=a.aval.dtype))
        zero = a.builder.constant(np.zeros((count, count), a.aval.dtype))
        shape = result.shape[parts - 1 :]
        return in_parts([broadcast(x, shape) for x in (identity, zero)[:parts]], result)
    layout = Columns.of(rows, columns)
    found = reflections(*map(stacked, operands))
    numbers = {"taus": rows_held(layout) - 1, "shift": 0, "start": start, "count": count}
    made = orthonormal(found, layout=layout, parts=parts, panel=0, **numbers)
    return in_parts(matrices_of(made, parts, rows, count), result)


# Statements.


def copied(whole: Any, one: Expression, layout: Columns) -> tuple[Statement, ...]:
    """The panels of the result from the operands, padded by zeros."""
    return tuple(s for part in range(len(whole.read)) for s in _copied(whole, one, layout, part))


def _copied(whole: Any, one: Expression, layout: Columns, part: int) -> tuple[Statement, ...]:
    row, column = variable(whole.names[2]), variable(whole.names[3])
    first = part * layout.count
    rows, width, rest = layout.rows, layout.width, layout.columns % layout.width

    def filled(panel: Expression, columns: int) -> tuple[Statement, ...]:
        def cleared(lo: int, hi: int, start: int) -> tuple[Statement, ...]:
            nothing = whole.put((one, b.add(panel, first), row, column), whole.number(0.0))
            inner = loop(whole.names[3], start, width, nothing, mode="vector")
            return (loop(whole.names[2], lo, hi, inner),) if lo < hi and start < width else ()

        read = whole.read[part](one, row, b.add(panel * width, column))
        element = whole.put((one, b.add(panel, first), row, column), read)
        inner = loop(whole.names[3], 0, columns, element, mode="vector")
        return (loop(whole.names[2], 0, rows, inner), *cleared(0, rows, columns), *cleared(rows, layout.padded, 0))

    full = layout.columns // width
    statements = each(whole.names[1], full, lambda panel: filled(panel, width)) if full else ()
    return (*statements, *filled(b.constant(full), rest)) if rest else statements


def of_parts(parts: int) -> str:
    """What tells functions of complex numbers from others."""
    return "_complex" if parts > 1 else ""


def reflections_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """One matrix, brought to R."""
    rows, columns = whole.sizes
    layout, dtype, parts = Columns.of(rows, columns), whole.out.dtype, len(whole.read)
    name = f"householder_{rows}_{columns}{of_parts(parts)}"
    call = whole.call(name, lambda name: householder_function(name, layout, parts, dtype), one, whole.out)
    return (*copied(whole, one, layout), call)


def orthonormal_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """The columns of one matrix."""
    params, dtype, held = whole.params, whole.out.dtype, int(whole.factors.shape[2])
    layout: Columns = params["layout"]
    numbers = {word: params[word] for word in ("shift", "start", "count")}
    # One that reads reflections in other rows is another function.
    words = ("orthonormal", layout.rows, layout.columns, *numbers.values(), f"of_{held}")
    name = "_".join(map(str, words)) + of_parts(params["parts"])

    def make(name: str) -> Function:
        return orthonormal_function(name, layout, params["parts"], held, params["taus"], dtype=dtype, **numbers)

    call = whole.call(name, make, one, whole.factors, whole.out)
    reflected, made = call.views
    first = params["panel"] * held * layout.width
    return (replace(call, views=(replace(reflected, offset=b.add(reflected.offset, first)), made)),)
