"""NumPy's functions that lay out arrays: grids, blocks, Kronecker products, ranges, windows; over Values."""

from __future__ import annotations

import math
import operator
from typing import Any, Final

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import as_shape, one_axis, require_size
from gradc.frontend.numpy_api.notation import Array, composed, lifted
from gradc.frontend.numpy_api.promote import common_dtype
from gradc.frontend.numpy_api.registry import implements, of_numpy
from gradc.frontend.numpy_api.shapes import part, split_along
from gradc.frontend.numpy_api.taking import take
from gradc.ir.graph import Value
from gradc.ops.shape import broadcast, reshaped


@composed(np.meshgrid, arrays=("xi",))
def meshgrid(*xi: Any, copy: Any = True, sparse: Any = False, indexing: Any = "xy") -> Any:
    """Coordinate arrays of a grid; ``sparse`` ones only broadcast to it."""
    if indexing not in ("xy", "ij"):
        raise TraceError(f"np.meshgrid: indexing={indexing!r} is neither 'xy' nor 'ij'")
    count = len(xi)
    order = [1, 0, *range(2, count)] if indexing == "xy" and count > 1 else list(range(count))
    flat = [np.ravel(x) for x in xi]
    shape = tuple(flat[k].shape[0] for k in order)
    grids = [x.reshape(tuple(shape[m] if order[m] == k else 1 for m in range(count))) for k, x in enumerate(flat)]
    return tuple(grids) if sparse else tuple(np.broadcast_to(g, shape) for g in grids)


@composed(np.block, nested=("arrays",))
def block(arrays: Any) -> Any:
    """Arrays put together from nested lists, the innermost along the last axis."""
    depth = _depth(arrays)
    ndim = max([depth, *(x.ndim for x in _leaves(arrays))])

    def joined(item: Any, level: int) -> Any:
        if isinstance(item, Array):
            return item.reshape((1,) * (ndim - item.ndim) + tuple(item.shape))
        return np.concatenate([joined(inner, level + 1) for inner in item], axis=level + ndim - depth)

    return joined(arrays, 0)


def _depth(arrays: Any) -> int:
    if not isinstance(arrays, (list, tuple)):
        return 0
    depths = {_depth(item) for item in arrays}
    if len(depths) != 1:
        raise ShapeError("np.block: the lists are not nested equally deep, or one is empty")
    return depths.pop() + 1


def _leaves(arrays: Any) -> list[Any]:
    return [leaf for item in arrays for leaf in _leaves(item)] if isinstance(arrays, (list, tuple)) else [arrays]


@composed(np.dstack, sequences=("tup",))
def dstack(tup: Any) -> Any:
    """Arrays joined along the third axis."""
    listed: Any = [tup[k] for k in range(int(tup.shape[0]))] if isinstance(tup, Array) else tup
    return np.concatenate([np.atleast_3d(x) for x in listed], axis=2)


@implements(np.dsplit, arrays=("ary",))
def dsplit(ary: Value, indices_or_sections: Any) -> list[Value]:
    """Parts along the third axis."""
    if ary.aval.ndim < 3:
        raise ShapeError(f"np.dsplit: {ary.aval} has fewer than three axes")
    return split_along("np.dsplit", ary, indices_or_sections, 2, False)


@implements(*of_numpy("unstack"), arrays=("x",))
def unstack(x: Value, *, axis: Any = 0) -> tuple[Value, ...]:
    """The parts along an axis, without it."""
    place = one_axis("np.unstack", axis, x.aval.ndim, str(x.aval))
    size = require_size("np.unstack", x.aval.shape[place], "the number of results must be known")
    rest = tuple(d for k, d in enumerate(x.aval.shape) if k != place)
    return tuple(reshaped(part(x, place, k, 1), rest) for k in range(size))


@composed(np.kron, arrays=("a", "b"))
def kron(a: Any, b: Any) -> Any:
    """Blocks of ``b`` multiplied by each element of ``a``."""
    ndim = max(a.ndim, b.ndim)
    left, right = ((1,) * (ndim - x.ndim) + tuple(x.shape) for x in (a, b))
    apart = a.reshape(tuple(d for size in left for d in (size, 1)))
    inside = b.reshape(tuple(d for size in right for d in (1, size)))
    return (apart * inside).reshape(tuple(m * n for m, n in zip(left, right, strict=True)))


