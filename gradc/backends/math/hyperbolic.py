"""``sinh``, ``cosh`` and ``tanh``: by ``exp``; ``sinh`` near 0 by a polynomial."""

from __future__ import annotations

import math

from gradc.backends.math import coefficients
from gradc.backends.math.exponential import power_of_two, raised, reduce
from gradc.backends.math.formats import F32
from gradc.backends.math.formula import Formula
from gradc.backends.math.term import Term


def tanh(f: Formula, x: Term) -> Term:
    """``tanh(x)``, with the sign of x: ``h / (1 + h)`` with ``h = (exp(2 x) - 1) / 2``.

    Where h is small, that is ``h - h**2 / (1 + h)``.
    """
    f.comment("Beyond the bound the result is 1.")
    size = f.abs(x)
    most = (f.form.mantissa + 4) * 0.5
    kept = f.select(size > most, most, size)
    reduced = reduce(f, kept + kept)
    r = reduced.r
    f.comment("(exp(2 x) - 1) / 2 = 2**(n - 1) (exp(r) - 1) + (2**n - 1) / 2")
    power = power_of_two(f, reduced.shifted, -1).named("power")
    factor, rest = power * (r * r), f.polynomial(coefficients.EXP[f.form.name], r)
    if f.form is F32:
        h = f.fma(factor, rest, f.fma(power, r, power - 0.5)).named("h")
    else:
        f.comment("Here the rounding of the sum would be too much.")
        whole, error = f.add_product(power - 0.5, power, r)
        h = (whole + f.fma(factor, rest, error)).named("h")
    quotient = (h / (h + 1.0)).named("quotient")
    return f.copysign(f.select(h < 0.5, f.fma(-h, quotient, h), quotient), x)


def sinh(f: Formula, x: Term) -> Term:
    """``sinh(x)``, with the sign of x."""
    size = f.abs(x)
    square = size * size
    near = f.fma(size * square, f.polynomial(coefficients.SINH[f.form.name], square), size).named("near")
    quarter, inverse = _quarter_exp(f, size)
    far = (quarter - inverse) * 2.0
    return f.copysign(f.select(size < 1.0, near, far), x)


def cosh(f: Formula, x: Term) -> Term:
    """``cosh(x)``."""
    quarter, inverse = _quarter_exp(f, f.abs(x))
    return (quarter + inverse) * 2.0


def _quarter_exp(f: Formula, size: Term) -> tuple[Term, Term]:
    """``exp(size) / 4``, which is in range where the result is, and ``exp(-size) / 4``."""
    f.comment("Beyond the bound the result is infinite.")
    most = (f.form.bias + 2.3) * math.log(2)
    reduced = reduce(f, f.select(size > most, most, size))
    r = reduced.r
    f.comment("exp(r) = 1 + (r + r**2 P(r))")
    grown = f.fma(r * r, f.polynomial(coefficients.EXP[f.form.name], r), r) + 1.0
    quarter = raised(f, grown, reduced.shifted, -2).named("quarter")
    return quarter, 0.0625 / quarter
