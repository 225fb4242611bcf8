"""A Python slice of an axis whose size may be symbolic, as a start, a size and a step."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple, TypeGuard

from gradc.errors import ShapeError, TraceError
from gradc.ir.aval import Dim, SymbolicDim, ceildiv, maximum_dim, minimum_dim


class AxisSlice(NamedTuple):
    """Element k is ``start + k * step``, for k below ``size``."""

    start: Dim
    size: Dim
    step: int

    def is_whole(self, length: Dim) -> bool:
        """Whether it is the whole axis, in order."""
        return self.start == 0 and self.size == length and self.step == 1


def resolve_slice(item: slice, length: Dim) -> AxisSlice:
    """What a slice takes of an axis. Raises TraceError for bounds that are not ints, ShapeError for a step of 0."""
    start, stop, step = _bound(item.start, length), _bound(item.stop, length), _step(item.step)
    if not any(isinstance(d, SymbolicDim) for d in (start, stop, length)):
        first, last, step = slice(start, stop, step).indices(operator.index(length))
        size = len(range(first, last, step))
        return AxisSlice(first if size else 0, size, step)
    if step < 0:
        if start is None and stop is None:
            return AxisSlice(length - 1, ceildiv(length, -step), step)
        raise ShapeError(
            f"of the symbolic size {length}, a slice with a negative step must be the whole axis, [::{step}]"
        )
    return _symbolic_slice(start, stop, step, length)


def _step(step: Any) -> int:
    try:
        number = 1 if step is None else operator.index(step)
    except TypeError:
        raise TraceError(f"a slice has the step {step!r}, which is not an int") from None
    if number == 0:
        raise ShapeError("slice step cannot be zero")
    return number


def _bound(bound: Any, length: Dim) -> Dim | None:
    """A bound of a slice. Raises TraceError for what is no int, ShapeError where its sign depends on symbolic sizes."""
    if bound is None:
        return None
    if isinstance(bound, SymbolicDim):
        if any(coefficient < 0 for _, coefficient in bound.terms) and length - bound != 1:
            raise ShapeError(f"the bound {bound} of a slice may be negative, which counts from the end; fix the sizes")
        return bound
    try:
        return operator.index(bound)
    except TypeError:
        raise TraceError(f"a slice has the bound {bound!r}, which is not an int") from None


def _symbolic_slice(start: Dim | None, stop: Dim | None, step: int, length: Dim) -> AxisSlice:
    """Sizes are written so that equal ones look equal: ``x[1:]`` and ``x[:-1]`` are both ``max(length - 1, 0)``."""
    if _counts_from_end(start) and stop is None:
        return AxisSlice(maximum_dim(_position(start, length), 0), ceildiv(minimum_dim(length, -start), step), step)
    low = _position(start, length)
    if _counts_from_end(start):
        low = maximum_dim(low, 0)
    high = length if stop is None else minimum_dim(_position(stop, length), length)
    certain = low == 0 and not _counts_from_end(stop) and length - high != 1
    size = high if certain else maximum_dim(high - low, 0)
    return AxisSlice(low, ceildiv(size, step), step)


def _counts_from_end(bound: Dim | None) -> TypeGuard[int]:
    return isinstance(bound, int) and bound < 0


def _position(bound: Dim | None, length: Dim) -> Dim:
    if bound is None:
        return 0
    return length + bound if _counts_from_end(bound) else bound
