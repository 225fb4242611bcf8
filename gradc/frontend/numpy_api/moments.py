"""Moments of samples as ``scipy.stats`` has them, over Values. What is not in them, NaN, is passed on."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from gradc.errors import TraceError
from gradc.frontend.numpy_api.axes import require_size
from gradc.frontend.numpy_api.notation import composed, filled


def _sample(name: str, a: Any, axis: Any, nan_policy: Any = "propagate") -> tuple[Any, Any]:
    """Floats and their axes; of all elements as one axis. Raises TraceError where NaN is to be looked for."""
    if nan_policy != "propagate":
        raise TraceError(
            f"scipy.stats.{name}: nan_policy={nan_policy!r} looks at data; leave it out, or use np.nanmean and its like"
        )
    x = a if a.is_float else a.astype(np.float64)
    return (np.ravel(x), 0) if axis is None else (np.atleast_1d(x), axis)


def _count(name: str, x: Any, axis: Any) -> int:
    found = 1
    for k in axis if isinstance(axis, tuple) else (axis,):
        found *= require_size(f"scipy.stats.{name}", x.shape[k], "its elements are counted")
    return found


def _back(found: Any, a: Any, axis: Any, keepdims: Any) -> Any:
    """A result of all elements with the axes of ``a`` kept, where these are."""
    return found.reshape((1,) * a.ndim) if axis is None and keepdims else found


def _power(x: Any, order: int) -> Any:
    """A whole power, by squares as SciPy makes it."""
    if order == 1:
        return x
    half = _power(x, order // 2)
    return half * half * x if order % 2 else half * half


def _ratio(name: str, order: int, a: Any, axis: Any, keepdims: Any, corrected: Any) -> Any:
    """A central moment over that power of the deviation; NaN where all elements are the same, but for rounding.

    ``corrected`` makes of the count and of the ratio what is not biased; None leaves the ratio as it is.
    """
    mean = np.mean(a, axis=axis, keepdims=True)
    apart = a - mean
    second, higher = (np.mean(_power(apart, k), axis=axis, keepdims=keepdims) for k in (2, order))
    size = np.abs(np.mean(a, axis=axis, keepdims=keepdims)) * float(np.finfo(a.dtype).eps)
    same = second <= size * size
    plain = higher / second ** (order / 2)
    found = plain if corrected is None else corrected(_count(name, a, axis), plain)
    return np.where(same, a.dtype.type(math.nan), found)


@composed("scipy.stats:skew", arrays=("a",))
def skew(a: Any, axis: Any = 0, bias: Any = True, nan_policy: Any = "propagate", *, keepdims: Any = False) -> Any:
    """The third central moment over that power of the deviation; NaN where all elements are the same."""
    x, along = _sample("skew", a, axis, nan_policy)

    def corrected(n: int, plain: Any) -> Any:
        return plain * (math.sqrt((n - 1.0) * n) / (n - 2.0)) if n > 2 else plain

    return _back(_ratio("skew", 3, x, along, keepdims, None if bias else corrected), a, axis, keepdims)


@composed("scipy.stats:kurtosis", arrays=("a",))
def kurtosis(
    a: Any,
    axis: Any = 0,
    fisher: Any = True,
    bias: Any = True,
    nan_policy: Any = "propagate",
    *,
    keepdims: Any = False,
) -> Any:
    """The fourth central moment over that power of the deviation, less 3 where ``fisher``; NaN of equal elements."""
    x, along = _sample("kurtosis", a, axis, nan_policy)

    def corrected(n: int, plain: Any) -> Any:
        if n <= 3:
            return plain
        return ((n * n - 1.0) * plain - 3.0 * (n - 1) ** 2) / ((n - 2.0) * (n - 3.0)) + 3.0

    found = _ratio("kurtosis", 4, x, along, keepdims, None if bias else corrected)
    return _back(found - 3.0 if fisher else found, a, axis, keepdims)


@composed("scipy.stats:moment", arrays=("a", "center"))
def moment(
    a: Any, order: Any = 1, axis: Any = 0, nan_policy: Any = "propagate", *, center: Any = None, keepdims: Any = False
) -> Any:
    """The mean of a whole power of the distances from the mean, or from ``center``."""
    x, along = _sample("moment", a, axis, nan_policy)
    if isinstance(order, bool) or not isinstance(order, (int, np.integer)) or order < 0:
        raise TraceError(f"scipy.stats.moment: order={order!r} is no int from 0 on; call it once for each order")
    if order == 0 or (order == 1 and center is None):
        # The mean of no distances: 1, or 0, without a rounding.
        whole = np.mean(x, axis=along, keepdims=keepdims)
        return _back(filled(whole, 1.0 if order == 0 else 0.0), a, axis, keepdims)
    about = np.mean(x, axis=along, keepdims=True) if center is None else center.astype(x.dtype)
    found = np.mean(_power(x - about, operator.index(order)), axis=along, keepdims=keepdims)
    return _back(found, a, axis, keepdims)


@composed("scipy.stats:sem", arrays=("a",))
def sem(a: Any, axis: Any = 0, ddof: Any = 1, nan_policy: Any = "propagate", *, keepdims: Any = False) -> Any:
    """The standard error of the mean."""
    x, along = _sample("sem", a, axis, nan_policy)
    count = math.sqrt(_count("sem", x, along))
    return _back(np.std(x, axis=along, ddof=ddof, keepdims=keepdims) / count, a, axis, keepdims)


@composed("scipy.stats:gmean", arrays=("a", "weights"))
def gmean(
    a: Any,
    axis: Any = 0,
    dtype: Any = None,
    weights: Any = None,
    *,
    nan_policy: Any = "propagate",
    keepdims: Any = False,
) -> Any:
    """The exponential of the mean of the logarithms."""
    x, along = _sample("gmean", a if dtype is None else a.astype(dtype), axis, nan_policy)
    return _back(np.exp(_mean(np.log(x), along, weights, a, keepdims)), a, axis, keepdims)


@composed("scipy.stats:hmean", arrays=("a", "weights"))
def hmean(
    a: Any,
    axis: Any = 0,
    dtype: Any = None,
    *,
    weights: Any = None,
    nan_policy: Any = "propagate",
    keepdims: Any = False,
) -> Any:
    """1 over the mean of the reciprocals; NaN where an element is negative."""
    x, along = _sample("hmean", a if dtype is None else a.astype(dtype), axis, nan_policy)
    held = np.where(x < 0, x.dtype.type(math.nan), x)
    return _back(1.0 / _mean(1.0 / held, along, weights, a, keepdims), a, axis, keepdims)


def _mean(x: Any, axis: Any, weights: Any, a: Any, keepdims: Any) -> Any:
    if weights is None:
        return np.mean(x, axis=axis, keepdims=keepdims)
    w = np.broadcast_to(weights, a.shape).reshape(x.shape) if weights.shape == a.shape else weights
    return np.average(x, axis=axis, weights=w.astype(x.dtype), keepdims=keepdims)


@composed("scipy.stats:variation", arrays=("a",))
def variation(a: Any, axis: Any = 0, nan_policy: Any = "propagate", ddof: Any = 0, *, keepdims: Any = False) -> Any:
    """The standard deviation over the mean."""
    x, along = _sample("variation", a, axis, nan_policy)
    if ddof == _count("variation", x, along):
        raise TraceError(f"scipy.stats.variation: ddof={ddof} is the number of elements, so that nothing is left")
    found = np.std(x, axis=along, ddof=ddof, keepdims=keepdims) / np.mean(x, axis=along, keepdims=keepdims)
    return _back(found, a, axis, keepdims)


# Scores.


@composed("scipy.stats:zscore", arrays=("a",))
def zscore(a: Any, axis: Any = 0, ddof: Any = 0, nan_policy: Any = "propagate") -> Any:
    """The distances from the mean in deviations; NaN where all elements are the same, but for rounding."""
    x, _ = _sample("zscore", a, 0, nan_policy)
    mean, deviation = _scale(x, axis, ddof)
    same = deviation <= np.abs(mean) * float(np.finfo(x.dtype).eps)
    return np.where(same, x.dtype.type(math.nan), (x - mean) / np.where(same, x.dtype.type(1), deviation))


@composed("scipy.stats:zmap", arrays=("scores", "compare"))
def zmap(scores: Any, compare: Any, axis: Any = 0, ddof: Any = 0, nan_policy: Any = "propagate") -> Any:
    """The distances of scores from the mean of others, in deviations of those."""
    kind = np.result_type(scores.dtype, compare.dtype, np.float32 if scores.is_float or compare.is_float else float)
    x, _ = _sample("zmap", scores.astype(kind), 0, nan_policy)
    mean, deviation = _scale(np.atleast_1d(compare.astype(kind)), axis, ddof)
    return (x - mean) / deviation


def _scale(x: Any, axis: Any, ddof: Any) -> tuple[Any, Any]:
    """The mean and the deviation, with the axes kept."""
    return np.mean(x, axis=axis, keepdims=True), np.std(x, axis=axis, ddof=ddof, keepdims=True)
