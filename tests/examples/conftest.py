"""The examples as modules, loaded from their files."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def example() -> Iterator[Callable[[str], ModuleType]]:
    """``example("gears")``: the module examples/gears.py, once."""
    loaded: dict[str, ModuleType] = {}

    def load(name: str) -> ModuleType:
        if name not in loaded:
            spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module  # dataclasses look their module up
            spec.loader.exec_module(module)
            loaded[name] = module
        return loaded[name]

    yield load
    for name in loaded:
        del sys.modules[name]


@pytest.fixture(scope="session")
def page(example: Callable[[str], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page on which the 2-2-1 network learns."""
    found = example("embedding/live_network").main(tmp_path_factory.mktemp("page"))
    assert isinstance(found, Path)
    return found
