"""The methods of ufuncs on traced arrays: reduce, accumulate, reduceat, outer and at.

Those of sums, products, extremes and logic are NumPy's functions; all others are told by the ufunc itself, element
after element along an axis, or by doubling where it is associative.
"""

from __future__ import annotations

import functools
import operator
from typing import Any, Final

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import one_axis, require_size
from gradc.frontend.numpy_api.choices import known
from gradc.frontend.numpy_api.notation import Array, filled
from gradc.frontend.session import Session, is_traced

_REDUCTIONS: Final[dict[np.ufunc, Any]] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_or: np.any,
    np.logical_and: np.all,
}
_ACCUMULATIONS: Final[dict[np.ufunc, Any]] = {np.add: np.cumsum, np.multiply: np.cumprod}

_ASSOCIATIVE: Final = frozenset(
    {np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp, np.logical_and, np.logical_or, np.logical_xor}
)

MOST_STEPS: Final = 1000
"""Elements along an axis that are gone through one by one."""


def reduced(session: Session, ufunc: np.ufunc, x: Any, keywords: dict[str, Any]) -> Any:
    """``ufunc.reduce(x)`` along an axis, by default the first."""
    axis = keywords.pop("axis", 0)
    given = {name: value for name, value in keywords.items() if value is not None and value is not np._NoValue}
    if ufunc in _REDUCTIONS:
        return _REDUCTIONS[ufunc](x, axis=axis, **given)
    name = f"np.{ufunc.__name__}.reduce"
    keepdims, initial, dtype, where = (given.pop(word, None) for word in ("keepdims", "initial", "dtype", "where"))
    _refuse_rest(name, given)
    x = session.lift(x)
    places = _places(ufunc, name, x, axis)
    for count, place in enumerate(sorted(places, reverse=True), 1):
        array, _ = _array(session, ufunc, name, x, place, dtype)
        first = [] if initial is None or count < len(places) else [Array(session.lift(initial))]
        mask = None if where is None or where is True else Array(session.lift(where))
        if mask is not None and len(places) > 1:
            raise TraceError(f"{name}: where= with several axes is not supported; reduce one axis after the other")
        total = _folded(ufunc, name, array, place, first, mask)
        kept = tuple(1 if k == place else d for k, d in enumerate(array.shape))
        x = (total.reshape(kept) if keepdims else total).value
    return x


