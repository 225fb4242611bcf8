"""``cbrt`` and ``hypot``."""

from __future__ import annotations

import math

from gradc.backends.math import coefficients, tables
from gradc.backends.math.exponential import raised
from gradc.backends.math.formats import F64
from gradc.backends.math.formula import Formula
from gradc.backends.math.logarithm import split_bits
from gradc.backends.math.term import Term


def cbrt(f: Formula, x: Term) -> Term:
    """The cube root, with the sign of x: ``a u`` with ``u = a**(-2/3)``, of ``x = 2**(3 n) a``.

    In f32 a polynomial gives u; in f64 one starts ``w = a**(-1/3)``, and a step of Householder's method makes it right
    to two thirds of the digits (A. S. Householder, The Numerical Treatment of a Single Nonlinear Equation, 1970), all
    without divisions. The last step is Newton's.
    """
    form = f.form
    if f.has_exponents:
        k, m = f.exponent(x), f.significand_of_size(x)
    else:
        size = f.abs(x)
        k, m = split_bits(f, size, 1.0)
    f.comment("k = 3 n + rest; n stands in the last bits of %shifted, rest in those of %rest")
    shifted = f.fma(k, 1 / 3, form.rounder).named("shifted")
    rest = f.bits(f.fma(shifted - form.rounder, -3.0, k + form.rounder)).named("rest")
    f.comment("2**rest, and a power of it")
    a = (m * f.lookup("cube_powers", tables.CUBE_POWERS[form.name], rest)).named("a")
    scale = f.lookup("cube_roots", tables.CUBE_ROOTS[form.name], rest)
    if form is F64:
        w = f.polynomial(coefficients.CBRT["f64"], m) * scale
        missing = 1.0 - a * (w * w * w)
        w = f.fma(w * missing, f.fma(missing, 2 / 9, 1 / 3), w).named("w")
        square = w * w
    else:
        square = f.horner(coefficients.CBRT_SQUARED["f32"], m) * scale
    t = (a * square).named("t")
    left = f.fma(t * t, -t, a) if f.fused else _left(f, a, t)
    root = raised(f, f.fma(left, square * (1 / 3), t), shifted)
    if not f.has_exponents:
        f.comment("0, infinity and NaN are their own roots.")
        root = f.select((size > 0.0) & (size < math.inf), root, size)
    return f.copysign(root, x)


def _left(f: Formula, a: Term, t: Term) -> Term:
    """``a - t**3`` without fused multiply-adds."""
    square, square_low = f.product_with_error(t, t)
    return f.rest(a, square, t) - square_low * t


def hypot(f: Formula, x: Term, y: Term) -> Term:
    """``sqrt(x**2 + y**2)``, in range where the result is: infinite where x or y is, even beside NaN."""
    form = f.form
    a, b = f.abs(x), f.abs(y)
    larger = a > b
    high, low = f.select(larger, a, b).named("high"), f.select(larger, b, a).named("low")
    f.comment("scaled by a power of two where a square would leave the range")
    huge, tiny = high > 2.0 ** (form.bias // 2 - 2), high < 2.0 ** (-(form.bias // 2) + form.mantissa)
    far = 2.0 ** (form.bias * 3 // 4)
    scale = f.select(huge, 1 / far, f.select(tiny, far, f.number(1.0)))
    back = f.select(huge, far, f.select(tiny, 1 / far, f.number(1.0)))
    high, low = high * scale, low * scale
    length = f.call("sqrt", f.fma(high, high, low * low)) * back
    return f.select(a.equals(math.inf) | b.equals(math.inf), math.inf, length)
