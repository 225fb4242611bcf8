"""``sin``, ``cos`` and ``tan`` for arguments of any size.

``x = n pi / 2 + r + low`` with an integer n and ``abs(r) <= pi / 4``; the last two bits of n choose between the sine
and the cosine of r and their signs; the last one, for the tangent, between their quotient and its inverse with the sign
changed. Below 2**20 a product of n with pi / 2 in parts gives r (W. J. Cody and W. Waite, Software Manual for the
Elementary Functions, 1980). Beyond, x is multiplied by those bits of 2 / pi that matter: the higher ones give multiples
of 4 (M. H. Payne and R. N. Hanek, SIGNUM Newsletter 18, 1983).

In f32, with fused multiply-adds, all is f32 where arguments are below 2**17; the rest is computed in f64, or where a
machine has none, by those bits of 2 / pi in f32.
"""

from __future__ import annotations

import math
from typing import Final

from gradc.backends.math import coefficients
from gradc.backends.math.formats import F32, F64
from gradc.backends.math.formula import Formula
from gradc.backends.math.term import Term

NEAR: Final = 20
"""The power of two below which n has bits to spare, so that its products with parts of pi / 2 are exact."""

NEAR_F32: Final = 17
"""The same in f32, where the products of n are fused."""

WINDOW: Final = {"f64": 26, "f32": 8}
"""How many binades of arguments share a row of the table of 2 / pi."""

TABLE: Final = "two_over_pi"
LOW_BELOW: Final = -0.62
"""How much r times a small addition to r changes what is below the quotient, where above it is added to it alone."""
QUARTER: Final = {"sin": 0, "cos": 1, "tan": 0}


def sin(f: Formula, x: Term) -> Term:
    """``sin(x)``."""
    return _in_parts(f, x, "sin")


def cos(f: Formula, x: Term) -> Term:
    """``cos(x)``."""
    return _in_parts(f, x, "cos")


def tan(f: Formula, x: Term) -> Term:
    """``tan(x)``."""
    return _in_parts(f, x, "tan")


def _in_parts(f: Formula, x: Term, name: str) -> Term:
    """The function of small arguments; where others are among them, that of f64. Each path has copies of its parts."""
    result, small = of_small(f, x, name)
    f.done_if(small, result)
    if is_alone(f):
        return f.select(small, of_small(f, x, name)[0], of_large(f, x, name))
    wide, point = f.within(F64), f.convert(x, F64)
    if f.form is F32 and f.fused:
        medium, near = of_small(wide, point, name)
        f.done_if(near, f.select(small, of_small(f, x, name)[0], f.convert(medium, F32)))
        far = f.select(near, of_small(wide, point, name)[0], of_large(wide, point, name))
    else:
        far = of_large(wide, point, name)
    return f.select(small, of_small(f, x, name)[0], f.convert(far, f.form))


def is_alone(f: Formula) -> bool:
    """Whether large arguments are taken apart in f32."""
    return f.form is F32 and f.fused and not f.doubles


def of_small(f: Formula, x: Term, name: str) -> tuple[Term, Term]:
    """The function, and whether x is small enough for this. Where it is not, the one of f64 is right in f32 too."""
    native = f.form is F32 and f.fused
    size = f.abs(x)
    near = size < 2.0 ** (NEAR_F32 if native else NEAR)
    if native:
        return _near_f32(f, x, size, name), near
    result = (_near_unfused_f32 if f.form is F32 else _near_f64)(f, x, name)
    if name != "cos":
        f.comment("Near 0 it is x itself, with its sign.")
        result = f.select(size < f.form.epsilon / 2, x, result)
    return result, near


def _near_f64(f: Formula, x: Term, name: str) -> Term:
    if f.fused:
        shifted, n = _nearest(f, x, 2 / math.pi)
        return _of_rest(f, *_less_right_angles(f, x, n), f.bits(shifted), name)
    first, second, third, fourth = coefficients.HALF_PI["f64"]
    shifted, n = _nearest(f, x * (2 / math.pi))
    f.comment("r + low = x - n pi / 2; the products with the first three parts are exact.")
    r = f.fma(n, -first, x)
    r, error = f.two_sum(r, n * -second)
    r, more = f.two_sum(r, n * -third)
    low = f.fma(n, -fourth, error + more)
    return _of_rest(f, r, low, f.bits(shifted), name)


