"""A network that reads handwritten digits, trained by its compiled gradient, which then leaves gradc behind.

The 1,797 digits of 8 by 8 pixels come with scikit-learn; nothing is downloaded. The model is plain NumPy with the
softmax and the logarithm as a textbook writes them. Run it with ``python examples/digits_mlp.py [FOLDER]``: the loss
curve (``digits_loss.png``) and the standalone gradient (``digits_grad.py``) go to FOLDER, by default ``digits_output``.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from sklearn.datasets import load_digits

import gradc

HELD_OUT = 357  # which leaves 1,440 digits: 45 batches of 32
BATCH = 32
Weights = dict[str, np.ndarray]

# What a program without gradc does with the module: load it, call it, keep the gradients.
FRESH_PROCESS = """
import sys
sys.modules["gradc"] = None  # importing gradc would raise from here on
sys.path.insert(0, sys.argv[1])
import numpy as np
from digits_grad import digits_grad
data = np.load(sys.argv[2])
w = {name: data[name] for name in ("hidden", "hidden_bias", "out", "out_bias")}
value, grads = digits_grad(w, data["x"], data["y"])
np.savez(sys.argv[3], value=value, **grads)
"""


@dataclass
class Data:
    """Pixels scaled to 0 .. 1, and labels as rows of one 1 and nine 0."""

    x: np.ndarray
    y: np.ndarray
    x_held_out: np.ndarray
    y_held_out: np.ndarray


def logits(w, x):
    """The scores of the ten digits, before the softmax."""
    h = np.tanh(x @ w["hidden"] + w["hidden_bias"])
    return h @ w["out"] + w["out_bias"]


def loss(w, x, y):
    """Softmax cross entropy, written naively: gradc makes it stable."""
    z = logits(w, x)
    e = np.exp(z)
    p = e / np.sum(e, axis=1, keepdims=True)
    return -np.mean(np.sum(y * np.log(p), axis=1))


def first_weights(rng: np.random.Generator, hidden: int = 48) -> Weights:
    """Normal weights of the usual scale, biases of zero."""
    return {
        "hidden": rng.normal(0.0, 1 / np.sqrt(64), (64, hidden)),
        "hidden_bias": np.zeros(hidden),
        "out": rng.normal(0.0, 1 / np.sqrt(hidden), (hidden, 10)),
        "out_bias": np.zeros(10),
    }


def example_args():
    """One batch, for the command line: ``gradc show examples/digits_mlp.py:loss --emit numpy``."""
    rng = np.random.default_rng(0)
    data = digits(rng)
    return first_weights(rng), data.x[:BATCH], data.y[:BATCH]


def digits(rng: np.random.Generator) -> Data:
    """The digits in a random order, a part of them held out."""
    pixels, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(labels))
    x, y = pixels[order] / 16.0, np.eye(10)[labels[order]]
    return Data(x[HELD_OUT:], y[HELD_OUT:], x[:HELD_OUT], y[:HELD_OUT])


def accuracy(w: Weights, x: np.ndarray, y: np.ndarray) -> float:
    """The share of digits whose highest score is the right one."""
    return float(np.mean(np.argmax(logits(w, x), axis=1) == np.argmax(y, axis=1)))


def train(
    w: Weights, data: Data, rng: np.random.Generator, console: Console, *, epochs: int = 40, rate: float = 0.5
) -> tuple[Weights, list[float]]:
    """Stochastic gradient descent with a falling rate; gives the weights and the loss of every step."""
    step = gradc.value_and_grad(loss, wrt="w")
    losses: list[float] = []
    for epoch in track(range(epochs), "training", console=console):
        order = rng.permutation(len(data.x))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            value, grads = step(w, data.x[batch], data.y[batch])
            w = {name: w[name] - rate * (1 - epoch / epochs) * grads[name] for name in w}
            losses.append(float(value))
    return w, losses


def draw(losses: list[float], path: Path) -> None:
    """The loss of each step, and its mean over each epoch, as a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    per_epoch = 1440 // BATCH
    means = np.mean(np.reshape(losses, (-1, per_epoch)), axis=1)
    axes.plot(losses, color="tab:blue", alpha=0.3, linewidth=0.8, label="one batch")
    axes.plot((np.arange(len(means)) + 0.5) * per_epoch, means, color="tab:blue", linewidth=2, label="mean of an epoch")
    axes.set(xlabel="step", ylabel="softmax cross entropy", yscale="log", title="Training on handwritten digits")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def save_module(w: Weights, folder: Path) -> Path:
    """The value and gradient as a NumPy module of its own, for batches of any size."""
    batch_x, batch_y = gradc.aval("f64[batch,64]"), gradc.aval("f64[batch,10]")
    kernel = gradc.value_and_grad(loss, wrt="w").compile(w, batch_x, batch_y, backend="numpy", name="digits_grad")
    kernel.save(folder / "digits_grad.py")
    return folder / "digits_grad.py"


def gradients_elsewhere(module: Path, w: Weights, x: np.ndarray, y: np.ndarray) -> tuple[float, Weights]:
    """Value and gradients from the saved module, in a new process that cannot import gradc."""
    question, answer = module.with_name("question.npz"), module.with_name("answer.npz")
    np.savez(question, x=x, y=y, **w)
    command = [sys.executable, "-I", "-c", FRESH_PROCESS, str(module.parent), str(question), str(answer)]
    subprocess.run(command, check=True)
    with np.load(answer) as found:
        result = float(found["value"]), {name: found[name] for name in w}
    question.unlink()
    answer.unlink()
    return result


def compare(w: Weights, module: Path, x: np.ndarray, y: np.ndarray) -> float:
    """The largest difference of the gradients computed here and without gradc, relative to the largest entry."""
    _, here = gradc.value_and_grad(loss, wrt="w")(w, x, y)
    _, there = gradients_elsewhere(module, w, x, y)
    return max(float(np.max(np.abs(here[name] - there[name])) / np.max(np.abs(here[name]))) for name in w)


def main(folder: Path = Path("digits_output")) -> float:
    """Train, draw, save and compare; gives the accuracy on the held-out digits."""
    console = Console()
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    data = digits(rng)
    w, losses = train(first_weights(rng), data, rng, console)
    reached = accuracy(w, data.x_held_out, data.y_held_out)
    console.print(f"{reached:.1%} of {HELD_OUT} held-out digits are read correctly", highlight=False)

    draw(losses, folder / "digits_loss.png")
    module = save_module(w, folder)
    console.print(f"wrote {folder / 'digits_loss.png'} and {module}", highlight=False, soft_wrap=True)
    difference = compare(w, module, data.x[:100], data.y[:100])
    console.print(f"a process without gradc finds the same gradients, within {difference:.0e} of them", highlight=False)
    return reached


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
