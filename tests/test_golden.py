"""The golden fixture: a difference fails and names --bless, which writes the file."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SUITE = """
def test_text(golden):
    golden("sub/text.txt", {text!r})
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with our conftest and nothing else."""
    pytester.makeconftest((Path(__file__).parent / "conftest.py").read_text(encoding="utf-8"))
    return pytester


def test_a_golden_file_that_is_not_there(suite: pytest.Pytester) -> None:
    suite.makepyfile(SUITE.format(text="one\n"))
    suite.runpytest_inprocess().stdout.fnmatch_lines(["*there is no golden file sub/text.txt; look*--bless*"])


def test_bless_then_compare(suite: pytest.Pytester) -> None:
    suite.makepyfile(SUITE.format(text="one\ntwo\n"))
    assert suite.runpytest_inprocess("--bless").ret == 0
    assert (suite.path / "golden" / "sub" / "text.txt").read_bytes() == b"one\ntwo\n"
    assert suite.runpytest_inprocess().ret == 0
    suite.makepyfile(SUITE.format(text="one\nthree\n"))
    result = suite.runpytest_inprocess()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*sub/text.txt differs; if the new text is right, pytest --bless writes it:*"])
    result.stdout.fnmatch_lines(["*-two*", "*+three*"])