def _less_right_angles(f: Formula, x: Term, n: Term) -> tuple[Term, Term]:
    """``x - n pi / 2`` as a sum of two numbers, with fused multiply-adds.

    The product with the first part of pi / 2, of as many bits as a number has, leaves no error: what is left is a
    multiple of half the last bit of that part, and below 1. It is a multiple of the last bit of the second product
    too, so that this order of their sum serves where that is the larger one (S. Boldo, S. Graillat and J.-M. Muller,
    ACM TOMS 44, 2017).
    """
    first, second, third = coefficients.HALF_PI_FUSED[f.form.name]
    f.comment("r + low = x - n pi / 2; the product with the first part leaves no error.")
    exact = f.fma(n, -first, x)
    product, product_low = f.product_with_error(n, f.number(-second))
    r, error = f.sum_with_error(exact, product)
    return r, f.fma(n, -third, error + product_low)


def _near_f32(f: Formula, x: Term, size: Term, name: str) -> Term:
    if name == "tan":
        shifted, n = _nearest(f, x, 2 / math.pi)
        return _tangent_f32(f, *_less_right_angles(f, x, n), f.bits(shifted))
    first, second, third = coefficients.HALF_PI_FUSED["f32"]
    shifted, n = _nearest(f, size, 2 / math.pi)
    f.comment("r = size - n pi / 2; the product with the first part leaves no error.")
    exact = f.fma(n, -first, size)
    r = f.fma(n, -third, f.fma(n, -second, exact)).named("r")
    sine, cosine = _sine_and_cosine_f32(f, r)
    quadrant = f.bits(shifted)
    if name == "cos":
        return _signed(f, sine, cosine, quadrant + 1)
    value = f.bits(f.select(f.is_odd(quadrant), cosine, sine))
    return f.from_bits(value ^ (((quadrant << 30) ^ f.bits(x)) & (1 << 31)))


def _sine_and_cosine_f32(f: Formula, r: Term) -> tuple[Term, Term]:
    square = r * r
    even = f.fma(square, f.polynomial(coefficients.COS["f32"], square), -0.5)
    return f.fma(r * square, f.polynomial(coefficients.SIN["f32"], square), r), f.fma(square, even, 1.0)


def _tangent_f64(f: Formula, r: Term, low: Term, quadrant: Term) -> Term:
    """The tangent of ``r + low`` plus ``quadrant`` right angles: a quotient, or its inverse with the sign changed."""
    f.comment("tan(r) = r (1 + r**2 A(r**2)) / (1 - r**2 / 2 + r**4 B(r**2))")
    square = r * r
    part = f.fma(r * square, f.horner(coefficients.TAN_ABOVE["f64"], square), low)
    half = square * 0.5
    one_less_half = 1.0 - half
    error = f.fma(low * LOW_BELOW, r, (1.0 - one_less_half) - half)
    tail = f.fma(square * square, f.horner(coefficients.TAN_BELOW["f64"], square), error)
    sine, sine_low = f.sum_with_error(r, part)
    cosine, cosine_low = f.sum_with_error(one_less_half, tail)
    odd = f.is_odd(quadrant)
    above, above_low = f.select(odd, -cosine, sine), f.select(odd, -cosine_low, sine_low)
    below, below_low = f.select(odd, sine, cosine), f.select(odd, sine_low, cosine_low)
    f.comment("The quotient is rounded once; what it has too much is subtracted, so that -0 stays.")
    inverse = 1.0 / below
    quotient = (above * inverse).named("quotient")
    excess = f.fma(quotient, below_low, -above_low) - f.rest(above, quotient, below)
    return f.fma(-excess, inverse, quotient)


def _tangent_f32(f: Formula, r: Term, low: Term, quadrant: Term) -> Term:
    """The same in f32: a polynomial, and ``-1 / t`` corrected by what rounding took from t."""
    square = r * r
    tail = f.fma(r * square, f.horner(coefficients.TAN["f32"], square), low)
    tangent, tangent_low = f.sum_with_error(r, tail)
    inverse = -1.0 / tangent
    return f.select(f.is_odd(quadrant), f.fma(inverse * inverse, tangent_low, inverse), tangent)


def _near_unfused_f32(f: Formula, x: Term, name: str) -> Term:
    """In f64, where two parts of pi / 2 are enough."""
    wide = f.within(F64)
    first, *rest = coefficients.HALF_PI["f64"]
    x = wide.convert(x, F64)
    shifted, n = _nearest(wide, x * (2 / math.pi))
    r = wide.fma(n, -math.fsum(rest), wide.fma(n, -first, x)).named("r")
    square = r * r
    sine = wide.fma(r * square, wide.polynomial(coefficients.SIN["f32"], square), r)
    even = wide.fma(square, wide.polynomial(coefficients.COS["f32"], square), -0.5)
    cosine = wide.fma(square, even, 1.0)
    quadrant = wide.bits(shifted)
    if name == "tan":
        odd = wide.cast("trunc", quadrant, "i1")
        return f.convert(wide.select(odd, -cosine, sine) / wide.select(odd, sine, cosine), F32)
    return f.convert(_signed(wide, sine, cosine, quadrant + QUARTER[name]), F32)


