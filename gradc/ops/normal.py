"""The logarithm of the normal distribution function and its derivatives of any order, computed in f64.

With ``R`` the scaled complement ``erfcx(abs(z) / sqrt(2))`` the function is ``log(R / 2) - z**2 / 2`` below -1 and
``log1p(-exp(-z**2 / 2) R / 2)`` above 0; between, ``log1p(erf(z / sqrt(2))) - log(2)``. Its slope h is
``sqrt(2 / pi) / R``, and further derivatives follow from ``h' = -h (z + h)``; far below 0, where these cancel, they are
those of the asymptotic series (DLMF 7.12.1).
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Final

import numpy as np

from gradc.errors import DtypeError
from gradc.ir.aval import Aval
from gradc.ir.op import Op, register
from gradc.ops.bessel import horner
from gradc.ops.error_functions import scaled_complement
from gradc.ops.helpers import evaluated

_FAR: Final = 12.0
"""Beyond minus it derivatives are a series, of ``_TERMS`` terms."""
_TERMS: Final = 24
_ENDED: Final = -1e9
"""Below it the slope is ``-z``, to the last bit."""


def _logarithm() -> list[Fraction]:
    """The coefficients of ``log(1 + sum((-1)**k (2 k - 1)!! y**k))`` from that of y on."""
    series = [Fraction((-1) ** k * math.prod(range(1, 2 * k, 2))) for k in range(_TERMS + 1)]
    found: list[Fraction] = []
    for k in range(1, _TERMS + 1):
        found.append(series[k] - sum((j * found[j - 1] * series[k - j] for j in range(1, k)), Fraction(0)) / k)
    return found


def _series(n: int) -> list[float]:
    """Of the derivative of order n over ``(-z)**-n``, without those of ``-z**2 / 2``, by ``(12 / z)**2``."""
    terms: list[Fraction] = [
        coefficient * math.prod(range(2 * k, 2 * k + n)) / Fraction(144**k)
        for k, coefficient in enumerate(_logarithm(), 1)
    ]
    return [float(math.factorial(n - 1)), *[float(term) for term in terms]]


def _far(b: Any, z: Any, n: int) -> Any:
    inverse = b.div(1.0, b.neg(z))
    part = b.mul(inverse, _FAR)
    total = horner(b, b.mul(part, part), _series(n))
    for _ in range(n):
        total = b.mul(total, inverse)
    return b.sub(total, z) if n == 1 else b.sub(total, 1.0) if n == 2 else total


def _slopes(b: Any, z: Any, slope: Any, n: int) -> Any:
    """The derivative of order n from the first one, by Leibniz's rule."""
    found = [slope]
    for k in range(n - 1):
        total = b.mul(z, found[k])
        if k:
            total = b.add(total, b.mul(float(k), found[k - 1]))
        for j in range(k + 1):
            total = b.add(total, b.mul(float(math.comb(k, j)), b.mul(found[j], found[k - j])))
        found.append(b.neg(total))
    return found[-1]


def _loops(b: Any, x: Any, *, n: int) -> Any:
    z = b.convert(x, np.float64)
    negative = b.lt(z, 0.0)
    complement = scaled_complement(b, b.mul(b.abs(z), math.sqrt(0.5)))
    bell = b.exp(b.mul(b.mul(z, z), -0.5))
    if n == 0:
        left = b.sub(b.log(b.mul(complement, 0.5)), b.mul(b.mul(z, z), 0.5))
        middle = b.logical_and(negative, b.gt(z, -1.0))
        part = b.select(middle, b.erf(b.mul(z, math.sqrt(0.5))), b.mul(b.mul(bell, complement), -0.5))
        right = b.sub(b.log1p(part), b.select(middle, b.constant(math.log(2.0), np.float64), 0.0))
        found = b.select(b.le(z, -1.0), left, right)
    else:
        above = b.div(bell, b.sub(2.0, b.mul(bell, complement)))
        slope = b.mul(b.select(negative, b.div(1.0, complement), above), math.sqrt(2.0 / math.pi))
        found = b.select(b.lt(z, _ENDED), b.neg(z), slope)
        if n > 1:
            near = _slopes(b, b.maximum(z, -_FAR), slope, n)
            near = b.select(b.eq(z, math.inf), 0.0, near)
            found = b.select(b.lt(z, -_FAR), _far(b, b.minimum(z, -_FAR), n), near)
    return b.convert(b.select(b.isnan(z), z, found), x.dtype)


def _infer(x: Aval, *, n: int) -> Aval:
    if x.dtype.kind != "f":
        raise DtypeError(f"log_ndtr: {x} is not of a floating-point dtype")
    return Aval(x.shape, x.dtype)


log_ndtr: Op = register(
    Op(
        "log_ndtr",
        _infer,
        evaluated("_log_ndtr"),
        lambda params, result, x: f"_log_ndtr({{0}}, {params['n']})",
        loops=_loops,
        partials=lambda c: [log_ndtr(c.operands[0], n=c.params["n"] + 1)],
        elementwise=True,
        flops=lambda result, *avals, n: result.size * (110 + 10 * n * n),
    )
)
"""The logarithm of the normal distribution function, or its derivative of order ``n``."""
