"""Recurrences that a Python loop unrolls: deep graphs of small steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from peers.workloads import sigmoid, workload

FEATURES, DEPTH, LENGTH = 14, 2, 100


def _sequence_inputs() -> tuple[Any, ...]:
    rng = np.random.default_rng(4)
    parameters = {"gates": rng.normal(size=(2 * DEPTH, 4 * FEATURES)), "ends": rng.normal(size=(3, FEATURES))}
    sequence = (rng.random((LENGTH, FEATURES)) < 0.5).astype(np.float64)
    return parameters, 0.1 * rng.normal(size=(2 * DEPTH, FEATURES)), sequence


def _lstm_step(xp: Any, p: Any, state: Any, x: Any, target: Any) -> tuple[Any, Any]:
    """One character: the next state, and the loss of predicting ``target`` (ADBench's LSTM, arXiv:1807.10129)."""
    gates, ends = p["gates"], p["ends"]
    signal = x * ends[0]
    following = []
    for layer, (hidden, cell) in enumerate(state):
        z = xp.concatenate([signal, hidden, signal, hidden]) * gates[2 * layer] + gates[2 * layer + 1]
        forget, take, give = (sigmoid(xp, z[k * FEATURES : (k + 1) * FEATURES]) for k in range(3))
        cell = cell * forget + take * xp.tanh(z[3 * FEATURES :])
        signal = give * xp.tanh(cell)
        following.append((signal, cell))
    guess = signal * ends[1] + ends[2]
    return following, xp.sum(target * (guess - xp.log(xp.sum(xp.exp(guess)) + 2.0)))


def _scanned_lstm(jax: Any, p: Any, start: Any, sequence: Any) -> Any:
    def body(state: Any, pair: Any) -> Any:
        return _lstm_step(jax.numpy, p, state, *pair)

    state = [(start[2 * k], start[2 * k + 1]) for k in range(DEPTH)]
    _, parts = jax.lax.scan(body, state, (sequence[:-1], sequence[1:]))
    return -parts.sum() / ((LENGTH - 1) * FEATURES)


@workload("lstm", "ADBench's LSTM: 2 layers, 14 features, 100 steps", "f8", _sequence_inputs, _scanned_lstm)
def lstm(xp: Any, p: Any, start: Any, sequence: Any) -> Any:
    state = [(start[2 * k], start[2 * k + 1]) for k in range(DEPTH)]
    total = 0.0
    for t in range(LENGTH - 1):
        state, part = _lstm_step(xp, p, state, sequence[t], sequence[t + 1])
        total = total + part
    return -total / ((LENGTH - 1) * FEATURES)


STEPS, STEP = 500, 0.02


def hunt(rates: Any, prey: Any, hunters: Any) -> tuple[Any, Any]:
    """One step of Runge and Kutta's fourth-order method through the equations of Lotka and Volterra."""

    def slope(u: Any, v: Any) -> tuple[Any, Any]:
        return rates[0] * u - rates[1] * u * v, rates[2] * u * v - rates[3] * v

    a, b = slope(prey, hunters)
    c, d = slope(prey + 0.5 * STEP * a, hunters + 0.5 * STEP * b)
    e, f = slope(prey + 0.5 * STEP * c, hunters + 0.5 * STEP * d)
    g, h = slope(prey + STEP * e, hunters + STEP * f)
    return prey + STEP / 6 * (a + 2 * c + 2 * e + g), hunters + STEP / 6 * (b + 2 * d + 2 * f + h)


def _hunt_inputs() -> tuple[Any, ...]:
    rates, start = np.array([1.1, 0.4, 0.1, 0.4]), np.array([10.0, 5.0])
    u, v = start
    path = []
    for _ in range(STEPS):
        u, v = hunt(rates, u, v)
        path.append((u, v))
    seen = np.array(path) + 0.1 * np.random.default_rng(5).normal(size=(STEPS, 2))
    return {"rates": 1.02 * rates, "start": 0.98 * start}, seen


def _scanned_hunt(jax: Any, p: Any, seen: Any) -> Any:
    def body(state: Any, row: Any) -> Any:
        u, v = hunt(p["rates"], *state)
        return (u, v), (u - row[0]) ** 2 + (v - row[1]) ** 2

    _, parts = jax.lax.scan(body, (p["start"][0], p["start"][1]), seen)
    return parts.sum() / STEPS


@workload("ode", "fit of Lotka and Volterra's equations, 500 steps of scalars", "f8", _hunt_inputs, _scanned_hunt)
def ode(xp: Any, p: Any, seen: Any) -> Any:
    u, v = p["start"][0], p["start"][1]
    total = 0.0
    for t in range(STEPS):
        u, v = hunt(p["rates"], u, v)
        total = total + (u - seen[t, 0]) ** 2 + (v - seen[t, 1]) ** 2
    return total / STEPS
