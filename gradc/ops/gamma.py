"""The gamma family: the logarithm of the gamma function's size, and the derivatives of it.

NumPy has none of them: their values, here and in saved modules, are those of the helpers in ``gradc.templates``.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Final

import numpy as np

from gradc.errors import DtypeError
from gradc.ir.aval import Aval
from gradc.ir.op import Op, register
from gradc.ops.elementwise import elementwise
from gradc.ops.helpers import evaluated, helper

HIGHEST: Final = 100
"""The highest order of a derivative of digamma."""

BERNOULLI: Final = tuple(
    Fraction(*pair)
    for pair in (
        (1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510), (43867, 798), (-174611, 330)
    )
)  # fmt: skip
"""The Bernoulli numbers of even index from 2 on."""


gammaln = elementwise(
    "gammaln",
    evaluated("_gammaln"),
    "_gammaln({0})",
    lambda c: [digamma(c.operands[0])],
    kinds="f",
    captures=("scipy.special:gammaln",),
    latex=r"\log \left|\Gamma\left({0}\right)\right|",
    text="gammaln({0})",
)
digamma: Op = elementwise(
    "digamma",
    evaluated("_digamma"),
    "_digamma({0})",
    lambda c: [polygamma(c.operands[0], n=1)],
    kinds="f",
    captures=("scipy.special:digamma",),
    latex=r"\psi\left({0}\right)",
    text="digamma({0})",
)


def _infer_polygamma(x: Aval, *, n: int) -> Aval:
    if x.dtype.kind != "f":
        raise DtypeError(f"polygamma: {x} is not of a floating-point dtype")
    if not 1 <= n <= HIGHEST:
        raise DtypeError(f"polygamma: the order is from 1 to {HIGHEST}, got {n}; of order 0 it is digamma")
    return Aval(x.shape, x.dtype)


def _evaluate_polygamma(x: Any, *, n: int) -> Any:
    with np.errstate(all="ignore"):
        return np.asarray(helper("_polygamma")(n, np.asarray(x)))


def _loops_polygamma(b: Any, x: Any, *, n: int) -> Any:
    """The formulas of the helper, unrolled and in f64. The terms count up from y, for no part may hold many others."""
    z = b.convert(x, np.float64)
    positive = b.gt(z, 0.0)
    y = b.select(positive, z, b.sub(1.0, z))
    terms = b.constant(0.0, np.float64)
    for k in range(10 + n):
        term = _product(b, b.div(1.0, b.add(y, float(k))), n + 1)
        terms = b.add(terms, b.select(b.lt(y, float(10 + n - k)), term, 0.0))
    y = b.sub(y, b.minimum(b.floor(b.sub(y, float(10 + n))), 0.0))
    inverse = b.div(1.0, y)
    square = b.mul(inverse, inverse)
    series = b.constant(0.0, np.float64)
    for weight in reversed(_weights(n)):
        series = b.add(b.mul(series, square), weight)
    series = b.add(b.mul(b.add(b.mul(series, inverse), 0.5), inverse), 1.0 / n)
    total = b.add(terms, b.mul(_product(b, inverse, n), series))
    value = b.mul(total, float((-1) ** (n + 1) * math.factorial(n)))
    part = b.sub(z, b.floor(b.add(z, 0.5)))
    cotangent = b.div(1.0, b.tan(b.mul(part, math.pi)))
    highest, *others = _cotangent(n)
    slope = b.constant(float(highest), np.float64)
    for coefficient in others:
        slope = b.add(b.mul(slope, cotangent), float(coefficient))
    reflected = b.sub(b.mul(value, float((-1) ** n)), b.mul(slope, math.pi ** (n + 1)))
    reflected = b.select(b.eq(part, 0.0), float((-1) ** (n + 1)) * math.inf, reflected)
    return b.convert(b.select(positive, value, reflected), x.dtype)


def _product(b: Any, x: Any, count: int) -> Any:
    """``x**count``."""
    if count == 1:
        return x
    half = _product(b, x, count // 2)
    whole = b.mul(half, half)
    return b.mul(whole, x) if count % 2 else whole


def _weights(n: int) -> list[float]:
    """``B(2 k) (2 k + n - 1)! / ((2 k)! n!)`` for k from 1 on: DLMF 5.15.8, over ``n!``."""
    return [
        float(number * Fraction(math.factorial(2 * k + n - 1), math.factorial(2 * k) * math.factorial(n)))
        for k, number in enumerate(BERNOULLI, 1)
    ]


def _cotangent(n: int) -> list[int]:
    """The derivative of order n of the cotangent as a polynomial in it, the highest power first."""
    powers = {1: 1}
    for _ in range(n):
        following: dict[int, int] = {}
        for power, coefficient in powers.items():
            for higher in (power - 1, power + 1):
                following[higher] = following.get(higher, 0) - power * coefficient
        powers = following
    return [powers.get(k, 0) for k in range(n + 1, -1, -1)]


polygamma: Op = register(
    Op(
        "polygamma",
        _infer_polygamma,
        _evaluate_polygamma,
        lambda params, result, x: f"_polygamma({params['n']}, {{0}})",
        loops=_loops_polygamma,
        partials=lambda c: [polygamma(c.operands[0], n=c.params["n"] + 1)],
        elementwise=True,
        flops=lambda result, *avals, n: result.size * (60 + 8 * n),
    )
)
