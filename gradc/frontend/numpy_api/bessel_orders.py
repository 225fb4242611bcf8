"""Bessel functions of the first kind of higher orders, J and I, in float64 of whatever dtype the numbers are.

J of whole orders n: up to n Miller's recurrence downwards, made of products so that it is a power series at 0 too, and
beyond n the recurrence upwards (DLMF 3.6, 10.6.1). I of real orders: up to 4 its series of powers (10.25.2), beyond
it Debye's uniform expansion of orders from 20 on (10.41.3), and the recurrence down from there (10.29.1). What neither
cancels is differentiated as it stands.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any, Final

import numpy as np

from gradc.frontend.numpy_api.notation import Array
from gradc.ops import bessel_waves

_NEAR: Final = 4.0
"""Up to here I is its series of powers, of which ``_POWERS`` terms are enough."""
_POWERS: Final = 24
_ALTERNATING: Final = 10
"""How many terms of the series of spherical functions are enough below 1."""
_UNIFORM: Final = 20.0
"""From this order on ``_DEBYE`` terms of the uniform expansion are enough."""
_DEBYE: Final = 12


def first_kind(order: int, x: Any) -> Any:
    """``J_n(x)`` of a whole order above 1.

    Within 4 + n units of 2**-52 of the value up to n, and beyond of the wave's size.
    """
    is_near = np.abs(x) <= order
    near = _downwards(order, np.where(is_near, x, 0.0))
    size = np.where(is_near, float(order), np.abs(x))
    far = np.where(size == math.inf, 0.0, _upwards(order, size))
    return np.where(is_near, near, np.where(x < 0, -far, far) if order % 2 else far)


def _upwards(order: int, x: Any) -> Any:
    before, found = [Array(op(x.value)) for op in (bessel_waves.j0, bessel_waves.j1)]
    for k in range(1, order):
        before, found = found, (2.0 * k) / x * found - before
    return found


def _downwards(order: int, x: Any) -> Any:
    """Up to n, where no quotient of neighbours has a pole.

    With ``t(k) = (x / 2)**k / k!`` the factors ``e(k) = J(k) t(n) / (J(n) t(k))`` for k up to n, and the quotients
    ``q(k) = J(k + 1) / (x J(k))`` beyond, have recurrences, the latter from a start whose choice does not matter. J(n)
    is what makes ``J(0) + 2 J(2) + 2 J(4) + ...`` equal to 1.
    """
    square = x * x
    # J falls as Airy's function, with the unit (n / 2)**(1/3): nine of them are 2**-52 of it, squared.
    highest = order + 14 + int(11 * (order / 2) ** (1 / 3))
    quotients = {highest: 0.0 * x}
    for k in range(highest, order, -1):
        quotients[k - 1] = 1.0 / (2.0 * k - square * quotients[k])
    total, above = (0.0 if order % 2 else 2.0) + 0.0 * x, 1.0 + 0.0 * x
    for k in range(order, highest):
        above = above * (x * quotients[k])
        total = total if k % 2 == 0 else total + 2.0 * above
    powers = [1.0 + 0.0 * x, 0.5 * x]
    for k in range(2, order + 1):
        powers.append(powers[k - 2] * square * (0.25 / (k * (k - 1))))
    total = total * powers[order]
    higher, found = quotients[order] * (2.0 * (order + 1)), powers[0]
    for k in range(order, 0, -1):
        higher, found = found, found - square * (0.25 / (k * (k + 1))) * higher
        if k % 2:
            total = total + (2.0 * powers[k - 1] if k > 1 else 1.0) * found
    return powers[order] / total


def spherical_first_kind(order: int, x: Any) -> Any:
    """``j_n(x)``, the spherical function of a whole order: within 4 + n units of 2**-52 as ``first_kind``.

    Up to n the recurrence downwards (10.51.1) with ``e(k) = j(k) (2k + 1)!! / x**k``, beyond it upwards, from the
    orders 0 and 1, which have no zero in common.
    """
    if order < 2:
        return _spherical_one(x) if order else _spherical_zero(x)
    is_near = np.abs(x) <= order
    low = np.where(is_near, x, 1.0)
    square = low * low
    highest = order + 14 + int(11 * (order / 2) ** (1 / 3))
    factors = {highest + 1: 0.0 * low, highest: 1.0 + 0.0 * low}
    for k in range(highest, 0, -1):
        factors[k - 1] = factors[k] - square * (1.0 / ((2 * k + 1) * (2 * k + 3))) * factors[k + 1]
    first, second = _spherical_zero(low), _spherical_one(low)
    by_first = np.abs(first) >= np.abs(second)
    one = 1.0 + 0.0 * low
    scale = np.where(
        by_first,
        first / np.where(by_first, factors[0], one),
        3.0 * second / np.where(by_first, one, low * factors[1]),
    )
    near = factors[order] * scale
    for k in range(1, order + 1):
        near = near * low * (1.0 / (2 * k + 1))
    size = np.where(is_near, float(order), np.abs(x))
    before, far = _spherical_zero(size), _spherical_one(size)
    for k in range(1, order):
        before, far = far, (2.0 * k + 1.0) / size * far - before
    far = np.where(size == math.inf, 0.0, far)
    return np.where(is_near, near, np.where(x < 0, -far, far) if order % 2 else far)


def _spherical_zero(x: Any) -> Any:
    """``sin(x) / x``."""
    is_near, square, far = _around_zero(x)
    return np.where(is_near, _alternating(square, 1), np.where(np.abs(x) == math.inf, 0.0, np.sin(far) / far))


def _spherical_one(x: Any) -> Any:
    """``(sin(x) / x - cos(x)) / x``."""
    is_near, square, far = _around_zero(x)
    found = (np.sin(far) / far - np.cos(far)) / far
    return np.where(is_near, x / 3.0 * _alternating(square, 3), np.where(np.abs(x) == math.inf, 0.0, found))


def _around_zero(x: Any) -> tuple[Any, Any, Any]:
    """Whether x is below 1, its square there, and x elsewhere, where that is finite."""
    is_near = np.abs(x) < 1.0
    low = np.where(is_near, x, 0.0)
    return is_near, low * low, np.where(is_near | (np.abs(x) == math.inf), 1.0, x)


def _alternating(square: Any, odd: int) -> Any:
    """``j_n(x) (2n + 1)!! / x**n`` of the order ``(odd - 1) / 2``, by its series (10.53.1)."""
    total: Any = 0.0
    for k in range(_ALTERNATING, 0, -1):
        total = square * (-0.5 / (k * (odd + 2 * k))) * (1.0 + total)
    return 1.0 + total


def modified_first_kind(order: float, x: Any, *, scaled: bool) -> Any:
    """``I_v(x)`` of a real order of 0 or more, or ``exp(-|x|)`` times it; NaN of negative numbers unless it is whole.

    Within 40 + 2 v units of 2**-52, which the power of Debye's expansion costs.
    """
    size = np.abs(x)
    is_near = size <= _NEAR
    low = np.where(is_near, x, 1.0)
    near = _powers(order, low)
    far = _uniform(order, np.where(is_near, _NEAR, size))
    if scaled:
        near = near * np.exp(-np.abs(low))
        far = np.where(size == math.inf, 0.0, far)
    else:
        root = np.exp(0.5 * np.where(is_near, _NEAR, size))
        far = np.where(size == math.inf, size, far * root * root)
    if not order.is_integer():
        far = np.where(x < 0, math.nan, far)
    elif order % 2:
        far = np.where(x < 0, -far, far)
    return np.where(is_near, near, far)


def _powers(order: float, x: Any) -> Any:
    half = 0.5 * x
    square = half * half
    total: Any = 0.0
    for k in range(_POWERS, 0, -1):
        total = (total + 1.0) * square / (k * (order + k))
    power = half ** (int(order) if order.is_integer() else order)
    return power * (total + 1.0) / math.gamma(order + 1.0) if order else total + 1.0


def _uniform(order: float, x: Any) -> Any:
    """``exp(-x) I_v(x)`` of x from 4 on."""
    steps = max(0, math.ceil(_UNIFORM - order))
    found, higher = [_debye(order + steps + k, x) for k in (0, 1)]
    for k in range(steps, 0, -1):
        found, higher = 2.0 * (order + k) / x * found + higher, found
    return found


def _debye(order: float, x: Any) -> Any:
    z = x / order
    root = np.sqrt(1.0 + z * z)
    inverse = 1.0 / root
    square = inverse * inverse
    series: Any = 0.0
    for k in range(_DEBYE, -1, -1):
        polynomial: Any = 0.0
        for coefficient in reversed(_debye_polynomials()[k]):
            polynomial = polynomial * square + coefficient
        series = series * (inverse / order) + polynomial
    size = (z / (1.0 + root)) ** order * np.exp(order / (root + z))
    return size * np.sqrt(inverse) * (series / math.sqrt(2.0 * math.pi * order))


@functools.cache
def _debye_polynomials() -> list[list[float]]:
    """``U_k(p) / p**k`` by ``p**2``, its lowest power first (DLMF 10.41.9)."""
    found = [[Fraction(1)]]
    for k in range(_DEBYE):
        following = [Fraction(0)] * (k + 2)
        for j, coefficient in enumerate(found[-1]):
            power = k + 2 * j
            following[j] += coefficient * (Fraction(power, 2) + Fraction(1, 8 * (power + 1)))
            following[j + 1] -= coefficient * (Fraction(power, 2) + Fraction(5, 8 * (power + 3)))
        found.append(following)
    return [[float(coefficient) for coefficient in row] for row in found]
