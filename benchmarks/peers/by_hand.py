"""Gradients as a person derives them, in NumPy: value and gradient of each workload that is worth it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Tree = Any


def backprop221(w: Tree, x: np.ndarray, y: np.ndarray) -> tuple[Any, Tree]:
    z = w["hidden"] @ x
    a = np.maximum(z, 0.0)
    y_hat = 1.0 / (1.0 + math.exp(-(w["out"] @ a)))
    d_z = y_hat - y
    value = -(y * math.log(y_hat) + (1.0 - y) * math.log(1.0 - y_hat))
    return value, {"hidden": np.outer(d_z * w["out"] * (z > 0), x), "out": d_z * a}


def perceptron(p: Tree, x: np.ndarray, labels: np.ndarray) -> tuple[Any, Tree]:
    layers, values = p["layers"], [x]
    for w, bias in layers:
        z = values[-1] @ w
        z += bias
        values.append(z)
        if len(values) <= len(layers):
            np.maximum(z, 0.0, out=z)
    scores = values.pop()
    batch = np.arange(len(labels))
    scores -= scores.max(axis=1, keepdims=True)
    own = scores[batch, labels]
    d = np.exp(scores, out=scores)
    total = d.sum(axis=1, keepdims=True)
    value = (np.log(total).sum() - own.sum()) / len(labels)
    d /= total
    d[batch, labels] -= 1.0
    d /= len(labels)
    gradients = []
    for k in reversed(range(len(layers))):
        gradients.append((values[k].T @ d, d.sum(axis=0)))
        if k:
            d = d @ layers[k][0].T
            d *= values[k] > 0
    return value, {"layers": gradients[::-1]}


def logreg(p: Tree, x: np.ndarray, y: np.ndarray) -> tuple[Any, Tree]:
    w = p["w"]
    margin = -y * (x @ w + p["bias"])
    value = np.logaddexp(margin, 0.0).mean() + 0.005 * (w @ w)
    d = -y / (1.0 + np.exp(-margin)) / len(y)
    return value, {"w": d @ x + 0.01 * w, "bias": d.sum()}


def rosenbrock(p: Tree) -> tuple[Any, Tree]:
    x = p["x"]
    left = x[:-1]
    rise, gap = x[1:] - left * left, 1.0 - left
    gradient = np.empty_like(x)
    gradient[0] = 0.0
    np.multiply(rise, 200.0, out=gradient[1:])
    gradient[:-1] -= 400.0 * rise * left + 2.0 * gap
    return 100.0 * (rise @ rise) + gap @ gap, {"x": gradient}


def gp_nll(p: Tree, x: np.ndarray, y: np.ndarray) -> tuple[Any, Tree]:
    """With the trace formulas of Rasmussen and Williams (2006), equation 5.9, from LAPACK's inverse of a factor."""
    from scipy.linalg import cho_solve
    from scipy.linalg.lapack import dpotri

    count = len(y)
    z = x / np.exp(p["length"])
    squares = np.einsum("ij,ij->i", z, z)
    smooth = np.exp(2.0 * p["height"] - 0.5 * (squares[:, None] + squares - 2.0 * (z @ z.T)))
    noise = math.exp(2.0 * p["noise"])
    covariance = smooth.copy()
    covariance.flat[:: count + 1] += noise
    factor = np.linalg.cholesky(covariance)
    solved = cho_solve((factor, True), y, check_finite=False)
    value = 0.5 * (y @ solved) + np.log(np.diag(factor)).sum() + 0.5 * count * math.log(2.0 * math.pi)
    lower = np.tril(dpotri(factor, lower=1)[0])
    d = 0.5 * (lower + np.tril(lower, -1).T - np.outer(solved, solved))
    weighted = d * smooth
    rows = weighted.sum(axis=1)
    length = 2.0 * (rows @ (z * z) - np.einsum("ij,ij->j", z, weighted @ z))
    return value, {"length": length, "height": 2.0 * rows.sum(), "noise": 2.0 * noise * np.trace(d)}


FORMS: dict[str, Callable[..., tuple[Any, Tree]]] = {
    "backprop221": backprop221, "mlp_small": perceptron, "mlp_mnist": perceptron, "logreg": logreg,
    "rosenbrock": rosenbrock, "gp_nll": gp_nll,
}  # fmt: skip
