"""What is made step by step along an axis: sums and products so far, linear recurrences, and the order of elements.

The axis is brought to the end and the others become a batch, ``[batch, size]``. Sums and products run in NumPy's
order, from the first element on. An order is found by merging runs, from the bottom up: in pass k runs of ``2**k``
positions are merged two by two from one row of positions to the other, without branches, and of equal elements the
first stays the first.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gradc.ir.aval import Aval, size_of
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.loops.algebra.factors import let, loop, store
from gradc.loops.algebra.panels import never
from gradc.loops.language.program import (
    I64,
    Buffer,
    Expression,
    For,
    Local,
    Reduction,
    Statement,
    Store,
    b,
    size,
    variable,
)
from gradc.ops.shape import inverse_permutation, reshaped, slice_, transpose

running = Op("running", lambda x, **params: Aval(x.shape, x.dtype), never)
"""Rows ``[batch, size]`` combined so far with ``combine``, ``add`` or ``mul``; ``reverse`` runs from the last on."""

recurring = Op("recurring", lambda x, factor, **params: Aval(x.shape, x.dtype), never)
"""Rows ``[batch, size]``: each element and ``factor`` times the one before; ``reverse`` runs from the last on."""

merged = Op("merged", lambda x, **params: Aval((x.shape[0], 2, x.shape[1]), np.dtype(I64)), never)
"""The order of rows ``[batch, size]``, in one of two rows of positions: that of ``passes(size) % 2``."""

PRIVATE: Final = (running, recurring, merged)


def passes(size: int) -> int:
    """How often runs are merged."""
    return max(size - 1, 0).bit_length()


def running_rule(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value:
    """``cumsum`` and ``cumprod`` over rows."""
    (x,) = operands
    if result.shape[params["axis"]] == 1 or 0 in result.shape:
        return x
    combine = "add" if params["op"].name == "cumsum" else "mul"
    rows, order = _rows(x, params["axis"])
    return _back(running(rows, combine=combine, reverse=params.get("reverse", False)), x.aval, order)


def recurrence_rule(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value:
    """``recurrence`` over rows."""
    if 0 in result.shape:
        return operands[0]
    (x, order), (factor, _) = [_rows(operand, params["axis"]) for operand in operands]
    return _back(recurring(x, factor, reverse=params["reverse"]), result, order)


def argsort_rule(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value:
    """``argsort`` over rows."""
    (x,) = operands
    size = result.shape[params["axis"]]
    if size == 1 or 0 in result.shape:
        return x.builder.full(0, result)
    rows, order = _rows(x, params["axis"])
    batch = rows.aval.shape[0]
    both = merged(rows)
    found = slice_(both, starts=(0, passes(int(size)) % 2, 0), sizes=(batch, 1, size), steps=(1, 1, 1))
    return _back(reshaped(found, (batch, size)), result, order)


def _rows(x: Value, axis: int) -> tuple[Value, tuple[int, ...]]:
    """The axis last and the others one, and the order of axes that did it."""
    order = (*(k for k in range(x.aval.ndim) if k != axis), axis)
    moved = x if order == tuple(range(x.aval.ndim)) else transpose(x, axes=order)
    return reshaped(moved, (size_of(moved.aval.shape[:-1]), moved.aval.shape[-1])), order


def _back(rows: Value, like: Aval, order: tuple[int, ...]) -> Value:
    apart = reshaped(rows, tuple(like.shape[k] for k in order))
    return apart if order == tuple(range(like.ndim)) else transpose(apart, axes=inverse_permutation(order))


# Statements.


def running_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """One row combined so far."""
    (read,), length = whole.read, size(whole.shape[-1])
    so_far = Buffer(whole.scalar("so_far"), whole.out.dtype, (), "local")
    k = variable(whole.names[1])
    place = b.sub(b.sub(length, 1), k) if whole.params["reverse"] else k
    combine: Reduction = whole.params["combine"]
    combined = b.add if combine == "add" else b.mul
    neutral = b.constant(0 if combine == "add" else 1, whole.out.dtype)
    named, value = let(
        whole.scalar("sum" if combine == "add" else "product"), combined(b.load(so_far), read(one, place))
    )
    step = loop(whole.names[1], 0, length, named, whole.put((one, place), value), Store(so_far.name, (), value))
    return (Local(so_far), Store(so_far.name, (), neutral), step)


def recurring_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """One row of a recurrence."""
    (term, factor), length = whole.read, size(whole.shape[-1])
    so_far = Buffer(whole.scalar("so_far"), whole.out.dtype, (), "local")
    k = variable(whole.names[1])
    place = b.sub(b.sub(length, 1), k) if whole.params["reverse"] else k
    product = b.mul(factor(one, place), b.load(so_far))
    named, value = let(whole.scalar("term"), b.add(term(one, place), product))
    step = loop(whole.names[1], 0, length, named, whole.put((one, place), value), Store(so_far.name, (), value))
    return (Local(so_far), Store(so_far.name, (), whole.number(0.0)), step)


def merged_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """The order of one row."""
    size, k = whole.size, variable(whole.names[1])
    start = loop(whole.names[1], 0, size, whole.put((one, 0, k), k))
    return (start, *(_merge(whole, one, 1 << p, p % 2) for p in range(passes(size))))


def _merge(whole: Any, one: Expression, width: int, row: int) -> Statement:
    """Merge runs of ``width`` positions, from one row of positions to the other."""
    (read,), size, out = whole.read, whole.size, whole.out
    first, k = variable(whole.names[1]), variable(whole.names[2])
    left, right = (Buffer(whole.scalar(word), np.dtype(I64), (), "local") for word in ("left", "right"))
    middle_named, middle = let(whole.scalar("middle"), b.minimum(first + width, size))
    last = b.minimum(first + 2 * width, size)
    end_named, end = let(whole.scalar("end"), last)
    at_left, at_right = b.load(left), b.load(right)

    def position(place: Expression) -> Expression:
        return b.load(out, (one, b.constant(row), b.clamp(place, size)))

    a_named, a = let(whole.scalar("of_left"), b.clamp(position(at_left), size))
    c_named, c = let(whole.scalar("of_right"), b.clamp(position(at_right), size))
    later = b.logical_not(_less(read(one, c), read(one, a)))
    has_left, has_no_right = b.lt(at_left, middle), b.ge(at_right, end)
    from_left_named, from_left = let(
        whole.scalar("takes_left"), b.logical_and(has_left, b.logical_or(has_no_right, later))
    )
    taken = b.select(from_left, b.constant(1), b.constant(0))
    count_named, count = let(whole.scalar("taken"), taken)
    step = loop(
        whole.names[2],
        first,
        last,
        a_named,
        c_named,
        from_left_named,
        count_named,
        store(out, (one, 1 - row, k), b.select(from_left, a, c)),
        Store(left.name, (), b.add(at_left, count)),
        Store(right.name, (), b.add(at_right, b.sub(b.constant(1), count))),
    )
    body = (
        middle_named,
        end_named,
        Local(left),
        Local(right),
        Store(left.name, (), first),
        Store(right.name, (), middle),
        step,
    )
    return For(whole.names[1], b.constant(0), b.constant(size), body, 2 * width)


def _less(x: Expression, y: Expression) -> Expression:
    """NumPy's order: NaN behind all numbers."""
    if x.dtype.kind != "f":
        return b.lt(x, y)
    return b.logical_or(b.lt(x, y), b.logical_and(b.isnan(y), b.logical_not(b.isnan(x))))
