"""Recurrences over the columns of complex matrices, in pairs of real ones: a step is a graph, the steps are a loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gradc.errors import CompileError
from gradc.ir.aval import Aval, SymbolicDim, size_of
from gradc.ir.graph import Builder, Value
from gradc.ir.node import Node
from gradc.ops import elementwise as ops
from gradc.ops.complex import complex_dtype
from gradc.ops.contraction import contract
from gradc.ops.control import Parts, scan
from gradc.ops.reduce import reduce_sum
from gradc.ops.shape import broadcast, reshaped
from gradc.passes.complex_functions import Pair, number
from gradc.passes.pipeline import rewrite_of_parts


def fixed(node: Node, a: Pair) -> tuple[Pair, tuple[int, int, int]]:
    """The matrices with one axis before their own, and the sizes. Raises CompileError for a symbolic one."""
    shape = a.re.aval.shape
    if any(isinstance(d, SymbolicDim) for d in shape):
        raise CompileError(
            f"{node.op.name}: a stack of {a.re.aval.with_dtype(complex_dtype(a.re.aval.dtype))} has a symbolic size; "
            "compile with a fixed one, or choose backend='numpy'"
        )
    sizes = int(size_of(shape[:-2])), int(shape[-2]), int(shape[-1])
    return Pair(*[reshaped(x, sizes) for x in a]), sizes


def repeated(step: Callable[[list[Value], Value], list[Value]], states: Sequence[Value], count: int) -> list[Value]:
    """The states after ``count`` steps; a step gets the states and its number."""
    builder, dtype = states[0].builder, states[0].aval.dtype
    if count < 2:
        return step(list(states), builder.constant(np.zeros((), dtype))) if count else list(states)
    inner = Builder(rewrite_of_parts())
    given = [inner.input(f"s{k}", x.aval) for k, x in enumerate(states)]
    now = inner.input("k", Aval((), dtype))
    body = inner.freeze(step(given, now))
    rows = builder.constant(np.arange(count, dtype=dtype))
    flat = scan(*states, rows, body=body, states=len(given), rows=1, count=count, backwards=False, pullback=None)
    parts = Parts(body, len(given), count)
    return [parts.state(flat, k) for k in range(len(given))]


def places_of(like: Value, axis: int) -> Value:
    """The number of each element's row or column."""
    shape = like.aval.shape
    each = [1] * len(shape)
    each[axis] = int(shape[axis])
    return broadcast(like.builder.constant(np.arange(each[axis], dtype=like.aval.dtype).reshape(each)), shape)


def summed(mask: Value, x: Pair, axis: int) -> Pair:
    """The sum along an axis of what is under a mask: a row or a column."""
    zero = number(x.re, 0.0)
    return Pair(*[reduce_sum(ops.select(mask, each, zero), axes=(axis,), keepdims=False) for each in x])


def times(x: Pair, y: Pair, letters: str) -> Pair:
    lhs, rhs, out = letters.replace("->", ",").split(",")

    def of(a: Value, b: Value) -> Value:
        return contract(a, b, lhs=lhs, rhs=rhs, out=out)

    return Pair(of(x.re, y.re) - of(x.im, y.im), of(x.re, y.im) + of(x.im, y.re))


def less(x: Pair, y: Pair) -> Pair:
    return Pair(x.re - y.re, x.im - y.im)


def nth(a: Pair, k: Value, axis: int) -> Pair:
    """The k-th row (axis 1) or column (axis 2)."""
    places = places_of(a.re, axis)
    return summed(ops.equal(places, broadcast(k, places.aval.shape)), a, axis)
