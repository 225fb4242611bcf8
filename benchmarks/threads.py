"""What threads bring: each gradient on one thread and on several, taking turns in one run.

    python benchmarks/threads.py [--threads 2] [--rounds 15]

Wall time, the least of the rounds, and the ratio of one thread to several. The results are compared bit by bit.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import gradc
from gradc.config import processors


def chain(x, w):
    return np.mean(np.tanh(np.exp(-x * x) * w + np.sin(x)) ** 2)


def softmax(z, labels):
    top = z - np.max(z, axis=1, keepdims=True)
    return -np.mean((top - np.log(np.sum(np.exp(top), axis=1, keepdims=True)))[np.arange(len(labels)), labels])


def layers(w1, w2, x, y):
    return np.mean((np.tanh(x @ w1) @ w2 - y) ** 2)


def scattered(table, places):
    return np.sum(np.tanh(table[places]) ** 2)


def gradients() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Losses by name, with their arguments; the derivative is by the first."""
    rng = np.random.default_rng(0)
    single = [rng.normal(size=1_000_000).astype(np.float32) for _ in range(2)]
    matrices = [rng.normal(size=shape).astype(np.float32) for shape in ((784, 512), (512, 64), (256, 784), (256, 64))]
    return {
        "chain, 1,000 elements": (chain, (single[0][:1000], single[1][:1000])),
        "chain, 100,000 elements": (chain, (single[0][:100_000], single[1][:100_000])),
        "chain, 1,000,000 elements": (chain, (single[0], single[1])),
        "softmax, 1,000 rows of 256": (softmax, (rng.normal(size=(1000, 256)), rng.integers(0, 256, 1000))),
        "two layers, 256 rows": (layers, tuple(matrices)),
        "gather and scatter, 100,000 rows of 3": (
            scattered,
            (rng.normal(size=(500, 3)), rng.integers(0, 500, 100_000).astype(np.int32)),
        ),
    }


def measure(loss: Callable[..., Any], arguments: tuple[Any, ...], threads: int, rounds: int) -> tuple[float, float]:
    """The least times on one thread and on several, in microseconds."""
    functions = [gradc.value_and_grad(loss, threads=count) for count in (1, threads)]
    results = [[function(*arguments) for _ in range(3)][-1] for function in functions]
    assert all(np.array_equal(one, other) for one, other in zip(*results, strict=True))
    least = [float("inf")] * 2
    for _ in range(rounds):
        for k, function in enumerate(functions):
            start, calls = time.perf_counter(), 0
            while time.perf_counter() - start < 0.01 or calls < 2:
                once = time.perf_counter()
                function(*arguments)
                least[k] = min(least[k], time.perf_counter() - once)
                calls += 1
    return least[0] * 1e6, least[1] * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=processors())
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    table = Table("gradient", "1 thread, us", f"{options.threads} threads, us", "ratio")
    for name, (loss, arguments) in gradients().items():
        one, several = measure(loss, arguments, options.threads, options.rounds)
        table.add_row(name, f"{one:,.1f}", f"{several:,.1f}", f"{one / several:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
