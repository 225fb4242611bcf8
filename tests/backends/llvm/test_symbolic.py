"""Symbolic sizes: one kernel for every batch, the same numbers as NumPy's and as the kernel of that one size."""

from __future__ import annotations

import gc
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.backends.llvm import cache
from gradc.backends.llvm.dims import countable_up_to
from gradc.backends.llvm.entry.abi import abi
from gradc.errors import ArgumentError, IndexBoundsError, ShapeError
from gradc.ir.aval import Dim, dim_value, symbol
from gradc.kernel import Kernel
from gradc.loops.language.parse import parse_program
from gradc.loops.language.verify import verify

SIZES = (0, 1, 7, 32, 33, 128, 1000)

native = pytest.mark.skipif(abi() is None, reason="no native entries on this interpreter")


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def mean_of_squares(x: Any) -> Any:
    return np.mean(np.log1p(np.exp(x)) * x)


def regression(w: Any, x: Any, y: Any) -> Any:
    return np.mean((np.tanh(x @ w) - y) ** 2)


def classifier(w: Any, x: Any, labels: Any) -> Any:
    z = np.maximum(x @ w["hidden"] + w["bias"], 0) @ w["out"]
    z = z - np.max(z, axis=1, keepdims=True)
    logp = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(logp[np.arange(x.shape[0]), labels])


def layer_norm(w: Any, x: Any, gain: Any) -> Any:
    centred = x - np.mean(x, axis=1, keepdims=True)
    scale = np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + 1e-5)
    return np.sum(np.tanh((centred / scale * gain) @ w) ** 2)


def entropy_of_rows(w: Any, x: Any) -> Any:
    z = x @ w
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    return -np.sum(p * np.log(p))


def moved(x: Any) -> Any:
    b = x.shape[0]
    rows = x.reshape(b, 2, 3).reshape(b * 2, 3)
    t = np.concatenate([rows, rows[::-1] * 2])
    return np.sum(np.sin(t[:b]) * t[b : 2 * b] ** 2) + np.sum(x[1:] * x[:-1])


def columns(w: Any, x: Any) -> Any:
    return np.sum(np.tanh(w.T @ x) ** 2)


def distances(x: Any) -> Any:
    return np.sum(np.exp(-np.sum((x[:, None, :] - x[None, :, :]) ** 2, axis=-1))) + np.sum((x @ x.T) ** 2)


def permuted(x: Any, order: Any, w: Any) -> Any:
    return np.sum(np.tanh(x[order]) @ w * x[:, :4])


def two_sizes(x: Any, y: Any) -> Any:
    return np.sum(np.tanh(x @ y) ** 2)


def batched(a: Any, c: Any) -> Any:
    return np.sum(np.tanh(a @ c) ** 2)


def written(x: Any) -> Any:
    buffer = np.zeros_like(x)
    buffer[:, 1:3] = np.sin(x[:, :2])
    buffer[:, 0] += x[:, 5] * np.arange(x.shape[0])
    return np.sum(buffer * x) + np.std(x)


@dataclass(frozen=True)
class Network:
    function: Callable[..., Any]
    avals: tuple[Any, ...]
    arguments: Callable[[int], tuple[Any, ...]]


WEIGHTS = {"hidden": normal(20, 16), "bias": normal(16), "out": normal(16, 5)}
NARROW = {key: value.astype(np.float32) for key, value in WEIGHTS.items()}
SQUARE, GAIN = normal(6, 4), normal(6)


def rows(count: int) -> tuple[np.ndarray]:
    return (normal(count, 6, seed=count),)


def spec(text: str) -> tuple[Any, ...]:
    return tuple(gradc.aval(part) for part in text.split())


