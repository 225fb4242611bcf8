"""Functions that write into arguments donated to them: what NumPy leaves in these arrays, whatever is returned."""

from __future__ import annotations

import ctypes
import importlib.util
import pickle
import shutil
import subprocess
from typing import NamedTuple

import numpy as np
import pytest

import gradc
from gradc.errors import ArgumentError, CompileError, TraceError

BACKENDS = ("llvm", "numpy", "reference")


def loss(w, x, y):
    return np.mean((np.tanh(x @ w["a"]) @ w["b"] - y) ** 2)


def train(w, x, y, derive=None):
    value, grads = (derive or gradc.value_and_grad(loss))(w, x, y)
    w["a"] -= 0.1 * grads["a"]
    w["b"] -= 0.1 * grads["b"]
    return value


def data():
    rng = np.random.default_rng(0)
    w = {"a": rng.normal(size=(3, 4)), "b": rng.normal(size=4), "unused": np.ones(2)}
    return w, rng.normal(size=(10, 3)), rng.normal(size=10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_training_step_in_place_needs_no_result(backend):
    w, x, y = data()
    mine, _, _ = data()
    step = gradc.jit(train, donate="w", backend=backend)
    for _ in range(5):  # through Python first, then through the native entry
        expected = train(w, x, y)
        value = step(mine, x, y)
        assert value == pytest.approx(float(expected), rel=1e-14)
        for name, array in w.items():
            np.testing.assert_allclose(mine[name], array, rtol=1e-13)


def shifted(w, x):
    old = w.copy()
    w[1:] = w[:-1] * 2.0
    w += x
    return old, w[0]


def swapped(w, v):
    w[...], v[...] = v.copy(), w.copy()
    return w, v


def rows(w, x):
    first = w[0]
    first *= 3.0
    w.T[1] = x[:3]
    np.add(w, 1.0, out=w)
    w[w > 4.0] = 0.0


def returned_twice(w, x):
    np.copyto(w, x * 2.0)
    return w, w


def sorted_and_filled(w, x):
    w.sort()
    w[-1] = x[0]
    return np.sum(w)


def in_a_loop(w, x):
    for k in range(w.shape[0]):
        w[k] = w[k - 1] + x[k]


CASES = {
    "a shift": (shifted, (8,), (8,)),
    "a swap": (swapped, (5,), (5,)),
    "rows, columns, masks": (rows, (3, 4), (5,)),
    "returned twice": (returned_twice, (3, 2), (3, 2)),
    "sorted": (sorted_and_filled, (7,), (3,)),
    "a loop": (in_a_loop, (6,), (6,)),
}


def parts(result):
    return () if result is None else result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_arrays_hold_what_numpy_leaves_in_them(case, backend, order):
    function, shape, other = CASES[case]
    donate = ("w", "v") if function is swapped else "w"
    step = gradc.jit(function, donate=donate, backend=backend)
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=shape) * 3, rng.normal(size=other)
    for _ in range(4):
        theirs, their_second = first.copy(order), second.copy()
        expected = function(theirs, their_second)
        mine, my_second = first.copy(order), second.copy()
        result = step(mine, my_second)
        np.testing.assert_allclose(mine, theirs, rtol=1e-14)
        np.testing.assert_allclose(my_second, their_second, rtol=1e-14)
        for got, wanted in zip(parts(result), parts(expected), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-14)
        if function in (swapped, returned_twice):
            assert result[0] is mine


def test_what_is_returned_of_it_is_the_array_itself_and_other_results_go_elsewhere():
    def step(w, v):
        w += 1.0
        return v * 2.0, w

    jitted = gradc.jit(step, donate=("w", "v"))
    for _ in range(3):
        w, v = np.zeros(3), np.ones(3)
        first, second = jitted(w, v)
        assert second is w
        assert first is v
        assert w.tolist() == [1.0] * 3
        assert v.tolist() == [2.0] * 3


def test_an_argument_that_is_not_donated_is_still_refused():
    def step(w, x):
        w += x
        x += 1.0

    with pytest.raises(TraceError, match="writes into the argument x, which is the caller's"):
        gradc.jit(step, donate="w")(np.ones(3), np.ones(3))


def test_views_whose_layout_is_not_known_are_refused():
    def step(w):
        flat = w.reshape(-1)
        flat[0] = 1.0
        return w

    with pytest.raises(TraceError, match="may share memory with another one that is still in use"):
        gradc.jit(step, donate="w")(np.ones((2, 2)))


def test_read_only_and_overlapping_arrays_are_refused():
    def step(w, x):
        w += x

    jitted = gradc.jit(step, donate="w")
    for _ in range(3):
        frozen = np.zeros(3)
        frozen.setflags(write=False)
        with pytest.raises(ArgumentError, match="read-only"):
            jitted(frozen, np.ones(3))
        shared = np.zeros(4)
        with pytest.raises(ArgumentError, match="shares memory with x"):
            jitted(shared[:3], shared[1:])
        jitted(np.zeros(3), np.ones(3))


