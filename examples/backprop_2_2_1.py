"""The 2-2-1 network of every backpropagation tutorial: derived, checked by hand, and trained.

Two inputs, two hidden units with ReLU, one output with the sigmoid, binary cross entropy; no biases. Run it with
``python examples/backprop_2_2_1.py``, or read the derivation alone with
``gradc explain examples/backprop_2_2_1.py:loss --wrt w11,w12,w21,w22,v1,v2 --at example``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import gradc

WEIGHTS = ("w11", "w12", "w21", "w22", "v1", "v2")
FIRST = (0.1, 0.2, 0.3, 0.4, 0.5, -0.6)

# A point belongs to class 1 where its second coordinate is the larger one.
POINTS = np.array([[1.0, 2.0], [2.0, 1.0], [-1.0, 1.0], [1.0, -1.0]])
CLASSES = np.array([1.0, 0.0, 1.0, 0.0])


def loss(w11, w12, w21, w22, v1, v2, x1, x2, y):
    """The loss L of one point, in scalars."""
    z1 = w11 * x1 + w12 * x2
    z2 = w21 * x1 + w22 * x2
    a1 = np.maximum(z1, 0)
    a2 = np.maximum(z2, 0)
    z = v1 * a1 + v2 * a2
    y_hat = 1 / (1 + np.exp(-z))
    L = -(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))
    return L


def loss_in_matrices(w, v, x, y):
    """The same loss: w is 2 by 2, v and x have two elements."""
    z_hidden = w @ x
    a = np.maximum(z_hidden, 0)
    z = v @ a
    y_hat = 1 / (1 + np.exp(-z))
    L = -(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))
    return L


def cost(w, v, points, classes):
    """J(w, v): the mean of L over a data set, one row of ``points`` for each point."""
    z_hidden = points @ w.T
    a = np.maximum(z_hidden, 0)
    z = a @ v
    y_hat = 1 / (1 + np.exp(-z))
    J = np.mean(-(classes * np.log(y_hat) + (1 - classes) * np.log(1 - y_hat)))
    return J


def example_args() -> dict[str, float]:
    """The first weights and the first point: what ``--at example`` fills in."""
    return dict(zip(WEIGHTS, FIRST, strict=True)) | {"x1": 1.0, "x2": 2.0, "y": 1.0}


def derivation() -> str:
    """How L's gradient comes about, told for the function as it stands above, with the numbers of the example."""
    step = gradc.value_and_grad(loss, wrt=WEIGHTS)
    return step.compile(**example_args()).explain(at=example_args()).text()


def derivation_of_cost() -> str:
    """The same for J in matrices, down to the step of gradient descent."""
    step = gradc.value_and_grad(cost, wrt=("w", "v"))
    return step.compile(*matrices(FIRST), POINTS, CLASSES).explain().text()


def matrices(weights: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The six weights as a 2 by 2 matrix and a vector."""
    return np.array(weights[:4]).reshape(2, 2), np.array(weights[4:])


def scalars_and_matrices() -> tuple[np.ndarray, np.ndarray]:
    """The gradient of L in all six weights, from the scalar form and from the matrix form."""
    in_scalars = gradc.grad(loss, wrt=WEIGHTS)(**example_args())
    in_w, in_v = gradc.grad(loss_in_matrices, wrt=("w", "v"))(*matrices(FIRST), np.array([1.0, 2.0]), 1.0)
    return np.array(in_scalars), np.concatenate([in_w.ravel(), in_v])


def descend(rate: float = 0.5, steps: int = 200) -> dict[str, Any]:
    """Gradient descent on J, ``w_new = w_old - rate * dJ/dw``; the weights and J before and after."""
    step = gradc.value_and_grad(cost, wrt=("w", "v"))
    w, v = matrices(FIRST)
    before, _ = step(w, v, POINTS, CLASSES)
    for _ in range(steps):
        _, (d_w, d_v) = step(w, v, POINTS, CLASSES)
        w, v = w - rate * d_w, v - rate * d_v
    after, _ = step(w, v, POINTS, CLASSES)
    return {
        "first": FIRST,
        "last": (*w.ravel(), *v),
        "J before": float(before),
        "J after": float(after),
        "w": w,
        "v": v,
    }


def predict(w: np.ndarray, v: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The network's probability of class 1 for each point."""
    return 1 / (1 + np.exp(-np.maximum(points @ w.T, 0) @ v))


def weights_table(outcome: dict[str, Any]) -> Table:
    """The weights and the cost before and after the descent."""
    table = Table("", *WEIGHTS, "J", title="gradient descent, w_new = w_old - rate · dJ/dw")
    for column in table.columns[1:]:
        column.justify = "right"
    for label, weights, J in (
        ("before", outcome["first"], outcome["J before"]),
        ("after", outcome["last"], outcome["J after"]),
    ):
        table.add_row(label, *(f"{weight:.4f}" for weight in weights), f"{J:.4f}")
    return table


def main() -> None:
    console = Console()
    console.rule("one point, in scalars")
    console.print(derivation().rstrip(), markup=False, highlight=False, soft_wrap=True)

    console.rule("the same in matrices")
    in_scalars, in_matrices = scalars_and_matrices()
    table = Table("gradient of L", *WEIGHTS)
    table.add_row("scalars", *(f"{entry:.4f}" for entry in in_scalars))
    table.add_row("matrices", *(f"{entry:.4f}" for entry in in_matrices))
    console.print(table)

    console.rule(f"{len(POINTS)} points: J, the mean of L")
    console.print(derivation_of_cost().rstrip(), markup=False, highlight=False, soft_wrap=True)
    outcome = descend()
    console.print(weights_table(outcome))
    for point, wanted, probability in zip(POINTS, CLASSES, predict(outcome["w"], outcome["v"], POINTS), strict=True):
        console.print(f"x = ({point[0]:2.0f}, {point[1]:2.0f})   y = {wanted:.0f}   y_hat = {probability:.4f}")


if __name__ == "__main__":
    main()
