"""``gammaln`` and ``digamma`` of f32, computed in f64: the formulas of ``gradc.backends.math.gamma`` to 1e-14.

That needs no sums of two numbers, and leaves the digits near the zeros left of 0 right. Arguments are numbers of f32,
so no product of two of them leaves the range of f64 or is subnormal there.
"""

from __future__ import annotations

import math

from gradc.backends.math import gamma_coefficients
from gradc.backends.math.formula import Formula
from gradc.backends.math.logarithm import log_for_f32
from gradc.backends.math.term import Term

INTEGERS = 2.0**52
"""From here on all numbers of f64 are integers."""


def gammaln(f: Formula, x: Term) -> Term:
    """For x above -1/2."""
    near, low, middle = x < 2.5, x < 0.5, x < 1.5
    u = x - f.select(low, 0.0, f.select(middle, 1.0, f.number(2.0)))
    slope = f.fma(
        u, f.polynomial(gamma_coefficients.GAMMALN_FOR_F32["f64"], u), gamma_coefficients.ONE_LESS_EULER["f64"][0]
    )
    argument = f.select(low, f.abs(x * (x + 1.0)), f.select(middle, x, f.select(near, 1.0, x)))
    log = log_for_f32(f, argument)
    f.comment("(x - 1 / 2) log(x) - x + log(2 pi) / 2 + P(1 / x**2) / x, or the polynomial minus the logarithm")
    inverse = 1.0 / x
    series = f.polynomial(gamma_coefficients.STIRLING_FOR_F32["f64"], inverse * inverse)
    rest = f.fma(inverse, series, gamma_coefficients.HALF_LOG_TAU["f64"][0] - x)
    result = f.fma(f.select(near, -1.0, x - 0.5), log, f.select(near, u * slope, rest))
    f.comment("infinite at 0 and infinity")
    return f.select(x.equals(0.0) | x.equals(math.inf), math.inf, result)


def gammaln_far(f: Formula, x: Term, inner: Term) -> Term:
    """For x of at most -1/2: ``log(pi / abs(x sin(pi x))) - inner``, inner ``gammaln(-x)``: infinite at integers."""
    size = -x
    distance = f.abs(_fraction(size))
    square = distance * distance
    sine = distance * f.fma(square, f.polynomial(gamma_coefficients.SIN_PI_FOR_F32["f64"], square), 1.0)
    result = -log_for_f32(f, size * sine) - inner
    return f.select((size < INTEGERS) & (distance > 0.0), result, math.inf)


def digamma(f: Formula, x: Term) -> Term:
    """For positive x."""
    near, low = x < 2.0, x < 1.0
    v = f.select(low, x, x - 1.0)
    inverse = 1.0 / x
    product = (v - gamma_coefficients.DIGAMMA_ROOT["f64"][0]) * f.polynomial(
        gamma_coefficients.DIGAMMA_FOR_F32["f64"], v - 0.5
    )
    below = product - f.select(low, inverse, 0.0)
    f.comment("log(x) - 1 / (2 x) - P(1 / x**2) / x**2")
    square = inverse * inverse
    series = f.fma(inverse, -0.5, -(square * f.polynomial(gamma_coefficients.DIGAMMA_SERIES_FOR_F32["f64"], square)))
    above = f.select(x < math.inf, log_for_f32(f, x) + series, x)
    return f.select(near, below, above)


def digamma_far(f: Formula, x: Term, inner: Term) -> Term:
    """For x of at most 0: ``inner + pi cot(-pi x)``, inner ``digamma(1 - x)``: infinite at 0, NaN at other integers."""
    size = -x
    fraction = _fraction(size)
    square = fraction * fraction
    rest = f.polynomial(gamma_coefficients.COT_PI_FOR_F32["f64"], square)
    result = 1.0 / fraction + f.fma(-fraction, rest, inner)
    return f.select((size < 0.5) | ((size < INTEGERS) & (f.abs(fraction) > 0.0)), result, math.nan)


def _fraction(size: Term) -> Term:
    """``size`` minus the integer nearest to it, below ``INTEGERS``; 0 keeps its sign."""
    return size - ((size + INTEGERS) - INTEGERS)
