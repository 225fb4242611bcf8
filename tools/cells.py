"""Intervals of the numbers that logarithms are taken of, each with a factor: for ``fit_polynomials.py``."""

from __future__ import annotations

from typing import Any

from interpolation import nearest
from mpmath import mp, mpf

CELL = {"f64": (-mpf(1) / 32, mpf(1) / 16), "f32": (-mpf(1) / 64, mpf(1) / 32)}
"""The least and the largest ``m c - 1`` of ``fine_cells``: in the intervals beside 1."""


def cells(dtype: str) -> list[tuple[Any, Any, float]]:
    """Intervals of numbers m from about 3/4 to 3/2, each with a factor for which ``m c - 1`` is exact; at 1 it is 1.

    In f64 1 is in the middle of the first; in f32 it is between the first and the last.
    """
    count, bits, middle = (16, 5, mpf(1) / 2) if dtype == "f64" else (32, 6, mpf(0))
    found = []
    for k in range(count):
        scale = mpf(1) if 2 * k < count else mpf(1) / 2
        low, high = (scale * (1 + (k + side - middle) / count) for side in (0, 1))
        if k == 0:
            low = 1 - middle / 2 / count  # the half of the interval below 1 is finer

        def size(factor: Any, ends: tuple[Any, Any] = (low, high)) -> Any:
            return max(abs(end * factor - 1) for end in ends)

        at_one = k == 0 or (k == count - 1 and not middle)
        factor = mpf(1) if at_one else min((mpf(a) / 2**bits for a in range(1, 2 ** (bits + 1))), key=size)
        assert size(factor) <= scale * mpf(2) ** (1 - bits), "the product has too many bits"
        found.append((low, high, float(factor)))
    return found


def cell_range() -> tuple[Any, Any]:
    """The least and the largest ``m c - 1`` in both formats."""
    ends = [end * c - 1 for dtype in ("f64", "f32") for low, high, c in cells(dtype) for end in (low, high)]
    return min(ends), max(ends)


def fine_cells(dtype: str) -> tuple[list[float], list[float]]:
    """Factors of 16 or 32 intervals of m from 1 to 3/2 and from 3/4 to 1, and minus their logarithms to base 2.

    The logarithm has few bits, so that sums with exponents are exact. Of factors for which 1 / c is a fourth of an
    interval, or in f32 1/16 to 3/8, from its end on the side of 1, where the logarithm of m is small beside that of c,
    it is the one whose logarithm is nearest to such a number. At 1 both are exact.
    """
    count, bits, parts, more = (16, 41, (1 / 4, 1 / 4), 1000) if dtype == "f64" else (32, 16, (1 / 16, 3 / 8), 0)
    step, rows = mpf(2) ** -bits, [(mpf(0), 1.0, 0.0)]
    for k in range(1, count - 1):
        scale, sides = (mpf(1), (0, 1)) if 2 * k < count else (mpf(1) / 2, (1, 0))
        near, far = (scale * (1 + (k + side) / mpf(count)) for side in sides)
        first, last = sorted(mp.log(near + (far - near) * mpf(part), 2) / step for part in parts)
        logs = [n * step for n in range(int(mp.ceil(first)), int(mp.floor(last)) + 1 + more)]
        factors = [nearest(mpf(2) ** -log, dtype) for log in logs]
        rows.append(min((abs(mp.log(c, 2) + log), c, float(log)) for c, log in zip(factors, logs, strict=True)))
    rows.append(rows[0])
    return [factor for _, factor, _ in rows], [log for _, _, log in rows]
