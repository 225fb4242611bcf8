"""Determinants and their derivatives, told in pivots and cofactors; those of few rows written out."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.loops.algebra.panels import PARITY, PIVOTS, Panels, complete_cofactors, lu_panels, row_of
from gradc.loops.algebra.small import LARGEST, Factors, each_nonzero, element
from gradc.loops.lowering.systems import inverse_rule, upright, vanishes
from gradc.ops.determinants import LARGEST_POLYNOMIAL
from gradc.ops.elementwise import (
    absolute,
    exp,
    greater_equal,
    isfinite,
    less,
    log,
    logical_and,
    logical_or,
    maximum,
    minimum,
    select,
)
from gradc.ops.linalg import stacked, swapped
from gradc.ops.reduce import reduce_all, reduce_prod, reduce_sum
from gradc.ops.shape import broadcast, concatenate, reshape, reshaped, slice_

Operands = tuple[Value, ...]
Params = dict[str, Any]


class _Determinant(Protocol):
    """What is known of the determinants of stacked matrices; every Value has the axis of the stack.

    A NaN has the sign 1, as in NumPy.
    """

    def value(self) -> Value:
        """The determinant."""

    def log_size(self) -> Value:
        """The logarithm of its size."""

    def sign(self) -> Value:
        """Its sign."""


def _determinant(a: Value) -> _Determinant:
    matrix, _ = upright(a, False)
    return _OfFew(stacked(matrix)) if int(a.aval.shape[-1]) <= LARGEST else _OfMany(stacked(matrix))


def _signs(x: Value) -> Value:
    full = x.builder.full
    return select(less(x, full(0.0, x.aval)), full(-1.0, x.aval), full(1.0, x.aval))


class _OfMany:
    """By the pivots that stand in panels."""

    def __init__(self, a: Value) -> None:
        layout, panels = Panels.of(int(a.aval.shape[-1])), lu_panels(a)
        self.pivots = row_of(panels, layout, PIVOTS)
        first = row_of(panels, layout, PARITY)
        batch = first.aval.shape[:1]
        self.parity = reshaped(slice_(first, starts=(0, 0), sizes=(*batch, 1), steps=(1, 1)), batch)
        self.singular = vanishes(self.pivots)

    def _full(self, number: float) -> Value:
        return self.parity.builder.full(number, self.parity.aval)

    def _logarithms(self) -> Value:
        return log(absolute(self.pivots))

    def value(self) -> Value:
        """The product of the pivots, by logarithms where a part of it may overflow or lose digits."""
        limit = 0.98 * math.log(float(np.finfo(self.pivots.aval.dtype).max))
        reach = reduce_sum(absolute(self._logarithms()), axes=(1,), keepdims=False)
        exact = reduce_prod(self.pivots, axes=(1,), keepdims=False) * self.parity
        apart = self.sign() * exp(self.log_size())
        plain = logical_or(self.singular, less(reach, self._full(limit)))
        return select(plain, exact, apart)

    def log_size(self) -> Value:
        return select(self.singular, self._full(-math.inf), reduce_sum(self._logarithms(), axes=(1,), keepdims=False))

    def sign(self) -> Value:
        signs = reduce_prod(_signs(self.pivots), axes=(1,), keepdims=False)
        return select(self.singular, self._full(0.0), signs * self.parity)


class _OfFew:
    """By pivots that are Values each."""

    def __init__(self, a: Value) -> None:
        self.factors = Factors(a)
        self.regular = each_nonzero(self.factors.pivots)

    def _full(self, number: float) -> Value:
        return self.factors.sign.builder.full(number, self.factors.sign.aval)

    def value(self) -> Value:
        """The product of the pivots: the largest and the smallest, then a small one where that is large, and so on, so
        that no part of it leaves the range unless the whole does."""
        size = _product([absolute(pivot) for pivot in self.factors.pivots], self._full(1.0))
        return self.sign() * size

    def log_size(self) -> Value:
        logarithms = [log(absolute(pivot)) for pivot in self.factors.pivots]
        total = logarithms[0]
        for term in logarithms[1:]:
            total = total + term
        return select(self.regular, total, self._full(-math.inf))

    def sign(self) -> Value:
        found = self.factors.sign
        for pivot in self.factors.pivots:
            found = found * _signs(pivot)
        return select(self.regular, found, self._full(0.0))


def _product(sizes: list[Value], one: Value) -> Value:
    """The product of up to four sizes."""
    for end in range(len(sizes) - 1, 0, -1):
        for k in range(end):
            sizes[k], sizes[k + 1] = minimum(sizes[k], sizes[k + 1]), maximum(sizes[k], sizes[k + 1])
    if len(sizes) == 1:
        return sizes[0]
    found = sizes[0] * sizes[-1]
    if len(sizes) == 3:
        return found * sizes[1]
    if len(sizes) == 4:
        is_small = less(found, one)
        first, second = select(is_small, sizes[2], sizes[1]), select(is_small, sizes[1], sizes[2])
        return (found * first) * second
    return found


def det_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The determinant."""
    return reshaped(_determinant(operands[0]).value(), result.shape)


def log_abs_det_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The logarithm of the determinant's size."""
    return reshaped(_determinant(operands[0]).log_size(), result.shape)


def det_sign_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """The sign of the determinant."""
    return reshaped(_determinant(operands[0]).sign(), result.shape)


# Cofactors.


def cofactors_rule(operands: Operands, params: Params, result: Aval) -> Value | None:
    """``det * inverse.T`` where both are sound, by an elimination that needs no inverse for the other matrices."""
    (a,) = operands
    size = int(a.aval.shape[-1])
    if 0 in result.shape:
        return a
    if size == 1:
        return a.builder.full(1.0, result)
    a, turned = upright(a, False)
    found = _polynomials(stacked(a), size) if size <= LARGEST_POLYNOMIAL else _cofactors(stacked(a))
    return reshaped(swapped(found) if turned else found, result.shape)


def _cofactors(a: Value) -> Value:
    shape = a.aval.shape
    determinant = _determinant(a).value()
    inverted = inverse_rule((a,), {"strict": False}, a.aval)
    assert inverted is not None, "an inverse is always told in other ops"
    quick = broadcast(reshaped(determinant, (shape[0], 1, 1)), shape) * swapped(inverted)
    tiny = determinant.builder.full(float(np.finfo(a.aval.dtype).tiny), determinant.aval)
    sound = reduce_all(isfinite(quick), axes=(1, 2), keepdims=False)
    usable = logical_and(sound, greater_equal(absolute(determinant), tiny))
    slow = slice_(complete_cofactors(a, usable), starts=(0, 0, 0), sizes=shape, steps=(1, 1, 1))
    return select(broadcast(reshaped(usable, (shape[0], 1, 1)), shape), quick, slow)


def _polynomials(a: Value, size: int) -> Value:
    """The cofactors of two or three rows, element by element."""

    def cofactor(i: int, j: int) -> Value:
        def at(down: int, right: int) -> Value:
            return element(a, (i + down) % size, (j + right) % size)

        if size == 2:
            return -at(1, 1) if (i + j) % 2 else at(1, 1)
        return at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)

    batch = a.aval.shape[0]
    rows = [
        concatenate(*[reshape(cofactor(i, j), shape=(batch, 1, 1)) for j in range(size)], axis=2) for i in range(size)
    ]
    return concatenate(*rows, axis=1)
