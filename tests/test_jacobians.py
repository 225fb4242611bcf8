"""jacobian, hessian and hvp: shapes and structures, values against each other, and the code that comes of them."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import gradc
from gradc.errors import ArgumentError, DerivativeError


@pytest.fixture(params=["llvm", "numpy", "reference"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


RNG = np.random.default_rng(0)
X = RNG.normal(size=3)
W = {"hidden": RNG.normal(size=(4, 3)), "out": RNG.normal(size=(2, 4))}


def close(found, expected) -> None:
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def network(w, x):
    return w["out"] @ np.tanh(w["hidden"] @ x)


def columns(function, x):
    """The Jacobian by one tangent after the other."""
    basis = np.eye(x.size).reshape(-1, *x.shape)
    found = np.stack([gradc.jvp(function, (x,), (e,), backend="numpy")[1] for e in basis], axis=-1)
    return found.reshape(*found.shape[:-1], *x.shape)


FUNCTIONS = {
    "elementwise": lambda x: np.tanh(x * 2) + np.sin(x),
    "softmax": lambda x: np.exp(x) / np.sum(np.exp(x)),
    "tall": lambda x: np.outer(x, np.cos(x))[:, :, None] * x,
    "wide": lambda x: np.array([np.sum(x), np.prod(x)]),
    "number": lambda x: np.sum(np.log(1 + np.exp(x))),
    "differences": lambda x: x[1:] ** 2 - x[:-1],
    "elements": lambda x: np.array([x[0] * x[1], x[2] ** 2, x[0]]),
    "indices": lambda x: x[np.array([2, 0, 2])] * x,
    "branches": lambda x: np.where(x > 0, np.log(np.abs(x)), x * x),
    "extremes": lambda x: np.maximum(x, np.max(x) / 2),
    "systems": lambda x: np.linalg.solve(np.diag(np.exp(x)) + np.outer(x, x), x),
    "reshaped": lambda x: np.reshape(np.stack([x, x * x]), (3, 2)).T @ np.ones((3, 2)),
    "constant": lambda x: np.ones(2) * 3.0,
    "spread": lambda x: x[:1] * np.ones(4) + np.sum(x, keepdims=True),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_jacobians_of_vectors(function, backend: str) -> None:
    close(gradc.jacobian(function, backend=backend)(X), columns(function, X))


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_hessians_of_vectors(function, backend: str) -> None:
    def scalar(x):
        return np.sum(np.sin(function(x)))

    found = gradc.hessian(scalar, backend=backend)(X)
    close(found, columns(lambda x: gradc.grad(scalar)(x), X))
    close(found, found.T)


def test_a_jacobian_has_the_axes_of_the_result_then_those_of_the_argument(backend: str) -> None:
    x = RNG.normal(size=(2, 3))

    def function(x):
        return np.tanh(x).T @ x

    found = gradc.jacobian(function, backend=backend)(x)
    assert found.shape == (3, 3, 2, 3)
    close(found, columns(function, x))


def test_trees_of_arguments_and_results(backend: str) -> None:
    def both(w, x):
        return {"y": network(w, x), "norms": (np.sum(x * x), x[:2])}

    found = gradc.jacobian(both, wrt=("w", "x"), backend=backend)(W, X)
    by_w, by_x = found["y"]
    assert {k: v.shape for k, v in by_w.items()} == {"hidden": (2, 4, 3), "out": (2, 2, 4)}
    close(by_x, columns(lambda x: network(W, x), X))
    close(by_w["out"], columns(lambda out: network({**W, "out": out}, X), W["out"]))
    close(by_w["hidden"], columns(lambda hidden: network({**W, "hidden": hidden}, X), W["hidden"]))
    assert found["norms"][0][0]["out"].shape == (2, 4)
    close(found["norms"][0][1], 2 * X)
    close(found["norms"][1][1], np.eye(3)[:2])


def test_hessians_of_trees(backend: str) -> None:
    def loss(w):
        return np.sum(network(w, X) ** 2)

    found = gradc.hessian(loss, backend=backend)(W)
    assert list(found) == list(W)
    for first in W:
        for second in W:
            block = found[first][second]
            assert block.shape == W[first].shape + W[second].shape
            expected = columns(lambda v, one=first, two=second: gradc.grad(loss)({**W, two: v})[one], W[second])
            close(block, expected)


def test_auxiliary_results_come_along(backend: str) -> None:
    found, aux = gradc.jacobian(lambda x: (x * x, {"largest": np.max(x)}), has_aux=True, backend=backend)(X)
    close(found, np.diag(2 * X))
    assert aux["largest"] == np.max(X)
    found, aux = gradc.hessian(lambda x: (np.sum(x**3), np.argmax(x)), has_aux=True, backend=backend)(X)
    close(found, np.diag(6 * X))
    assert aux == np.argmax(X)


def test_hvp(backend: str) -> None:
    def loss(w, x, scale):
        return np.sum(network(w, x) ** 2) * scale

    v = {k: RNG.normal(size=a.shape) for k, a in W.items()}
    product, by_x, nothing = gradc.hvp(loss, (W, X, 2), (v, None, None), backend=backend)
    assert by_x is None
    assert nothing is None
    full = gradc.hessian(loss)(W, X, 2)
    for k in W:
        close(product[k], sum(np.tensordot(full[k][j], v[j], v[j].ndim) for j in W))
    with pytest.raises(ArgumentError, match="hvp: every tangent is None; give that of at least one argument"):
        gradc.hvp(loss, (W, X, 2), (None, None, None))


def test_they_nest(backend: str) -> None:
    cubes = gradc.jacobian(gradc.jacobian(lambda x: x**3), backend=backend)(X)
    expected = np.zeros((3, 3, 3))
    expected[range(3), range(3), range(3)] = 6 * X
    close(cubes, expected)
    rows = RNG.normal(size=(5, 3))
    many = gradc.vmap(gradc.jacobian(FUNCTIONS["softmax"]), backend=backend)(rows)
    close(many, np.stack([columns(FUNCTIONS["softmax"], row) for row in rows]))
    slope = gradc.grad(lambda x: np.sum(gradc.jacobian(FUNCTIONS["softmax"])(x) ** 2), backend=backend)(X)
    step = 1e-6 * np.eye(3)
    differences = [
        np.sum(columns(FUNCTIONS["softmax"], X + e) ** 2) - np.sum(columns(FUNCTIONS["softmax"], X - e) ** 2)
        for e in step
    ]
    np.testing.assert_allclose(slope, np.array(differences) / 2e-6, rtol=1e-8, atol=1e-9)


def test_f32_in_f32_out(backend: str) -> None:
    x = X.astype(np.float32)
    assert gradc.jacobian(lambda x: np.tanh(x) * 2, backend=backend)(x).dtype == np.float32
    assert gradc.hessian(lambda x: np.sum(np.tanh(x) * 2), backend=backend)(x).dtype == np.float32


def body(kernel) -> str:
    source = kernel.numpy_source
    return source[source.index("@np.errstate") : source.index("\n\n\n", source.index("@np.errstate"))]


def test_the_jacobian_of_a_network_is_matrix_products() -> None:
    text = body(gradc.jacobian(network, wrt="x").compile(W, X))
    assert "(1.0 - t1 * t1) @ hidden" in text
    assert "arange" not in text


def test_the_jacobian_of_an_elementwise_function_is_a_diagonal_until_the_end() -> None:
    kernel = gradc.jacobian(FUNCTIONS["elementwise"]).compile(gradc.aval("f64[50]"))
    large = [n.op.name for n in kernel.graph.nodes if n.aval.shape == (50, 50)]
    assert set(large) <= {"broadcast_to", "eq", "select"}


def test_recurrences_are_rolled_with_all_their_tangents() -> None:
    def pendulum(x):
        for _ in range(300):
            x = x + 0.01 * np.array([x[1], -np.sin(x[0])])
        return x

    x = np.array([1.0, 0.5])
    kernel = gradc.jacobian(pendulum).compile(x)
    assert len(kernel._compiled.runs.nodes) < 100
    close(kernel(x), gradc.jacobian(pendulum, backend="reference")(x))


def test_symbolic_sizes() -> None:
    kernel = gradc.jacobian(lambda x: np.tanh(x) * 2).compile(gradc.aval("f64[n]"))
    close(kernel(X), np.diag(2 * (1 - np.tanh(X) ** 2)))
    close(kernel(X[:2]), np.diag(2 * (1 - np.tanh(X[:2]) ** 2)))


def test_a_saved_hessian_needs_numpy_alone(tmp_path) -> None:
    kernel = gradc.hessian(lambda x: np.sum(np.tanh(x) * x), name="curvature").compile(X)
    kernel.save(tmp_path / "curvature.py")
    spec = importlib.util.spec_from_file_location("curvature", tmp_path / "curvature.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "curvature: Hessian of" in (tmp_path / "curvature.py").read_text()
    close(module.curvature(X), kernel(X))


def test_what_has_no_jacobian() -> None:
    with pytest.raises(DerivativeError, match=r"jacobian: the result result is bool\[3\], which has no derivative"):
        gradc.jacobian(lambda x: x > 0)(X)
    with pytest.raises(DerivativeError, match=r"the gradient needs one scalar floating-point result"):
        gradc.hessian(lambda x: x * x)(X)
    with pytest.raises(DerivativeError, match=r"k is i64\[3\], and there is no derivative by integers"):
        gradc.jacobian(lambda k: k * 1.0)(np.arange(3))
