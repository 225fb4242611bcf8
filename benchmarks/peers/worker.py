"""One tool on one workload, in a process of its own, driven by lines of JSON on its standard input.

    {"do": "build", "reference": FILE}   trace, compile, call; checked against the reference
    {"do": "time", "seconds": 0.1}       call for so long

Each is answered by a line of JSON. What a tool prints goes to the standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import numpy as np

from peers.adapters import UnavailableError, load
from peers.workloads import WORKLOADS, Workload

WARM = Workload("warm", "a sum of squares", np.dtype(np.float64), tuple, lambda xp, p: xp.sum(p["x"] * p["x"]))
"""What every tool compiles first."""

CLOCK_TICK = 1e-4
"""Seconds that a sample lasts at least, so that the clocks resolve it."""

BOUNDS = {"float32": 1e-4, "float64": 1e-8}
"""Relative errors of value and gradient, as one vector, beyond which a result is wrong."""


def used_seconds() -> float:
    """Processor time of this process and of the compilers that it ran."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def memory(field: str) -> float:
    """``VmRSS`` or ``VmHWM`` of this process in MiB; NaN where there is no /proc."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
    return float("nan")


def forget_peak() -> None:
    """Count the peak of memory from here on."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def errors(value: Any, gradients: list[np.ndarray], reference: str) -> float:
    """The larger of the relative errors of the value and of the gradient as one vector."""
    with np.load(reference) as file:
        true = float(file["value"])
        expected = [file[f"gradient{k}"] for k in range(len(file.files) - 1)]
    off = size = 0.0
    for one, other in zip(gradients, expected, strict=True):
        if one.shape != other.shape:
            raise ValueError(f"a gradient of shape {one.shape}, expected {other.shape}")
        off += float(np.sum((np.asarray(one, np.float64) - other) ** 2))
        size += float(np.sum(other**2))
    return max((off / size) ** 0.5, abs(float(value) - true) / abs(true))


class Worker:
    """A tool on a workload."""

    def __init__(self, workload: Workload, peer: str, threads: int) -> None:
        self.workload = workload
        self.threads = threads
        self.peer = load(peer)
        self.arguments = workload.inputs()
        self.call: Callable[[], Any] = lambda: None
        self.batch = 1

    def build(self, reference: str) -> dict[str, Any]:
        """The first call, from the first sight of the function, in a process that has compiled before; and more."""
        self._warm()
        forget_peak()
        before, wall, used = memory("VmRSS"), time.perf_counter(), used_seconds()
        call, extract = self.peer.adapt(self.workload, self.arguments, self.threads)
        result = call()
        first, first_used = time.perf_counter() - wall, used_seconds() - used
        peak = memory("VmHWM") - before
        error = errors(*extract(result), reference)
        for _ in range(3):
            start = time.perf_counter()
            result = call()
            once = time.perf_counter() - start
            if once > 0.5:
                break
        error = max(error, errors(*extract(result), reference))
        self.call, self.batch = call, max(1, min(1000, int(CLOCK_TICK / max(once, 1e-8))))
        bound = BOUNDS[self.workload.dtype.name]
        return {
            "status": "ok" if error < bound else "wrong", "why": f"off by {error:.1e}", "error": error,
            "first_wall": first, "first_cpu": first_used, "peak": peak,
        }  # fmt: skip

    def _warm(self) -> None:
        """Let the tool compile something small: its libraries are loaded then, and what is timed is the compilation."""
        with contextlib.suppress(UnavailableError):
            call, _ = self.peer.adapt(WARM, ({"x": np.ones(3, self.workload.dtype)},), self.threads)
            call()

    def time(self, seconds: float) -> dict[str, Any]:
        """Seconds a call, by the wall's clock and in processor time: the medians over samples."""
        call, batch = self.call, self.batch
        walls, used = [], []
        end = time.perf_counter() + seconds
        while not walls or time.perf_counter() < end:
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(batch):
                call()
            used.append((time.process_time() - cpu) / batch)
            walls.append((time.perf_counter() - wall) / batch)
        return {"status": "ok", "wall": statistics.median(walls), "cpu": statistics.median(used), "least": min(walls)}


def serve(workload: str, peer: str, threads: int) -> None:
    """Answer commands until there are no more."""
    with _answers() as answers:
        try:
            worker = Worker(WORKLOADS[workload], peer, threads)
        except ImportError as error:
            _say(answers, status="missing", why=str(error))
            return
        _say(answers, status="ready")
        for line in sys.stdin:
            command = json.loads(line)
            try:
                if command["do"] == "build":
                    _say(answers, **worker.build(command["reference"]))
                else:
                    _say(answers, **worker.time(command["seconds"]))
            except UnavailableError as error:
                _say(answers, status="unavailable", why=str(error))
            except Exception as error:  # noqa: BLE001  (of whichever kind a tool raises: it is told, and the others go on)
                traceback.print_exc()
                text = " ".join(f"{type(error).__name__}: {error}".split())
                _say(answers, status="failed", why=text[:200])


@contextlib.contextmanager
def _answers() -> Iterator[TextIO]:
    """The standard output, for answers alone: whatever a tool prints goes to the standard error."""
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)
        yield answers


def _say(answers: TextIO, **fields: Any) -> None:
    print(json.dumps(fields), file=answers, flush=True)
