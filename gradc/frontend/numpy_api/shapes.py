"""NumPy's functions that rearrange axes and elements, over Values.

Those that NumPy gives as views are made of slice, reshape and transpose alone.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import all_axes, as_shape, one_axis
from gradc.frontend.numpy_api.promote import broadcasted, strong
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.aval import Dim, SymbolicDim, broadcast_shapes, shape_text, size_of
from gradc.ir.graph import Value
from gradc.ops import shape as shapes
from gradc.ops.shape import broadcast, reshaped


def _is_column_major(name: str, order: Any) -> bool:
    """Whether elements are counted column by column. Raises TraceError for an order that depends on the layout."""
    if order not in ("C", "F", None):
        raise TraceError(
            f"{name}: order={order!r} depends on the layout of the array, which a trace does not know; use 'C' or 'F'"
        )
    return bool(order == "F")


# Reshaping.


@implements(np.reshape, arrays=("a",))
def reshape(a: Value, shape: Any = None, order: Any = "C", *, newshape: Any = None, copy: Any = None) -> Value:
    """The same elements in another shape; one size may be -1. NumPy 2.0 calls the shape ``newshape``.

    Raises TraceError for ``copy=False``, since whether a view is possible depends on the layout in memory.
    """
    if copy is False:
        raise TraceError("np.reshape: whether a view is possible depends on the layout in memory; leave out copy=False")
    wanted = as_shape("np.reshape", newshape if shape is None else shape)
    if _is_column_major("np.reshape", order):
        return transpose(reshape(transpose(a), wanted[::-1]))
    unknown = [k for k, d in enumerate(wanted) if d == -1]
    if len(unknown) > 1:
        raise ShapeError(f"np.reshape: {shape_text(wanted)} has more than one unknown size")
    if unknown:
        known = size_of(tuple(d for d in wanted if d != -1))
        wanted = tuple(_missing_size(a, known, wanted) if d == -1 else d for d in wanted)
    if a.aval.size != size_of(wanted) or any(isinstance(d, int) and d < 0 for d in wanted):
        raise ShapeError(
            f"np.reshape: {a.aval} has {a.aval.size} elements and cannot take the shape {shape_text(wanted)}"
        )
    return reshaped(a, wanted)


def _missing_size(a: Value, known: Dim, wanted: tuple[Dim, ...]) -> Dim:
    if known == 0 or a.aval.size % known != 0:
        raise ShapeError(
            f"np.reshape: {a.aval} has {a.aval.size} elements and cannot take the shape {shape_text(wanted)}"
        )
    return a.aval.size // known


@implements(np.ravel, arrays=("a",))
def ravel(a: Value, order: Any = "C") -> Value:
    """All elements along one axis."""
    turned = transpose(a) if _is_column_major("np.ravel", order) else a
    return reshaped(turned, (a.aval.size,))


@implements(np.expand_dims, arrays=("a",))
def expand_dims(a: Value, axis: Any) -> Value:
    """New axes of size 1 at the given places of the result."""
    listed = axis if isinstance(axis, (tuple, list)) else (axis,)
    ndim = a.aval.ndim + len(listed)
    places = [one_axis("np.expand_dims", k, ndim) for k in listed]
    if len(set(places)) != len(places):
        raise ShapeError(f"np.expand_dims: axis {axis} names a place twice")
    sizes = iter(a.aval.shape)
    return reshaped(a, tuple(1 if k in places else next(sizes) for k in range(ndim)))


@implements(np.squeeze, arrays=("a",))
def squeeze(a: Value, axis: Any = None) -> Value:
    """Without axes of size 1: all of them, or those given."""
    shape = a.aval.shape
    if axis is None:
        return reshaped(a, tuple(d for d in shape if d != 1))
    axes = all_axes("np.squeeze", axis, a)
    if any(shape[k] != 1 for k in axes):
        raise ShapeError(f"np.squeeze: axis {axis} of {a.aval} does not have size 1")
    return reshaped(a, tuple(d for k, d in enumerate(shape) if k not in axes))


def _at_least(name: str, ndim: int, values: Sequence[Value]) -> Any:
    results = []
    for x in values:
        shape = x.aval.shape
        if ndim == 3 and len(shape) == 2:
            shape = (*shape, 1)
        elif ndim == 3 and len(shape) == 1:
            shape = (1, *shape, 1)
        results.append(reshaped(x, (1,) * (ndim - len(shape)) + shape))
    return results[0] if len(results) == 1 else tuple(results)


@implements(np.atleast_1d, arrays=("arys",))
def atleast_1d(*arys: Value) -> Any:
    """Each array with at least one axis."""
    return _at_least("np.atleast_1d", 1, arys)


@implements(np.atleast_2d, arrays=("arys",))
def atleast_2d(*arys: Value) -> Any:
    """Each array with at least two axes."""
    return _at_least("np.atleast_2d", 2, arys)


@implements(np.atleast_3d, arrays=("arys",))
def atleast_3d(*arys: Value) -> Any:
    """Each array with at least three axes."""
    return _at_least("np.atleast_3d", 3, arys)


# Permuting axes.


def _permuted(a: Value, axes: tuple[int, ...]) -> Value:
    return a if axes == tuple(range(a.aval.ndim)) else shapes.transpose(a, axes=axes)


@implements(np.transpose, np.permute_dims, arrays=("a",))
def transpose(a: Value, axes: Any = None) -> Value:
    """The axes in another order; reversed by default."""
    if axes is None:
        return _permuted(a, tuple(reversed(range(a.aval.ndim))))
    axes = axes if isinstance(axes, (tuple, list, np.ndarray)) else (axes,)
    order = tuple(one_axis("np.transpose", k, a.aval.ndim, str(a.aval)) for k in axes)
    if sorted(order) != list(range(a.aval.ndim)):
        raise ShapeError(f"np.transpose: axes {tuple(axes)} are not a permutation of the axes of {a.aval}")
    return _permuted(a, order)


@implements(np.matrix_transpose, arrays=("x",))
def matrix_transpose(x: Value) -> Value:
    """The last two axes exchanged."""
    if x.aval.ndim < 2:
        raise ShapeError(f"np.matrix_transpose: {x.aval} has no two axes")
    return swapaxes(x, -1, -2)


@implements(np.swapaxes, arrays=("a",))
def swapaxes(a: Value, axis1: Any, axis2: Any) -> Value:
    """Two axes exchanged."""
    first, second = (one_axis("np.swapaxes", k, a.aval.ndim, str(a.aval)) for k in (axis1, axis2))
    order = list(range(a.aval.ndim))
    order[first], order[second] = second, first
    return _permuted(a, tuple(order))


@implements(np.moveaxis, arrays=("a",))
def moveaxis(a: Value, source: Any, destination: Any) -> Value:
    """Axes moved to other places, the others keeping their order."""
    ndim = a.aval.ndim
    sides = [side if isinstance(side, (tuple, list, range)) else [side] for side in (source, destination)]
    old, new = ([one_axis("np.moveaxis", k, ndim, str(a.aval)) for k in side] for side in sides)
    if len(old) != len(new) or len(set(old)) != len(old) or len(set(new)) != len(new):
        raise ShapeError(f"np.moveaxis: source {source} and destination {destination} do not pair axes of {a.aval}")
    order = [k for k in range(ndim) if k not in old]
    for place, axis in sorted(zip(new, old, strict=True)):
        order.insert(place, axis)
    return _permuted(a, tuple(order))


# Broadcasting.


@implements(np.broadcast_to, arrays=("array",))
def broadcast_to(array: Value, shape: Any) -> Value:
    """The array repeated to a shape."""
    wanted = as_shape("np.broadcast_to", shape)
    try:
        fitting = len(wanted) >= array.aval.ndim and broadcast_shapes(array.aval.shape, wanted) == wanted
    except ShapeError:
        fitting = False
    if not fitting:
        raise ShapeError(f"np.broadcast_to: {array.aval} does not broadcast to {shape_text(wanted)}")
    return broadcast(array, wanted)


@implements(np.broadcast_arrays, arrays=("args",))
def broadcast_arrays(*args: Value) -> tuple[Value, ...]:
    """The arrays, all of the shape to which they broadcast together."""
    return tuple(broadcasted("np.broadcast_arrays", *args))


# Slicing along an axis.


def part(x: Value, axis: int, start: Dim, size: Dim, step: int = 1) -> Value:
    """``size`` elements along an axis from ``start`` by ``step``, all of the other axes."""
    shape = x.aval.shape
    if start == 0 and size == shape[axis] and step == 1:
        return x
    return shapes.slice_(
        x,
        starts=tuple(start if k == axis else 0 for k in range(len(shape))),
        sizes=tuple(size if k == axis else d for k, d in enumerate(shape)),
        steps=tuple(step if k == axis else 1 for k in range(len(shape))),
    )


@implements(np.flip, arrays=("m",))
def flip(m: Value, axis: Any = None) -> Value:
    """The elements in reverse order along axes."""
    axes = all_axes("np.flip", axis, m)
    if not axes:
        return m
    shape = m.aval.shape
    starts = tuple(d - 1 if k in axes and d != 0 else 0 for k, d in enumerate(shape))
    steps = tuple(-1 if k in axes and d != 0 else 1 for k, d in enumerate(shape))
    return shapes.slice_(m, starts=starts, sizes=shape, steps=steps)


@implements(np.flipud, arrays=("m",))
def flipud(m: Value) -> Value:
    """The rows in reverse order."""
    return flip(m, 0)


@implements(np.fliplr, arrays=("m",))
def fliplr(m: Value) -> Value:
    """The columns in reverse order."""
    return flip(m, 1)


@implements(np.rot90, arrays=("m",))
def rot90(m: Value, k: Any = 1, axes: Any = (0, 1)) -> Value:
    """A quarter turn, ``k`` times, in the plane of two axes."""
    first, second = (one_axis("np.rot90", a, m.aval.ndim, str(m.aval)) for a in axes)
    if first == second:
        raise ShapeError(f"np.rot90: axes {axes} are the same")
    turns = operator.index(k) % 4
    if turns == 0:
        return m
    if turns == 2:
        return flip(m, (first, second))
    return swapaxes(flip(m, second), first, second) if turns == 1 else flip(swapaxes(m, first, second), second)


def _cuts(name: str, length: Dim, sections: Any, uneven: bool) -> list[tuple[int, int]]:
    """Start and stop of every piece."""
    if isinstance(length, SymbolicDim):
        raise ShapeError(f"{name}: the size {length} is symbolic and cannot be split; slice it, or fix the size")
    if isinstance(sections, (tuple, list)) or np.ndim(sections):
        bounds = [0, *[operator.index(s) for s in sections], length]
        pieces = [range(length)[slice(a, b)] for a, b in itertools.pairwise(bounds)]
        return [(p.start, max(p.stop, p.start)) for p in pieces]
    count = operator.index(sections)
    if count <= 0:
        raise ShapeError(f"{name}: the number of sections must be at least 1, not {count}")
    each, extra = divmod(length, count)
    if extra and not uneven:
        raise ShapeError(f"{name}: an axis of size {length} does not divide into {count} equal parts")
    ends = [each * k + min(k, extra) for k in range(count + 1)]
    return list(itertools.pairwise(ends))


def split_along(name: str, x: Value, sections: Any, axis: Any, uneven: bool) -> list[Value]:
    """Parts along an axis, equal ones unless ``uneven``, or those between positions."""
    place = one_axis(name, axis, x.aval.ndim, str(x.aval))
    cuts = _cuts(name, x.aval.shape[place], sections, uneven)
    return [part(x, place, start if stop > start else 0, stop - start) for start, stop in cuts]


@implements(np.split, arrays=("ary",))
def split(ary: Value, indices_or_sections: Any, axis: Any = 0) -> list[Value]:
    """Equal parts along an axis, or the parts between given positions."""
    return split_along("np.split", ary, indices_or_sections, axis, False)


@implements(np.array_split, arrays=("ary",))
def arraysplit_along(ary: Value, indices_or_sections: Any, axis: Any = 0) -> list[Value]:
    """Parts along an axis that differ by at most one in size."""
    return split_along("np.array_split", ary, indices_or_sections, axis, True)


@implements(np.vsplit, arrays=("ary",))
def vsplit(ary: Value, indices_or_sections: Any) -> list[Value]:
    """Parts along the first axis."""
    if ary.aval.ndim < 2:
        raise ShapeError(f"np.vsplit: {ary.aval} has fewer than two axes")
    return split_along("np.vsplit", ary, indices_or_sections, 0, False)


@implements(np.hsplit, arrays=("ary",))
def hsplit(ary: Value, indices_or_sections: Any) -> list[Value]:
    """Parts along the second axis, of the only axis of a vector."""
    return split_along("np.hsplit", ary, indices_or_sections, 1 if ary.aval.ndim > 1 else 0, False)


# What NumPy asks of an array without computing.


@implements(np.shape, arrays=("a",))
def shape_of(a: Value) -> tuple[Dim, ...]:
    """The sizes of the axes."""
    return a.aval.shape


@implements(np.ndim, arrays=("a",))
def ndim_of(a: Value) -> int:
    """The number of axes."""
    return a.aval.ndim


@implements(np.size, arrays=("a",))
def size_along(a: Value, axis: Any = None) -> Dim:
    """The number of elements, or the size of axes."""
    return size_of(tuple(a.aval.shape[k] for k in all_axes("np.size", axis, a)))


@implements(np.iscomplexobj, arrays=("x",))
def iscomplexobj(x: Value) -> bool:
    """Whether the dtype is complex."""
    return x.aval.dtype.kind == "c"


@implements(np.copy, arrays=("a",))
def copy(a: Value, order: Any = "K") -> Value:
    """The array itself: values never change."""
    if order not in ("K", "C", "F", "A"):
        raise TraceError(f"np.copy: order={order!r} is none of 'K', 'C', 'F', 'A'")
    return strong(a)
