"""The 2-2-1 network: what the derivation says, that it is right, and that descent on J succeeds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

Example = Callable[[str], ModuleType]

RESULTS = {
    "dL/dy_hat": "(y_hat - y)/(y_hat(1-y_hat))",
    "dL/dz": "y_hat - y",
    "dL/dv1": "(y_hat - y)a1",
    "dL/da1": "(y_hat - y)v1",
    "dL/dz1": "(y_hat - y)v1ReLU'(z1)",
    "dL/dw11": "(y_hat - y)v1ReLU'(z1)x1",
}


def squeezed(text: str) -> str:
    """Formulas without the dots and spaces that different printers set differently."""
    return re.sub(r"[\s·*]", "", text)


@pytest.mark.parametrize(("name", "result"), RESULTS.items())
def test_the_derivation_shows(example: Example, name: str, result: str) -> None:
    told = example("backprop_2_2_1").derivation()
    step = re.search(rf"^ *\d+ {name} .*?(?=^ *\d|^\w)", told, re.M | re.S)
    assert step is not None
    assert squeezed(result) in squeezed(step[0])


def test_the_derivation_shows_the_algebra_and_the_numbers(example: Example) -> None:
    told = example("backprop_2_2_1").derivation()
    assert "common denominator" in told
    assert "cancel" in told
    y_hat = 1 / (1 + math.exp(0.41))
    assert f"{y_hat:.4f}" in told
    assert f"{y_hat - 1:.4f}" in told


def test_the_derivation_shows_the_update(example: Example) -> None:
    module = example("backprop_2_2_1")
    assert "w_new = w_old - rate·dL/dw for each w of w11, w12, w21, w22, v1, v2" in module.derivation()
    assert "w_new = w_old - rate·dJ/dw for each w of w, v" in module.derivation_of_cost()


def by_hand(w11, w12, w21, w22, v1, v2, x1, x2, y):
    """The textbook's formulas, evaluated."""
    z1, z2 = w11 * x1 + w12 * x2, w21 * x1 + w22 * x2
    y_hat = 1 / (1 + math.exp(-(v1 * max(z1, 0) + v2 * max(z2, 0))))
    d_z1, d_z2 = (y_hat - y) * v1 * (z1 > 0), (y_hat - y) * v2 * (z2 > 0)
    return [d_z1 * x1, d_z1 * x2, d_z2 * x1, d_z2 * x2, (y_hat - y) * max(z1, 0), (y_hat - y) * max(z2, 0)]


def test_scalars_and_matrices_agree_with_the_formulas(example: Example) -> None:
    module = example("backprop_2_2_1")
    expected = by_hand(**module.example_args())
    for found in module.scalars_and_matrices():
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_descent_makes_the_cost_small(example: Example) -> None:
    module = example("backprop_2_2_1")
    outcome = module.descend()
    losses = [module.loss(*outcome["first"], *point, y) for point, y in zip(module.POINTS, module.CLASSES, strict=True)]
    assert outcome["J before"] == pytest.approx(np.mean(losses), rel=1e-14)
    assert outcome["J after"] < 0.01
    probabilities = module.predict(outcome["w"], outcome["v"], module.POINTS)
    assert np.array_equal(probabilities > 0.5, module.CLASSES == 1)


def test_one_step_of_descent_follows_the_formula(example: Example) -> None:
    module = example("backprop_2_2_1")
    per_point = [by_hand(*module.FIRST, *point, y) for point, y in zip(module.POINTS, module.CLASSES, strict=True)]
    expected = np.array(module.FIRST) - 0.5 * np.mean(per_point, axis=0)
    np.testing.assert_allclose(module.descend(rate=0.5, steps=1)["last"], expected, rtol=1e-13)


def test_what_it_prints(example: Example, capsys: pytest.CaptureFixture[str]) -> None:
    example("backprop_2_2_1").main()
    printed = capsys.readouterr().out
    assert re.search(r"before .* 0\.1000 .* 0\.2000 .* 0\.3000 .* 0\.4000 .* 0\.5000 .* -0\.6000 .* 0\.7058", printed)
    assert re.search(r"after .* 0\.00\d\d ", printed)
