"""The interpreter's lock: given up while a kernel of some length runs, kept during a short one."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import gradc


@pytest.fixture
def patience() -> Iterator[None]:
    """Threads that wait for the lock do not ask for it: they get it where it is given up."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    yield
    sys.setswitchinterval(before)


def runs_beside(call: Callable[[], object]) -> bool:
    """Whether another thread that waits for the lock gets it in one of many calls."""
    ready, start, ran = threading.Event(), threading.Lock(), []

    def work() -> None:
        ready.set()
        with start:
            ran.append(True)

    with start:
        thread = threading.Thread(target=work)
        thread.start()
        ready.wait()
        time.sleep(0.05)
    found = any(call() is not None and bool(ran) for _ in range(200))
    thread.join()
    return found


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize(("length", "released"), [(4, False), (100, False), (1_000_000, True)])
def test_other_threads_run_beside_long_kernels(watch, patience, length: int, released: bool, given: bool) -> None:
    function = gradc.jit(lambda x: np.tanh(np.exp(np.sin(x))), threads=1)
    x, out = np.linspace(0.0, 1.0, length), np.empty(length)
    call = (lambda: function(x, out=out)) if given else (lambda: function(x))
    watch.warm(call)
    assert runs_beside(call) == released
