"""``pow``: ``exp(y log(abs(x)))``, and the sign.

An error of the exponent is one of the result, up to 745 times as large: the logarithm and its product with y are sums
of two numbers. The leading bits of ``x = 2**k m`` choose a factor c with an exact ``r = m c - 1`` near 0, so that
``log(x) = k log(2) - log(c) + log(1 + r)`` (P. T. P. Tang, ACM TOMS 16, 1990).
"""

from __future__ import annotations

import math

from gradc.backends.math import coefficients, tables
from gradc.backends.math.exponential import raised_sixteenths, scaled
from gradc.backends.math.formats import F32
from gradc.backends.math.formula import Formula
from gradc.backends.math.logarithm import split_in_cells
from gradc.backends.math.term import Term

LARGEST = 2.0**64
"""An exponent beyond it makes every x but 1 overflow or vanish."""


def power(f: Formula, x: Term, y: Term) -> Term:
    """``x**y``, with the special values of C99 (Annex F.9.4.4)."""
    logarithm, low = _log_as_sum(f, x)
    product, error = _product(f, logarithm, low, y)
    result = _exp(f, product, error)
    f.comment("enough for positive, finite x and a result that is in range")
    holds = f.abs(product) < (f.form.bias - 1) * math.log(2)
    if not f.has_exponents:
        f.comment("else the logarithm would be NaN or infinite")
        holds = holds & (x >= f.form.smallest_normal) & (x < math.inf)
    if not f.fused:
        f.comment("else the halves of y, whose products tell the error, overflow")
        holds = holds & (f.abs(y) <= LARGEST)
    f.done_if(holds, result)
    size = f.abs(x).named("size")
    logarithm, low = _log_as_sum(f, size)
    f.comment("Beyond these bounds the result is 0 or infinity.")
    product, error = _product(f, logarithm, low, f.clamp(y, -LARGEST, LARGEST))
    below, above = -(f.form.bias + f.form.mantissa + 2) * math.log(2), (f.form.bias + 1.5) * math.log(2)
    error = f.select((product > below) & (product < above), error, 0.0)
    result = _exp(f, f.clamp(product, below, above), error)
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


def log_with_error(f: Formula, x: Term) -> tuple[Term, Term]:
    """``log(x)`` and what rounding took from it."""
    return f.sum_with_error(*_log_as_sum(f, x))


def _log_as_sum(f: Formula, x: Term) -> tuple[Term, Term]:
    """The same as any sum of two numbers, the second at most 1/500 (f32: 1/60) of the first.

    It is about 2**-62 (f32: 2**-31) of the whole from the logarithm.
    """
    name = f.form.name
    k, r, index = split_in_cells(f, x)
    high, low = coefficients.LN2[name]
    f.comment("k log(2) - log(c); the sum of the first parts leaves no error.")
    base = f.fma(k, high, f.lookup("log_cells", tables.LOG_CELLS[name], index)).named("base")
    rest = f.fma(k, low, f.lookup("log_cells_low", tables.LOG_CELLS_LOW[name], index))
    total, error = f.sum_with_error(base, r)
    f.comment("log(1 + r) = r - r**2 / 2 + r**3 P(r)")
    log, more = f.add_product(total, r * -0.5, r)
    rest = rest + (error + more)
    return log, f.fma(r * r * r, f.polynomial(coefficients.LOG_CUBE[name], r), rest)


def _product(f: Formula, logarithm: Term, low: Term, y: Term) -> tuple[Term, Term]:
    product, error = f.product_with_error(logarithm, y)
    return product, f.fma(y, low, error)


def _exp(f: Formula, x: Term, error: Term) -> Term:
    """``exp(x + error)``."""
    if f.form is not F32:
        return raised_sixteenths(f, x, error)
    high, low = coefficients.LN2["f32"]
    f.comment("x + error = n log(2) + r, abs(r) <= log(2) / 2; n stands in the last bits of %shifted")
    shifted = f.fma(x + error, 1 / math.log(2), F32.rounder).named("shifted")
    n = shifted - F32.rounder
    r = (f.fma(n, -low, error) + f.fma(n, -high, x)).named("r")
    grown = f.fma(r * r, f.polynomial(coefficients.EXP["f32"], r), r) + 1.0
    return scaled(f, grown, shifted)


def _is_whole(f: Formula, size: Term) -> Term:
    """Whether a number that is not negative is an integer. Infinity is."""
    bound = 2.0**f.form.mantissa
    return (size >= bound) | ((size + bound) - bound).equals(size)
