"""stop_gradient, custom_derivative and checkpoint, on every backend and under every other transform."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import gradc
from gradc.errors import ArgumentError, CompileError, DerivativeError, TraceError


@pytest.fixture(params=["llvm", "numpy", "reference"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


X = np.array([0.3, -1.5, 2.0])
RNG = np.random.default_rng(0)


def close(found, expected) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


# stop_gradient


def test_a_stopped_value_has_derivative_zero(backend: str) -> None:
    np.testing.assert_array_equal(gradc.grad(lambda x: np.sum(x * gradc.stop_gradient(x)), backend=backend)(X), X)
    _, tangent = gradc.jvp(lambda x: gradc.stop_gradient(x), (X,), (X,), backend=backend)
    np.testing.assert_array_equal(tangent, np.zeros(3))


def test_it_stays_stopped_in_outer_derivatives(backend: str) -> None:
    def inner(x):
        return gradc.grad(lambda y: np.sum(y**2 * gradc.stop_gradient(y)))(x)  # 2 y * y, the second one stopped

    close(gradc.jit(inner, backend=backend)(X), 2 * X * X)
    close(gradc.grad(lambda x: np.sum(inner(x)), backend=backend)(X), 2 * X)


def test_containers_and_plain_values_pass_through() -> None:
    assert gradc.stop_gradient({"a": 1.0, "b": X})["b"] is X

    def function(w):
        stopped = gradc.stop_gradient(w)
        return np.sum(stopped["a"] * w["b"]) + stopped["n"]

    found = gradc.grad(function)({"a": X, "b": X, "n": 2})
    np.testing.assert_array_equal(found["a"], np.zeros(3))
    np.testing.assert_array_equal(found["b"], X)


def test_nothing_of_it_is_left_in_the_code() -> None:
    kernel = gradc.grad(lambda x: np.sum(x * gradc.stop_gradient(x * 2))).compile(X)
    assert "stop" not in kernel.numpy_source
    assert not any(node.op.name == "stop_gradient" for node in kernel.graph.nodes)
    assert "stop_gradient" in str(kernel.trace)


# custom_derivative


def straight_through(ct, out, x):
    return (ct * np.where(np.abs(x) <= 1, 1.0, 0.0),)


@gradc.custom_derivative(vjp=straight_through)
def hard(x):
    return np.sign(x)


INSIDE = np.array([1.0, 0.0, 0.0])


def test_a_vjp_rule_serves_every_transform(backend: str) -> None:
    np.testing.assert_array_equal(hard(X), np.sign(X))
    np.testing.assert_array_equal(gradc.jit(hard, backend=backend)(X), np.sign(X))
    np.testing.assert_array_equal(gradc.grad(lambda x: np.sum(hard(x)), backend=backend)(X), INSIDE)
    np.testing.assert_array_equal(gradc.jvp(hard, (X,), (X,), backend=backend)[1], INSIDE * X)
    np.testing.assert_array_equal(gradc.vmap(gradc.grad(hard), backend=backend)(X), INSIDE)
    np.testing.assert_array_equal(gradc.jacobian(hard, backend=backend)(X), np.diag(INSIDE))


def test_a_jvp_rule_serves_every_transform(backend: str) -> None:
    @gradc.custom_derivative(jvp=lambda t, out, a, b: t[0] * b + 10 * t[1])
    def product(a, b):
        return a * b

    assert gradc.grad(product, wrt=(0, 1), backend=backend)(2.0, 3.0) == (3.0, 10.0)
    assert gradc.jvp(product, (2.0, 3.0), (1.0, 1.0), backend=backend)[1] == 13.0
    assert gradc.jvp(product, (2.0, 3.0), (1.0, None), backend=backend)[1] == 3.0
    hessian = gradc.hessian(lambda v: product(v[0], v[1]), backend=backend)(np.array([2.0, 3.0]))
    np.testing.assert_array_equal(hessian, [[0.0, 1.0], [0.0, 0.0]])
    mapped = gradc.vmap(gradc.grad(product, wrt=(0, 1)), in_axes=(0, None), backend=backend)(X, 3.0)
    np.testing.assert_array_equal(mapped[0], [3.0] * 3)
    np.testing.assert_array_equal(mapped[1], [10.0] * 3)


def test_both_rules_are_used_where_both_are_given(backend: str) -> None:
    @gradc.custom_derivative(vjp=lambda ct, out, x: (2 * ct,), jvp=lambda t, out, x: 3 * t[0])
    def function(x):
        return x * 1.0

    assert gradc.grad(function, backend=backend)(1.0) == 2.0
    assert gradc.jvp(function, (1.0,), (1.0,), backend=backend)[1] == 3.0


def norm_rule(ct, out, w, n):
    return {"a": ct["norm"] * w["a"] / out["norm"] + ct["sum"] * np.ones(3), "mode": None}, None


@gradc.custom_derivative(vjp=norm_rule)
def norm(w, n):
    total = np.sqrt(np.sum(w["a"] ** 2))
    return {"norm": total, "sum": np.sum(w["a"]), "count": np.argmax(w["a"]) + n}


def test_trees_integers_and_static_arguments(backend: str) -> None:
    w = {"a": X, "mode": "euclidean"}

    def function(a):
        found = norm({"a": a, "mode": "euclidean"}, 2)
        return found["norm"] * 2 + found["sum"]

    assert norm(w, 2)["count"] == 4
    close(gradc.grad(function, backend=backend)(X), 2 * X / np.linalg.norm(X) + 1)
    close(gradc.jvp(function, (X,), (X,), backend=backend)[1], 2 * np.linalg.norm(X) + np.sum(X))


def test_second_derivatives_are_those_of_the_rule(backend: str) -> None:
    @gradc.custom_derivative(vjp=lambda ct, out, x: (ct * np.cos(x) * out,))
    def function(x):
        return np.exp(np.sin(x))

    found = gradc.grad(gradc.grad(function), backend=backend)(0.4)
    exact = np.exp(np.sin(0.4)) * (np.cos(0.4) ** 2 - np.sin(0.4))
    close(found, exact)
    close(gradc.jvp(gradc.grad(function), (0.4,), (1.0,), backend=backend)[1], exact)


def test_a_call_that_is_not_taken_contributes_nothing(backend: str) -> None:
    @gradc.custom_derivative(vjp=lambda ct, out, x: (ct / x,))
    def safe_log(x):
        return np.log(x)

    guarded = gradc.vmap(gradc.grad(lambda x: np.where(x > 0, safe_log(x), 0.0)), backend=backend)
    np.testing.assert_array_equal(guarded(np.array([0.0, 2.0])), [0.0, 0.5])
    _, tangent = gradc.jvp(lambda x: np.where(x > 0, safe_log(x), 0.0), (0.0,), (1.0,), backend=backend)
    assert tangent == 0.0


def test_recurrences_of_custom_functions_are_rolled() -> None:
    @gradc.custom_derivative(vjp=lambda ct, out, x: (ct * (1 - out * out),))
    def squashed(x):
        return np.tanh(x)

    def network(w, x, f):
        h = np.zeros(3)
        for k in range(1200):
            h = f(w @ h + x[k])
        return np.sum(h)

    w, x = RNG.normal(size=(3, 3)) / 2, RNG.normal(size=(1200, 3))
    kernel = gradc.grad(lambda w: network(w, x, squashed)).compile(w)
    assert len(kernel._compiled.runs.nodes) < 60
    close(kernel(w), gradc.grad(lambda w: network(w, x, np.tanh))(w))


def test_recurrences_of_checkpoints_are_rolled() -> None:
    @gradc.checkpoint
    def step(w, h, x):
        return np.tanh(w @ h + x)

    def network(w, x, f):
        h = np.zeros(3)
        for k in range(1200):
            h = f(w, h, x[k])
        return np.sum(h)

    w, x = RNG.normal(size=(3, 3)) / 2, RNG.normal(size=(1200, 3))
    kernel = gradc.grad(lambda w: network(w, x, step)).compile(w)
    assert len(kernel._compiled.runs.nodes) < 60
    close(kernel(w), gradc.grad(lambda w: network(w, x, lambda w, h, x: np.tanh(w @ h + x)))(w))


def test_explain_keeps_the_name_and_the_rule() -> None:
    def loss(w, x):
        z = w * x
        a = hard(z)
        return (a - 1.0) ** 2

    text = gradc.value_and_grad(loss).compile(0.3, 2.0).explain().text()
    assert "a = hard(z)" in text
    assert "the rule of hard" in text
    assert "where(|z| <= 1, 1, 0)" in text


def outside_value():
    def outer(scale):
        @gradc.custom_derivative(vjp=lambda ct, out, x: (ct * scale,))
        def inner(x):
            return x * 2

        return inner(3.0)

    return gradc.grad(outer)(2.0)


def with_rules(function, **rules):
    return gradc.grad(lambda x: np.sum(gradc.custom_derivative(function, **rules)(x)))(X)


ONE_EACH = "with a cotangent or None for each argument"
NEST = "nest it as the argument is, with None for what has no cotangent"
PASS = "pass it as an argument"
WRONG = {
    "no rule": (lambda: gradc.custom_derivative(np.sin), ArgumentError, "custom_derivative: give a rule, vjp= or jvp="),
    "no function": (lambda: gradc.checkpoint(X), ArgumentError, "ndarray is not a function; give one of arrays"),
    "count": (
        lambda: with_rules(lambda x: x, vjp=lambda ct, out, x: ct),
        ArgumentError,
        f"<lambda>: the vjp rule gives one array and has to give a tuple of 1, {ONE_EACH}",
    ),
    "shape": (
        lambda: with_rules(lambda x: x, vjp=lambda ct, out, x: (ct[:2],)),
        ArgumentError,
        "<lambda>: the vjp rule gives f64[2] where the argument is f64[3]",
    ),
    "structure": (
        lambda: with_rules(lambda x: x, vjp=lambda ct, out, x: ([ct],)),
        ArgumentError,
        f"the cotangent of x is a list of 1 and x is one array; {NEST}",
    ),
    "tangent": (
        lambda: with_rules(lambda x: x, jvp=lambda t, out, x: (t[0],)),
        ArgumentError,
        "<lambda>: the jvp rule gives a tuple of 1 and the function one array; a tangent is nested as its value is",
    ),
    "dtype": (
        lambda: with_rules(lambda x: x, jvp=lambda t, out, x: t[0].astype(np.float32)),
        ArgumentError,
        "<lambda>: the jvp rule gives f32[3] where the result is f64[3]",
    ),
    "not linear": (
        lambda: with_rules(lambda x: x, jvp=lambda t, out, x: t[0] * t[0]),
        DerivativeError,
        "<lambda>: the jvp rule is not linear in its first argument; give both rules",
    ),
    "outside": (
        outside_value,
        TraceError,
        f"<lambda> uses a traced value from around it, by which inner would not be differentiated; {PASS}",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), WRONG.values(), ids=WRONG.keys())
def test_rules_that_do_not_fit(call, error, message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


# checkpoint


def layer(w, x):
    h = np.tanh(w @ x)
    return np.sin(h) * np.exp(h)


def deep(w, x, layer):
    for k in range(4):
        x = layer(w[k], x)
    return np.sum(x * x)


W = RNG.normal(size=(4, 3, 3))


def test_a_checkpoint_changes_no_number(backend: str) -> None:
    kept = gradc.value_and_grad(lambda w: deep(w, X, layer), backend=backend)(W)
    again = gradc.value_and_grad(lambda w: deep(w, X, gradc.checkpoint(layer)), backend=backend)(W)
    np.testing.assert_array_equal(again[0], kept[0])
    close(again[1], kept[1])


def test_a_checkpoint_under_other_transforms(backend: str) -> None:
    @gradc.checkpoint
    def checkpointed(w, x):
        return layer(w, x)

    def loss(w, x):
        return deep(w, x, checkpointed)

    def plain(w, x):
        return deep(w, x, layer)

    close(gradc.jvp(loss, (W, X), (W, X), backend=backend), gradc.jvp(plain, (W, X), (W, X), backend=backend))
    close(gradc.hessian(loss, wrt=1, backend=backend)(W, X), gradc.hessian(plain, wrt=1, backend=backend)(W, X))
    rows = RNG.normal(size=(5, 3))
    found = gradc.vmap(gradc.grad(loss, wrt=1), in_axes=(None, 0), backend=backend)(W, rows)
    close(found, gradc.vmap(gradc.grad(plain, wrt=1), in_axes=(None, 0), backend=backend)(W, rows))


def test_its_inner_values_are_computed_again() -> None:
    def count(function) -> int:
        kernel = gradc.grad(lambda w: deep(w, X, function)).compile(W)
        return sum(node.op.name == "tanh" for node in kernel.graph.nodes)

    assert count(layer) == 4
    assert count(gradc.checkpoint(layer)) == 8


def test_it_takes_less_memory() -> None:
    w, x = RNG.normal(size=(8, 50, 50)) / 7, RNG.normal(size=(50, 400))

    def arena(function) -> int:
        def loss(w):
            z = x
            for k in range(8):
                z = function(w[k], z)
            return np.sum(z)

        return gradc.grad(loss).compile(w).cost.arena

    assert arena(gradc.checkpoint(layer)) < arena(layer) / 2


def test_what_is_computed_again_stands_in_the_backward_pass() -> None:
    source = gradc.grad(lambda w: deep(w, X, gradc.checkpoint(layer))).compile(W).numpy_source
    forward, backward = source.split("# Backward")
    assert (forward.count("np.tanh("), backward.count("np.tanh(")) == (4, 4)


def test_closures_are_differentiated_too(backend: str) -> None:
    def loss(w):
        scaled = gradc.checkpoint(lambda x: np.sum(np.sin(w * x)))
        return scaled(X)

    close(gradc.grad(loss, backend=backend)(0.5), np.sum(X * np.cos(0.5 * X)))


def test_branches_in_and_around_a_checkpoint(backend: str) -> None:
    inside = gradc.checkpoint(lambda x: np.where(x > 0, np.log(x), 0.0))
    around = gradc.checkpoint(np.log)
    for function in (inside, lambda x: np.where(x > 0, around(x), 0.0)):
        slopes = gradc.vmap(gradc.grad(function), backend=backend)(np.array([0.0, 2.0]))
        np.testing.assert_array_equal(slopes, [0.0, 0.5])


def test_one_argument_twice_and_results_in_a_tree(backend: str) -> None:
    both = gradc.checkpoint(lambda a, b: {"product": a * b, "sum": np.sin(a) + b})

    def loss(x):
        found = both(x, x)
        return np.sum(found["product"] * found["sum"])

    def plain(x):
        return np.sum(x * x * (np.sin(x) + x))

    close(gradc.grad(loss, backend=backend)(X), gradc.grad(plain, backend=backend)(X))


def test_explain_reads_through_a_checkpoint() -> None:
    def loss(w, x):
        y = gradc.checkpoint(layer)(w, x)
        return np.sum(y)

    def plain(w, x):
        y = layer(w, x)
        return np.sum(y)

    text = gradc.value_and_grad(loss).compile(np.eye(3), X).explain().text()
    assert "h = tanh(w @ x)" in text
    assert "dL/dh" in text


def test_pickles_keep_checkpoints_and_refuse_rules() -> None:
    kept = gradc.grad(lambda x: np.sum(gradc.checkpoint(np.sin)(gradc.stop_gradient(x) * x))).compile(X)
    np.testing.assert_array_equal(copy.deepcopy(kept)(X), kept(X))
    ruled = gradc.grad(lambda x: np.sum(hard(x)), name="step").compile(X)
    with pytest.raises(
        CompileError, match="step: hard has a derivative of its own, which a pickle does not keep; save"
    ):
        pickle.dumps(ruled)
