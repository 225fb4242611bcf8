"""The least time that a workload can take on this machine, from what it computes and what the machine can do.

    arithmetic   its flops at the peak of vector multiply-adds, two flops each, and its calls of exp and the like at the
                 cost of NumPy's vectorised exp
    memory       arguments read once and results written once, at the bandwidth of the cache that holds them

A better algorithm may beat a floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from machine import TRIADS, bandwidth, exponential, peak


@dataclass(frozen=True)
class Machine:
    """Flops a second and seconds a call of exp by dtype; bytes a second by the size that they move in."""

    flops: dict[str, float]
    exponential: dict[str, float]
    bandwidth: dict[int, float]


def measure(threads: int) -> Machine:
    """The machine with so many cores at work: a core's rates times their number, memory's as of one core."""
    dtypes = [np.dtype(np.float32), np.dtype(np.float64)]
    return Machine(
        {d.name: 2.0 * threads * peak(d) for d in dtypes},
        {d.name: exponential(d) / threads for d in dtypes},
        {size: bandwidth(size) for size in TRIADS},
    )


def floor(work: dict[str, float], dtype: np.dtype, machine: Machine) -> float:
    """Seconds: the larger of arithmetic and memory."""
    arithmetic = work["flops"] / machine.flops[dtype.name] + work["functions"] * machine.exponential[dtype.name]
    rate = next((r for size, r in machine.bandwidth.items() if work["bytes"] <= size), min(machine.bandwidth.values()))
    return max(arithmetic, work["bytes"] / rate)
