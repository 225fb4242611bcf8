"""float16 in machines without it: numbers of half precision as numbers of single precision that are rounded.

Half precision is a format of storage: NumPy computes each function of float16 in float32 and rounds the result. The
conversions are arithmetic that is exact in float32, so that they are vectors like anything else and need no
instruction of the machine. A number is ``2**e * m / 1024`` with ``1024 <= m < 2048``, or ``2**-14 * m / 1024`` with
``m < 1024``; its bits are a sign, 5 of ``e + 15`` (0 for the second form, 31 for infinities and NaN) and 10 of ``m``.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from gradc.errors import DtypeError
from gradc.ir.aval import Aval
from gradc.ir.op import Op, register

HALF: Final = np.dtype(np.float16)
SINGLE: Final = np.dtype(np.float32)
BITS: Final = np.dtype(np.uint16)

_SMALLEST: Final = 2.0**-14
"""The smallest normal number."""
_LARGEST: Final = 65504.0
_STEPS: Final = (16, 8, 4, 2, 1)


def _narrowed(b: Any, size: Any, *counted: Any) -> Any:
    """A size in units of the smallest normal number, halved until it is below 2.

    Gives it and, for each pair of a number and what becomes of it for ``k`` halvings, that number.
    """
    scaled = b.mul(size, 1 / _SMALLEST)
    found = [start for start, _ in counted]
    for k in _STEPS:
        big = b.ge(scaled, 2.0**k)
        scaled = b.select(big, b.mul(scaled, 2.0**-k), scaled)
        found = [b.select(big, step(x, k), x) for x, (_, step) in zip(found, counted, strict=True)]
    return scaled, *found


def _loops_round(b: Any, x: Any) -> Any:
    """Adding a number whose last bit is that of the result leaves the nearest number of so many bits, half to even."""
    unit = 2.0 ** (np.finfo(x.dtype).nmant - 10) * _SMALLEST
    size = b.abs(x)
    _, unit = _narrowed(b, size, (b.constant(unit, x.dtype), lambda u, k: b.mul(u, 2.0**k)))
    rounded = b.sub(b.add(size, unit), unit)
    held = b.select(b.gt(rounded, _LARGEST), math.inf, rounded)
    return b.convert(b.copysign(held, x), SINGLE)


def _loops_bits(b: Any, x: Any) -> Any:
    """Of a number that float16 holds."""
    scaled, exponent = _narrowed(b, b.abs(x), (b.constant(0.0, x.dtype), lambda e, k: b.add(e, float(k))))
    finite = b.mul(b.add(exponent, scaled), 1024.0)
    others = b.select(b.isnan(x), 32256.0, b.constant(31744.0, x.dtype))
    size = b.convert(b.select(b.isfinite(x), finite, others), BITS)
    negative = b.lt(b.copysign(1.0, x), 0.0)
    return b.add(size, b.select(negative, b.constant(32768, BITS), b.constant(0, BITS)))


def _loops_value(b: Any, bits: Any) -> Any:
    number = b.convert(bits, SINGLE)
    negative = b.ge(number, 32768.0)
    number = b.select(negative, b.sub(number, 32768.0), number)
    exponent = b.floor(b.mul(number, 1 / 1024))
    digits = b.sub(number, b.mul(exponent, 1024.0))
    rest, power = b.sub(exponent, 1.0), b.constant(_SMALLEST / 1024, SINGLE)
    for k in _STEPS:
        big = b.ge(rest, float(k))
        rest = b.select(big, b.sub(rest, float(k)), rest)
        power = b.select(big, b.mul(power, 2.0**k), power)
    size = b.mul(b.select(b.gt(exponent, 0.0), b.add(digits, 1024.0), digits), power)
    infinite = b.select(b.eq(digits, 0.0), b.constant(math.inf, SINGLE), math.nan)
    size = b.select(b.eq(exponent, 31.0), infinite, size)
    return b.select(negative, b.neg(size), size)


def _infer(name: str, kinds: str, result: np.dtype) -> Any:
    def infer(x: Aval) -> Aval:
        if x.dtype.str[1:] not in kinds.split():
            raise DtypeError(f"{name}: {x} is not one of {kinds}")
        return Aval(x.shape, result)

    return infer


round_half = register(
    Op(
        "round_half",
        _infer("round_half", "f4 f8", SINGLE),
        lambda x: np.asarray(x).astype(HALF).astype(SINGLE),
        "{0}.astype(np.float16).astype(np.float32)",
        loops=_loops_round,
        partials=lambda c: [None],
        elementwise=True,
    )
)
half_bits = register(
    Op(
        "half_bits",
        _infer("half_bits", "f4", BITS),
        lambda x: np.asarray(x).astype(HALF).view(BITS),
        "{0}.astype(np.float16).view(np.uint16)",
        loops=_loops_bits,
        partials=lambda c: [None],
        elementwise=True,
    )
)
half_value = register(
    Op(
        "half_value",
        _infer("half_value", "u2", SINGLE),
        lambda bits: np.asarray(bits).view(HALF).astype(SINGLE),
        "{0}.view(np.float16).astype(np.float32)",
        loops=_loops_value,
        partials=lambda c: [None],
        elementwise=True,
    )
)
