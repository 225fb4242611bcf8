"""``erf``: a polynomial below 1, and ``1 - exp(log(erfc(x)))`` above, with a polynomial for the logarithm."""

from __future__ import annotations

from gradc.backends.llvm.math import coefficients
from gradc.backends.llvm.math.exponential import exp_reduced, power_of_two, reduce
from gradc.backends.llvm.math.formula import Formula, Term


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
    far = 1.0 - exp_reduced(f, reduced) * power_of_two(f, reduced)
    return f.select(size < 1.0, near, f.copysign(far, x))
