"""The series and continued fractions of the incomplete gamma and beta functions, which ``gradc.ops`` makes them of.

Each is computed from its last term back to the first. Long ones stand as loops; they have no bounds of their own,
docs/math.md has those of the functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from gradc.backends.math.formula import Formula
from gradc.backends.math.term import Term

TERMS: Final = 64
"""Of the series, for x up to ``a + 1``, and a up to 30."""
LEVELS: Final = 76
"""Of Legendre's continued fraction beyond it."""
BETA_LEVELS: Final = 48
"""Of the continued fraction of the incomplete beta function."""
FEWER: Final = 4
SETTLED: Final = 1e-13
"""How near it is to the one of so many levels less."""
ORDER: Final = 14
"""Of the expansion around the mean of the beta distribution: the highest power."""


def gamma_series(f: Formula, a: Term, x: Term) -> Term:
    """``1 + x / (a + 1) (1 + x / (a + 2) (...))`` (DLMF 8.7.1)."""
    (total,) = f.repeat(TERMS, [f.number(1.0)], lambda k, total: [1.0 + x * total / (a + k)])
    return total


def gamma_fraction(f: Formula, a: Term, x: Term) -> Term:
    """``1 / (x + 1 - a - (1 - a) / (x + 3 - a - 2 (2 - a) / (...)))`` (DLMF 8.9.2)."""
    start = x + 1.0 - a

    def step(k: Term, found: Term) -> list[Term]:
        return [(start + 2.0 * (k - 1.0)) - (k - a) * k / found]

    (found,) = f.repeat(LEVELS, [start + 2.0 * LEVELS], step)
    return 1.0 / found


def beta_fraction(f: Formula, a: Term, b: Term, x: Term, y: Term) -> Term:
    """``1 / (beta(0) + alpha(1) / (beta(1) + alpha(2) / (...)))`` of A. R. Didonato and A. H. Morris.

    NaN where it is not the same from 4 levels less on. ``y`` is ``1 - x``.
    """
    size, above = a + b, y + 1.0
    distance = (a * y - b * x) + 1.0

    def step(n: Term, most: Term, fewer: Term) -> list[Term]:
        level, factor = part(n)
        return [level + factor / most, f.select(n >= BETA_LEVELS - FEWER, level, level + factor / fewer)]

    def part(n: Term) -> tuple[Term, Term]:
        """``beta(n)`` for n above 0, and ``alpha(n + 1)``."""
        odd = a + (2.0 * n + 1.0)
        ratio = (a + n) / odd
        level = ratio * (distance + above * n) + ((b - n) * x * (n / (odd - 2.0)) + n)
        return level, (size + n) * (b - (n + 1.0)) * (ratio * (x / odd) * x) * (n + 1.0)

    last, _ = part(f.number(float(BETA_LEVELS)))
    most, fewer = f.repeat(BETA_LEVELS - 1, [last, last], step)
    odd = a + 1.0
    ratio = a / odd
    level, factor = ratio * distance, size * (b - 1.0) * (ratio * (x / odd) * x)
    most, fewer = level + factor / most, level + factor / fewer
    settled = f.abs(most - fewer) <= f.abs(most) * SETTLED
    return f.select(settled, 1.0 / most, math.nan)


def beta_middle(f: Formula, ratio: Term, step: Term, place: Term, tail: Term) -> Term:
    """``exp(z**2)`` times the integral of ``exp(-t**2) g(step t)`` from z, ``place``, to infinity.

    With a the smaller order, ``ratio`` = a / b, and ``x = a / (a + b) (1 + m)``, the density is a bell in V, where
    ``m dm = V (1 + m) (1 - ratio m) dV`` (N. M. Temme, SIAM J. Math. Anal. 10, 1979; DLMF 8.18.9), and g is ``V / m``:
    ``g - V g' = g (g + V) (g - ratio V)``, which gives its powers one after the other. Those of t are integrated by
    parts. ``tail`` is the integral of the bell alone.
    """
    skew, square = (1.0 - ratio) * step, ratio * (step * step)
    powers, squares = [f.number(1.0)], [f.number(1.0)]
    for n in range(1, ORDER + 1):
        inner = _product(f, powers, powers, n)
        rest = skew * squares[n - 1]
        if n > 1:
            rest = f.fma(-square, powers[n - 2], rest) + inner + _product(f, powers, squares, n)
        power = rest * (-1.0 / (n + 2))
        powers.append(power)
        squares.append(2.0 * power if n == 1 else 2.0 * power + inner)
    integrals, factor = [tail, f.number(0.5)], f.number(0.5)
    for n in range(2, ORDER + 1):
        factor = factor * place
        integrals.append(f.fma(integrals[n - 2], 0.5 * (n - 1), factor))
    total = powers[ORDER] * integrals[ORDER]
    for n in range(ORDER - 1, -1, -1):
        total = f.fma(powers[n], integrals[n], total)
    return total


def _product(f: Formula, one: Sequence[Term], other: Sequence[Term], n: int) -> Term:
    """The power n of the product of two series, but for what the highest ones give."""
    total = f.number(0.0)
    for k in range(1, n):
        total = f.fma(one[k], other[n - k], total)
    return total
