"""Folding: what depends on constants alone is computed while compiling, by the ops' own ``evaluate``.

Part 8 of ``canonicalize.py``. The value has the exact dtype of the node. Nothing grows: a result larger than a few
elements and than its operands stays an operation, and a repeated number stays a broadcast of the number.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from gradc.errors import DomainError, IndexBoundsError, MatrixError
from gradc.ir.aval import Aval, SymbolicDim
from gradc.ir.graph import CONSTANT, Builder, Value
from gradc.ir.op import Op
from gradc.ops.shape import broadcast_to
from gradc.passes.rewrite import Law, procedure

_SMALL = 64
"""A result of this many elements may always be stored."""

_LARGE = 1 << 16
"""Beyond this many elements nothing is folded: it would slow down the compiler."""

_NOT_FOLDED = frozenset({"input", "constant", "broadcast_to", "dim_value"})


@procedure("fold", "f(constants) -> constant", "*", "constant", "constant", "constant")
def _fold(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
    if op.name in _NOT_FOLDED or not ids:
        return None
    avals = [builder.nodes[i].aval for i in ids]
    result = op.infer(*avals, **params)
    if any(isinstance(a.size, SymbolicDim) or a.size > _LARGE for a in (result, *avals)):
        return None
    stored = [s for s in (_stored(builder, i) for i in ids) if s is not None]
    if len(stored) < len(ids) or _numbers(result) > max(_SMALL, sum(s.size for s in stored)):
        return None
    arrays = [np.broadcast_to(s, [int(d) for d in a.shape]) for s, a in zip(stored, avals, strict=True)]
    try:
        with np.errstate(all="ignore"):
            value = np.asarray(op.evaluate(*arrays, **params), dtype=result.dtype)
    except (DomainError, IndexBoundsError, MatrixError):
        return None  # raised again, with the user's line, when the kernel runs
    return builder.constant(value, weak=result.weak)


def _numbers(aval: Aval) -> int:
    return math.prod(int(d) for d in aval.shape)


def _stored(builder: Builder, node_id: int) -> np.ndarray | None:
    """The array of a constant, or of the constant that is broadcast."""
    node = builder.nodes[node_id]
    while node.op is broadcast_to:
        node = builder.nodes[node.operands[0]]
    return node.params["value"] if node.op is CONSTANT else None


@procedure("uniform-constant", "a constant that holds one number everywhere -> broadcast(number)", "constant")
def _uniform(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
    value = params["value"]
    if value.ndim == 0 or value.size == 0:
        return None
    first = value.reshape(-1)[:1]
    if value.reshape(-1)[-1].tobytes() != first.tobytes():
        return None
    if np.broadcast_to(first, (value.size,)).tobytes() != value.tobytes():
        return None
    return broadcast_to(builder.constant(first.reshape(())), shape=value.shape)


FOLD: Final[tuple[Law, ...]] = (*_uniform, *_fold)
