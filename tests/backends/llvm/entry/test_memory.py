"""Nothing leaks and nothing is freed too early: references, memory that runs out, code, threads, re-entry."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradc
from gradc.backends.llvm.entry import load
from gradc.backends.llvm.entry.reuse import KEPT
from gradc.backends.llvm.entry.runtime import RECORD_CALLS
from gradc.errors import ArgumentError


def layered(w, x):
    h = np.tanh(x @ w["layers"][0] + w["bias"])
    return np.sum((h @ w["layers"][1]) ** 2)


class Step(NamedTuple):
    value: Any
    slopes: Any


def network(size: int = 3) -> tuple[dict[str, Any], np.ndarray]:
    rng = np.random.default_rng(0)
    layers = [rng.normal(size=(size, size)), rng.normal(size=(size, size))]
    return {"layers": layers, "bias": rng.normal(size=size)}, rng.normal(size=(size, size))


def leaves(w: dict[str, Any], x: np.ndarray) -> list[Any]:
    return [w, w["layers"], *w["layers"], w["bias"], x]


def references(objects: list[Any]) -> list[int]:
    return [sys.getrefcount(item) for item in objects]


def turned(w: dict[str, Any], x: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """The same numbers, in arrays that have to be copied."""
    layers = [np.asfortranarray(w["layers"][0]), w["layers"][1]]
    return {"layers": layers, "bias": np.repeat(w["bias"], 2)[::2]}, x[::-1].copy()[::-1]


@pytest.mark.parametrize("size", [3, 64])
def test_references_are_as_before(watch, size: int) -> None:
    """Once below and once above the size from which on other threads run."""
    w, x = network(size)
    function = gradc.jit(lambda w, x: Step(*gradc.value_and_grad(layered)(w, x)))
    for _ in range(KEPT):
        watch.warm(function, w, x)
    strided = turned(w, x)
    held = [*leaves(w, x), *leaves(*strided), layered, np.ndarray, "layers", "bias", dict, list, Step]
    before = references(held)
    for _ in range(200):
        function(w, x)
        function(w=w, x=x)
        watch.native(function, *strided)
    assert references(held) == before


def test_references_after_misses_and_errors(watch) -> None:
    w, x = network()
    take = gradc.jit(lambda w, x, i: (w["bias"][i], x))
    index = np.array([0, 1])
    watch.warm(take, w, x, index)
    outside = np.array([7, 0])
    held = [*leaves(w, x), index, outside]
    before = references(held)
    for _ in range(50):
        with pytest.raises(IndexError):
            take(w, x, outside)
        with pytest.raises(ArgumentError):
            take(w)
        with pytest.raises(ArgumentError):
            take(w, x, index, nothing=x)
        take(w, x[::-1], index)
    gc.collect()
    assert references(held) == before


def test_memory_stays_the_same(watch) -> None:
    w, x = network()
    function = gradc.value_and_grad(layered)
    watch.warm(function, w, x)

    def use(times: int) -> None:
        for _ in range(times):
            function(w, x)
            function(w, x=x)

    use(100)
    tracemalloc.start()
    try:
        use(100)
        gc.collect()
        first = tracemalloc.get_traced_memory()[0]
        use(2000)
        gc.collect()
        second = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert second - first < 2000


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("size", [3, 64])
def test_memory_that_runs_out(watch, size: int, copies: bool) -> None:
    """Every allocation of a call fails once. The call raises or succeeds, and no reference is lost."""
    testing = pytest.importorskip("_testcapi")
    w, x = turned(*network(size)) if copies else network(size)
    function = gradc.jit(lambda w, x: Step(*gradc.value_and_grad(layered)(w, x)))
    expected = watch.warm(function, w, x)
    held = leaves(w, x)
    before = references(held)
    failures = 0
    for count in itertools.count():
        result = error = None
        testing.set_nomemory(count, count + 1)
        try:
            result = function(w, x)
        except MemoryError as caught:
            error = caught
        finally:
            testing.remove_mem_hooks()
        if error is None:
            assert result[0] == expected[0]
            if count > 40:
                break
        failures += error is not None
        error = result = None
    assert failures >= 4
    assert references(held) == before
    assert watch.native(function, w, x)[0] == expected[0]


def test_keywords_when_memory_runs_out(watch) -> None:
    testing = pytest.importorskip("_testcapi")
    function = gradc.jit(lambda *xs: sum(xs))
    watch.warm(function, 1.0)
    many = [1.0] * 40
    function(*many)
    for count in range(60):
        testing.set_nomemory(count, count + 1)
        try:
            function(*many)
        except MemoryError:
            pass
        finally:
            testing.remove_mem_hooks()
    assert function(*many) == 40.0


def in_threads(count: int, work: Callable[[int], None]) -> None:
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize("size", [4, 100])
def test_ten_threads_with_one_kernel(watch, size: int) -> None:
    """Sizes without and with an arena of their own, below and above the size from which on they run side by side."""
    function = gradc.value_and_grad(layered)
    networks = []
    for seed in range(10):
        w, x = network(size)
        networks.append(({**w, "bias": w["bias"] + seed}, x))
    expected = [function(w, x) for w, x in networks]
    networks[5:] = [turned(w, x) for w, x in networks[5:]]
    watch.warm(function, *networks[0])

    def work(number: int) -> None:
        w, x = networks[number]
        for _ in range(30):
            value, gradient = function(w, x)
            assert value == expected[number][0]
            assert gradient["bias"].tobytes() == expected[number][1]["bias"].tobytes()

    in_threads(10, work)


def test_threads_with_many_signatures() -> None:
    """Entries come and go while others run."""
    function = gradc.jit(lambda x: np.sum(x * x) + x)

    def work(number: int) -> None:
        for step in range(60):
            size = 1 + (number * 7 + step) % 6
            assert function(np.full(size, 2.0)).tolist() == [4.0 * size + 2.0] * size

    in_threads(6, work)


@pytest.mark.parametrize("step", [1, 2])
def test_arguments_that_others_change_while_the_kernel_runs(watch, step: int) -> None:
    """The kernel reads what it was called with, although the caller's dict loses it, also while they are copied."""
    function = gradc.jit(lambda w: np.sum(np.tanh(w["x"] * w["y"] + w["z"])))
    w = {"x": np.full(400_000, 0.5)[::step], "y": np.full(400_000, 2.0)[::step], "z": np.array(1.0)}
    expected = watch.warm(function, w)
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            for key in ("x", "y", "z"):
                w[key] = np.full(400_000, w[key].flat[0])[::step] if w[key].ndim else w[key].copy()

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(100):
            assert function(w) == expected
    finally:
        done.set()
        changing.join()


