"""``arctan``, ``arctan2``, ``arcsin`` and ``arccos``: polynomials up to 1/2, to which an identity leads the rest."""

from __future__ import annotations

import math

from gradc.backends.math import coefficients
from gradc.backends.math.formats import F32
from gradc.backends.math.formula import Formula
from gradc.backends.math.term import Term


def arctan(f: Formula, x: Term) -> Term:
    """``arctan(x)``, with the sign of x."""
    size = f.abs(x)
    if f.form is F32:
        return f.copysign(_arctan_f32(f, size), x)
    f.comment("Beyond the bound the result is pi / 2.")
    most = 2.0 ** (f.form.mantissa + 8)
    kept = f.select(size > most, most, size).named("kept")
    one = f.number(1.0)
    base, part, high_part = _angle(f, kept, one, f.number(0.0), f.number(0.0))
    return f.copysign(base + (part + high_part), x)


def _arctan_f32(f: Formula, size: Term) -> Term:
    """By a longer polynomial up to 1, and ``pi / 2 - arctan(1 / size)`` beyond."""
    right, right_low = coefficients.HALF_PI_PAIR["f32"]
    far = size > 1.0
    t = f.select(far, -1.0 / size, size).named("t")
    square = t * t
    tail = f.fma(t * square, f.horner(coefficients.ARCTAN_WIDE["f32"], square), f.select(far, right_low, 0.0))
    return f.select(far, right, f.number(0.0)) + (t + tail)


def arctan2(f: Formula, y: Term, x: Term) -> Term:
    """The angle of the point (x, y), with the special values of C99 (Annex F.9.1.4)."""
    form = f.form
    high, wide = f.abs(y), f.abs(x)
    if form is F32:
        return f.copysign(_arctan2_f32(f, high, wide, f.copysign(f.number(1.0), x) < 0.0), y)
    both = high.equals(math.inf) & wide.equals(math.inf)
    high, wide = f.select(both, 1.0, high), f.select(both, 1.0, wide)
    f.comment("a quarter of both where their sum might overflow")
    quarter = f.select((high > 2.0 ** (form.bias - 1)) | (wide > 2.0 ** (form.bias - 1)), 0.25, f.number(1.0))
    high, wide = (high * quarter).named("high"), (wide * quarter).named("wide")
    left = f.copysign(f.number(1.0), x) < 0.0
    pi, pi_low = (2 * part for part in coefficients.HALF_PI_PAIR[form.name])
    base, part, rest = _angle(f, high, wide, f.select(left, pi, 0.0), f.select(left, pi_low, 0.0), left)
    return f.copysign(base + (part + rest), y)


def _arctan2_f32(f: Formula, high: Term, wide: Term, left: Term) -> Term:
    """The angle of the point (wide, high), or of its mirror image where ``left``, by the quotient of at most 1."""
    right, right_low = coefficients.HALF_PI_PAIR["f32"]
    steep = high > wide
    below, above = f.select(steep, high, wide), f.select(steep, wide, high)
    f.comment("0 / 0 is 0 here, and infinity / infinity is 1.")
    below = f.select(below.equals(0.0), 1.0, below)
    quotient = f.select(above.equals(below), 1.0, above / below)
    t = f.select(steep ^ left, -quotient, quotient).named("t")
    square = t * t
    low = f.select(steep, right_low, f.select(left, 2 * right_low, f.number(0.0)))
    base = f.select(steep, right, f.select(left, 2 * right, f.number(0.0)))
    return base + (t + f.fma(t * square, f.horner(coefficients.ARCTAN_WIDE["f32"], square), low))


def _angle(
    f: Formula, high: Term, wide: Term, far: Term, far_low: Term, mirrored: Term | None = None
) -> tuple[Term, Term, Term]:
    """The angle of ``high / wide`` as a sum of three numbers; ``far`` minus it where ``mirrored``.

    The quotient t is at most 1/2 in size: of both numbers, of ``-wide / high`` after a right angle, and of
    ``(high - wide) / (high + wide)`` after half of one, where the difference is exact (P. H. Sterbenz).
    """
    name = f.form.name
    right, right_low = coefficients.HALF_PI_PAIR[name]
    small, large = high <= wide * 0.5, high > wide * 2.0
    above = f.select(small, high, f.select(large, -wide, high - wide))
    below = f.select(small, wide, f.select(large, high, high + wide))
    base = f.select(small, 0.0, f.select(large, right, f.number(right / 2)))
    low = f.select(small, 0.0, f.select(large, right_low, f.number(right_low / 2)))
    if mirrored is not None:
        f.comment("0 / 0 is 0 here.")
        below = f.select(below.equals(0.0), 1.0, below)
        base, low = f.select(mirrored, far - base, base), f.select(mirrored, far_low - low, low)
        above = f.select(mirrored, -above, above)
    t = (above / below).named("t")
    square = t * t
    tail = f.fma(t * square, f.polynomial(coefficients.ARCTAN[name], square), low)
    total, error = f.sum_with_error(base, t)
    return total, error, tail


def arcsin(f: Formula, x: Term) -> Term:
    """``arcsin(x)``, with the sign of x: beyond 1/2 ``pi / 2 - 2 arcsin(sqrt((1 - x) / 2))``."""
    size = f.abs(x)
    far = size > 0.5
    t, tail = _sine(f, size, far)
    right, right_low = coefficients.HALF_PI_PAIR[f.form.name]
    total, error = f.sum_with_error(right, t * -2.0)
    beyond = total + ((error + right_low) - (tail + tail))
    return f.copysign(f.select(far, beyond, t + tail), x)


def arccos(f: Formula, x: Term) -> Term:
    """``arccos(x)``: ``pi / 2 - arcsin(x)``; beyond 1/2 ``2 arcsin(sqrt((1 - x) / 2))``."""
    size = f.abs(x)
    far = size > 0.5
    t, tail = _sine(f, size, far)
    right, right_low = coefficients.HALF_PI_PAIR[f.form.name]
    f.comment("base minus the signed, doubled arcsine")
    below = x < 0.0
    factor = f.copysign(f.select(far, 2.0, f.number(1.0)), x)
    factor = f.select(far, -factor, factor)
    none = far & below.negated()
    base = f.select(none, 0.0, f.select(far, 2 * right, f.number(right)))
    low = f.select(none, 0.0, f.select(far, 2 * right_low, f.number(right_low)))
    return base - f.fma(t, factor, f.fma(tail, factor, -low))


def _sine(f: Formula, size: Term, far: Term) -> tuple[Term, Term]:
    """The arcsine of ``size``, or where ``far`` of ``sqrt((1 - size) / 2)``, as a sum."""
    square = f.select(far, (1.0 - size) * 0.5, size * size).named("square")
    t = f.select(far, f.call("sqrt", square), size).named("t")
    return t, t * square * f.polynomial(coefficients.ARCSIN[f.form.name], square)
