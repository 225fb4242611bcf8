"""Training steps as C libraries and source: parameters in place or apart, and results that nobody wants."""

from __future__ import annotations

import ctypes
import itertools
import shutil
import subprocess

import numpy as np
import pytest

import gradc
from gradc import optim

STATE = ("w_hidden", "w_out", "velocity_hidden", "velocity_out")


def loss(w, x, y):
    return np.mean((np.tanh(x @ w["hidden"]) @ w["out"] - y) ** 2)


def train(w, velocity, x, y):
    value, grads = gradc.value_and_grad(loss)(w, x, y)
    w, velocity = optim.momentum(w, grads, velocity, rate=0.1)
    return value, w, velocity


def data():
    rng = np.random.default_rng(0)
    w = {"hidden": rng.normal(size=(3, 8)), "out": rng.normal(size=8)}
    velocity = {name: rng.normal(size=value.shape) for name, value in w.items()}
    return w, velocity, rng.normal(size=(20, 3)), rng.normal(size=20)


@pytest.fixture(scope="module", params=["library", "gcc -O0", "gcc -O3", "clang -O2"])
def step(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("donated") / "build"
    kernel = gradc.jit(train, donate=("w", "velocity"), name="train_step").compile(*data())
    if request.param == "library":
        kernel.save(folder, format="lib")
    else:
        compiler, level = request.param.split()
        if shutil.which(compiler) is None:
            pytest.skip(f"{compiler} is not there")
        kernel.save(folder, format="c")
        flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-march=native", level, "-shared", "-fPIC"]
        command = [compiler, *flags, "-o", "libtrain_step.so", "train_step.c"]
        subprocess.run(command, cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "libtrain_step.so"))
    header = (folder / "train_step.h").read_text()

    def call(values, results):
        """Call the function with arrays for inputs, and for results arrays or None."""
        space = np.zeros(1 << 16, np.uint8)
        aligned = space.ctypes.data + -space.ctypes.data % 64
        pointers = [None if a is None else ctypes.c_void_p(a.ctypes.data) for a in (*values, *results)]
        return library.train_step(*pointers, ctypes.c_void_p(aligned))

    call.library, call.header = library, header
    return call


def flat(w, velocity, x, y):
    return [w["hidden"], w["out"], velocity["hidden"], velocity["out"], x, y]


def expected():
    value, w, velocity = gradc.jit(train)(*data())
    return [np.asarray(value), *flat(w, velocity, None, None)[:4]]


def test_the_header_says_which_arrays_may_be_one(step):
    told = " ".join(step.header.split()).replace(" * ", " ")
    for name in STATE:
        assert f"{name}_new may be {name}" in told
        assert f"const double *{name}," in told
        assert f"double *{name}_new" in told


def test_the_library_tests_itself(step):
    memory = np.zeros(1 << 16, np.uint8)
    aligned = memory.ctypes.data + -memory.ctypes.data % 64
    assert step.library.train_step_selftest(ctypes.c_void_p(aligned)) == 0


@pytest.mark.parametrize("in_place", list(itertools.product([False, True], repeat=4)))
def test_parameters_are_updated_in_place_or_beside(step, in_place):
    values = [array.copy() for array in flat(*data())]
    before = [array.copy() for array in values]
    results = [v if own else np.full_like(v, np.nan) for v, own in zip(values[:4], in_place, strict=True)]
    value = np.zeros(())
    assert step(values, [value, *results]) == 0
    for made, wanted in zip([value, *results], expected(), strict=True):
        assert np.array_equal(made, wanted)
    for old, now, own in zip(before, values, (*in_place, False, False), strict=True):
        assert own or np.array_equal(old, now)


@pytest.mark.parametrize("wanted", [w for w in itertools.product([False, True], repeat=5) if any(w)])
def test_results_that_nobody_wants_are_left_out(step, wanted):
    values = [array.copy() for array in flat(*data())]
    before = [array.copy() for array in values]
    places = [np.zeros(()), *map(np.zeros_like, values[:4])]
    results = [place if some else None for place, some in zip(places, wanted, strict=True)]
    assert step(values, results) == 0
    for made, right in zip(results, expected(), strict=True):
        assert made is None or np.array_equal(made, right)
    assert all(map(np.array_equal, before, values))


def test_one_more_step_in_place_is_two_steps(step):
    values = [array.copy() for array in flat(*data())]
    value = np.zeros(())
    w, velocity, x, y = data()
    plain = gradc.jit(train)
    for _ in range(3):
        assert step(values, [value, *values[:4]]) == 0
        right, w, velocity = plain(w, velocity, x, y)
        assert value == right
    assert all(map(np.array_equal, values[:4], flat(w, velocity, x, y)[:4]))
