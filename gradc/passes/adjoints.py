"""Forms that adjoints take: part 6 of ``stabilize.py``, under its contract and measure.

They hold wherever they are met. ``softmax-gradient`` sums what it multiplies afterwards: its bound holds where the sum
of the labels is a number, which could overflow only for labels within a factor n of the largest number there is.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from gradc.ir.graph import CONSTANT, Builder, Value
from gradc.ir.op import Op
from gradc.ops.elementwise import div, logistic, sub
from gradc.ops.reduce import reduce_sum, softmax
from gradc.ops.shape import broadcast, broadcast_to, reshaped
from gradc.passes.pairs import TERMS, Factor, Product, label, multiplied, paired_terms, product_of
from gradc.passes.pattern import ANY
from gradc.passes.rewrite import Law, procedure
from gradc.passes.rows import unspread_reduction

Params = dict[str, Any]
Ids = tuple[int, ...]


@procedure("cancel", "(1 - y)*logistic(z) - y*logistic(-z) -> logistic(z) - y", "add sub", TERMS, TERMS, logged=True)
def _cancel(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    found = paired_terms(builder, op, ids, logistic)
    if found is None or found[0].sign == found[1].sign:
        return None
    left, _, pair = found
    # p*logistic(z) - q*logistic(-z) is logistic(z) - q and also -(logistic(-z) - p).
    z, y, first = pair.plain()
    s = broadcast(logistic(z), builder.nodes[ids[0]].aval.shape)
    return multiplied(s - label(y, s), left.sign if first else -left.sign, pair.common)


@procedure("divided-by-size", "(1/n) * x -> x / n for a symbolic size n", "mul", ANY, ANY)
def _divided_by_size(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    """One rounding instead of two. A constant n has become the constant 1/n already, and stays a product."""
    for k in (0, 1):
        node = builder.nodes[ids[k]]
        while node.op is broadcast_to:
            node = builder.nodes[node.operands[0]]
        if node.op is not div or not _is_known_size(builder, node.operands[1]):
            continue
        sign: Any = builder.scalar(Value(builder, node.operands[0]))
        if sign is None or abs(sign) != 1:
            continue
        x = Value(builder, ids[1 - k])
        quotient = x / broadcast(Value(builder, node.operands[1]), x.aval.shape)
        return quotient if sign > 0 else -quotient
    return None


def _is_known_size(builder: Builder, node_id: int) -> bool:
    """Whether a number depends on no input, but on symbolic sizes."""
    node = builder.nodes[node_id]
    return node.aval.shape == () and node.op is not CONSTANT and builder.is_constant(Value(builder, node_id))


@procedure("softmax-gradient", "sum(c*y)*softmax(x) - c*y -> c*(sum(y)*softmax(x) - y)", "add sub", TERMS, TERMS)
def _softmax_gradient(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    """For a factor c that depends on no input, such as the 1/n of a mean."""
    left, right = product_of(builder, ids[0]), product_of(builder, ids[1])
    if left is None or right is None:
        return None
    if op is sub:
        right = right._replace(sign=-right.sign)
    shape = builder.nodes[ids[0]].aval.shape
    return _scaled_gradient(builder, left, right, shape) or _scaled_gradient(builder, right, left, shape)


def _scaled_gradient(builder: Builder, spread: Product, labels: Product, shape: tuple[Any, ...]) -> Value | None:
    """The law where ``spread`` is the product with the softmax and ``labels`` is the other term."""
    common = tuple(f for f in labels.factors if _depends_on_nothing(builder, f))
    rest = tuple(f for f in labels.factors if f not in common)
    if len(spread.factors) != 2 or not common or len(rest) != 1 or rest[0].inverse:
        return None
    for p, row in (spread.factors, spread.factors[::-1]):
        if builder.nodes[p.node].op is not softmax or p.inverse or row.inverse:
            continue
        reduction = unspread_reduction(builder, row.node, shape)
        if (
            reduction is None
            or reduction.op is not reduce_sum
            or reduction.params["axes"] != builder.nodes[p.node].params["axes"]
        ):
            continue
        summed = product_of(builder, reduction.operands[0])
        if summed is None or Counter(summed.factors) != Counter(labels.factors):
            continue
        sign = spread.sign * summed.sign
        if labels.sign == sign:
            continue
        y = broadcast(Value(builder, rest[0].node), shape)
        rows = reshaped(reduce_sum(y, **reduction.params), builder.nodes[row.node].aval.shape)
        gradient = broadcast(rows, shape) * broadcast(Value(builder, p.node), shape) - y
        return multiplied(gradient, sign, common)
    return None


def _depends_on_nothing(builder: Builder, factor: Factor) -> bool:
    value = Value(builder, factor.node)
    return value.aval.shape == () and builder.is_constant(value)


ADJOINTS: Final[tuple[Law, ...]] = (*_cancel, *_softmax_gradient, *_divided_by_size)
