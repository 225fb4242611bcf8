"""Positions in an array as one number or as one for each axis, and counts in boxes of several dimensions."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import require_size
from gradc.frontend.numpy_api.notation import Array, composed, lifted
from gradc.frontend.numpy_api.statistics import edges_of

_COUNTED = "positions are counted along it"


def _sizes(name: str, shape: Any, order: Any) -> tuple[int, ...]:
    """A shape as numbers. Raises ShapeError for symbolic sizes, TraceError for an order that is none."""
    if order not in ("C", "F"):
        raise TraceError(f"{name}: order={order!r} is none of 'C', 'F'")
    listed = tuple(shape) if isinstance(shape, (tuple, list, np.ndarray)) else (shape,)
    return tuple(require_size(name, d, _COUNTED) for d in listed)


def _strides(sizes: tuple[int, ...], order: str) -> list[int]:
    """How many positions apart neighbours are along each axis."""
    along = sizes if order == "C" else sizes[::-1]
    strides = [int(np.prod(along[k + 1 :], dtype=np.int64)) for k in range(len(along))]
    return strides if order == "C" else strides[::-1]


def _checked(place: Any, size: int, is_inside: Any) -> Any:
    """A position along an axis; one that is outside is an index that is out of bounds where it runs."""
    positions = Array(lifted(place.value.builder, np.arange(size)))
    return positions[np.where(is_inside, place, size)]


def _whole(name: str, x: Any) -> Any:
    if x.dtype.kind not in "iu":
        raise TraceError(f"{name}: {x.value.aval} must be integers")
    return x.astype(np.int64)


@composed(np.unravel_index, arrays=("indices",))
def unravel_index(indices: Any, shape: Any, order: Any = "C") -> Any:
    """The position along each axis of elements that are counted in order."""
    sizes = _sizes("np.unravel_index", shape, order)
    flat = _whole("np.unravel_index", indices)
    inside = (flat >= 0) & (flat < int(np.prod(sizes, dtype=np.int64)))
    strides = _strides(sizes, order)
    return tuple([_checked(flat // s % max(d, 1), d, inside) for s, d in zip(strides, sizes, strict=True)])


@composed(np.ravel_multi_index, sequences=("multi_index",))
def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: Any = "C") -> Any:
    """The number of elements before those at positions along each axis."""
    name = "np.ravel_multi_index"
    sizes = _sizes(name, dims, order)
    modes = (mode,) * len(sizes) if isinstance(mode, str) else tuple(mode)
    places = list(multi_index) if isinstance(multi_index, (list, tuple)) else _rows(multi_index)
    if not len(places) == len(sizes) == len(modes):
        raise ShapeError(f"{name}: {len(places)} positions and {len(modes)} modes for {len(sizes)} axes")
    total: Any = 0
    for place, size, how, stride in zip(places, sizes, modes, _strides(sizes, order), strict=True):
        total = total + _moved_inside(name, _whole(name, place), size, how) * stride
    return total


def _moved_inside(name: str, place: Any, size: int, mode: Any) -> Any:
    if mode == "wrap":
        return place % size
    if mode == "clip":
        return np.clip(place, 0, size - 1)
    if mode != "raise":
        raise TraceError(f"{name}: mode={mode!r} is none of 'raise', 'wrap', 'clip'")
    return _checked(place, size, place >= 0)


def _rows(x: Any) -> list[Any]:
    return [x[k] for k in range(require_size("np.ravel_multi_index", x.shape[0], "its parts are taken apart"))]


# Histograms.


@composed(np.histogramdd, sequences=("sample",), arrays=("weights",), nested=("bins",))
def histogramdd(sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """How many points, or what weights, lie in each box between ascending edges, the last of which count as inside."""
    return _counted("np.histogramdd", _columns(sample), bins, range, density, weights)


@composed(np.histogram2d, arrays=("x", "y", "weights"), nested=("bins",))
def histogram2d(x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """``histogramdd`` of points ``(x, y)``; edges of one axis are those of both."""
    if isinstance(bins, Array) and bins.ndim == 1:
        bins = [bins, bins]
    elif isinstance(bins, list) and len(bins) > 2:
        bins = [np.stack(bins)] * 2
    found, (of_x, of_y) = _counted("np.histogram2d", [x, y], bins, range, density, weights)
    return found, of_x, of_y


def _columns(sample: Any) -> list[Any]:
    """The coordinates of points: an array has a row for each point, a list an array for each coordinate."""
    if isinstance(sample, (list, tuple)):
        return [np.ravel(x) for x in sample]
    if sample.ndim == 1:
        return [sample]
    if sample.ndim != 2:
        raise ShapeError(f"np.histogramdd: {sample.value.aval} must have a row for each point")
    return [sample[:, k] for k in np.arange(require_size("np.histogramdd", sample.shape[1], "axes are made of it"))]


def _counted(name: str, columns: list[Any], bins: Any, ranges: Any, density: Any, weights: Any) -> Any:
    count = len(columns)
    each = bins if isinstance(bins, list) else [bins] * count
    spans = [None] * count if ranges is None else list(ranges)
    if not len(each) == len(spans) == count:
        raise ShapeError(f"{name}: bins for {len(each)} and ranges for {len(spans)} of {count} coordinates")
    edges = [_edges(name, x, b, r) for x, b, r in zip(columns, each, spans, strict=True)]
    sizes = [require_size(name, e.shape[0], "bins are counted") + 1 for e in edges]
    flat: Any = 0
    for x, e, size in zip(columns, edges, sizes, strict=True):
        place = np.searchsorted(e, x, side="right")
        flat = flat * size + np.where(x == e[-1], place - 1, place)
    found = np.bincount(flat, weights, minlength=int(np.prod(sizes))).astype(np.float64)
    inner = found.reshape(sizes)[tuple(slice(1, -1) for _ in sizes)]
    if density:
        volume: Any = 1.0
        for k, e in enumerate(edges):
            volume = volume * np.diff(e).reshape([-1 if k == j else 1 for j, _ in enumerate(sizes)])
        inner = inner / volume / np.sum(inner)
    return inner, edges


def _edges(name: str, x: Any, bins: Any, span: Any) -> Any:
    if isinstance(bins, list):
        return np.stack(bins)
    if not isinstance(bins, int) and bins.ndim:
        return bins
    number: Any = np.int64(bins) if isinstance(bins, int) else x.value.builder.scalar(bins.value)
    if number is None or number.dtype.kind not in "iu":
        raise TraceError(f"{name}: the number of bins has to be an int that is known while tracing")
    kind = np.dtype(np.float64) if span is not None or not x.is_float else x.dtype
    return edges_of(x, operator.index(number.item()), span, kind)
