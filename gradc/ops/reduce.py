"""Reductions over axes. ``axes`` are sorted and non-negative; ``keepdims`` is NumPy's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradc.errors import DtypeError, ShapeError
from gradc.ir.aval import Aval, Dim, SymbolicDim, size_of
from gradc.ir.graph import Value
from gradc.ir.op import REGISTRY, BatchContext, Context, JvpContext, Op, Taken, VjpContext, register
from gradc.ops.elementwise import convert, equal, select
from gradc.ops.neighbours import exclusive, turned

Axes = tuple[int, ...]


def reduced_shape(shape: tuple[Dim, ...], axes: Axes, keepdims: bool) -> tuple[Dim, ...]:
    """The shape after a reduction over ``axes``."""
    if keepdims:
        return tuple(1 if a in axes else d for a, d in enumerate(shape))
    return tuple(d for a, d in enumerate(shape) if a not in axes)


def spread(reduced: Value, shape: tuple[Dim, ...], axes: Axes) -> Value:
    """A reduced value (with or without keepdims) repeated along the axes it was reduced over."""
    kept = reduced_shape(shape, axes, True)
    if reduced.aval.shape != kept:
        reduced = REGISTRY["reshape"](reduced, shape=kept)
    return reduced if kept == shape else REGISTRY["broadcast_to"](reduced, shape=shape)


def total(x: Value, *, axes: Axes, keepdims: bool) -> Value:
    """The sum of numbers, or whether any is true of a mask: a linear rule so serves cotangents and masks alike."""
    if not axes:
        return x
    op = reduce_any if x.aval.dtype == np.dtype(bool) else reduce_sum
    return op(x, axes=axes, keepdims=keepdims)


def _reduction(
    name: str, evaluate: Callable[..., Any], numpy: str, *, kinds: str, needs_elements: bool = False, **fields: Any
) -> Op:
    def infer(x: Aval, *, axes: Axes, keepdims: bool) -> Aval:
        if list(axes) != sorted(set(axes)) or not all(0 <= a < x.ndim for a in axes):
            raise ShapeError(f"{name}: axes {axes} do not fit {x}")
        if x.dtype.kind not in kinds:
            raise DtypeError(f"{name}: {x} has a dtype for which this op is not defined")
        if needs_elements and any(x.shape[a] == 0 for a in axes):
            raise ShapeError(
                f"{name}: {x} has no element along axes {axes}, and there is no smallest or largest of none"
            )
        return Aval(reduced_shape(x.shape, axes, keepdims), x.dtype)

    def text(params: dict[str, Any], result: Aval, x: Aval) -> str:
        return numpy.format("{0}", _axis_text(params, x))

    return register(
        Op(name, infer, lambda x, axes, keepdims: evaluate(x, axes, keepdims), text,
           batch=lambda c: _along_later_axes(REGISTRY[name], c), flops=lambda result, x, **p: x.size, **fields)
    )  # fmt: skip


def _along_later_axes(op: Op, c: BatchContext) -> Value:
    axes = tuple(a + len(c.lead) for a in c.params["axes"])
    return op(c.operands[0], **{**c.params, "axes": axes})


def _axis_text(params: dict[str, Any], x: Aval) -> str:
    axes, keepdims = params["axes"], params["keepdims"]
    parts = []
    if len(axes) != x.ndim:
        parts.append(f", axis={axes[0] if len(axes) == 1 else axes}")
    if keepdims:
        parts.append(", keepdims=True")
    return "".join(parts)


def _numpy_reduce(ufunc: np.ufunc) -> Callable[..., Any]:
    def evaluate(x: np.ndarray, axes: Axes, keepdims: bool) -> Any:
        return ufunc.reduce(x, axis=axes, keepdims=keepdims, dtype=x.dtype)

    return evaluate


def _sum_vjp(context: VjpContext) -> Sequence[Any]:
    return [spread(context.ct, context.operands[0].aval.shape, context.params["axes"])]


def _spread_mask(mask: Value, context: VjpContext) -> Sequence[Value | None]:
    return [spread(mask, context.operands[0].aval.shape, context.params["axes"])]


def _any_of(mask: Value, _: int, context: JvpContext) -> Value:
    return total(mask, axes=context.params["axes"], keepdims=context.params["keepdims"])


def _extremes(context: Context) -> tuple[Value, Value]:
    """Which elements are extreme, and how many tie."""
    x, axes = context.operands[0], context.params["axes"]
    extreme = equal(x, spread(context.result, x.aval.shape, axes))
    return extreme, total(convert(extreme, dtype=x.aval.dtype), axes=axes, keepdims=context.params["keepdims"])


def _extremum_vjp(context: VjpContext) -> Sequence[Any]:
    """The cotangent goes to the extreme elements; those that tie share it evenly."""
    x, axes = context.operands[0], context.params["axes"]
    extreme, count = _extremes(context)
    share = spread(context.ct / count, x.aval.shape, axes)
    return [Taken(select(extreme, share, x.builder.full(0.0, x.aval)), extreme, strict=False)]


def _extremum_jvp(context: JvpContext) -> Value | None:
    (x,), (tangent,) = context.operands, context.tangents
    assert tangent is not None
    extreme, count = _extremes(context)
    return total(select(extreme, tangent, x.builder.full(0.0, x.aval)), **context.params) / count


def _product_vjp(context: VjpContext) -> Sequence[Any]:
    x, axes = context.operands[0], context.params["axes"]
    others = _products_of_others(x, axes)
    return [spread(context.ct, x.aval.shape, axes) * others]


def _product_jvp(context: JvpContext) -> Value | None:
    (x,), (tangent,) = context.operands, context.tangents
    assert tangent is not None
    return total(tangent * _products_of_others(x, context.params["axes"]), **context.params)


def _products_of_others(x: Value, axes: Axes) -> Value:
    """For each element along ``axes`` the product of the others: exact at 0, at any order."""
    transpose, reshape = REGISTRY["transpose"], REGISTRY["reshape"]
    shape = x.aval.shape
    kept = tuple(a for a in range(len(shape)) if a not in axes)
    order = kept + axes
    count = size_of(tuple(shape[a] for a in axes))
    lead = tuple(shape[a] for a in kept)
    rows = reshape(transpose(x, axes=order), shape=(*lead, count))
    others = _products_around(rows) if isinstance(count, SymbolicDim) else _products_by_a_tree(rows)
    back = reshape(others, shape=tuple(shape[a] for a in order))
    inverse = tuple(sorted(range(len(order)), key=order.__getitem__))
    return transpose(back, axes=inverse)


def _products_around(rows: Value) -> Value:
    """The product so far before each element times that behind it, along the last axis."""
    axis, cumprod = rows.aval.ndim - 1, REGISTRY["cumprod"]
    before = exclusive(cumprod(rows, axis=axis), axis, 1.0)
    behind = exclusive(cumprod(turned(rows, axis), axis=axis), axis, 1.0)
    return before * turned(behind, axis)


def _products_by_a_tree(rows: Value) -> Value:
    levels = [rows]
    while levels[-1].aval.shape[-1] not in (0, 1):
        even, odd = _halves(levels[-1])
        levels.append(even * odd)
    above = rows.builder.full(1.0, levels[-1].aval)
    for level in reversed(levels[:-1]):
        even, odd = _halves(level)
        above = _interleaved(above * odd, above * even, int(level.aval.shape[-1]))
    return above


def _halves(row: Value) -> tuple[Value, Value]:
    """The first and the second half along the last axis, padded with a 1 where the length is odd."""
    shape = row.aval.shape
    length = int(shape[-1])
    half = (length + 1) // 2
    first = _columns(row, 0, half)
    second = _columns(row, half, length - half)
    if length % 2:
        one = row.builder.full(1.0, row.aval.with_shape((*shape[:-1], 1)))
        second = REGISTRY["concatenate"](second, one, axis=len(shape) - 1)
    return first, second


def _interleaved(first: Value, second: Value, length: int) -> Value:
    joined = REGISTRY["concatenate"](first, second, axis=first.aval.ndim - 1)
    return _columns(joined, 0, length)


def _columns(row: Value, start: int, size: int) -> Value:
    shape = row.aval.shape
    starts = (0,) * (len(shape) - 1) + (start,)
    return REGISTRY["slice"](row, starts=starts, sizes=(*shape[:-1], size), steps=(1,) * len(shape))


reduce_sum = _reduction(
    "reduce_sum",
    _numpy_reduce(np.add),
    "np.sum({0}{1})",
    kinds="fciu",
    vjp=_sum_vjp,
    linear=True,
    reach=_any_of,
    latex=r"\sum {0}",
)
reduce_prod = _reduction(
    "reduce_prod", _numpy_reduce(np.multiply), "np.prod({0}{1})", kinds="fciu", vjp=_product_vjp, jvp=_product_jvp,
    live=_spread_mask, reach=_any_of, latex=r"\prod {0}",
)  # fmt: skip
reduce_max = _reduction(
    "reduce_max", _numpy_reduce(np.maximum), "np.max({0}{1})", kinds="fiub", needs_elements=True, vjp=_extremum_vjp,
    jvp=_extremum_jvp, live=_spread_mask, reach=_any_of, latex=r"\max {0}",
)  # fmt: skip
reduce_min = _reduction(
    "reduce_min", _numpy_reduce(np.minimum), "np.min({0}{1})", kinds="fiub", needs_elements=True, vjp=_extremum_vjp,
    jvp=_extremum_jvp, live=_spread_mask, reach=_any_of, latex=r"\min {0}",
)  # fmt: skip
reduce_any = _reduction("reduce_any", _numpy_reduce(np.logical_or), "np.any({0}{1})", kinds="b", latex=r"\exists {0}")
reduce_all = _reduction("reduce_all", _numpy_reduce(np.logical_and), "np.all({0}{1})", kinds="b", latex=r"\forall {0}")


# The softmax family: the largest element is subtracted first, so exp cannot overflow.


def _shift(x: np.ndarray, axes: Axes) -> np.ndarray:
    largest = np.max(x, axis=axes, keepdims=True, initial=-np.inf)
    return np.asarray(np.where(np.isfinite(largest), largest, np.zeros_like(largest)))


def _evaluate_logsumexp(x: np.ndarray, axes: Axes, keepdims: bool) -> Any:
    shift = _shift(x, axes)
    summed = np.log(np.sum(np.exp(x - shift), axis=axes, keepdims=True)) + shift
    return summed.reshape(reduced_shape(x.shape, axes, keepdims)).astype(x.dtype)


def _evaluate_softmax(x: np.ndarray, *, axes: Axes) -> Any:
    weights = np.exp(x - np.max(x, axis=axes, keepdims=True, initial=-np.inf))
    return weights / np.sum(weights, axis=axes, keepdims=True)


def _evaluate_log_softmax(x: np.ndarray, *, axes: Axes) -> Any:
    below = x - _shift(x, axes)
    return below - np.log(np.sum(np.exp(below), axis=axes, keepdims=True))


def _infer_softmax(x: Aval, *, axes: Axes) -> Aval:
    if list(axes) != sorted(set(axes)) or not all(0 <= a < x.ndim for a in axes):
        raise ShapeError(f"softmax: axes {axes} do not fit {x}")
    if x.dtype.kind != "f":
        raise DtypeError(f"softmax: {x} is not of a floating-point dtype")
    return Aval(x.shape, x.dtype)


def _logsumexp_vjp(context: VjpContext) -> Sequence[Any]:
    x, axes = context.operands[0], context.params["axes"]
    return [spread(context.ct, x.aval.shape, axes) * softmax(x, axes=axes)]


def _softmax_vjp(context: VjpContext) -> Sequence[Any]:
    p, ct, axes = context.result, context.ct, context.params["axes"]
    inner = spread(reduce_sum(ct * p, axes=axes, keepdims=True), p.aval.shape, axes)
    return [p * (ct - inner)]


def _logsumexp_jvp(context: JvpContext) -> Value | None:
    (x,), (tangent,) = context.operands, context.tangents
    assert tangent is not None
    return total(softmax(x, axes=context.params["axes"]) * tangent, **context.params)


def _softmax_jvp(context: JvpContext) -> Value | None:
    p, axes = context.result, context.params["axes"]
    (tangent,) = context.tangents
    assert tangent is not None
    return p * (tangent - spread(total(p * tangent, axes=axes, keepdims=True), p.aval.shape, axes))


def _log_softmax_vjp(context: VjpContext) -> Sequence[Any]:
    x, ct, axes = context.operands[0], context.ct, context.params["axes"]
    shares = spread(reduce_sum(ct, axes=axes, keepdims=True), x.aval.shape, axes) * softmax(x, axes=axes)
    if ct.node.op.name == "scatter" and ct.node.params["mode"] == "add":
        base, *written = map(ct.builder.value, ct.node.operands)
        number = ct.builder.scalar(base)
        if number is not None and not number:  # what was picked is added where it belongs, without an array of zeros
            return [ct.node.op(-shares, *written, **ct.node.params)]
    return [ct - shares]


def _log_softmax_jvp(context: JvpContext) -> Value | None:
    (x,), (tangent,), axes = context.operands, context.tangents, context.params["axes"]
    assert tangent is not None
    return tangent - spread(total(softmax(x, axes=axes) * tangent, axes=axes, keepdims=True), x.aval.shape, axes)


def _along_axes(mask: Value, context: Context) -> Value:
    """Where any element along the axes is alive."""
    axes = context.params["axes"]
    return spread(total(mask, axes=axes, keepdims=True), mask.aval.shape, axes)


logsumexp = _reduction(
    "logsumexp", _evaluate_logsumexp, "_logsumexp({0}{1})", kinds="f", vjp=_logsumexp_vjp,
    jvp=_logsumexp_jvp, live=_spread_mask, reach=_any_of, latex=r"\log \sum e^{{{0}}}",
    captures=("scipy.special:logsumexp",),
)  # fmt: skip


def _softmax_op(name: str, evaluate: Callable[..., Any], latex: str, **rules: Any) -> Op:
    return register(
        Op(
            name,
            _infer_softmax,
            evaluate,
            lambda params, result, x: f"_{name}({{0}}{_axis_text(dict(params, keepdims=False), x)})",
            live=lambda mask, context: [_along_axes(mask, context)],
            reach=lambda mask, k, context: _along_axes(mask, context),
            batch=lambda c: _along_later_axes(REGISTRY[name], c),
            captures=(f"scipy.special:{name}",),
            latex=latex,
            **rules,
        )
    )


softmax: Op = _softmax_op(
    "softmax", _evaluate_softmax, r"\operatorname{{softmax}} {0}", vjp=_softmax_vjp, jvp=_softmax_jvp,
    flops=lambda result, x, **params: x.size * 3,
)  # fmt: skip
log_softmax: Op = _softmax_op(
    "log_softmax", _evaluate_log_softmax, r"\log \operatorname{{softmax}} {0}", vjp=_log_softmax_vjp,
    jvp=_log_softmax_jvp, flops=lambda result, x, **params: x.size * 4,
)  # fmt: skip
