"""Ops that have no loops of their own, told in those that have.

softmax and logsumexp become maxima, exponentials and sums; a contraction that is a mere product, a dot product, tiny,
masked or of integers becomes products and a sum, which fuse with what surrounds them. The others stay calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.ir.aval import Aval
from gradc.ir.graph import Builder, Graph, Value, rebuild
from gradc.ir.op import REGISTRY, Op
from gradc.ops.elementwise import exp, isfinite, log, select
from gradc.ops.reduce import reduce_max, reduce_sum
from gradc.ops.shape import broadcast, reshaped, transpose

SMALL_CONTRACTION: Final = 64
"""Contractions of at most this many products are written out as loops among the others."""

REDUCTIONS: Final = {
    "reduce_sum": "add", "reduce_prod": "mul", "reduce_max": "maximum", "reduce_min": "minimum",
    "reduce_any": "logical_or", "reduce_all": "logical_and",
}  # fmt: skip
"""The primitive that combines the terms of each reduction."""

_Rule = Callable[[tuple[Value, ...], dict[str, Any], Aval], Value | None]


def decompose(graph: Graph) -> Graph:
    """The same function without the ops of this module; the graph itself where it has none."""
    return rebuild(graph, _rewrite) if any(node.op.name in _RULES for node in graph.nodes) else graph


def neutral(reduction: str, dtype: np.dtype) -> bool | int | float:
    """The value that a reduction starts from."""
    if reduction in ("add", "logical_or"):
        return dtype.type(0).item()  # type: ignore[no-any-return]
    if reduction in ("mul", "logical_and"):
        return dtype.type(1).item()  # type: ignore[no-any-return]
    largest = reduction == "minimum"
    if dtype.kind == "f":
        return math.inf if largest else -math.inf
    if dtype.kind == "b":
        return largest
    return int(np.iinfo(dtype).max if largest else np.iinfo(dtype).min)


def _rewrite(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
    rule = _RULES.get(op.name)
    if rule is None:
        return None
    result = op.infer(*[builder.nodes[i].aval for i in ids], **params)
    return rule(tuple(builder.value(i) for i in ids), {**params, "op": op}, result)


def _reduction(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value | None:
    """Reductions of nothing are their neutral element; of single elements, those."""
    (x,) = operands
    count = math.prod(int(x.aval.shape[a]) for a in params["axes"])
    if count == 1:
        return reshaped(x, result.shape)
    if count == 0:
        return x.builder.full(neutral(REDUCTIONS[params["op"].name], result.dtype), result)
    return None


def _softmax(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value:
    """``exp(x - max)`` over its sum; NaN where the largest element is infinite, as in scipy.special."""
    (x,), axes = operands, params["axes"]
    if 0 in result.shape:
        return x
    largest = reduce_max(x, axes=axes, keepdims=True)
    weights, total = _weights(x, largest, axes)
    total = select(isfinite(largest), total, x.builder.full(math.nan, total.aval))
    return weights / broadcast(total, x.aval.shape)


def _logsumexp(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value:
    """The largest element is subtracted, unless it is infinite: a row of -inf gives -inf."""
    (x,), axes = operands, params["axes"]
    if 0 in [x.aval.shape[a] for a in axes]:
        return x.builder.full(-math.inf, result)
    largest = reduce_max(x, axes=axes, keepdims=True)
    _, total = _weights(x, largest, axes)
    return reshaped(log(total) + _shift(largest), result.shape)


def _shift(largest: Value) -> Value:
    return select(isfinite(largest), largest, largest.builder.full(0.0, largest.aval))


def _weights(x: Value, largest: Value, axes: tuple[int, ...]) -> tuple[Value, Value]:
    """The exponentials of a softmax, and their sums."""
    weights = exp(x - broadcast(_shift(largest), x.aval.shape))
    return weights, reduce_sum(weights, axes=axes, keepdims=True)


def _contract(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value | None:
    a, b = operands
    lhs, rhs, out = params["lhs"], params["rhs"], params["out"]
    sizes = dict(zip(lhs + rhs, map(int, a.aval.shape + b.aval.shape), strict=True))
    summed = [letter for letter in sizes if letter not in out]
    alone = [letter for letter in out if letter not in lhs or letter not in rhs]
    work = math.prod(sizes.values())
    if summed and alone and work > SMALL_CONTRACTION and result.dtype.kind == "f":
        return None
    return _summed(_aligned(a, lhs, out, summed, sizes) * _aligned(b, rhs, out, summed, sizes), result)


def _masked_contract(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value:
    a, mask, b = operands
    lhs, rhs, out = params["lhs"], params["rhs"], params["out"]
    sizes = dict(zip(lhs + rhs, map(int, a.aval.shape + b.aval.shape), strict=True))
    summed = [letter for letter in sizes if letter not in out]
    products = _aligned(a, lhs, out, summed, sizes) * _aligned(b, rhs, out, summed, sizes)
    zero = a.builder.full(0.0, products.aval)
    return _summed(select(_aligned(mask, lhs, out, summed, sizes), products, zero), result)


def _aligned(x: Value, letters: str, out: str, summed: list[str], sizes: dict[str, int]) -> Value:
    """``x`` as an array over the letters of the result and then the summed ones, repeated along those it lacks."""
    every = [*out, *summed]
    order = tuple(sorted(range(len(letters)), key=lambda k: every.index(letters[k])))
    moved = x if order == tuple(range(len(order))) else transpose(x, axes=order)
    stretched = reshaped(moved, tuple(sizes[c] if c in letters else 1 for c in every))
    return broadcast(stretched, tuple(sizes[c] for c in every))


def _summed(products: Value, result: Aval) -> Value:
    axes = tuple(range(result.ndim, products.aval.ndim))
    return reduce_sum(products, axes=axes, keepdims=False) if axes else products


_RULES: Final[dict[str, _Rule]] = {
    **dict.fromkeys(REDUCTIONS, _reduction),
    "softmax": _softmax,
    "logsumexp": _logsumexp,
    "contract": _contract,
    "masked_contract": _masked_contract,
}
assert set(_RULES) <= set(REGISTRY)
