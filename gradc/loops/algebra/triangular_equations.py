"""Sylvester's equation with triangles, and square roots of triangles, by substitution, as internal functions.

Both go row by row, and in a row column by column: what is found is taken off what is left of the row. (Bartels and
Stewart, Solution of the matrix equation AX + XB = C, 1972; Björck and Hammarling, A Schur method for the square root
of a matrix, 1983.)
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.loops.algebra.arithmetic import (
    Number,
    Rows,
    conjugate,
    largest_part,
    let_parts,
    multiply_add,
    negative,
    over,
    plus,
    select,
    squares,
    times,
)
from gradc.loops.algebra.factors import Index, let, loop
from gradc.loops.language.program import Buffer, Expression, Function, Statement, b, variable
from gradc.ops.linalg import stacked
from gradc.ops.triangular_equations import root_parts, solution_of, sylvester_parts

Operands = tuple[Value, ...]
Params = dict[str, Any]

PRIVATE: Final = (sylvester_parts, root_parts)


def divided(word: str, x: Number, divisor: Number) -> tuple[tuple[Statement, ...], Number]:
    """``x / divisor``, without squares that leave the range."""
    if len(x) == 1:
        return (), over(x, divisor[0])
    unit = let(f"{word}_unit", largest_part(divisor))
    lets, d = let_parts(f"{word}_turn", over(divisor, unit[1]))
    length = let(f"{word}_size", squares(d))
    return (unit[0], *lets, length[0]), over(over(times(x, conjugate(d)), length[1]), unit[1])


def root(word: str, x: Number) -> tuple[tuple[Statement, ...], Number]:
    """The principal square root; a part -0 is taken for 0."""
    if len(x) == 1:
        return (), (b.sqrt(b.add(x[0], b.constant(0.0, x[0].dtype))),)
    zero, one = b.constant(0.0, x[0].dtype), b.constant(1.0, x[0].dtype)
    peak = let(f"{word}_peak", largest_part(x))
    unit = let(f"{word}_unit", b.select(b.eq(peak[1], zero), one, peak[1]))
    lets, y = let_parts(word, over(x, unit[1]))
    size = let(f"{word}_size", b.sqrt(squares(y)))
    # Of the size and the real part the sum that does not cancel.
    large = let(f"{word}_large", b.sqrt(b.mul(b.add(size[1], b.abs(y[0])), 0.5)))
    small = let(f"{word}_small", b.div(y[1], b.mul(b.select(b.eq(large[1], zero), one, large[1]), 2.0)))
    scale = let(f"{word}_scale", b.sqrt(unit[1]))
    right = b.ge(y[0], zero)
    signed = b.select(b.lt(y[1], zero), b.neg(large[1]), large[1])
    found = (b.select(right, large[1], b.abs(small[1])), b.select(right, small[1], signed))
    steps = (peak[0], unit[0], *lets, size[0], large[0], small[0], scale[0])
    return steps, tuple(b.mul(each, scale[1]) for each in found)


# Real matrices; those of complex ones are told by their parts (``gradc.passes.complex_triangles``).


def sylvester_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The unknown of each matrix of a stack."""
    if 0 in result.shape:
        return operands[0].builder.full(0.0, result)
    return solution_of(sylvester_parts(*map(stacked, operands), parts=1, **params), result, 1)[0]


