"""``gammaln``, the logarithm of the size of the gamma function, and ``digamma``, its derivative.

From 5/2 (digamma: 2) on, Stirling's series, its rest a polynomial in ``1 / x**2``; below, the recurrence of the gamma
function leads to an interval with a polynomial, out of which its zero is taken. Vectors with negative arguments take a
second path, by Euler's reflection formula (Digital Library of Mathematical Functions, 5.4 to 5.11). Results in f32 are
computed in f64, without sums of two numbers (``gamma_for_f32``); on machines that have no f64, in f32 with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gradc.backends.math import coefficients, gamma_coefficients, gamma_for_f32
from gradc.backends.math.formats import F32, F64
from gradc.backends.math.formula import Formula
from gradc.backends.math.power import log_with_error
from gradc.backends.math.term import Term

LARGE: Final = {"f64": 2.0**900, "f32": 2.0**100}
"""Beyond it gammaln is ``x (log(x) - 1)``."""

TINY: Final = {"f64": 2.0**-64, "f32": 2.0**-32}
"""Below it digamma is ``-1 / x``."""


def gammaln(f: Formula, x: Term) -> Term:
    """The logarithm of the size of the gamma function."""
    if f.form is F32 and f.doubles:
        near, far = gamma_for_f32.gammaln, gamma_for_f32.gammaln_far
    else:
        near, far = _gammaln, _gammaln_far
    return _in_two_parts(f, x, lambda x: (x <= -0.5).negated(), near, far, lambda x: -x)


def digamma(f: Formula, x: Term) -> Term:
    """The derivative of the logarithm of the gamma function."""
    if f.form is F32 and f.doubles:
        near, far = gamma_for_f32.digamma, gamma_for_f32.digamma_far
    else:
        near, far = _digamma, _digamma_far
    return _in_two_parts(f, x, lambda x: (x <= 0.0).negated(), near, far, lambda x: 1.0 - x)


def _in_two_parts(
    f: Formula,
    x: Term,
    holds: Callable[[Term], Term],
    near: Callable[[Formula, Term], Term],
    far: Callable[[Formula, Term, Term], Term],
    mirror: Callable[[Term], Term],
) -> Term:
    """``near`` where ``holds``, and ``far``, of x and of ``near`` of its mirror image, where not.

    ``near`` is computed once on either path. Results in f32 are computed in f64 where the machine has it.
    """
    wide = f.within(F64) if f.doubles else f
    point = f.convert(x, wide.form)
    positive = holds(point)
    inner = near(wide, wide.select_until_done(positive, point, mirror(point)))
    f.done_if(positive, f.convert(inner, f.form))
    return f.convert(f.select(positive, inner, far(wide, point, inner)), f.form)


def _series(f: Formula, table: Mapping[str, Sequence[float]]) -> list[float]:
    """The coefficients of a table in the format of a formula."""
    return [float(f.form.dtype.type(number)) for number in table["f64"]]


def _pair(f: Formula, table: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """A number as a sum of two in the format of a formula."""
    high, low = table["f64"]
    first = float(f.form.dtype.type(high))
    return first, float(f.form.dtype.type((high - first) + low))


def _gammaln(f: Formula, x: Term) -> Term:
    """For x above -1/2.

    Below 5/2 it is ``u (1 - gamma + u P(u)) - log(p)`` where ``2 + u`` is x, ``x + 1`` or ``x + 2``, and p is 1, x or
    ``x (x + 1)``.
    """
    rest, series = (gamma_coefficients.GAMMALN_SHORT, gamma_coefficients.STIRLING_SHORT) if f.form is F32 else (
        gamma_coefficients.GAMMALN, gamma_coefficients.STIRLING)  # fmt: skip
    near, low, middle = x < 2.5, x < 0.5, x < 1.5
    u = x - f.select(low, 0.0, f.select(middle, 1.0, f.number(2.0)))
    first, first_low = _pair(f, gamma_coefficients.ONE_LESS_EULER)
    curve, curve_low = f.product_with_error(u, f.polynomial(_series(f, rest), u))
    slope, slope_low = f.sum_with_error(first, curve)
    slope_low = slope_low + curve_low
    polynomial, polynomial_low = f.product_with_error(u, slope)
    polynomial_low = f.fma(u, slope_low + first_low, polynomial_low)
    f.comment("what the logarithm is of, and what rounding took from it")
    next_one, next_low = f.two_sum(f.number(1.0), x)
    product, product_low = f.product_with_error(x, next_one)
    product_low = f.fma(x, next_low, product_low) / product
    argument = f.select(low, product, f.select(middle, x, f.select(near, 1.0, x)))
    log, log_low = log_with_error(f, f.abs(argument))
    log_low = log_low + f.select(low, product_low, 0.0)
    f.comment("(x - 1 / 2) log(x) - x + log(2 pi) / 2 + P(1 / x**2) / x, or the polynomial minus the logarithm")
    factor = f.select(near, -1.0, x - 0.5)
    main, main_low = f.product_with_error(factor, log)
    main_low = f.fma(factor, log_low, main_low)
    high, low_part = _pair(f, gamma_coefficients.HALF_LOG_TAU)
    inverse = 1.0 / x
    tail = f.fma(inverse, f.polynomial(_series(f, series), inverse * inverse), low_part)
    total, error_1 = f.two_sum(main, f.select(near, polynomial, -x))
    total, error_2 = f.two_sum(total, f.select(near, 0.0, f.number(high)))
    result = total + ((error_1 + error_2) + (main_low + f.select(near, polynomial_low, tail)))
    f.comment("infinite at 0 and infinity")
    result = f.select(x > LARGE[f.form.name], ((log - 1.0) * (x * 0.25)) * 4.0, result)
    result = f.select(x.equals(0.0) | x.equals(math.inf), math.inf, result)
    return f.select(f.is_nan(x), x, result)


def _gammaln_far(f: Formula, x: Term, inner: Term) -> Term:
    """For x of at most -1/2: ``log(pi / abs(x sin(pi x))) - inner``, inner ``gammaln(-x)``: infinite at integers."""
    size = -x
    sine, sine_low = _sine(f, f.abs(_fraction(f, size)))
    product, product_low = f.product_with_error(size, sine)
    product_low = f.fma(size, sine_low, product_low)
    log, log_low = log_with_error(f, product)
    log_low = log_low + product_low / product
    high, low = _pair(f, gamma_coefficients.LOG_PI)
    total, error_1 = f.two_sum(f.number(high), -log)
    total, error_2 = f.two_sum(total, -inner)
    result = total + ((error_1 + error_2) + (low - log_low))
    return f.select((size < math.inf) & (sine > 0.0), result, math.inf)


def _digamma(f: Formula, x: Term) -> Term:
    """For positive x. Below 2 it is ``(v + 1 - root) P(v - 1/2)``, of ``x = 1 + v``, or ``v = x`` and less 1 / x."""
    rest, series = (gamma_coefficients.DIGAMMA_SHORT, gamma_coefficients.DIGAMMA_SERIES_SHORT) if f.form is F32 else (
        gamma_coefficients.DIGAMMA, gamma_coefficients.DIGAMMA_SERIES)  # fmt: skip
    near, low = x < 2.0, x < 1.0
    v = f.select(low, x, x - 1.0)
    root, root_low = _pair(f, gamma_coefficients.DIGAMMA_ROOT)
    distance, distance_low = f.two_sum(v, f.number(-root))
    first, *others = _series(f, rest)
    u = v - 0.5
    slope, slope_low = f.sum_with_error(first, u * f.polynomial(others, u))
    product, product_low = f.product_with_error(distance, slope)
    product_low = f.fma(distance, slope_low, f.fma(distance_low - root_low, slope, product_low))
    inverse = 1.0 / x
    lacking = f.rest(f.number(1.0), inverse, x) * inverse
    total, error = f.two_sum(product, f.select(low, -inverse, 0.0))
    below = total + (error + (product_low - f.select(low, lacking, 0.0)))
    below = f.select(x < TINY[f.form.name], -inverse, below)
    f.comment("log(x) - 1 / (2 x) - P(1 / x**2) / x**2")
    square = inverse * inverse
    log, log_low = log_with_error(f, x)
    total, error = f.sum_with_error(log, inverse * -0.5)
    above = total + ((error + log_low) - square * f.polynomial(_series(f, series), square))
    above = f.select(x < math.inf, above, x)
    return f.select(f.is_nan(x), x, f.select(near, below, above))


def _digamma_far(f: Formula, x: Term, inner: Term) -> Term:
    """For x of at most 0: ``inner + pi cot(-pi x)``, inner ``digamma(1 - x)``: infinite at 0, NaN at other integers."""
    size = -x
    pi, pi_low = (2 * part for part in _pair(f, coefficients.HALF_PI_PAIR))
    fraction = _fraction(f, size)
    distance = f.abs(fraction)
    above, above_low = _cosine(f, distance)
    below, below_low = _sine(f, distance)
    inverse = 1.0 / below
    quotient = f.copysign(above * inverse, fraction)
    left = f.rest(f.copysign(above, fraction), quotient, below) - quotient * below_low
    quotient_low = (left + f.select(fraction < 0.0, -above_low, above_low)) * inverse
    product, product_low = f.product_with_error(quotient, f.number(pi))
    product_low = f.fma(quotient, pi_low, f.fma(quotient_low, pi, product_low))
    total, error = f.two_sum(product, inner)
    result = f.select(size < TINY[f.form.name], 1.0 / size, total + (error + product_low))
    result = f.select((size < math.inf) & (distance > 0.0), result, math.nan)
    return f.select(x.equals(0.0), f.copysign(f.number(math.inf), size), result)


def _fraction(f: Formula, size: Term) -> Term:
    """``size`` minus the integer nearest to it."""
    bound = 2.0**f.form.mantissa
    return f.select(size < bound, size - ((size + bound) - bound), 0.0)


def _cosine(f: Formula, x: Term) -> tuple[Term, Term]:
    """``cos(pi x)`` for x from 0 to 1/2, as a sum: ``1 - 2 sin(pi x / 2)**2`` where that loses nothing."""
    half, half_low = _sine(f, x * 0.5)
    square, square_low = f.product_with_error(half, half)
    total, error = f.sum_with_error(1.0, square * -2.0)
    error = error - 2.0 * f.fma(half + half, half_low, square_low)
    other, other_low = _sine(f, 0.5 - x)
    small = x < 0.25
    return f.select(small, total, other), f.select(small, error, other_low)


def _sine(f: Formula, x: Term) -> tuple[Term, Term]:
    """``sin(pi x)`` for x from 0 to 1/2, as a sum."""
    pi, pi_low = (2 * part for part in _pair(f, coefficients.HALF_PI_PAIR))
    square = x * x
    product, product_low = f.product_with_error(x, f.number(pi))
    tail = f.fma(x, pi_low, product_low)
    return f.sum_with_error(
        product, f.fma(x * square, f.polynomial(_series(f, gamma_coefficients.SIN_PI), square), tail)
    )
