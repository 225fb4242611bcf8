"""Distances of ``scipy.spatial.distance``, in float64 as SciPy has them.

Where two points meet, the slopes of distances with roots and sizes are 0, as those of ``abs`` and norms are at 0.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.notation import composed


def _weights(w: Any) -> Any:
    return 1.0 if w is None else w


def _euclidean(u: Any, v: Any, w: Any) -> Any:
    return np.linalg.norm(u - v if w is None else (u - v) * np.sqrt(w), axis=-1)


def _sqeuclidean(u: Any, v: Any, w: Any) -> Any:
    return np.sum(_weights(w) * (u - v) ** 2, axis=-1)


def _cityblock(u: Any, v: Any, w: Any) -> Any:
    return np.sum(_weights(w) * np.abs(u - v), axis=-1)


def _chebyshev(u: Any, v: Any) -> Any:
    return np.max(np.abs(u - v), axis=-1)


def _canberra(u: Any, v: Any, w: Any) -> Any:
    size = np.abs(u) + np.abs(v)
    return np.sum(_weights(w) * np.where(size == 0, 0.0, np.abs(u - v) / np.where(size == 0, 1.0, size)), axis=-1)


def _braycurtis(u: Any, v: Any, w: Any) -> Any:
    return np.sum(_weights(w) * np.abs(u - v), axis=-1) / np.sum(_weights(w) * np.abs(u + v), axis=-1)


def _cosine(u: Any, v: Any) -> Any:
    return 1.0 - np.sum(u * v, axis=-1) / (np.linalg.norm(u, axis=-1) * np.linalg.norm(v, axis=-1))


def _correlation(u: Any, v: Any) -> Any:
    return _cosine(u - np.mean(u, axis=-1, keepdims=True), v - np.mean(v, axis=-1, keepdims=True))


def _minkowski(u: Any, v: Any, w: Any, p: Any) -> Any:
    p = 2.0 if p is None else float(p)
    if p <= 0:
        raise TraceError(f"scipy.spatial.distance: p={p} of a Minkowski distance has to be greater than 0")
    return np.linalg.norm(u - v if w is None else (u - v) * w ** (1.0 / p), p, axis=-1)


def _hamming(u: Any, v: Any, w: Any) -> Any:
    differ = (u != v).astype(np.float64)
    return np.mean(differ, axis=-1) if w is None else np.sum(differ * (w / np.sum(w)), axis=-1)


METRICS: Final[dict[str, tuple[Callable[..., Any], tuple[str, ...]]]] = {
    "euclidean": (_euclidean, ("w",)),
    "sqeuclidean": (_sqeuclidean, ("w",)),
    "cityblock": (_cityblock, ("w",)),
    "chebyshev": (_chebyshev, ()),
    "canberra": (_canberra, ("w",)),
    "braycurtis": (_braycurtis, ("w",)),
    "hamming": (_hamming, ("w",)),
    "cosine": (_cosine, ()),
    "correlation": (_correlation, ()),
    "minkowski": (_minkowski, ("w", "p")),
}
"""The metrics by their names, with the parameters that they have besides two points along the last axis."""

_SHORT: Final = {"manhattan": "cityblock", "taxicab": "cityblock", "cheb": "chebyshev", "sqeuclid": "sqeuclidean"}


def _distances(name: str, metric: Any, u: Any, v: Any, given: dict[str, Any]) -> Any:
    known = _SHORT.get(metric, metric) if isinstance(metric, str) else _name_of(metric)
    if known not in METRICS:
        raise TraceError(f"{name}: the metric {known!r} is not supported on traced arrays; use {', '.join(METRICS)}")
    function, parameters = METRICS[known]
    spare = [key for key, x in given.items() if x is not None and key not in parameters]
    if spare:
        raise TraceError(f"{name}: the parameter {spare[0]}= of the metric {known} is not supported on traced arrays")
    wide = {key: x.astype(np.float64) if key == "w" and x is not None else x for key, x in given.items()}
    return function(u, v, **{key: wide[key] for key in parameters})


def _name_of(metric: Any) -> Any:
    """The name of a function of SciPy; another one itself, whatever its name."""
    name = getattr(metric, "__name__", None)
    held = getattr(sys.modules.get("scipy.spatial.distance"), name, None) if isinstance(name, str) else None
    return name if metric is not None and metric in (held, getattr(held, "__wrapped__", None)) else metric


def _points(name: str, x: Any, ndim: int) -> Any:
    if x.ndim != ndim:
        raise ShapeError(f"{name}: {x.value.aval} has not {ndim} axes")
    return x.astype(np.float64)


@composed("scipy.spatial.distance:pdist", arrays=("X", "w"))
def pdist(X: Any, metric: Any = "euclidean", *, w: Any = None, p: Any = None) -> Any:
    """The distances of all pairs of rows, the first with every later one, then the second. Raises TraceError.

    Metrics are ``euclidean``, ``sqeuclidean``, ``cityblock``, ``chebyshev``, ``canberra``, ``braycurtis``, ``hamming``,
    ``cosine``, ``correlation`` and ``minkowski``.
    """
    name = "scipy.spatial.distance.pdist"
    x = _points(name, X, 2)
    first, second = np.triu_indices(int(x.shape[0]), 1)
    return _distances(name, metric, x[first], x[second], {"w": w, "p": p})


@composed("scipy.spatial.distance:cdist", arrays=("XA", "XB", "w"))
def cdist(XA: Any, XB: Any, metric: Any = "euclidean", *, w: Any = None, p: Any = None) -> Any:
    """The distances of the rows of one matrix to those of another. Metrics as ``pdist``. Raises TraceError."""
    name = "scipy.spatial.distance.cdist"
    a, b = _points(name, XA, 2), _points(name, XB, 2)
    if a.shape[1] != b.shape[1]:
        raise ShapeError(f"{name}: rows of {XA.value.aval} and {XB.value.aval} differ in length")
    return _distances(name, metric, a[:, None], b[None], {"w": w, "p": p})


@composed("scipy.spatial.distance:squareform", arrays=("X",))
def squareform(X: Any, force: Any = "no", checks: Any = True) -> Any:
    """The matrix of the distances that ``pdist`` gives, or those of a matrix, which is not checked to be symmetric."""
    name = "scipy.spatial.distance.squareform"
    if X.ndim == 1 and force in ("no", "tomatrix"):
        pairs = int(X.shape[0])
        size = (1 + math.isqrt(1 + 8 * pairs)) // 2
        if size * (size - 1) // 2 != pairs:
            raise ShapeError(f"{name}: {X.value.aval} has not the length of all pairs of some number of points")
        place = np.zeros((size, size), np.int64)
        first, second = np.triu_indices(size, 1)
        place[first, second] = place[second, first] = np.arange(1, pairs + 1)
        return np.concatenate([np.zeros(1, X.dtype), X])[place]
    if X.ndim == 2 and force in ("no", "tovector"):
        if X.shape[0] != X.shape[1]:
            raise ShapeError(f"{name}: {X.value.aval} is not square")
        return X[np.triu_indices(int(X.shape[0]), 1)]
    raise TraceError(f"{name}: {X.value.aval} with force={force!r} is not supported on traced arrays")


def _single(metric: str) -> None:
    parameters = METRICS[metric][1]
    name = f"scipy.spatial.distance.{metric}"

    def distance(u: Any, v: Any, given: dict[str, Any]) -> Any:
        return _distances(name, metric, _points(name, u, 1), _points(name, v, 1), given)

    def plain(u: Any, v: Any) -> Any:
        """The distance of two vectors."""
        return distance(u, v, {})

    def weighted(u: Any, v: Any, w: Any = None) -> Any:
        """The distance of two vectors, each difference of weight ``w``."""
        return distance(u, v, {"w": w})

    def of_power(u: Any, v: Any, p: Any = None, w: Any = None) -> Any:
        """The distance of two vectors by powers ``p``, 2 where it is left out."""
        return distance(u, v, {"w": w, "p": p})

    function: Callable[..., Any] = of_power if "p" in parameters else weighted if parameters else plain
    composed(f"scipy.spatial.distance:{metric}", arrays=("u", "v", "w"))(function)


for _metric in METRICS:
    _single(_metric)