def labels(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(-5, 5, count)


def order(count: int) -> np.ndarray:
    return np.random.default_rng(count).permutation(count)


NETWORKS = [
    Network(mean_of_squares, spec("f64[batch,6]"), rows),
    Network(regression, spec("f64[6,4] f64[n,6] f64[n,4]"), lambda n: (SQUARE, *rows(n), normal(n, 4))),
    Network(classifier, (WEIGHTS, *spec("f64[n,20] i64[n]")), lambda n: (WEIGHTS, normal(n, 20), labels(n))),
    Network(
        classifier,
        (NARROW, *spec("f32[n,20] i32[n]")),
        lambda n: (NARROW, normal(n, 20).astype("f4"), labels(n).astype("i4")),
    ),
    Network(layer_norm, spec("f64[6,4] f64[n,6] f64[6]"), lambda n: (SQUARE, *rows(n), GAIN)),
    Network(entropy_of_rows, spec("f64[6,4] f64[n,6]"), lambda n: (SQUARE, *rows(n))),
    Network(moved, spec("f64[n,6]"), rows),
    Network(columns, spec("f64[6,4] f64[6,n]"), lambda n: (SQUARE, normal(6, n))),
    Network(distances, spec("f64[n,6]"), rows),
    Network(permuted, spec("f64[n,6] i64[n] f64[6,4]"), lambda n: (*rows(n), order(n), SQUARE)),
    Network(two_sizes, spec("f64[n,5] f64[5,m]"), lambda n: (normal(n, 5), normal(5, 2 * n + 1))),
    Network(batched, spec("f64[n,3,40] f64[n,40,2]"), lambda n: (normal(n, 3, 40), normal(n, 40, 2))),
    Network(written, spec("f64[n,6]"), rows),
]
NAMES = [f"{network.function.__name__}{k}" for k, network in enumerate(NETWORKS)]


def leaves(tree: Any) -> list[np.ndarray]:
    if isinstance(tree, dict):
        return [leaf for child in tree.values() for leaf in leaves(child)]
    if isinstance(tree, (tuple, list)):
        return [leaf for child in tree for leaf in leaves(child)]
    return [np.asarray(tree)]


def assert_close(got: Any, expected: Any) -> None:
    for ours, theirs in zip(leaves(got), leaves(expected), strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        scale = np.max(np.abs(theirs), initial=0)
        tolerance = 1e-12 if ours.dtype == np.float64 else 1e-5
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("network", NETWORKS, ids=NAMES)
def test_one_kernel_for_every_batch(network: Network) -> None:
    step = gradc.value_and_grad(network.function)
    kernel = step.compile(*network.avals, backend="llvm")
    oracle = step.compile(*network.avals, backend="numpy")
    program = verify(kernel._compiled.program)
    assert parse_program(kernel.loops) == program
    for size in SIZES:
        arguments = network.arguments(size)
        with np.errstate(all="ignore"):
            expected = oracle(*arguments)
        first = kernel(*arguments)
        assert_close(first, expected)
        for _ in range(2):
            again = kernel(*arguments)
            assert [x.tobytes() for x in leaves(again)] == [x.tobytes() for x in leaves(first)]


@pytest.mark.parametrize("network", NETWORKS, ids=NAMES)
def test_it_agrees_with_the_kernel_of_one_size(network: Network) -> None:
    step = gradc.value_and_grad(network.function)
    arguments = network.arguments(33)
    assert_close(step.compile(*network.avals)(*arguments), step.compile(*arguments)(*arguments))


def test_results_of_symbolic_shapes() -> None:
    def function(x: Any, y: Any) -> Any:
        return {"sum": x + y, "pair": (np.concatenate([x, y]), np.arange(x.shape[0])), "count": x.shape[0] * 2}

    kernel = gradc.jit(function).compile(*spec("f64[n,3] f64[n,3]"))
    for size in SIZES:
        x, y = normal(size, 3), normal(size, 3, seed=1)
        for _ in range(3):
            got = kernel(x, y)
            np.testing.assert_array_equal(got["sum"], x + y)
            np.testing.assert_array_equal(got["pair"][0], np.concatenate([x, y]))
            np.testing.assert_array_equal(got["pair"][1], np.arange(size))
            assert got["count"] == 2 * size


def test_a_derived_size_is_checked_and_used() -> None:
    batch = symbol("batch")
    pairs = gradc.aval("f64[2]").with_shape((batch * 2, 3))
    kernel = gradc.jit(lambda x, y: np.sum(y) + y[: x.shape[0]] * x[:, None]).compile(gradc.aval("f64[batch]"), pairs)
    for _ in range(3):
        x, y = normal(4), normal(8, 3)
        np.testing.assert_allclose(kernel(x, y), np.sum(y) + y[:4] * x[:, None])
        with pytest.raises(ArgumentError, match=r"argument y is f64\[7,3\] and .* f64\[2\*batch,3\] with batch = 4"):
            kernel(x, y[:7])


def test_disagreeing_sizes() -> None:
    kernel = gradc.grad(regression).compile(*spec("f64[6,4] f64[n,6] f64[n,4]"))
    for _ in range(3):
        kernel(SQUARE, *rows(5), normal(5, 4))
        with pytest.raises(
            ArgumentError, match=r"^argument y is f64\[4,4\] and the kernel is compiled for f64\[n,4\] with n = 5$"
        ):
            kernel(SQUARE, *rows(5), normal(4, 4))
        with pytest.raises(ArgumentError, match=r"^argument x is f64\[5,7\] and .* for f64\[n,6\]$"):
            kernel(SQUARE, normal(5, 7), normal(5, 4))


def test_a_size_that_no_axis_has() -> None:
    doubled = gradc.aval("f64[2]").with_shape((symbol("n") * 2,))
    kernel = gradc.jit(lambda x: x * 2).compile(doubled)
    with pytest.raises(ArgumentError, match=r"argument x is f64\[4\] and the kernel is compiled for f64\[2\*n\] with"):
        kernel(np.ones(4))


def test_no_largest_element_of_none() -> None:
    kernel = gradc.value_and_grad(lambda x: np.sum(np.max(x, axis=0) - np.min(x, axis=0))).compile(*spec("f64[n,3]"))
    message = r"^reduce_max: f64\[n,3\] has no element along axes \(0,\), and there is no smallest or largest of none"
    for _ in range(3):
        with pytest.raises(ShapeError, match=message):
            kernel(np.zeros((0, 3)))
        value, slope = kernel(np.array([[1.0, 2.0, 3.0], [0.5, 4.0, 3.5]]))
        assert value == 3.0
        np.testing.assert_array_equal(slope, [[1, -1, -1], [-1, 1, 1]])


def test_the_largest_of_each_of_no_rows() -> None:
    kernel = gradc.jit(lambda x: np.max(x, axis=1)).compile(*spec("f64[n,3]"))
    assert kernel(np.zeros((0, 3))).shape == (0,)


def test_no_index_is_inside_an_empty_axis() -> None:
    kernel = gradc.value_and_grad(lambda x, i: np.sum(x[i] ** 2)).compile(*spec("f64[n,3] i64[k]"))
    for _ in range(3):
        with pytest.raises(IndexBoundsError, match=r"^gather: no index is in bounds for axis 0 of f64\[n,3\]"):
            kernel(np.zeros((0, 3)), np.array([0, 1]))
        value, slope = kernel(np.zeros((0, 3)), np.zeros(0, np.int64))
        assert (value, slope.shape) == (0.0, (0, 3))
        with pytest.raises(IndexBoundsError, match=r"^index 2 is out of bounds for axis 0 with size n"):
            kernel(np.ones((2, 3)), np.array([0, 2]))
        value, slope = kernel(np.ones((2, 3)), np.array([0, -2, 1]))
        np.testing.assert_array_equal(slope, [[4, 4, 4], [2, 2, 2]])


def test_the_arena_is_a_formula() -> None:
    kernel = gradc.value_and_grad(classifier).compile(WEIGHTS, *spec("f64[n,20] i64[n]"))
    formula = kernel.cost.arena
    assert formula.symbols == {"n"}
    for size in (32, 33, 1000):
        fixed = gradc.value_and_grad(classifier).compile(WEIGHTS, normal(size, 20), labels(size)).cost.arena
        assert dim_value(formula, {"n": size}) <= 1.2 * fixed + 1024
    assert dim_value(formula, {"n": 0}) <= 1024


def test_every_place_in_the_arena_is_aligned() -> None:
    program = gradc.value_and_grad(classifier).compile(NARROW, *spec("f32[n,20] i32[n]"))._compiled.program
    scratch = [buffer for buffer in program.buffers if buffer.kind == "arena"]
    assert any(not isinstance(buffer.offset, int) for buffer in scratch)
    for size in range(70):
        sizes = {"n": size}
        for buffer in scratch:
            start, length = dim_value(buffer.offset, sizes), dim_value(buffer.bytes, sizes)
            assert start % 64 == 0
            assert start + length <= dim_value(program.arena_bytes, sizes)


def test_the_text_of_a_kernel_says_its_sizes() -> None:
    kernel = gradc.value_and_grad(regression).compile(*spec("f64[6,4] f64[batch,6] f64[batch,4]"))
    assert "for i in 0 to {batch}" in kernel.loops
    assert "i64 %batch.size" in kernel.llvm_ir
    assert "the size batch" in kernel.llvm_ir
    assert str(kernel.cost.flops).endswith("*batch + 1")
    cost = kernel.cost
    assert str(cost) == f"{cost.flops} flops, {cost.bytes} bytes of arguments and results, {cost.arena} of scratch"


@native
def test_the_native_entry_answers_every_batch() -> None:
    kernel = gradc.value_and_grad(regression).compile(*spec("f64[6,4] f64[n,6] f64[n,4]"))
    kernel(SQUARE, *rows(3), normal(3, 4))
    assert kernel.entry is None
    kernel(SQUARE, *rows(3), normal(3, 4))
    assert kernel.entry is not None
    ran: list[int] = []
    original, kernel.run = kernel.run, lambda inputs: ran.append(1) or original(inputs)  # type: ignore[method-assign]
    for size in (1000, 0, 7, 128, 1):
        kernel(SQUARE, *rows(size), normal(size, 4))
    assert ran == []


@native
def test_arenas_grow_and_go() -> None:
    kernel = gradc.value_and_grad(classifier).compile(WEIGHTS, *spec("f64[n,20] i64[n]"))
    expected = {size: kernel(WEIGHTS, normal(size, 20), labels(size)) for size in (5, 2000, 300)}
    for size in (5, 2000, 300, 5, 2000):
        got = kernel(WEIGHTS, normal(size, 20), labels(size))
        assert [x.tobytes() for x in leaves(got)] == [x.tobytes() for x in leaves(expected[size])]
    del kernel
    gc.collect()


def test_threads_with_different_batches() -> None:
    kernel = gradc.value_and_grad(classifier).compile(WEIGHTS, *spec("f64[n,20] i64[n]"))
    arguments = {size: (WEIGHTS, normal(size, 20), labels(size)) for size in (1, 9, 40, 257, 900)}
    expected = {size: [x.tobytes() for x in leaves(kernel(*a))] for size, a in arguments.items()}
    wrong: list[int] = []

    def work(shift: int) -> None:
        sizes = list(arguments)
        for k in range(40):
            size = sizes[(k + shift) % len(sizes)]
            if [x.tobytes() for x in leaves(kernel(*arguments[size]))] != expected[size]:
                wrong.append(size)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_symbolic_kernel_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "stamp", lambda: {"gradc": "0"})

    def results() -> list[bytes]:
        kernel: Kernel = gradc.value_and_grad(classifier).compile(WEIGHTS, *spec("f64[n,20] i64[n]"))
        found = [kernel(WEIGHTS, normal(size, 20), labels(size)) for size in (0, 7, 33)]
        return [x.tobytes() for tree in found for x in leaves(tree)]

    first = results()
    monkeypatch.setattr(cache, "object_code", lambda *_, **__: pytest.fail("the machine code was made again"))
    assert results() == first


def test_long_kernels_in_parts_hand_their_sizes_on() -> None:
    def deep(x: Any, w: Any) -> Any:
        for k in range(70):
            x = np.tanh(x @ w) + np.sum(x, axis=0) * (k + 1) / 100 - np.max(x)
        return np.sum(x)

    step = gradc.value_and_grad(deep)
    kernel, oracle = (step.compile(*spec("f64[n,9] f64[9,9]"), backend=backend) for backend in ("llvm", "numpy"))
    assert ".part.2" in kernel.llvm_ir
    for size in (1, 7):
        assert_close(kernel(normal(size, 9), normal(9, 9) / 9), oracle(normal(size, 9), normal(9, 9) / 9))
    with pytest.raises(ShapeError, match="reduce_max"):
        kernel(np.zeros((0, 9)), normal(9, 9))


def test_long_sums_over_rows_keep_their_digits() -> None:
    kernel = gradc.jit(lambda x, gain: np.sum(x * gain, axis=0)).compile(*spec("f64[n,3] f64[3]"))
    assert "for i_start in 0 to {n} step 1024" in kernel.loops
    for size in (1, 1023, 1024, 1025, 5000, 300_001):
        total = kernel(np.full((size, 3), 0.1), np.ones(3))
        exact = math.fsum([0.1] * size)
        assert np.all(np.abs(total - exact) <= (1024 + size / 1024) * np.finfo(float).eps / 2 * exact)


@pytest.mark.parametrize("size", [33, 1000, 5000])
def test_sums_over_rows_have_the_bits_of_the_kernel_of_one_size(size: int) -> None:
    step = gradc.jit(lambda x, gain: (np.sum(x * gain, axis=0), np.sum(np.exp(x))))
    x, gain = normal(size, 3), normal(3)
    ours, theirs = step.compile(*spec("f64[n,3] f64[3]"))(x, gain), step.compile(x, gain)(x, gain)
    assert [a.tobytes() for a in leaves(ours)] == [a.tobytes() for a in leaves(theirs)]


def all_pairs_of_pairs(x: np.ndarray) -> np.ndarray:
    cube = x[:, None, None] * x[None, :, None] * x
    sums = np.cumsum(np.sin(cube), axis=0)
    return np.sum(sums[-1] * sums[0])


def test_sizes_whose_products_overflow_are_refused() -> None:
    kernel = gradc.jit(all_pairs_of_pairs).compile(*spec("f64[n]"))
    for _ in range(2):
        kernel(normal(4))
    with pytest.raises(ShapeError) as caught:
        kernel(np.zeros(2**21))
    assert str(caught.value) == (
        "all_pairs_of_pairs: a call with n = 2097152 takes 2.8e+19 steps and 1.5e+20 bytes of scratch memory, "
        "more than can be counted; call it on smaller arrays"
    )
    kernel(normal(4))


def test_a_count_that_overflows_is_not_taken_for_none() -> None:
    kernel = gradc.jit(lambda x: np.sum(x[:, None, None, None] * x[:, None, None] * x[:, None] * x)).compile(
        *spec("f64[n]")
    )
    for _ in range(2):
        kernel(normal(3))
    with pytest.raises(ShapeError, match="n = 65536 takes"):
        kernel(np.ones(2**16))


def test_results_whose_size_overflows_are_refused() -> None:
    kernel = gradc.jit(lambda x: np.outer(x.sum(axis=1), x.sum(axis=1)).ravel()).compile(*spec("f64[n,m]"))
    for _ in range(2):
        kernel(normal(3, 2))
    with pytest.raises(ShapeError, match="m = 0, n = 4294967296 takes"):
        kernel(np.zeros((2**32, 0)))


N, M = symbol("n"), symbol("m")


COUNTED = [(N, 2**61), (8 * N, 2**58), (N * N * N, 2**20), (N * M + N, 2**30), (N * N // 4096, 2**30)]


@pytest.mark.parametrize(("dim", "largest"), COUNTED, ids=str)
def test_the_largest_sizes_that_are_counted_natively(dim: Dim, largest: int) -> None:
    assert countable_up_to([dim]) == largest
