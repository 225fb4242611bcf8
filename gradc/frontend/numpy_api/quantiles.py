"""Medians and quantiles of NumPy over Values: elements of the sorted array, and what lies between two of them.

The derivative is shared by the two elements that a quantile lies between. (Hyndman and Fan, Sample quantiles in
statistical packages, 1996, for the methods.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import require_size
from gradc.frontend.numpy_api.notation import composed
from gradc.frontend.numpy_api.promote import python_constant


def _rows(name: str, a: Any, axis: Any) -> tuple[Any, tuple[Any, ...]]:
    """The axes to reduce made one, the last, and the shape with these axes kept."""
    axes = range(a.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    places = sorted(k % a.ndim if -a.ndim <= k < a.ndim else _outside(name, k, a) for k in axes)
    if len(set(places)) != len(places):
        raise ShapeError(f"{name}: axis {axis} names an axis of {a.value.aval} twice")
    rest = [k for k in range(a.ndim) if k not in places]
    moved = np.transpose(a, (*rest, *places))
    count = 1
    for k in places:
        count *= require_size(name, a.shape[k], "its elements are put in order")
    if not count:
        raise ShapeError(f"{name}: {a.value.aval} has no element along axis {axis}")
    kept = tuple(1 if k in places else d for k, d in enumerate(a.shape))
    return moved.reshape((*(a.shape[k] for k in rest), count)), kept


def _outside(name: str, axis: int, a: Any) -> int:
    raise ShapeError(f"{name}: axis {axis} is out of bounds for {a.value.aval}")


def _sorted(a: Any) -> tuple[Any, Any]:
    """The rows in order, and whether a row has a NaN, which floats may."""
    may_lack = a.dtype.kind in "fc"
    ordered = np.sort(a if may_lack else a.astype(np.float64), axis=-1)
    return ordered, np.isnan(ordered[..., -1]) if may_lack else None


def _nan_where(mask: Any, x: Any) -> Any:
    return x if mask is None else np.where(mask, x.dtype.type(math.nan), x)


# Medians.


@composed(np.median, arrays=("a",))
def median(a: Any, axis: Any = None, overwrite_input: Any = False, keepdims: Any = False) -> Any:
    """The element in the middle, or the mean of the two; NaN where there is a NaN, or no element."""
    if 0 in a.shape:
        return np.mean(a, axis=axis, keepdims=keepdims)
    rows, kept = _rows("np.median", a, axis)
    size = rows.shape[-1]
    ordered, has_nan = _sorted(rows)
    middle = ordered[..., size // 2]
    if size % 2 == 0:
        middle = np.mean(ordered[..., size // 2 - 1 : size // 2 + 1], axis=-1)
    # Of a complex NaN NumPy keeps both parts: that which is last in order is the median.
    found = np.where(has_nan, ordered[..., -1], middle) if a.dtype.kind == "c" else _nan_where(has_nan, middle)
    return found.reshape(kept) if keepdims else found


@composed(np.nanmedian, arrays=("a",))
def nanmedian(a: Any, axis: Any = None, overwrite_input: Any = False, keepdims: Any = False) -> Any:
    """The median of the numbers, NaN where there are none."""
    if a.dtype.kind not in "fc":
        return median(a, axis, False, keepdims)
    rows, kept = _rows("np.nanmedian", a, axis)
    ordered, _ = _sorted(rows)
    count = np.sum(~np.isnan(rows), axis=-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=-1)[..., 0]
    high = np.take_along_axis(ordered, count // 2 % rows.shape[-1], axis=-1)[..., 0]
    middle = np.where((count % 2 == 1)[..., 0], low, (low + high) / 2.0)
    found = _nan_where((count == 0)[..., 0], middle)
    return found.reshape(kept) if keepdims else found


# Quantiles.


class _Method(NamedTuple):
    """Where a quantile lies: at ``place(n, q)``, counted from 0; ``settle`` may change the part behind the comma."""

    place: Callable[[Any, Any], Any]
    settle: Callable[[Any, Any], Any] | None = None


def _between(alpha: float, beta: float) -> Callable[[Any, Any], Any]:
    return lambda n, q: n * q + (alpha + q * (1 - alpha - beta)) - 1


def _half_even(gamma: Any, place: Any) -> Any:
    """0 where the place is even and nothing lies behind the comma, else 1."""
    return np.where((gamma == 0) & (np.floor(place) % 2 == 0), 0.0, 1.0)


_METHODS: Final[dict[str, _Method]] = {
    "linear": _Method(lambda n, q: (n - 1) * q),
    "lower": _Method(lambda n, q: np.floor((n - 1) * q)),
    "higher": _Method(lambda n, q: np.ceil((n - 1) * q)),
    "midpoint": _Method(lambda n, q: 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q))),
    "nearest": _Method(lambda n, q: np.rint((n - 1) * q)),
    "inverted_cdf": _Method(lambda n, q: n * q - 1, lambda gamma, place: np.where(gamma > 0, 1.0, 0.0)),
    "averaged_inverted_cdf": _Method(lambda n, q: n * q - 1, lambda gamma, place: np.where(gamma > 0, 1.0, 0.5)),
    "closest_observation": _Method(lambda n, q: n * q - 1 - 0.5, _half_even),
    "interpolated_inverted_cdf": _Method(_between(0.0, 1.0)),
    "hazen": _Method(_between(0.5, 0.5)),
    "weibull": _Method(_between(0.0, 0.0)),
    "median_unbiased": _Method(_between(1 / 3, 1 / 3)),
    "normal_unbiased": _Method(_between(3 / 8, 3 / 8)),
}


def _quantile(name: str, a: Any, q: Any, axis: Any, method: Any, keepdims: Any, ignore: bool, scale: float) -> Any:
    """Quantiles of the rows of ``a``, the axes of ``q`` in front; with ``ignore`` of the numbers alone."""
    if method not in _METHODS:
        raise TraceError(f"{name}: method={method!r} is none of {', '.join(_METHODS)}")
    is_number = python_constant(q.value) is not None
    kind = np.result_type(a.dtype if a.is_float else np.float64, 0.0 if is_number else q.dtype)
    rows, kept = _rows(name, a, axis)
    ordered, has_nan = _sorted(rows)
    wanted = (q.astype(kind) if q.dtype != kind else q) / kind.type(scale) if scale != 1 else q.astype(kind)
    flat = np.ravel(wanted)
    size = rows.shape[-1]
    if ignore and a.is_float:
        count: Any = np.sum(~np.isnan(rows), axis=-1, keepdims=True).astype(kind)
        has_nan = (count == 0)[..., 0]
    else:
        count = kind.type(size)
    rule = _METHODS[method]
    place = rule.place(count, flat)
    last = count - 1
    base = np.floor(place)
    gamma = place - base
    if rule.settle is not None:
        gamma = rule.settle(gamma, place).astype(kind)
    low = np.clip(base, 0, np.maximum(last, kind.type(0)))
    high = np.clip(base + 1, 0, np.maximum(last, kind.type(0)))
    gamma = np.where(place < 0, kind.type(0), np.where(place >= last, kind.type(0), gamma))
    shape = (*rows.shape[:-1], flat.shape[0])

    def at(index: Any) -> Any:
        return np.take_along_axis(ordered, np.broadcast_to(index.astype(np.int64), shape), axis=-1)

    first, second = at(low), at(high)
    apart = second - first
    between = np.where(gamma >= 0.5, second - apart * (1 - gamma), first + apart * gamma)
    between = np.where(gamma == 0, first, np.where(gamma == 1, second, between))
    found = np.moveaxis(between, -1, 0)
    found = _nan_where(has_nan, found)
    return found.reshape((*q.shape, *(kept if keepdims else rows.shape[:-1])))


def _weighted(name: str, a: Any, q: Any, axis: Any, keepdims: Any, weights: Any, ignore: bool, scale: float) -> Any:
    """The first elements in order whose weights, with those before, reach the part ``q`` of all weights."""
    if weights.shape != a.shape:
        place = axis if isinstance(axis, int) else None
        if place is None or weights.ndim != 1 or weights.shape[0] != a.shape[place]:
            raise ShapeError(
                f"{name}: weights= is {weights.value.aval} and the array {a.value.aval}; "
                "give a weight for each element, or axis= and one for each place along it"
            )
        along = tuple(-1 if k == place % a.ndim else 1 for k in range(a.ndim))
        weights = np.broadcast_to(weights.reshape(along), a.shape)
    rows, kept = _rows(name, a, axis)
    shares, _ = _rows(name, weights.astype(np.float64), axis)
    if ignore and a.is_float:
        shares = np.where(np.isnan(rows), 0.0, shares)
    order = np.argsort(rows, axis=-1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=-1)
    reached = np.cumsum(np.take_along_axis(shares, order, axis=-1), axis=-1)
    reached = reached / reached[..., -1:]
    number = python_constant(q.value) is not None
    kind = a.dtype if number and a.is_float else np.result_type(q.dtype, np.float32) if q.is_float else np.float64
    wanted = np.ravel(q.astype(kind)) / np.dtype(kind).type(scale)
    reached = reached.astype(kind)
    reached = np.where(reached == 0, -1.0, reached).astype(kind)
    before = np.sum(reached[..., None, :] < wanted[:, None], axis=-1)
    found = np.take_along_axis(ordered, np.minimum(before, rows.shape[-1] - 1), axis=-1)
    has_nan = np.isnan(ordered[..., 0 if ignore else -1]) if a.is_float else None
    found = _nan_where(has_nan, np.moveaxis(found, -1, 0))
    return found.reshape((*q.shape, *(kept if keepdims else rows.shape[:-1])))


def _enter(function: Any, ignore: bool, scale: float) -> None:
    name = f"np.{function.__name__}"

    def quantile(
        a: Any,
        q: Any,
        axis: Any = None,
        overwrite_input: Any = False,
        method: Any = "linear",
        keepdims: Any = False,
        *,
        weights: Any = None,
    ) -> Any:
        """The quantiles ``q`` along axes, between two elements as ``method`` says."""
        if weights is not None:
            if method != "inverted_cdf":
                raise TraceError(f"{name}: with weights= NumPy has method='inverted_cdf' alone, not {method!r}")
            return _weighted(name, a, q, axis, keepdims, weights, ignore, scale)
        return _quantile(name, a, q, axis, method, keepdims, ignore, scale)

    composed(function, arrays=("a", "q", "weights"), keeps_weak=True)(quantile)


_enter(np.quantile, False, 1.0)
_enter(np.percentile, False, 100.0)
_enter(np.nanquantile, True, 1.0)
_enter(np.nanpercentile, True, 100.0)
