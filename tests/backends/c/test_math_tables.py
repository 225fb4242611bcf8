"""C for machines whose registers hold tables has the formulas of their machine code."""

from __future__ import annotations

import numpy as np
import pytest

from gradc.ir.target import Target
from gradc.loops.language.program import b
from tests.backends.c.test_programs import Check, elementwise
from tests.backends.llvm import math_samples


@pytest.mark.parametrize(("dtype", "names"), [(np.float32, ("log2", "log10")), (np.float64, ("log2",))])
def test_logarithms_have_the_bits_of_machine_code(
    check: Check, monkeypatch: pytest.MonkeyPatch, dtype: type, names: tuple[str, ...]
) -> None:
    monkeypatch.setattr(Target, "holds_tables", property(lambda _: True))
    (x,) = math_samples.samples("log2", np.dtype(dtype), 300, 0)
    check(elementwise({name: getattr(b, name) for name in names}, [x]), [x])
