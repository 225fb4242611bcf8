"""NumPy's functions that choose among arrays, or elements at places that are known, over Values."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import one_axis, require_size
from gradc.frontend.numpy_api.notation import Array, composed
from gradc.frontend.numpy_api.promote import common_dtype
from gradc.ir.graph import Value


def known(name: str, what: str, x: Any) -> np.ndarray:
    """An array whose elements are known while tracing. Raises TraceError where they are data."""
    value = x.value if isinstance(x, Array) else x
    if isinstance(value, Value):
        node = value.node
        if node.op.name != "constant":
            raise TraceError(
                f"{name}: the shape of the result depends on {what}, which is data ({value.aval}); "
                f"make {what} outside of the function, or use np.where"
            )
        found: np.ndarray = node.params["value"]
        return found
    return np.asarray(x)


@composed(np.select, sequences=("condlist", "choicelist"), arrays=("default",), keeps_weak=True)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """For each element the choice of the first condition that holds, else the default."""
    condlist, choicelist = (list(x) if isinstance(x, (list, tuple)) else _rows(x) for x in (condlist, choicelist))
    if len(condlist) != len(choicelist) or not condlist:
        raise ShapeError(f"np.select: {len(condlist)} conditions for {len(choicelist)} choices; each needs one")
    for condition in condlist:
        if condition.dtype != np.dtype(bool):
            raise TraceError(f"np.select: the condition {condition.value.aval} is not of dtype bool; compare it with 0")
    values = [c.value for c in choicelist]
    dtype = common_dtype(*values, *([default.value] if isinstance(default, Array) else []))
    if not isinstance(default, Array):
        dtype = np.result_type(dtype, default)
    shape = np.broadcast_shapes(*[tuple(c.shape) for c in (*condlist, *choicelist)])
    last: Any = default.astype(dtype) if isinstance(default, Array) else np.asarray(default, dtype)
    found: Any = np.broadcast_to(last, shape)
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        found = np.where(condition, choice.astype(dtype), found)
    return found


def _rows(x: Any) -> list[Any]:
    """What is along the first axis of an array, as a list."""
    return [x[k] for k in range(require_size("np.select", x.shape[0], "its rows are counted"))]


@composed(np.choose, arrays=("a",), sequences=("choices",))
def choose(a: Any, choices: Any, mode: Any = "raise") -> Any:
    """For each number of ``a`` the element there of the choice that it counts.

    A number beyond the choices raises when it runs, unless ``mode`` is "wrap" or "clip".
    """
    if isinstance(choices, Array):
        choices = [choices[k] for k in range(require_size("np.choose", choices.shape[0], "choices are counted"))]
    if a.dtype.kind not in "iub":
        raise TraceError(f"np.choose: {a.value.aval} is not of an integer dtype; convert it")
    count = len(choices)
    index = in_mode("np.choose", a.astype(np.int64), count, mode)
    dtype = common_dtype(*[c.value for c in choices])
    shape = np.broadcast_shapes(tuple(a.shape), *[tuple(c.shape) for c in choices])
    stacked = np.stack([np.broadcast_to(c.astype(dtype), shape) for c in choices])
    if mode == "raise":
        index = np.where(index < 0, count, index)
    return np.take_along_axis(stacked, np.broadcast_to(index, shape)[None], axis=0)[0]


def in_mode(name: str, index: Any, size: Any, mode: Any) -> Any:
    """Positions within a size as ``mode`` says; those of "raise" are as they were."""
    if mode == "wrap":
        return index % size
    if mode == "clip":
        return np.clip(index, 0, size - 1)
    if mode != "raise":
        raise TraceError(f"{name}: mode={mode!r} is none of 'raise', 'wrap', 'clip'")
    return index


# Places that are known.


@composed(np.compress, arrays=("condition", "a"))
def compress(condition: Any, a: Any, axis: Any = None) -> Any:
    """The parts along an axis where a condition holds that is known while tracing."""
    mask = known("np.compress", "the condition", condition).astype(bool)
    x = np.ravel(a) if axis is None else a
    place = 0 if axis is None else one_axis("np.compress", axis, a.ndim, str(a.value.aval))
    if mask.ndim != 1:
        raise ShapeError("np.compress: the condition must have one axis")
    return np.take(x, np.flatnonzero(mask), axis=place)


@composed(np.extract, arrays=("condition", "arr"))
def extract(condition: Any, arr: Any) -> Any:
    """The elements where a condition holds that is known while tracing."""
    return np.take(np.ravel(arr), np.flatnonzero(known("np.extract", "the condition", condition)))


@composed(np.delete, arrays=("arr", "obj"), counts=("obj",))
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    """Without the parts along an axis at places that are known while tracing."""
    x = np.ravel(arr) if axis is None else arr
    place = 0 if axis is None else one_axis("np.delete", axis, arr.ndim, str(arr.value.aval))
    size = require_size("np.delete", x.shape[place], "its places are counted")
    return np.take(x, np.delete(np.arange(size), _places("np.delete", obj)), axis=place)


@composed(np.insert, arrays=("arr", "obj", "values"), counts=("obj",))
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """With ``values`` before the places along an axis, which are known while tracing."""
    x = np.ravel(arr) if axis is None else arr
    place = 0 if axis is None else one_axis("np.insert", axis, arr.ndim, str(arr.value.aval))
    size = require_size("np.insert", x.shape[place], "its places are counted")
    where = _places("np.insert", obj)
    single = not isinstance(where, slice) and np.ndim(where) == 0
    numbers = np.insert(np.arange(size), where, -1)
    count = numbers.size - size
    new = values.astype(x.dtype)
    if single:
        # The axis of the values is the one that is new, as of an assignment to a single place.
        new = np.moveaxis(
            np.atleast_1d(new).reshape((1,) * (x.ndim - max(new.ndim, 1)) + np.atleast_1d(new).shape), 0, place
        )
        count = int(new.shape[place])
        at = operator.index(where) + (size if where < 0 else 0)
        numbers = np.insert(np.arange(size), [at] * count, -1)
    shape = tuple(count if k == place else d for k, d in enumerate(x.shape))
    both = np.concatenate([x, np.broadcast_to(new, shape)], axis=place)
    sources = numbers.copy()
    sources[numbers < 0] = size + (np.arange(count) if single else _ranks(where, size))
    return np.take(both, sources, axis=place)


def _ranks(where: Any, size: int) -> np.ndarray:
    """Which of the values comes first, second, ... in the result: NumPy puts them in the order of their places."""
    if isinstance(where, slice):
        where = np.arange(*where.indices(size))
    places = np.asarray(where)
    places = np.flatnonzero(places) if places.dtype == bool else places
    return np.argsort(np.where(places < 0, places + size, places), kind="stable")


def _places(name: str, obj: Any) -> Any:
    if isinstance(obj, slice):
        return obj
    found = known(name, "the places", obj)
    return found.item() if found.ndim == 0 else found
