"""Elimination of complex matrices in pairs of real ones, column by column, and the determinants that are its pivots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gradc.ir.aval import Aval, Dim
from gradc.ir.graph import Value
from gradc.ir.node import Node
from gradc.ops import elementwise as ops
from gradc.ops import elimination, functions
from gradc.ops.reduce import reduce_max, reduce_min, reduce_sum
from gradc.ops.shape import broadcast, reshaped
from gradc.passes.complex_columns import fixed, less, nth, places_of, repeated, summed, times
from gradc.passes.complex_functions import Pair, number, product, quotient, raise_of
from gradc.passes.complex_matrices import diagonal_of, part

# Elimination.


def _eliminated(node: Node, a: Pair) -> tuple[Pair, Value, Value]:
    """The factors of stacked matrices, the order of their rows, and its sign.

    Rows are exchanged as LAPACK does, so that the pivot has the largest sum of the sizes of its parts.
    """
    a, (count, size, _) = fixed(node, a)
    shape = (count, size)

    def step(states: list[Value], k: Value) -> list[Value]:
        now, order, sign = Pair(*states[:2]), states[2], states[3]
        column, places, rows = nth(now, k, 2), places_of(order, 1), places_of(now.re, 1)
        number_of = broadcast(k, shape)
        left = ops.greater_equal(places, number_of)
        sizes = ops.select(left, ops.absolute(column.re) + ops.absolute(column.im), number(order, -1.0))
        largest = broadcast(reduce_max(sizes, axes=(1,), keepdims=True), shape)
        is_chosen = ops.select(ops.isnan(largest), ops.equal(places, number_of), ops.equal(sizes, largest))
        found = ops.select(is_chosen, places, number(order, float(size)))
        chosen = reduce_min(found, axes=(1,), keepdims=True)
        here = ops.equal(rows, _spread(chosen, rows.aval.shape))
        pivot_row, other_row = summed(here, now, 1), nth(now, k, 1)
        at = ops.equal(rows, broadcast(k, rows.aval.shape))
        turned = [
            ops.select(at, _spread_rows(p, x), ops.select(here, _spread_rows(o, x), x))
            for p, o, x in zip(pivot_row, other_row, now, strict=True)
        ]
        of_order = _exchanged(order, ops.equal(places, number_of), ops.equal(places, _spread(chosen, shape)))
        pivot = Pair(*[reshaped(x, (count, 1)) for x in summed(ops.equal(places, number_of), pivot_row, 1)])
        zero = number(pivot.re, 0.0)
        vanishes = ops.logical_and(ops.equal(pivot.re, zero), ops.equal(pivot.im, zero))
        divisor = Pair(ops.select(vanishes, number(zero, 1.0), pivot.re), pivot.im)
        up = raise_of(largest)
        column = Pair(*[x * up for x in nth(Pair(*turned), k, 2)])
        share = quotient(column, Pair(*[broadcast(x, shape) * up for x in divisor]))
        beyond = ops.greater(places, number_of)
        share, rest = (Pair(*[ops.select(beyond, x, number(x, 0.0)) for x in pair]) for pair in (share, pivot_row))
        taken = less(Pair(*turned), times(share, rest, "bi,bj->bij"))
        below = ops.logical_and(
            ops.greater(rows, broadcast(k, rows.aval.shape)),
            ops.equal(places_of(now.re, 2), broadcast(k, rows.aval.shape)),
        )
        kept = [
            ops.select(below, broadcast(reshaped(s, (*shape, 1)), x.aval.shape), x)
            for s, x in zip(share, taken, strict=True)
        ]
        same = ops.equal(reshaped(chosen, (count,)), broadcast(k, (count,)))
        return [*kept, of_order, ops.select(same, sign, -sign)]

    one = a.re.builder.full(1.0, Aval((count,), a.re.aval.dtype))
    first = places_of(a.re.builder.full(0.0, Aval(shape, a.re.aval.dtype)), 1)
    re, im, order, sign = repeated(step, [*a, first, one], size)
    return Pair(re, im), order, sign


def _exchanged(x: Value, at: Value, here: Value) -> Value:
    """The numbers with those under two masks, one each, exchanged."""
    zero = number(x, 0.0)
    one, other = (
        broadcast(reduce_sum(ops.select(mask, x, zero), axes=(1,), keepdims=True), x.aval.shape) for mask in (at, here)
    )
    return ops.select(at, other, ops.select(here, one, x))


def _spread(x: Value, shape: tuple[Dim, ...]) -> Value:
    """A number for each matrix."""
    return broadcast(reshaped(x, (shape[0], *[1] * (len(shape) - 1))), shape)


def _spread_rows(row: Value, like: Value) -> Value:
    count, size = row.aval.shape
    return broadcast(reshaped(row, (count, 1, size)), like.aval.shape)


def lu_factors(node: Node, a: Pair) -> Pair:
    """The op ``lu_factors``."""
    return Pair(*[reshaped(x, node.aval.shape) for x in _eliminated(node, a)[0]])


def lu_order(node: Node, a: Pair) -> Value:
    """The op ``lu_order``."""
    return reshaped(ops.convert(_eliminated(node, a)[1], dtype=node.aval.dtype), node.aval.shape)


def lu_pivots(node: Node, a: Pair) -> Value:
    """The op ``lu_pivots``."""
    found = elimination.exchanges(_eliminated(node, a)[1])
    return reshaped(ops.convert(found, dtype=node.aval.dtype), node.aval.shape)


# Determinants.


def _product_of_pivots(node: Node, a: Pair) -> tuple[Value, Pair]:
    """The logarithm of the size of the determinant, and its phase; minus infinity and 0 of a singular matrix."""
    packed, _, sign = _eliminated(node, a)
    size = int(packed.re.aval.shape[-1])
    pivots = Pair(*[diagonal_of(x) for x in packed])
    lengths = functions.hypot(pivots.re, pivots.im)
    unit = ops.select(ops.equal(lengths, number(lengths, 0.0)), number(lengths, 1.0), lengths)
    turns = [Pair(*[part(x / unit, 1, k, 1) for x in pivots]) for k in range(size)]
    first = reshaped(sign, (sign.aval.shape[0], 1))
    phase = Pair(first, number(first, 0.0))
    for turn in turns:
        phase = product(phase, turn)
    logarithm = reduce_sum(ops.log(lengths), axes=(1,), keepdims=False)
    return logarithm, Pair(*[reshaped(x, sign.aval.shape) for x in phase])


def log_abs_det(node: Node, a: Pair) -> Value:
    """The op ``log_abs_det``."""
    return reshaped(_product_of_pivots(node, a)[0], node.aval.shape)


def det_sign(node: Node, a: Pair) -> Pair:
    """The op ``det_sign``."""
    return Pair(*[reshaped(x, node.aval.shape) for x in _product_of_pivots(node, a)[1]])


def det(node: Node, a: Pair) -> Pair:
    """The op ``det``, by its logarithm, as NumPy has it."""
    logarithm, phase = _product_of_pivots(node, a)
    return Pair(*[reshaped(x * ops.exp(logarithm), node.aval.shape) for x in phase])


RULES: Final[dict[str, Callable[..., Value | Pair]]] = {
    rule.__name__: rule for rule in (lu_factors, lu_order, lu_pivots, det, det_sign, log_abs_det)
}
"""What computes each op, by its name."""
