"""The objectives of ADBench (Srajer, Kukelova, Fitzgibbon 2018, arXiv:1807.10129) in plain NumPy, of sizes at will.

Each builder gives the function, its random inputs, and the positions of the inputs that are differentiated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Objective = tuple[Callable[..., Any], tuple[Any, ...], tuple[int, ...]]


# A mixture of Gaussians: the logarithm of the likelihood of points, with a Wishart prior.


def mixture(points: int = 20, dimension: int = 4, clusters: int = 5) -> Objective:
    rng = np.random.default_rng(0)
    below = dimension * (dimension - 1) // 2
    x, gamma, freedom = rng.normal(size=(points, dimension)), 1.0, dimension + 1

    def factor(logarithms: Any, lower: Any) -> Any:
        """The triangular square root of an inverse covariance, filled column by column."""
        made = np.diag(np.exp(logarithms))
        place = 0
        for column in range(dimension):
            rows = dimension - column - 1
            made[column + 1 :, column] = lower[place : place + rows]
            place += rows
        return made

    def logsumexp(a: Any) -> Any:
        top = np.max(a, axis=-1, keepdims=True)
        return np.log(np.sum(np.exp(a - top), axis=-1)) + top[..., 0]

    def likelihood(alphas: Any, means: Any, factors: Any) -> Any:
        logarithms, lower = factors[:, :dimension], factors[:, dimension:]
        scores = []
        for k in range(clusters):
            turned = (x - means[k]) @ factor(logarithms[k], lower[k]).T
            scores.append(alphas[k] + np.sum(logarithms[k]) - 0.5 * np.sum(turned**2, axis=1))
        prior = 0.5 * gamma**2 * (np.sum(np.exp(logarithms) ** 2) + np.sum(lower**2)) - np.sum(logarithms)
        constant = -points * dimension * 0.5 * math.log(2 * math.pi)
        normaliser = freedom * dimension * (math.log(gamma) - 0.5 * math.log(2)) - sum(
            math.lgamma(0.5 * (freedom - j)) for j in range(dimension)
        )
        mixed = np.sum(logsumexp(np.stack(scores, axis=1))) - points * logsumexp(alphas)
        return constant + mixed + prior - clusters * normaliser

    inputs = (
        rng.normal(size=clusters), rng.normal(size=(clusters, dimension)),
        0.5 * rng.normal(size=(clusters, dimension + below)),
    )  # fmt: skip
    return likelihood, inputs, (0, 1, 2)


# Bundle adjustment: where cameras see points, against where the points were seen.


def rotated(axis: Any, x: Any) -> Any:
    """``x`` turned about ``axis`` by its length in radians: Rodrigues' formula."""
    angle = np.sqrt(np.sum(axis**2))
    unit = axis / angle
    return x * np.cos(angle) + np.cross(unit, x) * np.sin(angle) + unit * (unit @ x) * (1 - np.cos(angle))


def projected(camera: Any, point: Any) -> Any:
    """The image of a point: turned, moved, divided by its depth, distorted radially, scaled and centred."""
    turned = rotated(camera[:3], point - camera[3:6])
    flat = turned[:2] / turned[2]
    square = np.sum(flat**2)
    return flat * (1 + camera[9] * square + camera[10] * square**2) * camera[6] + camera[7:9]


def adjustment(cameras: int = 3, points: int = 5, seen: int = 8) -> Objective:
    rng = np.random.default_rng(1)
    by, of = rng.integers(cameras, size=seen), rng.integers(points, size=seen)
    measured = rng.normal(size=(seen, 2))

    def residuals(views: Any, places: Any, weights: Any) -> Any:
        errors = [weights[k] * (projected(views[by[k]], places[of[k]]) - measured[k]) for k in range(seen)]
        return np.concatenate([np.concatenate(errors), 1 - weights**2])

    views = np.concatenate([0.3 * rng.normal(size=(cameras, 6)), rng.random((cameras, 5))], axis=1)
    return residuals, (views, 5 + rng.random((points, 3)), rng.random(seen)), (0, 1, 2)


# Hand tracking: a skinned hand in a pose, against measured points.

FINGERS, BONES, ANGLES = 5, 22, 26


def pose_of(theta: Any) -> Any:
    """Rotation, scale and translation of the hand, then Euler angles of each bone: fingers bend at three joints."""
    pose = np.zeros((BONES + 3, 3), theta.dtype)
    pose[0], pose[1], pose[2] = theta[:3], 1.0, theta[3:6]
    angle, bone = 6, 5
    for _ in range(FINGERS):
        for joint in range(3):
            pose[bone, 0] = theta[angle]
            angle += 1
            if joint == 0:
                pose[bone, 1] = theta[angle]
                angle += 1
            bone += 1
        bone += 1
    return pose