def root_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The root of each matrix of a stack."""
    if 0 in result.shape:
        return operands[0].builder.full(0.0, result)
    return solution_of(root_parts(*map(stacked, operands)), result, 1)[0]


# Sylvester's equation.


def sylvester_function(
    name: str, rows: int, columns: int, parts: int, dtype: np.dtype, *, transposed: bool, below: bool
) -> Function:
    """``w`` holds c, t and u, in parts and transposed where that is asked for; c becomes the unknown."""
    w = Buffer("w", dtype, (parts * (2 * rows + columns), max(rows, columns)), "parameter", writable=True)
    x, t, u = _regions(w, rows, columns, parts)
    back, forth = variable("row_back"), variable("turn")
    row = back if transposed else b.sub(rows - 1, back)
    end: Index = row if below else b.constant(columns)
    k, j, n = variable("k"), variable("j"), variable("n")
    taken, share = let_parts("share", negative(t.at(row, k)))
    of_row = x.put(row, j, multiply_add(share, x.at(k, j), x.at(row, j)))
    known = (0, row) if transposed else (b.add(row, 1), rows)
    column = b.sub(b.sub(end, 1), forth) if transposed else forth
    lets, sum_ = let_parts("divisor", plus(t.at(row, row), u.at(column, column)))
    steps, quotient = divided("divisor", x.at(row, column), sum_)
    found, value = let_parts("found", quotient)
    rest = x.put(row, n, multiply_add(negative(value), u.at(column, n), x.at(row, n)))
    after = (0, column) if transposed else (b.add(column, 1), end)
    one = (
        *lets,
        *steps,
        *found,
        *x.put(row, column, value),
        loop("n", *after, *rest, mode="vector"),
    )
    body = (
        loop("k", *known, *taken, loop("j", 0, end, *of_row, mode="vector")),
        loop("turn", 0, end, *one),
    )
    return Function(name, (w,), (), (loop("row_back", 0, rows, *body),))


def _regions(w: Buffer, rows: int, columns: int, parts: int) -> tuple[Rows, Rows, Rows]:
    starts = (0, parts * rows, 2 * parts * rows)
    sizes = (rows, rows, columns)
    x, t, u = (
        Rows(w, [start + part * size for part in range(parts)]) for start, size in zip(starts, sizes, strict=True)
    )
    return x, t, u


def sylvester_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """One equation."""
    parts, transposed, below = (whole.params[word] for word in ("parts", "transposed", "below"))
    dtype, rows = whole.out.dtype, whole.size
    columns = (int(whole.out.shape[1]) // parts) - 2 * rows
    i, j = variable(whole.names[1]), variable(whole.names[2])
    copied = []
    starts = (parts * rows, 2 * parts * rows, 0)
    for number, (start, height, width) in enumerate(
        zip(starts, (rows, columns, rows), (rows, columns, columns), strict=True)
    ):
        for part in range(parts):
            read = whole.read[number * parts + part]
            value = read(one, j, i) if transposed and number < 2 else read(one, i, j)
            if below and number == 2:
                value = b.select(b.lt(j, i), value, whole.number(0.0))
            put = whole.put((one, b.add(i, start + part * height), j), value)
            copied.append(loop(whole.names[1], 0, height, loop(whole.names[2], 0, width, put, mode="vector")))
    words = ["sylvester", *(word for word, holds in (("transposed", transposed), ("below", below)) if holds),
             *(["complex"] if parts == 2 else []), str(rows), str(columns)]  # fmt: skip

    def make(name: str) -> Function:
        return sylvester_function(name, rows, columns, parts, dtype, transposed=transposed, below=below)

    return (*copied, whole.call("_".join(words), make, one, whole.out))


# Square roots.


def root_function(name: str, size: int, parts: int, dtype: np.dtype) -> Function:
    """``w`` holds the parts of an upper triangle, and becomes its root."""
    w = Buffer("w", dtype, (parts * size, size), "parameter", writable=True)
    r = Rows(w, [part * size for part in range(parts)])
    j, n = variable("j"), variable("n")
    row = b.sub(size - 1, variable("row_back"))
    lets, top = root("corner", r.at(row, row))
    kept, corner = let_parts("top", top)
    entry = r.at(row, j)
    summed, total = let_parts("divisor", plus(corner, r.at(j, j)))
    steps, quotient = divided("divisor", entry, total)
    zero = b.constant(0.0, dtype)
    is_zero = b.eq(largest_part(entry), zero)
    found, value = let_parts("found", select(is_zero, r.zero(), quotient))
    rest = r.put(row, n, multiply_add(negative(value), r.at(j, n), r.at(row, n)))
    one = (
        *summed,
        *steps,
        *found,
        *r.put(row, j, value),
        loop("n", b.add(j, 1), size, *rest, mode="vector"),
    )
    body = (*lets, *kept, *r.put(row, row, corner), loop("j", b.add(row, 1), size, *one))
    return Function(name, (w,), (), (loop("row_back", 0, size, *body),))


def root_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """The root of one matrix."""
    size, parts, dtype = whole.size, len(whole.read), whole.out.dtype
    i, j = variable(whole.names[1]), variable(whole.names[2])
    zero = whole.number(0.0)
    copied = tuple(
        whole.put((one, b.add(i, part * size), j), b.select(b.ge(j, i), read(one, i, j), zero))
        for part, read in enumerate(whole.read)
    )
    name = "_".join(["root", *(["complex"] if parts == 2 else []), str(size)])
    call = whole.call(name, lambda name: root_function(name, size, parts, dtype), one, whole.out)
    return (loop(whole.names[1], 0, size, loop(whole.names[2], 0, size, *copied, mode="vector")), call)
