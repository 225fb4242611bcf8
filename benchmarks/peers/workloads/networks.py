"""Networks: perceptrons, a convolution, a transformer block."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from peers.workloads import gelu, log_softmax, sigmoid, workload


def _one_sample() -> tuple[Any, ...]:
    weights = {"hidden": np.array([[0.5, -0.3], [0.8, 0.2]]), "out": np.array([0.7, -0.4])}
    return weights, np.array([1.0, 2.0]), np.array(1.0)


@workload("backprop221", "2-2-1 network, ReLU, sigmoid, cross entropy, one sample", "f8", _one_sample)
def backprop221(xp: Any, w: Any, x: Any, y: Any) -> Any:
    a = xp.maximum(w["hidden"] @ x, 0.0)
    y_hat = sigmoid(xp, w["out"] @ a)
    return -(y * xp.log(y_hat) + (1.0 - y) * xp.log(1.0 - y_hat))


def _layers(rng: np.random.Generator, *sizes: int) -> dict[str, Any]:
    layers = []
    for m, n in itertools.pairwise(sizes):
        weights = (rng.normal(size=(m, n)) * (2.0 / m) ** 0.5).astype(np.float32)
        layers.append((weights, np.zeros(n, np.float32)))
    return {"layers": layers}


def _perceptron_inputs(seed: int, batch: int, *sizes: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    x = rng.random((batch, sizes[0]), dtype=np.float32)
    return _layers(rng, *sizes), x, rng.integers(0, sizes[-1], batch).astype(np.int32)


def _cross_entropy(xp: Any, scores: Any, labels: Any) -> Any:
    rows = xp.arange(labels.shape[0])
    return -xp.mean(log_softmax(xp, scores)[rows, labels])


@workload("mlp_small", "64-32-16-10 perceptron, batch 32", "f4", lambda: _perceptron_inputs(0, 32, 64, 32, 16, 10))
@workload(
    "mlp_mnist", "784-512-256-10 perceptron, batch 128", "f4", lambda: _perceptron_inputs(1, 128, 784, 512, 256, 10)
)
def perceptron(xp: Any, p: Any, x: Any, labels: Any) -> Any:
    h = x
    for w, bias in p["layers"][:-1]:
        h = xp.maximum(h @ w + bias, 0.0)
    w, bias = p["layers"][-1]
    return _cross_entropy(xp, h @ w + bias, labels)


IMAGES, CHANNELS = 32, (1, 8, 16)


def _image_inputs() -> tuple[Any, ...]:
    rng = np.random.default_rng(2)

    def draw(fan: int, *shape: int) -> Any:
        return (rng.normal(size=shape) * (2.0 / fan) ** 0.5).astype(np.float32)

    one, two, three = CHANNELS
    parameters = {
        "first": draw(9 * one, 9 * one, two), "first_bias": np.zeros(two, np.float32),
        "second": draw(9 * two, 9 * two, three), "second_bias": np.zeros(three, np.float32),
        "out": draw(25 * three, 25 * three, 10), "out_bias": np.zeros(10, np.float32),
    }  # fmt: skip
    x = rng.random((IMAGES, 28, 28, one), dtype=np.float32)
    return parameters, x, rng.integers(0, 10, IMAGES).astype(np.int32)


def _convolved(xp: Any, x: Any, kernel: Any, bias: Any) -> Any:
    """A valid 3x3 convolution with ReLU; channels last, as one product of patches."""
    count, side, _, channels = x.shape
    inner = side - 2
    patches = xp.concatenate([x[:, i : i + inner, j : j + inner, :] for i in range(3) for j in range(3)], axis=3)
    y = xp.reshape(patches, (count * inner * inner, 9 * channels)) @ kernel + bias
    return xp.reshape(xp.maximum(y, 0.0), (count, inner, inner, kernel.shape[1]))


def _pooled(xp: Any, x: Any) -> Any:
    """The largest of each 2x2 square; an odd last row and column is left out."""
    count, side, _, channels = x.shape
    half = side // 2
    squares = xp.reshape(x[:, : 2 * half, : 2 * half, :], (count, half, 2, half, 2, channels))
    return xp.max(squares, axis=(2, 4))


def _idiomatic_convolutions(jax: Any, p: Any, x: Any, labels: Any) -> Any:
    jnp, lax = jax.numpy, jax.lax
    h = x
    for name in ("first", "second"):
        channels = h.shape[3]
        kernel = p[name].reshape(3, 3, channels, -1)
        h = lax.conv_general_dilated(h, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        h = jax.nn.relu(h + p[f"{name}_bias"])
        h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return _cross_entropy(jnp, h.reshape(IMAGES, -1) @ p["out"] + p["out_bias"], labels)


@workload(
    "cnn", "two 3x3 convolutions, pooling, a dense layer; 32 images of 28x28", "f4", _image_inputs,
    _idiomatic_convolutions,
)  # fmt: skip
def cnn(xp: Any, p: Any, x: Any, labels: Any) -> Any:
    h = _pooled(xp, _convolved(xp, x, p["first"], p["first_bias"]))
    h = _pooled(xp, _convolved(xp, h, p["second"], p["second_bias"]))
    flat = xp.reshape(h, (IMAGES, 25 * CHANNELS[2]))
    return _cross_entropy(xp, flat @ p["out"] + p["out_bias"], labels)


BATCH, LENGTH, WIDTH, HEADS, INNER = 4, 128, 128, 4, 512


def _block_inputs() -> tuple[Any, ...]:
    rng = np.random.default_rng(3)

    def draw(m: int, n: int) -> Any:
        return (rng.normal(size=(m, n)) / m**0.5).astype(np.float32)

    parameters = {name: draw(WIDTH, WIDTH) for name in ("query", "key", "value", "join")}
    parameters |= {"up": draw(WIDTH, INNER), "down": draw(INNER, WIDTH)}
    parameters |= {name: np.ones(WIDTH, np.float32) for name in ("scale1", "scale2")}
    parameters |= {name: np.zeros(WIDTH, np.float32) for name in ("shift1", "shift2", "down_bias")}
    parameters["up_bias"] = np.zeros(INNER, np.float32)
    x, target = (rng.normal(size=(BATCH, LENGTH, WIDTH)).astype(np.float32) for _ in range(2))
    return parameters, x, target


def _normed(xp: Any, x: Any, scale: Any, shift: Any) -> Any:
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    variance = xp.mean(centred * centred, axis=-1, keepdims=True)
    return centred / xp.sqrt(variance + 1e-5) * scale + shift


@workload("attention", "transformer block, width 128, length 128, 4 heads, batch 4", "f4", _block_inputs)
def attention(xp: Any, p: Any, x: Any, target: Any) -> Any:
    def heads(z: Any) -> Any:
        return xp.swapaxes(xp.reshape(z, (BATCH, LENGTH, HEADS, WIDTH // HEADS)), 1, 2)

    h = _normed(xp, x, p["scale1"], p["shift1"])
    query, key, value = (heads(h @ p[name]) for name in ("query", "key", "value"))
    scores = query @ xp.swapaxes(key, 2, 3) * (HEADS / WIDTH) ** 0.5
    weights = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
    weights = weights / xp.sum(weights, axis=-1, keepdims=True)
    joined = xp.reshape(xp.swapaxes(weights @ value, 1, 2), (BATCH, LENGTH, WIDTH))
    x = x + joined @ p["join"]
    h = _normed(xp, x, p["scale2"], p["shift2"])
    x = x + gelu(xp, h @ p["up"] + p["up_bias"]) @ p["down"] + p["down_bias"]
    error = x - target
    return xp.mean(error * error)
