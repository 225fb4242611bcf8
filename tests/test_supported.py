"""docs/supported.md is what tools/supported.py makes of the registry, and says the truth of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from gradc.frontend.numpy_api import supported

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("supported", ROOT / "tools" / "supported.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(tool: ModuleType) -> None:
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "run python tools/supported.py"


def test_every_function_has_a_row(tool: ModuleType) -> None:
    rows = [line for line in tool.page().splitlines() if line.startswith("| `")]
    assert len(rows) == len(supported())


@pytest.mark.parametrize(
    "row", ["| `sum` | `a`, `axis`, `dtype`, `keepdims`, `initial`, `where` |", "| `exp` | `x`, `out`,"]
)
def test_rows_name_the_parameters(tool: ModuleType, row: str) -> None:
    assert row in tool.page()
