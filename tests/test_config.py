from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from gradc import config
from gradc.errors import ArgumentError


def test_the_default_the_variable_and_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADC_STABILIZE", raising=False)
    assert config.stabilize.value == "safe"
    monkeypatch.setenv("GRADC_STABILIZE", "aggressive")
    assert config.stabilize.value == "aggressive"
    with config.stabilize("off"):
        with config.stabilize("safe"):
            assert config.stabilize.value == "safe"
        assert config.stabilize.value == "off"
    assert config.stabilize.value == "aggressive"


def test_a_block_ends_when_it_raises() -> None:
    with pytest.raises(KeyError), config.verify(True):
        raise KeyError
    assert config.verify.value is False


def test_a_block_holds_in_its_thread_alone() -> None:
    seen = []
    with config.verify(True):
        thread = threading.Thread(target=lambda: seen.append(config.verify.value))
        thread.start()
        thread.join()
    assert seen == [False]


@pytest.mark.parametrize(("text", "value"), [("1", True), ("0", False), ("true", True), ("FALSE", False), ("", False)])
def test_a_switch(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("GRADC_VERIFY", text)
    assert config.verify.value is value


def test_a_value_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADC_BACKEND", "cuda")
    with pytest.raises(ArgumentError, match="GRADC_BACKEND='cuda' is not valid: it is one of llvm, numpy, reference"):
        _ = config.backend.value


def test_the_page_lists_every_knob_with_its_default() -> None:
    page = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(GRADC_\w+)` \| `config\.(\w+)` \| (?:none|`(\w+)`) \|", page, re.M)
    knobs = {name: knob for name, knob in vars(config).items() if isinstance(knob, config.Knob)}
    assert {name: (variable, default) for variable, name, default in listed} == {
        name: (knob.variable, str(int(knob.default) if isinstance(knob.default, bool) else knob.default))
        for name, knob in knobs.items()
    }
