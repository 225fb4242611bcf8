"""Numbers next to others, and numbers in powers of two, over Values: by arithmetic that is exact.

The neighbours are those of S. M. Rump, P. Zimmermann, S. Boldo and G. Melquiond, BIT 49 (2009): a number and a little
more than half of its last bit add up to the next one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.errors import DtypeError
from gradc.frontend.numpy_api.notation import Array, composed, filled
from gradc.frontend.numpy_api.promote import broadcasted, converted, marker, operand_dtype
from gradc.ops.regions import stop_gradient


def _floats(ufunc: np.ufunc, *given: Any) -> list[Any]:
    values = [x.value for x in given]
    dtype = operand_dtype(ufunc, *map(marker, values))
    return [Array(x) for x in broadcasted(f"np.{ufunc.__name__}", *[converted(x, dtype) for x in values])]


def _full(like: Any, number: float) -> Any:
    return filled(like, number)


def _held(x: Any) -> Any:
    """``x`` without its derivative."""
    return Array(stop_gradient(x.value))


def _beside(size: Any, sign: Any) -> Any:
    """The number next to a size, above where ``sign`` is 1 and below where it is -1."""
    limits = np.finfo(size.dtype)
    number = size.dtype.type
    scale = number(2.0 ** (limits.nmant + 2))
    even = size < number(2) * limits.smallest_normal
    low = size < limits.smallest_normal * scale
    large = np.where(low, size * scale, size)
    step = large * number(limits.epsneg * (1 + 2 * limits.epsneg)) + limits.smallest_subnormal
    far = large + sign * step
    found = np.where(even, size + sign * limits.smallest_subnormal, np.where(low, far / scale, far))
    return np.where((size == np.inf) & (sign < 0), limits.max, found)


@composed(np.nextafter, arrays=("x1", "x2"), keeps_weak=True)
def nextafter(x1: Any, x2: Any) -> Any:
    """The number next to ``x1`` on the way to ``x2``; the slope by ``x1`` is 1."""
    x, towards = _floats(np.nextafter, x1, x2)
    at, one = _held(x), _full(x, 1)
    away = np.where((towards > at) == (at > 0), one, -one)
    size = _beside(np.abs(at), away)
    moved = np.where(at == 0, np.copysign(_beside(np.abs(at), one), towards), np.copysign(size, at))
    same = at if x.dtype == np.float16 else _held(towards)  # of 0 and -0 NumPy gives either
    missing = np.isnan(at) | np.isnan(towards)
    found = np.where(missing, _full(x, np.nan), np.where(at == towards, same, moved))
    step = np.where(np.isfinite(found) & np.isfinite(at), found - at, _full(x, 0))
    return np.where(np.isfinite(found) & np.isfinite(at), np.copysign(x + step, found), found)


@composed(np.spacing, arrays=("x",), keeps_weak=True)
def spacing(x: Any) -> Any:
    """How far the next number from 0 is, negative below 0; of float16 the next larger one. NaN of infinities."""
    (value,) = _floats(np.spacing, x)
    size = np.abs(_held(value))
    gap = _beside(size, _full(size, 1)) - size
    if value.dtype == np.float16:
        below = np.where(np.isfinite(size), size - _beside(size, _full(size, -1)), _full(size, np.nan))
        return np.where(value < 0, below, gap)
    return np.where(value < 0, -gap, gap)


@composed(np.frexp, arrays=("x",), keeps_weak=True)
def frexp(x: Any) -> Any:
    """``m`` from 1/2 to 1 and the int ``e`` of ``x = m * 2**e``; 0, infinities and NaN are their own ``m``."""
    (value,) = _floats(np.frexp, x)
    wide = value.astype(np.result_type(value.dtype, np.float32))
    size = np.abs(_held(wide))
    usual = np.isfinite(size) & (size > 0)
    exponent: Any = np.where(usual, np.floor(np.log2(np.where(usual, size, _full(size, 1)))) + 1, _full(size, 0))
    for _ in range(2):
        scaled: Any = _scaled(size, -exponent)
        more, less = usual & (scaled >= 1), usual & (scaled < 0.5)
        exponent = np.where(more, exponent + 1, np.where(less, exponent - 1, exponent))
    return _scaled(wide, -exponent).astype(value.dtype), exponent.astype(np.int32)


@composed(np.ldexp, arrays=("x1", "x2"), keeps_weak=True)
def ldexp(x1: Any, x2: Any) -> Any:
    """``x1 * 2**x2``, in two steps so that neither power leaves the range before the result does."""
    try:
        kind = np.ldexp.resolve_dtypes((marker(x1.value), marker(x2.value), None))[0]
    except TypeError as error:
        raise DtypeError(f"np.ldexp: {x1.value.aval} and {x2.value.aval}: {error}") from None
    wide = np.result_type(kind, np.float32)
    return _scaled(x1.astype(wide), x2.astype(wide)).astype(kind)


def _scaled(x: Any, exponent: Any) -> Any:
    half = np.floor(exponent / 2.0)
    return x * np.exp2(half) * np.exp2(exponent - half)
