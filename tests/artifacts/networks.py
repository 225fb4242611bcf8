"""The functions whose modules are kept as golden files. Lines and names show in them: add at the end."""

import numpy as np


def loss(w11, w12, w21, w22, v1, v2, x1, x2, y):
    z1 = w11 * x1 + w12 * x2
    z2 = w21 * x1 + w22 * x2
    a1 = np.maximum(z1, 0)
    a2 = np.maximum(z2, 0)
    z = v1 * a1 + v2 * a2
    y_hat = 1 / (1 + np.exp(-z))
    L = -(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))
    return L


def matrices(w, x, y):
    z1 = w["hidden"] @ x
    a1 = np.maximum(z1, 0)
    z2 = w["out"] @ a1
    y_hat = 1 / (1 + np.exp(-z2))
    return -np.mean(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))


def classifier(layers, x, labels):
    h = x
    for layer in layers[:-1]:
        h = np.tanh(h @ layer["W"] + layer["b"])
    logits = h @ layers[-1]["W"] + layers[-1]["b"]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return -np.mean(np.log(p[np.arange(len(x)), labels]))


def regression(w, x, y, *, scale=2.0, mode="mean"):
    residual = (np.tanh(x @ w["a"] + w["b"]) - y) * scale
    squares = residual**2
    return np.mean(squares) if mode == "mean" else np.sum(squares)


def recurrence(x, k):
    state = np.zeros(4)
    state[0] = x[0]
    for i in range(1, 4):
        state[i] = k * state[i - 1] + x[i]
    return np.sum(state * x[::-1])
