"""A model with nested parameters, fitted by SciPy's BFGS with a compiled gradient.

Run it with ``python examples/scipy_minimize.py``. SciPy's optimizers know vectors alone: ``gradc.flatten`` makes one of
the parameters, and what takes it apart is traced like any other NumPy code.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

import gradc


def loss(w, x, y):
    """Mean squared error of a network with one hidden layer."""
    h = np.tanh(np.outer(x, w["hidden"]["slope"]) + w["hidden"]["shift"])
    return np.mean((h @ w["out"] - y) ** 2)


def fit(hidden: int = 6) -> tuple[dict, float]:
    """Fit the network to a wave; gives the parameters and the loss that they reach."""
    rng = np.random.default_rng(0)
    x = np.linspace(-3.0, 3.0, 80)
    y = np.sin(x)
    w = {"hidden": {"slope": rng.normal(size=hidden), "shift": rng.normal(size=hidden)}, "out": rng.normal(size=hidden)}

    x0, unflatten = gradc.flatten(w)
    value_and_gradient = gradc.value_and_grad(lambda v: loss(unflatten(v), x, y))
    found = minimize(value_and_gradient, x0, jac=True, method="BFGS")

    return unflatten(found.x), float(found.fun)


if __name__ == "__main__":
    _, reached = fit()
    print(f"mean squared error {reached:.1e}")
