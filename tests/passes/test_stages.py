"""The derivation as written and the graph that runs are the same function: both with real numbers."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import gradc


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def network(w, v, x, y):
    a = np.maximum(w * x, 0)
    s = sigmoid(v * a)
    return -(y * np.log(s) + (1 - y) * np.log(1 - s))


def softplus_chain(w, v, x, y):
    return np.log(1 + np.exp(w * x)) * np.tanh(v) + np.log(np.exp(x) + 1) ** 2 - y * w


def powers(w, v, x, y):
    return (w**2 + v**2) ** 0.5 + np.sqrt(x * x) / (1 + y) + w**3 * v**-2


def selections(w, v, x, y):
    return np.where(w > v, np.log(w + 3) * x, np.exp(-v)) + np.abs(x - y) * np.sin(w) - np.minimum(x, v) * np.cos(y)


def quotients(w, v, x, y):
    return (w / v) * v + np.exp(w) / (1 + np.exp(w)) + (np.exp(x) - 1) / x + np.log(1 + y * y) / (w - v)


POINTS = [(0.3, 0.7, 1.5, 0.25), (1.25, -0.5, 0.75, 1.0), (-0.8, 2.0, -0.4, 0.5)]


@pytest.mark.parametrize("function", [network, softplus_chain, powers, selections, quotients])
@pytest.mark.parametrize("stabilize", ["off", "safe"])
def test_derivation_and_final_are_equal(real, function, stabilize: str) -> None:
    step = gradc.value_and_grad(function, wrt=("w", "v", "x", "y"))
    kernel = step.compile(*POINTS[0], stabilize=stabilize)
    second = gradc.grad(lambda w, v, x, y: gradc.grad(function)(w, v, x, y), wrt=("w", "x")).compile(*POINTS[0])
    for point in POINTS:
        arrays = [np.asarray(value) for value in point]
        for made in (kernel, second):
            for told, runs in zip(real(made.derivation, arrays), real(made.graph, arrays), strict=True):
                assert abs(told[()] - runs[()]) <= mpmath.mpf(10) ** -1000 * (1 + abs(told[()]))
