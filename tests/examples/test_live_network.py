"""The page that trains the 2-2-1 network: in a browser it computes what the kernel computes here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.examples.browser import FIRST, POINTS, descent, mean_loss, needs_browser, needs_linker, shown

Example = Callable[[str], ModuleType]

pytestmark = needs_linker


def text_of(document: str, identity: str) -> str:
    found = re.search(rf'<[a-z]+ [^>]*\bid="{identity}"[^>]*>([^<]*)<', document)
    assert found is not None, f"there is no element {identity}"
    return found[1]


@needs_browser
def test_it_learns_in_the_browser(example: Example, page: Path, tmp_path: Path) -> None:
    kernel = example("embedding/live_network").kernel()
    document = shown(page, tmp_path, "#steps=200")
    assert 'data-selftest="true"' in document
    assert text_of(document, "steps") == "200"
    first, *_, last = (mean_loss(kernel, weights) for weights in descent(kernel, 200))
    assert float(text_of(document, "loss")) == pytest.approx(last, abs=1e-6)
    assert text_of(document, "right") == "4 of 4"
    assert last < 0.05 < first


@needs_browser
def test_the_numbers_of_a_pass_stand_in_the_drawing(example: Example, page: Path, tmp_path: Path) -> None:
    found = example("embedding/live_network").kernel()(*FIRST.values(), *POINTS[0])
    document = shown(page, tmp_path, "#at=5.99")
    for place, slope in (("v₁", found["d_v1"]), ("w₂₁", found["d_w21"]), ("z", found["d_z"])):
        assert f"∂L/∂{place} {slope:.2f}".replace("-", "\N{MINUS SIGN}") in document
    assert text_of(document, "phase") == "Backward"
    assert text_of(shown(page, tmp_path, "#at=0.5"), "phase") == "Forward"


@needs_browser
def test_it_plays(page: Path, tmp_path: Path) -> None:
    document = shown(page, tmp_path, "#play&speed=4")
    assert int(text_of(document, "steps")) >= 1
    assert text_of(document, "play") == "Pause"


def test_the_page_is_one_file_without_a_network(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    addresses = set(re.findall(r"https?://[^\s\"')]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a language, which nobody fetches
    assert not re.search(r"<(?:script|link|img)[^>]*(?:src|href)=\"(?!data:)", text)


def test_slopes_are_those_of_the_formulas(example: Example) -> None:
    found = example("embedding/live_network").kernel()(*FIRST.values(), *POINTS[0])
    y_hat = found["y_hat"]
    assert found["d_z"] == pytest.approx(y_hat - 1.0, rel=1e-12)
    assert found["d_v1"] == pytest.approx((y_hat - 1.0) * 0.5, rel=1e-12)
    assert found["d_z2"] == pytest.approx((y_hat - 1.0) * -0.6, rel=1e-12)
    assert found["d_w22"] == pytest.approx((y_hat - 1.0) * -0.6 * 2.0, rel=1e-12)
    assert found["d_y_hat"] == pytest.approx(-1.0 / y_hat, rel=1e-12)
