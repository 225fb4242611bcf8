"""Long arrays and indices: chains of functions, slices, gathers."""

from __future__ import annotations

from typing import Any

import numpy as np

from peers.workloads import gelu, workload

LONG, ROSENBROCK = 1_000_000, 100_000
CAMERAS, POINTS, OBSERVATIONS = 50, 3000, 10_000


def _chain_inputs() -> tuple[Any, ...]:
    rng = np.random.default_rng(6)
    w, bias, x = (rng.normal(size=LONG).astype(np.float32) for _ in range(3))
    return {"w": w, "bias": bias}, x


@workload("elementwise_chain", "GELU, tanh and softplus one after the other over 1e6 floats", "f4", _chain_inputs)
def elementwise_chain(xp: Any, p: Any, x: Any) -> Any:
    t = xp.tanh(1.5 * gelu(xp, p["w"] * x + p["bias"]) - 0.25)
    s = xp.logaddexp(t * x, 0.0)
    q = xp.logaddexp(1.25 * xp.tanh(gelu(xp, s - 0.5)), 0.0)
    return xp.mean(q * q)


def _option_inputs() -> tuple[Any, ...]:
    rng = np.random.default_rng(7)
    bounds = {"strike": (80, 120), "price": (80, 120), "time": (0.1, 2), "rate": (0, 0.05), "sigma": (0.1, 0.5)}
    return ({name: rng.uniform(low, high, LONG) for name, (low, high) in bounds.items()},)


@workload("blackscholes", "1e6 prices of calls with five Greeks each", "f8", _option_inputs)
def blackscholes(xp: Any, p: Any) -> Any:
    def normal(z: Any) -> Any:
        return 0.5 * (1.0 + xp.erf(z * 0.5**0.5))

    spread = p["sigma"] * xp.sqrt(p["time"])
    drift = (p["rate"] + 0.5 * p["sigma"] * p["sigma"]) * p["time"]
    d1 = (xp.log(p["price"] / p["strike"]) + drift) / spread
    discount = xp.exp(-p["rate"] * p["time"])
    return xp.sum(p["price"] * normal(d1) - p["strike"] * discount * normal(d1 - spread))


@workload(
    "rosenbrock", "Rosenbrock's function by slices, 1e5 variables", "f8",
    lambda: ({"x": np.random.default_rng(8).normal(size=ROSENBROCK)},),
)  # fmt: skip
def rosenbrock(xp: Any, p: Any) -> Any:
    left, right = p["x"][:-1], p["x"][1:]
    rise, gap = right - left * left, 1.0 - left
    return xp.sum(100.0 * rise * rise + gap * gap)


def _camera_inputs() -> tuple[Any, ...]:
    rng = np.random.default_rng(9)
    parts = [
        0.3 * rng.normal(size=(CAMERAS, 3)), 0.2 * rng.normal(size=(CAMERAS, 3)), 1.0 + 0.1 * rng.random((CAMERAS, 1)),
        0.05 * rng.normal(size=(CAMERAS, 2)), 0.01 * rng.normal(size=(CAMERAS, 2)),
    ]  # fmt: skip
    points = rng.normal(size=(POINTS, 3)) + np.array([0.0, 0.0, 6.0])
    parameters = {"cameras": np.concatenate(parts, axis=1), "points": points, "weights": rng.random(OBSERVATIONS)}
    camera = rng.integers(0, CAMERAS, OBSERVATIONS).astype(np.int32)
    point = rng.integers(0, POINTS, OBSERVATIONS).astype(np.int32)
    return parameters, camera, point, rng.normal(size=(OBSERVATIONS, 2))


@workload("ba", "ADBench's bundle adjustment: 50 cameras, 3,000 points, 1e4 observations", "f8", _camera_inputs)
def bundle_adjustment(xp: Any, p: Any, camera: Any, point: Any, seen: Any) -> Any:
    """Rodrigues' rotation, a perspective and two terms of radial distortion (ADBench, arXiv:1807.10129)."""
    c, position, weight = p["cameras"][camera], p["points"][point], p["weights"]
    x, y, z = (position[:, k] - c[:, 3 + k] for k in range(3))
    angle = xp.sqrt(c[:, 0] * c[:, 0] + c[:, 1] * c[:, 1] + c[:, 2] * c[:, 2])
    cosine, sine = xp.cos(angle), xp.sin(angle)
    a, b, d = (c[:, k] / angle for k in range(3))
    along = (a * x + b * y + d * z) * (1.0 - cosine)
    px = x * cosine + (b * z - d * y) * sine + a * along
    py = y * cosine + (d * x - a * z) * sine + b * along
    pz = z * cosine + (a * y - b * x) * sine + d * along
    u, v = px / pz, py / pz
    square = u * u + v * v
    bent = c[:, 6] * (1.0 + c[:, 9] * square + c[:, 10] * square * square)
    e1 = weight * (u * bent + c[:, 7] - seen[:, 0])
    e2 = weight * (v * bent + c[:, 8] - seen[:, 1])
    e3 = 1.0 - weight * weight
    return xp.sum(e1 * e1 + e2 * e2 + e3 * e3)
