"""Covariances and counts of NumPy, over Values."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import require_size
from gradc.frontend.numpy_api.notation import Array, composed, filled, lifted
from gradc.ops.index import scatter


def _observed(name: str, m: Any, rowvar: Any) -> Any:
    if m.ndim > 2:
        raise ShapeError(f"{name}: {m.value.aval} has more than two axes")
    rows = m.reshape((1, m.shape[0])) if m.ndim == 1 else m.reshape((1, 1)) if m.ndim == 0 else m
    return rows if rowvar or rows.shape[0] == 1 or m.ndim < 2 else rows.T


@composed(np.cov, arrays=("m", "y", "fweights", "aweights"))
def cov(
    m: Any,
    y: Any = None,
    rowvar: Any = True,
    bias: Any = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """The covariances of variables, each a row of observations (a column where ``rowvar`` is False)."""
    if ddof is not None and ddof != operator.index(ddof):
        raise TraceError(f"np.cov: ddof must be an integer, not {ddof!r}")
    given = [m] if y is None else [m, y]
    kind = np.result_type(*[x.dtype for x in given], np.float64) if dtype is None else np.dtype(dtype)
    x = np.concatenate([_observed("np.cov", v, rowvar).astype(kind) for v in given], axis=0)
    less = operator.index(ddof) if ddof is not None else 0 if bias else 1
    w: Any = None
    for name, weights in (("fweights", fweights), ("aweights", aweights)):
        if weights is None:
            continue
        if weights.ndim != 1 or weights.shape[0] != x.shape[1]:
            raise ShapeError(f"np.cov: {name} {weights.value.aval} do not fit the {x.shape[1]} observations")
        w = weights.astype(np.float64) if w is None else w * weights.astype(np.float64)
    if w is None:
        factor: Any = float(require_size("np.cov", x.shape[1], "observations are counted") - less)
        centre = np.mean(x, axis=1, keepdims=True)
        scaled = factor if factor > 0 else 0.0
    else:
        total = np.sum(w)
        centre = np.sum(x * w, axis=1, keepdims=True) / total
        factor = total - less * (np.sum(w * aweights.astype(np.float64)) / total if aweights is not None else 1.0)
        scaled = np.maximum(factor, 0.0)
    apart = x - centre
    product = apart @ np.conj(apart if w is None else apart * w).T
    found = product * np.true_divide(1, scaled) if w is None and factor > 0 else product / scaled
    return np.squeeze(found)


@composed(np.corrcoef, arrays=("x", "y"))
def corrcoef(x: Any, y: Any = None, rowvar: Any = True, *, dtype: Any = None) -> Any:
    """The covariances over the standard deviations of both, held between -1 and 1."""
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviation = np.sqrt(np.real(np.diagonal(c)))
    found = c / deviation[:, None] / deviation[None, :]
    # Rounding alone leaves the interval: the value is held, and the slope stays that of the formula.
    return _held(found) if found.dtype.kind != "c" else _held(np.real(found)) + 1j * _held(np.imag(found))


def _held(x: Any) -> Any:
    return np.where(x > 1.0, 1.0, np.where(x < -1.0, -1.0, x))


# Counts.


@composed(np.bincount, arrays=("x", "weights"))
def bincount(x: Any, weights: Any = None, minlength: Any = 0) -> Any:
    """How often each number below ``minlength`` is there, or the sum of its weights.

    The length of the result is ``minlength``, for it may not depend on data: a larger number raises when it runs.
    """
    size = operator.index(minlength)
    if size == 0:
        raise TraceError("np.bincount: the size of the result depends on data; give minlength=, above every number")
    if x.ndim != 1 or x.dtype.kind not in "iub":
        raise ShapeError(f"np.bincount: {x.value.aval} must be a vector of integers")
    builder = x.value.builder
    value: Any = filled(x, 1, np.int64) if weights is None else weights.astype(np.float64)
    if value.shape != x.shape:
        raise ShapeError(f"np.bincount: the weights {weights.value.aval} do not have the shape of {x.value.aval}")
    empty = lifted(builder, np.zeros(size, value.dtype))
    place: Any = np.where(x < 0, size, x).astype(
        np.int64
    )  # a negative number is outside, and does not count from the end
    return Array(scatter(empty, value.value, place.value, axes=(0,), mode="add"))


@composed(np.histogram, arrays=("a", "bins", "weights"), counts=("bins",))
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """How many elements, or what weights, lie between ascending edges, the last of which counts as inside.

    ``bins`` are edges, or their number; they divide the range of the elements where ``range`` is not given.
    """
    edges = _edges(a, bins, range)
    flat = np.ravel(a)
    count = require_size("np.histogram", edges.shape[0], "bins are counted") - 1
    inside = (flat[:, None] >= edges[:-1]) & (
        (flat[:, None] < edges[1:]) | ((flat == edges[-1])[:, None] & _last(count))
    )
    value: Any = np.ravel(weights)[:, None] if weights is not None else 1
    found = np.sum(np.where(inside, value, 0), axis=0)
    if density:
        found = found.astype(np.float64) / np.diff(edges) / np.sum(found)
    return found, edges


def _last(count: int) -> Any:
    return np.arange(count) == count - 1


def _edges(a: Any, bins: Any, range: Any) -> Any:
    builder = a.value.builder
    if np.ndim(bins) == 1:
        return bins
    number = builder.scalar(bins.value) if isinstance(bins, Array) else bins
    if number is None:
        raise TraceError("np.histogram: the number of bins has to be known while tracing; pass it as a Python int")
    return edges_of(a, int(number), range, a.dtype if a.is_float else np.dtype(np.float64))


def edges_of(a: Any, number: int, range: Any, kind: np.dtype) -> Any:
    """The edges of so many bins over a range, by default that of the elements."""
    builder = a.value.builder
    if range is None:
        low, high = (np.min(a), np.max(a)) if a.size != 0 else (0.0, 1.0)
    else:
        low, high = (float(r) for r in range)
    if isinstance(low, float):
        low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
        return Array(lifted(builder, np.linspace(low, high, number + 1, dtype=kind)))
    single = np.where(low == high, 0.5, 0.0)
    return np.linspace(low - single, high + single, number + 1).astype(kind)


@composed(np.histogram_bin_edges, arrays=("a", "bins", "weights"), counts=("bins",))
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """The edges that ``np.histogram`` counts between."""
    return _edges(a, bins, range)
