"""NumPy's reductions that ignore NaN, over Values: a neutral number stands in the place of each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradc.frontend.numpy_api.notation import composed
from gradc.ops.complex import real_dtype


def _without(a: Any, number: float) -> Any:
    """``a`` with a number in the place of each NaN."""
    return np.where(np.isnan(a), a.dtype.type(number), a) if _may_lack(a) else a


def _may_lack(a: Any) -> bool:
    """Whether the dtype has NaN."""
    return a.dtype.kind in "fc"


def _counted(a: Any, axis: Any, keepdims: Any, where: Any) -> Any:
    """How many numbers there are, in the dtype of their mean."""
    kind = real_dtype(a.dtype) if _may_lack(a) else np.float64
    return np.sum((~np.isnan(a)).astype(kind), axis=axis, keepdims=keepdims, **_chosen(where))


def _chosen(where: Any) -> dict[str, Any]:
    return {} if where is None else {"where": where}


def _given(**parameters: Any) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


@composed(np.nansum, arrays=("a", "initial", "where"))
def nansum(
    a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False, initial: Any = None, where: Any = None
) -> Any:
    """The sum of the numbers."""
    return np.sum(_without(a, 0.0), axis=axis, dtype=dtype, keepdims=keepdims, **_given(initial=initial, where=where))


@composed(np.nanprod, arrays=("a", "initial", "where"))
def nanprod(
    a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False, initial: Any = None, where: Any = None
) -> Any:
    """The product of the numbers."""
    return np.prod(_without(a, 1.0), axis=axis, dtype=dtype, keepdims=keepdims, **_given(initial=initial, where=where))


@composed(np.nancumsum, arrays=("a",))
def nancumsum(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    """The sum of the numbers up to each element."""
    return np.cumsum(_without(a, 0.0), axis=axis, dtype=dtype)


@composed(np.nancumprod, arrays=("a",))
def nancumprod(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    """The product of the numbers up to each element."""
    return np.cumprod(_without(a, 1.0), axis=axis, dtype=dtype)


@composed(np.nanmean, arrays=("a", "where"))
def nanmean(a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False, *, where: Any = None) -> Any:
    """The mean of the numbers, NaN where there are none."""
    if not _may_lack(a):
        return np.mean(a, axis=axis, dtype=dtype, keepdims=keepdims, **_chosen(where))
    x = _without(a, 0.0) if dtype is None else _without(a, 0.0).astype(dtype)
    total = np.sum(x, axis=axis, keepdims=keepdims, **_chosen(where))
    return total / _counted(a, axis, keepdims, where).astype(total.dtype)


@composed(np.nanvar, arrays=("a", "where", "mean"))
def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """The variance of the numbers; NaN where there are not more of them than ``ddof``."""
    less = ddof if correction is None else correction
    if not _may_lack(a):
        return np.var(a, axis, dtype, ddof=less, keepdims=keepdims, **_given(where=where, mean=mean))
    centre = nanmean(a, axis, dtype, True, where=where) if mean is None else mean
    distance = _without(a - centre, 0.0)
    count = _counted(a, axis, keepdims, where)
    freedom = count - less
    squares = np.real(distance * np.conj(distance)) if distance.dtype.kind == "c" else distance * distance
    total = np.sum(squares, axis=axis, keepdims=keepdims, **_chosen(where))
    total, freedom = total, freedom.astype(total.dtype)
    return np.where(
        freedom <= 0, total.dtype.type(math.nan), total / np.where(freedom <= 0, freedom.dtype.type(1), freedom)
    )


@composed(np.nanstd, arrays=("a", "where", "mean"))
def nanstd(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """The square root of the variance of the numbers."""
    variance = nanvar(a, axis, dtype, ddof, keepdims, where=where, mean=mean, correction=correction)
    return np.where(variance == 0, 0.0, np.sqrt(variance))


def _extreme(reduce: Any, a: Any, axis: Any, keepdims: Any, empty: float, given: dict[str, Any]) -> Any:
    """An extremum of the numbers; NaN where there are none."""
    if not a.is_float:
        return reduce(a, axis=axis, keepdims=keepdims, **given)
    found = reduce(_without(a, empty), axis=axis, keepdims=keepdims, **given)
    if given:
        return found
    none = np.all(np.isnan(a), axis=axis, keepdims=keepdims)
    return np.where(none, a.dtype.type(math.nan), found)


@composed(np.nanmax, arrays=("a", "initial", "where"))
def nanmax(a: Any, axis: Any = None, keepdims: Any = False, initial: Any = None, where: Any = None) -> Any:
    """The largest number, NaN where there is none."""
    return _extreme(np.max, a, axis, keepdims, -math.inf, _given(initial=initial, where=where))


@composed(np.nanmin, arrays=("a", "initial", "where"))
def nanmin(a: Any, axis: Any = None, keepdims: Any = False, initial: Any = None, where: Any = None) -> Any:
    """The smallest number, NaN where there is none."""
    return _extreme(np.min, a, axis, keepdims, math.inf, _given(initial=initial, where=where))


@composed(np.nanargmax, arrays=("a",))
def nanargmax(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    """The first position of the largest number; 0 where there is none, where NumPy raises."""
    return np.argmax(_without(a, -math.inf), axis=axis, keepdims=keepdims)


@composed(np.nanargmin, arrays=("a",))
def nanargmin(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    """The first position of the smallest number; 0 where there is none, where NumPy raises."""
    return np.argmin(_without(a, math.inf), axis=axis, keepdims=keepdims)
