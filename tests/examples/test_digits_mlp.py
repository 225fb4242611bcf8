"""Real digits: trained by the compiled gradient, drawn, saved, and loaded where there is no gradc."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

Example = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def run(example: Example, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The whole example, once: the folder that it wrote to and the accuracy that it reached."""
    folder = tmp_path_factory.mktemp("digits")
    return folder, example("digits_mlp").main(folder)


def test_at_least_95_percent_of_the_held_out_digits_are_read(run: tuple[Path, float]) -> None:
    assert run[1] >= 0.95


def test_held_out_digits_are_not_trained_on(example: Example) -> None:
    data = example("digits_mlp").digits(np.random.default_rng(0))
    assert len(data.x) + len(data.x_held_out) == 1797
    assert len(data.x_held_out) == 357
    pictures = {row.tobytes() for row in data.x}
    assert sum(row.tobytes() in pictures for row in data.x_held_out) == 0


def test_the_picture_shows_a_falling_curve(run: tuple[Path, float]) -> None:
    from matplotlib.image import imread

    pixels = imread(run[0] / "digits_loss.png")[..., :3]
    assert pixels.shape == (480, 840, 3)
    blue = (pixels[..., 2] > pixels[..., 0] + 0.3) & (pixels[..., 2] > 0.5)
    rows = [np.flatnonzero(blue[:, column]) for column in range(840)]
    drawn = [(column, np.median(found)) for column, found in enumerate(rows) if len(found)]
    assert len(drawn) > 600
    assert np.mean([height for _, height in drawn[:60]]) + 100 < np.mean([height for _, height in drawn[-160:-100]])


def test_the_saved_module_gives_the_same_gradients_without_gradc(example: Example, run: tuple[Path, float]) -> None:
    module = example("digits_mlp")
    rng = np.random.default_rng(1)
    data = module.digits(rng)
    w = module.first_weights(rng)
    for batch in (1, 32, 77):  # one module for every size
        assert module.compare(w, run[0] / "digits_grad.py", data.x[:batch], data.y[:batch]) < 1e-12


def test_the_saved_module_needs_numpy_alone(run: tuple[Path, float]) -> None:
    program = (
        "import sys, digits_grad; "
        "sys.exit([m for m in ('gradc', 'jinja2', 'networkx', 'llvmlite', 'scipy') if m in sys.modules] or 0)"
    )
    environment = os.environ | {"PYTHONPATH": str(run[0])}
    done = subprocess.run([sys.executable, "-c", program], cwd=run[0], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_gradient_is_that_of_the_hand_written_formulas(example: Example) -> None:
    import gradc

    module = example("digits_mlp")
    rng = np.random.default_rng(2)
    data = module.digits(rng)
    w, x, y = module.first_weights(rng), data.x[:16], data.y[:16]
    h = np.tanh(x @ w["hidden"] + w["hidden_bias"])
    z = h @ w["out"] + w["out_bias"]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    d_z = (p - y) / len(x)
    d_h = d_z @ w["out"].T * (1 - h * h)
    expected = {"hidden": x.T @ d_h, "hidden_bias": d_h.sum(0), "out": h.T @ d_z, "out_bias": d_z.sum(0)}
    found = gradc.grad(module.loss, wrt="w")(w, x, y)
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-11, atol=1e-14)
