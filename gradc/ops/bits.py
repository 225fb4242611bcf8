"""Operations on integers: on their bits, the greatest common divisor, powers. They have no derivatives."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from gradc.errors import DomainError
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


def _loops_gcd(b: Any, x: Any, y: Any) -> Any:
    """Euclid's remainders, as many as two numbers of the dtype can have: neighbours in Fibonacci's row have most."""
    x, y = (value if value.dtype.kind == "u" else b.abs(value) for value in (x, y))
    for _ in range(math.ceil(x.dtype.itemsize * 8 / math.log2((1 + math.sqrt(5)) / 2)) + 1):
        x, y = b.select(b.eq(y, 0), x, y), b.mod(x, y)
    return x if x.dtype.kind == "u" else b.abs(x)


gcd = elementwise(
    "gcd", np.gcd, "np.gcd({0}, {1})", kinds="iu", commutative=True, loops=_loops_gcd,
    latex=r"\gcd\left({0}, {1}\right)",
)  # fmt: skip


NEGATIVE_POWER: Final = "power: integers to negative integer powers are not allowed; convert the base to float"
"""What is told of a negative exponent."""


def _evaluate_integer_power(x: Any, y: Any) -> Any:
    if (np.asarray(y) < 0).any():
        raise DomainError(NEGATIVE_POWER, as_numpy=True)
    return np.power(x, y)


integer_power = elementwise(
    "integer_power", _evaluate_integer_power, "{0} ** {1}", kinds="i", latex="{{{0}}}^{{{1}}}",
)  # fmt: skip
"""``x ** y`` of signed integers. Raises DomainError for a negative exponent, as NumPy raises ValueError."""
