"""The reference of ``gradc check``: differences that are good to many digits, and that find what is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import scipy.special

from gradc.cli.check import ENTRIES, Row, compare, concrete
from gradc.ir.aval import aval


def rows(function: Callable[..., Any], values: Sequence[Any], gradients: Sequence[Any]) -> list[Row]:
    call = inspect.signature(function).bind(*values)
    return list(compare(function, call, list(call.arguments), gradients, np.random.default_rng(0)))


SMOOTH = {
    "exp": (np.exp, np.exp),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "log": (np.log, lambda x: 1 / x),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2),
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
}


@pytest.mark.parametrize(("function", "derivative"), SMOOTH.values(), ids=SMOOTH.keys())
@pytest.mark.parametrize("at", [0.01, 0.3, 1.0, 7.5])
def test_differences_are_good_to_many_digits(function: Any, derivative: Any, at: float) -> None:
    (row,) = rows(lambda x: function(x), [at], [derivative(at)])
    assert row.error < 1e-12 + row.rounding
    assert row.rounding < 1e-9


def test_every_leaf_has_a_row() -> None:
    def function(w, x):
        return np.sum(w["a"] * x) + np.sum(w["b"][0] ** 2)

    w, x = {"a": np.array([1.0, 2.0]), "b": [np.array([[3.0]])]}, np.array([0.5, 0.25])
    found = rows(function, [w, x], [{"a": x, "b": [2 * w["b"][0]]}, w["a"]])
    assert [(row.path, str(row.aval), row.checked) for row in found] == [
        ("w['a']", "f64[2]", 2),
        ("w['b'][0]", "f64[1,1]", 1),
        ("x", "f64[2]", 2),
    ]
    assert max(row.error for row in found) < 1e-12


def test_one_wrong_entry_is_found() -> None:
    x = np.linspace(0.1, 0.9, 7)
    wrong = np.exp(x)
    wrong[4] *= 1 + 1e-6
    (row,) = rows(lambda x: np.sum(np.exp(x)), [x], [wrong])
    assert row.error == pytest.approx(1e-6 * np.exp(x[4]) / np.exp(x[6]), rel=1e-3)
    assert row.gradient == wrong[4]
    assert row.reference == pytest.approx(np.exp(x[4]), rel=1e-12)


def test_a_nan_is_found() -> None:
    (row,) = rows(lambda x: np.sum(x * x), [np.ones(3)], [np.array([2.0, np.nan, 2.0])])
    assert not row.error <= 1.0


def test_a_gradient_of_zero_is_compared_absolutely() -> None:
    (row,) = rows(lambda x: 1.0 + 0 * x, [2.0], [1e-3])
    assert row.error == pytest.approx(1e-3)


def test_what_the_differences_may_be_off_by_is_known() -> None:
    (row,) = rows(lambda x: 1e9 + np.exp(x), [0.0], [1.0])
    assert row.error < row.rounding
    (row,) = rows(lambda x: 1e9 + np.exp(x), [0.0], [1.001])
    assert row.error == pytest.approx(1e-3, rel=0.05)
    assert row.rounding < 1e-4 or np.finfo(np.longdouble).eps > 1e-18


def test_large_arrays_are_sampled() -> None:
    x = np.ones((50, 40))
    (row,) = rows(lambda x: np.sum(x * x), [x], [2 * x])
    assert row.checked == ENTRIES
    assert row.error < 1e-12


def test_empty_arrays_are_right() -> None:
    (row,) = rows(lambda x: np.sum(x), [np.ones((0, 3))], [np.ones((0, 3))])
    assert (row.checked, row.error) == (0, 0.0)


def test_functions_that_know_only_doubles() -> None:
    (row,) = rows(lambda x: scipy.special.erf(x), [0.3], [2 / np.sqrt(np.pi) * np.exp(-0.09)])
    assert row.error < 1e-11


def test_data_beside_the_targets_stays_as_it_is() -> None:
    def function(x, labels):
        assert labels.dtype == np.int64
        return np.sum(x[labels])

    call = inspect.signature(function).bind(np.ones(3), np.array([0, 0, 2]))
    (row,) = compare(function, call, ["x"], [np.array([2.0, 0.0, 1.0])], np.random.default_rng(0))
    assert row.error < 1e-12


def test_numbers_for_avals() -> None:
    drawn = concrete({"x": aval("f32[batch,2]"), "k": aval("i64[3]"), "n": 5}, np.random.default_rng(0))
    assert drawn["x"].shape == (3, 2)
    assert drawn["x"].dtype == np.float32
    assert np.all((drawn["x"] > 0.1) & (drawn["x"] < 0.9))
    assert drawn["k"].tolist() == [0, 0, 0]
    assert drawn["n"] == 5


@pytest.mark.parametrize("distance", [1e-3, 1e-4, 1e-5, -1e-4])
def test_a_kink_beside_the_point_is_stepped_around(distance: float) -> None:
    kink = 0.5 + distance
    (row,) = rows(lambda x: np.sum(np.exp(x) + np.maximum(x - kink, 0)), [0.5], [np.exp(0.5) + (kink < 0.5)])
    assert row.error < 1e-9 + row.rounding
    assert row.rounding < 1e-9