@composed(np.diagflat, arrays=("v",))
def diagflat(v: Any, k: Any = 0) -> Any:
    """The matrix that has all elements on its k-th diagonal."""
    return np.diag(np.ravel(v), k)


@composed(np.resize, arrays=("a",))
def resize(a: Any, new_shape: Any) -> Any:
    """The elements in order, again and again, in a shape."""
    shape = as_shape("np.resize", new_shape)
    size = require_size("np.resize", a.size, "its elements are repeated")
    count = math.prod(require_size("np.resize", d, "its elements are counted") for d in shape)
    if not size or not count:
        return np.zeros(shape, a.dtype)
    return np.take(a, np.arange(count) % size).reshape(shape)


@implements(np.repeat, arrays=("a",))
def repeat(a: Value, repeats: Any, axis: Any = None) -> Value:
    """Each element so many times: one number for all, or one for each."""
    if axis is None:
        return repeat(reshaped(a, (a.aval.size,)), repeats, 0)
    place = one_axis("np.repeat", axis, a.aval.ndim, str(a.aval))
    counts = as_shape("np.repeat", repeats)
    if len(counts) == 1:
        lead, rest = a.aval.shape[: place + 1], a.aval.shape[place + 1 :]
        spread = broadcast(reshaped(a, (*lead, 1, *rest)), (*lead, counts[0], *rest))
        return reshaped(spread, (*lead[:-1], lead[-1] * counts[0], *rest))
    size = require_size("np.repeat", a.aval.shape[place], "its elements are counted")
    if len(counts) != size:
        raise ShapeError(f"np.repeat: {len(counts)} repeats for {a.aval}, which has {size} elements along axis {axis}")
    at = np.repeat(np.arange(size), [require_size("np.repeat", c, "repeats are counted") for c in counts])
    return take(a, a.builder.constant(at), place)


# Ranges.


@composed(np.linspace, arrays=("start", "stop"), keeps_weak=True)
def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: Any = True,
    retstep: Any = False,
    dtype: Any = None,
    axis: Any = 0,
    *,
    device: Any = None,
) -> Any:
    """``num`` numbers in equal steps; the last is ``stop`` where ``endpoint``."""
    count = operator.index(num)
    if count < 0:
        raise ShapeError(f"np.linspace: the number of samples must not be negative, not {count}")
    div = count - 1 if endpoint else count
    kind = common_dtype(start.value, stop.value)
    kind = np.dtype(np.float64) if kind.kind in "iub" else kind
    first, last = start.astype(kind), stop.astype(kind)
    ndim = max(first.ndim, last.ndim)
    numbers = np.arange(count, dtype=kind).reshape((count,) + (1,) * ndim)
    apart = last - first
    step = apart / float(div) if div > 0 else apart * math.nan
    found = numbers * step + first if div > 0 else numbers * apart + first
    if endpoint and count > 1:
        found = np.concatenate([found[:-1], np.broadcast_to(last, tuple(apart.shape))[None]], axis=0)
    found = np.moveaxis(found, 0, axis) if axis != 0 else found
    if dtype is not None:
        found = (np.floor(found) if np.dtype(dtype).kind in "iu" else found).astype(dtype)
    return (found, step) if retstep else found


def _all_integers(*arrays: Any) -> bool:
    return all(not x.is_float for x in arrays)


@composed(np.logspace, arrays=("start", "stop", "base"))
def logspace(
    start: Any, stop: Any, num: Any = 50, endpoint: Any = True, base: Any = 10.0, dtype: Any = None, axis: Any = 0
) -> Any:
    """Powers of ``base`` whose exponents are in equal steps."""
    exponents = linspace(start, stop, num, endpoint, axis=0)
    found = np.power(base, exponents)
    found = np.moveaxis(found, 0, axis) if axis != 0 else found
    return found if dtype is None else found.astype(dtype)


