"""Sums and products so far, and the order of elements, along an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradc.errors import DerivativeError, DtypeError, ShapeError
from gradc.ir.aval import Aval, SymbolicDim
from gradc.ir.graph import Value
from gradc.ir.op import BatchContext, Op, VjpContext, register
from gradc.ops.elementwise import convert, not_equal
from gradc.ops.shape import concatenate, slice_


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


def _shifted(x: Value, axis: int, by: int, fill: float) -> Value:
    """The element ``by`` places behind each; ``fill`` where there is none."""
    shape = x.aval.shape
    size = int(shape[axis])
    starts = tuple(by if k == axis else 0 for k in range(len(shape)))
    sizes = tuple(size - by if k == axis else d for k, d in enumerate(shape))
    rest = slice_(x, starts=starts, sizes=sizes, steps=(1,) * len(shape))
    ends = x.builder.full(fill, x.aval.with_shape(tuple(by if k == axis else d for k, d in enumerate(shape))))
    return concatenate(rest, ends, axis=axis)


def _before(x: Value, axis: int, fill: float) -> Value:
    """The element before each; ``fill`` before the first."""
    shape = x.aval.shape
    sizes = tuple(int(d) - 1 if k == axis else d for k, d in enumerate(shape))
    rest = slice_(x, starts=(0,) * len(shape), sizes=sizes, steps=(1,) * len(shape))
    start = x.builder.full(fill, x.aval.with_shape(tuple(1 if k == axis else d for k, d in enumerate(shape))))
    return concatenate(start, rest, axis=axis)


def _cumprod_vjp(context: VjpContext) -> Sequence[Any]:
    """``d x[j] = p[j-1] r[j]`` with ``r[j] = ct[j] + x[j+1] r[j+1]``: nothing is divided, so it is exact at 0.

    The recurrence is solved by doubling: after step k, ``r[j]`` has the terms of ``2**k`` elements from j on, and
    ``factor[j]`` is the product of as many elements behind j.
    """
    x, axis = context.operands[0], context.params["axis"]
    size = x.aval.shape[axis]
    if isinstance(size, SymbolicDim):
        raise DerivativeError(f"cumprod: the derivative along the symbolic axis of {x.aval} is not known; fix the size")
    if size == 0:
        return [context.ct]
    r, factor, reach = context.ct, _shifted(x, axis, 1, 0.0), 1
    while reach < size:
        r = r + factor * _shifted(r, axis, reach, 0.0)
        factor = factor * _shifted(factor, axis, reach, 0.0)
        reach *= 2
    return [_before(context.result, axis, 1.0) * r]


def _live_product(mask: Value, context: VjpContext) -> Sequence[Value | None]:
    axis = context.params["axis"]
    return [_reaching(mask, axis=axis, reverse=True)]


cumprod: Op = register(
    Op(
        "cumprod",
        _infer("cumprod", "fiu"),
        lambda x, axis: np.cumprod(x, axis=axis, dtype=x.dtype),
        lambda params, result, x: f"np.cumprod({{0}}{_along(params['axis'], x)}{_typed(x)})",
        vjp=_cumprod_vjp,
        reach=lambda mask, k, c: _reaching(mask, reverse=False, **c.params),
        batch=lambda c: _along_later_axis(cumprod, c),
        live=_live_product,
        flops=lambda result, x, **params: x.size,
    )
)


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
