"""How long gradc takes before a kernel runs: import, first call, recurrences, and a graph of 100,000 nodes.

    python benchmarks/compile_time.py [--repeat 5]

Each import is a process of its own; the other figures are the median in a warm process, with what one call of the
same function in plain NumPy takes beside them, so that a slow machine shows. Times are processor time.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

import gradc
from gradc import config

STEPS = 25_000
IMPORT = "import time, numpy; start = time.process_time(); import {module}; print(time.process_time() - start)"


def network(w11, w12, w21, w22, v1, v2, x1, x2, y):
    z1 = w11 * x1 + w12 * x2
    z2 = w21 * x1 + w22 * x2
    a1 = np.maximum(z1, 0)
    a2 = np.maximum(z2, 0)
    z = v1 * a1 + v2 * a2
    y_hat = 1 / (1 + np.exp(-z))
    return -(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))


def perceptron(w, x, y):
    h = np.maximum(x @ w["hidden"] + w["bias"], 0)
    z = h @ w["out"]
    p = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
    return -np.mean(np.sum(y * np.log(p), axis=1))


def recurrence(w, x):
    """An unrolled recurrence: four nodes a step."""
    h = np.zeros(8)
    for t in range(STEPS):
        h = np.tanh(w * h + x[t])
    return np.sum(h)


def orbits(steps: int) -> Callable[..., object]:
    """Runge-Kutta steps of the Lotka-Volterra equations, all of scalars, against measurements."""

    def slope(theta, u, v):
        return theta[0] * u - theta[1] * u * v, theta[2] * u * v - theta[3] * v

    def loss(theta, data):
        u, v, total = data[0, 0], data[0, 1], 0.0
        for t in range(steps):
            a, b = slope(theta, u, v)
            c, d = slope(theta, u + 0.01 * a, v + 0.01 * b)
            e, f = slope(theta, u + 0.01 * c, v + 0.01 * d)
            g, h = slope(theta, u + 0.02 * e, v + 0.02 * f)
            u, v = u + 0.02 / 6 * (a + 2 * c + 2 * e + g), v + 0.02 / 6 * (b + 2 * d + 2 * f + h)
            total = total + (u - data[t, 0]) ** 2 + (v - data[t, 1]) ** 2
        return total / steps

    return loss


def gated(steps: int) -> Callable[..., object]:
    """A gated recurrence on vectors of 16."""

    def loss(w, x):
        h, c, total = np.zeros(16), np.zeros(16), 0.0
        for t in range(steps):
            z = np.concatenate([x[t], h]) @ w
            forget, enter, leave = (1 / (1 + np.exp(-z[16 * k : 16 * k + 16])) for k in range(3))
            c = forget * c + enter * np.tanh(z[48:])
            h = leave * np.tanh(c)
            total = total + np.sum(h * x[t])
        return total

    return loss


def filled(steps: int) -> Callable[..., object]:
    """A recurrence whose steps stand in an array."""

    def loss(h, x):
        y = np.zeros(steps)
        for t in range(1, steps):
            y[t] = y[t - 1] * h[0] + x[t, 0]
        return np.sum(y * y)

    return loss


def median(action: Callable[[], object], repeat: int) -> float:
    """The median processor time of an action in seconds, after one run that is not counted."""
    action()
    times = []
    for _ in range(repeat):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return statistics.median(times)


def import_time(module: str, repeat: int) -> float:
    """The median processor time that importing a module adds to NumPy's."""
    program = [sys.executable, "-c", IMPORT.format(module=module)]
    return statistics.median(float(subprocess.check_output(program)) for _ in range(repeat))


def first_call(function: Callable[..., object], arguments: tuple[object, ...], backend: str) -> Callable[[], object]:
    """Trace, differentiate, compile and call, with nothing kept from before."""
    return lambda: gradc.value_and_grad(function, backend=backend)(*arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5, help="runs of each figure")
    repeat = parser.parse_args().repeat
    rng = np.random.default_rng(0)
    scalars = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0, 2.0, 1.0)
    weights = {"hidden": 0.05 * rng.normal(size=(784, 128)), "bias": np.zeros(128), "out": rng.normal(size=(128, 10))}
    batch = (weights, rng.normal(size=(64, 784)), np.eye(10)[rng.integers(0, 10, 64)])
    long = (np.ones(8), np.ones((STEPS, 8)))

    table = Table("what", "gradc", "the function in NumPy", "ratio", title="seconds of processor time")
    for column in table.columns[1:]:
        column.justify = "right"

    def row(label: str, seconds: float, plain: float | None = None) -> None:
        shown = ("", "") if plain is None else (f"{plain:.6f}", f"{seconds / plain:,.0f}")
        table.add_row(label, f"{seconds:.4f}", *shown)

    row("import gradc, beyond NumPy", import_time("gradc", repeat))
    row("from gradc import grad, beyond NumPy", import_time("gradc.derivatives", repeat))
    for label, function, arguments in (("2-2-1 network", network, scalars), ("784-128-10 network", perceptron, batch)):
        plain = median(lambda f=function, a=arguments: f(*a), 50)  # type: ignore[misc]
        for backend in ("llvm", "numpy"):
            row(f"{label}, first call, {backend}", median(first_call(function, arguments, backend), repeat), plain)
        with tempfile.TemporaryDirectory() as folder, config.cache_dir(folder):
            cached = median(first_call(function, arguments, "llvm"), repeat)
        row(f"{label}, first call, llvm, from the cache on disk", cached, plain)
    recurrences = (
        ("scalars", orbits, np.full(4, 0.5)),
        ("vectors", gated, 0.1 * np.ones((32, 64))),
        ("an array that is filled", filled, np.full(1, 0.5)),
    )
    for label, made, first in recurrences:
        for steps in (100, 500, 2000) if made is filled else (100, 500):
            arguments = (first, np.ones((steps, 16 if made is gated else 2)))
            function = made(steps)
            plain = median(lambda f=function, a=arguments: f(*a), 3)  # type: ignore[misc]
            seconds = median(first_call(function, arguments, "llvm"), 1)
            row(f"{steps} steps on {label}, first call, llvm", seconds, plain)
            with tempfile.TemporaryDirectory() as folder, config.cache_dir(folder):
                cached = median(first_call(function, arguments, "llvm"), repeat)
            row(f"{steps} steps on {label}, first call, llvm, from the cache on disk", cached, plain)
    plain = median(lambda: recurrence(*long), 1)
    row(f"{STEPS:,} steps on vectors, first call, llvm", median(first_call(recurrence, long, "llvm"), 1), plain)
    with config.roll(False):
        compiled = gradc.value_and_grad(recurrence, wrt=("w", "x")).compile(*long)
        row(
            f"trace, differentiate, simplify {len(compiled.trace.nodes):,} nodes",
            median(lambda: gradc.value_and_grad(recurrence, wrt=("w", "x")).compile(*long), 1),
            plain,
        )
    Console().print(table)


if __name__ == "__main__":
    main()
