"""What ``control.cpp`` steers with: a network that has learned how a pendulum moves, and its Jacobian, as a library.

Run ``make control`` in this folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import gradc
from gradc import optim

HIDDEN = 24


def model(w, state):
    """How fast angle and speed change, for ``state``: the angle (rad, 0 is upright), the speed (rad/s), the torque."""
    h = np.tanh(w["hidden"] @ state + w["hidden_bias"])
    return w["out"] @ h + w["out_bias"]


def pendulum(states):
    """The truth that the network learns: gravity 9.81, length and mass 1, friction 0.3 (SI units)."""
    angle, speed, torque = states.T
    return np.stack([speed, 9.81 * np.sin(angle) - 0.3 * speed + torque], axis=1)


def error(w, states, rates):
    """The mean square of what the model is wrong by."""
    h = np.tanh(states @ w["hidden"].T + w["hidden_bias"])
    return np.mean((h @ w["out"].T + w["out_bias"] - rates) ** 2)


def learn(steps: int = 6000):
    """The weights, and the error that is left."""
    rng = np.random.default_rng(0)
    w = {
        "hidden": rng.normal(size=(HIDDEN, 3)) * 0.3,
        "hidden_bias": np.zeros(HIDDEN),
        "out": rng.normal(size=(2, HIDDEN)) * 0.3,
        "out_bias": np.zeros(2),
    }

    def train(w, memory, states, rates, rate):
        value, grads = gradc.value_and_grad(error)(w, states, rates)
        w, memory = optim.adam(w, grads, memory, rate=rate)
        return value, w, memory

    step = gradc.jit(train, donate=("w", "memory"))
    memory = optim.adam_state(w)
    for k in range(steps):
        states = rng.uniform([-1.2, -4.0, -12.0], [1.2, 4.0, 12.0], size=(128, 3))
        value, w, memory = step(w, memory, states, pendulum(states), 0.01 * (1 - k / steps))
    return w, float(value)


def main(folder: Path) -> None:
    w, left = learn()

    def pendulum_model(state):
        """What the model says, and how that depends on angle, speed and torque; the weights are compiled in."""
        change = model(w, state)
        jacobian = gradc.jacobian(model, wrt="state")(w, state)
        return {"change": change, "jacobian": jacobian}

    kernel = gradc.jit(pendulum_model).compile(gradc.aval("f64[3]"), name="pendulum")
    kernel.save(folder, format="lib", bindings=("cpp",))
    print(f"the model is wrong by {left**0.5:.3f} on average; wrote {folder / 'pendulum.hpp'} and the library")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build"))
