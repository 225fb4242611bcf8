"""Which axes generalized ufuncs work along: ``axes=``, ``axis=`` and ``keepdims=`` of np.matmul, vecdot and others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import one_axis
from gradc.frontend.numpy_api.shapes import expand_dims, moveaxis
from gradc.ir.graph import Value

Axes = tuple[int, ...]


def applied(
    ufunc: np.ufunc, values: Sequence[Value], keywords: dict[str, Any], call: Callable[[tuple[Value, ...]], Value]
) -> Value:
    """``call(values)`` with the axes that the keywords say as the last ones of operands and of the result.

    Raises ShapeError for axes that do not fit, TraceError for other keywords.
    """
    axes, axis = keywords.pop("axes", None), keywords.pop("axis", None)
    keepdims = bool(keywords.pop("keepdims", False))
    name = f"np.{ufunc.__name__}"
    for word in keywords:
        raise TraceError(f"{name}: {word}= is not supported on traced arrays")
    if axes is None and axis is None and not keepdims:
        return call(tuple(values))
    counts = _counts(ufunc, values)
    if (axis is not None and axes is not None) or (keepdims and (counts[-1] or len(set(counts[:-1])) > 1)):
        raise ShapeError(f"{name}: of {ufunc.signature}, axes= takes no axis= beside it, or keepdims= keeps nothing")
    if axis is not None:
        if counts[-1] or any(count > 1 for count in counts):
            raise ShapeError(f"{name}: axis= is for one axis, and the axes are {ufunc.signature}; write axes=")
        axes = [(axis,) * count for count in (*counts[:-1], counts[0] if keepdims else 0)]
    listed = _listed(ufunc, axes, counts, keepdims)
    moved = [_last(name, v, own) for v, own in zip(values, listed, strict=False)]
    result = call(tuple(moved))
    if keepdims:
        for _ in listed[-1]:
            result = expand_dims(result, -1)
    own = _inside(name, result, listed[-1])
    return moveaxis(result, tuple(range(result.aval.ndim - len(own), result.aval.ndim)), own) if own else result


def _counts(ufunc: np.ufunc, values: Sequence[Value]) -> list[int]:
    """How many axes each operand and the result have in the signature, as in ``(n?,k),(k,m?)->(n?,m?)``.

    Those with a question mark are missing in vectors, and then in the result.
    """
    assert ufunc.signature is not None
    groups = ufunc.signature.replace("->", ",").replace("),(", ") (").split()
    words = [[word for word in group.strip("()").split(",") if word] for group in groups]
    missing = {w for own, v in zip(words, values, strict=False) if v.aval.ndim < len(own) for w in own if "?" in w}
    return [len([word for word in own if word not in missing]) for own in words]


def _listed(ufunc: np.ufunc, axes: Any, counts: list[int], keepdims: bool) -> list[Axes]:
    """The axes of each operand and of the result."""
    wanted = [*counts[:-1], counts[0] if keepdims else counts[-1]]
    if axes is None:
        return [tuple(range(-count, 0)) for count in wanted]
    listed = [(a,) if isinstance(a, (int, np.integer)) else tuple(a) for a in axes]
    if len(listed) == len(counts) - 1 and (keepdims or not counts[-1]):
        listed.append(listed[0] if keepdims else ())
    if [len(a) for a in listed] != wanted:
        raise ShapeError(f"np.{ufunc.__name__}: axes={axes!r} are not those of {ufunc.signature}, one tuple an array")
    return listed


def _inside(name: str, x: Value, axes: Axes) -> Axes:
    return tuple(one_axis(name, a, x.aval.ndim, str(x.aval)) for a in axes)


def _last(name: str, x: Value, axes: Axes) -> Value:
    """The value with these axes behind the others."""
    own = _inside(name, x, axes)
    return moveaxis(x, own, tuple(range(x.aval.ndim - len(own), x.aval.ndim))) if own else x
