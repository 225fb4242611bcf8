"""``log``, ``log1p``, ``log2`` and ``log10``.

All take ``x = 2**k m`` with m between sqrt(1/2) and sqrt(2), and ``f = m - 1``; in f32 ``log`` and ``log1p`` between
3/4 and 3/2. In f64 ``log(m)`` is a polynomial in ``s = f / (2 + f)``, summed so that f stands alone and is rounded last
(J.-M. Muller, Elementary Functions, 3rd edition, chapter 6); in f32 it is a polynomial in f. To another base, f alone
is multiplied by the exact factor and rounded last. Where registers hold 32 numbers of f32, and 16 of f64, ``log2`` and
the ``log10`` of f32 take ``m c - 1`` in the place of f, with a factor c by the leading bits of m whose logarithm adds
to k without error, so that a short polynomial is enough (P. T. P. Tang, ACM TOMS 16, 1990).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from gradc.backends.math import coefficients, tables
from gradc.backends.math.formats import F32
from gradc.backends.math.formula import Formula
from gradc.backends.math.term import Term

ROOT: Final = {"f64": math.sqrt(0.5), "f32": float(np.float32(math.sqrt(0.5)))}

BOUND: Final = {"f64": math.nextafter(math.sqrt(2), 0), "f32": 4 / 3}
"""Products with it are rounded to at least 2 just from where m of ``split`` is its least on."""

HUGE: Final = 2.0**60
"""Beyond it ``1 + x`` and the like are x, and a power of two that makes them small may be out of range."""


def log(f: Formula, x: Term) -> Term:
    """``log(x)``: -infinity at 0, NaN below."""
    k, fraction = split(f, x)
    result = log_split(f, k, fraction)
    return result if f.has_exponents else specials(f, result, x, x)


def log1p(f: Formula, x: Term) -> Term:
    """``log(1 + x)``, with the sign of x."""
    result = f.copysign(log1p_inside(f, x), x)
    f.done_if((x > -1.0) & (x < HUGE), result)
    far = log_split(f, *split(f, x, subnormal=False))
    return specials(f, f.select(x < HUGE, result, far), x, x + 1.0)


def log_for_f32(f: Formula, x: Term) -> Term:
    """``log(x)`` of a normal number in f64, to 1e-14 of itself, for results in f32. Any number for others."""
    k, m = _split_at(f, x, 0.75, subnormal=False)
    fraction = m - 1.0
    s = (fraction / (fraction + 2.0)).named("s")
    z = s * s
    f.comment("log(m) = s (2 + z P(z)), s = (m - 1) / (m + 1), z = s**2")
    ratio = f.fma(z, f.polynomial(coefficients.LOG_RATIO_FOR_F32["f64"], z), 2.0)
    return f.fma(k, math.log(2.0), s * ratio)


def log1p_unit(f: Formula, x: Term) -> Term:
    """``log(1 + x)`` for x from 0 to 1, such as the exponential of a negative number; any number for others."""
    f.comment("log(1 + x) = x - s (x - s**2 P(s**2)), s = x / (2 + x)")
    whole = (x + 2.0).named("whole")
    s = (x / whole).named("s")
    z = s * s
    polynomial = f.polynomial(coefficients.LOG_RATIO_WIDE[f.form.name], z)
    if f.fused:
        return f.fma(-s, f.fma(-z, polynomial, x), x)
    f.comment("x - x**2 / 2 + s (x**2 / 2 + s**2 P(s**2)), the product rounded too; less what 2 + x lost")
    half = x * x * 0.5
    rest = half + (z * polynomial - (x - (whole - 2.0)) * 0.15)
    return x + (s * rest - half)


def log1p_inside(f: Formula, x: Term, low: Term | None = None) -> Term:
    """``log(1 + x + low)`` for x from -1 to ``HUGE``.

    In ``1 + x = 2**k (1 + f)``, f is x times a power of two and that less 1. ``low`` is what rounding took from x;
    few bits of it count.
    """
    if f.has_exponents:
        f.comment("x + 1 = 2**k m, where the product is at least 2 or 4 from the bounds of m on, and below them is not")
        k = f.exponent((x + 1.0) * BOUND[f.form.name])
    else:
        k, _ = split(f, x + 1.0, subnormal=False)
    power = whole_power(f, -k)
    return log_split(f, k, f.fma(x, power, power - 1.0), None if low is None else low * power)


def log_of_double(f: Formula, x: Term) -> Term:
    """``log(2 x)`` for normal numbers and infinity."""
    k, fraction = split(f, x, subnormal=False)
    return f.select(x < math.inf, log_split(f, k + 1.0, fraction), x)


def log2(f: Formula, x: Term) -> Term:
    """``log(x) / log(2)``: exact of powers of two."""
    if f.tables:
        table = tables.LOG2_CELL_F64 | tables.LOG2_CELL_F32
        return _to_base_in_cells(f, x, (1.0, 0.0), coefficients.LOG2_E, table)
    return _to_base(f, x, coefficients.LOG2_E, (1.0, 0.0), coefficients.LOG2 | coefficients.LOG2_RATIO)


def log10(f: Formula, x: Term) -> Term:
    """``log(x) / log(10)``."""
    factor, of_two = coefficients.LOG10_E, coefficients.LOG10_2[f.form.name]
    if f.tables and f.form is F32:
        return _to_base_in_cells(f, x, of_two, factor, tables.LOG10_CELL)
    return _to_base(f, x, factor, of_two, coefficients.LOG10 | coefficients.LOG10_RATIO)


def _to_base(
    f: Formula,
    x: Term,
    factor: dict[str, tuple[float, ...]],
    of_two: tuple[float, ...],
    table: dict[str, tuple[float, ...]],
) -> Term:
    """``k of_two + factor log(1 + fraction)``."""
    k, m = _split_at(f, x, ROOT[f.form.name])
    fraction = m - 1.0
    high, low = factor[f.form.name]
    if f.form is F32:
        tail = fraction * f.polynomial(table["f32"], fraction)
    else:
        half = fraction * fraction * (high / 2)
        tail = f.fma(fraction, low, f.fma(*_ratio(f, fraction, half, table), -half))
    tail = tail if of_two[1] == 0.0 else f.fma(k, of_two[1], tail)
    result = f.fma(k, of_two[0], f.fma(fraction, high, tail))
    return result if f.has_exponents else specials(f, result, x, x)


def _to_base_in_cells(
    f: Formula,
    x: Term,
    of_two: tuple[float, ...],
    factor: dict[str, tuple[float, ...]],
    table: dict[str, tuple[float, ...]],
) -> Term:
    """``of_two (k - log2(c)) + factor log(1 + r)``, ``r = m c - 1``: the difference is exact, and 0 near 1."""
    f.comment("x = 2**k m with m from 0.75 to its double")
    form = f.form.name
    logs, factors = tables.LOG2_CELLS[form], tables.LOG2_FACTORS[form]
    if f.has_exponents:
        f.comment("below 1 the exponent is k - 1, and the number of the table 1 - log2(c)")
        k, m = f.exponent(x), f.significand_around_1(x)
        name, logs = "log2_cells_of_exponents", tuple(log + (2 * k >= len(logs)) for k, log in enumerate(logs))
    else:
        k, m = split_bits(f, x, 0.75)
        name = "log2_cells"
    index = (f.bits(m) >> (f.form.mantissa + 1 - len(logs).bit_length())).named("index")
    c = f.lookup("log2_factors", factors, index)
    r = f.fma(m, c, -1.0) if f.fused else -f.rest(f.number(1.0), m, c)
    whole = (k + f.lookup(name, logs, index)).named("whole")
    high = factor[form][0]
    polynomial = f.horner if f.form is F32 else f.polynomial  # by parts where the chain is long
    tail = r * polynomial(table[form], r)
    if of_two[1] == 0.0:
        result = whole + f.fma(r, high, tail)
    else:
        result = f.fma(whole, of_two[0], f.fma(r, high, f.fma(whole, of_two[1], tail)))
    return result if f.has_exponents else specials(f, result, x, x)


def split(f: Formula, x: Term, subnormal: bool = True) -> tuple[Term, Term]:
    """``k`` and ``m - 1`` where ``x = 2**k m``, of a positive finite x.

    Where instructions give them, k is infinite of 0 and infinity, and m is NaN of negative numbers.
    """
    k, m = _split_at(f, x, 0.75 if f.form is F32 else ROOT[f.form.name], subnormal)
    return k, m - 1.0


def split_in_cells(f: Formula, x: Term) -> tuple[Term, Term, Term]:
    """``k``, ``r`` and an index where ``x = 2**k m`` with m from about 3/4 to 3/2, and ``r = m c - 1`` without error.

    ``c`` is the entry of ``LOG_FACTORS`` at the index. In f64, where they are few, 1 is in the middle of its cell.
    """
    form, factors = f.form, tables.LOG_FACTORS[f.form.name]
    unused = form.mantissa + 1 - len(factors).bit_length()
    low = 0.75 if form is F32 else 0.75 * (1 - 1 / 48)
    k, m = _split_at(f, x, low)
    bits = f.bits(m) if form is F32 else f.bits(m) + (1 << (unused - 1))
    index = (bits >> unused).named("index")
    factor = f.lookup("log_factors", factors, index)
    r = f.fma(m, factor, -1.0) if f.fused else -f.rest(f.number(1.0), m, factor)
    return k, r.named("r"), index


def _split_at(f: Formula, x: Term, low: float, subnormal: bool = True) -> tuple[Term, Term]:
    """``k`` and ``m`` where ``x = 2**k m`` with m from ``low`` to its double."""
    f.comment(f"x = 2**k m with m from {low:.5} to its double")
    if not f.has_exponents:
        return split_bits(f, x, low, subnormal)
    k = f.exponent(x)
    if low == 0.75:
        m = f.significand_around_1(x)
        return f.select(m < 1.0, k + 1.0, k).named("k"), m
    m = f.significand(x)
    over = m >= 2 * low
    half = f.from_bits(f.bits(m) - (1 << f.form.mantissa))  # by integers, for which there are more pipelines
    return f.select(over, k + 1.0, k).named("k"), f.select(over, half, m)


def split_bits(f: Formula, x: Term, low: float, subnormal: bool = True) -> tuple[Term, Term]:
    """``k`` and ``m`` where ``x = 2**k m`` with m from ``low`` to its double, by integers."""
    form = f.form
    bits = form.mantissa + 2
    if subnormal:
        tiny = x < form.smallest_normal
        x = f.select(tiny, x * 2.0**bits, x)
    root = form.bits_of(low)
    biased = f.bits(x) + ((form.bias << form.mantissa) - root)
    m = f.from_bits((biased & ((1 << form.mantissa) - 1)) + root).named("m")
    f.comment("k becomes a number as the last bits of one: few machines convert integers of 64 bits.")
    whole = 2.0**form.mantissa
    exponent = ((biased >> form.mantissa) | form.bits_of(whole)).named("exponent")
    k = (f.from_bits(exponent) - (whole + form.bias)).named("k")
    if subnormal:
        k = f.select(tiny, k - float(bits), k)
    return k, m


def whole_power(f: Formula, k: Term) -> Term:
    """``2**k`` of an integer k within the exponents of normal numbers; 0 where it is just below."""
    shifted = k + (f.form.rounder + f.form.bias)
    return f.from_bits(f.bits(shifted) << f.form.mantissa)


def log_split(f: Formula, k: Term, fraction: Term, correction: Term | None = None) -> Term:
    """``k log(2) + log(1 + fraction) + correction``."""
    high, low = coefficients.LN2[f.form.name]
    if f.form.name == "f32":
        tail = k * low if correction is None else f.fma(k, low, correction)
        f.comment("log(1 + f) = f - f**2 / 2 + f**3 P(f)")
        square = fraction * fraction
        tail = f.fma(square * fraction, f.polynomial(coefficients.LOG["f32"], fraction), tail)
        tail = f.fma(square, -0.5, tail)
        return f.fma(k, high, fraction + tail)
    f.comment("log(1 + f) = f - f**2 / 2 + s (f**2 / 2 + s**2 P(s**2)), s = f / (2 + f)")
    half = fraction * fraction * 0.5
    s, rest = _ratio(f, fraction, half, coefficients.LOG_RATIO)
    tail = f.fma(s, rest, -half)
    if correction is not None:
        tail = tail + correction
    return f.fma(k, high, fraction + f.fma(k, low, tail))


def _ratio(f: Formula, fraction: Term, half: Term, table: dict[str, tuple[float, ...]]) -> tuple[Term, Term]:
    """``s`` and ``half + s**2 P(s**2)``."""
    s = (fraction / (fraction + 2.0)).named("s")
    z = s * s
    return s, f.fma(z, f.polynomial(table[f.form.name], z), half)


def specials(f: Formula, result: Term, x: Term, argument: Term) -> Term:
    """``result``, or what the logarithm of ``argument`` is where that is no positive finite number."""
    f.comment("infinity of infinity, -infinity of 0, NaN of negative numbers and NaN")
    result = f.select(x.equals(math.inf), math.inf, result)
    result = f.select(argument.equals(0.0), -math.inf, result)
    return f.select(argument >= 0.0, result, math.nan)
