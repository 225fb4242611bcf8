"""Results that the caller gives: which calls are answered natively, and that nothing is lost or freed too early."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
from typing import Any

import numpy as np
import pytest

import gradc


def layered(w, x):
    h = np.tanh(x @ w["layers"][0] + w["bias"])
    return np.sum((h @ w["layers"][1]) ** 2)


def network(size: int, seed: int = 0) -> tuple[dict[str, Any], np.ndarray]:
    rng = np.random.default_rng(seed)
    layers = [rng.normal(size=(size, size)), rng.normal(size=(size, size))]
    return {"layers": layers, "bias": rng.normal(size=size)}, rng.normal(size=(size, size))


def room(size: int) -> tuple[Any, Any]:
    layers = [np.empty((size, size)), np.empty((size, size))]
    return np.empty(()), {"layers": layers, "bias": np.empty(size)}


def leaves(value: Any, gradient: Any) -> list[Any]:
    return [value, gradient, gradient["layers"], *gradient["layers"], gradient["bias"]]


def assert_same(found: Any, expected: Any) -> None:
    for one, other in zip(leaves(*found), leaves(*expected), strict=True):
        if isinstance(other, (np.ndarray, np.float64)):
            assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("size", [3, 64])
def test_all_ways_to_give_results_are_answered_natively(watch, size: int) -> None:
    w, x = network(size)
    function = gradc.value_and_grad(layered)
    kernel = function.compile(w, x)
    expected = function(w, x)
    for called in (function, kernel):
        out = room(size)
        assert watch.warm(called, w, x, out=out) is out
        assert_same(out, expected)
        assert watch.native(called, out=out, x=x, w=w) is out
        assert watch.native(called, w, out=out, x=x) is out
        value, gradient = room(size)
        for part in (None, (value, None), (None, {"layers": None, "bias": gradient["bias"]})):
            result = watch.warm(called, w, x, out=part)
            assert_same(result, expected)
        assert result[1]["bias"] is gradient["bias"]
        assert watch.native(called, w, x, out=(value, None))[0] is value


def test_arrays_that_do_not_fit_go_through_python(watch) -> None:
    function = gradc.jit(lambda x: (x * 2.0, x + 1.0))
    x = np.ones(4)
    watch.warm(function, x, out=(np.empty(4), np.empty(4)))
    whole = np.empty(8)
    for out in ((whole[::2], np.empty(4)), (x, np.empty(4)), (np.empty(4), x), (whole[:4], whole[4:])):
        x[:] = 1.0
        python = out[1].base is not whole
        (watch.python if python else watch.native)(function, x, out=out)
        assert (out[0].tolist(), out[1].tolist()) == ([2.0] * 4, [2.0] * 4)
    watch.warm(function, np.ones((1, 4)), out=(np.empty((1, 4)), np.empty((1, 4))))
    marked, _ = np.broadcast_arrays(np.empty(4), np.empty((1, 4)))
    with pytest.warns((DeprecationWarning, FutureWarning)):
        watch.python(function, np.ones((1, 4)), out=(marked, np.empty((1, 4))))


def test_calls_with_and_without_results_take_turns(watch) -> None:
    function = gradc.jit(lambda x: x * 2.0)
    x, out = np.ones(3), np.empty(3)
    watch.warm(function, x, out=out)
    watch.warm(function, x)
    for _ in range(3):
        assert watch.native(function, x, out=out) is out
        assert watch.native(function, x) is not out


@pytest.mark.parametrize("size", [3, 64])
def test_references_are_as_before(watch, size: int) -> None:
    w, x = network(size)
    function = gradc.value_and_grad(layered)
    out = room(size)
    some = (None, {"layers": [out[1]["layers"][0], None], "bias": None})
    watch.warm(function, w, x, out=out)
    watch.warm(function, w, x, out=some)
    foreign = np.empty(1)
    held = [w, *leaves(*out), out, some, x, foreign]
    before = [sys.getrefcount(item) for item in held]
    for _ in range(100):
        function(w, x, out=out)
        function(w, x, out=some)
        function(w, out=some, x=x)
        with pytest.raises(gradc.errors.ArgumentError):
            function(w, x, out=foreign)
    gc.collect()
    assert [sys.getrefcount(item) for item in held] == before


@pytest.mark.parametrize("size", [3, 64])
@pytest.mark.parametrize("whole", [True, False])
def test_memory_that_runs_out(watch, size: int, whole: bool) -> None:
    testing = pytest.importorskip("_testcapi")
    w, x = network(size)
    function = gradc.value_and_grad(layered)
    expected = function(w, x)
    full = room(size)
    out = full if whole else (None, {"layers": [full[1]["layers"][0], None], "bias": None})
    watch.warm(function, w, x, out=out)
    held = [w, x, out, *leaves(*full)]
    before = [sys.getrefcount(item) for item in held]
    failures = 0
    for count in itertools.count():
        result = error = None
        testing.set_nomemory(count, count + 1)
        try:
            result = function(w, x, out=out)
        except MemoryError as caught:
            error = caught
        finally:
            testing.remove_mem_hooks()
        if error is None:
            assert_same(result, expected)
        failures += error is not None
        done = error is None and count > 40
        error = result = None
        if done:
            break
    assert whole or failures >= 4
    assert [sys.getrefcount(item) for item in held] == before
    assert_same(watch.native(function, w, x, out=out), expected)


@pytest.mark.parametrize("size", [4, 100])
def test_ten_threads_that_give_results(watch, size: int) -> None:
    """Sizes without and with an arena of their own, below and above the size from which on they run side by side."""
    function = gradc.value_and_grad(layered)
    networks = [network(size, seed) for seed in range(10)]
    expected = [function(*one) for one in networks]
    watch.warm(function, *networks[0], out=room(size))
    failures: list[BaseException] = []

    def work(number: int) -> None:
        out = room(size)
        some = (None, {"layers": None, "bias": np.empty(size)})
        try:
            for _ in range(20):
                assert function(*networks[number], out=out) is out
                assert_same(out, expected[number])
                assert_same(function(*networks[number], out=some), expected[number])
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_results_that_others_take_away_while_the_kernel_runs(watch) -> None:
    """The kernel writes into the arrays that it was called with, although the caller's dict loses them."""
    function = gradc.jit(lambda x: {"y": np.tanh(x), "z": None if x.ndim else 0, "w": x * 2.0})
    x = np.full(200_000, 0.5)
    out = {"y": np.empty(200_000), "z": None, "w": np.empty(200_000)}
    watch.warm(function, x, out=out)
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            for key in ("y", "w"):
                out[key] = np.empty(200_000)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(100):
            function(x, out=out)
    finally:
        done.set()
        changing.join()
    assert function(x, out=out)["w"].tolist() == [1.0] * 200_000


def test_a_failed_check_raises_as_without(watch) -> None:
    take = gradc.jit(lambda x, i: x[i] * 2.0)
    x, out = np.arange(4.0), np.empty(2)
    watch.warm(take, x, np.array([0, -1]), out=out)
    with pytest.raises(IndexError, match="out of bounds for axis 0 with size 4"):
        take(x, np.array([4, 0]), out=out)
    assert watch.native(take, x, np.array([1, 2]), out=out).tolist() == [2.0, 4.0]
