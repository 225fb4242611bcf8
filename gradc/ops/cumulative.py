"""Sums and products so far, linear recurrences, and the order of elements, along an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradc.errors import DtypeError, ShapeError
from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import BatchContext, JvpContext, Op, VjpContext, register
from gradc.ops.elementwise import convert, not_equal
from gradc.ops.helpers import evaluated
from gradc.ops.neighbours import exclusive
from gradc.ops.shape import spread_over_batch


def _infer(name: str, kinds: str) -> Callable[..., Aval]:
    def infer(x: Aval, *, axis: int, **params: Any) -> Aval:
        if not 0 <= axis < x.ndim:
            raise ShapeError(f"{name}: {x} has no axis {axis}")
        if x.dtype.kind not in kinds:
            raise DtypeError(f"{name}: {x} has a dtype for which this op is not defined")
        return Aval(x.shape, x.dtype)

    return infer


def _along_later_axis(op: Op, c: BatchContext) -> Value:
    """The op behind the axes of a batch."""
    return op(c.operands[0], **{**c.params, "axis": c.params["axis"] + len(c.lead)})


def _flipped(ndim: int, axis: int) -> str:
    return f"[{':, ' * axis}::-1]"


def _along(axis: int, x: Aval) -> str:
    return f", axis={axis}" if x.ndim > 1 else ""


def _typed(x: Aval) -> str:
    """NumPy widens small integers, unless the dtype is said."""
    return f", dtype=np.{x.dtype.name}" if x.dtype.kind in "iu" and x.dtype.itemsize < 8 else ""


# Sums.


def _evaluate_cumsum(x: Any, *, axis: int, reverse: bool) -> Any:
    given = np.flip(x, axis) if reverse else x
    sums = np.cumsum(given, axis=axis, dtype=x.dtype)
    return np.flip(sums, axis) if reverse else sums


def _numpy_cumsum(params: dict[str, Any], result: Aval, x: Aval) -> str:
    axis = params["axis"]
    along = _along(axis, x)
    if not params["reverse"]:
        return f"np.cumsum({{0}}{along}{_typed(x)})"
    flip = _flipped(x.ndim, axis)
    return f"np.cumsum({{0}}{flip}{along}{_typed(x)}){flip}"


def _cumsum_vjp(context: VjpContext) -> Sequence[Any]:
    """An element is in its own sum and in those behind it; a mask says whether one of these is live."""
    axis, reverse, ct = context.params["axis"], context.params["reverse"], context.ct
    if ct.aval.dtype != np.dtype(bool):
        return [cumsum(ct, axis=axis, reverse=not reverse)]
    return [_reaching(ct, axis=axis, reverse=not reverse)]


def _reaching(mask: Value, *, axis: int, reverse: bool) -> Value:
    """Whether any element is alive among those that a sum so far has."""
    count = cumsum(convert(mask, dtype=np.dtype(np.int64)), axis=axis, reverse=reverse)
    return not_equal(count, count.builder.full(0, count.aval))


cumsum: Op = register(
    Op(
        "cumsum",
        _infer("cumsum", "cfiu"),
        _evaluate_cumsum,
        _numpy_cumsum,
        vjp=_cumsum_vjp,
        reach=lambda mask, k, c: _reaching(mask, **c.params),
        batch=lambda c: _along_later_axis(cumsum, c),
        linear=True,
        flops=lambda result, x, **params: x.size,
    )
)


# Products.


def _cumprod_vjp(context: VjpContext) -> Sequence[Any]:
    """``d x[j] = p[j-1] r[j]`` with ``r[j] = ct[j] + x[j+1] r[j+1]``: nothing is divided, so it is exact at 0."""
    x, axis = context.operands[0], context.params["axis"]
    sums = recurrence(context.ct, exclusive(x, axis, 0.0, reverse=True), axis=axis, reverse=True)
    return [exclusive(context.result, axis, 1.0) * sums]


def _cumprod_jvp(context: JvpContext) -> Value | None:
    """``t[j] = dx[j] p[j-1] + x[j] t[j-1]``."""
    (x,), (tangent,), axis = context.operands, context.tangents, context.params["axis"]
    assert tangent is not None
    return recurrence(tangent * exclusive(context.result, axis, 1.0), _leading_zero(x, axis), axis=axis, reverse=False)


def _leading_zero(x: Value, axis: int, *, reverse: bool = False) -> Value:
    """Each element, 0 for the one with which a recurrence begins."""
    return exclusive(exclusive(x, axis, 0.0, reverse=not reverse), axis, 0.0, reverse=reverse)


def _live_product(mask: Value, context: VjpContext) -> Sequence[Value | None]:
    axis = context.params["axis"]
    return [_reaching(mask, axis=axis, reverse=True)]


cumprod: Op = register(
    Op(
        "cumprod",
        _infer("cumprod", "cfiu"),
        lambda x, axis: np.cumprod(x, axis=axis, dtype=x.dtype),
        lambda params, result, x: f"np.cumprod({{0}}{_along(params['axis'], x)}{_typed(x)})",
        vjp=_cumprod_vjp,
        jvp=_cumprod_jvp,
        reach=lambda mask, k, c: _reaching(mask, reverse=False, **c.params),
        batch=lambda c: _along_later_axis(cumprod, c),
        live=_live_product,
        flops=lambda result, x, **params: x.size,
    )
)


# Linear recurrences.


def _infer_recurrence(x: Aval, factor: Aval, *, axis: int, reverse: bool) -> Aval:
    if x.shape != factor.shape or x.dtype != factor.dtype:
        raise ShapeError(f"recurrence: operands differ: {x} and {factor}")
    return _infer("recurrence", "cf")(x, axis=axis)


def _recurrence_vjp(context: VjpContext) -> Sequence[Any]:
    """The cotangents run the other way: ``c[j] = ct[j] + factor[j+1] c[j+1]``."""
    axis, reverse = context.params["axis"], context.params["reverse"]
    factor = exclusive(context.operands[1], axis, 0.0, reverse=not reverse)
    ct = recurrence(context.ct, factor, axis=axis, reverse=not reverse)
    return [ct, ct * exclusive(context.result, axis, 0.0, reverse=reverse)]


def _recurrence_jvp(context: JvpContext) -> Value | None:
    of_x, of_factor = context.tangents
    terms = [] if of_x is None else [of_x]
    if of_factor is not None:
        before = exclusive(context.result, context.params["axis"], 0.0, reverse=context.params["reverse"])
        terms.append(of_factor * before)
    return recurrence(terms[0] if len(terms) == 1 else terms[0] + terms[1], context.operands[1], **context.params)


def _live_recurrence(mask: Value, context: VjpContext) -> Sequence[Value | None]:
    reaching = _reaching(mask, axis=context.params["axis"], reverse=not context.params["reverse"])
    return [reaching, reaching]


def _batch_recurrence(c: BatchContext) -> Value:
    return recurrence(*spread_over_batch(c), axis=c.params["axis"] + len(c.lead), reverse=c.params["reverse"])


recurrence: Op = register(
    Op(
        "recurrence",
        _infer_recurrence,
        evaluated("_recurrence"),
        lambda params, result, x, factor: f"_recurrence({{0}}, {{1}}, {params['axis']}, {params['reverse']})",
        vjp=_recurrence_vjp,
        jvp=_recurrence_jvp,
        reach=lambda mask, k, c: _reaching(mask, **c.params),
        batch=_batch_recurrence,
        live=_live_recurrence,
        flops=lambda result, *avals, **params: 2 * result.size,
    )
)
"""``r[j] = x[j] + factor[j] r[j-1]`` along an axis, from 0 on; ``reverse`` runs from the last element on."""


# Order.


def _infer_argsort(x: Aval, *, axis: int) -> Aval:
    return _infer("argsort", "fiub")(x, axis=axis).with_dtype(np.dtype(np.int64))


argsort: Op = register(
    Op(
        "argsort",
        _infer_argsort,
        lambda x, axis: np.argsort(x, axis=axis, kind="stable"),
        lambda params, result, x: f"np.argsort({{0}}{_along(params['axis'], x)}, kind='stable')",
        batch=lambda c: _along_later_axis(argsort, c),
    )
)
