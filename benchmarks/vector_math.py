"""How fast the math functions are, beside NumPy and SciPy and, where it is installed, JAX: elements a nanosecond.

    python benchmarks/vector_math.py [--elements 16384] [--repeat 15] [FUNCTION ...]

Every column takes the best of several rounds in one process on one core, for JAX has threads of its own, the rounds
of all columns interleaved, on arguments that stay in the cache. The last column is gradc over the fastest other one.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
if hasattr(os, "sched_setaffinity"):  # before JAX counts the processors
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import numpy as np
import scipy.special
from rich.console import Console
from rich.table import Table

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.math.library import NAMES
from gradc.loops.language.program import PRIMITIVES, Buffer, For, LoopProgram, Store, b, size, variable

PEERS = {"pow": "power", "exp_unit": "exp", "log1p_unit": "log1p"}
Run = Callable[[], object]
RANGES = {
    **dict.fromkeys(("log", "log2", "log10"), (0.01, 10.0)),
    **dict.fromkeys(("arcsin", "arccos", "arctanh"), (-1.0, 1.0)),
    "arccosh": (1.0, 10.0),
    "log1p": (-0.9, 10.0),
    "exp_unit": (-4.0, 0.0),
    "log1p_unit": (0.0, 1.0),
    "pow": (0.01, 4.0),
}


def numpy_function(name: str) -> Callable[..., object]:
    """NumPy's function, or SciPy's."""
    found: Callable[..., object] = getattr(np, PEERS.get(name, name), None) or getattr(scipy.special, name)
    return found


def kernel(name: str, arrays: list[np.ndarray], result: np.ndarray) -> Run:
    """A call of the kernel alone, its pointers bound."""
    length, dtype = result.size, result.dtype
    inputs = [Buffer(f"x{k}", dtype, (length,), "input") for k in range(len(arrays))]
    i = variable("i")
    value = getattr(b, name)(*[b.load(x, (i,)) for x in inputs])
    body = For("i", size(0), size(length), (Store("y", (i,), value),), mode="vector")
    program = LoopProgram(f"time_{name}", (*inputs, Buffer("y", dtype, (length,), "output")), (body,))
    entry = load(emit(program, host()), program)
    pointers = [a.ctypes.data for a in (*arrays, result)]
    call = entry._call
    return lambda: entry and call(*pointers, 0)


def jax_function(name: str, arrays: list[np.ndarray]) -> Run | None:
    """The same in JAX, on arrays that are on the device already."""
    try:
        import jax
    except ImportError:
        return None
    jax.config.update("jax_enable_x64", True)
    function: Any = getattr(jax.numpy, PEERS.get(name, name), None)
    compiled = jax.jit(function or getattr(jax.scipy.special, name))
    values = [jax.numpy.asarray(a) for a in arrays]
    return lambda: compiled(*values).block_until_ready()


def best(runs: dict[str, Run], repeat: int) -> dict[str, float]:
    """The least time of each in nanoseconds, over interleaved rounds."""
    times = dict.fromkeys(runs, float("inf"))
    for _ in range(repeat):
        for name, run in runs.items():
            run()
            start = time.perf_counter_ns()
            for _ in range(10):
                run()
            times[name] = min(times[name], (time.perf_counter_ns() - start) / 10)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("functions", nargs="*", metavar="FUNCTION")
    parser.add_argument("--elements", type=int, default=16384)
    parser.add_argument("--repeat", type=int, default=15)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    table = Table("function", "dtype", "gradc", "NumPy, SciPy", "JAX", "ratio")
    for name in arguments.functions or sorted(NAMES):
        for dtype in (np.float64, np.float32):
            low, high = RANGES.get(name, (-4.0, 4.0))
            arrays = [random.uniform(low, high, arguments.elements).astype(dtype)]
            if PRIMITIVES[name].arity == 2:
                arrays.append(random.uniform(-3, 3, arguments.elements).astype(dtype))
            result = np.empty_like(arrays[0])
            peer = numpy_function(name)
            runs: dict[str, Run] = {
                "gradc": kernel(name, arrays, result),
                "numpy": lambda p=peer, a=arrays, r=result: p(*a, r),
            }
            other = jax_function(name, arrays)
            if other is not None:
                runs["jax"] = other
            rates = {k: arguments.elements / t for k, t in best(runs, arguments.repeat).items()}
            shown = [f"{rates[k]:.2f}" if k in rates else "-" for k in ("gradc", "numpy", "jax")]
            ratio = rates["gradc"] / max(r for k, r in rates.items() if k != "gradc")
            table.add_row(name, np.dtype(dtype).name, *shown, f"{ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