def test_a_collection_inside_a_call_may_do_anything(watch) -> None:
    """Making a container can run the collector: here it calls the function, and replaces its entries."""
    function = gradc.jit(lambda x: [[x, [x]], {"x": x}])
    watch.warm(function, 1.0)
    calls = []

    def collected(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and len(calls) < 40:
            calls.append(phase)
            for _ in range(2):
                for size in range(1, 7):
                    function(np.ones(size))
            function(2.0)

    threshold = gc.get_threshold()
    gc.callbacks.append(collected)
    gc.set_threshold(1, 1, 1)
    try:
        results = [function(3.0) for _ in range(200)]
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(collected)
    assert calls
    assert results == [[[3.0, [3.0]], {"x": 3.0}]] * 200


def test_code_that_runs_is_not_unloaded(watch) -> None:
    function = gradc.jit(lambda x: x + 1.0)
    watch.warm(function, 1.0)
    entry = function._ways.entries[0]
    record = entry._record
    record[RECORD_CALLS // 8] += 1
    del function, entry
    gc.collect()
    assert any(left is record for left, _ in load._LEFT)
    record[RECORD_CALLS // 8] -= 1
    load._sweep()
    assert not any(left is record for left, _ in load._LEFT)


def test_finalizers_of_a_dying_cycle_may_call(watch) -> None:
    answers = []

    class Owner:
        def __init__(self) -> None:
            self.function = gradc.jit(lambda x: x + 1.0)
            self.function.owner = self
            watch.warm(self.function, 1.0)

        def __del__(self) -> None:
            answers.append(self.function(2.0))

    owner = Owner()
    del owner
    gc.collect()
    assert answers == [3.0]
