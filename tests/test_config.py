from __future__ import annotations

import math
import os
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


@pytest.mark.parametrize(
    ("table", "files", "paid"),
    [
        ("0::/\n", {}, math.inf),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/a/b\n", {"a/b/cpu.max": "300000 100000\n", "a/cpu.max": "400000 100000\n"}, 3.0),
        ("0::/of/the/machine\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/../..\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/a\n", {"unified/a/cpu.max": "100000 50000\n"}, 2.0),
        ("3:cpu,cpuacct:/a\n", {"cpu,cpuacct/a/cpu.cfs_quota_us": "250000\n",
                                "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"}, 2.5),
        ("3:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, math.inf),
        ("3:cpuset:/a\n", {"cpuset/a/cpu.max": "100000 100000\n"}, math.inf),
        ("0::/\n", {"cpu.max": "nonsense\n"}, math.inf),
        ("0::/\n", {"cpu.max": "100000 0\n"}, math.inf),
        ("nonsense", {"cpu.max": "100000 100000\n"}, math.inf),
        (None, {"cpu.max": "100000 100000\n"}, math.inf),
    ],
)  # fmt: skip
def test_control_groups_pay_for_processors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, table: str | None, files: dict[str, str], paid: float
) -> None:
    if table is not None:
        (tmp_path / "table").write_text(table)
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text)
    monkeypatch.setattr(config, "CONTROL_GROUPS", (tmp_path / "table", tmp_path / "groups"))
    monkeypatch.setattr(config, "_paid", config._paid.__wrapped__)
    assert config._paid() == paid
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert config.processors() == max(1, min(usable or 1, int(min(paid, 1e9))))
