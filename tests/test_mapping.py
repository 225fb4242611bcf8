"""vmap: equal to a loop over single calls, in any place among the other transforms, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import gradc
from gradc.errors import ArgumentError


@pytest.fixture(params=["llvm", "numpy", "reference"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def loss(w, x, y):
    z = np.tanh(w["a"] @ x)
    return np.sum((w["b"] @ z - y) ** 2)


RNG = np.random.default_rng(0)
W = {"a": RNG.normal(size=(4, 3)), "b": RNG.normal(size=(2, 4))}
X, Y = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2))


def close(found, expected) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_the_gradient_of_each_sample(backend: str) -> None:
    found = gradc.vmap(gradc.grad(loss), in_axes=(None, 0, 0), backend=backend)(W, X, Y)
    single = gradc.grad(loss, backend=backend)
    for name in W:
        close(found[name], np.stack([single(W, x, y)[name] for x, y in zip(X, Y, strict=True)]))


def test_the_gradient_of_a_mapped_loss(backend: str) -> None:
    mapped = gradc.vmap(loss, in_axes=(None, 0, 0))
    found = gradc.grad(lambda w: np.sum(mapped(w, X, Y)), backend=backend)(W)
    single = [gradc.grad(loss)(W, x, y) for x, y in zip(X, Y, strict=True)]
    for name in W:
        close(found[name], sum(g[name] for g in single))


def test_axes_of_arguments_and_results(backend: str) -> None:
    def both(x, y):
        return x @ y, {"sum": np.sum(x)}

    x, y = RNG.normal(size=(3, 5, 4)), RNG.normal(size=(4, 2, 5))
    product, sums = gradc.vmap(both, in_axes=(1, -1), out_axes=(-1, {"sum": 0}), backend=backend)(x, y)
    close(product, np.stack([x[:, k] @ y[..., k] for k in range(5)], axis=-1))
    close(sums["sum"], x.sum(axis=(0, 2)))


def test_results_that_are_the_same_in_all(backend: str) -> None:
    mapped = gradc.vmap(lambda x, c: (x * c, c * c), in_axes=(0, None), out_axes=(0, None), backend=backend)
    assert mapped(X[0], 3.0)[1] == 9.0
    repeated = gradc.vmap(lambda x, c: c * c, in_axes=(0, None), backend=backend)(X[0], 3.0)
    np.testing.assert_array_equal(repeated, [9.0] * 3)


def test_a_map_of_a_map_is_a_table(backend: str) -> None:
    table = gradc.vmap(gradc.vmap(lambda x, y: x * y + 1.0, in_axes=(None, 0)), in_axes=(0, None), backend=backend)
    close(table(X[0], Y[0]), np.outer(X[0], Y[0]) + 1)


def test_containers_of_axes_go_as_far_down_as_needed(backend: str) -> None:
    trees = {"a": RNG.normal(size=(5, 2)), "b": [RNG.normal(size=2), RNG.normal(size=(2, 5))]}
    mapped = gradc.vmap(lambda t: t["a"] + t["b"][0] * t["b"][1], in_axes=({"a": 0, "b": [None, 1]},), backend=backend)
    close(mapped(trees), trees["a"] + trees["b"][0] * trees["b"][1].T)


def test_keywords_are_mapped_along_their_first_axis(backend: str) -> None:
    mapped = gradc.vmap(lambda x, *, shift=1.0: x + shift, backend=backend)
    close(mapped(X, shift=np.arange(5.0)), X + np.arange(5.0)[:, None])
    close(mapped(X), X + 1)


def test_closures_are_the_same_in_all(backend: str) -> None:
    def outer(scale):
        return np.sum(gradc.vmap(lambda x: np.sum(x * scale))(X))

    assert gradc.grad(outer, backend=backend)(2.0) == pytest.approx(X.sum())


def test_indices_that_differ(backend: str) -> None:
    labels = np.array([2, 0, 1, 1, 2])
    mapped = gradc.vmap(lambda x, k: x[k], backend=backend)
    np.testing.assert_array_equal(mapped(X, labels), X[np.arange(5), labels])
    slopes = gradc.grad(lambda x: np.sum(mapped(x, labels)), backend=backend)(X)
    np.testing.assert_array_equal(slopes, np.eye(3)[labels])


def test_branches_that_are_not_taken(backend: str) -> None:
    guarded = gradc.vmap(gradc.grad(lambda x: np.where(x > 0, np.log(x), 0.0)), backend=backend)
    np.testing.assert_array_equal(guarded(np.array([0.0, 2.0, -1.0])), [0.0, 0.5, 0.0])


def test_linear_algebra_of_each(backend: str) -> None:
    half = RNG.normal(size=(5, 3, 3))
    stack = half @ half.swapaxes(1, 2) + np.eye(3)

    def energy(a, b):
        return b @ np.linalg.solve(a, b) + np.linalg.slogdet(a)[1] + np.sum(np.linalg.cholesky(a))

    close(gradc.vmap(energy, backend=backend)(stack, X), [energy(a, b) for a, b in zip(stack, X, strict=True)])
    one = gradc.vmap(lambda b: np.linalg.solve(stack[0], b), backend=backend)(X)
    close(one, np.linalg.solve(stack[0], X.T).T)


def test_symbolic_sizes() -> None:
    kernel = gradc.vmap(loss, in_axes=(None, 0, 0)).compile(W, gradc.aval("f64[batch,3]"), gradc.aval("f64[batch,2]"))
    close(kernel(W, X, Y), [loss(W, x, y) for x, y in zip(X, Y, strict=True)])
    close(kernel(W, X[:2], Y[:2]), [loss(W, x, y) for x, y in zip(X[:2], Y[:2], strict=True)])


def test_the_code_is_that_of_a_batch() -> None:
    source = gradc.vmap(gradc.grad(loss), in_axes=(None, 0, 0)).compile(W, X, Y).numpy_source
    assert "z = np.tanh(x @ a.T)" in source


ONE_EACH = "give one for each, None for what is not mapped"
WRONG = {
    "entries": (
        lambda: gradc.vmap(loss, in_axes=(None, 0))(W, X, Y),
        f"in_axes has 2 entries and loss is called with 3 positional arguments; {ONE_EACH}",
    ),
    "sizes": (
        lambda: gradc.vmap(loss, in_axes=(None, 0, 1))(W, X, Y),
        "x is f64[5,3] and has 5 along axis 0, y is f64[5,2] and has 2 along axis 1; mapped axes have one size",
    ),
    "none": (
        lambda: gradc.vmap(loss, in_axes=None)(W, X, Y),
        "in_axes maps no argument; give the axis of at least one",
    ),
    "axis": (
        lambda: gradc.vmap(loss, in_axes=(None, 0, 2))(W, X, Y),
        "y is f64[5,2] and has no axis 2 to map; give None in in_axes for what is the same",
    ),
    "number": (
        lambda: gradc.vmap(lambda x, n: x * n)(X, 3),
        "n is ~i64[] and has no axis 0 to map; give None in in_axes for what is the same",
    ),
    "nesting": (
        lambda: gradc.vmap(loss, in_axes=({"a": 0}, 0, 0))(W, X, Y),
        "in_axes is a dict of 1 ('a') for w, which is a dict of 2 ('a', 'b'); give an axis, None, or nest it alike",
    ),
    "text": (
        lambda: gradc.vmap(lambda x: x, in_axes="a")(X),
        "in_axes is 'a' for x, which is one array; give an axis, None, or nest it alike",
    ),
    "differs": (
        lambda: gradc.vmap(lambda x: x, out_axes=None)(X),
        "out_axes is None for result, which differs from one application to the next",
    ),
    "out": (
        lambda: gradc.vmap(lambda x: x, out_axes=4)(X),
        "out_axes is 4 for result, which has 1 axes and the batch",
    ),
    "no function": (lambda: gradc.vmap(X), "ndarray is not a function; give one of arrays"),
}


@pytest.mark.parametrize(("call", "message"), WRONG.values(), ids=WRONG.keys())
def test_axes_that_do_not_fit(call, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value) == message
