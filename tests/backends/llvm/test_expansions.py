"""Series that incomplete gamma and beta functions are made of, which hold for a part of the numbers, against mpmath."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from gradc.loops.language.program import b

Apply = Callable[..., np.ndarray]


mp = mpmath.mp
_DRAW = np.random.default_rng(6)


def area(z: Any) -> Any:
    return (mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z


def stirling(a: Any) -> Any:
    return mp.loggamma(a) - (a - 0.5) * mp.log(a) + a - mp.log(2 * mp.pi) / 2


def log_gamma_bend(a: Any) -> Any:
    return (mp.loggamma(1 + a) / a + mp.euler) / a


def gamma_complement(a: Any, x: Any) -> Any:
    """The integral of ``t**(a - 1) (exp(-t) - 1)`` over ``x**a``."""
    return mp.nsum(lambda n: (-x) ** n / (mp.factorial(n) * (a + n)), [1, mp.inf])


def gamma_middle(a: Any, eta: Any) -> Any:
    """What the upper function has over half of ``erfc(eta sqrt(a / 2))`` (DLMF 8.12.4)."""
    curve = lambda m: m - mp.log1p(m) - eta * eta / 2  # noqa: E731
    m = mp.findroot(curve, (eta * 0.9, eta * 1.5) if eta > 0 else (eta * 0.7, eta * 1.2), solver="anderson")
    excess = mp.gammainc(a, a * (1 + m), mp.inf, regularized=True) - mp.erfc(eta * mp.sqrt(a / 2)) / 2
    return excess * mp.sqrt(2 * mp.pi * a) * mp.exp(a * eta * eta / 2)


CASES: dict[str, tuple[Callable[..., Any], tuple[tuple[float, float], ...]]] = {
    "area_series": (area, ((1e-6, 1 / 9),)),
    "stirling": (stirling, ((10, 1e4),)),
    "log_gamma_bend": (log_gamma_bend, ((1e-3, 1),)),
    "gamma_complement": (gamma_complement, ((1e-6, 1), (1e-3, 2))),
    "gamma_middle": (gamma_middle, ((30, 300), (-0.6, 0.6))),
}


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", CASES)
def test_series_where_they_hold(name: str, dtype: str, apply: Apply) -> None:
    """Within 8 units in the last place, of terms that do not cancel."""
    exact, ranges = CASES[name]
    operands = [_DRAW.uniform(low, high, 40).astype(dtype) for low, high in ranges]
    found = apply(getattr(b, name), *operands)
    with mpmath.workdps(60):
        for got, *numbers in zip(found, *operands, strict=True):
            wanted = exact(*[mp.mpf(float(number)) for number in numbers])
            assert abs(mp.mpf(float(got)) / wanted - 1) <= 8 * np.finfo(dtype).eps, numbers
