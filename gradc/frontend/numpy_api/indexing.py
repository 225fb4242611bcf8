"""Indexing over Values with NumPy's meaning, for reading and for writing.

An index is planned once: slices of the axes that keep their order, integer arrays for the others, and how the axes of
the result are arranged. Reading applies the plan; writing undoes the arrangement and writes back.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradc.errors import DtypeError, IndexBoundsError, ShapeError, TraceError
from gradc.frontend.numpy_api.basic import known_item
from gradc.frontend.numpy_api.promote import astype, broadcasted, converted
from gradc.frontend.numpy_api.registry import Lift
from gradc.frontend.numpy_api.slices import AxisSlice, resolve_slice
from gradc.ir.aval import Dim, SymbolicDim, broadcast_shapes, shape_text
from gradc.ir.graph import Value
from gradc.ops import elementwise as ops
from gradc.ops import index as indices_ops
from gradc.ops import shape as shapes
from gradc.ops.index import index_position
from gradc.ops.shape import broadcast, inverse_permutation, reshaped

_BOOL = np.dtype(bool)


@dataclass(frozen=True)
class Plan:
    """``x[slices]``, then ``gather`` on ``axes``, then the axes in ``order``, then ``shape``.

    ``axes`` is empty for basic indexing; then ``order`` is None and ``shape`` alone drops and inserts axes of size 1.
    """

    slices: tuple[AxisSlice, ...]
    axes: tuple[int, ...]
    indices: tuple[Value, ...]
    order: tuple[int, ...] | None
    shape: tuple[Dim, ...]

    @property
    def sliced_shape(self) -> tuple[Dim, ...]:
        """The shape after the slices."""
        return tuple(s.size for s in self.slices)

    def gathered_shape(self) -> tuple[Dim, ...]:
        """The shape after the gather."""
        if not self.axes:
            return self.sliced_shape
        return indices_ops.gathered_shape(self.sliced_shape, self.indices[0].aval.shape, self.axes)


def getitem(x: Value, index: Any, lift: Lift) -> Value:
    """``x[index]``. Raises IndexBoundsError, TraceError for a mask whose values are not known while tracing."""
    if type(index) is int or (type(index) is tuple and all(type(i) is int for i in index)):
        return x.builder.once(("getitem", x.id, index), lambda: _item(x, index, lift))
    return _item(x, index, lift)


def _item(x: Value, index: Any, lift: Lift) -> Value:
    known = known_item(x, index)
    if known is not None:
        return known
    x, index = _with_axes_of_bools(x, index, lift)
    plan = plan_index(x, index, lift)
    result = _sliced(x, plan)
    if plan.axes:
        result = indices_ops.gather(result, *plan.indices, axes=plan.axes)
    if plan.order is not None and plan.order != tuple(range(len(plan.order))):
        result = shapes.transpose(result, axes=plan.order)
    return reshaped(result, plan.shape)


def setitem(x: Value, index: Any, value: Value, lift: Lift, mode: str = "set") -> Value:
    """``x`` after ``x[index] = value`` (mode "set") or after adding (mode "add", each of repeated indices counts).

    The value is converted to the dtype of ``x`` and broadcast. A traced mask of booleans is taken where the value is
    one for all elements it selects.
    """
    value = converted(value, x.aval.dtype) if value.aval.weak else astype(value, x.aval.dtype)
    wide, places = _with_axes_of_bools(x, index, lift)
    if wide is not x:
        return reshaped(setitem(wide, places, value, lift, mode), x.aval.shape)
    mask = _mask_of(index, lift)
    if mask is not None and value.aval.ndim <= x.aval.ndim - mask.aval.ndim:
        return _masked(x, mask, value, mode)
    plan = plan_index(x, index, lift)
    placed = _arranged(value, plan, drop_leading=mode == "set")
    if not plan.axes:
        return _written(x, placed, plan, mode)
    inner = indices_ops.scatter(_sliced(x, plan), placed, *plan.indices, axes=plan.axes, mode=mode)
    return _written(x, inner, plan, "set")


def _sliced(x: Value, plan: Plan) -> Value:
    if all(s.is_whole(d) for s, d in zip(plan.slices, x.aval.shape, strict=True)):
        return x
    starts, sizes, steps = zip(*plan.slices, strict=True)
    return shapes.slice_(x, starts=starts, sizes=sizes, steps=steps)


def _written(x: Value, value: Value, plan: Plan, mode: str) -> Value:
    if mode == "set" and all(s.is_whole(d) for s, d in zip(plan.slices, x.aval.shape, strict=True)):
        return value
    starts, _, steps = zip(*plan.slices, strict=True) if plan.slices else ((), (), ())
    return shapes.update_slice(x, value, starts=starts, steps=steps, mode=mode)


def _arranged(value: Value, plan: Plan, *, drop_leading: bool) -> Value:
    """The value in the shape of the place it is written to, before the plan's arrangement of axes.

    An assignment drops leading axes of size 1 that the place does not have.
    """
    shape = value.aval.shape
    while drop_leading and len(shape) > len(plan.shape) and shape[0] == 1:
        shape = shape[1:]
    try:
        fitting = len(shape) <= len(plan.shape) and broadcast_shapes(shape, plan.shape) == plan.shape
    except ShapeError:
        fitting = False
    if not fitting:
        raise ShapeError(f"could not broadcast {value.aval} into the shape {shape_text(plan.shape)} that is written to")
    spread = broadcast(reshaped(value, shape), plan.shape)
    target = plan.gathered_shape()
    if plan.order is None:
        return reshaped(spread, target)
    arranged = reshaped(spread, tuple(target[k] for k in plan.order))
    return shapes.transpose(arranged, axes=inverse_permutation(plan.order))


# Masks.


def _mask_of(index: Any, lift: Lift) -> Value | None:
    """The mask, where the whole index is one array of booleans."""
    item = index[0] if isinstance(index, tuple) and len(index) == 1 else index
    if isinstance(item, np.ndarray) or (isinstance(item, list) and _is_static(item)):
        return lift(np.asarray(item), "index") if np.asarray(item).dtype == _BOOL and np.ndim(item) else None
    if isinstance(item, (int, np.integer, slice, tuple)) or item is None or item is Ellipsis:
        return None
    value = lift(item, "index")
    return value if value.aval.dtype == _BOOL else None


def _masked(x: Value, mask: Value, value: Value, mode: str) -> Value:
    """``x[mask] = value`` where the value does not run along the selected elements."""
    depth = mask.aval.ndim
    if mask.aval.shape != x.aval.shape[:depth]:
        raise IndexBoundsError(f"the boolean index {mask.aval} does not match the leading axes of {x.aval}")
    wide = reshaped(mask, (*mask.aval.shape, *(1,) * (x.aval.ndim - depth)))
    where, new = broadcast(wide, x.aval.shape), broadcasted("setitem", value, x)[0]
    return ops.select(where, x + new if mode == "add" else new, x)


# True and False.


def _with_axes_of_bools(x: Value, index: Any, lift: Lift) -> tuple[Value, Any]:
    """The array with an axis of size 1 for each True and False of an index, which is the place 0 there, or none.

    That is NumPy's meaning of them: masks of no axis.
    """
    items = index if type(index) is tuple else (index,)
    bools = [_bool_of(item) for item in items]
    if not any(b is not None for b in bools) or len([item for item in items if item is Ellipsis]) > 1:
        return x, index
    consumed = [0 if b is not None else _consumed(_parsed(item, lift)) for b, item in zip(bools, items, strict=True)]
    if sum(consumed) > x.aval.ndim:
        return x, index
    shape, new, axis = list(x.aval.shape), list[Any](), 0
    for item, b, count in zip(items, bools, consumed, strict=True):
        if b is not None:
            shape.insert(axis, 1)
            new.append(np.zeros(int(b), np.int64))
            axis += 1
            continue
        new.append(item)
        axis += x.aval.ndim - sum(consumed) if item is Ellipsis else count
    return reshaped(x, tuple(shape)), tuple(new)


def _bool_of(item: Any) -> bool | None:
    """The truth that an item of an index is; None for any other."""
    is_one = isinstance(item, (bool, np.bool)) or (
        isinstance(item, np.ndarray) and item.dtype == _BOOL and not item.ndim
    )
    return bool(item) if is_one else None


# Planning.


@dataclass(frozen=True)
class _Advanced:
    """An integer index of one axis: a known int, or an array."""

    axis: int
    value: Value | int
    item: int


def plan_index(x: Value, index: Any, lift: Lift) -> Plan:
    """How ``x[index]`` is made of slices and a gather. Raises IndexBoundsError, TraceError, DtypeError."""
    items = _expanded(x, index, lift)
    slices: dict[int, AxisSlice] = {}
    advanced: list[_Advanced] = []
    layout: list[int | None] = []  # axes and newaxes that stay, in order
    place = 0  # how many of them stand before the first advanced index
    axis = 0
    for number, item in enumerate(items):
        if item is None:
            layout.append(None)
        elif item is Ellipsis:
            continue
        elif isinstance(item, slice):
            slices[axis] = resolve_slice(item, x.aval.shape[axis])
            layout.append(axis)
            axis += 1
        else:
            if not advanced:
                place = len(layout)
            advanced.append(_Advanced(axis, item, number))
            axis += 1
    if all(isinstance(a.value, int) for a in advanced):
        return _basic(x, slices, advanced, layout)
    return _gathering(x, slices, advanced, layout, place)


def _basic(x: Value, slices: dict[int, AxisSlice], points: Sequence[_Advanced], layout: Sequence[int | None]) -> Plan:
    for point in points:
        slices[point.axis] = AxisSlice(_position(x, point.axis, point.value), 1, 1)
    shape = tuple(1 if axis is None else slices[axis].size for axis in layout)
    return Plan(tuple(slices[k] for k in range(x.aval.ndim)), (), (), None, shape)


def _position(x: Value, axis: int, number: Any) -> Dim:
    """A non-negative position on an axis. Raises IndexBoundsError."""
    size = x.aval.shape[axis]
    if not isinstance(size, SymbolicDim) and not -size <= number < size:
        raise IndexBoundsError(f"index {number} is out of bounds for axis {axis} of {x.aval} with size {size}")
    position: Dim = number if number >= 0 else size + number
    return position


def _gathering(
    x: Value, slices: dict[int, AxisSlice], advanced: Sequence[_Advanced], layout: Sequence[int | None], place: int
) -> Plan:
    axes = tuple(a.axis for a in advanced)
    for axis in axes:
        slices[axis] = AxisSlice(0, x.aval.shape[axis], 1)
    indices = broadcasted("index arrays", *[_index_array(x, a) for a in advanced])
    index_shape = indices[0].aval.shape
    together = all(b.item == a.item + 1 for a, b in itertools.pairwise(advanced))
    front = place if together else 0
    kept = [axis for axis in layout if axis is not None]
    before = len([axis for axis in layout[:front] if axis is not None])
    # Where gather put each axis that stays, and the index axes.
    start, width = index_position(axes), len(index_shape)
    at = {axis: k if k < start else k + width for k, axis in enumerate(kept)}
    order = (
        *(at[axis] for axis in kept[:before]),
        *range(start, start + width),
        *(at[axis] for axis in kept[before:]),
    )
    outer = [1 if axis is None else slices[axis].size for axis in layout]
    shape = (*outer[:front], *index_shape, *outer[front:])
    return Plan(tuple(slices[k] for k in range(x.aval.ndim)), axes, tuple(indices), order, shape)


def _index_array(x: Value, index: _Advanced) -> Value:
    if isinstance(index.value, Value):
        return index.value
    position = _position(x, index.axis, index.value)
    if isinstance(position, SymbolicDim):
        position = index.value
    return x.builder.constant(np.asarray(position, np.int64))


def _expanded(x: Value, index: Any, lift: Lift) -> list[Any]:
    """The index as a list: one entry an axis (masks become integer arrays), newaxes, the mark of the ellipsis."""
    items: list[Any] = []
    axis = 0
    raw = list(index) if isinstance(index, tuple) else [index]
    if len([item for item in raw if item is Ellipsis]) > 1:
        raise IndexBoundsError("an index can only have a single ellipsis ('...')")
    parsed = [_parsed(item, lift) for item in raw]
    used = sum(_consumed(item) for item in parsed)
    if used > x.aval.ndim:
        raise IndexBoundsError(f"too many indices: {x.aval} has {x.aval.ndim} axes, but {used} were indexed")
    if not any(item is Ellipsis for item in parsed):
        parsed.append(Ellipsis)
    for item in parsed:
        if item is Ellipsis:
            # The marker stays: it separates advanced indices even where it stands for no axis.
            items += [Ellipsis] + [slice(None)] * (x.aval.ndim - used)
            axis += x.aval.ndim - used
        elif isinstance(item, np.ndarray) and item.dtype == _BOOL:
            items += [x.builder.constant(positions) for positions in _positions_of(x, item, axis)]
            axis += item.ndim
        elif isinstance(item, np.ndarray):
            items.append(x.builder.constant(_bounded(x, item, axis)))
            axis += 1
        else:
            items.append(item)
            axis += _consumed(item)
    return items


def _consumed(item: Any) -> int:
    """How many axes an item of an index takes."""
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if isinstance(item, np.ndarray) and item.dtype == _BOOL else 1


def _parsed(item: Any, lift: Lift) -> Any:
    """An item of an index as an int, a slice, None, Ellipsis, an array or a traced Value of int64."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, (int, np.integer)):
        return int(item)
    if isinstance(item, SymbolicDim):
        raise TraceError(f"the symbolic size {item} cannot be an index; slice with it instead")
    if isinstance(item, np.ndarray) or (isinstance(item, list) and _is_static(item)):
        return _concrete(_as_array(item))
    return _traced(item, lift)


