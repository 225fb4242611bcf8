"""docs/bindings.md: its commands and its programs, run as they are printed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.artifacts import networks

PAGE = Path(__file__).parent.parent / "docs" / "bindings.md"
SHELL = shutil.which("sh")


def block(language: str) -> str:
    """The first block of the page in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the network, the programs of the page, and what the first command writes."""
    shutil.copy(networks.__file__, tmp_path / "net.py")
    for name, language in {"main.py": "python"}.items():
        (tmp_path / name).write_text(block(language), encoding="utf-8")
    return tmp_path


def said(command: str, folder: Path) -> str:
    """What a command of the page prints."""
    script = re.sub(r"^gradc ", f"'{sys.executable}' -m gradc ", command, flags=re.MULTILINE)
    script = re.sub(r"^python ", f"'{sys.executable}' ", script, flags=re.MULTILINE)
    done = subprocess.run([str(SHELL), "-e", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(SHELL is None, reason="there is no shell")
def test_the_commands_make_programs_that_say_the_same(place: Path) -> None:
    assert said(block("sh"), place) == block("text")
