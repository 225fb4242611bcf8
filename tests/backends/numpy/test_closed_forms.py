"""Constants, triangles and diagonals as NumPy's own functions tell them, and that they are the same to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.backends.numpy.closed_forms import closed_form
from gradc.backends.numpy.triangles import is_lower
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Value
from gradc.ops.elementwise import convert, neg, select
from gradc.ops.linalg import cholesky, swapped
from gradc.ops.orthogonal import qr_r

FORMS: dict[str, np.ndarray] = {
    "np.arange(10)": np.arange(10),
    "np.arange(3, 21, 2)": np.arange(3, 21, 2),
    "np.arange(9, -1, -1)": np.arange(10)[::-1],
    "np.arange(10.0)": np.arange(10.0),
    "np.arange(-2.0, 3)": np.arange(-2.0, 3.0),
    "np.arange(5.0, dtype=np.float32)": np.arange(5, dtype="f4"),
    "np.eye(5, dtype=np.bool_)": np.eye(5, dtype=bool),
    "~np.eye(5, dtype=np.bool_)": ~np.eye(5, dtype=bool),
    "np.eye(3, 5, k=1)": np.eye(3, 5, 1),
    "np.eye(4, k=-2, dtype=np.float32)": np.eye(4, k=-2, dtype="f4"),
    "np.eye(3).reshape(3, 1, 3, 1)": np.eye(3).reshape(3, 1, 3, 1),
    "np.eye(3, dtype=np.complex128)": np.eye(3, dtype=complex),
    "np.where(np.eye(3, dtype=np.bool_), 2.0, 0.0)": 2 * np.eye(3),
    "np.tri(8, dtype=np.bool_)": np.tri(8, dtype=bool),
    "~np.tri(8, k=-1, dtype=np.bool_)": np.triu(np.ones((8, 8), bool)),
    "np.tri(5, 4, k=-2)": np.tri(5, 4, -2),
    "np.where(np.tri(4, dtype=np.bool_), 0.0, -np.inf)": np.where(np.tri(4, dtype=bool), 0.0, -np.inf),
    "np.where(np.tri(4, dtype=np.bool_), 0.0, -1000.0).astype(np.float32)": np.triu(np.full((4, 4), -1e3, "f4"), 1),
    "np.diag(np.arange(4.0))": np.diag(np.arange(4.0)),
    "np.arange(96)[:, None] + np.arange(5)": np.arange(96)[:, None] + np.arange(5),
    "np.arange(5, 11)[:, None] + np.arange(0, -6, -1)": np.arange(6)[:, None] - np.arange(6) + 5,
}


@pytest.mark.parametrize("text", FORMS)
def test_a_constant_has_a_form(text: str) -> None:
    value = FORMS[text]
    form = closed_form(value)
    assert form is not None
    assert form.text == text
    made = eval(text)  # noqa: S307 - texts of this file
    assert (made.dtype, made.shape, made.tobytes()) == (value.dtype, value.shape, value.tobytes())


@pytest.mark.parametrize(
    "value",
    [
        np.linspace(0, 1, 5),
        np.array([0.0, 0.1, 0.2, 0.3]),
        np.array([-0.0, 1.0, 2.0]),
        np.array([0, 255], "u1"),
        np.array([2**62, 2**62 + 1]),
        np.array([np.inf, np.inf]),
        np.ones((3, 3)),
        np.array([[1.0, -0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        np.tri(4) * np.arange(4),
        np.array([[1, 2], [3, 5]]),
        np.zeros((0, 3)),
    ],
    ids=repr,
)
def test_another_constant_has_none(value: np.ndarray) -> None:
    assert closed_form(value) is None


LOWER = np.tri(4, dtype=bool)
TAKEN: dict[str, Callable[[Any], Any]] = {
    "np.tril(x)": lambda x: np.where(LOWER, x, 0.0),
    "np.tril(x, -1)": lambda x: np.tril(x, -1),
    "np.triu(x)": lambda x: np.triu(x),
    "np.triu(x, 1)": lambda x: np.where(LOWER, 0.0, x),
    "np.diag(x)": lambda x: np.diag(x),
    "np.diag(x, 2)": lambda x: np.diagonal(x, 2),
    "np.diag(x, -1)": lambda x: np.diag(x, -1),
    "np.where(LOWER, x, -0.0)": lambda x: np.where(LOWER, x, -0.0),
    "np.where(LOWER, 1.0, x)": lambda x: np.where(LOWER, 1.0, x),
    "x.reshape(16)[::7]": lambda x: x.reshape(16)[::7],
    "x.reshape(16)[6::5]": lambda x: x.reshape(16)[6::5],
}


@pytest.mark.parametrize("text", TAKEN)
def test_triangles_and_diagonals(text: str) -> None:
    function = TAKEN[text]
    x = np.random.default_rng(0).normal(size=(4, 4))
    kernel = gradc.jit(lambda x: np.exp(function(x)), backend="numpy").compile(x)
    assert f"np.exp({text})" in kernel.numpy_source
    assert np.asarray(kernel(x)).tobytes() == np.exp(function(x)).tobytes()


def test_a_diagonal_of_a_matrix_that_is_not_square() -> None:
    for shape in ((3, 5), (5, 3)):
        x = np.random.default_rng(0).normal(size=shape)
        for k in (-1, 0, 1):
            kernel = gradc.jit(lambda x, k=k: np.diag(x, k) * 2.0, backend="numpy").compile(x)
            assert "np.diag(x" in kernel.numpy_source
            np.testing.assert_array_equal(kernel(x), 2 * np.diag(x, k))


def test_constants_of_a_batch_and_none_that_is_not_used() -> None:
    x = np.random.default_rng(0).normal(size=(2, 4, 4))
    kernel = gradc.jit(lambda x: np.tril(x) + np.eye(4), backend="numpy").compile(x)
    assert "np.tril(x) + IDENTITY" in kernel.numpy_source
    assert "LOWER" not in kernel.numpy_source
    np.testing.assert_array_equal(kernel(x), np.tril(x) + np.eye(4))


LOWERS: dict[str, tuple[bool, Callable[[Value], Value]]] = {
    "cholesky": (True, cholesky),
    "cholesky, transposed": (False, lambda a: swapped(cholesky(a))),
    "R, transposed": (True, lambda a: swapped(qr_r(a))),
    "R": (False, qr_r),
    "negated": (True, lambda a: neg(cholesky(a))),
    "converted": (True, lambda a: convert(cholesky(a), dtype=np.dtype("f4"))),
    "taken": (True, lambda a: select(a.builder.constant(LOWER), a, a.builder.full(0.0, a.aval))),
    "taken above": (False, lambda a: select(a.builder.constant(~LOWER), a, a.builder.full(0.0, a.aval))),
    "any": (False, lambda a: a),
}


@pytest.mark.parametrize("name", LOWERS)
def test_what_is_a_lower_triangle_already(name: str) -> None:
    expected, make = LOWERS[name]
    builder = Builder()
    graph = builder.freeze([make(builder.input("a", aval("f64[4,4]")))])
    assert is_lower(graph.nodes, graph.outputs[0]) == expected


def test_no_triangle_is_taken_of_factors() -> None:
    def density(a: Any, b: Any) -> Any:
        factor = np.linalg.cholesky(a)
        z = np.linalg.solve(factor, b)
        return -0.5 * z @ z - np.sum(np.log(np.diag(factor)))

    rng = np.random.default_rng(1)
    x, b = rng.normal(size=(5, 5)), rng.normal(size=5)
    a = x @ x.T + np.eye(5)
    kernel = gradc.value_and_grad(density, backend="numpy").compile(a, b)
    assert "np.linalg.solve(factor, b)" in kernel.numpy_source
    assert "np.linalg.solve(factor.T, " in kernel.numpy_source
    assert "np.tril(factor" not in kernel.numpy_source
    value, slope = kernel(a, b)
    expected, wanted = gradc.value_and_grad(density)(a, b)
    assert value == pytest.approx(expected)
    np.testing.assert_allclose(slope, wanted, rtol=1e-10, atol=1e-12)
    of_r = gradc.grad(lambda a: np.sum(np.linalg.qr(a)[1] ** 3), backend="numpy").compile(x)
    assert "np.linalg.solve(" in of_r.numpy_source
    assert "solve(np.tril" not in of_r.numpy_source
