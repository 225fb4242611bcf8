"""Ops that have no loops of their own, told in those that have.

The softmax family becomes maxima, exponentials and sums; a contraction that is a mere product, a dot product, tiny,
masked or of integers becomes products and a sum, which fuse with what surrounds them. The others stay calls. Writes
into slices of zeros become concatenations (``gradc.loops.lowering.slices``), known indices in equal steps views
(``gradc.loops.lowering.windows``), and contractions read patches as windows (``gradc.loops.lowering.patches``).
Factors, systems and determinants become what ``gradc.loops.algebra.panels`` computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.ir.aval import Aval, Dim, size_of
from gradc.ir.graph import Builder, Graph, Value, rebuild
from gradc.ir.op import REGISTRY, Op
from gradc.loops.algebra.panels import require
from gradc.loops.lowering.decompositions import with_decompositions_told
from gradc.loops.lowering.determinants import cofactors_rule, det_rule, det_sign_rule, log_abs_det_rule
from gradc.loops.lowering.ordered import argsort_rule, recurrence_rule, running_rule
from gradc.loops.lowering.patches import contraction_of_windows
from gradc.loops.lowering.slices import Slices, aligned, part_of
from gradc.loops.lowering.systems import (
    cholesky_rule,
    inverse_rule,
    lu_factors_rule,
    lu_order_rule,
    lu_pivots_rule,
    solve_rule,
    triangular_rule,
)
from gradc.loops.lowering.windows import gather_rule, scatter_rule
from gradc.ops.bits import NEGATIVE_POWER
from gradc.ops.contraction import masked_contract
from gradc.ops.elementwise import convert, exp, greater_equal, isfinite, log, power, select
from gradc.ops.reduce import reduce_max, reduce_sum
from gradc.ops.shape import broadcast, concatenate, iota, reshaped, slice_, transpose, update_slice

SMALL_CONTRACTION: Final = 64
"""Contractions of at most this many products are written out as loops among the others."""

BLOCK: Final = 1024
"""Partial sums are combined after this many terms, so that rounding errors do not pile up."""

REDUCTIONS: Final = {
    "reduce_sum": "add", "reduce_prod": "mul", "reduce_max": "maximum", "reduce_min": "minimum",
    "reduce_any": "logical_or", "reduce_all": "logical_and",
}  # fmt: skip
"""The primitive that combines the terms of each reduction."""

_Rule = Callable[[tuple[Value, ...], dict[str, Any], Aval], Value | None]


def decompose(graph: Graph) -> Graph:
    """The same function without the ops of this module; the graph itself where it has none."""
    graph = with_decompositions_told(graph)
    nodes = graph.nodes
    if not any(
        node.op.name in _RULES
        or node.op in (iota, update_slice)
        or (node.op is slice_ and nodes[node.operands[0]].op is concatenate)
        for node in nodes
    ):
        return graph
    slices = Slices()

    def rewrite(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
        if op is update_slice:
            slices.read.add(ids[1])
            return slices.told(tuple(builder.value(i) for i in ids), params)
        slices.read.update(ids)
        if op is slice_:
            return part_of(builder.value(ids[0]), params)
        return _rewrite(builder, op, ids, params)

    return aligned(rebuild(graph, rewrite))


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
    if op is iota:
        return _counted(builder, params["dim"], params["dtype"])
    rule = _RULES.get(op.name)
    if rule is None:
        return None
    result = op.infer(*[builder.nodes[i].aval for i in ids], **params)
    return rule(tuple(builder.value(i) for i in ids), {**params, "op": op}, result)


def _counted(builder: Builder, dim: Dim, dtype: np.dtype) -> Value | None:
    """Numbers up to a size: a constant; up to a symbolic one, the loop's variable as an i64."""
    if isinstance(dim, int):
        return builder.constant(iota.evaluate(dim=dim, dtype=dtype))
    return None if dtype == np.int64 else convert(builder.apply(iota, dim=dim, dtype=np.dtype(np.int64)), dtype=dtype)


