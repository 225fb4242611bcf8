"""Densities of vectors in ``scipy.stats``. Like SciPy's, a covariance is read in its lower triangle alone."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gradc.errors import ShapeError
from gradc.frontend.numpy_api import scipy_linalg
from gradc.frontend.numpy_api.distributions import LOG_2PI, gammaln
from gradc.frontend.numpy_api.notation import Array, composed
from gradc.frontend.numpy_api.special_more import xlogy

_NEGLIGIBLE: Final = 1e6 * float(np.finfo(np.float64).eps)
"""Eigenvalues up to this part of the largest are 0 to SciPy, and a point a thousand times as far away is outside."""


@composed("scipy.stats:multivariate_normal", arrays=("x", "mean", "cov"), methods=("pdf", "logpdf"))
def multivariate_normal(method: Any, x: Any, mean: Any = None, cov: Any = None, allow_singular: Any = False) -> Any:
    """``pdf``, ``logpdf``. Raises MatrixError where the covariance is not positive definite, unless it may be singular.

    With ``allow_singular=True`` a negative eigenvalue, which SciPy refuses, is one of 0. The derivatives by a
    covariance are those of its eigenvectors, and so are infinite where eigenvalues are equal.
    """
    size = _dimension(mean, cov)
    x = x.astype(np.float64)
    if x.ndim == 0:
        x = x[None]
    elif x.ndim == 1 and size == 1:
        x = x[:, None]
    if x.shape[-1] != size:
        raise ShapeError(f"scipy.stats.multivariate_normal: points of shape {x.shape} for {size} dimensions")
    deviations = x if mean is None else x - mean.reshape(size)
    if cov is None:
        found = -0.5 * (size * LOG_2PI + np.sum(deviations * deviations, axis=-1))
    elif allow_singular:
        found = _singular(_matrix(cov, size), deviations)
    else:
        lower = np.linalg.cholesky(_matrix(cov, size))
        whitened = _solved(lower, deviations, size)
        found = -0.5 * (size * LOG_2PI + np.sum(whitened * whitened, axis=-1)) - np.sum(np.log(np.diagonal(lower)))
    found = np.squeeze(found)
    return np.exp(found) if method == "pdf" else found


@composed("scipy.stats:multivariate_normal.entropy", arrays=("mean", "cov"), methods=("entropy",))
def entropy(method: Any, mean: Any = None, cov: Any = None) -> Any:
    """``entropy``. Raises MatrixError where the covariance is not positive definite."""
    size = _dimension(mean, cov)
    found = 0.5 * size * (LOG_2PI + 1.0)
    return found if cov is None else found + np.sum(np.log(np.diagonal(np.linalg.cholesky(_matrix(cov, size)))))


def _singular(cov: Any, deviations: Any) -> Any:
    """The logarithm of the density in the space that a covariance spans, by eigenvectors; minus infinity outside."""
    values, vectors = np.linalg.eigh(cov)
    bound = _NEGLIGIBLE * np.max(np.abs(values))
    kept = values > bound
    spread = np.where(kept, values, 1.0)
    along = deviations @ vectors
    inside = np.where(kept, along / np.sqrt(spread), 0.0)
    apart = np.where(kept, 0.0, along)
    constant = np.sum(kept) * LOG_2PI + np.sum(np.log(spread))
    found = -0.5 * (constant + np.sum(inside * inside, axis=-1))
    is_there = np.all(kept) | (np.sum(apart * apart, axis=-1) < (1e3 * bound) ** 2)
    return np.where(is_there, found, -np.inf)


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
