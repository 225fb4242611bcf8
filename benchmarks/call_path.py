"""What a call costs: natively, through Python, and in plain NumPy, in one run.

    python benchmarks/call_path.py [--repeat 25]

Six arrays in, a value and three gradients out, flat and nested, into new arrays and into given ones; a network of two
layers in a dict; nine numbers in, seven out. Nanoseconds of processor time a call, the median over rounds that take
turns, so that a slow moment of the machine falls on all.
"""

from __future__ import annotations

import argparse
import statistics
import time
import timeit
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

import gradc


def flat(x, y, w, b, v, c):
    e = np.tanh(x @ w + b) @ v + c - y
    return np.sum(0.5 * e * e)


def nested(data, w, b, v):
    return flat(*data["points"], w["weights"], b, v["weights"], v["last"][0])


def network(w11, w12, w21, w22, v1, v2, x1, x2, y):
    a1 = np.maximum(w11 * x1 + w12 * x2, 0)
    a2 = np.maximum(w21 * x1 + w22 * x2, 0)
    y_hat = 1 / (1 + np.exp(-(v1 * a1 + v2 * a2)))
    return -(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))


def of_two_layers(p, x, y):
    s = 1 / (1 + np.exp(-(p["w2"] @ np.maximum(p["W1"] @ x, 0))))
    return -(y * np.log(s) + (1 - y) * np.log(1 - s))


def by_hand(x, y, w, b, v, c):
    h = np.tanh(x @ w + b)
    e = h @ v + c - y
    d_z = (v @ e) * (1 - h * h)
    return np.sum(0.5 * e * e), np.outer(x, d_z), d_z, np.outer(h, e)


def calls() -> dict[str, Callable[[], object]]:
    """The calls by name; each is warm."""
    rng = np.random.default_rng(0)
    x, y, w, b, v, c = [rng.normal(size=shape) for shape in ((2,), (1,), (2, 2), (2,), (2, 1), (1,))]
    of_flat = gradc.value_and_grad(flat, wrt=("w", "b", "v"))
    kernel = of_flat.compile(x, y, w, b, v, c)
    data, layer, last = {"points": (x, y)}, {"weights": w}, {"weights": v, "last": [c]}

    def picked(data, w, b, v):
        """Nested arguments with the flat results, so that the arguments alone differ."""
        return of_flat(*data["points"], w["weights"], b, v["weights"], v["last"][0])

    of_picked = gradc.jit(picked)
    of_nested = gradc.value_and_grad(nested, wrt=("w", "b", "v"))
    given = (np.empty(()), (np.empty((2, 2)), np.empty(2), np.empty((2, 1))))
    in_dicts = {"weights": np.empty((2, 2))}, np.empty(2), {"weights": np.empty((2, 1)), "last": [None]}
    held: list[object] = [None] * 64

    def hold() -> None:
        """Keep the last 64 results, so that none is used again."""
        held.append(of_flat(x, y, w, b, v, c))
        del held[0]

    turned = np.asfortranarray(w)
    layers = {"W1": rng.normal(size=(2, 2)), "w2": rng.normal(size=2)}
    of_layers = gradc.value_and_grad(of_two_layers)
    point, label = rng.normal(size=2), np.array(1.0)
    room = np.empty(()), {"W1": np.empty((2, 2)), "w2": np.empty(2)}
    scalars = [0.1 * (k + 1) for k in range(9)]
    of_scalars = gradc.value_and_grad(network, wrt=tuple(range(6)))
    through_python = type(of_flat).__call__
    return {
        "6 arrays, 4 results": lambda: of_flat(x, y, w, b, v, c),
        "the same, out=": lambda: of_flat(x, y, w, b, v, c, out=given),
        "the same, every result held": hold,
        "the same, a Kernel": lambda: kernel(x, y, w, b, v, c),
        "the same, by keyword": lambda: of_flat(x=x, y=y, w=w, b=b, v=v, c=c),
        "the same, arguments nested": lambda: of_picked(data, layer, b, last),
        "the same, results nested too": lambda: of_nested(data, layer, b, last),
        "the same, out= nested": lambda: of_nested(data, layer, b, last, out=(None, in_dicts)),
        "the same, one array not contiguous": lambda: of_flat(x, y, turned, b, v, c),
        "the same, through Python": lambda: through_python(of_flat, x, y, w, b, v, c),
        "the same, NumPy by hand": lambda: by_hand(x, y, w, b, v, c),
        "2-2-1 network, a dict in and out": lambda: of_layers(layers, point, label),
        "the same, out= ": lambda: of_layers(layers, point, label, out=room),
        "9 numbers, 7 results": lambda: of_scalars(*scalars),
        "the same, through Python ": lambda: through_python(of_scalars, *scalars),
    }


def measure(repeat: int) -> dict[str, float]:
    """Nanoseconds a call, without what an empty call costs."""
    actions: dict[str, Callable[[], object]] = {"": lambda: None, **calls()}
    timers = {}
    for name, action in actions.items():
        for _ in range(3):
            action()
        timer = timeit.Timer(action, timer=time.process_time)
        count, _ = timer.autorange()
        timers[name] = timer, max(1, count // 40)
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeat):
        for name, (timer, count) in timers.items():
            times[name].append(timer.timeit(count) / count * 1e9)
    medians = {name: statistics.median(found) for name, found in times.items()}
    empty = medians.pop("")
    return {name: found - empty for name, found in medians.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=25)
    table = Table("call", "ns", "of the first")
    found = measure(parser.parse_args().repeat)
    first = next(iter(found.values()))
    for name, cost in found.items():
        table.add_row(name.strip(), f"{cost:,.0f}", f"{cost / first:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
