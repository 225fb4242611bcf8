"""Formulas as textbooks write them, where they overflow, and branches that are not taken: value and gradient exact."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import gradc

BACKENDS = ("llvm", "numpy", "reference")
MINIMUM = np.finfo(np.float64).tiny


@pytest.fixture(params=BACKENDS)
def backend(request) -> str:
    return request.param


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def textbook(z, y):
    s = 1 / (1 + np.exp(-z))
    return -(y * np.log(s) + (1 - y) * np.log(1 - s))


def with_helper(z, y):
    s = sigmoid(z)
    return -y * np.log(s) - (1 - y) * np.log(1 - s)


def other_sigmoid(z, y):
    s = np.exp(z) / (1 + np.exp(z))
    return -(y * np.log(s) + (1.0 - y) * np.log(1.0 - s))


def of_logits(z, y):
    return np.log(1 + np.exp(z)) - y * z


def true_loss(z: float, y: float) -> tuple[float, float]:
    """Value and slope in 500 digits."""
    with mpmath.workdps(500):
        e = mpmath.exp(-mpmath.mpf(z))
        s = 1 / (1 + e)
        value = -(y * mpmath.log(s) + (1 - y) * mpmath.log(1 - s))
        return float(value), float(s - y)


@pytest.mark.parametrize("loss", [textbook, with_helper, other_sigmoid, of_logits])
def test_binary_cross_entropy_of_a_naive_sigmoid(loss, backend: str) -> None:
    step = gradc.value_and_grad(loss, backend=backend)
    for z in (1000.0, -1000.0, 800.0, -800.0, 40.0, -40.0, 1.5, -1.5, 0.0):
        for y in (0.0, 1.0, 0.25):
            if 0 < y < 1 and abs(z) > 300:
                continue
            value, slope = true_loss(z, y)
            found, gradient = step(z, y)
            scale = abs(y * z) + abs(value) if loss is of_logits else abs(value)
            assert found == pytest.approx(value, rel=4e-16, abs=4e-16 * scale + MINIMUM)
            assert gradient == pytest.approx(slope, rel=1e-15, abs=2.3e-16)
    for z, y, value, slope in ((1000.0, 0, 1000.0, 1.0), (1000.0, 1, 0.0, 0.0), (-1000.0, 0, 0.0, 0.0),
                               (-1000.0, 1, 1000.0, -1.0)):  # fmt: skip
        assert step(z, float(y)) == (value, slope)


def test_the_mean_over_a_batch(backend: str) -> None:
    def mean_loss(z, y):
        s = 1 / (1 + np.exp(-z))
        return -np.mean(y * np.log(s) + (1 - y) * np.log(1 - s))

    z = np.array([1000.0, -1000.0, 1000.0, -1000.0, 0.3])
    y = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    value, gradient = gradc.value_and_grad(mean_loss, backend=backend)(z, y)
    assert value == pytest.approx((2000 + np.log1p(np.exp(-0.3))) / 5, rel=1e-15)
    np.testing.assert_allclose(gradient, np.array([1.0, -1.0, 0.0, 0.0, sigmoid(0.3) - 1]) / 5, rtol=1e-15)


def test_the_adjoint_reads_as_the_textbook_says() -> None:
    for kernel in (gradc.value_and_grad(textbook).compile(0.5, 1.0), gradc.grad(with_helper).compile(0.5, 1.0)):
        assert "s - y" in kernel.numpy_source
    text = gradc.value_and_grad(textbook).compile(0.5, 1.0).loops
    assert "s - y" in text


def test_off_is_the_formula_as_written(backend: str) -> None:
    step = gradc.value_and_grad(textbook, stabilize="off", backend=backend)
    value, _ = step(1000.0, 0.0)
    assert np.isinf(value) or np.isnan(value)
    assert step(0.5, 1.0)[1] == pytest.approx(sigmoid(0.5) - 1, rel=1e-14)


def test_softmax_cross_entropy(backend: str) -> None:
    def loss(z, y):
        p = np.exp(z) / np.sum(np.exp(z), axis=-1, keepdims=True)
        return -np.sum(y * np.log(p))

    step = gradc.value_and_grad(loss, backend=backend)
    for z, y, value, gradient in (
        ([1000.0, 0.0], [0.0, 1.0], 1000.0, [1.0, -1.0]),
        ([1000.0, 0.0], [1.0, 0.0], 0.0, [0.0, 0.0]),
        ([-1000.0, 0.0], [1.0, 0.0], 1000.0, [-1.0, 1.0]),
        ([-1000.0, 0.0], [0.0, 1.0], 0.0, [0.0, 0.0]),
    ):
        found, slope = step(np.array(z), np.array(y))
        assert found == value
        np.testing.assert_array_equal(slope, gradient)
    rows = np.random.default_rng(0).normal(size=(3, 4)) * 300
    labels = np.eye(4)[[0, 2, 1]]
    found, slope = step(rows, labels)
    shifted = rows - rows.max(1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
    assert found == pytest.approx(
        -np.sum(labels * (shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))), rel=1e-14
    )
    np.testing.assert_allclose(slope, p - labels, rtol=1e-13, atol=1e-15)


def test_log_sum_exp(backend: str) -> None:
    for function in (
        lambda z: np.log(np.sum(np.exp(z))),
        lambda z: np.max(z) + np.log(np.sum(np.exp(z - np.max(z)))),
    ):
        step = gradc.value_and_grad(function, backend=backend)
        for z, value, gradient in (
            ([1000.0, 0.0], 1000.0, [1.0, 0.0]),
            ([-1000.0, -1000.0], -1000.0 + np.log(2), [0.5, 0.5]),
            ([1000.0, 1000.0], 1000.0 + np.log(2), [0.5, 0.5]),
        ):
            found, slope = step(np.array(z))
            assert found == pytest.approx(value, rel=1e-15)
            np.testing.assert_allclose(slope, gradient, rtol=1e-15)


def test_nan_is_never_swallowed(backend: str) -> None:
    for function in (
        lambda z: np.sum(textbook(z, 0.0)),
        lambda z: np.log(np.sum(np.exp(z))),
        lambda z: -np.sum(np.log(np.exp(z) / np.sum(np.exp(z)))[:1]),
        lambda z: np.sum(np.log(1 + np.exp(z))),
        lambda z: np.sum(np.maximum(z, 0.0)),
        lambda z: np.max(z) + np.min(z),
        lambda z: np.prod(z),
    ):
        assert np.isnan(gradc.jit(function, backend=backend)(np.array([1.0, np.nan, 2.0])))


def guarded_norm(v):
    norm = np.sqrt(np.sum(v * v))
    return np.where(norm > 0, np.sum(v) / norm, 0.0)


SELECTIONS = {
    "log": (lambda x: np.where(x > 0, np.log(x), 0), lambda x: 1 / x, lambda x: -1 / x**2),
    "sqrt": (lambda x: np.where(x > 0, np.sqrt(x), 0), lambda x: 0.5 / np.sqrt(x), lambda x: -0.25 * x**-1.5),
    "quotient": (
        lambda x: np.where(x != 0, np.sin(x) / x, 1.0),
        lambda x: (x * np.cos(x) - np.sin(x)) / x**2,
        lambda x: ((2 - x**2) * np.sin(x) - 2 * x * np.cos(x)) / x**3,
    ),
    "power": (lambda x: np.where(x > 0, x**-0.5, 0), lambda x: -0.5 * x**-1.5, lambda x: 0.75 * x**-2.5),
    "chain": (
        lambda x: np.where(x > 0, x * np.log(x) ** 2, 0),
        lambda x: np.log(x) ** 2 + 2 * np.log(x),
        lambda x: 2 * np.log(x) / x + 2 / x,
    ),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_branch_not_taken_is_exactly_zero(name: str, backend: str) -> None:
    function, first, second = SELECTIONS[name]
    gradient = gradc.grad(function, backend=backend)
    curvature = gradc.grad(gradc.grad(function, backend=backend), backend=backend)
    assert gradient(0.0) == 0.0
    assert curvature(0.0) == 0.0
    assert gradient(1.7) == pytest.approx(first(1.7), rel=1e-13)
    assert curvature(1.7) == pytest.approx(second(1.7), rel=1e-12)
    x = np.array([0.0, 1.7])
    np.testing.assert_allclose(
        gradc.grad(lambda x: np.sum(function(x)), backend=backend)(x), [0.0, first(1.7)], rtol=1e-13
    )


def test_a_guarded_norm(backend: str) -> None:
    gradient = gradc.grad(guarded_norm, backend=backend)
    np.testing.assert_array_equal(gradient(np.zeros(3)), np.zeros(3))
    v = np.array([1.0, 2.0, -2.0])
    np.testing.assert_allclose(gradient(v), 1 / 3 - v * v.sum() / 27, rtol=1e-13)


def test_a_where_relu_against_infinite_weights(backend: str) -> None:
    def layer(w, x):
        z = x @ w
        return np.sum(np.where(z < 1e300, z, 0.0))

    w, x = np.array([[1.0, np.inf], [1.0, 1.0]]), np.array([[1.0, 2.0]])
    by_w, by_x = gradc.grad(layer, wrt=("w", "x"), backend=backend)(w, x)
    np.testing.assert_array_equal(by_w, [[1.0, 0.0], [2.0, 0.0]])
    np.testing.assert_array_equal(by_x, [[1.0, 1.0]])


def test_a_nan_in_the_taken_branch_stays(backend: str) -> None:
    gradient = gradc.grad(lambda x, w: np.where(x > 0, x * w, 0.0), wrt=("x", "w"), backend=backend)
    by_x, by_w = gradient(1.0, np.nan)
    assert np.isnan(by_x)
    assert by_w == 1.0
    by_x, by_w = gradient(-1.0, np.nan)
    assert (by_x, by_w) == (0.0, 0.0)


def test_a_swish_without_a_factor_of_its_own(backend: str) -> None:
    step = gradc.grad(lambda z: np.sum(z / (1 + np.exp(-z))), backend=backend)
    np.testing.assert_array_equal(step(np.array([-1000.0, 0.0, 1000.0])), [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(step(np.array([-89.0, -1e4, 1e4], np.float32))[1:], [0.0, 1.0])


LENGTHS = [
    np.linalg.norm,
    lambda x: np.linalg.norm(x, 3),
    lambda x: np.linalg.norm(x[:, None], "fro", axis=(0, 1)),
    lambda x: np.sum(np.linalg.norm(x[None], axis=1, keepdims=True)),
    np.std,
    np.nanstd,
]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_length_of_zero_has_the_slope_zero(length, backend: str) -> None:
    """As that of abs and hypot. What is not 0, and NaN, is as it was."""
    value, slope = gradc.value_and_grad(length, backend=backend)(np.zeros(3))
    assert value == 0
    np.testing.assert_array_equal(slope, np.zeros(3))
    np.testing.assert_array_equal(gradc.hessian(length, backend=backend)(np.zeros(3)), np.zeros((3, 3)))
    x = np.array([1.0, -2.0, 3.0])
    away = gradc.value_and_grad(length, backend=backend)
    assert away(x)[0] == pytest.approx(length(x), rel=1e-15)
    along = (length(x + 1e-6 * x[::-1]) - length(x - 1e-6 * x[::-1])) / 2e-6
    assert np.dot(away(x)[1], x[::-1]) == pytest.approx(along, rel=1e-8)
    if length is not np.nanstd:
        x[1] = np.nan
        value, slope = away(x)
        assert np.isnan(value)
        assert np.isnan(slope).all()
