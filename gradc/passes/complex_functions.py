"""Functions of complex numbers told in real ones: each takes and gives pairs of a real and an imaginary part.

Products and quotients are NumPy's, step by step: a product recovers nothing from infinities, a quotient is Smith's
(Comm. ACM 5 (1962) 435). Elementary functions have C99's values at zeros, infinities and overflow where it says so.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from gradc.ir.graph import Value
from gradc.ops import elementwise as ops
from gradc.ops import functions
from gradc.ops.rounding import copysign


class Pair(NamedTuple):
    """A complex value: its parts."""

    re: Value
    im: Value


def number(like: Value, x: float) -> Value:
    """A real number in the place of every element."""
    return like.builder.full(x, like.aval)


def product(x: Pair, y: Pair) -> Pair:
    """``x * y`` by its definition."""
    return Pair(x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re)


def quotient(x: Pair, y: Pair) -> Pair:
    """``x / y``: the larger part of the denominator divides the smaller first, so that no square overflows."""
    sizes = ops.absolute(y.re), ops.absolute(y.im)
    first = ops.greater_equal(*sizes)
    zero = number(y.re, 0.0)
    large, small = ops.select(first, y.re, y.im), ops.select(first, y.im, y.re)
    ratio = small / large
    scale = 1.0 / (large + small * ratio)
    kept, turned = ops.select(first, x.re, x.im), ops.select(first, x.im, x.re)
    re = (kept + turned * ratio) * scale
    im = ops.select(first, x.im - x.re * ratio, x.im * ratio - x.re) * scale
    by_zero = ops.logical_and(ops.equal(sizes[0], zero), ops.equal(sizes[1], zero))
    return Pair(ops.select(by_zero, x.re / sizes[0], re), ops.select(by_zero, x.im / sizes[0], im))


def magnitude(z: Pair) -> Value:
    """``|z|``."""
    return functions.hypot(z.re, z.im)


_LARGEST_EXPONENT: Final = {np.dtype(np.float32): (88.0, 80.0), np.dtype(np.float64): (709.0, 700.0)}
"""From where on exp(x) is near overflow, and what is then taken off x: exact, by Sterbenz."""


def exponential(z: Pair) -> Pair:
    """``exp(z)``; finite where a part of it is, though ``exp`` of the real part overflows."""
    limit, less = _LARGEST_EXPONENT[z.re.aval.dtype]
    zero, one = number(z.re, 0.0), number(z.re, 1.0)
    high = ops.greater(z.re, number(z.re, limit))
    size = ops.exp(ops.select(high, z.re - less, z.re))
    again = ops.select(high, number(z.re, math.exp(less)), one)
    re, im = (size * part * again for part in (ops.cos(z.im), ops.sin(z.im)))
    # exp(-inf + i inf) is 0, exp(inf + i inf) infinite with an unknown angle, exp(x + 0i) real.
    gone = ops.equal(z.re, number(z.re, -math.inf))
    unknown = ops.logical_and(ops.equal(z.re, number(z.re, math.inf)), ops.logical_not(ops.isfinite(z.im)))
    real = ops.equal(z.im, zero)
    re = ops.select(unknown, z.re, ops.select(real, size * again, re))
    im = ops.select(real, z.im, im)
    lost = ops.logical_and(gone, ops.logical_not(ops.isfinite(z.im)))
    return Pair(ops.select(lost, zero, re), ops.select(lost, zero, im))


def logarithm(z: Pair) -> Pair:
    """``log(z)``: the logarithm of the size, near the unit circle by its distance from it, and the angle."""
    sizes = ops.absolute(z.re), ops.absolute(z.im)
    large, small = ops.maximum(*sizes), ops.minimum(*sizes)
    length = magnitude(z)
    distance = (large - 1.0) * (large + 1.0) + small * small
    near = ops.logical_and(ops.greater(length, number(length, 0.5)), ops.less(length, number(length, 2.0)))
    around = 0.5 * ops.log1p(ops.select(near, distance, number(length, 0.0)))
    huge = ops.greater(large, number(large, 0.25 * float(np.finfo(large.aval.dtype).max)))
    eighth = number(large, 0.125)
    scaled = functions.hypot(z.re * eighth, z.im * eighth)
    size = ops.log(ops.select(huge, scaled, length)) + ops.select(huge, number(large, math.log(8)), number(large, 0.0))
    return Pair(ops.select(near, around, size), functions.arctan2(z.im, z.re))


def exponential_less_one(z: Pair) -> Pair:
    """``exp(z) - 1``, as NumPy has it."""
    half = ops.sin(0.5 * z.im)
    return Pair(ops.expm1(z.re) * ops.cos(z.im) - 2.0 * (half * half), ops.exp(z.re) * ops.sin(z.im))


def logarithm_of_one_more(z: Pair) -> Pair:
    """``log(1 + z)``, as NumPy has it."""
    more = 1.0 + z.re
    return Pair(ops.log(functions.hypot(more, z.im)), functions.arctan2(z.im, more))


def exponential_of_two(z: Pair) -> Pair:
    """``2**z``, as NumPy by the other exponential."""
    return exponential(Pair(z.re * math.log(2), z.im * math.log(2)))


def logarithm_to(base: int, z: Pair) -> Pair:
    """The logarithm to a base, as NumPy by the natural one."""
    found = logarithm(z)
    return Pair(found.re * (1 / math.log(base)), found.im * (1 / math.log(base)))


_SMALL: Final = {
    np.dtype(np.float32): (2.0**-100, 2.0**59, 2.0**-30),
    np.dtype(np.float64): (2.0**-900, 2.0**199, 2.0**-100),
}
"""From where down numbers are scaled up for the square root; by how much; the root's factor back, 1/sqrt(2 s)."""


