"""``arcsinh``, ``arccosh`` and ``arctanh``: ``log1p`` of what leaves few roundings."""

from __future__ import annotations

import math

from gradc.backends.math.formula import Formula
from gradc.backends.math.logarithm import log1p_inside, log_of_double
from gradc.backends.math.term import Term

LARGE = 2.0**30
"""Beyond it only the logarithm of 2 x is left."""


def arcsinh(f: Formula, x: Term) -> Term:
    """``log1p(x + x**2 / (1 + sqrt(1 + x**2)))`` of the size of x, with the sign of x."""
    size = f.abs(x)
    square = size * size
    root = f.call("sqrt", f.fma(size, size, 1.0)).named("root")
    result = log1p_inside(f, size + square / (root + 1.0))
    f.done_if(size < LARGE, f.copysign(result, x))
    return f.copysign(f.select(size < LARGE, result, log_of_double(f, size)), x)


def arccosh(f: Formula, x: Term) -> Term:
    """``log1p(t + sqrt(t**2 + 2 t))`` with ``t = x - 1``; NaN below 1."""
    t = (x - 1.0).named("t")
    result = log1p_inside(f, *f.sum_with_error(f.call("sqrt", f.fma(t, t, t + t)), t))
    f.done_if((x >= 1.0) & (x < LARGE), result)
    return f.select(x >= 1.0, f.select(x < LARGE, result, log_of_double(f, x)), math.nan)


def arctanh(f: Formula, x: Term) -> Term:
    """Half of ``log1p(2 x + 2 x**2 / (1 - x))`` of the size of x, with the sign of x; infinite at 1, NaN beyond."""
    size = f.abs(x)
    double = size + size
    result = log1p_inside(f, f.fma(double, size / (1.0 - size), double)) * 0.5
    f.done_if(size < 1.0, f.copysign(result, x))
    end = f.select(size.equals(1.0), math.inf, f.number(math.nan))
    return f.copysign(f.select(size < 1.0, result, end), x)
