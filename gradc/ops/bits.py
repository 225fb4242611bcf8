"""Operations on the bits of integers. They have no derivatives."""

from __future__ import annotations

import numpy as np

from gradc.ir.op import Op
from gradc.ops.elementwise import elementwise


def _of_bits(name: str, ufunc: np.ufunc, symbol: str, latex: str) -> Op:
    return elementwise(
        name, ufunc, f"{{0}} {symbol} {{1}}", kinds="iu", commutative=True, latex=f"{{0}} {latex} {{1}}",
        keeps_weak=True,
    )  # fmt: skip


bitwise_and = _of_bits("bitwise_and", np.bitwise_and, "&", r"\land")
bitwise_or = _of_bits("bitwise_or", np.bitwise_or, "|", r"\lor")
bitwise_xor = _of_bits("bitwise_xor", np.bitwise_xor, "^", r"\oplus")
