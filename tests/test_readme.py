"""The README tells the truth: its listing is real output, its snippets run, its commands exist."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gradc

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.S)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SHELL = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
FUNCTION, LISTING, *SNIPPETS = PYTHON
WEIGHTS = ("w11", "w12", "w21", "w22", "v1", "v2")


def test_the_function_is_that_of_the_example() -> None:
    assert FUNCTION.splitlines()[0] == "def loss(w11, w12, w21, w22, v1, v2, x1, x2, y):"
    example = (ROOT / "examples" / "backprop_2_2_1.py").read_text(encoding="utf-8")
    body = "".join(FUNCTION.splitlines(keepends=True)[1:])
    assert body in example


def test_the_listing_is_what_gradc_writes(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "net.py").write_text(f"import numpy as np\n\n\n{FUNCTION}", encoding="utf-8")
    wrt = ["--wrt", ",".join(WEIGHTS), "-o", "loss_grad.py"]
    command = [sys.executable, "-m", "gradc", "compile", "net.py:loss", *wrt]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    written = (tmp_path / "loss_grad.py").read_text(encoding="utf-8")
    function = written[: written.index("\n\n\ndef _") + 1]
    if request.config.getoption("--bless"):
        (ROOT / "README.md").write_text(README.replace(LISTING, function), encoding="utf-8", newline="\n")
    else:
        assert function == LISTING, "pytest --bless writes the new listing"


def test_the_three_uses_run_in_a_row(tmp_path: Path) -> None:
    assert len(SNIPPETS) == 3
    (tmp_path / "uses.py").write_text("\n".join(SNIPPETS), encoding="utf-8")
    command = [sys.executable, "-W", "error", "uses.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for shown in ("    w: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray,", "define ", "flops"):
        assert shown in done.stdout
    assert (tmp_path / "loss_grad.py").exists()


@pytest.mark.parametrize("line", [line for line in SHELL if line.startswith("gradc ")])
def test_the_commands_run(line: str) -> None:
    command = [sys.executable, "-m", "gradc", *shlex.split(line)[1:]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_ci_runs_the_tests_as_the_readme_does() -> None:
    (tests,) = [line for line in SHELL if "pytest" in line]
    arguments = tests[tests.index("-m pytest") :]
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-2] == f"python {arguments} || failed=1"


def test_the_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)  # code has no links
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_public_objects_say_what_they_are() -> None:
    for name in gradc.__all__:
        assert inspect.getdoc(getattr(gradc, name)), f"gradc.{name} has no docstring"


@pytest.mark.nightly
def test_the_main_command_does_all_the_set_up(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns(".git", ".venv", "*_cache", "__pycache__", "build", "*.egg-info", "digits_output")
    shutil.copytree(ROOT, tmp_path / "clone", ignore=ignored)
    (line,) = [line for line in SHELL if "digits_mlp.py" in line and "venv" in line]
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path / "clone", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "held-out digits are read correctly" in done.stdout
    assert "dL/dy_hat" in done.stdout
