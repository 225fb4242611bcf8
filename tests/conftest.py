"""Golden files with ``--bless``, and hypothesis without chance."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

TESTS = Path(__file__).parent

hypothesis.settings.register_profile("exact", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("exact")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="write what the tests see into their golden files")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """``golden("artifacts/net.py.txt", text)``: the text must be that of ``tests/golden/artifacts/net.py.txt``."""

    def compare(path: str, text: str) -> None:
        file = TESTS / "golden" / path
        if request.config.getoption("--bless"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
            return
        if not file.exists():
            pytest.fail(f"there is no golden file {path}; look at the output, then write it with pytest --bless", False)
        expected = file.read_text(encoding="utf-8")
        if text != expected:
            lines = difflib.unified_diff(expected.splitlines(), text.splitlines(), "golden", "now", lineterm="")
            difference = "\n".join(lines)
            pytest.fail(f"{path} differs; if the new text is right, pytest --bless writes it:\n{difference}", False)

    return compare
