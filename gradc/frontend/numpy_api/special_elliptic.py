"""The arithmetic-geometric mean, and the complete elliptic integrals that it gives (DLMF, 19.8.5 and 19.8.6).

Each step of the mean halves the logarithm of the ratio of both numbers, until it is small and is squared. So many
steps are enough for all numbers of f64, and derivatives of any order have settled as well.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from gradc.frontend.numpy_api.notation import filled
from gradc.frontend.numpy_api.special_notation import of_scipy, operands_of

_STEPS: Final = 15


def _means(second: Any, first: Any = None) -> tuple[Any, Any]:
    """The mean of positive numbers, and the sum of ``2**(n - 1)`` times the squares of half their differences.

    The first one is 1 where it is not given.
    """
    first = filled(second, 1.0) if first is None else first
    total: Any = 0.0
    for n in range(_STEPS):
        half = 0.5 * (first - second)
        first, second = 0.5 * (first + second), np.sqrt(first) * np.sqrt(second)
        total = total + (2.0**n * half) * half
    return first, total


def _in_f64(name: str, *given: Any) -> tuple[list[Any], Any]:
    """The operands in f64, and the dtype of the result."""
    operands = operands_of(name, *given)
    return [x.astype(np.float64) for x in operands], operands[0].dtype


@of_scipy("agm", "a", "b")
def agm(a: Any, b: Any) -> Any:
    """The arithmetic-geometric mean of numbers of one sign; NaN of others, 0 where one is 0."""
    (a, b), dtype = _in_f64("agm", a, b)
    largest = np.maximum(np.abs(a), np.abs(b))
    signs = np.sign(a) * np.sign(b)
    inside = (largest > 0.0) & (largest < np.inf) & (signs > 0.0)
    scale = np.where(inside, largest, 1.0)
    x, y = (np.where(inside, np.abs(z), 1.0) for z in (a, b))
    root = np.sqrt(scale)
    # The first step here: the quotient of both may be smaller than any number, that of their means is not.
    means = (np.sqrt(x) / root) * (np.sqrt(y) / root), 0.5 * (x / scale + y / scale)
    found = _means(*means)[0] * scale * np.sign(a)
    sign = np.sign(a + b)
    at_zero = sign * np.sqrt(a * sign) * np.sqrt(b * sign)  # 0, with an infinite slope by what is 0
    at_edge = np.where((a == 0.0) | (b == 0.0), np.where(largest < np.inf, at_zero, np.nan), a + b)
    edge = np.where(signs < 0.0, np.nan, np.where(np.isnan(a + b), a + b, at_edge))
    return np.where(inside, found, edge).astype(dtype)


def _first_kind(complement: Any) -> Any:
    """``K`` of ``1 - complement``, which is not negative."""
    usable = (complement > 0.0) & (complement < np.inf)
    root = np.sqrt(np.where(usable, complement, 1.0))
    found = 0.5 * math.pi / _means(root)[0]
    return np.where(usable, found, np.where(complement >= 0.0, 1.0 / complement, np.nan))  # infinite, or 0


@of_scipy("ellipk", "m")
def ellipk(m: Any) -> Any:
    """The complete elliptic integral of the first kind; infinity at 1, NaN beyond."""
    (m,), dtype = _in_f64("ellipk", m)
    return _first_kind(1.0 - m).astype(dtype)


@of_scipy("ellipkm1", "p")
def ellipkm1(p: Any) -> Any:
    """``ellipk(1 - p)``, precise near the pole."""
    (p,), dtype = _in_f64("ellipkm1", p)
    return _first_kind(p).astype(dtype)


@of_scipy("ellipe", "m")
def ellipe(m: Any) -> Any:
    """The complete elliptic integral of the second kind; 1 at 1, where its slope is infinite, NaN beyond.

    Above 1/2 by Legendre's relation with those of ``1 - m`` (DLMF, 19.7.1), as a sum in which nothing cancels; below 0
    by ``sqrt(1 - m) E(m / (m - 1))`` (19.7.2).
    """
    (m,), dtype = _in_f64("ellipe", m)
    usable = (m < 1.0) & (m > -np.inf)
    given = np.where(usable, m, 0.0)
    apart = 1.0 - given
    inside = np.where(given < 0.0, -given / apart, given)
    complement = np.where(given < 0.0, 1.0 / apart, apart)
    is_near = inside > 0.5
    beside = np.where(is_near, inside, 0.75)
    mean, total = _means(np.sqrt(complement))
    other, rest = _means(np.sqrt(beside))
    whole = 0.5 * math.pi / mean
    found = np.where(is_near, whole * (0.5 * complement + rest) + other, whole * (1.0 - 0.5 * inside - total))
    found = found * np.where(given < 0.0, np.sqrt(apart), 1.0)
    at_one = 1.0 + np.sqrt(1.0 - m)  # with an infinite slope
    return np.where(usable, found, np.where(m == 1.0, at_one, np.where(m < 0.0, -m, np.nan))).astype(dtype)
