"""The series and continued fractions of the incomplete gamma and beta functions, which ``gradc.ops`` makes them of.

Each is computed from its last term back to the first. Long ones stand as loops; they have no bounds of their own,
docs/math.md has those of the functions. In f32 they have as many terms as that needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from gradc.backends.math.formats import F32
from gradc.backends.math.formula import Formula
from gradc.backends.math.term import Term
from gradc.ops.incomplete_tables import LGAMMA1P, TEMME

TERMS: Final = {"f64": 64, "f32": 40}
"""Of the series, for x up to ``a + 1``, and a up to 30."""
LEVELS: Final = {"f64": 76, "f32": 20}
"""Of Legendre's continued fraction beyond it."""
BETA_LEVELS: Final = {"f64": 48, "f32": 28}
"""Of the continued fraction of the incomplete beta function."""
FEWER: Final = 4
SETTLED: Final = {"f64": 1e-13, "f32": 1e-6}
"""How near it is to the one of so many levels less."""
ORDER: Final = 14
"""Of the expansion around the mean of the beta distribution: the highest power."""
AREA_TERMS: Final = {"f64": 17, "f32": 8}
COMPLEMENT_TERMS: Final = {"f64": 21, "f32": 13}
STIRLING: Final = tuple(
    numerator / denominator
    for numerator, denominator in ((1, 12), (-1, 360), (1, 1260), (-1, 1680), (1, 1188), (-691, 360360))
)
"""``log(gamma(a))`` less its asymptotic form, by ``a**-2``, over a (DLMF 5.11.1)."""
NEEDED: Final = {"f64": 0.0, "f32": 1e-9}
"""How large the terms of a polynomial are that count."""
LOWEST_ORDER: Final = 30.0
WIDEST: Final = 0.65
"""Of Temme's expansion of incomplete gamma functions: the lowest a, and the largest eta."""


def gamma_series(f: Formula, a: Term, x: Term) -> Term:
    """``1 + x / (a + 1) (1 + x / (a + 2) (...))`` (DLMF 8.7.1)."""
    (total,) = f.repeat(TERMS[f.form.name], [f.number(1.0)], lambda k, total: [1.0 + x * total / (a + k)])
    return total


def gamma_fraction(f: Formula, a: Term, x: Term) -> Term:
    """``1 / (x + 1 - a - (1 - a) / (x + 3 - a - 2 (2 - a) / (...)))`` (DLMF 8.9.2)."""
    start, levels = (x - a) + 1.0, LEVELS[f.form.name]

    def step(k: Term, found: Term) -> list[Term]:
        return [(start + 2.0 * (k - 1.0)) - (k - a) * k / found]

    (found,) = f.repeat(levels, [start + 2.0 * levels], step)
    return 1.0 / found


def area_series(f: Formula, z: Term) -> Term:
    """``1 / 3 + z / 5 + z**2 / 7 + ...`` for z up to 1/9: of an area tangent (DLMF 4.38.5)."""
    return f.horner([1.0 / (2 * k + 3) for k in range(AREA_TERMS[f.form.name])], z)


def stirling(f: Formula, a: Term) -> Term:
    """What the logarithm of gamma has over its asymptotic form, of a from 10 on."""
    inverse = 1.0 / a
    return inverse * f.horner(STIRLING[: 3 if f.form is F32 else None], inverse * inverse)


def log_gamma_bend(f: Formula, a: Term) -> Term:
    """``(log(gamma(1 + a)) / a + gamma) / a`` for a from 0 to 1, where gamma is Euler's constant."""
    return f.horner(_short(f, LGAMMA1P[::-1], 1.0, 1.0), 2.0 * a - 1.0)


def gamma_complement(f: Formula, a: Term, x: Term) -> Term:
    """``sum((-x)**n / (n! (a + n)))`` over n from 1 on, for x up to 2 (DLMF 8.7.1)."""
    terms = COMPLEMENT_TERMS[f.form.name]
    total = 1.0 / (a + float(terms))
    for n in range(terms - 1, 0, -1):
        total = f.fma(x * (-1.0 / (n + 1)), total, 1.0 / (a + float(n)))
    return -(x * total)


