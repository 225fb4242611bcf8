"""The command line, run in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gradc.cli import main

NET = """\
import numpy as np


def loss(w11, w12, w21, w22, v1, v2, x1, x2, y):
    z1 = w11 * x1 + w12 * x2
    z2 = w21 * x1 + w22 * x2
    a1 = np.maximum(z1, 0)
    a2 = np.maximum(z2, 0)
    z = v1 * a1 + v2 * a2
    y_hat = 1 / (1 + np.exp(-z))
    return -(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))


def nested(w, x):
    return np.sum(np.tanh(w["hidden"] @ x) * w["out"])


def annotated(x: "f64[2,3]", scale: float):
    return scale * np.sum(x * x)


def rows(x, count):
    total = 0.0
    for k in range(count):
        total = total + x[k]
    return total


def wrong_shapes(x, y):
    return np.sum(x @ y)


def kinked(x):
    return np.sum(np.abs(x))


def branching(x):
    return x if x > 0 else -x


def failing(x):
    return {"a": x}["b"]


def at_the_kink(x=0.0):
    return np.maximum(x, 0)


def example_args():
    return {"w11": 0.1, "w12": 0.2, "w21": 0.3, "w22": 0.4, "v1": 0.5, "v2": 0.6, "x1": 1.0, "x2": 2.0, "y": 1.0}
"""


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with net.py, as the working directory; imports made from it are undone."""
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "net", raising=False)
    return tmp_path


@pytest.fixture
def gradc(net: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """``gradc("show", "net.py:loss")`` in the folder of net.py."""

    def run(*arguments: str) -> Outcome:
        with pytest.raises(SystemExit) as done:
            main(arguments)
        captured = capsys.readouterr()
        return Outcome(int(done.value.code or 0), captured.out, captured.err)

    return run
