"""donate=: results are written into the arrays of arguments, and are what they would be without it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import gradc
from gradc import optim
from gradc.errors import ArgumentError

BACKENDS = ("llvm", "numpy", "reference")


def loss(w, x, y):
    h = np.tanh(x @ w["hidden"] + w["bias"])
    return np.mean((h @ w["out"] - y) ** 2)


def train(w, state, x, y):
    value, grads = gradc.value_and_grad(loss)(w, x, y)
    w, state = optim.adam(w, grads, state, rate=0.02)
    return value, w, state


def data(hidden=7, rows=50, dtype=np.float64):
    rng = np.random.default_rng(3)
    w = {
        "hidden": rng.normal(size=(3, hidden)).astype(dtype),
        "bias": rng.normal(size=hidden).astype(dtype),
        "out": rng.normal(size=hidden).astype(dtype),
    }
    x = rng.normal(size=(rows, 3)).astype(dtype)
    return w, optim.adam_state(w), x, np.sin(x[:, 0])


def copied(w, state):
    def copy(tree):
        return {name: value.copy() for name, value in tree.items()}

    return copy(w), optim.AdamState(state.steps.copy(), copy(state.mean), copy(state.square))


def all_leaves(w, state):
    return [*w.values(), state.steps, *state.mean.values(), *state.square.values()]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("hidden", "rows"), [(7, 50), (96, 300)])
def test_a_training_step_updates_its_parameters_in_place(backend, hidden, rows):
    w, state, x, y = data(hidden, rows)
    mine, own = copied(w, state)
    before = all_leaves(mine, own)
    plain, step = gradc.jit(train, backend=backend), gradc.jit(train, donate=("w", "state"), backend=backend)
    for _ in range(5):
        expected, w, state = plain(w, state, x, y)
        value, new, after = step(mine, own, x, y)
        assert value == pytest.approx(float(expected), rel=1e-12)
        assert [id(leaf) for leaf in all_leaves(new, after)] == [id(leaf) for leaf in before]
        for got, wanted in zip(all_leaves(mine, own), all_leaves(w, state), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)


CASES = {
    "what is read later": lambda w, x: (w * x + 1, np.sum(w[::-1] * x)),
    "another order": lambda w, x: (w[::-1] + x, np.sum(w)),
    "a shift": lambda w, x: (np.concatenate([w[1:], x[:1]]), w[0]),
    "a product with itself": lambda w, x: (np.outer(w, w) @ x, w[3]),
    "all of it for each": lambda w, x: (w / np.sum(w * w) + x, np.max(w)),
    "a softmax": lambda w, x: (np.exp(w) / np.sum(np.exp(w)), np.exp(x)),
    "a copy": lambda w, x: (w, w + x),
    "a gather": lambda w, x: (w[np.array([4, 4, 0, 1, 2, 3, 5, 6])], x),
    "twice": lambda w, x: (w + x, w - x),
    "a cumulative product": lambda w, x: (np.stack([np.prod(w[: k + 1]) for k in range(8)]), x),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_what_reads_the_old_values_reads_the_old_values(case, backend):
    function = CASES[case]
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=8), rng.normal(size=8)
    expected = gradc.jit(function, backend=backend)(w, x)
    step = gradc.jit(function, donate="w", backend=backend)
    for _ in range(4):  # through Python first, then through the native entry
        mine = w.copy()
        first, second = step(mine, x)
        assert first is mine
        np.testing.assert_allclose(first, expected[0], rtol=1e-14)
        np.testing.assert_allclose(second, expected[1], rtol=1e-14)


def test_two_arguments_take_the_results_in_order():
    step = gradc.jit(lambda a, b: (b + 1.0, a + 2.0), donate=("a", "b"))
    for _ in range(4):
        a, b = np.zeros(5), np.ones(5)
        first, second = step(a, b)
        assert first is a
        assert second is b
        assert np.array_equal(a, np.full(5, 2.0))
        assert np.array_equal(b, np.full(5, 2.0))


def test_symbolic_sizes_update_in_place():
    kernel = gradc.jit(lambda w, x: (w - 0.5 * x[::-1], np.sum(w * x)), donate="w").compile(
        gradc.aval("f64[n]"), gradc.aval("f64[n]")
    )
    for size in (0, 1, 7, 1000):
        w, x = np.arange(size) * 1.0, np.ones(size)
        expected = w - 0.5 * x[::-1]
        new, total = kernel(w, x)
        assert new is w
        assert np.array_equal(w, expected)
        assert total == size * (size - 1) / 2


def test_arrays_that_are_not_contiguous_are_written_too():
    step = gradc.jit(lambda w: w * 2.0, donate="w")
    for _ in range(3):
        whole = np.arange(20.0)
        part = whole[::2]
        assert step(part) is part
        assert np.array_equal(whole[::2], np.arange(0.0, 40.0, 4.0))
        assert np.array_equal(whole[1::2], np.arange(1.0, 20.0, 2.0))


def test_numbers_are_not_written_but_replaced():
    step = gradc.jit(lambda state: {"a": state["a"] + 1.0, "n": state["n"] + 1.0}, donate="state")
    for _ in range(3):
        state = {"a": np.zeros(3), "n": 2.0}
        new = step(state)
        assert new["a"] is state["a"]
        assert new["n"] == 3.0
        assert state["n"] == 2.0


def test_a_failed_check_leaves_the_arrays_as_they_were():
    def step(w, i):
        return w * 2.0, w[i]

    donating = gradc.jit(step, donate="w")
    for _ in range(3):
        w = np.ones(4)
        with pytest.raises(IndexError):
            donating(w, np.array([1, 9]))
        assert np.array_equal(w, np.ones(4))
        new, picked = donating(w, np.array([1, 2]))
        assert new is w
        assert np.array_equal(w, np.full(4, 2.0))
        assert np.array_equal(picked, [1.0, 1.0])


def test_no_result_that_fits_is_refused():
    with pytest.raises(ArgumentError, match=r"w is donated, and no result that is left has its nesting"):
        gradc.jit(lambda w: np.sum(w), donate="w")(np.ones(3))


@pytest.mark.parametrize("calls", [1, 4])
@pytest.mark.parametrize("backend", BACKENDS)
def test_arrays_that_cannot_be_written_are_refused(backend, calls):
    step = gradc.jit(lambda w, x: w + x, donate="w", backend=backend)
    for _ in range(calls):
        step(np.zeros(4), np.ones(4))
    frozen = np.zeros(4)
    frozen.setflags(write=False)
    with pytest.raises(ArgumentError, match=r"w is donated to .* and read-only; pass an array that can be written"):
        step(frozen, np.ones(4))
    shared = np.zeros(6)
    with pytest.raises(ArgumentError, match=r"w is donated to .* and shares memory with x; pass a copy of one"):
        step(shared[:4], shared[2:])
    assert np.array_equal(shared, np.zeros(6))


def test_a_place_for_results_besides_is_refused():
    step = gradc.jit(lambda w, x: (w + x, np.sum(x)), donate="w")
    with pytest.raises(ArgumentError, match="results go into donated arguments, and out= says"):
        step(np.zeros(4), np.ones(4), out=(np.zeros(4), None))


def test_threads_with_arrays_of_their_own_do_not_meet():
    step = gradc.jit(lambda w, x: (w + x @ x, np.sum(x)), donate="w")
    step(np.zeros((64, 64)), np.eye(64))
    step(np.zeros((64, 64)), np.eye(64))
    arrays = [np.full((64, 64), float(k)) for k in range(8)]

    def run(w):
        for _ in range(50):
            step(w, np.eye(64))

    workers = [threading.Thread(target=run, args=(w,)) for w in arrays]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for k, w in enumerate(arrays):
        assert np.array_equal(w, k + 50 * np.eye(64))


def test_a_donated_argument_that_is_not_there_is_named():
    with pytest.raises(ArgumentError, match=r"^donate='q' is not an argument of kernel\(w\); choose among w$"):
        gradc.jit(kernel, donate="q")(np.ones(3))


def kernel(w):
    return w * 2.0