@composed(np.geomspace, arrays=("start", "stop"))
def geomspace(start: Any, stop: Any, num: Any = 50, endpoint: Any = True, dtype: Any = None, axis: Any = 0) -> Any:
    """Numbers of one sign, each the same multiple of the one before."""
    kind = np.result_type(
        common_dtype(start.value, stop.value), np.float64 if _all_integers(start, stop) else np.float32
    )
    first, last = np.broadcast_arrays(start.astype(kind), stop.astype(kind))
    sign = np.sign(first)
    logarithms = linspace(np.log10(first * sign), np.log10(last * sign), num, endpoint)
    found = np.power(kind.type(10), logarithms)
    count = operator.index(num)
    inner = found[1:-1] if endpoint else found[1:]
    if count > 0:
        ends = [last * sign] if endpoint and count > 1 else []
        found = np.concatenate([(first * sign)[None], inner, *[end[None] for end in ends]], axis=0)
    found = found * sign
    found = np.moveaxis(found, 0, axis) if axis != 0 else found
    return found if dtype is None else found.astype(dtype)


# Windows.


@composed(np.lib.stride_tricks.sliding_window_view, arrays=("x",))
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: Any = False, writeable: Any = False
) -> Any:
    """All windows of a shape: the axes of their places, then those of their elements. Copies."""
    if writeable:
        raise TraceError("sliding_window_view: windows overlap and cannot be written on traced arrays; write into x")
    sizes = [
        require_size("sliding_window_view", d, "windows are counted")
        for d in as_shape("sliding_window_view", window_shape)
    ]
    if axis is None and len(sizes) != x.ndim:
        raise ShapeError(f"sliding_window_view: a window of {len(sizes)} axes for {x.value.aval}; give axis=")
    axes = list(range(x.ndim)) if axis is None else [one_axis("sliding_window_view", k, x.ndim) for k in _listed(axis)]
    if len(axes) != len(sizes):
        raise ShapeError(f"sliding_window_view: {len(sizes)} sizes of windows for {len(axes)} axes")
    found = x
    for size, place in zip(sizes, axes, strict=True):
        length = require_size("sliding_window_view", found.shape[place], "windows are counted")
        if not 0 <= size <= length:
            raise ShapeError(
                f"sliding_window_view: a window of {size} does not fit into axis {place} of {x.value.aval}"
            )
        at = _starts(found, length - size + 1, size)[:, None] + np.arange(size)
        found = np.moveaxis(found[(slice(None),) * place + (at,)], place + 1, -1)
    return found


_STORED: Final = 1 << 16
"""Places of windows that are stored as a table; more of them are a sum of two counts in the graph."""


def _starts(x: Any, count: int, size: int) -> Any:
    """Where windows of a size start."""
    starts = np.arange(count)
    return starts if count * size <= _STORED else Array(lifted(x.value.builder, starts))


def _listed(axis: Any) -> Any:
    return axis if isinstance(axis, (tuple, list)) else (axis,)


@composed(np.rollaxis, arrays=("a",))
def rollaxis(a: Any, axis: Any, start: Any = 0) -> Any:
    """An axis moved in front of another."""
    place = one_axis("np.rollaxis", axis, a.ndim, str(a.value.aval))
    target = operator.index(start)
    target = target + a.ndim if target < 0 else target
    if not 0 <= target <= a.ndim:
        raise ShapeError(f"np.rollaxis: start={start} is no axis of {a.value.aval}")
    order = [k for k in range(a.ndim) if k != place]
    order.insert(target - 1 if place < target else target, place)
    return np.transpose(a, order)


@composed(np.cross, arrays=("a", "b"))
def cross(a: Any, b: Any, axisa: Any = -1, axisb: Any = -1, axisc: Any = -1, axis: Any = None) -> Any:
    """The vector product of vectors of three elements; of two it is the third of them."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x = np.moveaxis(a, axisa, -1)
    y = np.moveaxis(b, axisb, -1)
    sizes = (x.shape[-1], y.shape[-1])
    if not set(sizes) <= {2, 3}:
        raise ShapeError(f"np.cross: {a.value.aval} and {b.value.aval} must be made of vectors of 3 elements")
    first, second = ([v[..., k] for k in range(v.shape[-1])] for v in (x, y))
    third = first[0] * second[1] - first[1] * second[0]
    if sizes == (2, 2):
        return third
    zero = np.zeros((), np.result_type(a.dtype, b.dtype))
    u, v = ([*v, zero][:3] for v in (first, second))
    parts = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], third]
    return np.moveaxis(np.stack(np.broadcast_arrays(*parts), axis=-1), -1, axisc)
