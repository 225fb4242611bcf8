"""How a kernel for every batch compares with the kernels of single batches.

    python benchmarks/symbolic.py [--rounds 15] [--only classifier]

For each network and batch the processor time of a call of the one symbolic kernel over that of the kernel compiled for
the batch: the median over rounds in which both run by turns. Both are called through their native entries.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

import gradc

BATCHES: Final = (32, 128, 1000)
SLICE: Final = 0.02
"""Seconds for which a kernel runs in one round."""

RNG: Final = np.random.default_rng(0)


def normal(*shape: int, dtype: str = "f4") -> np.ndarray:
    return (RNG.standard_normal(shape) / 10).astype(dtype)


def elementwise(x: Any, y: Any) -> Any:
    return np.mean(np.log1p(np.exp(x)) - x * y)


def logistic(w: Any, x: Any, y: Any) -> Any:
    z = x @ w
    return np.mean(np.log1p(np.exp(z)) - z * y) + 0.01 * np.sum(w * w)


def linear(w: Any, x: Any, y: Any) -> Any:
    return np.sum((x @ w - y) ** 2)


def classifier(w: Any, x: Any, labels: Any) -> Any:
    z = np.maximum(x @ w["hidden"] + w["bias"], 0) @ w["out"]
    z = z - np.max(z, axis=1, keepdims=True)
    logp = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(logp[np.arange(x.shape[0]), labels])


def layer_norm(w: Any, x: Any) -> Any:
    centred = x - np.mean(x, axis=1, keepdims=True)
    scale = np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + 1e-5)
    return np.mean(np.tanh(centred / scale * w["gain"] + w["shift"]) ** 2)


def deep(w: Any, x: Any, y: Any) -> Any:
    for layer in w[:-1]:
        x = np.tanh(x @ layer)
    return np.mean((x @ w[-1] - y) ** 2)


def convolution(w: Any, x: Any, y: Any) -> Any:
    """Two layers of 3 by 3 windows, patches concatenated, and the mean of what they see."""
    for kernel in w:
        height, width = x.shape[1] - 2, x.shape[2] - 2
        patches = [x[:, i : i + height, j : j + width, :] for i in range(3) for j in range(3)]
        x = np.maximum(np.concatenate(patches, axis=3) @ kernel, 0)
    return np.mean((np.mean(x, axis=(1, 2)) - y) ** 2)


MLP: Final = {"hidden": normal(784, 128), "bias": normal(128), "out": normal(128, 10)}
SMALL: Final = {"hidden": normal(4, 16, dtype="f8"), "bias": normal(16, dtype="f8"), "out": normal(16, 3, dtype="f8")}
ROWS: Final = {"gain": normal(256), "shift": normal(256)}
KERNELS: Final = [normal(9, 8), normal(72, 16)]
LAYERS: Final = [normal(64, 256), normal(256, 256), normal(256, 256), normal(256, 8)]

NETWORKS: Final[dict[str, tuple[Callable[..., Any], Callable[[int], tuple[Any, ...]]]]] = {
    "elementwise f64[n,64]": (elementwise, lambda n: (normal(n, 64, dtype="f8"), normal(n, 64, dtype="f8"))),
    "logistic f64[n,100]": (
        logistic,
        lambda n: (normal(100, dtype="f8"), normal(n, 100, dtype="f8"), normal(n, dtype="f8")),
    ),
    "linear 784-10 f64": (
        linear,
        lambda n: (normal(784, 10, dtype="f8"), normal(n, 784, dtype="f8"), normal(n, 10, dtype="f8")),
    ),
    "linear 784-10 f32": (linear, lambda n: (normal(784, 10), normal(n, 784), normal(n, 10))),
    "linear 100-5 f32": (linear, lambda n: (normal(100, 5), normal(n, 100), normal(n, 5))),
    "classifier 4-16-3 f64": (classifier, lambda n: (SMALL, normal(n, 4, dtype="f8"), RNG.integers(0, 3, n))),
    "classifier 784-128-10 f32": (classifier, lambda n: (MLP, normal(n, 784), RNG.integers(0, 10, n))),
    "layer norm f32[n,256]": (layer_norm, lambda n: (ROWS, normal(n, 256))),
    "convolutions 28x28, 1-8-16 f32": (convolution, lambda n: (KERNELS, normal(n, 28, 28, 1), normal(n, 16))),
    "deep 64-256-256-256-8 f32": (deep, lambda n: (LAYERS, normal(n, 64), normal(n, 8))),
}


def symbolic(arguments: Any, batch: int) -> Any:
    """The arguments with the batch as a symbolic size; parameters as they are."""
    if isinstance(arguments, np.ndarray) and arguments.shape[:1] == (batch,):
        aval = gradc.aval("f64[n]")
        return aval.with_shape((*aval.shape, *arguments.shape[1:])).with_dtype(arguments.dtype)
    return arguments


def seconds(kernel: Any, arguments: tuple[Any, ...], count: int) -> float:
    start = time.process_time()
    for _ in range(count):
        kernel(*arguments)
    return (time.process_time() - start) / count


def ratios(name: str, rounds: int) -> list[str]:
    """The cells of a network: for each batch the ratio, and the least time of the single kernel."""
    function, make = NETWORKS[name]
    step = gradc.value_and_grad(function, threads=1)  # a symbolic kernel runs on one thread
    kernel = step.compile(*[symbolic(argument, 37) for argument in make(37)], backend="llvm")
    cells = []
    for batch in BATCHES:
        arguments = make(batch)
        single = step.compile(*arguments, backend="llvm")
        for _ in range(3):
            kernel(*arguments)
            single(*arguments)
        count = max(1, int(SLICE / seconds(single, arguments, 3)))
        pairs = [(seconds(kernel, arguments, count), seconds(single, arguments, count)) for _ in range(rounds)]
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        cells += [f"{ratio:.3f}", f"{min(theirs for _, theirs in pairs) * 1e6:,.1f}"]
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="runs by turns of each pair of kernels")
    parser.add_argument("--only", default="", help="networks with this in their name")
    options = parser.parse_args()
    table = Table("network", title="one kernel for every batch over the kernel of one, microseconds of the latter")
    for batch in BATCHES:
        table.add_column(f"n = {batch}", justify="right")
        table.add_column("us", justify="right")
    for name in NETWORKS:
        if options.only in name:
            table.add_row(name, *ratios(name, options.rounds))
    Console().print(table)


if __name__ == "__main__":
    main()
