"""Workloads as CasADi's users write them: ``form(casadi, *arguments)`` gives symbols, value and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from peers.workloads.recurrences import DEPTH, FEATURES, LENGTH, STEPS, hunt
from peers.workloads.statistics import COLUMNS, ROWS


def backprop221(ca: Any, w: Any, x: Any, y: Any) -> tuple[Any, ...]:
    hidden, out, xs, ys = ca.SX.sym("w", 2, 2), ca.SX.sym("v", 2), ca.SX.sym("x", 2), ca.SX.sym("y")
    y_hat = 1 / (1 + ca.exp(-ca.dot(out, ca.fmax(hidden @ xs, 0))))
    value = -(ys * ca.log(y_hat) + (1 - ys) * ca.log(1 - y_hat))
    return [hidden, out, xs, ys], value, [ca.gradient(value, hidden), ca.gradient(value, out)]


def logreg(ca: Any, p: Any, x: Any, y: Any) -> tuple[Any, ...]:
    bias, w = ca.MX.sym("bias"), ca.MX.sym("w", COLUMNS)
    xs, ys = ca.MX.sym("x", ROWS, COLUMNS), ca.MX.sym("y", ROWS)
    margin = -ys * (ca.mtimes(xs, w) + bias)
    losses = ca.fmax(margin, 0) + ca.log1p(ca.exp(-ca.fabs(margin)))
    value = ca.sum1(losses) / ROWS + 0.005 * ca.dot(w, w)
    return [bias, w, xs, ys], value, [ca.gradient(value, bias), ca.gradient(value, w)]


def ode(ca: Any, p: Any, seen: Any) -> tuple[Any, ...]:
    state, rates = ca.SX.sym("state", 2), ca.SX.sym("rates", 4)
    step = ca.Function("step", [state, rates], [ca.vertcat(*hunt([rates[k] for k in range(4)], state[0], state[1]))])
    rates, start, data = ca.MX.sym("rates", 4), ca.MX.sym("start", 2), ca.MX.sym("seen", STEPS, 2)
    path = step.mapaccum("path", STEPS)(start, ca.repmat(rates, 1, STEPS))
    value = ca.sumsqr(path - data.T) / STEPS
    return [rates, start, data], value, [ca.gradient(value, rates), ca.gradient(value, start)]


def lstm(ca: Any, p: Any, start: Any, sequence: Any) -> tuple[Any, ...]:
    n, steps = FEATURES, LENGTH - 1
    state, x, target = ca.SX.sym("state", 2 * DEPTH * n), ca.SX.sym("x", n), ca.SX.sym("target", n)
    gates, ends = ca.SX.sym("gates", 2 * DEPTH, 4 * n), ca.SX.sym("ends", 3, n)

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + ca.exp(-z))

    signal, following = x * ends[0, :].T, []
    for layer in range(DEPTH):
        hidden, cell = state[2 * layer * n : (2 * layer + 1) * n], state[(2 * layer + 1) * n : (2 * layer + 2) * n]
        z = ca.vertcat(signal, hidden, signal, hidden) * gates[2 * layer, :].T + gates[2 * layer + 1, :].T
        cell = cell * sigmoid(z[:n]) + sigmoid(z[n : 2 * n]) * ca.tanh(z[3 * n :])
        signal = sigmoid(z[2 * n : 3 * n]) * ca.tanh(cell)
        following += [signal, cell]
    guess = signal * ends[1, :].T + ends[2, :].T
    part = ca.dot(target, guess - ca.log(ca.sum1(ca.exp(guess)) + 2))
    step = ca.Function("step", [state, x, target, gates, ends], [ca.vertcat(*following), part])
    ends, gates = ca.MX.sym("ends", 3, n), ca.MX.sym("gates", 2 * DEPTH, 4 * n)
    first, data = ca.MX.sym("start", 2 * DEPTH, n), ca.MX.sym("sequence", LENGTH, n)
    parts = step.mapaccum("run", steps)(
        ca.vec(first.T), data[:-1, :].T, data[1:, :].T, ca.repmat(gates, 1, steps), ca.repmat(ends, 1, steps)
    )[1]
    value = -ca.sum2(parts) / (steps * n)
    return [ends, gates, first, data], value, [ca.gradient(value, ends), ca.gradient(value, gates)]


FORMS: dict[str, Callable[..., tuple[Any, ...]]] = {
    "backprop221": backprop221, "logreg": logreg, "ode": ode, "lstm": lstm,
}  # fmt: skip
