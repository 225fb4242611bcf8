"""NumPy's products of matrices over Values; all of them are told to ``einsum.contraction`` in letters."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from string import ascii_letters
from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import one_axis
from gradc.frontend.numpy_api.einsum import contraction
from gradc.frontend.numpy_api.promote import common_dtype, converted, marker, operand_dtype
from gradc.frontend.numpy_api.reductions import sum_
from gradc.frontend.numpy_api.registry import implements
from gradc.frontend.numpy_api.ufuncs import multiply
from gradc.ir.graph import Value
from gradc.ops import shape as shapes
from gradc.ops.complex import conj, is_complex
from gradc.ops.shape import reshaped


def _alike(a: Value, b: Value) -> list[Value]:
    dtype = common_dtype(a, b)
    return [converted(a, dtype), converted(b, dtype)]


@implements(np.matmul, arrays=("x1", "x2"))
def matmul(x1: Value, x2: Value) -> Value:
    """The matrix product; leading axes broadcast. Raises ShapeError for scalars and where the inner sizes differ."""
    if not x1.aval.shape or not x2.aval.shape:
        raise ShapeError(f"matmul: operands need at least one axis: {x1.aval} @ {x2.aval}; use * for scalars")
    inner = (x1.aval.shape[-1], x2.aval.shape[-2 if x2.aval.ndim > 1 else -1])
    if inner[0] != inner[1]:
        raise ShapeError(f"matmul: inner dimensions differ: {x1.aval} @ {x2.aval}")
    dtype = operand_dtype(np.matmul, marker(x1), marker(x2))
    rows = "i" if x1.aval.ndim > 1 else ""
    columns = "k" if x2.aval.ndim > 1 else ""
    batch = ascii_letters[26 : 26 + max(x1.aval.ndim, x2.aval.ndim, 2) - 2]
    left = batch[len(batch) - max(x1.aval.ndim - 2, 0) :]
    right = batch[len(batch) - max(x2.aval.ndim - 2, 0) :]
    operands = [converted(x1, dtype), converted(x2, dtype)]
    return contraction("matmul", operands, [f"{left}{rows}j", f"{right}j{columns}"], f"{batch}{rows}{columns}")


@implements(np.dot, arrays=("a", "b"))
def dot(a: Value, b: Value) -> Value:
    """NumPy's dot: the last axis of ``a`` against the last but one of ``b``."""
    if not a.aval.shape or not b.aval.shape:
        return multiply(a, b)
    against = max(b.aval.ndim - 2, 0)
    return _tensordot("np.dot", a, b, [a.aval.ndim - 1], [against])


@implements(np.inner, arrays=("a", "b"))
def inner(a: Value, b: Value) -> Value:
    """The sum over the last axes of both."""
    if not a.aval.shape or not b.aval.shape:
        return multiply(a, b)
    return _tensordot("np.inner", a, b, [a.aval.ndim - 1], [b.aval.ndim - 1])


@implements(np.vdot, arrays=("a", "b"))
def vdot(a: Value, b: Value) -> Value:
    """The inner product of both, flattened; complex numbers of the first are conjugated."""
    return _tensordot("np.vdot", _conjugated(_flat(a)), _flat(b), [0], [0])


@implements(np.outer, arrays=("a", "b"))
def outer(a: Value, b: Value) -> Value:
    """Every product of an element of ``a`` and one of ``b``, both flattened."""
    return _tensordot("np.outer", _flat(a), _flat(b), [], [])


def _flat(x: Value) -> Value:
    return reshaped(x, (x.aval.size,))


def _conjugated(x: Value) -> Value:
    return conj(x) if is_complex(x) else x


