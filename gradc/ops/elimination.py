"""Factors of square matrices by elimination with rows exchanged. Axes before the last two are a batch.

With the rows of ``a`` in order, ``a[order] = L @ U``, the derivative is ``dL = L @ lower(F)`` and ``dU = upper(F) @ U``
with ``F = inverse(L) @ da[order] @ inverse(U)`` (Walter and Lehmann, Algorithmic differentiation of linear algebra
functions, 2018). The order does not change by small steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradc.errors import ShapeError
from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import JvpContext, Op, VjpContext, register
from gradc.ops.elementwise import equal, select
from gradc.ops.helpers import helper
from gradc.ops.index import gather, scatter
from gradc.ops.linalg import (
    cubed,
    live_everywhere,
    lower_part,
    product,
    reach_everywhere,
    require_square,
    triangular_solve,
)
from gradc.ops.orthogonal import over_r, upper_part
from gradc.ops.reduce import reduce_min
from gradc.ops.shape import broadcast, concatenate, reshaped, slice_


def _evaluate(part: int) -> Callable[..., Any]:
    return lambda a: helper("_eliminated")(a)[part]


def _infer(name: str) -> Callable[..., Aval]:
    def infer(a: Aval) -> Aval:
        require_square(name, a)
        if a.shape[-1] == 0:
            raise ShapeError(f"{name}: {a} has no elements")
        if name == "lu_factors":
            return Aval(a.shape, a.dtype)
        return Aval(a.shape[:-1], np.dtype(np.int64 if name == "lu_order" else np.int32))

    return infer


def with_ones(packed: Value) -> Value:
    """L, out of the factors: what is below the diagonal, and ones on it."""
    eye = packed.builder.constant(np.eye(int(packed.aval.shape[-1]), dtype=bool))
    below = lower_part(packed, -1)
    return select(broadcast(eye, packed.aval.shape), packed.builder.full(1.0, packed.aval), below)


def _flat_order(order: Value) -> Value:
    """The rows of a stack of matrices one below the other, in order."""
    *batch, size = (int(d) for d in order.aval.shape)
    firsts = np.arange(int(np.prod(batch)), dtype=np.int64).reshape((*batch, 1)) * size
    shifted = order + broadcast(order.builder.constant(firsts), order.aval.shape) if batch else order
    return reshaped(shifted, (order.aval.size,))


def in_order(x: Value, order: Value) -> Value:
    """The rows of matrices, or the elements of a vector for one matrix, in order."""
    apart = (order.aval.size, *x.aval.shape[order.aval.ndim :])
    return reshaped(gather(reshaped(x, apart), _flat_order(order), axes=(0,)), x.aval.shape)


def out_of_order(x: Value, order: Value) -> Value:
    """The transpose of ``in_order``, which is its inverse."""
    apart = (order.aval.size, *x.aval.shape[order.aval.ndim :])
    flat = reshaped(x, apart)
    empty = x.builder.full(0, flat.aval)
    return reshaped(scatter(empty, flat, _flat_order(order), axes=(0,), mode="set"), x.aval.shape)


def exchanges(order: Value) -> Value:
    """With which place each place was exchanged, in turn, to bring numbers into this order; floats ``[batch, n]``."""
    count, size = order.aval.shape
    numbers = broadcast(order.builder.constant(np.arange(int(size), dtype=order.aval.dtype)), order.aval.shape)
    now, found = numbers, []
    far = order.builder.full(float(int(size)), order.aval)
    for k in range(int(size)):
        starts, one = (0, k), (count, 1)
        wanted = broadcast(slice_(order, starts=starts, sizes=one, steps=(1, 1)), order.aval.shape)
        there = equal(now, wanted)
        found.append(reduce_min(select(there, numbers, far), axes=(1,), keepdims=True))
        here = broadcast(slice_(now, starts=starts, sizes=one, steps=(1, 1)), order.aval.shape)
        at = equal(numbers, order.builder.full(float(k), order.aval))
        now = select(at, wanted, select(there, here, now))
    return concatenate(*found, axis=1) if len(found) > 1 else found[0]


def _jvp(context: JvpContext) -> Value | None:
    (a,), (tangent,), packed = context.operands, context.tangents, context.result
    assert tangent is not None
    lower, upper = with_ones(packed), upper_part(packed)
    moved = triangular_solve(lower, in_order(tangent, lu_order(a)), transposed=False)
    inside = over_r(moved, upper, transposed=False)
    below = product(lower, lower_part(inside, -1), "ik,kj->ij")
    return below + product(upper_part(inside), upper, "ik,kj->ij")


def _vjp(context: VjpContext) -> Sequence[Any]:
    (a,), packed = context.operands, context.result
    lower, upper = with_ones(packed), upper_part(packed)
    below = lower_part(product(lower, lower_part(context.ct, -1), "ki,kj->ij"), -1)
    above = upper_part(product(upper_part(context.ct), upper, "ik,jk->ij"))
    inside = over_r(below + above, upper, transposed=True)
    return [out_of_order(triangular_solve(lower, inside, transposed=True), lu_order(a))]


lu_factors: Op = register(
    Op(
        "lu_factors",
        _infer("lu_factors"),
        _evaluate(0),
        "_eliminated({0})[0]",
        vjp=_vjp,
        jvp=_jvp,
        live=live_everywhere,
        reach=reach_everywhere,
        batch=lambda c: lu_factors(c.operands[0]),
        flops=lambda result, a: cubed(a, 3) * 2,
        latex=r"\operatorname{{lu}} {0}",
        text="lu({0})",
    )
)
"""L without its diagonal of ones below, U on and above the diagonal, of the matrix with its rows in order."""

lu_order: Op = register(
    Op(
        "lu_order",
        _infer("lu_order"),
        _evaluate(1),
        "_eliminated({0})[1]",
        batch=lambda c: lu_order(c.operands[0]),
        flops=lambda result, a: cubed(a, 3) * 2,
    )
)
"""The number of the row of the matrix that is each row of the factors, in int64."""

lu_pivots: Op = register(
    Op(
        "lu_pivots",
        _infer("lu_pivots"),
        _evaluate(2),
        "_eliminated({0})[2]",
        batch=lambda c: lu_pivots(c.operands[0]),
        flops=lambda result, a: cubed(a, 3) * 2,
    )
)
"""With which row each row was exchanged, in turn, in int32: LAPACK's pivots, counted from 0."""
