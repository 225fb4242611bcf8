"""Functions to explain, as people write them."""

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


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def stable_sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def relu(z):
    return np.maximum(z, 0)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def loss_with_helpers(w11, w12, w21, w22, v1, v2, x1, x2, y):
    z1 = w11 * x1 + w12 * x2
    z2 = w21 * x1 + w22 * x2
    a1 = relu(z1)
    a2 = relu(z2)
    z = v1 * a1 + v2 * a2
    y_hat = sigmoid(z)
    return -(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))


def cost(w11, w12, w21, w22, v1, v2, x1, x2, y):
    L = loss(w11, w12, w21, w22, v1, v2, x1, x2, y)
    J = np.mean(L)
    return J


def matrix_loss(w, x, y):
    z1 = w["hidden"] @ x
    a1 = relu(z1)
    z2 = w["out"] @ a1
    y_hat = sigmoid(z2)
    return -np.mean(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))


def classifier(w, x, y):
    h = np.tanh(x @ w["W1"] + w["b1"])
    z = h @ w["W2"] + w["b2"]
    p = softmax(z)
    return -np.mean(np.sum(y * np.log(p), axis=1))


def labelled(w, x, y):
    h = np.tanh(x @ w["W1"] + w["b1"])
    z = h @ w["W2"] + w["b2"]
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return -np.mean(np.log(p[np.arange(len(y)), y]))


def recurrence(w, u, x):
    h = x
    for _ in range(300):
        h = np.tanh(w * h + u)
    return h * h
