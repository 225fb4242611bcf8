"""Functions of one number that share an exponential: ``logistic`` and ``softplus`` of z and of -z.

All of them take ``exp(-abs(z))``. In one loop it is found again as it stands; in the reverse sweep it is not, and there
a network would compute as many exponentials again as in the forward one. Where arrays are small it is made a value of
its own, which both sweeps read, to the same bits.
"""

from __future__ import annotations

from typing import Any, Final

from gradc.ir.aval import Aval
from gradc.ir.graph import Builder, Graph, Value, rebuild
from gradc.ir.op import Op
from gradc.ops.elementwise import logistic, logistic_by_decay, mul, neg, softplus

MOST_BYTES: Final = 4096
"""Larger arrays are not kept for the reverse sweep unless that is cheaper (``gradc.loops.lowering.crossings``)."""


def _first(x: Aval, *_: Aval, **__: Any) -> Aval:
    return x


def _decay(b: Any, z: Any) -> Any:
    return b.exp_unit(b.neg(b.abs(z)))


def _logistic(b: Any, z: Any, e: Any, *, negative: bool) -> Any:
    holds = b.le(z, 0.0) if negative else b.ge(z, 0.0)
    return logistic_by_decay(b, holds, e)


def _softplus(b: Any, z: Any, e: Any, *, negative: bool) -> Any:
    return b.add(b.log1p_unit(e), b.maximum(b.neg(z) if negative else z, 0.0))


def _no_value(*_: Any, **__: Any) -> Any:
    raise AssertionError("made after constants are folded")


decay = Op("decay", _first, _no_value, loops=_decay, elementwise=True)
"""``exp(-abs(z))``."""

logistic_by = Op("logistic_by", _first, _no_value, loops=_logistic, elementwise=True)
"""``logistic`` of z, or of -z with ``negative``, by z and ``decay(z)``."""


def _slope(b: Any, e: Any) -> Any:
    t = b.div(e, b.add(1.0, e))
    return b.mul(t, b.sub(1.0, t))


logistic_slope_by = Op("logistic_slope_by", _first, _no_value, loops=_slope, elementwise=True)
"""``logistic(z) * logistic(-z)`` by ``decay(z)``: the smaller factor is at most 1/2, so that nothing cancels."""

softplus_by = Op("softplus_by", _first, _no_value, loops=_softplus, elementwise=True)
"""The same of ``softplus``."""

_BY: Final = {logistic: logistic_by, softplus: softplus_by}


def with_shared_exponentials(graph: Graph) -> Graph:
    """The graph with the exponentials of small arrays as values of their own; itself where there is one at most.

    Those of single numbers are found again as they stand, unless one of them is of ``-z``.
    """
    found = [node for node in graph.nodes if node.op in _BY]
    negative = any(graph.nodes[node.operands[0]].op is neg for node in found)
    least = 1 if negative else 2
    if sum(_is_kept(node.aval, least) for node in found) < 2:
        return graph

    def rewrite(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
        nodes = [builder.nodes[i] for i in ids]
        if op is mul and all(node.op is logistic_by for node in nodes) and nodes[0].operands == nodes[1].operands:
            both = nodes[0].params["negative"] != nodes[1].params["negative"]
            return logistic_slope_by(builder.value(nodes[0].operands[1])) if both else None
        if op not in _BY or not _is_kept(nodes[0].aval, least):
            return None
        argument = builder.nodes[ids[0]]
        z = builder.value(argument.operands[0] if argument.op is neg else argument.id)
        return _BY[op](z, decay(z), negative=argument.op is neg)

    return rebuild(graph, rewrite)


def _is_kept(aval: Aval, least: int) -> bool:
    """Whether a value has at least some elements, and not too many to be kept."""
    return isinstance(aval.size, int) and least <= aval.size <= MOST_BYTES // aval.dtype.itemsize
