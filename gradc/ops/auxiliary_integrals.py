"""Dawson's function, erfi, and the sine, cosine and Fresnel integrals, in float64 of whatever dtype x is.

Near 0 they are polynomials, and logarithms. Far away Dawson's is a polynomial of its asymptotic form, and the others
are a limit and waves, whose auxiliary functions f and g are polynomials (DLMF 6.2.17 to 6.2.20, 7.2.10, 7.5.3 and
7.5.4; the polynomials are in ``auxiliary_tables.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.ir.graph import Value
from gradc.ir.op import Context, Op
from gradc.ops import auxiliary_tables as tables
from gradc.ops.bessel import horner
from gradc.ops.elementwise import absolute, cos, exp, less, select, sin
from gradc.ops.special import special

_EULER: Final = 0.5772156649015329
_MIDDLE: Final = 4.0
_MIDDLE_OF_FRESNEL: Final = 1.5
_GRID: Final = 128.0
"""Squares of multiples of its inverse are exact."""
_LARGEST_ROOT: Final = 27.0
"""Beyond it the exponential of the square is infinite."""
_SPLITTER: Final = 2.0**27 + 1.0
_STILL: Final = {np.dtype(np.float64): 1e16, np.dtype(np.float32): 1e8}
"""From where on waves of Fresnel's integrals are below the last bit of 1/2."""


def _dawson(b: Any, size: Any) -> Any:
    """Dawson's function of numbers that are not negative."""
    low, high = b.minimum(size, _MIDDLE), b.maximum(size, _MIDDLE)
    square, part = b.mul(low, low), b.div(_MIDDLE, high)
    near = b.mul(low, horner(b, b.sub(b.mul(square, 0.125), 1.0), tables.DAWSON[::-1]))
    near = b.div(near, b.add(b.mul(square, 2.0), 1.0))
    far = horner(b, b.sub(b.mul(b.mul(part, part), 2.0), 1.0), tables.DAWSON_FAR[::-1])
    far = b.div(b.mul(far, 0.5), high)
    return b.select(b.le(size, _MIDDLE), near, far)


def _odd(b: Any, x: Any, z: Any, found: Any) -> Any:
    """An odd function that is ``found`` of the size of z; NaN of NaN."""
    return b.convert(b.select(b.isnan(z), z, b.copysign(found, z)), x.dtype)


def _loops_dawsn(b: Any, x: Any) -> Any:
    z = b.convert(x, np.float64)
    return _odd(b, x, z, _dawson(b, b.abs(z)))


def _loops_erfi(b: Any, x: Any) -> Any:
    """By the exponential of the square as a product of two, of a square that is exact and of what is left of it."""
    z = b.convert(x, np.float64)
    size = b.minimum(b.abs(z), _LARGEST_ROOT)
    near = b.div(b.floor(b.add(b.mul(size, _GRID), 0.5)), _GRID)
    rest = b.sub(size, near)
    root = b.exp(b.mul(b.mul(near, near), 0.5))
    other = b.exp(b.add(b.mul(b.mul(near, rest), 2.0), b.mul(rest, rest)))
    found = b.mul(b.mul(_dawson(b, size), 2.0 / math.sqrt(math.pi)), other)
    return _odd(b, x, z, b.mul(b.mul(found, root), root))


# Sine and cosine integrals.


def _mapped(b: Any, v: Any) -> Any:
    """``(v - 2) / (v + 2)`` from -1/3 to 1 as a number from -1 to 1."""
    return b.sub(b.mul(b.sub(1.0, b.div(4.0, b.add(v, 2.0))), 1.5), 0.5)


def _waves_of_si(b: Any, high: Any) -> tuple[Any, Any]:
    """The auxiliary functions from 4 on."""
    place = _mapped(b, b.mul(high, 1.0 / _MIDDLE))
    f = b.div(horner(b, place, tables.F_OF_SI[::-1]), high)
    return f, b.div(b.div(horner(b, place, tables.G_OF_SI[::-1]), high), high)


def _loops_sine_integral(b: Any, x: Any) -> Any:
    z = b.convert(x, np.float64)
    size = b.abs(z)
    low, high = b.minimum(size, _MIDDLE), b.maximum(size, _MIDDLE)
    near = b.mul(low, horner(b, b.sub(b.mul(b.mul(low, low), 0.125), 1.0), tables.SI[::-1]))
    f, g = _waves_of_si(b, high)
    far = b.sub(math.pi / 2, b.add(b.mul(f, b.cos(high)), b.mul(g, b.sin(high))))
    far = b.select(b.eq(size, math.inf), math.pi / 2, far)
    return _odd(b, x, z, b.select(b.le(size, _MIDDLE), near, far))