def euler(angles: Any) -> Any:
    """The rotation by Euler angles, about x, then y, then z, in homogeneous coordinates."""
    (a, b, c), (p, q, r) = np.cos(angles), np.sin(angles)
    turned = np.eye(4, dtype=angles.dtype)
    turned[0, :3] = [b * c, -a * r + p * q * c, p * r + a * q * c]
    turned[1, :3] = [b * r, a * c + p * q * r, -p * c + a * q * r]
    turned[2, :3] = [-q, p * b, a * b]
    return turned


class Hand:
    """A random hand: bones in chains from the wrist, vertices that hang on all bones with weights."""

    def __init__(self, vertices: int, rng: np.random.Generator) -> None:
        self.parents = [-1, *(0 if k % 4 == 1 else k - 1 for k in range(1, BONES))]
        self.relatives = rng.normal(size=(BONES, 4, 4)) / 2
        self.relatives[:, 3] = [0, 0, 0, 1]
        self.inverses = rng.normal(size=(BONES, 4, 4)) / 2
        self.positions = np.concatenate([rng.normal(size=(3, vertices)), np.ones((1, vertices))])
        self.weights = rng.random((BONES, vertices)) / BONES
        self.triangles = rng.integers(vertices, size=(2 * vertices, 3))

    def posed(self, theta: Any) -> Any:
        """The vertices of the hand in a pose, by columns."""
        pose = pose_of(theta)
        absolutes: list[Any] = []
        for bone, parent in enumerate(self.parents):
            own = self.relatives[bone] @ euler(pose[bone + 3])
            absolutes.append(own if parent < 0 else absolutes[parent] @ own)
        skin = 0.0
        for bone in range(BONES):
            skin = skin + self.weights[bone] * (absolutes[bone] @ self.inverses[bone] @ self.positions)[:3]
        turned = [rotated(pose[0], skin[:, k] * pose[1]) for k in range(skin.shape[1])]
        return np.stack(turned, axis=1) + pose[2][:, None]


def hand(points: int = 10, vertices: int = 12, *, complicated: bool = False) -> Objective:
    """Simple: points belong to vertices; complicated: to places on triangles, which are variables too."""
    rng = np.random.default_rng(2)
    model = Hand(vertices, rng)
    measured, at = rng.normal(size=(points, 3)), rng.integers(vertices, size=points)
    theta, places = 0.5 * rng.normal(size=ANGLES), rng.random((points, 2))

    def simple(theta: Any) -> Any:
        return (measured - model.posed(theta).T[at]).ravel()

    def on_triangles(theta: Any, places: Any) -> Any:
        corners = model.posed(theta).T[model.triangles[at]]
        u, v = places[:, :1], places[:, 1:]
        return (measured - (u * corners[:, 0] + v * corners[:, 1] + (1 - u - v) * corners[:, 2])).ravel()

    return (on_triangles, (theta, places), (0, 1)) if complicated else (simple, (theta,), (0,))


# A long short-term memory that predicts the next character of a sequence.


def memory(steps: int = 20, features: int = 6, layers: int = 2) -> Objective:
    rng = np.random.default_rng(3)

    def sigmoid(x: Any) -> Any:
        return 1 / (1 + np.exp(-x))

    def cell(weight: Any, bias: Any, hidden: Any, kept: Any, signal: Any) -> tuple[Any, Any]:
        gates = np.concatenate([signal, hidden, signal, hidden]) * weight + bias
        forget, take, give = (sigmoid(gates[k * features : (k + 1) * features]) for k in range(3))
        kept = kept * forget + take * np.tanh(gates[3 * features :])
        return give * np.tanh(kept), kept

    def loss(main: Any, ends: Any, state: Any, sequence: Any) -> Any:
        hidden, kept = [*state[::2]], [*state[1::2]]
        total = 0.0
        for t in range(steps - 1):
            signal = sequence[t] * ends[0]
            for layer in range(layers):
                weight, bias = main[2 * layer], main[2 * layer + 1]
                hidden[layer], kept[layer] = cell(weight, bias, hidden[layer], kept[layer], signal)
                signal = hidden[layer]
            guess = signal * ends[1] + ends[2]
            total = total + np.sum(sequence[t + 1] * (guess - np.log(np.sum(np.exp(guess)) + 2)))
        return -total / ((steps - 1) * features)

    inputs = (
        rng.normal(size=(2 * layers, 4 * features)), rng.normal(size=(3, features)),
        0.1 * rng.normal(size=(2 * layers, features)), (rng.random((steps, features)) < 0.5).astype(np.float64),
    )  # fmt: skip
    return loss, inputs, (0, 1)
