"""Parallel loops on several threads: the same bits, whoever calls, and no harm from forks, exits and failures."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import llvmlite.binding as binding
import numpy as np
import pytest

import gradc
from gradc import config
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load_object, object_code
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.threads.pool import has_threads, pool
from gradc.backends.llvm.threads.text import SYSTEMS, text
from gradc.errors import ArgumentError, IndexBoundsError
from gradc.loops.language.parse import parse_program

pytestmark = pytest.mark.skipif(not has_threads(), reason="parallel loops run in order on this system")

RNG = np.random.default_rng(0)
X = RNG.normal(size=40_000)
ROWS = RNG.normal(size=(300, 257)).astype(np.float32)
TABLE = RNG.normal(size=(30, 8))
PLACES = RNG.integers(0, 30, 20_000).astype(np.int32)


def chain(x: Any) -> Any:
    return np.mean(np.tanh(np.exp(-x * x) + np.sin(x)) ** 2)


def softmax(rows: Any) -> Any:
    top = rows - np.max(rows, axis=1, keepdims=True)
    return -np.mean(np.log(np.exp(top) / np.sum(np.exp(top), axis=1, keepdims=True))[:, 3])


def gathered(table: Any, places: Any) -> Any:
    return np.sum(np.tanh(table[places] * np.arange(8.0)) ** 2)


def layers(w1: Any, w2: Any, x: Any) -> Any:
    return np.mean(np.tanh(np.maximum(x @ w1, 0) @ w2) ** 2)


W1, W2, POINTS = (RNG.normal(size=s).astype(np.float32) for s in ((200, 320), (320, 256), (96, 200)))

NETWORKS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "an elementwise chain": (chain, (X,)),
    "rows of a softmax": (softmax, (ROWS,)),
    "rows gathered and scattered": (gathered, (TABLE, PLACES)),
    "two layers": (layers, (W1, W2, POINTS)),
}


MOST_ROUNDS = 50
"""Rounds of calls until the workers have taken part: where the machine has other work, calls stay alone for a while."""


@pytest.fixture(autouse=True)
def workers() -> Iterator[None]:
    """Six workers, whatever the number of processors."""
    pool().limit(6)
    yield
    pool().limit(config.processors() - 1)


@pytest.mark.parametrize(("network", "arguments"), NETWORKS.values(), ids=NETWORKS.keys())
def test_the_bits_do_not_depend_on_the_number_of_threads(
    network: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    value, slope = gradc.value_and_grad(network, threads=1)(*arguments)
    for threads in (2, 3, 7):
        function = gradc.value_and_grad(network, threads=threads)
        assert "@gradc.parallel(" in function.compile(*arguments).llvm_ir
        for _ in range(MOST_ROUNDS):
            pool().limit(6)
            for _ in range(20):
                again, own = function(*arguments)
                assert again == value
                np.testing.assert_array_equal(own, slope)
            if pool().workers() >= min(threads - 1, 2):
                break
    assert pool().workers() >= 2


def test_the_bits_stay_while_a_kernel_tries_its_ways() -> None:
    expected = gradc.grad(chain, threads=1)(X)
    function = gradc.grad(chain, threads=4)
    for _ in range(150):
        np.testing.assert_array_equal(function(X), expected)


def test_one_thread_calls_no_pool() -> None:
    assert "@gradc.parallel(" not in gradc.grad(chain).compile(X, threads=1).llvm_ir


def test_kernels_that_are_small_call_no_pool() -> None:
    assert "@gradc.parallel(" not in gradc.grad(chain, threads=4).compile(X[:100]).llvm_ir


def test_callers_side_by_side_get_their_own_results() -> None:
    function = gradc.value_and_grad(chain, threads=3)
    inputs = [X * (1 + k) for k in range(6)]
    expected = [gradc.value_and_grad(chain, threads=1)(x) for x in inputs]
    wrong: list[int] = []

    def call(k: int) -> None:
        for _ in range(60):
            value, slope = function(inputs[k])
            if value != expected[k][0] or not np.array_equal(slope, expected[k][1]):
                wrong.append(k)

    threads = [threading.Thread(target=call, args=(k,)) for k in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own() -> None:
    function = gradc.grad(chain, threads=2)
    expected = [function(X) for _ in range(50)][-1]
    assert pool().workers() > 0
    child = os.fork()
    if child == 0:
        pool().limit(1)
        before = pool().workers()
        results = [function(X) for _ in range(200)]
        good = before == 0 and all(np.array_equal(r, expected) for r in results)
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(function(X), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_while_others_compute_does_not_wait_for_them() -> None:
    function = gradc.grad(chain, threads=4)
    expected = [function(X) for _ in range(5)][-1]
    ends = threading.Event()

    def compute() -> None:
        while not ends.is_set():
            function(X)

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        for _ in range(8):
            child = os.fork()
            if child == 0:
                pool().limit(2)
                results = [function(X) for _ in range(20)]
                os._exit(0 if all(np.array_equal(r, expected) for r in results) else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        ends.set()
        thread.join()


@pytest.mark.parametrize(
    "ending",
    ["", "threading.Thread(target=lambda: [f(x) for _ in range(10**6)], daemon=True).start()", "os._exit(0)"],
    ids=["parked", "running", "at once"],
)
def test_the_process_ends_while_there_are_workers(ending: str) -> None:
    program = f"""
        import os, threading
        import numpy as np
        import gradc
        from gradc.backends.llvm.threads.pool import pool
        pool().limit(3)
        x = np.linspace(-1.0, 1.0, 200_000)
        f = gradc.grad(lambda x: np.sum(np.tanh(np.exp(x))), threads=4)
        for _ in range(30):
            f(x)
        assert pool().workers() == 3
        {ending}
    """
    done = subprocess.run([sys.executable, "-c", dedent(program)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_kernel_after_the_pool_has_ended_runs_on_its_own_thread() -> None:
    program = """
        import atexit
        import numpy as np
        import gradc
        x = np.linspace(-1.0, 1.0, 200_000)
        f = gradc.grad(lambda x: np.sum(np.tanh(np.exp(x))), threads=2)
        atexit.register(lambda: print(np.array_equal(f(x), first)))
        first = f(x)
    """
    done = subprocess.run([sys.executable, "-c", dedent(program)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinities")
def test_more_threads_than_processors_finish_and_are_right() -> None:
    program = """
        import os
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        import numpy as np
        import gradc
        from gradc.backends.llvm.threads.pool import pool
        x = np.linspace(-1.0, 1.0, 200_000)
        loss = lambda x: np.sum(np.tanh(np.exp(x)))
        expected = gradc.grad(loss)(x)
        crowd = gradc.grad(loss, threads=8)
        assert np.array_equal(crowd(x), expected) and pool().workers() == 0
        pool().limit(7)
        assert all(np.array_equal(crowd(x), expected) for _ in range(50))
        assert pool().workers() == 7
    """
    done = subprocess.run([sys.executable, "-c", dedent(program)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_control_group_that_pays_for_one_processor_has_no_workers(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("0::/mine\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cpu.max").write_text("190000 100000\n")
    program = f"""
        from pathlib import Path
        import numpy as np
        import gradc
        from gradc import config
        from gradc.backends.llvm.threads.pool import pool
        config.CONTROL_GROUPS = Path({str(tmp_path / "table")!r}), Path({str(tmp_path)!r})
        x = np.linspace(-1.0, 1.0, 200_000)
        loss = lambda x: np.sum(np.tanh(np.exp(x)))
        expected = gradc.grad(loss, threads=1)(x)
        shared = gradc.grad(loss, threads=2)
        assert all(np.array_equal(shared(x), expected) for _ in range(50))
        assert pool().workers() == 0
    """
    done = subprocess.run([sys.executable, "-c", dedent(program)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_failed_check_on_any_thread_is_told() -> None:
    places = PLACES.copy()
    places[[5, 19_000]] = 77, 33
    for threads in (1, 4):
        function = gradc.grad(gathered, threads=threads)
        for _ in range(10):
            with pytest.raises(IndexBoundsError, match="index 77 is out of bounds for axis 0 with size 30"):
                function(TABLE, places)
        assert np.isfinite(function(TABLE, PLACES)).all()


def test_many_kernels_come_and_go() -> None:
    lines = """program p