def _loops_cosine_integral(b: Any, x: Any) -> Any:
    z = b.convert(x, np.float64)
    size = b.abs(z)
    low, high = b.minimum(size, _MIDDLE), b.maximum(size, _MIDDLE)
    square = b.mul(low, low)
    near = b.mul(square, horner(b, b.sub(b.mul(square, 0.125), 1.0), tables.CI[::-1]))
    near = b.add(near, b.add(b.log(low), _EULER))
    f, g = _waves_of_si(b, high)
    far = b.sub(b.mul(f, b.sin(high)), b.mul(g, b.cos(high)))
    end = b.select(b.lt(z, 0.0), b.constant(math.nan, np.float64), b.constant(0.0, np.float64))
    far = b.select(b.eq(size, math.inf), end, far)
    found = b.select(b.eq(size, 0.0), -math.inf, b.select(b.le(size, _MIDDLE), near, far))
    return b.convert(b.select(b.isnan(z), z, found), x.dtype)


def _slope_of_si(c: Context) -> Value:
    """``sin(x) / x``, below 1 its series, so that it is exact at 0 at every order."""
    (x,) = c.operands
    one = x.builder.full(1.0, x.aval)
    near = less(absolute(x), one)
    series: Any = x.builder.full(0.0, x.aval)
    for k in range(11, -1, -1):
        series = series * (x * x) + (-1) ** k / math.factorial(2 * k + 1)
    return select(near, series, sin(x) / select(near, one, x))


# Fresnel integrals.


def _waves_of_fresnel(b: Any, high: Any) -> tuple[Any, Any, Any, Any]:
    """The auxiliary functions from 3/2 on, and cosine and sine of ``pi/2 x**2``, whose square is a sum of three."""
    scaled = b.mul(high, 1.0 / _MIDDLE_OF_FRESNEL)
    place = _mapped(b, b.mul(scaled, scaled))
    f = b.div(horner(b, place, tables.F[::-1]), b.mul(high, math.pi))
    g = b.div(horner(b, place, tables.G[::-1]), b.mul(high, math.pi**2))
    g = b.div(b.div(g, high), high)
    far = b.mul(high, _SPLITTER)
    main = b.sub(far, b.sub(far, high))  # T. J. Dekker's splitting: its square is exact
    rest = b.sub(high, main)
    turns: Any = b.mul(rest, rest)
    for part in (b.mul(b.mul(main, rest), 2.0), b.mul(main, main)):
        turns = b.add(turns, b.sub(part, b.mul(b.floor(b.mul(part, 0.25)), 4.0)))
    angle = b.mul(turns, math.pi / 2)
    return f, g, b.cos(angle), b.sin(angle)


def _fresnel(of_sine: bool) -> Callable[..., Any]:
    def loops(b: Any, x: Any) -> Any:
        z = b.convert(x, np.float64)
        size = b.abs(z)
        low = b.minimum(size, _MIDDLE_OF_FRESNEL)
        high = b.minimum(b.maximum(size, _MIDDLE_OF_FRESNEL), _STILL.get(x.dtype, 1e8))
        square = b.mul(low, low)
        place = b.sub(b.mul(b.mul(square, square), 2.0 / _MIDDLE_OF_FRESNEL**4), 1.0)
        near = b.mul(low, horner(b, place, (tables.S if of_sine else tables.C)[::-1]))
        near = b.mul(near, square) if of_sine else near
        f, g, cosine, sine = _waves_of_fresnel(b, high)
        wave = b.add(b.mul(f, cosine), b.mul(g, sine)) if of_sine else b.sub(b.mul(g, cosine), b.mul(f, sine))
        return _odd(b, x, z, b.select(b.le(size, _MIDDLE_OF_FRESNEL), near, b.sub(0.5, wave)))

    return loops


def _turned(c: Context) -> Value:
    (x,) = c.operands
    return (x * x) * (math.pi / 2)


def _integral(
    name: str, loops: Callable[..., Any], slope: Callable[[Context], Any], latex: str, *, captured: bool = False
) -> Op:
    return special(name, lambda c: [slope(c)], loops, latex, flops=150, captured=captured)


dawsn = _integral(
    "dawsn", _loops_dawsn, lambda c: 1.0 - c.operands[0] * c.result * 2.0, r"F\left({0}\right)", captured=True
)
erfi = _integral(
    "erfi",
    _loops_erfi,
    lambda c: exp(c.operands[0] * c.operands[0]) * (2.0 / math.sqrt(math.pi)),
    r"\operatorname{{erfi}}\left({0}\right)",
    captured=True,
)
sine_integral = _integral("sine_integral", _loops_sine_integral, _slope_of_si, r"\operatorname{{Si}}\left({0}\right)")
cosine_integral = _integral(
    "cosine_integral",
    _loops_cosine_integral,
    lambda c: cos(c.operands[0]) / c.operands[0],
    r"\operatorname{{Ci}}\left({0}\right)",
)
fresnel_sine = _integral("fresnel_sine", _fresnel(True), lambda c: sin(_turned(c)), r"S\left({0}\right)")
fresnel_cosine = _integral("fresnel_cosine", _fresnel(False), lambda c: cos(_turned(c)), r"C\left({0}\right)")
