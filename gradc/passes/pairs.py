"""Pairs of products that complete each other: ``c*p*f(z) + c*q*g(-z)`` with ``p + q = 1``.

A loss as the textbook writes it, and its adjoint, arrive as two products with the common factor c anywhere in them,
spread over shapes, negated, divided. Here both are seen as a sign and a bag of factors.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, NamedTuple

import numpy as np

from gradc.ir.graph import CONSTANT, Builder, Node, Value
from gradc.ir.op import Op
from gradc.ops.elementwise import convert, div, logical_not, mul, neg, sub
from gradc.ops.shape import broadcast, broadcast_to

_MOST_FACTORS = 12


class Factor(NamedTuple):
    """A value as it stood before it was broadcast; ``inverse`` where it divides."""

    node: int
    inverse: bool


class Product(NamedTuple):
    """``sign`` times the product of the factors, in order."""

    sign: int
    factors: tuple[Factor, ...]


def product_of(builder: Builder, node_id: int) -> Product | None:
    """The factors of a node, seen through products, quotients, negations and broadcasts; None where there are many."""
    nodes = builder.nodes
    sign = 1
    factors: list[Factor] = []
    stack = [(node_id, False)]
    while stack:
        if len(factors) + len(stack) > _MOST_FACTORS:
            return None
        current, inverse = stack.pop()
        node = nodes[current]
        op = node.op
        if op is mul:
            stack.append((node.operands[1], inverse))
            stack.append((node.operands[0], inverse))
        elif op is div:
            stack.append((node.operands[1], not inverse))
            stack.append((node.operands[0], inverse))
        elif op is broadcast_to:
            stack.append((node.operands[0], inverse))
        elif op is neg:
            sign = -sign
            stack.append((node.operands[0], inverse))
        elif op is CONSTANT and node.aval.shape == () and node.aval.dtype.kind == "f":
            number = node.params["value"]
            if np.signbit(number):
                sign, number = -sign, -number
            if number != 1:
                factors.append(Factor(builder.full(number, node.aval).id, inverse))
        else:
            factors.append(Factor(current, inverse))
    return Product(sign, tuple(factors))


class Pair(NamedTuple):
    """``left`` and ``right`` products whose chosen factors are arguments z and -z of one op.

    ``common`` are the factors of both, ``p`` and ``q`` complete each other to 1; each is None where it is 1.
    """

    z: Value
    minus_z: Value
    common: tuple[Factor, ...]
    p: Value | None
    q: Value | None

    def plain(self) -> tuple[Value, Value | None, bool]:
        """z with the q beside op(-z), or -z with the p beside op(z): plain labels before plain logits.

        The last part is True for z and q.
        """
        here = (_is_one_minus(self.q), self.z.node.op is neg)
        there = (_is_one_minus(self.p), self.minus_z.node.op is neg)
        return (self.z, self.q, True) if here <= there else (self.minus_z, self.p, False)


def _is_one_minus(y: Value | None) -> bool:
    """Whether a label is written ``1 - y``, so that the other one of the pair is the plain one."""
    if y is None:
        return False
    node = y.node
    while node.op in (broadcast_to, convert):
        node = y.builder.nodes[node.operands[0]]
    return node.op in (sub, logical_not)


TERMS: Final = "mul div neg softplus logistic broadcast_to convert"
"""The kinds of operand that may be one of two paired products."""


def paired_terms(builder: Builder, op: Op, ids: tuple[int, ...], kind: Op) -> tuple[Product, Product, Pair] | None:
    """``c*p*kind(z)`` and ``c*q*kind(-z)`` with ``p + q = 1`` as the terms of a sum or difference.

    Gives both products and how they complete each other; the sign of a difference is in the second.
    """
    left = product_of(builder, ids[0])
    here = _applications(builder, kind, left) if left is not None else []
    right = product_of(builder, ids[1]) if here else None
    if left is None or right is None:
        return None
    if op is sub:
        right = right._replace(sign=-right.sign)
    there = _applications(builder, kind, right)
    for u in here:
        for v in there:
            pair = _paired(builder, (left, u), (right, v))
            if pair is not None:
                return left, right, pair
    return None


def _paired(builder: Builder, left: tuple[Product, Factor], right: tuple[Product, Factor]) -> Pair | None:
    """The pair where one application in each product has arguments z and -z."""
    (here, u), (there, v) = left, right
    z, minus_z = _unwidened(builder, u).operands[0], _unwidened(builder, v).operands[0]
    if not negates(builder, z, minus_z):
        return None
    rest, other = Counter(here.factors), Counter(there.factors)
    rest[u] -= 1
    other[v] -= 1
    shared = rest & other
    found = _completed(builder, rest - shared, other - shared)
    if found is None:
        return None
    dtype = builder.nodes[u.node].aval.dtype
    arguments = [_widened(Value(builder, i), dtype) for i in (z, minus_z)]
    return Pair(arguments[0], arguments[1], _take(here.factors, shared), *found)


def negates(builder: Builder, a: int, b: int) -> bool:
    """Whether one value is the negative of the other, by the form that canonicalization gives negatives."""
    x, y = builder.nodes[a], builder.nodes[b]
    if (x.op is neg and x.operands[0] == b) or (y.op is neg and y.operands[0] == a):
        return True
    if x.op is not y.op or x.aval != y.aval:
        return False
    if x.op is sub:
        return x.operands == y.operands[::-1]
    if x.op is mul:
        return any(x.operands[1 - k] == y.operands[1 - n] and _opposite(builder, x.operands[k], y.operands[n])
                   for k in (0, 1) for n in (0, 1))  # fmt: skip
    if x.op is broadcast_to:
        return negates(builder, x.operands[0], y.operands[0])
    return False


def _opposite(builder: Builder, a: int, b: int) -> bool:
    """Whether two numbers are each other's negative."""
    left: Any = builder.scalar(Value(builder, a))
    right: Any = builder.scalar(Value(builder, b))
    return left is not None and right is not None and left.dtype.kind == "f" and bool(left == -right)


