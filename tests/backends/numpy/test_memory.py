"""Modules in the fast style: the same operations in less memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import gradc
from gradc.backends.numpy import load, render
from gradc.errors import ArgumentError


def chain(x, y):
    a = 1 / (1 + np.exp(-x)) * np.tanh(y)
    return np.sum(a + np.sin(x * y) * np.sqrt(x * x + 1))


def network(w, x, y):
    h = np.tanh(x @ w["hidden"] + w["bias"])
    e = np.exp(h @ w["out"])
    return -np.mean(np.log((e / np.sum(e, axis=1, keepdims=True))[np.arange(len(y)), y]))


def both(kernel):
    return [
        load(render(kernel.graph, kernel.signature, name="made", style=style), "made") for style in ("readable", "fast")
    ]


def peak(function, *arguments):
    function(*arguments)
    tracemalloc.start()
    function(*arguments)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_a_chain_takes_less_memory_and_gives_the_same_values():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20_000))
    readable, fast = both(gradc.value_and_grad(chain, wrt=("x", "y")).compile(x, y, backend="numpy"))
    (one, ones), (two, twos) = readable(x, y), fast(x, y)
    assert one == two
    assert all(map(np.array_equal, ones, twos))
    assert peak(fast, x, y) < peak(readable, x, y)


def test_a_network_gives_the_same_values():
    rng = np.random.default_rng(0)
    w = {"hidden": rng.normal(size=(5, 8)), "bias": rng.normal(size=8), "out": rng.normal(size=(8, 3))}
    x, y = rng.normal(size=(16, 5)), rng.integers(0, 3, 16)
    readable, fast = both(gradc.value_and_grad(network).compile(w, x, y, backend="numpy"))
    (one, ones), (two, twos) = readable(w, x, y), fast(w, x, y)
    assert one == two
    assert all(np.array_equal(ones[name], twos[name]) for name in w)


def test_arrays_are_computed_where_dead_ones_stood():
    kernel = gradc.jit(lambda x: np.sqrt(np.exp(x * 2.0) + 1.0)).compile(np.ones(3), backend="numpy", name="made")
    source = render(kernel.graph, kernel.signature, name="made", style="fast")
    body = source.split("def made(")[1].split("return")[0]
    assert "= np.exp(t1, out=t1)" in body
    assert body.count("out=") == 3


def test_a_saved_module_has_the_style_that_is_asked_for(tmp_path):
    kernel = gradc.jit(lambda x: np.exp(x * 2.0) + 1.0).compile(np.ones(3), backend="numpy", name="made")
    kernel.save(tmp_path / "made.py", style="fast")
    assert "out=" in (tmp_path / "made.py").read_text()
    kernel.save(tmp_path / "made.py")
    assert "out=" not in (tmp_path / "made.py").read_text()
    with pytest.raises(ArgumentError, match='style=\'quick\' is not one of "readable", "fast"'):
        kernel.save(tmp_path / "made.py", style="quick")
