"""Axes, sizes and counts as NumPy takes them: None, an int, a tuple, negative numbers."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.ir.aval import Dim, SymbolicDim, size_of
from gradc.ir.graph import Value
from gradc.ir.op import REGISTRY

Axes = tuple[int, ...]


def one_axis(name: str, axis: Any, ndim: int, of: str = "") -> int:
    """A non-negative axis. Raises ShapeError where there is no such axis."""
    try:
        number = operator.index(axis)
    except TypeError:
        raise TraceError(f"{name}: axis must be an int, not {type(axis).__name__}") from None
    if not -ndim <= number < ndim:
        raise ShapeError(f"{name}: axis {number} is out of bounds for {of or f'an array of dimension {ndim}'}")
    return number % ndim


def all_axes(name: str, axis: Any, x: Value) -> Axes:
    """Sorted, non-negative axes; None means every axis. Raises ShapeError for axes that are not there or repeat."""
    ndim = x.aval.ndim
    if axis is None:
        return tuple(range(ndim))
    listed = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = [one_axis(name, a, ndim, str(x.aval)) for a in listed]
    if len(set(axes)) != len(axes):
        raise ShapeError(f"{name}: axis {axis} names an axis of {x.aval} twice")
    return tuple(sorted(axes))


def ufunc_axes(name: str, axis: Any, x: Value) -> Axes:
    """The same for what NumPy makes of ``ufunc.reduce``, where the axes 0 and -1 of a number are none at all."""
    return () if x.aval.ndim == 0 and type(axis) is int and axis in (0, -1) else all_axes(name, axis, x)


def as_shape(name: str, shape: Any) -> tuple[Dim, ...]:
    """A shape given as an int or a sequence of ints. Raises TraceError."""
    listed = tuple(shape) if isinstance(shape, (tuple, list, np.ndarray)) else (shape,)
    try:
        return tuple(d if isinstance(d, SymbolicDim) else operator.index(d) for d in listed)
    except TypeError:
        raise TraceError(f"{name}: the shape {shape!r} is not made of ints") from None


def axes_size(x: Value, axes: Axes) -> Dim:
    """The number of elements along ``axes``."""
    return size_of(tuple(x.aval.shape[a] for a in axes))


def count_value(x: Value, count: Dim, dtype: np.dtype) -> Value:
    """A number of elements as a 0-d Value, in the builder of ``x``."""
    if isinstance(count, SymbolicDim):
        return x.builder.apply(REGISTRY["dim_value"], dim=count, dtype=dtype)
    return x.builder.constant(np.asarray(count, dtype))


def require_size(name: str, dim: Dim, why: str) -> int:
    """A size as a number. Raises ShapeError for a symbolic one."""
    if isinstance(dim, SymbolicDim):
        raise ShapeError(f"{name}: the size {dim} is symbolic, and {why}; compile with a fixed size")
    return dim