def raise_of(size: Value) -> Value:
    """A power of two that brings numbers, the largest of this size, where reciprocals are finite; 1 if they are."""
    limit, up, _ = _SMALL[size.aval.dtype]
    return ops.select(ops.less(size, number(size, limit)), number(size, up), number(size, 1.0))


def square_root(z: Pair) -> Pair:
    """``sqrt(z)`` in the right half plane; scaled, so that no sum overflows and none is subnormal."""
    sizes = ops.absolute(z.re), ops.absolute(z.im)
    large = ops.maximum(*sizes)
    limit, up, back = _SMALL[z.re.aval.dtype]
    small = ops.less(large, number(large, limit))
    scale = ops.select(small, number(large, up), number(large, 0.125))
    factor = ops.select(small, number(large, back), number(large, 2.0))
    root = ops.sqrt(sizes[0] * scale + functions.hypot(z.re * scale, z.im * scale)) * factor
    zero, infinite = number(large, 0.0), number(large, math.inf)
    other = z.im / (root * 2.0)
    right = ops.logical_not(ops.less(z.re, zero))
    re = ops.select(right, root, ops.absolute(other))
    im = ops.select(right, other, copysign(root, z.im))
    at_zero = ops.equal(large, zero)
    unbounded = ops.equal(sizes[1], infinite)
    re = ops.select(unbounded, infinite, ops.select(at_zero, zero, re))
    return Pair(re, ops.select(ops.logical_or(unbounded, at_zero), z.im, im))


def _strong(x: Value, y: Value) -> Value:
    """``x * y``, but 0 where either is, be the other infinite or NaN: on the axes one part of a function vanishes."""
    zero = number(x, 0.0)
    vanishes = ops.logical_or(ops.equal(x, zero), ops.equal(y, zero))
    return ops.select(vanishes, copysign(zero, x) * copysign(number(x, 1.0), y), x * y)


def sine(z: Pair) -> Pair:
    """``sin(z)``."""
    return Pair(_strong(ops.sin(z.re), functions.cosh(z.im)), _strong(ops.cos(z.re), functions.sinh(z.im)))


def cosine(z: Pair) -> Pair:
    """``cos(z)``."""
    return Pair(_strong(ops.cos(z.re), functions.cosh(z.im)), -_strong(ops.sin(z.re), functions.sinh(z.im)))


def hyperbolic_sine(z: Pair) -> Pair:
    """``sinh(z)``."""
    return Pair(_strong(functions.sinh(z.re), ops.cos(z.im)), _strong(functions.cosh(z.re), ops.sin(z.im)))


def hyperbolic_cosine(z: Pair) -> Pair:
    """``cosh(z)``."""
    return Pair(_strong(functions.cosh(z.re), ops.cos(z.im)), _strong(functions.sinh(z.re), ops.sin(z.im)))


def hyperbolic_tangent(z: Pair) -> Pair:
    """``tanh(z)`` as W. Kahan has it; beyond 20 the real part is 1 and the other decays as ``exp(-2|x|)``."""
    size = ops.absolute(z.re)
    far = ops.greater(size, number(size, 20.0))
    x = ops.select(far, number(size, 0.0), z.re)
    slope = functions.tan(z.im)
    growth = slope * slope + 1.0
    sinh = functions.sinh(x)
    below = growth * (sinh * sinh) + 1.0
    re = growth * (functions.cosh(x) * sinh) / below
    im = slope / below
    tail = 4.0 * (ops.sin(z.im) * ops.cos(z.im)) * ops.exp(size * -2.0)
    one = copysign(number(size, 1.0), z.re) + tail * 0.0  # NaN where the tail is
    return Pair(ops.select(far, one, re), ops.select(far, tail, im))


def tangent(z: Pair) -> Pair:
    """``tan(z)``, which is ``-i tanh(i z)``."""
    turned = hyperbolic_tangent(Pair(-z.im, z.re))
    return Pair(turned.im, -turned.re)


_MOST: Final = 100
"""Below this whole exponent NumPy multiplies."""


def whole_power(z: Pair, exponent: int) -> Pair:
    """``z**n`` by squaring."""
    result: Pair | None = None
    square, left = z, abs(exponent)
    while left:
        if left & 1:
            result = square if result is None else product(result, square)
        left >>= 1
        square = product(square, square) if left else square
    one = Pair(number(z.re, 1.0), number(z.re, 0.0))
    result = one if result is None else result
    if exponent >= 0:
        return result
    found = quotient(one, result)
    at_zero = ops.logical_and(*[ops.equal(part, number(part, 0.0)) for part in z])
    return Pair(*[ops.select(at_zero, number(part, math.nan), part) for part in found])


def power(z: Pair, w: Pair) -> Pair:
    """``z**w``: by products for a whole number that is known, else ``exp(w log z)``; as NumPy at 0 and to 0."""
    known = [part.builder.scalar(part) for part in w]
    if known[0] is not None and known[1] == 0 and float(known[0]).is_integer() and abs(float(known[0])) < _MOST:
        return whole_power(z, int(known[0]))
    zero, one, nan = (number(z.re, x) for x in (0.0, 1.0, math.nan))
    found = exponential(product(w, logarithm(z)))
    of_zero = ops.logical_and(ops.equal(z.re, zero), ops.equal(z.im, zero))
    is_real = ops.equal(w.im, zero)
    grows = ops.logical_and(ops.greater(w.re, zero), is_real)
    to_zero = ops.logical_and(ops.equal(w.re, zero), is_real)
    at_zero = ops.select(grows, zero, nan)
    re = ops.select(of_zero, at_zero, found.re)
    im = ops.select(of_zero, at_zero, found.im)
    return Pair(ops.select(to_zero, one, re), ops.select(to_zero, zero, im))
