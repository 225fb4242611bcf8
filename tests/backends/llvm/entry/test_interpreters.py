"""Interpreters whose objects are not known: calls go through Python and ctypes, with the same results and errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gradc.backends.llvm.entry import abi

TESTS = Path(__file__).parents[3]

FORCED = """
import sys
sys.implementation.name = "other"
import pytest
from gradc.backends.llvm.entry.abi import abi
from gradc.backends.llvm.entry.native import is_called_natively
from gradc.function import Function
from gradc.kernel import Kernel
assert abi() is None
assert not is_called_natively(Function) and not is_called_natively(Kernel)
options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", "not numpy and not reference"]
sys.exit(pytest.main([*options, *sys.argv[1:]]))
"""


def test_results_and_errors_without_machine_code_in_front() -> None:
    """The tests of calls, given results and threads, in a process that takes itself for another interpreter."""
    files = [str(TESTS / name) for name in ("test_out.py", "test_function.py")]
    done = subprocess.run(
        [sys.executable, "-c", FORCED, *files], capture_output=True, text=True, cwd=TESTS.parent, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TYPE_FLAGS", 160),
        ("TYPE_ALLOCATE", 312),
        ("ARRAY_DATA", 24),
        ("ARRAY_SHAPE", 40),
        ("ARRAY_STRIDES", 32),
        ("ARRAY_FLAGS", 72),
        ("ARRAY_BASE", 16),
        ("ARRAY_WEAK_REFERENCES", 80),
        ("DTYPE_KIND", 25),
        ("TUPLE_ITEMS", 16),
        ("LIST_ITEMS", 32),
    ],
)
def test_a_layout_that_is_another_is_seen(monkeypatch: pytest.MonkeyPatch, name: str, value: int) -> None:
    """Each offset is tried: with a wrong one there are no entries."""
    if abi.abi() is None:
        pytest.skip("entries are for interpreters whose objects are known")
    monkeypatch.setattr(abi, name, value)
    assert not (abi.known_interpreter.__wrapped__() and abi._layout_holds())


def test_a_reference_count_of_another_kind_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    if abi.abi() is None:
        pytest.skip("entries are for interpreters whose objects are known")
    monkeypatch.setattr(abi, "_read", lambda value, offset, code: 1)
    assert not abi._references_are_counted()


def test_a_numpy_of_another_abi_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    if abi.abi() is None:
        pytest.skip("entries are for interpreters whose objects are known")
    monkeypatch.setattr(abi, "_NUMPY_ABI", 0x3000000)
    assert abi._numpy_table() is None
    assert abi.abi.__wrapped__() is None
    assert np.ones(1) == 1.0
