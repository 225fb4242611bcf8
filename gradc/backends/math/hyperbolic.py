"""``cosh`` by ``exp``; ``sinh`` and ``tanh`` by those of a short interval."""

from __future__ import annotations

import math

from gradc.backends.math import coefficients
from gradc.backends.math.exponential import power_of_two, raised, reduce
from gradc.backends.math.formats import F32
from gradc.backends.math.formula import Formula
from gradc.backends.math.term import Term


def tanh(f: Formula, x: Term) -> Term:
    """``tanh(x)``, with the sign of x."""
    f.comment("Beyond the bound the result is 1.")
    size = f.abs(x)
    most = (f.form.mantissa + 4) * 0.5
    kept = f.select(size > most, most, size)
    return f.copysign(_tanh_f32(f, kept) if f.form is F32 else _tanh_f64(f, kept), x)


def _tanh_f64(f: Formula, x: Term) -> Term:
    """``tanh(x)`` by that of a short interval.

    With ``x = n log(2) / 2 + r``, ``a = tanh(n log(2) / 2) = (2**n - 1) / (2**n + 1)`` and ``t = tanh(r)``, it is
    ``(a + t) / (1 + a t)``. That is t where n is 0; where n is 1, ``1 / 3 + 8 / 3 t / (3 + t)``; beyond, where it is
    more than 1 / 2, ``1 + 2 (t - 1) / ((2**n + 1) + (2**n - 1) t)``. So what is added last is the largest part.
    """
    f.comment("x = n log(2) / 2 + r, r from -0.092 to 0.256")
    n, r, power = _halves(f, x, start=-0.2369)
    square = r * r
    t = f.fma(r * square, f.polynomial(coefficients.TANH["f64"], square), r).named("t")
    one, many = n.equals(1.0), n > 1.0
    below = f.fma(power - 1.0, t, power + 1.0)
    above = f.fma(t, f.select(one, 8 / 3, 2.0), f.select(many, -2.0, 0.0))
    return f.select(many, 1.0, f.select(one, 1 / 3, 0.0)) + above / below


def _tanh_f32(f: Formula, x: Term) -> Term:
    """``tanh(x) = h / (1 + h)`` with ``h = (exp(2 x) - 1) / 2``; where h is small, ``h - h**2 / (1 + h)``."""
    f.comment("x = n log(2) / 2 + r")
    _, r, power = _halves(f, x)
    f.comment("h = 2**n (exp(2 r) - 1) / 2 + (2**n - 1) / 2, (exp(2 r) - 1) / 2 = r + r**2 P(r)")
    grown = f.polynomial(coefficients.EXP_DOUBLE["f32"], r)
    h = f.fma(power * (r * r), grown, f.fma(power, r, f.fma(power, 0.5, -0.5))).named("h")
    quotient = (h / (h + 1.0)).named("quotient")
    return f.select(h < 0.5, f.fma(-h, quotient, h), quotient)


def _halves(f: Formula, x: Term, start: float = 0.0) -> tuple[Term, Term, Term]:
    """``n``, ``r`` and ``2**n`` where ``x = n log(2) / 2 + r``, r from ``start - 1/2`` to ``start + 1/2`` of that."""
    high, low = (part / 2 for part in coefficients.LN2[f.form.name])
    f.comment("The last bits of %shifted are the exponent of 2**n.")
    rounder = f.form.rounder + f.form.bias
    scaled = f.fma(x, 2 / math.log(2), start or rounder)
    shifted = (scaled + rounder if start else scaled).named("shifted")
    n = (shifted - rounder).named("n")
    r = f.fma(n, -low, f.fma(n, -high, x)).named("r")
    return n, r, f.from_bits(f.bits(shifted) << f.form.mantissa).named("power")


def sinh(f: Formula, x: Term) -> Term:
    """``sinh(x)``, with the sign of x."""
    size = f.abs(x)
    inside = size < (f.form.bias - 1) * math.log(2)
    result = f.copysign(_sinh_inside(f, size), x)
    f.done_if(inside, result)
    return f.select(inside, result, f.copysign(_quarter_exp(f, size) * 2.0, x))


def _sinh_inside(f: Formula, x: Term) -> Term:
    """``sinh(n log(2) + r) = cosh(n log(2)) sinh(r) + sinh(n log(2)) (1 + (cosh(r) - 1))``.

    r is from ``-0.3 log(2)``, so that the large parts cancel little, to ``0.7 log(2)``; n is 0 near 0.
    """
    high, low = coefficients.LN2[f.form.name]
    f.comment("x = n log(2) + r; n stands in the last bits of %shifted")
    shifted = (f.fma(x, 1 / math.log(2), -0.2) + f.form.rounder).named("shifted")
    n = (shifted - f.form.rounder).named("n")
    r = f.fma(n, -low, f.fma(n, -high, x)).named("r")
    square = r * r
    sine = f.fma(r * square, f.horner(coefficients.SINH[f.form.name], square), r)
    grown = square * f.horner(coefficients.COSH[f.form.name], square)
    f.comment("2**n / 2, and its inverse over 4; 0 where that is subnormal")
    half = power_of_two(f, shifted, -1)
    inverse = f.from_bits(((2 * f.form.bias - 2) << f.form.mantissa) - f.bits(half))
    above = half - inverse
    return above + f.fma(half + inverse, sine, above * grown)


def cosh(f: Formula, x: Term) -> Term:
    """``cosh(x)``."""
    quarter = _quarter_exp(f, f.abs(x))
    return (quarter + 0.0625 / quarter) * 2.0


def _quarter_exp(f: Formula, size: Term) -> Term:
    """``exp(size) / 4``, which is in range where the result is."""
    f.comment("Beyond the bound the result is infinite.")
    most = (f.form.bias + 2.3) * math.log(2)
    reduced = reduce(f, f.select(size > most, most, size))
    r = reduced.r
    f.comment("exp(r) = 1 + (r + r**2 P(r))")
    grown = f.fma(r * r, f.polynomial(coefficients.EXP[f.form.name], r), r) + 1.0
    return raised(f, grown, reduced.shifted, -2).named("quarter")
