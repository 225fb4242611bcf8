"""examples/embedding: each program is made with the command of its Makefile, and does what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "embedding"
MAKE = shutil.which("make")

pytestmark = pytest.mark.skipif(MAKE is None, reason="there is no make")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples, so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("embedding") / "embedding"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("build", "target", "__pycache__"))
    return folder


def made(target: str, place: Path, **variables: str) -> str:
    """What ``make TARGET`` prints."""
    given = [f"{name}={value}" for name, value in {"PYTHON": sys.executable, **variables}.items()]
    done = subprocess.run(
        [str(MAKE), target, *given], cwd=place, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def has(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"there is no {tool}")


@has("cc")
def test_digits_are_learned_in_c(place: Path) -> None:
    printed = made("digits", place, CC="cc", CFLAGS="-O1 -Wall -Wextra -Werror -pedantic")
    shares = [float(share) for share in re.findall(r"([\d.]+)% of 357 held-out digits", printed)]
    losses = [float(loss) for loss in re.findall(r"loss ([\d.]+)", printed)]
    assert len(shares) == 6
    assert shares[-1] >= 97.0
    assert losses[-1] < losses[0] / 3


@has("cc")
def test_digits_that_are_none_are_refused(place: Path) -> None:
    made("digits", place, CC="cc")
    whole = (place / "build" / "digits.bin").read_bytes()
    files = {"short": whole[:5000], "empty": b"", "many": np.array([10**6, 10**6], "<i4").tobytes() + whole[8:]}
    for name, content in files.items():
        (place / name).write_bytes(content)
        done = subprocess.run([place / "build" / "digits", place / name], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert "does not hold digits" in done.stderr
    counts = np.frombuffer(whole, "<i4", 2)
    bad = np.frombuffer(whole, np.uint8).copy()
    first_label = 8 + 256 * int(counts.sum())
    bad[first_label : first_label + 4 * int(counts[0])] = 200
    (place / "bad").write_bytes(bad.tobytes())
    done = subprocess.run([place / "build" / "digits", place / "bad"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(r"a training step failed with status 1[67]", done.stderr)


@has("c++")
def test_the_pendulum_is_held_upright(place: Path) -> None:
    printed = made("control", place, CXX="c++", CXXFLAGS="-O1 -Wall -Wextra -Werror -pedantic")
    angle = re.search(r"after 2\.0 s the pendulum stands at (-?[\d.]+) rad", printed)
    assert angle is not None
    assert abs(float(angle[1])) < 0.05
    assert re.search(r"a tick computes for [\d.]+ us, at most [\d.]+ us; the latest began \d+ us late", printed)


@has("cargo")
def test_rust_finds_the_oscillation(place: Path) -> None:
    last = made("fit", place).splitlines()[-1]
    found = dict(re.findall(r"(height|decay|frequency) ([\d.]+)", last))
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {"height": 2.0, "decay": 0.3, "frequency": 5.0}, rel=0.03
    )
