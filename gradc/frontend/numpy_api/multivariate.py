"""Densities of vectors in ``scipy.stats``. Like SciPy's, a covariance is read in its lower triangle alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api import scipy_linalg
from gradc.frontend.numpy_api.distributions import LOG_2PI, gammaln
from gradc.frontend.numpy_api.notation import Array, composed
from gradc.frontend.numpy_api.special_more import xlogy


@composed("scipy.stats:multivariate_normal", arrays=("x", "mean", "cov"), methods=("pdf", "logpdf"))
def multivariate_normal(method: Any, x: Any, mean: Any = None, cov: Any = None, allow_singular: Any = False) -> Any:
    """``pdf``, ``logpdf``. Raises MatrixError where the covariance is not positive definite."""
    if allow_singular:
        raise TraceError("scipy.stats.multivariate_normal: allow_singular=True is not supported; leave it out")
    size = _dimension(mean, cov)
    x = x.astype(np.float64)
    if x.ndim == 0:
        x = x[None]
    elif x.ndim == 1 and size == 1:
        x = x[:, None]
    if x.shape[-1] != size:
        raise ShapeError(f"scipy.stats.multivariate_normal: points of shape {x.shape} for {size} dimensions")
    deviations = x if mean is None else x - mean.reshape(size)
    lower = None if cov is None else np.linalg.cholesky(_matrix(cov, size))
    whitened = deviations if lower is None else _solved(lower, deviations, size)
    found = -0.5 * (size * LOG_2PI + np.sum(whitened * whitened, axis=-1))
    if lower is not None:
        found = found - np.sum(np.log(np.diagonal(lower)))
    found = np.squeeze(found)
    return np.exp(found) if method == "pdf" else found


def _dimension(mean: Any, cov: Any) -> Any:
    """The number of dimensions, by SciPy's rules."""
    if mean is not None:
        return mean.size
    return cov.shape[-1] if cov is not None and cov.ndim else 1


def _matrix(cov: Any, size: int) -> Any:
    """A covariance as a matrix; of a number, or of a vector, a diagonal one."""
    cov = cov.astype(np.float64)
    if cov.ndim == 2:
        if cov.shape != (size, size):
            raise ShapeError(f"scipy.stats.multivariate_normal: cov has shape {cov.shape}, expected {(size, size)}")
        return cov
    return cov * np.eye(size) if cov.ndim == 0 else np.diag(cov)


def _solved(lower: Any, deviations: Any, size: int) -> Any:
    """``inv(lower) @ d`` for every deviation ``d``."""
    columns = deviations.reshape(-1, size).T
    solved = Array(scipy_linalg.solve_triangular(lower.value, columns.value, lower=True))
    return solved.T.reshape(deviations.shape)


@composed("scipy.stats:dirichlet", arrays=("x", "alpha"), methods=("pdf", "logpdf"))
def dirichlet(method: Any, x: Any, alpha: Any) -> Any:
    """``pdf``, ``logpdf`` of points along the first axis, whose last element may be left out. Sums are not checked."""
    if alpha.ndim != 1:
        raise ShapeError(f"scipy.stats.dirichlet: alpha has shape {alpha.shape}, expected one axis")
    x, alpha = x.astype(np.float64), alpha.astype(np.float64)
    if x.shape[0] == alpha.shape[0] - 1:
        x = np.concatenate([x, 1.0 - np.sum(x, axis=0, keepdims=True)])
    if x.shape[0] != alpha.shape[0]:
        raise ShapeError(f"scipy.stats.dirichlet: points of shape {x.shape} for {alpha.shape[0]} dimensions")
    normalizer = np.sum(gammaln(alpha)) - gammaln(np.sum(alpha))
    powers = alpha.reshape(-1, *[1] * (x.ndim - 1)) - 1.0
    found = np.sum(xlogy(powers, x), axis=0) - normalizer
    return np.exp(found) if method == "pdf" else found
