"""Graphs evaluated with real numbers: mpmath with enough digits that nothing overflows or cancels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
import pytest

from gradc.ir.graph import Graph
from gradc.ir.op import REGISTRY
from gradc.ops import contraction, elementwise, functions, index, reduce, shape  # noqa: F401  (the registry is filled)

DIGITS = 2000
"""exp(-1000) is 1e-435, and its square is still far above the last digit."""

_REAL: dict[str, Callable[..., Any]] = {
    "neg": lambda x: -x,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
    "exp": mpmath.exp,
    "log": mpmath.log,
    "log1p": lambda x: mpmath.log(1 + x),
    "expm1": lambda x: mpmath.exp(x) - 1,
    "sqrt": mpmath.sqrt,
    "tanh": mpmath.tanh,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "gammaln": lambda x: mpmath.re(mpmath.loggamma(x)),
    "digamma": mpmath.digamma,
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "log2": lambda x: mpmath.log(x, 2),
    "log10": lambda x: mpmath.log(x, 10),
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "hypot": mpmath.hypot,
    "tan": mpmath.tan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos,
    "arctan": mpmath.atan,
    "arctan2": mpmath.atan2,
    "arcsinh": mpmath.asinh,
    "arccosh": mpmath.acosh,
    "arctanh": mpmath.atanh,
    "abs": abs,
    "sign": mpmath.sign,
    "maximum": max,
    "minimum": min,
    "logistic": lambda z: 1 / (1 + mpmath.exp(-z)),
    "softplus": lambda z: mpmath.log(1 + mpmath.exp(z)),
    "logistic_bce": lambda z, y: mpmath.log(1 + mpmath.exp(z)) - y * z,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "logical_or": lambda m, n: m or n,
    "isfinite": mpmath.isfinite,
    "logical_not": lambda mask: not mask,
    "select": lambda mask, x, y: x if mask else y,
}


def _rows(x: np.ndarray, axes: tuple[int, ...], keepdims: bool, function: Callable[[list[Any]], Any]) -> np.ndarray:
    kept = [a for a in range(x.ndim) if a not in axes]
    moved = np.transpose(x, [*kept, *axes]).reshape([*(x.shape[a] for a in kept), -1])
    flat = moved.reshape(-1, moved.shape[-1])
    result = np.array([function(list(row)) for row in flat], object).reshape([x.shape[a] for a in kept])
    return result.reshape([1 if a in axes else d for a, d in enumerate(x.shape)]) if keepdims else result


_BY_ROW: dict[str, Callable[[list[Any]], Any]] = {
    "reduce_sum": mpmath.fsum,
    "reduce_max": max,
    "reduce_min": min,
    "logsumexp": lambda row: mpmath.log(mpmath.fsum(map(mpmath.exp, row))),
}


def _real_value(name: str, operands: list[np.ndarray], params: dict[str, Any]) -> np.ndarray:
    if name in _REAL:
        return np.asarray(np.vectorize(_REAL[name], otypes=[object])(*operands))
    if name in _BY_ROW:
        return _rows(operands[0], params["axes"], params["keepdims"], _BY_ROW[name])
    if name in ("softmax", "log_softmax"):
        weights = np.vectorize(mpmath.exp, otypes=[object])(operands[0])
        shares = np.asarray(weights / _rows(weights, params["axes"], True, mpmath.fsum))
        return shares if name == "softmax" else np.asarray(np.vectorize(mpmath.log, otypes=[object])(shares))
    if name == "convert":
        return operands[0]
    return np.asarray(REGISTRY[name].evaluate(*operands, **params), object)  # movements


def _as_real(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f":
        return np.asarray(np.vectorize(lambda v: mpmath.mpf(float(v)), otypes=[object])(array))
    return array


def _values(graph: Graph, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    given = iter(inputs)
    values: list[np.ndarray] = []
    for node in graph.nodes:
        if node.op.name == "input":
            values.append(_as_real(np.asarray(next(given))))
        elif node.op.name == "constant":
            values.append(_as_real(node.params["value"]))
        else:
            values.append(_real_value(node.op.name, [values[i] for i in node.operands], node.params))
    return values


def _terms(
    name: str, value: np.ndarray, terms: list[np.ndarray], operands: list[np.ndarray], params: Any
) -> np.ndarray:
    """The sum of the absolute values of what a result is made of by sums and products."""
    if name in ("add", "sub"):
        return terms[0] + terms[1]
    if name == "mul":
        return terms[0] * terms[1]
    if name == "div":
        return terms[0] / abs(operands[1])
    if name in ("reduce_sum", "neg", "broadcast_to", "reshape", "transpose", "slice", "gather"):
        moved = [terms[0], *operands[1:]]
        return abs(_real_value(name, moved, params))
    if name == "log_softmax":
        return 1 + abs(value)  # the logarithm of a share of 1
    return np.asarray(abs(value)) if value.dtype == object else value


class Real:
    """The outputs of a graph as arrays of mpmath numbers, and their sums of absolute terms."""

    def __call__(self, graph: Graph, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        with mpmath.workdps(DIGITS):
            values = _values(graph, inputs)
        return [values[i] for i in graph.outputs]

    def terms(self, graph: Graph, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        with mpmath.workdps(DIGITS):
            values = _values(graph, inputs)
            terms: list[np.ndarray] = []
            for node, value in zip(graph.nodes, values, strict=True):
                operands, below = [values[i] for i in node.operands], [terms[i] for i in node.operands]
                terms.append(_terms(node.op.name, value, below, operands, node.params))
        return [terms[i] for i in graph.outputs]


@pytest.fixture(scope="session")
def real() -> Real:
    """``real(graph, arrays)``: the outputs as arrays of mpmath numbers; ``real.terms``: sums of absolute terms."""
    return Real()
