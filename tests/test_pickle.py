"""Kernels travel to other processes."""

from __future__ import annotations

import multiprocessing
import pickle
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradc
from gradc.errors import CompileError


class Weights(NamedTuple):
    hidden: Any
    out: Any


@dataclass
class Batch:
    x: Any
    y: Any


def loss(w, batch, power=2, mode="mean"):
    error = np.abs(np.tanh(batch.x @ w.hidden) @ w.out - batch.y) ** power
    return np.mean(error) if mode == "mean" else np.sum(error)


def arguments():
    rng = np.random.default_rng(0)
    return Weights(rng.normal(size=(3, 4)), rng.normal(size=4)), Batch(rng.normal(size=(6, 3)), rng.normal(size=6))


def copied(kernel):
    return pickle.loads(pickle.dumps(kernel))  # noqa: S301 - these bytes are our own


def run(kernel, *values):
    return kernel(*values)


def same(one, two):
    assert one[0] == two[0]
    assert type(one[1]) is type(two[1]) is Weights
    assert all(map(np.array_equal, one[1], two[1]))


@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_a_kernel_comes_back_whole(backend):
    w, batch = arguments()
    kernel = gradc.value_and_grad(loss, backend=backend).compile(w, batch)
    twin = copied(kernel)
    same(twin(w, batch), kernel(w, batch))
    assert repr(twin) == repr(kernel)
    assert (twin.signature, twin.cost) == (kernel.signature, kernel.cost)
    assert str(twin.graph) == str(kernel.graph)
    assert str(twin.trace) == str(kernel.trace)
    assert twin.numpy_source == kernel.numpy_source
    assert twin.llvm_ir == kernel.llvm_ir
    assert str(twin.explain()) == str(kernel.explain())


def test_a_kernel_runs_in_a_fresh_process():
    w, batch = arguments()
    kernel = gradc.value_and_grad(loss).compile(w, batch, mode="sum")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        same(pool.apply(run, (kernel, w, batch, 2, "sum")), kernel(w, batch, 2, "sum"))


def test_symbolic_sizes_and_donated_arguments_travel_too():
    kernel = gradc.jit(lambda w, x: (w - x, np.sum(x)), donate="w").compile(gradc.aval("f64[n]"), gradc.aval("f64[n]"))
    twin = copied(kernel)
    for size in (0, 3, 70):
        w = np.ones(size)
        new, total = twin(w, np.arange(size) * 1.0)
        assert new is w
        assert np.array_equal(w, 1.0 - np.arange(size))
        assert total == size * (size - 1) / 2


def test_what_is_compiled_in_without_a_text_is_refused():
    kernel = gradc.jit(lambda x, f: f(x)).compile(1.0, np.tanh)
    with pytest.raises(CompileError, match="f holds tanh, which is compiled in and cannot be saved"):
        pickle.dumps(kernel)


@gradc.jit
def decorated(x):
    return x * 2.0


def halved(w, batch):
    return loss(w, batch) / 2, w.out


def test_a_function_comes_back_with_its_options():
    w, batch = arguments()
    function = gradc.value_and_grad(halved, wrt=("batch", "w"), has_aux=True, backend="numpy", name="half")
    twin = copied(function)
    (value, aux), (by_batch, by_w) = twin(w, batch)
    assert (repr(twin), type(by_batch), twin.compile(w, batch).name) == (repr(function), Batch, "half")
    (other, _), (_, again) = function(w, batch)
    assert (value, list(aux)) == (other, list(w.out))
    assert all(map(np.array_equal, by_w, again))


def test_a_decorated_function_is_itself():
    assert copied(decorated) is decorated
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(decorated, [3.0]) == [6.0]


def test_a_function_that_has_no_name_to_be_found_by_does_not_travel():
    with pytest.raises((AttributeError, pickle.PicklingError), match="local object"):
        pickle.dumps(gradc.grad(lambda x: x * 2.0))