def _applications(builder: Builder, op: Op, product: Product) -> list[Factor]:
    return [f for f in dict.fromkeys(product.factors) if not f.inverse and _unwidened(builder, f).op is op]


def _unwidened(builder: Builder, factor: Factor) -> Node:
    """The node of a factor, below a conversion to a wider float: labels of another dtype widen the whole loss."""
    node = builder.nodes[factor.node]
    if node.op is not convert:
        return node
    inner = builder.nodes[node.operands[0]]
    widens = inner.aval.dtype.kind == "f" and node.aval.dtype.itemsize > inner.aval.dtype.itemsize
    return inner if widens else node


def _widened(z: Value, dtype: np.dtype) -> Value:
    return z if z.aval.dtype == dtype else convert(z, dtype=dtype)


def _take(factors: tuple[Factor, ...], chosen: Counter[Factor]) -> tuple[Factor, ...]:
    """The chosen factors in their order."""
    left = Counter(chosen)
    taken = []
    for factor in factors:
        if left[factor] > 0:
            left[factor] -= 1
            taken.append(factor)
    return tuple(taken)


def _completed(
    builder: Builder, rest: Counter[Factor], other: Counter[Factor]
) -> tuple[Value | None, Value | None] | None:
    """The one factor p or 1 left over on each side, where their sum is 1."""
    if rest.total() > 1 or other.total() > 1 or any(f.inverse for f in (*rest, *other)):
        return None
    p = next((Value(builder, f.node) for f in rest), None)
    q = next((Value(builder, f.node) for f in other), None)
    if p is not None and q is not None:
        return (p, q) if complements(builder, p, q) else None
    single = p if p is not None else q
    number = builder.scalar(single) if single is not None else None
    return (p, q) if number is not None and number == 0 else None


def complements(builder: Builder, p: Value, q: Value) -> bool:
    """Whether ``p + q`` is 1 by construction: ``q`` is ``1 - p``, or both are constants."""
    if p.aval.shape != q.aval.shape or p.aval.dtype != q.aval.dtype:
        return _constants_complete(p, q)
    for this, that in ((p, q), (q, p)):
        node = that.node
        if node.op is sub and node.operands[1] == this.id:
            number = builder.scalar(Value(builder, node.operands[0]))
            if number is not None and number == 1:
                return True
        if node.op is logical_not and node.operands[0] == this.id:
            return True
    if p.node.op is convert and q.node.op is convert:
        p, q = Value(builder, p.node.operands[0]), Value(builder, q.node.operands[0])
        return p.aval.dtype.kind != "u" and complements(builder, p, q)  # 1 - y wraps around in unsigned integers
    return _constants_complete(p, q)


def _constants_complete(p: Value, q: Value) -> bool:
    a, b = p.node.params.get("value"), q.node.params.get("value")
    if a is None or b is None or a.dtype.kind != "f" or a.dtype != b.dtype:
        return False
    try:
        return bool(np.all(a + b == 1))
    except ValueError:
        return False


def multiplied(value: Value, sign: int, factors: tuple[Factor, ...]) -> Value:
    """``sign * factors * value`` at the shape of ``value``."""
    builder, shape = value.builder, value.aval.shape
    upper: Value | None = None
    for factor in factors:
        if not factor.inverse:
            at_shape = broadcast(Value(builder, factor.node), shape)
            upper = at_shape if upper is None else upper * at_shape
    result = value if upper is None else upper * value
    for factor in factors:
        if factor.inverse:
            result = result / broadcast(Value(builder, factor.node), shape)
    return result if sign > 0 else -result


def label(value: Value | None, like: Value) -> Value:
    """A factor of a pair at the shape of ``like``; 1 where it is None."""
    return like.builder.full(1.0, like.aval) if value is None else broadcast(value, like.aval.shape)
