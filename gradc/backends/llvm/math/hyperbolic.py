"""``sinh``, ``cosh`` and ``tanh``: polynomials near 0, and ``exp`` elsewhere."""

from __future__ import annotations

import math

from gradc.backends.llvm.math import coefficients
from gradc.backends.llvm.math.exponential import raised, reduce
from gradc.backends.llvm.math.formula import Formula
from gradc.backends.llvm.math.term import Term

NEAR = 0.6
"""Below it the polynomial of tanh holds; above it 2 / (exp(2 x) + 1) is less than half."""


def tanh(f: Formula, x: Term) -> Term:
    """``tanh(x)``, with the sign of x."""
    square = x * x
    near = f.fma(x * square, f.polynomial(coefficients.TANH[f.form.name], square), x).named("near")
    f.comment("Beyond the bound the result is 1.")
    size = f.abs(x)
    most = (f.form.mantissa + 4) * 0.5
    kept = f.select(size > most, most, size)
    f.comment("exp(2 x) as a power of 2, whose last places count little")
    shifted = f.fma(kept, 2 / math.log(2), f.form.rounder).named("shifted")
    r = f.rest(f.form.rounder - shifted, kept, f.number(-2 / math.log(2)))
    grown = raised(f, f.fma(r, f.polynomial(coefficients.EXP2[f.form.name], r), 1.0), shifted)
    far = 1.0 - 2.0 / (grown + 1.0)
    return f.copysign(f.select(size < NEAR, near, far), x)


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