def _reduction(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value | None:
    """Reductions of nothing are their neutral element; of single elements, those."""
    (x,) = operands
    count = size_of(tuple(x.aval.shape[a] for a in params["axes"]))
    if count == 1:
        return reshaped(x, result.shape)
    if count == 0:
        return x.builder.full(neutral(REDUCTIONS[params["op"].name], result.dtype), result)
    if params["op"] is reduce_sum and result.dtype == np.float64:
        return _in_blocks(x, params["axes"], result)
    return None


def _in_blocks(x: Value, axes: tuple[int, ...], result: Aval) -> Value | None:
    """A sum along a long axis with a kept one inside runs row by row, without lanes: cut it into blocks."""
    shape = x.aval.shape
    kept = [a for a, length in enumerate(shape) if a not in axes and length != 1]
    numbers = {a: length for a, length in enumerate(shape) if a in axes and isinstance(length, int)}
    along = max((a for a in numbers if kept and a < kept[-1]), key=lambda a: numbers[a], default=-1)
    if along < 0 or numbers[along] <= 4 * BLOCK:
        return None
    length = numbers[along]
    whole = length // BLOCK * BLOCK
    split = (*shape[:along], whole // BLOCK, BLOCK, *shape[along + 1 :])
    inner = tuple(a for a in axes if a < along) + tuple(a + 1 for a in axes if a >= along)
    blocks = reduce_sum(reshaped(_part(x, along, 0, whole), split), axes=inner, keepdims=False)
    place = along - sum(a < along for a in axes)
    total = reduce_sum(blocks, axes=(place,), keepdims=False)
    if whole < length:
        total = total + reduce_sum(_part(x, along, whole, length), axes=axes, keepdims=False)
    return reshaped(total, result.shape)


def _part(x: Value, axis: int, start: int, stop: int) -> Value:
    starts = tuple(start if a == axis else 0 for a in range(x.aval.ndim))
    sizes = tuple(stop - start if a == axis else d for a, d in enumerate(x.aval.shape))
    return slice_(x, starts=starts, sizes=sizes, steps=(1,) * x.aval.ndim)


def _softmax(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value:
    """``exp(x - max)`` over its sum; NaN where the largest element is infinite, as in scipy.special."""
    (x,), axes = operands, params["axes"]
    if 0 in result.shape:
        return x
    largest = reduce_max(x, axes=axes, keepdims=True)
    weights, total = _weights(x, largest, axes)
    total = select(isfinite(largest), total, x.builder.full(math.nan, total.aval))
    return weights / broadcast(total, x.aval.shape)


def _log_softmax(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value:
    """``x - max`` less the logarithm of the sum, so that no digit is lost of what is large in both."""
    (x,), axes = operands, params["axes"]
    if 0 in result.shape:
        return x
    largest = reduce_max(x, axes=axes, keepdims=True)
    _, total = _weights(x, largest, axes)
    return x - broadcast(_shift(largest), x.aval.shape) - broadcast(log(total), x.aval.shape)


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
    letters = _Letters(a, b, params)
    if letters.is_call(result):
        return contraction_of_windows(operands, params, result.shape)
    return letters.total(letters.spread(a, letters.lhs) * letters.spread(b, letters.rhs))


def _masked_contract(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value | None:
    """One that is a call has a left operand that is 0 outside of the mask."""
    a, mask, b = operands
    letters = _Letters(a, b, params)
    if letters.is_call(result):
        zeros = a.builder.full(0.0, a.aval)
        kept = select(mask, a, zeros)
        if a.node.op is select and (a.node.operands[0], a.node.operands[2]) == (mask.id, zeros.id):
            return None
        return masked_contract(kept, mask, b, lhs=letters.lhs, rhs=letters.rhs, out=letters.out)
    products = letters.spread(a, letters.lhs) * letters.spread(b, letters.rhs)
    return letters.total(select(letters.spread(mask, letters.lhs), products, a.builder.full(0.0, products.aval)))


class _Letters:
    """The letters of a contraction and the order of its loops.

    The summed letters are innermost, unless the last letter of the result is the last one of an operand: that one is
    then innermost, so that memory is read and written as it lies.
    """

    def __init__(self, a: Value, b: Value, params: dict[str, Any]) -> None:
        self.lhs, self.rhs, self.out = params["lhs"], params["rhs"], params["out"]
        self.sizes: dict[str, Dim] = dict(zip(self.lhs + self.rhs, a.aval.shape + b.aval.shape, strict=True))
        self.summed = [letter for letter in self.sizes if letter not in self.out]
        kept_inside = int(bool(self.out) and self.out[-1:] in (self.lhs[-1:], self.rhs[-1:]))
        outer = len(self.out) - kept_inside
        self.order = [*self.out[:outer], *self.summed, *self.out[outer:]]

    def is_call(self, result: Aval) -> bool:
        """Whether it is worth a kernel of its own: a sum of many products, of floats, that is no dot product."""
        alone = [c for c in self.out if c not in self.lhs or c not in self.rhs]
        work = size_of(tuple(self.sizes.values()))
        is_large = not isinstance(work, int) or work > SMALL_CONTRACTION
        return bool(self.summed and alone and is_large and result.dtype.kind == "f")

    def spread(self, x: Value, letters: str) -> Value:
        """An operand as an array over all letters, repeated along those that it lacks."""
        axes = tuple(sorted(range(len(letters)), key=lambda k: self.order.index(letters[k])))
        moved = x if axes == tuple(range(len(axes))) else transpose(x, axes=axes)
        stretched = reshaped(moved, tuple(self.sizes[c] if c in letters else 1 for c in self.order))
        return broadcast(stretched, tuple(self.sizes[c] for c in self.order))

    def total(self, products: Value) -> Value:
        """The sum of the products over the summed letters."""
        axes = tuple(self.order.index(letter) for letter in self.summed)
        return reduce_sum(products, axes=tuple(sorted(axes)), keepdims=False) if axes else products


def _integer_power(operands: tuple[Value, ...], params: dict[str, Any], result: Aval) -> Value:
    """A power whose exponents are checked."""
    x, y = operands
    is_known = greater_equal(y, y.builder.full(0, y.aval))
    return power(x, require(y, is_known, message=NEGATIVE_POWER))


_RULES: Final[dict[str, _Rule]] = {
    **dict.fromkeys(REDUCTIONS, _reduction),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "logsumexp": _logsumexp,
    "gather": gather_rule,
    "scatter": scatter_rule,
    "contract": _contract,
    "masked_contract": _masked_contract,
    "cumsum": running_rule,
    "cumprod": running_rule,
    "recurrence": recurrence_rule,
    "argsort": argsort_rule,
    "integer_power": _integer_power,
    "cholesky": cholesky_rule,
    "triangular_solve": triangular_rule,
    "solve": solve_rule,
    "inverse": inverse_rule,
    "lu_factors": lu_factors_rule,
    "lu_order": lu_order_rule,
    "lu_pivots": lu_pivots_rule,
    "det": det_rule,
    "log_abs_det": log_abs_det_rule,
    "det_sign": det_sign_rule,
    "cofactors": cofactors_rule,
}
assert set(_RULES) <= set(REGISTRY)
