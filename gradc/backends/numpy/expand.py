"""Ops that are written over several lines become the ops of those lines, so that what they share is named once.

``logistic``, ``softplus`` and ``logistic_bce`` of one value share ``e = exp(-abs(z))``; ``softmax``, ``log_softmax``
and ``logsumexp`` share the shift, the exponentials and their sum. Each line evaluates what the op's own ``evaluate``
does, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradc.ir.graph import Builder, Graph, Value
from gradc.ir.node import Fired
from gradc.ir.op import REGISTRY, Op
from gradc.ops.elementwise import (
    absolute,
    exp,
    greater_equal,
    isfinite,
    less_equal,
    log,
    log1p,
    maximum,
    neg,
    select,
)
from gradc.ops.reduce import reduce_max, reduce_sum, spread
from gradc.ops.shape import reshaped

Expansion = Callable[["Expander", tuple[Value, ...], dict[str, Any]], Value]


class Expander:
    """Rebuilds a graph with expansions, and names the shared values by names that the user's code does not use."""

    def __init__(self, graph: Graph) -> None:
        self.used = set(graph.names.values())
        self.builder = Builder(self._rewrite)
        self._graph = graph

    def run(self) -> Graph:
        """The same function with every op expanded that has an expansion; the graph itself where there is none."""
        graph, builder = self._graph, self.builder
        if not any(node.op.name in EXPANSIONS for node in graph.nodes):
            return graph
        inputs = [builder.input(graph.nodes[i].params["name"], graph.nodes[i].aval) for i in graph.inputs]
        image = graph.replay_all(builder, inputs)
        for primal, ct in graph.cotangents.items():
            builder.tables.cotangents.setdefault(image[primal].id, image[ct].id)
        earlier = [f._replace(result=image[f.result].id if f.result >= 0 else -1) for f in graph.fired]
        builder.fired = [*earlier, *builder.fired]
        return builder.freeze([image[i] for i in graph.outputs], graph.output_names)

    # A firing without a law is a remark on its node: what follows it is told in the comment of the line, or where
    # nothing does, the user's own expression, because the node was written out.

    def shared(self, value: Value, name: str, remark: str = "") -> Value:
        """``value`` under this name; where the user's code has it, ``e`` is ``e_``. The renderer numbers repeats."""
        if value.id not in self.builder.tables.names:
            self.builder.name(value, f"{name}_" if name in self.used else name)
            if remark:
                self.builder.fired.append(Fired("", "", remark, self.builder.origin, value.id))
        return value

    def _rewrite(self, builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
        expansion = EXPANSIONS.get(op.name)
        if expansion is None:
            return None
        value = expansion(self, tuple(builder.value(i) for i in ids), params)
        builder.fired.append(Fired("", op.name, "", builder.origin, value.id))
        return value


def expand(graph: Graph) -> Graph:
    """``graph`` with the ops of ``EXPANSIONS`` written out."""
    return Expander(graph).run()


def _decay(expander: Expander, z: Value) -> Value:
    """``exp(-abs(z))``, one for ``z`` and ``-z``."""
    return expander.shared(exp(-absolute(_unsigned(z))), "e", "cannot overflow")


def _unsigned(z: Value) -> Value:
    return z.builder.value(z.node.operands[0]) if z.node.op is neg else z


def _is_positive(z: Value) -> Value:
    """``z >= 0``; said of ``u`` where z is ``-u``."""
    zero = z.builder.full(0.0, z.aval)
    return less_equal(_unsigned(z), zero) if z.node.op is neg else greater_equal(z, zero)


def _logistic(expander: Expander, operands: tuple[Value, ...], params: dict[str, Any]) -> Value:
    (z,) = operands
    e = _decay(expander, z)
    return select(_is_positive(z), z.builder.full(1.0, z.aval), e) / (1.0 + e)


def _softplus(expander: Expander, operands: tuple[Value, ...], params: dict[str, Any]) -> Value:
    (z,) = operands
    return log1p(_decay(expander, z)) + maximum(z, z.builder.full(0.0, z.aval))


def _logistic_bce(expander: Expander, operands: tuple[Value, ...], params: dict[str, Any]) -> Value:
    z, y = operands
    return log1p(_decay(expander, z)) + select(_is_positive(z), 1.0 - y, y) * absolute(_unsigned(z))


class _Shifted:
    """What the softmax family shares: the largest element, the exponentials below it, and their sum.

    Reduced axes are kept with size 1 only where they are needed to broadcast: not where all axes are reduced.
    """

    def __init__(self, expander: Expander, x: Value, axes: tuple[int, ...]) -> None:
        keep = len(axes) != x.aval.ndim
        self.largest = expander.shared(reduce_max(x, axes=axes, keepdims=keep), "largest")
        self.weights = expander.shared(exp(x - spread(self.largest, x.aval.shape, axes)), "weights", "cannot overflow")
        self.total = expander.shared(reduce_sum(self.weights, axes=axes, keepdims=keep), "total")


def _softmax(expander: Expander, operands: tuple[Value, ...], params: dict[str, Any]) -> Value:
    (x,) = operands
    if any(x.aval.shape[a] == 0 for a in params["axes"]):
        return x
    shifted = _Shifted(expander, x, params["axes"])
    return shifted.weights / spread(shifted.total, x.aval.shape, params["axes"])


def _log_softmax(expander: Expander, operands: tuple[Value, ...], params: dict[str, Any]) -> Value:
    """An infinite largest element is subtracted alone, as in scipy.special: the logarithm of the sum is NaN then."""
    (x,), axes = operands, params["axes"]
    if any(x.aval.shape[a] == 0 for a in axes):
        return x
    shifted = _Shifted(expander, x, axes)
    logarithm = log(shifted.total)
    usable = select(isfinite(shifted.largest), logarithm, x.builder.full(0.0, logarithm.aval))
    below = expander.shared(x - spread(shifted.largest, x.aval.shape, axes), "shifted")
    return below - spread(usable, x.aval.shape, axes)


def _logsumexp(expander: Expander, operands: tuple[Value, ...], params: dict[str, Any]) -> Value:
    (x,) = operands
    axes = params["axes"]
    shape = REGISTRY["logsumexp"].infer(x.aval, **params).shape
    if any(x.aval.shape[a] == 0 for a in axes):
        return x.builder.full(-np.inf, x.aval.with_shape(shape))
    shifted = _Shifted(expander, x, axes)
    summed = log(shifted.total) + shifted.largest
    return reshaped(select(isfinite(shifted.largest), summed, shifted.largest), shape)


EXPANSIONS: dict[str, Expansion] = {
    "logistic": _logistic,
    "softplus": _softplus,
    "logistic_bce": _logistic_bce,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "logsumexp": _logsumexp,
}