def test_a_failed_check_leaves_the_array_as_it_was():
    def step(w, k):
        w += 1.0
        return w[k]

    jitted = gradc.jit(step, donate="w")
    for _ in range(3):
        w = np.zeros(3)
        with pytest.raises(IndexError):
            jitted(w, np.array(7))
        assert w.tolist() == [0.0] * 3
        assert jitted(w, np.array(1)) == 1.0
        assert w.tolist() == [1.0] * 3


def test_such_a_function_inside_of_another():
    def bump(w, x):
        w *= x
        return w

    inner = gradc.jit(bump, donate="w")

    def outer(x):
        w = np.ones(3) * x
        inner(w, x)
        return np.sum(inner(w, x))

    assert gradc.grad(outer)(2.0) == 3 * 3 * 2.0**2
    with pytest.raises(TraceError, match="writes into the argument w, which is the caller's"):
        gradc.jit(lambda w, x: inner(w, x))(np.ones(3), 2.0)
    ones = np.ones(3)
    with pytest.raises(
        TraceError, match="writes into w, which is an array from outside of the function that is traced"
    ):
        gradc.jit(lambda x: inner(ones, x))(2.0)


def test_symbolic_sizes():
    def step(w, x):
        w -= 0.5 * x[::-1]

    kernel = gradc.jit(step, donate="w").compile(gradc.aval("f64[n]"), gradc.aval("f64[n]"))
    for size in (0, 1, 7, 1000):
        w, x = np.arange(size) * 1.0, np.arange(size) * 3.0
        expected = w - 0.5 * x[::-1]
        assert kernel(w, x) is None
        assert np.array_equal(w, expected)


class Pair(NamedTuple):
    left: np.ndarray
    right: np.ndarray


def pairs(p, x):
    old = p.left * 1.0
    p.left[...] = p.right
    p.right[...] = old + x
    return {"old": old, "left": p.left}


@pytest.mark.parametrize("style", ["readable", "fast"])
def test_modules_write_too(style, tmp_path):
    kernel = gradc.jit(pairs, donate="p").compile(Pair(np.zeros(3), np.zeros(3)), np.zeros(3))
    kernel.save(tmp_path / "pairs.py", style=style)
    spec = importlib.util.spec_from_file_location("pairs", tmp_path / "pairs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    mine, theirs = (Pair(np.arange(3.0), np.arange(3.0) * 10) for _ in range(2))
    result, expected = module.pairs(mine, np.ones(3)), pairs(theirs, np.ones(3))
    assert result["left"] is mine.left
    np.testing.assert_array_equal(result["old"], expected["old"])
    np.testing.assert_array_equal(mine, theirs)
    assert "Writes new values into p.left, p.right." in module.__doc__
    with pytest.raises(CompileError, match="writes into its arguments, which a self-test does not follow"):
        kernel.save(tmp_path / "tested.py", selftest=True)


def test_libraries_loaded_kernels_and_pickles_write_too(tmp_path):
    w, x, y = data()
    kernel = gradc.jit(train, donate="w").compile(w, x, y)
    kernel.save(tmp_path, format="lib", bindings=["python"])
    spec = importlib.util.spec_from_file_location("train", tmp_path / "train.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    theirs, _, _ = data()
    expected = train(theirs, x, y)
    copy = pickle.loads(pickle.dumps(kernel))  # noqa: S301 - these bytes are our own
    for step in (kernel, gradc.load(tmp_path), copy, module.train):
        mine, _, _ = data()
        assert step(mine, x, y) == pytest.approx(float(expected), rel=1e-14)
        for name, array in theirs.items():
            np.testing.assert_allclose(mine[name], array, rtol=1e-13)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
@pytest.mark.parametrize("format", ["lib", "c"])
def test_in_c_the_new_value_is_a_result(format, tmp_path):
    def nudge(w, x):
        w[1:] += x[:-1]

    gradc.jit(nudge, donate="w", name="nudge").compile(np.zeros(5), np.zeros(5)).save(tmp_path, format=format)
    if format == "c":
        command = ["gcc", "-std=c99", "-march=native", "-shared", "-fPIC", "nudge.c", "-o", "libnudge.so"]
        subprocess.run(command, cwd=tmp_path, check=True)
    assert "w_new may be w" in (tmp_path / "nudge.h").read_text()
    library = ctypes.CDLL(str(tmp_path / "libnudge.so"))
    assert library.nudge_selftest() == 0
    w, x = np.arange(5.0), np.ones(5)
    at = [ctypes.c_void_p(a.ctypes.data) for a in (w, x, w)]
    space = np.zeros(4096, np.uint8)
    assert library.nudge(*at, ctypes.c_void_p(space.ctypes.data + -space.ctypes.data % 64)) == 0
    assert w.tolist() == [0.0, 2.0, 3.0, 4.0, 5.0]
