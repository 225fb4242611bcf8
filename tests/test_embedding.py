"""docs/embedding.md: its commands and its program, run as they are printed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.artifacts import networks

PAGE = Path(__file__).parent.parent / "docs" / "embedding.md"
SHELL = shutil.which("sh")


def block(language: str) -> str:
    """The first block of the page in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.skipif(shutil.which("cc") is None or SHELL is None, reason="there is no C compiler cc, or no shell")
def test_the_three_commands_make_a_program(tmp_path: Path) -> None:
    shutil.copy(networks.__file__, tmp_path / "net.py")
    (tmp_path / "main.c").write_text(block("c"), encoding="utf-8")
    script = block("sh").replace("gradc ", f"'{sys.executable}' -m gradc ")
    assert script.count("\n") == 3
    done = subprocess.run([str(SHELL), "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == block("text")
