"""Inverse trigonometric and hyperbolic functions of complex numbers, told in real ones.

The formulas are W. Kahan's ("Branch Cuts for Complex Elementary Functions", in The State of the Art in Numerical
Analysis, 1987): the sign of a zero says on which side of a cut a number is, and no square root is taken of a sum that
has lost its digits.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from gradc.ir.graph import Value
from gradc.ops import elementwise as ops
from gradc.ops import functions
from gradc.ops.rounding import copysign
from gradc.passes.complex_functions import Pair, number, square_root


def _roots(z: Pair) -> tuple[Pair, Pair]:
    """``sqrt(1 - z)`` and ``sqrt(1 + z)``; a zero imaginary part keeps its sign."""
    return square_root(Pair(1.0 - z.re, -z.im)), square_root(Pair(1.0 + z.re, z.im))


def _cross(a: Pair, b: Pair) -> Value:
    """The imaginary part of ``conj(a) * b``."""
    return a.re * b.im - a.im * b.re


def arcsine(z: Pair) -> Pair:
    """``arcsin(z)``."""
    left, right = _roots(z)
    return Pair(
        functions.arctan2(z.re, left.re * right.re - left.im * right.im), functions.arcsinh(_cross(left, right))
    )


def arccosine(z: Pair) -> Pair:
    """``arccos(z)``."""
    left, right = _roots(z)
    return Pair(2.0 * functions.arctan2(left.re, right.re), functions.arcsinh(_cross(right, left)))


def hyperbolic_arcsine(z: Pair) -> Pair:
    """``arcsinh(z)``, which is ``-i arcsin(i z)``."""
    turned = arcsine(Pair(-z.im, z.re))
    return Pair(turned.im, -turned.re)


def hyperbolic_arccosine(z: Pair) -> Pair:
    """``arccosh(z)``."""
    left, right = square_root(Pair(z.re - 1.0, z.im)), square_root(Pair(z.re + 1.0, z.im))
    return Pair(functions.arcsinh(left.re * right.re + left.im * right.im), 2.0 * functions.arctan2(left.im, right.re))


_NEAREST: Final = {np.dtype(np.float32): 2.0**-60, np.dtype(np.float64): 2.0**-500}
"""Distances from a pole of arctanh, 1 or -1, whose square is a normal number."""


def hyperbolic_arctangent(z: Pair) -> Pair:
    """``arctanh(z)``, of the size of the real part, whose sign it has."""
    size = ops.absolute(z.re)
    apart = 1.0 - size
    distance = functions.hypot(apart, z.im)
    near = ops.less(distance, number(distance, _NEAREST[distance.aval.dtype]))
    ratio = 4.0 * size / (apart * apart + z.im * z.im)
    around = 0.5 * (math.log(2) - ops.log(distance))
    re = ops.select(near, around, 0.25 * ops.log1p(ratio))
    im = 0.5 * functions.arctan2(2.0 * z.im, apart * (1.0 + size) - z.im * z.im)
    return Pair(copysign(re, z.re), im)


def arctangent(z: Pair) -> Pair:
    """``arctan(z)``, which is ``-i arctanh(i z)``."""
    turned = hyperbolic_arctangent(Pair(-z.im, z.re))
    return Pair(turned.im, -turned.re)