def of_large(f: Formula, x: Term, name: str) -> Term:
    """The function of f64 of at least 2**20, of f32 of at least 2**17, of infinity and NaN."""
    form, window = f.form, WINDOW[f.form.name]
    size = f.abs(x).named("size")
    pattern = f.bits(size)
    f.comment("the row of 2 / pi by the exponent, and the argument scaled as the row is")
    exponent = pattern >> form.mantissa
    if form is F64:
        row = f.cast("zext", (f.cast("trunc", exponent, "i32") - (F64.bias + NEAR)) // window, "i64").named("row")
    else:
        row = ((exponent - (F32.bias + NEAR_F32)) // window).named("row")
    scaled = f.from_bits(pattern - row * (window << form.mantissa)).named("scaled")
    parts = f.row(TABLE, row, 4)
    f.comment("size * 2 / pi, without multiples of 4: eight numbers, each much smaller than those before it")
    products = [f.product_with_error(scaled, part) for part in parts[:3]]
    (top, top_low), (middle, middle_low), (bottom, bottom_low) = products
    huge = f.abs(top) >= 2.0 ** (form.mantissa + 3)
    top = f.select(huge, 0.0, _modulo_4(f, top))
    total, error_1 = f.two_sum(top, _modulo_4(f, top_low))
    total, error_2 = f.two_sum(total, _modulo_4(f, middle))
    shifted, n = _nearest(f, total)
    f.comment("the rest beside n, from its largest part; every error of a sum is kept, for the sums may cancel")
    rest, error_3 = f.two_sum(total - n, middle_low)
    rest, error_4 = f.two_sum(rest, bottom)
    small, error_5 = f.two_sum(error_1, error_2)
    rest, error_6 = f.two_sum(rest, small)
    last = f.fma(scaled, parts[3], bottom_low)
    rest, low = f.two_sum(rest, ((error_3 + error_4) + (error_5 + error_6)) + last)
    f.comment("r + low = rest * pi / 2")
    high, high_low = coefficients.HALF_PI_PAIR[form.name]
    r, error = f.product_with_error(rest, f.number(high))
    low = error + f.fma(rest, high_low, low * high)
    result = _of_rest(f, r, low, f.bits(shifted), name)
    if name != "cos":
        result = _with_sign(f, result, x)
    return f.select(size < math.inf, result, x - x)


def _nearest(f: Formula, x: Term, factor: float = 1.0) -> tuple[Term, Term]:
    """The integer nearest to x times the factor: as the last bits of a number, and as a number."""
    shifted = (x + f.form.rounder if factor == 1.0 else f.fma(x, factor, f.form.rounder)).named("shifted")
    return shifted, (shifted - f.form.rounder).named("n")


def _modulo_4(f: Formula, x: Term) -> Term:
    """``x`` without multiples of 4, and at most 2 in size where it was below 2**53."""
    rounder = f.form.rounder
    return x - ((x * 0.25 + rounder) - rounder) * 4.0


def _of_rest(f: Formula, r: Term, low: Term, quadrant: Term, name: str) -> Term:
    """The function of ``r + low`` plus ``quadrant`` right angles."""
    if name == "tan":
        tangent = _tangent_f32 if f.form is F32 else _tangent_f64
        return tangent(f, *f.sum_with_error(r, low), quadrant)
    if f.form is F32:
        return _signed(f, *_sine_and_cosine_f32(f, r + low), quadrant + QUARTER[name])
    f.comment("sin(r + low) and cos(r + low)")
    square = r * r
    part = f.fma(r * square, f.polynomial(coefficients.SIN["f64"], square), low)
    half = square * 0.5
    one_less_half = 1.0 - half
    error = (1.0 - one_less_half) - half
    tail = f.fma(square * square, f.polynomial(coefficients.COS["f64"], square), error - r * low)
    return _signed(f, r + part, one_less_half + tail, quadrant + QUARTER[name])


def _signed(f: Formula, sine: Term, cosine: Term, quadrant: Term) -> Term:
    """By the last two bits of ``quadrant``: sine, cosine, -sine, -cosine."""
    value = f.select(f.is_odd(quadrant), cosine, sine)
    return f.from_bits(f.bits(value) ^ ((quadrant & 2) << (f.form.bits - 2)))


def _with_sign(f: Formula, result: Term, x: Term) -> Term:
    """``result`` of the size of x, with its sign changed where x is negative."""
    return f.from_bits(f.bits(result) ^ (f.bits(x) & (-1 << (f.form.bits - 1))))
