"""Logarithms of products and sums of what is positive: part 2 of ``stabilize.py``, under its contract and measure.

What is known to be positive, and has a log that cannot overflow: exp, the logistic function, softmax, sums of exp,
also when it was moved or picked after it was computed.
"""

from __future__ import annotations

from typing import Any, Final

from gradc.ir.graph import Builder, Value
from gradc.ir.op import Op
from gradc.ops.elementwise import add, exp, greater, isfinite, log, logical_or, logistic, not_equal, select, softplus
from gradc.ops.reduce import reduce_sum, softmax
from gradc.ops.shape import broadcast
from gradc.passes.moves import below_moves
from gradc.passes.rewrite import Law, procedure

Params = dict[str, Any]
Ids = tuple[int, ...]

_MOST_TERMS = 8


def _is_positive(builder: Builder, node_id: int) -> bool:
    node, _ = below_moves(builder, node_id)
    if node.op is reduce_sum:
        node = builder.nodes[node.operands[0]]
        return node.op is exp
    return node.op in (exp, logistic, softmax)


@procedure(
    "log-of-product",
    "log(a * p) -> log(a) + log(p) for a positive p",
    "log",
    "mul",
    logged=True,
)
def _log_of_product(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    """Where the positive factor underflows, the product would be 0 and its log infinite."""
    a, b = builder.nodes[ids[0]].operands
    if not (_is_positive(builder, a) or _is_positive(builder, b)):
        return None
    return log(Value(builder, a)) + log(Value(builder, b))


@procedure(
    "log-of-quotient",
    "log(a / p) -> log(a) - log(p), log(p / a) -> log(p) - log(a)",
    "log",
    "div",
    logged=True,
)
def _log_of_quotient(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    a, b = builder.nodes[ids[0]].operands
    if not (_is_positive(builder, a) or _is_positive(builder, b)):
        return None
    return log(Value(builder, a)) - log(Value(builder, b))


@procedure(
    "log-add-exp",
    "log(exp(a) + exp(b)) -> logaddexp(a, b)",
    "log",
    "add",
    logged=True,
)
def _log_add_exp(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    exponents = _exponents(builder, ids[0])
    if exponents is None:
        return None
    result = exponents[0]
    for exponent in exponents[1:]:
        result = _log_add(result, exponent)
    return result


def _exponents(builder: Builder, node_id: int) -> list[Value] | None:
    """The logs of the terms of a sum of exponentials and positive numbers; None also for ``1 + exp(z)``, a softplus."""
    aval = builder.nodes[node_id].aval
    found: list[Value] = []
    exponentials = ones = 0
    stack = [node_id]
    while stack:
        if len(found) + len(stack) > _MOST_TERMS:
            return None
        node = builder.nodes[stack.pop()]
        number: Any = builder.scalar(Value(builder, node.id))
        if node.op is add:
            stack += node.operands[::-1]
        elif number is not None and number > 0:
            ones += bool(number == 1)
            found.append(broadcast(log(builder.constant(number)), aval.shape))
        else:
            inner, move = below_moves(builder, node.id)
            if inner.op is not exp:
                return None
            exponentials += 1
            found.append(move(Value(builder, inner.operands[0])))
    return found if exponentials > 1 or (exponentials and not ones) else None


def _log_add(a: Value, b: Value) -> Value:
    """``log(exp(a) + exp(b))``: the larger, and the softplus of a number that is not positive."""
    first = greater(a, b)
    high, low = select(first, a, b), select(first, b, a)
    differ = logical_or(isfinite(high), not_equal(a, b))  # equal infinities have no difference
    return high + softplus(select(differ, low - high, a.builder.full(0.0, a.aval)))


LOGS: Final[tuple[Law, ...]] = (*_log_of_product, *_log_of_quotient, *_log_add_exp)
