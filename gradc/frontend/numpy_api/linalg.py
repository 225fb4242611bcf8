"""Functions of ``numpy.linalg`` over Values: norms that need no decomposition, Cholesky factors and their systems."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import Axes, one_axis
from gradc.frontend.numpy_api.promote import astype
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.graph import Value
from gradc.ops import elementwise as ops
from gradc.ops import linalg as factors
from gradc.ops import reduce as reductions
from gradc.ops.shape import reshaped, transpose


@implements(np.linalg.norm, arrays=("x",))
def norm(x: Value, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Value:
    """The norm of vectors along an axis or of matrices along two, of everything flattened where neither is given.

    Vectors: ``ord`` None, 2, 1, inf, -inf. Matrices: None, "fro", 1, -1, inf, -inf. Raises TraceError for others.
    """
    if x.aval.dtype.kind != "f":
        x = astype(x, np.float64)
    ndim = x.aval.ndim
    if axis is None and (ord is None or (ndim == 1 and ord == 2) or (ndim == 2 and ord in ("f", "fro"))):
        return _euclidean(x, tuple(range(ndim)), keepdims)
    listed = tuple(range(ndim)) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(one_axis("np.linalg.norm", k, ndim, str(x.aval)) for k in listed)
    if len(axes) == 1:
        return _of_vectors(x, ord, axes, keepdims)
    if len(axes) == 2 and axes[0] != axes[1]:
        return _of_matrices(x, ord, axes, keepdims)
    raise ShapeError(f"np.linalg.norm: axis {axis} of {x.aval} is neither one axis nor two")


def _euclidean(x: Value, axes: Axes, keepdims: Any) -> Value:
    total = reductions.total(x * x, axes=tuple(sorted(axes)), keepdims=bool(keepdims))
    return ops.sqrt(total)


def _of_vectors(x: Value, ord: Any, axes: Axes, keepdims: Any) -> Value:
    if ord is None or ord == 2:
        return _euclidean(x, axes, keepdims)
    size = ops.absolute(x)
    if ord == 1:
        return reductions.reduce_sum(size, axes=axes, keepdims=bool(keepdims))
    if ord == math.inf:
        return reductions.reduce_max(size, axes=axes, keepdims=bool(keepdims))
    if ord == -math.inf:
        return reductions.reduce_min(size, axes=axes, keepdims=bool(keepdims))
    raise TraceError(f"np.linalg.norm: ord={ord!r} of vectors is not supported on traced arrays; use None, 1, 2 or inf")


def _of_matrices(x: Value, ord: Any, axes: Axes, keepdims: Any) -> Value:
    if ord is None or ord in ("f", "fro"):
        return _euclidean(x, axes, keepdims)
    if ord not in (1, -1, math.inf, -math.inf):
        raise TraceError(
            f"np.linalg.norm: ord={ord!r} of matrices is not supported on traced arrays; use None, 'fro', 1 or inf"
        )
    rows, columns = axes
    summed, compared = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = reductions.reduce_sum(ops.absolute(x), axes=(summed,), keepdims=True)
    extremum = reductions.reduce_max if ord > 0 else reductions.reduce_min
    result = extremum(sums, axes=(compared,), keepdims=True)
    return result if keepdims else reshaped(result, tuple(d for k, d in enumerate(x.aval.shape) if k not in axes))


@implements(np.linalg.cholesky, arrays=("a",))
def cholesky(a: Value, *, upper: Any = False) -> Value:
    """The triangular factor of one positive definite matrix. Raises TraceError for a stack of them."""
    a = _one_matrix("np.linalg.cholesky", a)
    if not upper:
        return factors.cholesky(a)
    return transpose(factors.cholesky(transpose(a, axes=(1, 0))), axes=(1, 0))


@implements(np.linalg.solve, arrays=("a", "b"))
def solve(a: Value, b: Value) -> Value:
    """The solution of ``a @ x = b`` where ``a`` is a factor of np.linalg.cholesky, or the transpose of one.

    Raises TraceError for other matrices, ShapeError for sizes that do not fit.
    """
    factor, transposed = _triangular(a)
    if factor is None:
        raise TraceError(
            f"np.linalg.solve: {a.aval} is no factor of np.linalg.cholesky, and no other matrix is supported on "
            "traced arrays; where it is positive definite, take L = np.linalg.cholesky(a) and "
            "np.linalg.solve(L.T, np.linalg.solve(L, b))"
        )
    if b.aval.ndim not in (1, 2) or b.aval.shape[0] != a.aval.shape[0]:
        raise ShapeError(f"np.linalg.solve: {b.aval} does not fit {a.aval}")
    dtype = np.result_type(a.aval.dtype, b.aval.dtype, np.float32)
    sides = astype(b, dtype)
    columns = sides if b.aval.ndim == 2 else reshaped(sides, (b.aval.shape[0], 1))
    x = factors.triangular_solve(astype(factor, dtype), columns, transposed=transposed)
    return x if b.aval.ndim == 2 else reshaped(x, b.aval.shape)


def _one_matrix(name: str, a: Value) -> Value:
    if a.aval.ndim != 2:
        raise TraceError(f"{name}: {a.aval} is not one matrix; only single matrices are supported on traced arrays")
    return a if a.aval.dtype.kind == "f" else astype(a, np.float64)


def _triangular(a: Value) -> tuple[Value | None, bool]:
    """The lower triangular matrix that ``a`` is, or is the transpose of."""
    node, transposed = a.node, False
    if node.op is transpose and a.aval.ndim == 2 and node.params["axes"] == (1, 0):
        node, transposed = a.builder.nodes[node.operands[0]], True
    return (a.builder.value(node.id), transposed) if node.op is factors.cholesky else (None, False)
