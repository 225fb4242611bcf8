"""Airy's functions Ai and Bi and their slopes, as they are and scaled, in float64 of whatever dtype x is.

To the right of 0 they are ``exp(-zeta)`` or ``exp(zeta)``, zeta being ``2/3 x**1.5``, times a polynomial: for Ai one of
``sqrt(x)`` and beyond 2 one of ``1 / zeta``, for Bi beyond 4 one of ``1 / zeta``; up to 4 it is its series of powers,
all of whose terms are of one sign. To the left they are polynomials of x, and beyond -3 waves whose phase is zeta (DLMF
9.7, ``airy_tables.py``). The error of zeta is one of the result, however large zeta is: so it is a sum of two numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np

from gradc.errors import DtypeError
from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import Context, Op, register
from gradc.ops import airy_tables as tables
from gradc.ops.bessel import horner
from gradc.ops.elementwise import equal, greater, select, sqrt
from gradc.ops.helpers import evaluated

AT_ZERO: Final = {
    ("ai", False): 0.3550280538878172, ("ai", True): -0.2588194037928068,
    ("bi", False): 0.6149266274460007, ("bi", True): 0.4482883573538264,
}  # fmt: skip
"""The functions and slopes at 0."""
LEFT, MIDDLE_OF_AI, MIDDLE_OF_BI = 3.0, 2.0, 4.0
"""Where the waves begin, and the asymptotic forms."""
FURTHEST: Final = 2.0**28
"""Left of minus it the waves are NaN."""
_LEAST: Final = 2.0**-40
"""Below it ``exp(zeta)`` is 1."""
_ENDED: Final = 128.0
"""From it on Ai is 0 and Bi infinite, as exponentials are there whose roots are numbers."""
_TERMS: Final = 19
_SPLIT: Final = 2.0**27 + 1.0


def _phase(b: Any, size: Any) -> tuple[Any, Any]:
    """``2/3 size**1.5`` as a sum of two numbers, the smaller one within half a unit of the larger."""
    root = b.sqrt(size)
    high, low = _halves(b, root)
    rest = b.sub(b.sub(b.sub(size, b.mul(high, high)), b.mul(b.mul(2.0, high), low)), b.mul(low, low))
    first, second = _halves(b, size)
    product = b.mul(size, root)
    error = b.sub(b.mul(first, high), product)
    for one, other in ((first, low), (second, high), (second, low)):
        error = b.add(error, b.mul(one, other))
    large = b.mul(product, 2.0 / 3.0)
    excess = b.sub(b.mul(2.0, b.sub(product, large)), large)
    small = b.add(excess, b.add(b.mul(2.0, error), b.mul(b.div(size, root), rest)))
    return large, b.mul(small, 1.0 / 3.0)


def _halves(b: Any, x: Any) -> tuple[Any, Any]:
    """Two numbers of 26 bits whose sum is x (T. J. Dekker, 1971)."""
    spread = b.mul(x, _SPLIT)
    high = b.sub(spread, b.sub(spread, x))
    return high, b.sub(x, high)


def _series(slope: bool) -> tuple[list[float], list[float]]:
    """Of Bi or its slope over powers of ``(x / 4)**3``, apart from x or its square: DLMF 9.4.3."""
    scale = Fraction(int(MIDDLE_OF_BI) ** 3)
    found = []
    for first in (0, 1):
        term, powers = Fraction(1), []
        for k in range(_TERMS + 1):
            power = 3 * k + first
            powers.append(term * (power if slope else 1) * scale**k)
            term /= (power + 2) * (power + 3)
        constant = Fraction(AT_ZERO["bi", bool(first)])
        found.append([float(constant * value) for value in powers])
    return found[0], found[1]


def _growth_near(b: Any, x: Any, slope: bool) -> Any:
    """Bi or its slope from 0 to 4."""
    even, odd = _series(slope)
    part = b.mul(x, 1.0 / MIDDLE_OF_BI)
    cube = b.mul(b.mul(part, part), part)
    if slope:  # the first power of the even part has the slope 0
        square = b.mul(b.mul(part, part), 1.0 / MIDDLE_OF_BI)
        return b.add(b.mul(horner(b, cube, even[1:]), square), horner(b, cube, odd))
    return b.add(horner(b, cube, even), b.mul(horner(b, cube, odd), x))


def _asymptotic(b: Any, x: Any, slope: bool, middle: float, table: Sequence[float]) -> Any:
    """Without its exponential: a polynomial of ``(middle / x)**1.5`` over, or times, the fourth root of x."""
    part = b.div(middle, x)
    place = b.mul(part, b.sqrt(part))
    total = horner(b, b.sub(b.mul(2.0, place), 1.0), table[::-1])
    quarter = b.sqrt(b.sqrt(x))
    return b.mul(total, quarter) if slope else b.div(total, quarter)


def _right(b: Any, x: Any, kind: str, slope: bool, scaled: bool) -> Any:
    """Of numbers that are not negative."""
    within = b.minimum(x, _ENDED)
    large, small = _phase(b, b.maximum(within, _LEAST))
    x = x if scaled else within
    if kind == "ai":
        place = b.sub(b.mul(b.sqrt(b.minimum(x, MIDDLE_OF_AI)), math.sqrt(2.0)), 1.0)
        near = horner(b, place, (tables.AI_NEAR, tables.AI_SLOPE_NEAR)[slope][::-1])
        far = _asymptotic(
            b, b.maximum(x, MIDDLE_OF_AI), slope, MIDDLE_OF_AI, (tables.AI_FAR, tables.AI_SLOPE_FAR)[slope]
        )
        found = b.select(b.le(x, MIDDLE_OF_AI), near, far)
        return found if scaled else _times_exponential(b, found, b.neg(large), b.neg(small))
    near = _growth_near(b, b.minimum(x, MIDDLE_OF_BI), slope)
    far = _asymptotic(b, b.maximum(x, MIDDLE_OF_BI), slope, MIDDLE_OF_BI, (tables.BI_FAR, tables.BI_SLOPE_FAR)[slope])
    if scaled:
        near = _times_exponential(b, near, b.neg(large), b.neg(small))
    else:
        far = _times_exponential(b, far, large, small)
    return b.select(b.le(x, MIDDLE_OF_BI), near, far)


def _times_exponential(b: Any, x: Any, large: Any, small: Any) -> Any:
    """``x exp(large + small)``, which may be in the range of numbers where the exponential is not."""
    root = b.exp(b.mul(large, 0.5))
    return b.mul(b.mul(b.mul(x, root), b.add(1.0, small)), root)


def _left(b: Any, size: Any, kind: str, slope: bool) -> Any:
    """Of the numbers ``-size`` that are not positive."""
    name = f"{kind.upper()}_SLOPE_LEFT" if slope else f"{kind.upper()}_LEFT"
    place = b.sub(b.mul(b.minimum(size, LEFT), 2.0 / LEFT), 1.0)
    near = horner(b, place, getattr(tables, name)[::-1])
    high = b.minimum(b.maximum(size, LEFT), FURTHEST)
    large, small = _phase(b, high)
    square = b.mul(small, small)
    rest = b.sub(small, b.mul(b.mul(square, small), 1.0 / 6.0))
    less = b.mul(square, b.sub(0.5, b.mul(square, 1.0 / 24.0)))
    sine, cosine = b.sin(large), b.cos(large)
    sine, cosine = (
        b.add(sine, b.sub(b.mul(cosine, rest), b.mul(sine, less))),
        b.sub(cosine, b.add(b.mul(sine, rest), b.mul(cosine, less))),
    )
    total, difference = b.add(sine, cosine), b.sub(sine, cosine)
    part = b.div(LEFT, high)
    root = b.mul(part, b.sqrt(part))
    place = b.sub(b.mul(b.mul(root, root), 2.0), 1.0)
    even = horner(b, place, (tables.P, tables.R)[slope][::-1])
    odd = b.mul(horner(b, place, (tables.Q, tables.S)[slope][::-1]), root)
    if slope == (kind == "bi"):
        wave = b.add(b.mul(even, total), b.mul(odd, difference))
    else:
        wave = b.sub(b.mul(even, difference), b.mul(odd, total))
        wave = wave if slope else b.neg(wave)
    quarter = b.sqrt(b.sqrt(high))
    wave = b.mul(wave, 1.0 / math.sqrt(2.0 * math.pi))
    far = b.mul(wave, quarter) if slope else b.div(wave, quarter)
    limit = math.nan if slope else b.select(b.eq(size, math.inf), 0.0, b.constant(math.nan, np.float64))
    return b.select(b.le(size, LEFT), near, b.select(b.le(size, FURTHEST), far, limit))


def _loops(b: Any, x: Any, *, kind: str, slope: bool, scaled: bool) -> Any:
    z = b.convert(x, np.float64)
    size = b.abs(z)
    right = _right(b, size, kind, slope, scaled)
    left = b.constant(math.nan, np.float64) if scaled and kind == "ai" else _left(b, size, kind, slope)
    found = b.select(b.lt(z, 0.0), left, right)
    return b.convert(b.select(b.isnan(z), z, found), x.dtype)


def _infer(x: Aval, *, kind: str, slope: bool, scaled: bool) -> Aval:
    if x.dtype.kind != "f":
        raise DtypeError(f"airy: {x} is not of a floating-point dtype")
    return Aval(x.shape, x.dtype)


def _partial(c: Context) -> Value:
    """The slope, or of a slope ``x`` times the function; where they are scaled, that of the factor is added."""
    (x,) = c.operands
    kind, slope, scaled = c.params["kind"], c.params["slope"], c.params["scaled"]
    found = airy(x, kind=kind, slope=not slope, scaled=scaled)
    zero = x.builder.full(0.0, x.aval)
    if slope:
        found = x * found
        if kind == "ai" and not scaled:
            found = select(equal(x, x.builder.full(math.inf, x.aval)), zero, found)
    if not scaled:
        return found
    if kind == "ai":
        return found + sqrt(x) * c.result
    positive = greater(x, zero)
    root = select(positive, sqrt(select(positive, x, x.builder.full(1.0, x.aval))), zero)
    return found - root * c.result


def _latex(params: dict[str, Any]) -> str:
    name = rf"\operatorname{{{{{params['kind'].capitalize()}}}}}{chr(39) * params['slope']}"
    sign = "-" if params["kind"] == "bi" else ""
    factor = rf"e^{{{{{sign}\frac{{{{2}}}}{{{{3}}}} {{0}}^{{{{3/2}}}}}}}} " if params["scaled"] else ""
    return rf"{factor}{name}\left({{0}}\right)"


def _text(params: dict[str, Any]) -> str:
    return f"{'scaled ' * params['scaled']}{params['kind'].capitalize()}{chr(39) * params['slope']}({{0}})"


airy: Op = register(
    Op(
        "airy",
        _infer,
        evaluated("_airy"),
        lambda params, result, x: (
            f'_airy({{0}}, "{params["kind"]}", slope={params["slope"]}, scaled={params["scaled"]})'
        ),
        loops=_loops,
        partials=lambda c: [_partial(c)],
        elementwise=True,
        flops=lambda result, *avals, **params: result.size * 300,
        latex=_latex,
        text=_text,
    )
)
"""Airy's function of a ``kind``, "ai" or "bi", or its ``slope``.

``scaled`` are Ai times ``exp(2/3 x**1.5)``, NaN to the left of 0, and to the right of it Bi over that.
"""
