"""Where 0 times a partial derivative may be NaN, so that what was not taken needs a select to stay 0.

A partial derivative may be infinite where a quotient, a root, a logarithm, a power or an exponential is in it. Inputs
are finite here, and so are sums and products of finite numbers: an input that is infinite, or a product that overflows,
gives NaN where it meets a slope of 0 (docs/derivatives.md).
"""

from __future__ import annotations

from typing import Final
from weakref import WeakKeyDictionary

import numpy as np

from gradc.ir.graph import Builder, Node, Value
from gradc.ir.node import CONSTANT, INPUT
from gradc.ops import elementwise as of
from gradc.ops.contraction import contract
from gradc.ops.reduce import reduce_max, reduce_min

_FINITE: Final = frozenset(
    {of.add, of.sub, of.mul, of.neg, of.absolute, of.maximum, of.minimum, of.select, of.sin, of.cos, of.tanh, of.erf}
    | {of.logistic, of.softplus, of.logistic_bce, contract, reduce_max, reduce_min}
)
"""Ops whose results are finite where all operands are, overflow apart; so are those that are linear."""

_found: WeakKeyDictionary[Builder, dict[int, bool]] = WeakKeyDictionary()
"""What is known of the nodes of a builder. Nodes never change."""


def may_be_infinite(value: Value) -> bool:
    """Whether an element may be infinite or NaN though all inputs are finite, and no product of them overflows."""
    builder, known = value.builder, _found.setdefault(value.builder, {})
    waiting = [value.id]
    while waiting:
        node = builder.nodes[waiting[-1]]
        unknown = [i for i in node.operands if i not in known] if _passes(builder, node) else []
        if unknown:
            waiting += unknown
        else:
            known[waiting.pop()] = _is_steep(builder, node, known)
    return known[value.id]


def may_lose_zeros(product: Value, factor: Value, before: int) -> bool:
    """The same for a product whose ``factor`` is finite, made of nodes from the index ``before`` on."""
    builder = product.builder
    if product.id < before:
        return product.id != factor.id and may_be_infinite(product)
    known = {factor.id: False}
    for node in builder.nodes[before : product.id + 1]:  # in the order of their making
        for i in node.operands:
            if i not in known:
                known[i] = may_be_infinite(builder.value(i))
        known[node.id] = _is_steep(builder, node, known)
    return known[product.id]


def _passes(builder: Builder, node: Node) -> bool:
    """Whether the result is finite where the operands are."""
    return node.op in _FINITE or node.op.linear or (node.op is of.div and _is_divisible(builder, node))


def _is_steep(builder: Builder, node: Node, known: dict[int, bool]) -> bool:
    if node.op is INPUT or node.aval.dtype.kind not in "fc":
        return False
    if node.op is CONSTANT:
        return not bool(np.isfinite(node.params["value"]).all())
    return not _passes(builder, node) or any(known[i] for i in node.operands)


def _is_divisible(builder: Builder, node: Node) -> bool:
    divisor = builder.scalar(builder.value(node.operands[1]))
    return divisor is not None and divisor != 0
