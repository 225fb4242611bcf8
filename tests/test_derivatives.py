"""The public derivatives that are not gradients: jvp, and how it nests with the others, on every backend."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import gradc
from gradc.errors import ArgumentError, DerivativeError


@pytest.fixture(params=["llvm", "numpy", "reference"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def layer(w, x):
    z1 = w["hidden"] @ x
    a1 = np.tanh(z1)
    return {"z": w["out"] @ a1, "norm": np.sum(x * x)}


def weights(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"hidden": rng.normal(size=(4, 3)), "out": rng.normal(size=(2, 4))}


W, T = weights(0), weights(1)
X, TX = np.array([1.0, -1.0, 2.0]), np.array([0.5, 2.0, 1.0])


def test_jvp(backend: str) -> None:
    out, tangent = gradc.jvp(layer, (W, X), (T, TX), backend=backend)
    a1 = np.tanh(W["hidden"] @ X)
    slope = (1 - a1**2) * (T["hidden"] @ X + W["hidden"] @ TX)
    np.testing.assert_allclose(out["z"], W["out"] @ a1, rtol=1e-13)
    np.testing.assert_allclose(tangent["z"], T["out"] @ a1 + W["out"] @ slope, rtol=1e-12)
    assert tangent["norm"] == pytest.approx(2 * X @ TX)


def test_each_of_variadic_arguments_has_its_own(backend: str) -> None:
    def product(scale, *factors):
        return scale * factors[0] * factors[1]

    _, pullback = gradc.vjp(product, 2.0, 3.0, 5.0, backend=backend)
    assert pullback(1.0) == (15.0, 10.0, 6.0)
    assert gradc.jvp(product, (2.0, 3.0, 5.0), (1.0, 1.0, None), backend=backend) == (30.0, 25.0)


def test_none_is_for_what_does_not_move(backend: str) -> None:
    _, tangent = gradc.jvp(layer, (W, X), ({"hidden": None, "out": T["out"]}, None), backend=backend)
    np.testing.assert_allclose(tangent["z"], T["out"] @ np.tanh(W["hidden"] @ X), rtol=1e-12)
    assert tangent["norm"] == 0.0
    _, tangent = gradc.jvp(layer, (W, X), (None, None), backend=backend)
    np.testing.assert_array_equal(tangent["z"], np.zeros(2))


def test_the_inner_products_of_both_modes_agree(backend: str) -> None:
    rng = np.random.default_rng(3)
    ct = {"z": rng.normal(size=2), "norm": rng.normal()}
    _, tangent = gradc.jvp(layer, (W, X), (T, TX), backend=backend)
    _, pullback = gradc.vjp(layer, W, X, backend=backend)
    by_w, by_x = pullback(ct)
    forward = ct["z"] @ tangent["z"] + ct["norm"] * tangent["norm"]
    backward = sum(np.sum(by_w[k] * T[k]) for k in W) + by_x @ TX
    assert forward == pytest.approx(backward, rel=1e-12)


def cube(x):
    return x**3 * np.sin(x)


def derivative(f):
    return lambda x: gradc.jvp(f, (x,), (1.0,))[1]


@pytest.mark.parametrize(
    "second",
    [
        lambda f: derivative(derivative(f)),
        lambda f: derivative(gradc.grad(f)),
        lambda f: gradc.grad(derivative(f)),
        lambda f: derivative(lambda x: gradc.vjp(f, x)[1](1.0)[0]),
        lambda f: gradc.jit(derivative(gradc.grad(f))),
    ],
    ids=["forward forward", "forward reverse", "reverse forward", "forward vjp", "jit"],
)
def test_modes_nest_in_any_order(second, backend: str) -> None:
    x = 0.7
    expected = 6 * x * np.sin(x) + 6 * x**2 * np.cos(x) - x**3 * np.sin(x)
    assert gradc.jit(second(cube), backend=backend)(x) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("first", [derivative, gradc.grad])
@pytest.mark.parametrize("second", [derivative, gradc.grad])
def test_a_branch_not_taken_is_an_exact_zero_in_both_modes(first, second, backend: str) -> None:
    def guarded(x):
        return np.where(x > 0, np.log(x), 0.0)

    twice = gradc.jit(second(first(guarded)), backend=backend)
    assert [twice(0.0), twice(-1.0), twice(2.0)] == [0.0, 0.0, -0.25]


def test_perturbations_are_not_confused(backend: str) -> None:
    """d/dx (x * d/dy (x + y)) = 1."""

    def outer(x):
        return x * derivative(lambda y: x + y)(1.0)

    assert gradc.jit(derivative(outer), backend=backend)(2.0) == 1.0


def test_auxiliary_results_have_no_tangent(backend: str) -> None:
    def with_aux(x):
        return np.sum(x * x), {"largest": np.argmax(x)}

    value, tangent, aux = gradc.jvp(with_aux, (X,), (TX,), has_aux=True, backend=backend)
    assert (value, tangent, aux["largest"]) == (6.0, 2 * X @ TX, 2)
    with pytest.raises(
        DerivativeError, match=r"is i64\[\], which has no tangent; return auxiliary values with has_aux"
    ):
        gradc.jvp(lambda x: (np.sum(x), np.argmax(x)), (X,), (TX,), backend=backend)


def test_f32_stays_f32(backend: str) -> None:
    x = X.astype(np.float32)
    out, tangent = gradc.jvp(lambda x: np.tanh(x) * 2, (x,), (x,), backend=backend)
    assert (out.dtype, tangent.dtype) == (np.float32, np.float32)


def test_python_numbers_move_as_floats(backend: str) -> None:
    out, tangent = gradc.jvp(lambda x, n: x * n, (3, 2), (1, None), backend=backend)
    assert (out, tangent) == (6.0, 2.0)


def test_a_function_of_derivative_jvp_keeps_what_it_compiled(backend: str) -> None:
    traced = []

    def scaled(tangents, x):
        traced.append(1)
        return tangents * np.exp(x)

    pushed = gradc.Function(scaled, derivative="jvp", wrt="x", backend=backend)
    for _ in range(3):
        value, tangent = pushed(2.0, 0.0, directions=1.0)
        assert (value, tangent) == (2.0, 2.0)
    assert len(traced) == 1
    assert "value and Jacobian-vector product of scaled" in repr(pushed)
    kernel = pushed.compile(2.0, 0.0, directions=1.0)
    assert kernel.name == "scaled_jvp"


def test_symbolic_sizes() -> None:
    size = gradc.aval("f64[n]")
    kernel = gradc.Function(lambda x: np.tanh(x) * x[::-1], derivative="jvp").compile(size, tangents=(size,))
    for x in (X, X[:2]):
        _, tangent = kernel(x, tangents=(x,))
        np.testing.assert_allclose(tangent, (1 - np.tanh(x) ** 2) * x * x[::-1] + np.tanh(x) * x[::-1], rtol=1e-12)


def test_a_derivative_that_does_not_exist() -> None:
    with pytest.raises(ArgumentError, match="derivative='curl' is not one of 'value', 'grad', 'value_and_grad', 'vjp'"):
        gradc.Function(layer, derivative="curl")


def test_recurrences_are_rolled_with_their_tangents() -> None:
    def network(w, x):
        h = np.zeros(3)
        for k in range(300):
            h = np.tanh(w @ h + x[k])
        return np.sum(h)

    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(3, 3)), rng.normal(size=(300, 3))
    pushed = gradc.Function(network, derivative="jvp")
    kernel = pushed.compile(w, x, tangents=(w, x))
    assert "for" in kernel.loops
    assert len(kernel._compiled.runs.nodes) < 50
    expected = gradc.Function(network, derivative="jvp", backend="reference")(w, x, tangents=(w, x))
    np.testing.assert_allclose(pushed(w, x, tangents=(w, x)), expected, rtol=1e-10)


def test_a_saved_module_needs_numpy_alone(tmp_path) -> None:
    kernel = gradc.Function(layer, derivative="jvp", wrt="w").compile(W, X, tangents=T)
    kernel.save(tmp_path / "layer_jvp.py")
    text = (tmp_path / "layer_jvp.py").read_text()
    assert "t_z1 = tangents_hidden @ x" in text
    spec = importlib.util.spec_from_file_location("layer_jvp", tmp_path / "layer_jvp.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    _, found = module.layer_jvp(W, X, tangents=T)
    _, expected = gradc.jvp(layer, (W, X), (T, None))
    np.testing.assert_allclose(found["z"], expected["z"], rtol=1e-13)


NEST = "nest it as the argument is, with None for what does not move"
FITS = "a tangent has the dtype and shape of its primal"
WRONG = {
    "structure": (
        ({"hidden": T["hidden"]}, TX),
        f"tangents[0] is a dict of 1 ('hidden') and w is a dict of 2 ('hidden', 'out'); {NEST}",
    ),
    "leaf": ((T, [1.0]), f"tangents[1] is a list of 1 and x is one array; {NEST}"),
    "dtype": ((None, TX.astype(np.float32)), f"tangents[1] is f32[3] and x is f64[3]; {FITS}"),
    "shape": ((None, TX[:2]), f"tangents[1] is f64[2] and x is f64[3]; {FITS}"),
    "count": ((T,), "there are 2 primals and 1 tangents; give None for no tangent"),
    "no tuple": (TX, "tangents is of type ndarray and has to be a tuple, one entry per argument"),
}


@pytest.mark.parametrize(("tangents", "message"), WRONG.values(), ids=WRONG.keys())
def test_tangents_that_do_not_fit(tangents, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        gradc.jvp(layer, (W, X), tangents)
    assert str(caught.value) == message


def test_what_cannot_move_is_named() -> None:
    with pytest.raises(DerivativeError) as caught:
        gradc.jvp(lambda x, labels: x[labels], (X, np.arange(2)), (TX, np.arange(2)))
    assert str(caught.value) == (
        "labels is i64[2], and there is no derivative by integers or truth values; "
        "convert it to a float, or give None for its tangent"
    )
    with pytest.raises(DerivativeError, match=r"tangents\[1\]: mode is 'sum' and does not move; give None"):
        gradc.jvp(lambda x, mode: np.sum(x), (X, "sum"), (TX, 1.0))
    with pytest.raises(
        ArgumentError, match=r"tangents is one array and has to be a tuple with a tangent for each of w, x"
    ):
        gradc.Function(layer, derivative="jvp")(W, X, tangents=TX)
