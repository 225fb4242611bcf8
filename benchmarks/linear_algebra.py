"""Linear algebra of the LLVM backend beside NumPy's LAPACK, and JAX where it is installed, on one thread.

    python benchmarks/linear_algebra.py [--sizes 3,50,200,1000] [--stack 1000] [--dtype f64] [--rounds 5]

All are called from Python on the same arrays, JAX through ``jit`` on arrays of its own. They take turns; the ratios
are medians over the turns. With ``--stack`` the matrices are stacks of that many.
"""

from __future__ import annotations

import os

os.environ |= {
    "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}  # fmt: skip

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import gradc

TURN = 0.02
"""Seconds of a turn."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "cholesky": lambda xp, a, s, b: xp.linalg.cholesky(s),
    "solve, a vector": lambda xp, a, s, b: xp.linalg.solve(a, b),
    "solve, n columns": lambda xp, a, s, b: xp.linalg.solve(a, s),
    "inv": lambda xp, a, s, b: xp.linalg.inv(a),
    "det": lambda xp, a, s, b: xp.linalg.det(a),
    "slogdet": lambda xp, a, s, b: xp.linalg.slogdet(a)[1],
    "eigvals": lambda xp, a, s, b: xp.linalg.eigvals(a),
    "eig, vectors": lambda xp, a, s, b: xp.linalg.eig(a)[1],
    "qr": lambda xp, a, s, b: tuple(xp.linalg.qr(a)),
    "eigh": lambda xp, a, s, b: tuple(xp.linalg.eigh(s)),
    "eigvalsh": lambda xp, a, s, b: xp.linalg.eigvalsh(s),
    "svd": lambda xp, a, s, b: tuple(xp.linalg.svd(a)),
    "svdvals": lambda xp, a, s, b: xp.linalg.svd(a, compute_uv=False),
}


def matrices(size: int, stack: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A matrix, a positive definite one, and a right-hand side; stacks of them where ``stack`` is not 1."""
    rng = np.random.default_rng(size)
    shape = (stack, size, size) if stack > 1 else (size, size)
    a = rng.normal(size=shape) / np.sqrt(size)
    positive = a @ np.swapaxes(a, -1, -2) + np.eye(size)
    b = rng.normal(size=(stack, size, 1) if stack > 1 else size)
    return a.astype(dtype), positive.astype(dtype), b.astype(dtype)


def contenders(function: Callable[..., Any], arrays: tuple[np.ndarray, ...]) -> dict[str, Callable[[], object]]:
    """A call by each tool, compiled."""
    kernel = gradc.jit(lambda a, s, b: function(np, a, s, b))
    found: dict[str, Callable[[], object]] = {
        "gradc": lambda: kernel(*arrays),
        "numpy": lambda: function(np, *arrays),
    }
    try:
        import jax
    except ImportError:
        return found
    jax.config.update("jax_enable_x64", True)
    compiled = jax.jit(lambda a, s, b: function(jax.numpy, a, s, b))
    own = [jax.numpy.asarray(x) for x in arrays]
    found["jax"] = lambda: jax.block_until_ready(compiled(*own))
    return found


def calls_of_a_turn(action: Callable[[], object]) -> int:
    """How many calls take about a turn, once all are made that a tool compiles or learns something in."""
    for _ in range(3):
        action()
    start, count = time.process_time(), 0
    while count < 2000 and time.process_time() - start < 0.2:
        action()
        count += 1
    count = 1
    while True:
        start = time.process_time()
        for _ in range(count):
            action()
        if time.process_time() - start >= TURN / 2:
            return count
        count *= 2


def ratios(actions: dict[str, Callable[[], object]], rounds: int) -> tuple[float, dict[str, float]]:
    """The median time of the first action, and how many times that the others take; the actions take turns."""
    times = {name: calls_of_a_turn(action) for name, action in actions.items()}
    measured: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(rounds):
        for name in list(actions) if turn % 2 else reversed(actions):
            start = time.process_time()
            for _ in range(times[name]):
                actions[name]()
            measured[name].append((time.process_time() - start) / times[name])
    first = next(iter(actions))
    over = {
        name: statistics.median(t / own for t, own in zip(measured[name], measured[first], strict=True))
        for name in actions
        if name != first
    }
    return statistics.median(measured[first]), over


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="3,10,50,100,200,500,1000")
    parser.add_argument("--stack", type=int, default=1)
    parser.add_argument("--dtype", choices=("f32", "f64"), default="f64")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    table = Table(title="time of a call, over gradc's")
    for head in ("function", "n", "gradc, us", "numpy", "jax"):
        table.add_column(head, justify="left" if head == "function" else "right")
    for name, function in FUNCTIONS.items():
        for size in map(int, options.sizes.split(",")):
            arrays = matrices(size, options.stack, np.dtype(options.dtype.replace("f64", "f8").replace("f32", "f4")))
            own, over = ratios(contenders(function, arrays), options.rounds)
            table.add_row(
                name, str(size), f"{own * 1e6:.4g}", *[f"{over[p]:.2f}" if p in over else "" for p in ("numpy", "jax")]
            )
    Console().print(table)


if __name__ == "__main__":
    main()
