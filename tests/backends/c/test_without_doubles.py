"""Functions that are computed in f64 elsewhere, on machines without it: f32 alone, against the f64 kernel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special

import gradc
from gradc.backends.llvm.machine import host
from tests.backends.c.conftest import COMPILERS
from tests.backends.c.narrow import in_f32_alone

COUNT = 4096
LARGEST = float(np.finfo(np.float32).max)
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-38, LARGEST, -LARGEST, 1.0, -1.0, 2.0]
_DRAW = np.random.default_rng(5)


def sizes(low: float, high: float) -> np.ndarray:
    """Positive numbers of every size."""
    return np.exp(_DRAW.uniform(np.log(low), np.log(high), COUNT // 2))


def between(low: float, high: float, *others: np.ndarray) -> np.ndarray:
    """Numbers of an interval, and others."""
    count = COUNT - len(SPECIAL) - sum(len(other) for other in others)
    found = np.concatenate([SPECIAL, _DRAW.uniform(low, high, count), *others])
    return found.astype(np.float32)


def of_results(x: np.ndarray, result: np.ndarray) -> np.ndarray:
    """The last place of the results."""
    return np.spacing(np.maximum(np.abs(result).astype(np.float32), np.finfo(np.float32).tiny))


def of_waves(x: np.ndarray, result: np.ndarray) -> np.ndarray:
    """From 1/2 on 2**-23 of the size of the wave."""
    size = np.sqrt(2 / (np.pi * np.maximum(np.abs(x.astype(np.float64)), 0.5)))
    return np.where(np.abs(x) < 0.5, of_results(x, result), np.spacing(np.float32(1)) * size)


def of_terms(n: int, x: np.ndarray, result: np.ndarray) -> np.ndarray:
    """The last place of the larger of polygamma's terms of negative numbers."""
    reflected = scipy.special.polygamma(n, 1.0 - np.minimum(x, 0).astype(np.float64))
    return of_results(x, np.maximum(np.abs(result), np.abs(np.where(x < 0, reflected, 0))))


