"""``erf`` and ``erfc``.

``erf`` is a polynomial below 1, and ``1 - exp(log(erfc(x)))`` above, with a polynomial for the logarithm. ``erfc`` of
positive x is ``exp(-x**2) P(t) / (1 + 2 x)`` with ``t = (x - c) / (x + c)`` (M. M. Shepherd and J. G. Laframboise,
Math. Comp. 36, 1981) beyond 1/2, ``2 - erfc(-x)`` below -1/2. The factors are sums of two numbers, and the quotient is
rounded once.
"""

from __future__ import annotations

from gradc.backends.math import coefficients
from gradc.backends.math.exponential import exp_reduced, power_of_two, reduce, scaled
from gradc.backends.math.formula import Formula
from gradc.backends.math.term import Term

CENTRE = 3.75
"""Where t of erfc is 0."""


def erf(f: Formula, x: Term) -> Term:
    """``erf(x)``, with the sign of x."""
    name = f.form.name
    near = f.fma(x, f.polynomial(coefficients.ERF_NEAR[name], x * x), x).named("near")
    f.comment("Beyond the bound the result is 1.")
    size = f.abs(x)
    most, table = (6.0, coefficients.ERF_FAR_F64) if name == "f64" else (4.0, coefficients.ERF_FAR_F32)
    kept = f.select(size > most, most, size)
    logarithm = f.polynomial(table[name], kept - 1.0).named("logarithm")
    reduced = reduce(f, logarithm)
    far = 1.0 - exp_reduced(f, reduced) * power_of_two(f, reduced.shifted)
    return f.select(size < 1.0, near, f.copysign(far, x))


def erfc(f: Formula, x: Term) -> Term:
    """``1 - erf(x)``, exact to the last places where it is small; subnormal results included."""
    name = f.form.name
    size = f.abs(x)
    f.comment("Beyond the bound the result is 0 or 2.")
    most = 27.3 if name == "f64" else 10.1
    kept = f.select(size > most, most, size).named("kept")
    f.comment("exp(-x**2)")
    square, square_low = f.product_with_error(kept, kept)
    reduced = reduce(f, -square)
    r = reduced.r
    lost = (reduced.exact - r) - f.fma(reduced.n, coefficients.LN2[name][1], square_low)
    grown, grown_low = f.sum_with_error(1.0, r)
    grown_low = f.fma(r * r, f.polynomial(coefficients.EXP[name], r), grown_low)
    grown_low = f.fma(grown + grown_low, lost, grown_low)
    f.comment("P(t), of which the constant is added last")
    t = ((kept - CENTRE) / (kept + CENTRE)).named("t")
    constant, *rest = coefficients.ERFC[name]
    part, part_low = f.sum_with_error(constant, t * f.polynomial(rest, t))
    f.comment("their product over 1 + 2 x, corrected by what is left of the division")
    product, product_low = f.product_with_error(grown, part)
    product_low = product_low + f.fma(grown, part_low, grown_low * part)
    divisor, divisor_low = f.two_sum(f.number(1.0), kept + kept)
    inverse = 1.0 / divisor
    quotient = (product * inverse).named("quotient")
    rest_low = (f.rest(product, quotient, divisor) + product_low) - quotient * divisor_low
    far = scaled(f, f.fma(rest_low, inverse, quotient), reduced.shifted)
    far = f.select(x < 0.0, 2.0 - far, far)
    f.comment("1 - x - (erf(x) - x) near 0 and up to where an error of t, beside results below 1/2, counts less")
    total, error = f.sum_with_error(1.0, -x)
    near = total + (error - x * f.polynomial(coefficients.ERF_NEAR[name], x * x))
    return f.select(size < 0.65, near, far)