def _is_static(item: Any) -> bool:
    """Whether a list, or a list of lists, is made of known numbers."""
    if isinstance(item, list):
        return all(map(_is_static, item))
    return isinstance(item, (int, np.integer, np.bool, np.ndarray))


def _as_array(item: Any) -> np.ndarray:
    """A list or an array as an index array; an empty list holds integers."""
    array = np.asarray(item)
    return array.astype(np.int64) if isinstance(item, list) and not array.size else array


def _concrete(array: np.ndarray) -> Any:
    if array.dtype.kind not in "iub":
        raise DtypeError(f"an index array has dtype {array.dtype}; indices are integers or booleans")
    if array.ndim == 0:
        return _parsed(array[()], lambda x, name: x)
    return array if array.dtype == _BOOL else array.astype(np.int64)


def _traced(item: Any, lift: Lift) -> Any:
    value = lift(item, "index")
    if value.aval.weak and value.aval.dtype.kind == "i":
        return operator.index(item)  # a Python int that is used as one becomes static
    if value.aval.dtype == _BOOL:
        raise TraceError(
            f"the shape of an array indexed by the traced mask {value.aval} depends on data; "
            "write np.where(mask, x, 0) and reduce that, or make the mask outside"
        )
    if value.aval.dtype.kind not in "iu":
        raise DtypeError(f"the index {value.aval} is not of an integer dtype")
    return astype(value, np.int64)


def _positions_of(x: Value, mask: np.ndarray, axis: int) -> list[np.ndarray]:
    for k, size in enumerate(mask.shape):
        expected = x.aval.shape[axis + k]
        if size != expected:
            raise IndexBoundsError(
                f"boolean index did not match {x.aval} along axis {axis + k}: the size is {expected} "
                f"but the mask has {size}"
            )
    return [np.asarray(positions, np.int64) for positions in np.nonzero(mask)]


def _bounded(x: Value, array: np.ndarray, axis: int) -> np.ndarray:
    size = x.aval.shape[axis]
    if isinstance(size, SymbolicDim):
        return array
    outside = (array < -size) | (array >= size)
    if outside.any():
        raise IndexBoundsError(
            f"index {array[outside].flat[0]} is out of bounds for axis {axis} of {x.aval} with size {size}"
        )
    return np.where(array < 0, array + size, array)
