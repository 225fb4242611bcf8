"""``exp``, ``expm1`` and ``exp2``.

The first two take ``x = n log(2) + r`` with an integer n and ``abs(r) <= log(2) / 2``, and a polynomial for
``exp(r) = 1 + r + r**2 P(r)`` (P. T. P. Tang, ACM TOMS 15, 1989, with a longer polynomial in place of his table).
``exp2`` takes ``x = n + r``, without error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradc.backends.math import coefficients, tables
from gradc.backends.math.formats import F64
from gradc.backends.math.formula import Formula
from gradc.backends.math.term import Term


@dataclass(frozen=True, slots=True)
class Reduced:
    """``x = n log(2) + r + error``.

    n stands in the last bits of ``shifted`` too; ``exact`` is r before the small part of log(2) is subtracted.
    """

    shifted: Term
    n: Term
    exact: Term
    r: Term
    error: Term | None


def exp(f: Formula, x: Term) -> Term:
    """``exp(x)``: subnormal and infinite results included."""
    f.comment("Beyond these bounds the result is 0 or infinity, and stays so at them.")
    x = f.clamp(x, _lowest(f), (f.form.bias + 1.5) * math.log(2))
    return _exp_inside(f, x)


def exp_unit(f: Formula, x: Term) -> Term:
    """``exp(x)`` of numbers that are not positive, to the same bits."""
    f.comment("Below this bound the result is 0, and stays so at it.")
    low = _lowest(f)
    return _exp_inside(f, f.select(x < low, low, x))


def _lowest(f: Formula) -> float:
    """A number whose exponential is 0, as are those of smaller ones."""
    return -(f.form.mantissa + f.form.bias + 1.5) * math.log(2)


def _exp_inside(f: Formula, x: Term) -> Term:
    reduced = reduce(f, x)
    return scaled(f, exp_reduced(f, reduced), reduced.shifted)


def exp2(f: Formula, x: Term) -> Term:
    """``2**x``: exact where x is an integer."""
    grown, shifted = _exp2_inside(f, x)
    f.done_if(f.abs(x) < float(f.form.bias - 1), raised(f, grown, shifted))
    f.comment("Beyond these bounds the result is 0 or infinity, and stays so at them.")
    return scaled(f, *_exp2_inside(f, f.clamp(x, -(f.form.mantissa + f.form.bias + 1.5), f.form.bias + 1.5)))


def _exp2_inside(f: Formula, x: Term) -> tuple[Term, Term]:
    """``2**(x - n)`` of the nearest integer n, which stands in the last bits of the second number."""
    f.comment("x = n + r, abs(r) <= 1 / 2; n stands in the last bits of %shifted")
    shifted = (x + f.form.rounder).named("shifted")
    r = (x - (shifted - f.form.rounder)).named("r")
    f.comment("2**r = 1 + r P(r)")
    polynomial = f.polynomial if f.form is F64 else f.horner  # by parts where the chain is long
    return f.fma(r, polynomial(coefficients.EXP2[f.form.name], r), 1.0), shifted


def expm1(f: Formula, x: Term) -> Term:
    """``exp(x) - 1``: ``2**n (exp(r) - 1) + (2**n - 1)``, of which the large parts are summed without error."""
    inside = f.abs(x) < (f.form.bias - 1.5) * math.log(2)
    reduced = reduce(f, x)
    result = f.copysign(_grown(f, reduced, power_of_two(f, reduced.shifted), 1.0), x)
    f.done_if(inside, result)
    f.comment("Below the first bound the result is -1, beyond the second infinity.")
    reduced = reduce(f, f.clamp(x, -(f.form.mantissa + 3) * math.log(2), (f.form.bias + 1.5) * math.log(2)))
    f.comment("Half of everything, for 2**n may be out of range where the result is not.")
    return f.select(inside, result, _grown(f, reduced, power_of_two(f, reduced.shifted, -1), 0.5) * 2.0)


def _grown(f: Formula, reduced: Reduced, power: Term, one: float) -> Term:
    """``power exp(r) - one``."""
    f.comment("What rounding took from r counts, for the sum may cancel.")
    r = reduced.r
    tail = f.fma(r * r, f.polynomial(coefficients.EXP[f.form.name], r), rounded_off(f, reduced))
    f.comment("The product is the smaller number, or the other is 0.")
    total, error = f.sum_with_error(power - one, power * r)
    return total + f.fma(power, tail, error)


def reduce(f: Formula, x: Term, error: Term | None = None) -> Reduced:
    """The integer multiple of log(2) nearest to ``x + error``, and the rest. NaN stays NaN in the rest."""
    high, low = coefficients.LN2[f.form.name]
    f.comment("x = n log(2) + r, abs(r) <= log(2) / 2; n stands in the last bits of %shifted")
    shifted = f.fma(x, 1 / math.log(2), f.form.rounder).named("shifted")
    n = (shifted - f.form.rounder).named("n")
    exact = f.fma(n, -high, x)
    r = f.fma(n, -low, exact).named("r")
    return Reduced(shifted, n, exact, r, error)


def rounded_off(f: Formula, reduced: Reduced) -> Term:
    """What rounding took from r."""
    return f.fma(reduced.n, -coefficients.LN2[f.form.name][1], reduced.exact - reduced.r)


def exp_reduced(f: Formula, reduced: Reduced) -> Term:
    """``exp(r)``: the rounding error of ``1 + r`` is put back."""
    f.comment("exp(r) = 1 + r + r**2 P(r)")
    r = reduced.r
    square = (r * r).named("square")
    total, error = f.sum_with_error(1.0, r)
    tail = f.fma(square, f.polynomial(coefficients.EXP[f.form.name], r), error)
    return total + (tail if reduced.error is None else f.fma(total + tail, reduced.error, tail))


def raised_sixteenths(f: Formula, x: Term, error: Term) -> Term:
    """``exp(x + error)`` in f64, by ``x + error = n log(2) / 16 + r`` and a table for the last four bits of n."""
    high, low = coefficients.LN2_SIXTEENTH["f64"]
    f.comment("x + error = n log(2) / 16 + r, abs(r) <= log(2) / 32; n stands in the last bits of %shifted")
    shifted = f.fma(x + error, 16 / math.log(2), F64.rounder).named("shifted")
    n = (shifted - F64.rounder).named("n")
    r = (f.fma(n, -low, error) + f.fma(n, -high, x)).named("r")
    index = f.bits(shifted)
    f.comment("exp(r) - 1 = r + r**2 P(r)")
    grown = f.fma(r * r, f.polynomial(coefficients.EXP_SIXTEENTH["f64"], r), r)
    root = f.lookup("sixteenths", tables.SIXTEENTHS["f64"], index)
    root_low = f.lookup("sixteenths_low", tables.SIXTEENTHS_LOW["f64"], index)
    return scaled_sixteenths(f, root + f.fma(root, grown, root_low), shifted, n)


def scaled_sixteenths(f: Formula, x: Term, shifted: Term, n: Term) -> Term:
    """``x * 2**floor(n / 16)`` in f64, rounded once; n stands in the last bits of ``shifted`` too."""
    if f.has_exponents:
        return f.times_power(x, n * 0.0625)
    biased = (f.bits(shifted) + (32 * F64.bias - F64.bits_of(F64.rounder))) >> 4
    first = (biased >> 1).named("first")
    second = (biased - first).named("second")
    return x * f.from_bits(first << F64.mantissa) * f.from_bits(second << F64.mantissa)


def power_of_two(f: Formula, shifted: Term, more: int = 0) -> Term:
    """``2**(n + more)``, which must be a normal number; n stands in the last bits of ``shifted``."""
    form = f.form
    biased = f.bits(shifted) + (form.bias + more - form.bits_of(form.rounder))
    return f.from_bits(biased << form.mantissa)


def raised(f: Formula, x: Term, shifted: Term, more: int = 0) -> Term:
    """``x * 2**(n + more)``, where that power is a normal number; n stands in the last bits of ``shifted``."""
    if f.has_exponents:
        return f.times_power(x, shifted - (f.form.rounder - more))
    return x * power_of_two(f, shifted, more)


def scaled(f: Formula, x: Term, shifted: Term) -> Term:
    """``x * 2**n``, rounded once: two factors, each within range. n stands in the last bits of ``shifted``."""
    form = f.form
    if f.has_exponents:
        return f.times_power(x, shifted - form.rounder)
    f.comment("times 2**n in two steps, for 2**n may be out of range where the result is not")
    biased = (f.bits(shifted) + (2 * form.bias - form.bits_of(form.rounder))).named("biased")
    first = (biased >> 1).named("first")
    second = (biased - first).named("second")
    return x * f.from_bits(first << form.mantissa) * f.from_bits(second << form.mantissa)
