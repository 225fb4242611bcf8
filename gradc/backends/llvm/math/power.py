"""``pow``: ``exp(y log(abs(x)))``, and the sign.

An error of the exponent is one of the result, up to 745 times as large: in f64 the logarithm and its product with y
are sums of two numbers, about 2**-64 of the whole from the exact ones. In f32 both are f64.
"""

from __future__ import annotations

import math

from gradc.backends.llvm.math import coefficients
from gradc.backends.llvm.math.exponential import exp_reduced, reduce, scaled
from gradc.backends.llvm.math.formats import F32, F64
from gradc.backends.llvm.math.formula import Formula, Term
from gradc.backends.llvm.math.logarithm import split

LARGEST = 2.0**64
"""An exponent beyond it makes every x but 1 overflow or vanish."""


def power(f: Formula, x: Term, y: Term) -> Term:
    """``x**y``, with the special values of C99 (Annex F.9.4.4)."""
    size = f.abs(x).named("size")
    exponent = f.clamp(y, -LARGEST, LARGEST)
    result = (_power_f32 if f.form is F32 else _power_f64)(f, size, exponent)
    f.comment("0 and infinity")
    vanishes = (size < 1.0) ^ (y < 0.0)
    result = f.select(size.equals(0.0) | size.equals(math.inf), f.select(vanishes, 0.0, math.inf), result)
    f.comment("The sign of x where y is odd; NaN where x is negative and y no integer.")
    distance = f.abs(y)
    whole = _is_whole(f, distance)
    odd = whole & _is_whole(f, distance * 0.5).negated()
    result = f.select(odd, f.copysign(result, x), result)
    result = f.select((x < 0.0) & (size < math.inf) & whole.negated(), math.nan, result)
    f.comment("NaN of NaN, but 1 where y is 0 or x is 1.")
    total = x + y
    result = f.select(f.is_nan(x) | f.is_nan(y), total, result)
    return f.select(y.equals(0.0) | x.equals(1.0), 1.0, result)


def _power_f64(f: Formula, size: Term, y: Term) -> Term:
    high, low = log_with_error(f, size)
    product, error = f.product_with_error(high, y)
    error = f.fma(y, low, error)
    f.comment("Beyond these bounds the result is 0 or infinity.")
    bound = 760.0
    error = f.select(f.abs(product) < bound, error, 0.0)
    product = f.clamp(product, -bound, (f.form.bias + 1.5) * math.log(2))
    reduced = reduce(f, product, error)
    return scaled(f, exp_reduced(f, reduced), reduced.shifted)


def _power_f32(f: Formula, size: Term, y: Term) -> Term:
    """``2**(y log2(x))`` in f64, by polynomials that are exact enough for f32."""
    wide = f.within(F64)
    k, fraction = split(wide, wide.convert(size, F64), subnormal=False)
    s = (fraction / (fraction + 2.0)).named("s")
    logarithm = wide.fma(s, wide.polynomial(coefficients.LOG2_SHORT["f64"], s * s), k)
    f.comment("Beyond these bounds the result is 0 or infinity in f32, and within range in f64.")
    product = wide.clamp(logarithm * wide.convert(y, F64), -200.0, 200.0)
    f.comment("2**(n + r)")
    shifted = (product + F64.rounder).named("shifted")
    r = product - (shifted - F64.rounder)
    power_of_two = wide.from_bits((wide.bits(shifted) + F64.bias) << F64.mantissa)
    return wide.convert(wide.polynomial(coefficients.EXP2_SHORT["f64"], r) * power_of_two, F32)


def log_with_error(f: Formula, x: Term) -> tuple[Term, Term]:
    """``log(x)`` as a sum: ``k log(2) + 2 s + s**3 (2 / 3 + s**2 Q(s**2))`` with ``s = (m - 1) / (m + 1)``."""
    k, fraction = split(f, x)
    f.comment("s + s_low = f / (2 + f)")
    whole, whole_low = f.sum_with_error(2.0, fraction)
    inverse = 1.0 / whole
    s = (fraction * inverse).named("s")
    part, part_low = f.product_with_error(s, whole)
    s_low = ((((fraction - part) - part_low) - s * whole_low) * inverse).named("s_low")
    f.comment("s**2 and s**3")
    square, square_low = f.product_with_error(s, s)
    square_low = f.fma(s + s, s_low, square_low)
    cube, cube_low = f.product_with_error(s, square)
    cube_low = f.fma(s, square_low, f.fma(s_low, square, cube_low))
    f.comment("2 / 3 + s**2 Q(s**2)")
    high, low = coefficients.TWO_THIRDS["f64"]
    factor, factor_low = f.sum_with_error(high, square * f.polynomial(coefficients.LOG_TAIL["f64"], square))
    factor_low = factor_low + low
    tail, tail_low = f.product_with_error(cube, factor)
    tail_low = f.fma(cube, factor_low, f.fma(cube_low, factor, tail_low))
    f.comment("the sum, from its largest part")
    total, error = f.sum_with_error(s + s, tail)
    error = error + (tail_low + (s_low + s_low))
    high, low = coefficients.LN2["f64"]
    log, more = f.sum_with_error(k * high, total)
    return f.sum_with_error(log, more + f.fma(k, low, error))


def _is_whole(f: Formula, size: Term) -> Term:
    """Whether a number that is not negative is an integer. Infinity is."""
    bound = 2.0**f.form.mantissa
    return (size >= bound) | ((size + bound) - bound).equals(size)
