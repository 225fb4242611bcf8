"""The optimizers against the published algorithms written out, alone and as part of a traced training step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import gradc
from gradc import optim
from gradc.errors import ArgumentError


@dataclass
class Layer:
    weight: np.ndarray
    bias: np.ndarray


def parameters(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "layers": [Layer(rng.normal(size=(3, 5)).astype(dtype), rng.normal(size=5).astype(dtype))],
        "out": rng.normal(size=5).astype(dtype),
    }


def leaves(w):
    layer = w["layers"][0]
    return [np.asarray(layer.weight), np.asarray(layer.bias), np.asarray(w["out"])]


def gradients(count, dtype=np.float64):
    return [parameters(dtype, seed) for seed in range(1, count + 1)]


def test_sgd_is_a_step_down_the_gradient():
    w, (g,) = parameters(), gradients(1)
    for new, old, slope in zip(leaves(optim.sgd(w, g, rate=0.25)), leaves(w), leaves(g), strict=True):
        assert np.array_equal(new, old - 0.25 * slope)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_adds_up_gradients_that_fade(nesterov):
    w, given = parameters(), gradients(6)
    velocity = optim.momentum_state(w)
    now = w
    for g in given:
        now, velocity = optim.momentum(now, g, velocity, rate=0.1, decay=0.8, nesterov=nesterov)
    for k, (new, old) in enumerate(zip(leaves(now), leaves(w), strict=True)):
        slopes = [leaves(g)[k] for g in given]
        speeds = [sum(0.8 ** (t - s) * slopes[s] for s in range(t + 1)) for t in range(6)]
        moves = [s + 0.8 * v for s, v in zip(slopes, speeds, strict=True)] if nesterov else speeds
        np.testing.assert_allclose(new, old - 0.1 * sum(moves), rtol=1e-13)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam_follows_the_published_algorithm(decay):
    w, given = parameters(), gradients(9)
    state, now = optim.adam_state(w), w
    for g in given:
        now, state = optim.adamw(now, g, state, rate=0.05, beta1=0.8, beta2=0.95, epsilon=1e-6, decay=decay)
    assert float(state.steps) == 9
    for k, (new, theta) in enumerate(zip(leaves(now), leaves(w), strict=True)):
        mean = square = np.zeros_like(theta)
        for t, slope in enumerate((leaves(g)[k] for g in given), start=1):
            mean, square = 0.8 * mean + 0.2 * slope, 0.95 * square + 0.05 * slope**2
            unbiased, spread = mean / (1 - 0.8**t), square / (1 - 0.95**t)
            theta = theta - 0.05 * decay * theta - 0.05 * unbiased / (np.sqrt(spread) + 1e-6)
        np.testing.assert_allclose(new, theta, rtol=1e-12)


def test_adam_in_f32_corrects_its_first_steps_to_the_digits_of_f32():
    """1 - 0.999**steps, computed as it stands in f32, is wrong by 5e-5 at the first step."""
    w = {"a": np.full(3, 2.0, np.float32)}
    new, state = optim.adam(w, {"a": np.full(3, 0.5, np.float32)}, optim.adam_state(w), rate=1.0, epsilon=0.0)
    assert new["a"].dtype == state.steps.dtype == state.mean["a"].dtype == np.float32
    np.testing.assert_allclose(new["a"], 1.0, rtol=4e-7)


@pytest.mark.parametrize("backend", ["llvm", "numpy", "reference"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_whole_training_step_is_one_kernel(backend, dtype):
    def loss(w, x, y):
        layer = w["layers"][0]
        return np.mean((np.tanh(x @ layer.weight + layer.bias) @ w["out"] - y) ** 2)

    def train(w, state, x, y):
        value, grads = gradc.value_and_grad(loss)(w, x, y)
        w, state = optim.adam(w, grads, state, rate=0.02)
        return value, w, state

    w = parameters(dtype)
    x = np.random.default_rng(1).normal(size=(40, 3)).astype(dtype)
    y = np.sin(x[:, 0])
    step, slow = gradc.jit(train, backend=backend), gradc.value_and_grad(loss, backend="reference")
    state = optim.adam_state(w)
    fast_w, fast_state, slow_w, slow_state = w, state, w, state
    values = []
    for _ in range(40):
        value, fast_w, fast_state = step(fast_w, fast_state, x, y)
        _, grads = slow(slow_w, x, y)
        slow_w, slow_state = optim.adam(slow_w, grads, slow_state, rate=0.02)
        values.append(float(value))
    assert values[-1] < 0.5 * values[0]
    for new, expected in zip(leaves(fast_w), leaves(slow_w), strict=True):
        assert new.dtype == dtype
        np.testing.assert_allclose(new, expected, rtol=2e-3 if dtype == np.float32 else 1e-10)


def test_a_rate_may_be_data_and_does_not_widen_the_weights():
    w = {"a": np.ones(2, np.float32)}
    step = gradc.jit(lambda w, g, rate: optim.sgd(w, g, rate=rate))
    new = step(w, w, np.asarray(0.5))
    assert new["a"].dtype == np.float32
    assert np.array_equal(new["a"], [0.5, 0.5])


def test_gradients_nested_otherwise_are_refused():
    w = {"a": np.ones(2), "b": np.ones(3)}
    with pytest.raises(ArgumentError, match=r"grads is nested as .*'a'.* and the parameters as .*'b'"):
        optim.sgd(w, {"a": np.ones(2)}, rate=0.1)


@pytest.mark.parametrize("beta", [1.0, 0.0, -0.5, "0.9"])
def test_a_beta_that_never_forgets_or_never_remembers_is_refused(beta):
    w = {"a": np.ones(2)}
    with pytest.raises(ArgumentError, match=r"beta1=.* is not a number between 0 and 1"):
        optim.adam(w, w, optim.adam_state(w), beta1=beta)


def test_no_parameters_take_no_step():
    assert optim.sgd({}, {}, rate=0.1) == {}
    assert optim.adam({}, {}, optim.adam_state({}))[0] == {}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            lambda: optim.sgd({"a": np.ones(3)}, {"b": np.ones(3)}, rate=1.0),
            "grads is nested as {'b': *} and the parameters as {'a': *}; both have one structure",
        ),
        (
            lambda: optim.sgd({"a": np.ones((3, 1))}, {"a": np.ones(3)}, rate=1.0),
            "grads['a'] has the shape (3,) and its parameter (3, 1); both have one shape",
        ),
        (
            lambda: optim.momentum(np.ones(3), np.ones(3), np.ones(1), rate=1.0),
            "velocity has the shape (1,) and its parameter (3,); both have one shape",
        ),
        (
            lambda: optim.adam(np.ones(3), np.ones(3), None),
            "state=None is no AdamState; begin with adam_state(w), then pass what adam gives",
        ),
    ],
)
def test_what_does_not_fit_the_parameters_is_refused(step, message):
    with pytest.raises(ArgumentError) as caught:
        step()
    assert str(caught.value) == message
