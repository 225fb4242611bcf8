"""NumPy's functions that call a function of the user's: apply_along_axis, apply_over_axes, piecewise, vectorize.

The function is called as NumPy calls it, once for each row or element, and everything is written out.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.errors import GradcError, ShapeError, TraceError
from gradc.frontend.session import Session, is_traced, require_session

MOST_CALLS: Final = 4096
"""How often a function is called at most."""


def _check_calls(name: str, count: int) -> None:
    if count > MOST_CALLS:
        raise TraceError(
            f"{name}: {count} calls are more than the {MOST_CALLS} that are written out; "
            "write the function for whole arrays"
        )


def _as_array(x: Any) -> Any:
    return x if is_traced(x) else np.asarray(x)


def along_axis(session: Session, func1d: Callable[..., Any], axis: Any, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """``np.apply_along_axis``: the function of every vector along an axis, its result in the place of the vector."""
    place = axis + arr.ndim if axis < 0 else axis
    if not 0 <= place < arr.ndim:
        raise ShapeError(f"np.apply_along_axis: axis {axis} is out of bounds for {arr.aval}")
    shape = tuple(d for k, d in enumerate(arr.shape) if k != place)
    _check_calls("np.apply_along_axis", math.prod(shape))
    if 0 in shape:
        raise ShapeError(f"np.apply_along_axis: {arr.aval} has no vectors along axis {axis}")
    results = [
        func1d(arr[(*index[:place], slice(None), *index[place:])], *args, **kwargs)
        for index in itertools.product(*map(range, shape))
    ]
    whole = np.stack([_as_array(r) for r in results])
    inner = np.shape(whole)[1:]
    apart = np.reshape(whole, (*shape, *inner))
    return np.moveaxis(apart, range(len(shape), len(shape) + len(inner)), range(place, place + len(inner)))


def over_axes(session: Session, func: Callable[..., Any], a: Any, axes: Any) -> Any:
    """``np.apply_over_axes``: the function along one axis after the other, axes that it drops put back."""
    found = a
    for axis in axes if isinstance(axes, (list, tuple, np.ndarray)) else (axes,):
        place = axis + a.ndim if axis < 0 else axis
        made = func(found, place)
        if np.ndim(made) != a.ndim:
            made = np.expand_dims(made, place)
        if np.ndim(made) != a.ndim:
            raise ShapeError("np.apply_over_axes: the function does not give an array with as many axes")
        found = made
    return found


def piecewise(session: Session, x: Any, condlist: Any, funclist: Any, *args: Any, **kwargs: Any) -> Any:
    """``np.piecewise``: where a condition holds, its function of ``x``; the last condition that holds counts.

    NumPy calls a function with the elements for which its condition holds; here it gets all of them, as one vector.
    """
    single = not isinstance(condlist, (list, tuple)) and np.ndim(condlist) in (0, np.ndim(x))
    single = single or (isinstance(condlist, list) and bool(condlist) and np.ndim(condlist[0]) == 0 and np.ndim(x) > 0)
    conditions = [condlist] if single else [condlist[k] for k in range(len(condlist))]
    functions = list(funclist)
    if len(functions) == len(conditions) + 1:
        anywhere = np.any(np.stack([np.broadcast_to(c, np.shape(x)) for c in conditions]), axis=0)
        conditions.insert(0, np.logical_not(anywhere))
        functions.insert(0, functions.pop())
    if len(functions) != len(conditions):
        raise ShapeError(
            f"np.piecewise: {len(functions)} functions for {len(conditions)} conditions; only one more may be given"
        )
    found = np.zeros_like(x)
    for condition, function in zip(conditions, functions, strict=True):
        value = np.reshape(function(np.ravel(x), *args, **kwargs), np.shape(x)) if callable(function) else function
        found = np.where(condition, value, found).astype(found.dtype)
    return found


def vectorized(self: Any, *args: Any, **kwargs: Any) -> Any:
    """A call of ``np.vectorize(function)`` with traced arrays."""
    if self.signature is not None:
        return _of_parts(self, args, kwargs)
    names = [n for n in kwargs if n not in (self.excluded or ())]
    places = [k for k in range(len(args)) if k not in (self.excluded or ())]
    spread = np.broadcast_arrays(*[np.asarray(args[k]) if not is_traced(args[k]) else args[k] for k in places],
                                 *[kwargs[n] for n in names])  # fmt: skip
    shape = np.shape(spread[0])
    _check_calls("np.vectorize", math.prod(shape))
    if 0 in shape:
        raise ShapeError("np.vectorize: without an element the function is never called, and its dtype is not known")
    results = []
    for index in itertools.product(*map(range, shape)):
        given = list(args)
        for k, array in zip(places, spread, strict=False):
            given[k] = array[index]
        named = {**kwargs, **{n: array[index] for n, array in zip(names, spread[len(places) :], strict=True)}}
        results.append(self.pyfunc(*given, **named))
    if isinstance(results[0], tuple):
        return tuple(_together(self, column, shape, k) for k, column in enumerate(zip(*results, strict=True)))
    return _together(self, results, shape, 0)


def _of_parts(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call of ``np.vectorize(function, signature="(n),(n)->()")``: of all parts with the axes that it names."""
    groups = [re.findall(r"\(([^()]*)\)", side) for side in self.signature.replace(" ", "").split("->")]
    depths = [len([word for word in group.split(",") if word]) for group in groups[0]]
    if kwargs or self.excluded or len(args) != len(depths):
        raise TraceError(f"np.vectorize: with signature={self.signature!r} give {len(depths)} arrays in order, or loop")
    arrays = [_as_array(x) for x in args]
    leads = [np.shape(x)[: np.ndim(x) - depth] for x, depth in zip(arrays, depths, strict=True)]
    shape = np.broadcast_shapes(*leads)
    _check_calls("np.vectorize", math.prod(shape))
    if 0 in shape:
        raise ShapeError("np.vectorize: without an element the function is never called, and its dtype is not known")
    spread = [np.broadcast_to(x, (*shape, *np.shape(x)[len(lead) :])) for x, lead in zip(arrays, leads, strict=True)]
    results = [self.pyfunc(*[x[index] for x in spread]) for index in itertools.product(*map(range, shape))]
    if len(groups[1]) == 1:
        return _stacked(self, results, shape, 0)
    return tuple(_stacked(self, column, shape, k) for k, column in enumerate(zip(*results, strict=True)))


