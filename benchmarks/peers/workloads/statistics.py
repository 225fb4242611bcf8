"""Likelihoods: logistic regression, a mixture of Gaussians, a Gaussian process."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from peers.workloads import workload

ROWS, COLUMNS = 10_000, 200


def _regression_inputs() -> tuple[Any, ...]:
    rng = np.random.default_rng(10)
    x = rng.normal(size=(ROWS, COLUMNS))
    truth = rng.normal(size=COLUMNS) / COLUMNS**0.5
    y = np.where(x @ truth + 0.3 * rng.normal(size=ROWS) > 0, 1.0, -1.0)
    return {"w": 0.1 * rng.normal(size=COLUMNS), "bias": np.array(0.1)}, x, y


@workload("logreg", "logistic regression, 10,000 rows of 200, L2 penalty", "f8", _regression_inputs)
def logreg(xp: Any, p: Any, x: Any, y: Any) -> Any:
    margin = y * (x @ p["w"] + p["bias"])
    return xp.mean(xp.logaddexp(-margin, 0.0)) + 0.005 * (p["w"] @ p["w"])


SAMPLES, DIMENSION, CLUSTERS, WISHART = 1000, 10, 25, 1.0
TRIANGLE = DIMENSION * (DIMENSION - 1) // 2


def _mixture_inputs() -> tuple[Any, ...]:
    rng = np.random.default_rng(11)
    parameters = {
        "alphas": rng.normal(size=CLUSTERS), "means": rng.random((CLUSTERS, DIMENSION)),
        "factors": 0.5 * rng.normal(size=(CLUSTERS, DIMENSION + TRIANGLE)),
    }  # fmt: skip
    return parameters, rng.normal(size=(SAMPLES, DIMENSION))


def _triangle_places() -> np.ndarray:
    """Where each element of a factor stands in its packed form: diagonal, below it by columns, a zero."""
    places = np.full((DIMENSION, DIMENSION), DIMENSION + TRIANGLE, np.int32)
    np.fill_diagonal(places, np.arange(DIMENSION))
    columns, rows = np.triu_indices(DIMENSION, 1)
    places[rows, columns] = DIMENSION + np.arange(TRIANGLE)
    return places


PLACES = _triangle_places()


def _mixture_constant() -> float:
    """What the objective has besides its variables: the normal density's, and the Wishart prior's normaliser."""
    d, freedom = DIMENSION, DIMENSION + 1
    gamma = 0.25 * d * (d - 1) * math.log(math.pi) + sum(math.lgamma(0.5 * (freedom - j)) for j in range(d))
    prior = freedom * d * (math.log(WISHART) - 0.5 * math.log(2.0)) - gamma
    return -SAMPLES * d * 0.5 * math.log(2.0 * math.pi) - CLUSTERS * prior


@workload("gmm", "ADBench's mixture of 25 Gaussians in 10 dimensions, 1,000 points", "f8", _mixture_inputs)
def gmm(xp: Any, p: Any, x: Any) -> Any:
    factors, alphas = p["factors"], p["alphas"]
    diagonal, below = xp.exp(factors[:, :DIMENSION]), factors[:, DIMENSION:]
    packed = xp.concatenate([diagonal, below, xp.zeros((CLUSTERS, 1))], axis=1)
    triangles = packed[:, xp.asarray(PLACES)]
    apart = x[None, :, :] - p["means"][:, None, :]
    turned = apart @ xp.swapaxes(triangles, 1, 2)
    scores = (alphas + xp.sum(factors[:, :DIMENSION], axis=1))[:, None] - 0.5 * xp.sum(turned * turned, axis=2)
    top, most = xp.max(scores, axis=0), xp.max(alphas)
    likelihood = xp.sum(top + xp.log(xp.sum(xp.exp(scores - top), axis=0)))
    weights = most + xp.log(xp.sum(xp.exp(alphas - most)))
    prior = 0.5 * WISHART**2 * (xp.sum(diagonal * diagonal) + xp.sum(below * below))
    return _mixture_constant() + likelihood - SAMPLES * weights + prior


SITES, FEATURES = 200, 5


def _process_inputs() -> tuple[Any, ...]:
    rng = np.random.default_rng(12)
    x = rng.normal(size=(SITES, FEATURES))
    y = np.sin(x @ rng.normal(size=FEATURES)) + 0.1 * rng.normal(size=SITES)
    return {"length": 0.1 * rng.normal(size=FEATURES), "height": np.array(0.2), "noise": np.array(-1.5)}, x, y


def _covariance(xp: Any, p: Any, x: Any) -> Any:
    """A squared exponential with a length for each feature (Rasmussen and Williams 2006, section 5.1), and noise."""
    z = x / xp.exp(p["length"])
    squares = xp.sum(z * z, axis=1)
    distance = squares[:, None] + squares[None, :] - 2.0 * (z @ z.T)
    return xp.exp(2.0 * p["height"] - 0.5 * distance) + xp.exp(2.0 * p["noise"]) * xp.eye(SITES)


def _idiomatic_process(jax: Any, p: Any, x: Any, y: Any) -> Any:
    jnp = jax.numpy
    factor = jnp.linalg.cholesky(_covariance(jnp, p, x))
    z = jax.scipy.linalg.solve_triangular(factor, y, lower=True)
    return 0.5 * (z @ z) + jnp.log(jnp.diag(factor)).sum() + 0.5 * SITES * math.log(2.0 * math.pi)


@workload(
    "gp_nll", "likelihood of a Gaussian process at 200 places: factor and solve", "f8", _process_inputs,
    _idiomatic_process,
)  # fmt: skip
def gp_nll(xp: Any, p: Any, x: Any, y: Any) -> Any:
    factor = xp.linalg.cholesky(_covariance(xp, p, x))
    z = xp.linalg.solve(factor, y)
    own = xp.arange(SITES)
    return 0.5 * (z @ z) + xp.sum(xp.log(factor[own, own])) + 0.5 * SITES * math.log(2.0 * math.pi)
