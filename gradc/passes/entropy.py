"""Cross entropies and the softmax family: part 3 and 4 of ``stabilize.py``, under its contract and measure."""

from __future__ import annotations

from typing import Any, Final

from gradc.ir.graph import Builder, Node, Value
from gradc.ir.op import Op
from gradc.ops.elementwise import exp, logistic, logistic_bce, softplus, sub
from gradc.ops.reduce import log_softmax, logsumexp, reduce_max, reduce_min, reduce_sum, softmax
from gradc.ops.shape import broadcast, reshape, transpose
from gradc.passes.moves import KINDS as MOVED
from gradc.passes.moves import below_moves
from gradc.passes.pairs import TERMS, label, multiplied, paired_terms
from gradc.passes.pattern import operation, variables
from gradc.passes.rewrite import Law, equality, procedure
from gradc.passes.rows import row_reduction

Params = dict[str, Any]
Ids = tuple[int, ...]

# 3 cross entropy


@procedure(
    "bce-of-sigmoid",
    "y*softplus(-z) + (1 - y)*softplus(z) -> logistic_bce(z, y)",
    "add sub",
    TERMS,
    TERMS,
    logged=True,
)
def _bce_of_sigmoid(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    found = paired_terms(builder, op, ids, softplus)
    if found is None or found[0].sign != found[1].sign:
        return None
    left, _, pair = found
    z, y, _ = pair.plain()
    logits = broadcast(z, builder.nodes[ids[0]].aval.shape)
    return multiplied(logistic_bce(logits, label(y, logits)), left.sign, pair.common)


y, z = variables("y z")
_abs, _bce, _maximum, _softplus = map(operation, ("abs", "logistic_bce", "maximum", "softplus"))

CROSS_ENTROPY: Final = (
    *_bce_of_sigmoid,
    *equality("bce-of-logits", _softplus(z) - y * z, _bce(z, y), logged=True),
    *equality("bce-of-logits", (_maximum(z, 0) - y * z) + _softplus(-_abs(z)), _bce(z, y), logged=True),
    *equality("softplus-reflection", _softplus(z) - z, _softplus(-z), logged=True),
    *equality("softplus-reflection", z - _softplus(z), -_softplus(-z), logged=True),
    *equality("softplus-reflection", _softplus(-z) + z, _softplus(z), logged=True),
)

# 4 softmax


def _summed_exponential(builder: Builder, node: Node) -> Value | None:
    """x where the node is ``sum(exp(x))``."""
    if node.op is not reduce_sum or builder.nodes[node.operands[0]].op is not exp:
        return None
    return Value(builder, builder.nodes[node.operands[0]].operands[0])


def _largest_of(builder: Builder, node: Node | None, x: int, axes: tuple[int, ...]) -> bool:
    """Whether the node is the largest or smallest of ``x`` over exactly these axes: a NaN in it is one of its row."""
    return (
        node is not None
        and node.op in (reduce_max, reduce_min)
        and node.operands == (x,)
        and node.params["axes"] == axes
    )


@procedure("softmax", "exp(x) / sum(exp(x)) -> softmax(x)", "div", "exp", "broadcast_to", logged=True)
def _softmax_of_exp(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    reduction = row_reduction(builder, ids[1], builder.nodes[ids[0]].aval.shape)
    if reduction is None or reduction.op is not reduce_sum or reduction.operands != (ids[0],):
        return None
    return softmax(Value(builder, builder.nodes[ids[0]].operands[0]), axes=reduction.params["axes"])


@procedure("softmax", "exp(x).T / sum(exp(x)) -> softmax(x).T", "div", "transpose", "broadcast_to", logged=True)
def _softmax_of_transposed(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    """Rows turned into the last axes, so that their sums broadcast as they are."""
    turned = builder.nodes[ids[0]]
    weights = builder.nodes[turned.operands[0]]
    order = turned.params["axes"]
    source = builder.nodes[builder.nodes[ids[1]].operands[0]]
    if weights.op is not exp or source.op is not reduce_sum or source.operands != (weights.id,):
        return None
    axes = source.params["axes"]
    rows = [a for a in order if a not in axes]
    lead = len(axes)
    if source.params["keepdims"] or set(order[:lead]) != set(axes) or rows != sorted(rows):
        return None
    return transpose(softmax(Value(builder, weights.operands[0]), axes=axes), axes=order)


@procedure(
    "softmax-shift",
    "softmax(x - max(x)) -> softmax(x), log_softmax(x - max(x)) -> log_softmax(x)",
    "softmax log_softmax",
    "sub",
    logged=True,
)
def _softmax_shift(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    x, shift = builder.nodes[ids[0]].operands
    reduction = row_reduction(builder, shift, builder.nodes[x].aval.shape)
    return op(Value(builder, x), **params) if _largest_of(builder, reduction, x, params["axes"]) else None


@procedure("log-softmax", "x - logsumexp(x) -> log_softmax(x)", "sub", logged=True)
def _log_softmax(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    """The largest element is taken from x, not added to the logarithm: no digit is lost of what is large in both."""
    x, normalizer = ids
    reduction = row_reduction(builder, normalizer, builder.nodes[x].aval.shape)
    if reduction is None or reduction.op is not logsumexp or reduction.operands != (x,):
        return None
    return log_softmax(Value(builder, x), axes=reduction.params["axes"])


@procedure("softmax", "exp(log_softmax(x)) -> softmax(x)", "exp", "log_softmax", logged=True)
def _softmax_of_log(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    node = builder.nodes[ids[0]]
    return softmax(Value(builder, node.operands[0]), **node.params)


@procedure("logsumexp-shift", "max(x) + logsumexp(x - max(x)) -> logsumexp(x)", "add", logged=True)
def _logsumexp_shift(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    for k in (0, 1):
        normalizer = builder.nodes[ids[k]]
        if normalizer.op is not logsumexp or builder.nodes[normalizer.operands[0]].op is not sub:
            continue
        x, shift = builder.nodes[normalizer.operands[0]].operands
        axes = normalizer.params["axes"]
        outside = builder.nodes[ids[1 - k]]
        while outside.op is reshape:
            outside = builder.nodes[outside.operands[0]]
        inside = row_reduction(builder, shift, builder.nodes[x].aval.shape)
        if inside is None or inside.op is not outside.op:
            continue
        if _largest_of(builder, inside, x, axes) and _largest_of(builder, outside, x, axes):
            return logsumexp(Value(builder, x), **normalizer.params)
    return None


# A log meets what was moved before it was taken: p[i], p.T, p.reshape(...).


@procedure("log-softmax", "log(softmax(x)) -> log_softmax(x)", "log", f"softmax {MOVED}", logged=True)
def _log_of_softmax(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    node, move = below_moves(builder, ids[0])
    return move(log_softmax(Value(builder, node.operands[0]), **node.params)) if node.op is softmax else None


@procedure(
    "logsumexp",
    "log(sum(exp(x))) -> logsumexp(x)",
    "log",
    f"reduce_sum {MOVED}",
    logged=True,
)
def _logsumexp_of_exp(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    node, move = below_moves(builder, ids[0])
    x = _summed_exponential(builder, node)
    return move(logsumexp(x, **node.params)) if x is not None else None


@procedure("log-sigmoid", "log(logistic(z)[k]) -> -softplus(-z[k])", "log", MOVED, logged=True)
def _log_of_moved_sigmoid(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    node, move = below_moves(builder, ids[0])
    return -softplus(-move(Value(builder, node.operands[0]))) if node.op is logistic else None


@procedure("one-minus-sigmoid", "1 - logistic(z)[k] -> logistic(-z[k])", "sub", "constant", MOVED, logged=True)
def _one_minus_moved_sigmoid(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    number = builder.scalar(Value(builder, ids[0]))
    node, move = below_moves(builder, ids[1])
    if node.op is not logistic or number is None or number != 1:
        return None
    return logistic(-move(Value(builder, node.operands[0])))


SOFTMAX: Final[tuple[Law, ...]] = (
    *_softmax_of_exp, *_softmax_of_transposed, *_softmax_shift, *_softmax_of_log, *_log_of_softmax, *_log_softmax,
    *_logsumexp_of_exp,
    *_logsumexp_shift, *_log_of_moved_sigmoid, *_one_minus_moved_sigmoid,
)  # fmt: skip
