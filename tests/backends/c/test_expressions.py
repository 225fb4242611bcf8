"""How operators on integers are written in C."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gradc
from tests.backends.c.test_ops import check_graph
from tests.ops.test_systematic import ROWS, Row, value_graph


@pytest.mark.parametrize("row", [row for row in ROWS if row.op.startswith("bitwise")], ids=str)
def test_operations_on_bits(row: Row, tmp_path: Path) -> None:
    check_graph(value_graph(row), row.inputs, tmp_path, "gcc")


def test_they_stand_in_parentheses_among_comparisons() -> None:
    k = np.arange(4)
    source = gradc.jit(lambda k: (k & 3) == (k | 1)).compile(k).c_source
    assert "(t1 & 3) == (t1 | 1)" in source