def of_airy(k: int, x: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Left of -1/2 2**-23 of the size of the wave, or of that of its slope."""
    root = np.sqrt(np.sqrt(np.maximum(-x.astype(np.float64), 0.5)))
    size = (root if k % 2 else 1 / root) / np.sqrt(np.pi)
    return np.where(x < -0.5, np.spacing(np.float32(1)) * size, of_results(x, result))


def airy(k: int, scaled: bool = False) -> tuple[Any, ...]:
    function = scipy.special.airye if scaled else scipy.special.airy
    inputs = between(-30, 26, -sizes(1e-30, 1e4)) if not scaled else between(0, 10, sizes(1e-30, LARGEST))
    return lambda x: function(x)[k], inputs, 3, partial(of_airy, k)


def polygamma(n: int) -> tuple[Any, ...]:
    low, high = 1e-30 ** (1 / (n + 1)), 1e30 ** (1 / n)
    return lambda x: scipy.special.polygamma(n, x), between(-10, 30, sizes(low, high)), 3 + 2 * n, partial(of_terms, n)


Unit = Callable[[np.ndarray, np.ndarray], np.ndarray]
CASES: dict[str, tuple[Any, ...]] = {
    "erfcx": (scipy.special.erfcx, between(-9.3, 30, sizes(1e-30, LARGEST)), 2),
    "erfinv": (scipy.special.erfinv, between(-1, 1, 1 - sizes(1e-7, 1)), 2),
    "erfcinv": (scipy.special.erfcinv, between(0, 2, sizes(1e-45, 1)), 2),
    "log_ndtr": (scipy.special.log_ndtr, between(-40, 12, -sizes(1e-30, 1e18)), 3),
    "log_ndtr, slope": (
        gradc.grad(lambda x: np.sum(scipy.special.log_ndtr(x))),
        between(-40, 9, -sizes(1e-30, 1e18)),
        3,
    ),
    "ndtri": (scipy.special.ndtri, between(0, 1, sizes(1e-45, 1)), 3),
    "i0": (scipy.special.i0, between(-91, 91), 3),
    "i1": (scipy.special.i1, between(-91, 91), 3),
    "i0e": (scipy.special.i0e, between(-30, 30, sizes(1e-30, LARGEST)), 2),
    "i1e": (scipy.special.i1e, between(-30, 30, sizes(1e-30, LARGEST)), 2),
    "k0": (scipy.special.k0, between(0, 10, sizes(1e-38, 80)), 3),
    "k1": (scipy.special.k1, between(0, 10, sizes(1e-38, 80)), 2),
    "k0e": (scipy.special.k0e, between(0, 10, sizes(1e-38, LARGEST)), 3),
    "k1e": (scipy.special.k1e, between(0, 10, sizes(1e-38, LARGEST)), 2),
    "j0": (scipy.special.j0, between(-30, 30, sizes(1e-30, LARGEST)), 2, of_waves),
    "j1": (scipy.special.j1, between(-30, 30, sizes(1e-30, LARGEST)), 2, of_waves),
    "y0": (scipy.special.y0, between(0, 30, sizes(1e-30, LARGEST)), 2, of_waves),
    "y1": (scipy.special.y1, between(0, 30, sizes(1e-30, LARGEST)), 2, of_waves),
    **{f"airy_{k}": airy(k) for k in range(4)},
    **{f"airye_{k}": airy(k, scaled=True) for k in range(4)},
    "dawsn": (scipy.special.dawsn, between(-12, 12, sizes(1e-30, LARGEST)), 3),
    "erfi": (scipy.special.erfi, between(-9, 9, sizes(1e-30, 1)), 3),
    "Si": (lambda x: scipy.special.sici(x)[0], between(-30, 30, sizes(1e-30, LARGEST)), 2),
    "Ci": (
        lambda x: scipy.special.sici(x)[1],
        between(-30, 30, sizes(1e-30, 1e18)),
        3,
        lambda x, r: of_results(x, np.maximum(np.abs(r), 1 / np.maximum(np.abs(x), 1))),
    ),
    "S": (lambda x: scipy.special.fresnel(x)[0], between(-10, 10, sizes(1e-12, LARGEST)), 2),
    "C": (lambda x: scipy.special.fresnel(x)[1], between(-10, 10, sizes(1e-30, LARGEST)), 2),
    "spence": (scipy.special.spence, between(0, 4, sizes(1e-30, LARGEST)), 2),
    "exp1": (scipy.special.exp1, between(0, 10, sizes(1e-38, 80)), 2),
    "expi": (
        scipy.special.expi,
        between(-10, 20, sizes(1e-38, 80)),
        3,
        lambda x, r: of_results(x, np.maximum(np.abs(r), 1)),
    ),
    **{f"polygamma_{n}": polygamma(n) for n in (1, 2, 3, 4)},
}


@pytest.mark.skipif(not COMPILERS, reason="there is no C compiler")
@pytest.mark.skipif(not host().fma, reason="this machine has no fused multiply-adds")
@pytest.mark.parametrize("name", CASES)
def test_in_f32_alone(name: str, tmp_path: Path) -> None:
    function, x, bound, *units = CASES[name]
    unit: Unit = units[0] if units else of_results
    program = gradc.jit(lambda x: function(x), name="tried")
    found = in_f32_alone(program, tmp_path, x)
    with np.errstate(all="ignore"):
        expected = np.asarray(program(x.astype(np.float64)))
        narrow = expected.astype(np.float32)
        errors = np.abs(found.astype(np.float64) - expected) / unit(x, expected)
    same = (found == narrow) | (np.isnan(found) & np.isnan(narrow))
    assert np.max(np.where(same, 0, errors)) <= bound, x[np.argmax(np.where(same, 0, errors))]
    np.testing.assert_array_equal(np.signbit(found)[~np.isnan(narrow)], np.signbit(narrow)[~np.isnan(narrow)])
