"""``arcsinh``, ``arccosh`` and ``arctanh``: by the logarithm, and odd polynomials near 0.

An argument of the logarithm is a sum of two numbers, of which the second enters as a correction.
"""

from __future__ import annotations

import math

from gradc.backends.llvm.math import coefficients
from gradc.backends.llvm.math.formula import Formula
from gradc.backends.llvm.math.logarithm import log_split, split, whole_power
from gradc.backends.llvm.math.term import Term


def arcsinh(f: Formula, x: Term) -> Term:
    """``log(x + sqrt(x**2 + 1))``, with the sign of x."""
    size = f.abs(x)
    square = size * size
    near = f.fma(size * square, f.polynomial(coefficients.ARCSINH[f.form.name], square), size).named("near")
    huge, kept = _bounded(f, size)
    squared, squared_low = f.product_with_error(kept, kept)
    whole, whole_low = f.two_sum(f.number(1.0), squared)
    root = f.call("sqrt", whole).named("root")
    total, error = f.sum_with_error(root, kept)
    f.comment("what the root lacks, and the sum, over the sum")
    lacking = f.rest(whole, root, root) + (squared_low + whole_low)
    correction = f.fma(root + root, error, lacking) / ((root + root) * total)
    far = _log(f, f.select(huge, size, total), f.select(huge, 0.0, correction), huge)
    result = f.select(size < 0.5, near, far)
    return f.copysign(f.select(size < math.inf, result, size), x)


def arccosh(f: Formula, x: Term) -> Term:
    """``log(x + sqrt(x**2 - 1))``, as the ``log1p`` of ``t + sqrt(t (t + 2))`` with ``t = x - 1``; NaN below 1."""
    huge, kept = _bounded(f, x)
    t = (kept - 1.0).named("t")
    other, other_low = f.two_sum(f.number(2.0), t)
    product, product_low = f.product_with_error(t, other)
    root = f.call("sqrt", product).named("root")
    lacking = f.rest(product, root, root) + f.fma(t, other_low, product_low)
    u, u_low = f.two_sum(root, t)
    total, total_low = f.sum_with_error(f.number(1.0), u)
    f.comment("what the sums and the root lack, over the sum")
    k, fraction = split(f, f.select(huge, x, total), subnormal=False)
    near = k.equals(0.0)
    error = f.select(near, u_low, u_low + total_low)
    correction = f.fma(root + root, error, lacking) / ((root + root) * total)
    correction = f.select(huge | root.equals(0.0), 0.0, correction)
    k = f.select(huge, k + 1.0, k)
    result = log_split(f, k, f.select(near, u, fraction), correction)
    result = f.select(x < math.inf, result, x)
    return f.select(x >= 1.0, result, math.nan)


def arctanh(f: Formula, x: Term) -> Term:
    """``log((1 + x) / (1 - x)) / 2``, with the sign of x; infinite at 1, NaN beyond.

    With the quotient as a number near 1 over ``2**k``, half of its logarithm is the inverse hyperbolic tangent of
    ``s = (2**k (1 + x) - (1 - x)) / (2**k (1 + x) + (1 - x))``: of x, where k is 0.
    """
    size = f.abs(x)
    kept = f.select(size < 1.0, size, 0.0)
    above, above_low = f.sum_with_error(1.0, kept)
    below, below_low = f.sum_with_error(1.0, -kept)
    f.comment("k by the quotient to 5 percent, without a division")
    k, _ = split(f, below * f.fma(kept, -0.5, 0.957), subnormal=False)
    power = whole_power(f, k).named("power")
    difference = f.fma(power, above, -below) + f.fma(power, above_low, -below_low)
    near = k.equals(0.0)
    s = f.select(near, kept, difference) / f.select(near, 1.0, f.fma(power, above, below))
    square = s * s
    high, low = coefficients.LN2[f.form.name]
    tail = f.fma(s * square, f.polynomial(coefficients.ARCTANH[f.form.name], square), k * (-0.5 * low))
    total, error = f.sum_with_error(k * (-0.5 * high), s)
    result = total + (error + tail)
    result = f.select(size.equals(1.0), math.inf, result)
    return f.copysign(f.select(size <= 1.0, result, math.nan), x)


def _bounded(f: Formula, size: Term) -> tuple[Term, Term]:
    """Whether ``size`` is so large that its square alone counts, and ``size`` held below that."""
    most = 2.0 ** (f.form.mantissa // 2 + 4)
    huge = size > most
    return huge, f.select(huge, most, size)


def _log(f: Formula, x: Term, correction: Term, doubled: Term) -> Term:
    """``log(x) + correction``, and of 2 x where ``doubled``."""
    k, fraction = split(f, x, subnormal=False)
    return log_split(f, f.select(doubled, k + 1.0, k), fraction, correction)