def _stacked(self: Any, results: Any, shape: tuple[int, ...], position: int) -> Any:
    """The parts of all calls in one array, in the dtype that ``otypes`` says or that they have."""
    whole = np.stack([_as_array(r) for r in results])
    placed = np.reshape(whole, (*shape, *np.shape(whole)[1:]))
    return placed.astype(np.dtype(self.otypes[position])) if self.otypes else placed


def padded(session: Session, array: Any, pad_width: Any, function: Callable[..., Any], **kwargs: Any) -> Any:
    """``np.pad`` with a function, which writes borders into every vector along one axis after the other."""
    whole = np.pad(array, pad_width).copy()
    plain = np.broadcast_to(0, np.shape(array))
    starts = np.argwhere(np.pad(plain + 1, pad_width))[[0, -1]] if plain.size else None
    if starts is None:
        raise ShapeError(f"np.pad: {array.aval} has no element to be padded by a function")
    widths = [(int(a), size - 1 - int(b)) for a, b, size in zip(*starts, np.shape(whole), strict=True)]
    _check_calls("np.pad", sum(math.prod(np.shape(whole)) // size for size in np.shape(whole)))
    for axis, width in enumerate(widths):
        view = np.moveaxis(whole, axis, -1)
        for index in np.ndindex(np.shape(view)[:-1]):
            function(view[index], width, axis, kwargs)
    return whole


def _together(self: Any, results: Any, shape: tuple[int, ...], position: int) -> Any:
    """The results of all calls in one array, of the dtype that ``otypes`` says or that of the first, as in NumPy."""
    whole = np.reshape(np.stack([_as_array(r) for r in results]), shape)
    dtype = np.dtype(self.otypes[position]) if self.otypes else np.result_type(results[0])
    return whole.astype(dtype)


def located(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a function gives that is told in NumPy's functions; its own errors get the user's line."""
    try:
        return function(*args, **kwargs)
    except GradcError as error:
        raise require_session().located(error) from None
