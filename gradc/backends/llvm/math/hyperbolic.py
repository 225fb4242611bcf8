"""``tanh``: a polynomial near 0, ``1 - 2 / (exp(2 x) + 1)`` elsewhere."""

from __future__ import annotations

from gradc.backends.llvm.math import coefficients
from gradc.backends.llvm.math.exponential import exp_reduced, power_of_two, reduce
from gradc.backends.llvm.math.formula import Formula, Term

NEAR = 0.6
"""Below it the polynomial holds; above it 2 / (exp(2 x) + 1) is less than half."""


def tanh(f: Formula, x: Term) -> Term:
    """``tanh(x)``, with the sign of x."""
    square = x * x
    near = f.fma(x * square, f.polynomial(coefficients.TANH[f.form.name], square), x).named("near")
    f.comment("Beyond the bound the result is 1.")
    size = f.abs(x)
    most = (f.form.mantissa + 4) * 0.5
    kept = f.select(size > most, most, size)
    reduced = reduce(f, kept + kept)
    grown = exp_reduced(f, reduced) * power_of_two(f, reduced)
    far = 1.0 - 2.0 / (grown + 1.0)
    return f.copysign(f.select(size < NEAR, near, far), x)
