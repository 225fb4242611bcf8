"""How ``fit_polynomials.py`` fits: by interpolation at Chebyshev nodes, in the digits of mpmath."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mpmath import mp, mpf


@dataclass(frozen=True)
class Fit:
    """A polynomial of ``degree`` for ``function`` on ``low`` to ``high``."""

    meaning: str
    function: Callable[[Any], Any]
    low: Any
    high: Any
    degree: dict[str, int]


def nearest(value: Any, dtype: str) -> float:
    """The number of ``dtype`` nearest to a value."""
    double = float(value)
    return double if dtype == "f64" else float(struct.unpack("<f", struct.pack("<f", double))[0])


def polynomial(fit: Fit, degree: int) -> list[Any]:
    """The coefficients, that of the constant first."""
    nodes = [mp.cos(mp.pi * (2 * k + 1) / (2 * degree + 2)) for k in range(degree + 1)]
    points = [(fit.low + fit.high) / 2 + (fit.high - fit.low) / 2 * node for node in nodes]
    divided = [fit.function(point if abs(point) > mpf(10) ** -20 else mpf(10) ** -20) for point in points]  # not 0 / 0
    for order in range(1, degree + 1):
        for k in range(degree, order - 1, -1):
            divided[k] = (divided[k] - divided[k - 1]) / (points[k] - points[k - order])
    result = [divided[degree]]
    for k in range(degree - 1, -1, -1):  # Newton's form to powers: multiply by (x - points[k]) and add
        result = [mpf(0), *result]
        for j in range(len(result) - 1):
            result[j] -= points[k] * result[j + 1]
        result[0] += divided[k]
    return result


def tangent(above: int, below: int) -> tuple[list[Any], list[Any]]:
    """A and B of so many coefficients, for which ``(1 + z A) / (1 - z / 2 + z**2 B)`` is right at Chebyshev nodes."""
    count, end = above + below, (mp.pi / 4) ** 2 * (1 + mpf(2) ** -10)
    rows, values = mp.matrix(count), mp.matrix(count, 1)
    for k in range(count):
        z = end / 2 * (1 + mp.cos(mp.pi * (2 * k + 1) / (2 * count)))
        ratio = mp.tan(mp.sqrt(z)) / mp.sqrt(z)
        rows[k, :] = mp.matrix([[*(z**j for j in range(above)), *(-ratio * z ** (j + 1) for j in range(below))]])
        values[k] = (ratio - 1) / z - ratio / 2
    found = list(mp.lu_solve(rows, values))
    return found[:above], found[above:]


def cut(value: Any, bits: int) -> float:
    """The leading ``bits`` of a value: its product with a number of few bits is exact."""
    exponent = int(mp.floor(mp.log(value, 2))) + 1 - bits
    return float(mp.floor(mp.ldexp(value, -exponent)) * mp.mpf(2) ** exponent)
