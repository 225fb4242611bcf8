"""How operators on integers are written in C; what they compute is tested with all ops."""

from __future__ import annotations

import numpy as np

import gradc


def test_operations_on_bits_stand_in_parentheses_among_comparisons() -> None:
    k = np.arange(4)
    source = gradc.jit(lambda k: (k & 3) == (k | 1)).compile(k).c_source
    assert "(t1 & 3) == (t1 | 1)" in source