def gamma_middle(f: Formula, a: Term, eta: Term) -> Term:
    """``sum(c(k, eta) a**-k)`` of Temme's expansion (DLMF 8.12.7)."""
    total: Term | None = None
    for k, row in reversed([*enumerate(TEMME)]):
        short = _short(f, row[::-1], WIDEST, LOWEST_ORDER**k)
        if short:
            part = f.horner(short, eta) if len(short) > 1 else f.number(short[0])
            total = part if total is None else total / a + part
    assert total is not None
    return total


def _short(f: Formula, powers: Sequence[float], widest: float, least: float) -> list[float]:
    """A polynomial of numbers up to ``widest``, over ``least``, without the highest powers that do not count."""
    counting = [n for n, c in enumerate(powers) if abs(c) * widest**n > NEEDED[f.form.name] * least]
    return list(powers[: counting[-1] + 1]) if counting else []


def beta_fraction(f: Formula, a: Term, b: Term, x: Term, y: Term) -> Term:
    """``1 / (beta(0) + alpha(1) / (beta(1) + alpha(2) / (...)))`` of A. R. Didonato and A. H. Morris.

    NaN where it is not the same from 4 levels less on. ``y`` is ``1 - x``.
    """
    size, above, levels = a + b, y + 1.0, BETA_LEVELS[f.form.name]
    distance = (a * y - b * x) + 1.0

    def step(n: Term, most: Term, fewer: Term) -> list[Term]:
        level, factor = part(n)
        return [level + factor / most, f.select(n >= float(levels - FEWER), level, level + factor / fewer)]

    def part(n: Term) -> tuple[Term, Term]:
        """``beta(n)`` for n above 0, and ``alpha(n + 1)``."""
        odd = a + (2.0 * n + 1.0)
        ratio = (a + n) / odd
        level = ratio * (distance + above * n) + ((b - n) * x * (n / (odd - 2.0)) + n)
        return level, (size + n) * (ratio * (x / odd) * x) * (b - (n + 1.0)) * (n + 1.0)

    last, _ = part(f.number(float(levels)))
    most, fewer = f.repeat(levels - 1, [last, last], step)
    odd = a + 1.0
    ratio = a / odd
    level, factor = ratio * distance, size * (ratio * (x / odd) * x) * (b - 1.0)
    most, fewer = level + factor / most, level + factor / fewer
    settled = f.abs(most - fewer) <= f.abs(most) * SETTLED[f.form.name]
    return f.select(settled, 1.0 / most, math.nan)


def beta_middle(f: Formula, ratio: Term, step: Term, place: Term, tail: Term) -> Term:
    """``exp(z**2)`` times the integral of ``exp(-t**2) g(step t)`` from z, ``place``, to infinity.

    With a the smaller order, ``ratio`` = a / b, and ``x = a / (a + b) (1 + m)``, the density is a bell in V, where
    ``m dm = V (1 + m) (1 - ratio m) dV`` (N. M. Temme, SIAM J. Math. Anal. 10, 1979; DLMF 8.18.9), and g is ``V / m``:
    ``g - V g' = g (g + V) (g - ratio V)``, which gives its powers one after the other. Those of V are integrated by
    parts; they are small where those of t overflow. ``tail`` is the integral of the bell alone.
    """
    skew = 1.0 - ratio
    powers, squares = [f.number(1.0)], [f.number(1.0)]
    for n in range(1, ORDER + 1):
        inner = _product(f, powers, powers, n)
        rest = skew * squares[n - 1]
        if n > 1:
            rest = f.fma(-ratio, powers[n - 2], rest) + inner + _product(f, powers, squares, n)
        power = rest * (-1.0 / (n + 2))
        powers.append(power)
        squares.append(2.0 * power if n == 1 else 2.0 * power + inner)
    factor, square, end = 0.5 * step, step * step, step * place
    integrals = [tail, factor]
    for n in range(2, ORDER + 1):
        factor = factor * end
        integrals.append(f.fma(integrals[n - 2] * square, 0.5 * (n - 1), factor))
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