input x: f64[64]
output y: f64[64]

begin
  for chunk in 0 to 8 parallel:
    for i in chunk * 8 to chunk * 8 + 8 vector:
      y[i] = x[i] + 2.0
"""
    program = parse_program(lines)
    code = object_code(emit(program, host(), threads=4))
    for k in range(1000):
        (y,) = load_object(code, program)([np.arange(64.0) + k])
        np.testing.assert_array_equal(y, np.arange(64.0) + k + 2.0)


def test_workers_round_as_the_caller_does() -> None:
    """The rounding mode is the calling thread's own: upwards, on whatever thread a chunk runs."""
    math = ctypes.CDLL(None)
    upward = 0x800 if host().triple.startswith("x86_64") else 0x400000
    exact = gradc.jit(lambda x: x / 3.0 + x * 0.1 + x / 7.0, threads=1)
    shared = gradc.jit(lambda x: x / 3.0 + x * 0.1 + x / 7.0, threads=4)
    nearest = exact(X)
    for _ in range(30):
        shared(X)
    before = math.fegetround()
    math.fesetround(upward)
    try:
        one, several = exact(X), [shared(X) for _ in range(30)]
    finally:
        math.fesetround(before)
    assert not np.array_equal(one, nearest)
    for result in several:
        np.testing.assert_array_equal(result, one)


