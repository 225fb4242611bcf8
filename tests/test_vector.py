"""Nested parameters as one vector, and back, also inside a trace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import gradc
from gradc.errors import ArgumentError


@dataclass
class Layer:
    weight: np.ndarray
    bias: float


def parameters(dtype=np.float64):
    rng = np.random.default_rng(0)
    return {"layers": [Layer(rng.normal(size=(3, 2)).astype(dtype), 0.5)], "out": rng.normal(size=4)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_there_and_back(dtype):
    w = parameters(dtype)
    vector, unflatten = gradc.flatten(w)
    assert (vector.shape, vector.dtype) == ((11,), np.float64)
    back = unflatten(vector)
    assert np.array_equal(back["layers"][0].weight, w["layers"][0].weight)
    assert back["layers"][0].weight.dtype == dtype
    assert back["layers"][0].bias == 0.5
    assert np.array_equal(back["out"], w["out"])


@pytest.mark.parametrize("backend", ["llvm", "numpy", "reference"])
def test_the_way_back_is_traced(backend):
    w = parameters(np.float32)
    vector, unflatten = gradc.flatten(w)

    def loss(w):
        layer = w["layers"][0]
        return np.sum(layer.weight**2) * layer.bias + np.sum(w["out"] ** 3)

    value, slope = gradc.value_and_grad(lambda v: loss(unflatten(v)), backend=backend)(vector)
    expected, grads = gradc.value_and_grad(loss)(w)
    assert value == pytest.approx(float(expected), rel=1e-6)
    assert slope.dtype == np.float64
    np.testing.assert_allclose(slope, gradc.flatten(grads)[0], rtol=1e-6)


def test_nothing_is_an_empty_vector():
    vector, unflatten = gradc.flatten({"a": None, "b": []})
    assert vector.shape == (0,)
    assert unflatten(vector) == {"a": None, "b": []}


@pytest.mark.parametrize("backend", ["llvm", "numpy", "reference"])
def test_complex_numbers_are_two_numbers_each(backend):
    w = {"a": np.array([1 + 2j, complex(np.inf, -1)]), "b": np.ones(2, np.float32), "c": np.complex64(1 - 3j)}
    vector, unflatten = gradc.flatten(w)
    np.testing.assert_array_equal(vector, [1, np.inf, 2, -1, 1, 1, 1, -3])
    back = unflatten(vector)
    for name, x in w.items():
        np.testing.assert_array_equal(back[name], x)
        assert back[name].dtype == x.dtype
    slope = gradc.grad(lambda v: abs(unflatten(v)["a"][0]) ** 2 + unflatten(v)["c"].imag ** 2, backend=backend)(vector)
    np.testing.assert_allclose(slope, [2, 0, 4, 0, 0, 0, 0, -6])


@pytest.mark.parametrize("backend", ["llvm", "numpy", "reference"])
def test_traced_parameters_are_a_traced_vector(backend):
    def loss(w):
        vector, unflatten = gradc.flatten(w)
        return np.sum(vector**2) + np.sum(unflatten(3 * vector)["a"])

    slope = gradc.grad(loss, backend=backend)({"a": np.array([1.0, 2.0]), "c": 5.0})
    np.testing.assert_allclose(slope["a"], [5.0, 7.0])
    assert slope["c"] == 10.0


def test_what_is_no_float_is_refused():
    with pytest.raises(ArgumentError, match=r"tree\['n'\] is i64\[\] and a vector of parameters has floats"):
        gradc.flatten({"a": 1.0, "n": 3})
    with pytest.raises(ArgumentError, match=r"tree\['s'\] is a str and a vector"):
        gradc.flatten({"s": "mean"})


def test_a_vector_of_another_length_is_refused():
    _, unflatten = gradc.flatten({"a": np.ones(3)})
    with pytest.raises(ArgumentError, match=r"the vector has the shape \(4,\) and the parameters are 3 numbers"):
        unflatten(np.ones(4))