@implements(np.tensordot, arrays=("a", "b"))
def tensordot(a: Value, b: Value, axes: Any = 2) -> Value:
    """The sum over pairs of axes: the last n of ``a`` and the first n of ``b``, or those listed for each."""
    if isinstance(axes, (tuple, list)):
        if len(axes) != 2:
            raise TraceError(f"np.tensordot: axes={axes!r} must be a number or a pair")
        first, second = (list(side) if isinstance(side, (tuple, list)) else [side] for side in axes)
    else:
        count = operator.index(axes)
        if not 0 <= count <= min(a.aval.ndim, b.aval.ndim):
            raise ShapeError(f"np.tensordot: {a.aval} and {b.aval} do not have {count} axes each to sum over")
        first, second = list(range(a.aval.ndim - count, a.aval.ndim)), list(range(count))
    if len(first) != len(second):
        raise ShapeError(f"np.tensordot: {len(first)} axes of {a.aval} against {len(second)} of {b.aval}")
    left = [one_axis("np.tensordot", k, a.aval.ndim, str(a.aval)) for k in first]
    right = [one_axis("np.tensordot", k, b.aval.ndim, str(b.aval)) for k in second]
    return _tensordot("np.tensordot", a, b, left, right)


def _tensordot(name: str, a: Value, b: Value, left: Sequence[int], right: Sequence[int]) -> Value:
    for k, m in zip(left, right, strict=True):
        if a.aval.shape[k] != b.aval.shape[m]:
            raise ShapeError(f"{name}: axis {k} of {a.aval} and axis {m} of {b.aval} differ in size")
    lhs = list(ascii_letters[: a.aval.ndim])
    rhs = list(ascii_letters[a.aval.ndim : a.aval.ndim + b.aval.ndim])
    for k, m in zip(left, right, strict=True):
        rhs[m] = lhs[k]
    out = [c for c in lhs if c not in rhs] + [c for c in rhs if c not in lhs]
    return contraction(name, _alike(a, b), ["".join(lhs), "".join(rhs)], "".join(out))


@implements(np.vecdot, arrays=("x1", "x2"))
def vecdot(x1: Value, x2: Value) -> Value:
    """The inner products of vectors along the last axes; leading axes broadcast, complex ``x1`` are conjugated."""
    if not x1.aval.shape or not x2.aval.shape or x1.aval.shape[-1] != x2.aval.shape[-1]:
        raise ShapeError(f"np.vecdot: the last axes of {x1.aval} and {x2.aval} differ in size, or are not there")
    dtype = operand_dtype(np.vecdot, marker(x1), marker(x2))
    batch = ascii_letters[26 : 26 + max(x1.aval.ndim, x2.aval.ndim) - 1]
    letters = [f"{batch[len(batch) - x.aval.ndim + 1 :]}i" for x in (x1, x2)]
    return contraction("np.vecdot", [_conjugated(converted(x1, dtype)), converted(x2, dtype)], letters, batch)


# Diagonals.


@implements(np.diagonal, arrays=("a",))
def diagonal(a: Value, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Value:
    """The elements at equal positions of two axes, which are replaced by one at the end."""
    shape = a.aval.shape
    if a.aval.ndim < 2:
        raise ShapeError(f"np.diagonal: {a.aval} has no two axes")
    first = one_axis("np.diagonal", axis1, a.aval.ndim, str(a.aval))
    second = one_axis("np.diagonal", axis2, a.aval.ndim, str(a.aval))
    rest = [k for k in range(a.aval.ndim) if k not in (first, second)]
    if first == second:
        raise ShapeError("np.diagonal: axis1 and axis2 are the same")
    rows, columns = (_fixed(a, shape[k]) for k in (first, second))
    k = operator.index(offset)
    length = max(min(rows + min(k, 0), columns - max(k, 0)), 0)
    moved = shapes.transpose(a, axes=(*rest, first, second))
    lead = tuple(shape[r] for r in rest)
    flat = reshaped(moved, (*lead, rows * columns))
    start = max(k, 0) + max(-k, 0) * columns if length else 0
    return shapes.slice_(
        flat, starts=(0,) * len(lead) + (start,), sizes=(*lead, length), steps=(1,) * len(lead) + (columns + 1,)
    )


def _fixed(a: Value, dim: Any) -> int:
    if not isinstance(dim, int):
        raise ShapeError(f"np.diagonal: {a.aval} has a symbolic size along the diagonal; compile with a fixed size")
    return dim


@implements(np.trace, arrays=("a",))
def trace(a: Value, offset: Any = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None) -> Value:
    """The sum of the diagonal."""
    return sum_(diagonal(a, offset, axis1, axis2), -1, dtype)
