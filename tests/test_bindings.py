"""docs/bindings.md: its commands and its programs, run as they are printed."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.artifacts import networks

PAGE = (Path(__file__).parent.parent / "docs" / "bindings.md").read_text(encoding="utf-8")
SHELL = shutil.which("sh")

pytestmark = pytest.mark.skipif(SHELL is None, reason="there is no shell")


def sections() -> dict[str, str]:
    """The text of the page below each heading; that before the first one has none."""
    first, *others = re.split(r"^## (.*)\n", PAGE, flags=re.MULTILINE)
    return {"": first} | dict(zip(others[::2], others[1::2], strict=True))


def block(text: str, language: str) -> str:
    """The first block in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def said(commands: str, folder: Path) -> str:
    """What commands of the page print."""
    script = re.sub(r"^gradc ", f"'{sys.executable}' -m gradc ", commands, flags=re.MULTILINE)
    script = re.sub(r"^python ", f"'{sys.executable}' ", script, flags=re.MULTILINE)
    done = subprocess.run([str(SHELL), "-e", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the network and what the first command writes."""
    folder = tmp_path_factory.mktemp("place")
    shutil.copy(networks.__file__, folder / "net.py")
    assert said(block(sections()[""], "sh"), folder) == ""
    return folder


def has(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"there is no {tool}")


linkable = pytest.mark.skipif(
    shutil.which("wasm-ld") is None and importlib.util.find_spec("ziglang") is None,
    reason="there is no wasm-ld, nor ziglang, which has one",
)


@pytest.mark.parametrize(
    ("section", "language", "file"),
    [
        ("Python without gradc", "python", "main.py"),
        pytest.param("C++17", "cpp", "main.cpp", marks=has("c++")),
        pytest.param("Rust", "rust", "src/main.rs", marks=has("cargo")),
        pytest.param("JavaScript", "js", "main.mjs", marks=[has("node"), linkable]),
    ],
)
def test_the_commands_make_a_program(section: str, language: str, file: str, place: Path) -> None:
    text = sections()[section]
    (place / file).parent.mkdir(exist_ok=True)
    (place / file).write_text(block(text, language), encoding="utf-8")
    if language == "rust":
        (place / "Cargo.toml").write_text(block(text, "toml"), encoding="utf-8")
    assert said(block(text, "sh"), place) == block(PAGE, "text")