def _places(ufunc: np.ufunc, name: str, x: Any, axis: Any) -> tuple[int, ...]:
    """The axes that are reduced. Raises ShapeError for several where their order matters to the ufunc."""
    listed = tuple(range(x.aval.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    places = tuple(one_axis(name, a, x.aval.ndim, str(x.aval)) for a in listed)
    if len(set(places)) < len(places):
        raise ShapeError(f"{name}: axis={axis!r} names an axis twice")
    if len(places) != 1:
        try:
            ufunc.reduce(np.ones((1, 1), x.aval.dtype), axis=(0, 1))
        except ValueError:
            raise ShapeError(f"{name}: the order of the elements matters, so axis={axis!r} must be one int") from None
    return places


def _folded(ufunc: np.ufunc, name: str, array: Any, axis: int, first: list[Any], mask: Any = None) -> Any:
    """The elements along an axis combined from the first on, of those for which the mask holds."""
    parts = [array[_at(axis, k)] for k in range(int(array.shape[axis]))]
    if mask is None:
        if first or parts:
            return functools.reduce(ufunc, [*first, *parts])
        if ufunc.identity is None:
            raise ShapeError(f"{name}: {array.value.aval} has no element along axis {axis}, and the ufunc no identity")
        nothing = np.sum(array, axis=axis).astype(ufunc(array, array).dtype)
        return filled(nothing, ufunc.identity)
    if not first and ufunc.identity is None:
        raise ShapeError(f"{name}: where= needs initial=, for the ufunc has no identity")
    total: Any = first[0] if first else ufunc.identity
    held = np.broadcast_to(mask, array.shape)
    for k, part in enumerate(parts):
        total = np.where(held[_at(axis, k)], ufunc(total, part), total)
    return total


def accumulated(session: Session, ufunc: np.ufunc, x: Any, keywords: dict[str, Any]) -> Any:
    """``ufunc.accumulate(x)`` along an axis, by default the first."""
    axis = keywords.pop("axis", 0)
    given = {name: value for name, value in keywords.items() if value is not None}
    if ufunc in _ACCUMULATIONS:
        return _ACCUMULATIONS[ufunc](x, axis=axis, **given)
    name = f"np.{ufunc.__name__}.accumulate"
    dtype = given.pop("dtype", None)
    _refuse_rest(name, given)
    associative = ufunc in _ASSOCIATIVE
    array, place = _array(session, ufunc, name, x, axis, dtype, unbounded=associative)
    size = int(array.shape[place])
    if size < 2:
        return array.value
    if not associative:
        so_far = [array[_at(place, 0)]]
        for k in range(1, size):
            so_far.append(ufunc(so_far[-1], array[_at(place, k)]))
        stacked: Any = np.stack(so_far, axis=place)
        return stacked.value
    reach = 1
    while reach < size:
        later = ufunc(array[_at(place, slice(None, size - reach))], array[_at(place, slice(reach, None))])
        array = np.concatenate([array[_at(place, slice(None, reach))], later], axis=place)
        reach *= 2
    return array.value


def reduced_at(session: Session, ufunc: np.ufunc, x: Any, indices: Any, keywords: dict[str, Any]) -> Any:
    """``ufunc.reduceat(x, indices)``: of the elements from each index to the next, or the one at it."""
    axis = keywords.pop("axis", 0)
    name = f"np.{ufunc.__name__}.reduceat"
    dtype = keywords.pop("dtype", None)
    _refuse_rest(name, {word: value for word, value in keywords.items() if value is not None})
    array, place = _array(session, ufunc, name, x, axis, dtype, unbounded=True)
    size = int(array.shape[place])
    starts = [operator.index(k) for k in known(name, "the indices", session.lift(indices))]
    if any(not 0 <= k < size for k in starts):
        raise ShapeError(f"{name}: the indices {starts} do not all lie within axis {place} of {array.value.aval}")
    parts: list[Any] = []
    for start, stop in zip(starts, [*starts[1:], size], strict=True):
        segment = array[_at(place, slice(start, max(stop, start + 1)))]
        known_as = _REDUCTIONS.get(ufunc)
        parts.append(known_as(segment, axis=place) if known_as else _folded(ufunc, name, segment, place, []))
    stacked: Any = np.stack(parts, axis=place)
    return stacked.value


def outer(ufunc: np.ufunc, a: Any, b: Any, **keywords: Any) -> Any:
    """``ufunc.outer(a, b)``: of every element of the one with every element of the other."""
    return ufunc(np.reshape(a, (*np.shape(a), *(1,) * np.ndim(b))), b, **keywords)


def at(ufunc: np.ufunc, target: Any, index: Any, *values: Any) -> None:
    """``ufunc.at(target, index, value)``: each of repeated indices counts, one after the other."""
    if ufunc in (np.add, np.subtract):
        (value,) = values
        target.add_at(index, value if ufunc is np.add else np.negative(value))
        return
    name = f"np.{ufunc.__name__}.at"
    if not values:
        target[index] = ufunc(target[index])
        return
    (value,) = values
    places = _known_index(index)
    if places is None:
        raise TraceError(f"{name}: indices that are known while tracing are needed; use np.add.at for sums")
    rows = np.arange(np.size(target)).reshape(np.shape(target))[places]
    if len(np.unique(rows)) == rows.size:
        target[index] = ufunc(target[index], value)
        return
    if rows.size > MOST_STEPS:
        raise TraceError(f"{name}: {rows.size} elements are more than the {MOST_STEPS} that are written out one by one")
    spread = np.broadcast_to(value, rows.shape)
    for k in np.ndindex(rows.shape):
        place = np.unravel_index(rows[k], np.shape(target))
        target[place] = ufunc(target[place], spread[k])


def _known_index(index: Any) -> Any:
    """The index with plain arrays in the place of traced ones; None where one is data."""
    if isinstance(index, tuple):
        parts = [_known_index(part) for part in index]
        return None if any(p is None and i is not None for p, i in zip(parts, index, strict=True)) else tuple(parts)
    return index.constant() if is_traced(index) else index


def _array(
    session: Session, ufunc: np.ufunc, name: str, x: Any, axis: Any, dtype: Any, *, unbounded: bool = False
) -> tuple[Any, int]:
    """The array and its axis, whose size is known and, unless told otherwise, small enough to write out."""
    if ufunc.nin != 2 or ufunc.nout != 1:
        raise TraceError(f"{name}: only ufuncs of two arguments with one result have it")
    array = Array(session.lift(x))
    listed = axis if isinstance(axis, tuple) else (axis,)
    if len(listed) != 1 or listed[0] is None:
        raise ShapeError(f"{name}: axis={axis!r} must be one int")
    place = one_axis(name, listed[0], array.ndim, str(array.value.aval))
    size = require_size(name, array.shape[place], "its elements are gone through one by one")
    if size > MOST_STEPS and not unbounded:
        raise TraceError(f"{name}: {size} elements are more than the {MOST_STEPS} that are written out one by one")
    return array if dtype is None else array.astype(dtype), place


def _at(axis: int, part: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, part)


def _refuse_rest(name: str, keywords: dict[str, Any]) -> None:
    for word in keywords:
        raise TraceError(f"{name}: {word}= is not supported on traced arrays")