def test_the_knob_the_variable_and_the_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADC_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    function = gradc.jit(chain)
    assert "i64 5, ptr" in call_of(function)
    monkeypatch.setenv("OMP_NUM_THREADS", "none")
    assert f"i64 {config.processors()}, ptr" in call_of(function) or config.processors() == 1
    monkeypatch.setenv("GRADC_THREADS", "4")
    assert "i64 4, ptr" in call_of(function)
    with config.threads(3):
        assert "i64 3, ptr" in call_of(function)
        assert "i64 2, ptr" in call_of(gradc.jit(chain, threads=2))
    assert call_of(gradc.jit(chain, threads=1)) == ""


def call_of(function: gradc.Function) -> str:
    lines = function.compile(X).llvm_ir.splitlines()
    return next((line for line in lines if "call i64 @gradc.threads(" in line), "")


def test_the_knob_holds_for_functions_that_are_called_natively() -> None:
    function = gradc.grad(chain)
    with config.threads(3):
        results = [function(X) for _ in range(3)]
    with config.threads(1):
        results += [function(X) for _ in range(3)]
    assert len(function._kernels) == 2
    for result in results:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("machine", SYSTEMS)
def test_the_pool_compiles_for_each_system(machine: str) -> None:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    module = binding.parse_assembly(text(SYSTEMS[machine]))
    module.verify()
    target = binding.Target.from_triple(f"{machine}-unknown-linux-gnu")
    assert target.create_target_machine(codemodel="default").emit_object(module)


def test_no_threads_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"threads=0 is not a whole number from 1 on"):
        gradc.jit(chain, threads=0)


def test_the_cache_keeps_kernels_with_threads(tmp_path: Any) -> None:
    with config.cache_dir(str(tmp_path / "cache")):
        first = gradc.grad(chain, threads=2)(X)
        again = gradc.grad(chain, threads=2)(X)
    np.testing.assert_array_equal(first, again)
