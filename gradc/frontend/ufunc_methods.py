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
from gradc.frontend.numpy_api.notation import Array
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
    if "out" in given:
        given["out"] = given["out"][0] if isinstance(given["out"], tuple) else given["out"]
    if ufunc in _REDUCTIONS:
        return _REDUCTIONS[ufunc](x, axis=axis, **given)
    name = f"np.{ufunc.__name__}.reduce"
    keepdims, initial, dtype = (given.pop(word, None) for word in ("keepdims", "initial", "dtype"))
    _refuse_rest(name, given)
    array, place = _array(session, ufunc, name, x, 0 if axis is None and x.ndim == 1 else axis, dtype)
    first = [] if initial is None else [Array(session.lift(initial))]
    total = _folded(ufunc, name, array, place, first)
    kept = tuple(1 if k == place else d for k, d in enumerate(array.shape))
    return (total.reshape(kept) if keepdims else total).value


def _folded(ufunc: np.ufunc, name: str, array: Any, axis: int, first: list[Any]) -> Any:
    """The elements along an axis combined from the first on."""
    parts = [*first, *(array[_at(axis, k)] for k in range(int(array.shape[axis])))]
    if not parts:
        raise ShapeError(f"{name}: {array.value.aval} has no element along axis {axis}, and the ufunc no identity")
    return functools.reduce(ufunc, parts)


def accumulated(session: Session, ufunc: np.ufunc, x: Any, keywords: dict[str, Any]) -> Any:
    """``ufunc.accumulate(x)`` along an axis, by default the first."""
    axis = keywords.pop("axis", 0)
    given = {name: value for name, value in keywords.items() if value is not None}
    if ufunc in _ACCUMULATIONS:
        if "out" in given:
            given["out"] = given["out"][0]
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


def outer(ufunc: np.ufunc, a: Any, b: Any) -> Any:
    """``ufunc.outer(a, b)``: of every element of the one with every element of the other."""
    return ufunc(np.reshape(a, (*np.shape(a), *(1,) * np.ndim(b))), b)


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
    places = index.constant() if is_traced(index) else index
    if places is None or isinstance(places, tuple):
        raise TraceError(f"{name}: one array of indices that are known while tracing is needed; use np.add.at for sums")
    if isinstance(places, (int, np.integer, slice)) or np.asarray(places).dtype == bool:
        target[places] = ufunc(target[places], value)
        return
    flat = np.ravel(places)
    if flat.size > MOST_STEPS:
        raise TraceError(f"{name}: {flat.size} indices are more than the {MOST_STEPS} that are written out one by one")
    spread = np.reshape(np.broadcast_to(value, np.shape(target[places])), (flat.size, *np.shape(target)[1:]))
    for k, place in enumerate(flat.tolist()):
        target[place] = ufunc(target[place], spread[k])


def _array(
    session: Session, ufunc: np.ufunc, name: str, x: Any, axis: Any, dtype: Any, *, unbounded: bool = False
) -> tuple[Any, int]:
    """The array and its axis, whose size is known and, unless told otherwise, small enough to write out."""
    if ufunc.nin != 2 or ufunc.nout != 1:
        raise TraceError(f"{name}: only ufuncs of two arguments with one result have it")
    array = Array(session.lift(x))
    listed = axis if isinstance(axis, tuple) else (axis,)
    if len(listed) != 1 or listed[0] is None:
        raise TraceError(f"{name}: axis={axis!r} must be one int on traced arrays; reduce one axis after the other")
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
