"""Incomplete gamma and beta functions on machines without f64, against the f64 kernel, which tests/ops holds to mpmath.

Within 32 units of 2**-23, and of results on the side of the smaller tail that many of themselves and 2 more for each
unit of their logarithm; below 1e-35, where sums of two numbers lose the second one, of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

import gradc
from gradc.backends.llvm.machine import host
from tests.backends.c.conftest import COMPILERS
from tests.backends.c.narrow import in_f32_alone

COUNT = 2048
FLOOR = 1e-35
UNIT = 2.0**-23
_DRAW = np.random.default_rng(8)

pytestmark = [
    pytest.mark.skipif(not COMPILERS, reason="there is no C compiler"),
    pytest.mark.skipif(not host().fma, reason="this machine has no fused multiply-adds"),
]


def over(low: float, high: float) -> np.ndarray:
    return _DRAW.uniform(low, high, COUNT)


def sizes(low: float, high: float) -> np.ndarray:
    """Numbers of every size."""
    return np.exp(over(np.log(low), np.log(high)))


def joined(parts: Iterator[tuple[np.ndarray, ...]], *edges: list[float]) -> list[np.ndarray]:
    """The operands of all regions, and every combination of those at the edges."""
    meshes = [mesh.ravel() for mesh in np.meshgrid(*edges)]
    return [np.concatenate(column).astype(np.float32) for column in zip(*parts, meshes, strict=True)]


def gamma_regions() -> Iterator[tuple[np.ndarray, ...]]:
    yield sizes(1e-6, 1), over(0, 2)
    yield sizes(1e-3, 1), sizes(1e-20, 1)
    yield over(0, 1), over(1.4, 100)
    for a in (over(1, 30), np.floor(over(1, 12))):
        yield a, a * over(0, 3)
        yield a, a * sizes(1e-3, 20)
    a = over(30, 200)
    yield a, a * over(0.3, 2)
    for a in (sizes(30, 1e4), sizes(1e4, 1e8)):
        yield a, a + np.sqrt(a) * over(-14, 14)
    yield sizes(1e-30, 1e30), sizes(1e-30, 1e30)


def beta_regions() -> Iterator[tuple[np.ndarray, ...]]:
    for a, b in (
        (sizes(1e-3, 1), sizes(1e-3, 1)),
        (over(1, 10), over(1, 10)),
        (over(10, 100), over(10, 100)),
        (sizes(0.1, 100), sizes(10, 1e6)),
        (sizes(10, 1e6), sizes(0.1, 100)),
        (sizes(10, 1e6), sizes(1e-6, 0.1)),
        (sizes(100, 1e4), sizes(100, 1e4)),
        (sizes(1e4, 1e8), sizes(1e4, 1e8)),
    ):
        mean = a / (a + b)
        deviation = np.sqrt(mean * (1 - mean) / (a + b + 1))
        yield a, b, np.clip(mean + deviation * over(-8, 8), 0, 1)
        yield a, b, over(0, 1)
    yield sizes(1e-20, 1e20), sizes(1e-20, 1e20), over(0, 1)


ENDS = [0.0, -0.0, 1e-20, 0.5, 1.0, 2.0, 2.5, 30.0, 1e5, 1e20, np.inf, -1.0, -np.inf, np.nan]
PLACES = [0.0, -0.0, 1e-20, 0.3, 0.5, 1.0 - 2.0**-24, 1.0, -0.1, 1.1, np.nan]
GAMMA = joined(gamma_regions(), ENDS, ENDS)
GAMMA_SLOPE = joined(gamma_regions(), [0.5, 1.0, 2.0, 2.5, 30.0, 1e5], [0.0, 0.5, 1e5, np.inf, -1.0, np.nan])
ORDERS = [0.0, -0.0, 1e-6, 0.5, 1.0, 2.0, 30.0, 1e5, 1e8, np.inf, -1.0, -np.inf, np.nan]
BETA = joined(beta_regions(), ORDERS, ORDERS, PLACES)
BETA_SLOPE = joined(
    beta_regions(), [0.5, 1.0, 2.0, 30.0, 1e5], [0.5, 1.0, 2.0, 30.0, 1e5], [0.0, 0.3, 0.5, -0.1, np.nan]
)


def everywhere(*operands: np.ndarray) -> np.ndarray:
    return np.full(operands[0].shape, True)


def in_low_tail(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    return x * (a + b + 2) <= a - 1


def in_high_tail(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    return x * (a + b + 2) > np.maximum(a + 1, np.where(b > 50, 1.75, 0))


def slope(of: Callable[..., Any], place: int) -> Callable[..., Any]:
    gradient = gradc.grad(lambda *operands: np.sum(of(*operands)), wrt=place)
    return lambda *operands: gradient(*operands)


CASES: dict[str, tuple[Callable[..., Any], list[np.ndarray], Callable[..., np.ndarray]]] = {
    "gammainc": (scipy.special.gammainc, GAMMA, everywhere),
    "gammaincc": (scipy.special.gammaincc, GAMMA, everywhere),
    "gammainc, slope": (slope(scipy.special.gammainc, 1), GAMMA_SLOPE, everywhere),
    "betainc": (scipy.special.betainc, BETA, in_low_tail),
    "betaincc": (scipy.special.betaincc, BETA, in_high_tail),
    "betainc, slope": (slope(scipy.special.betainc, 2), BETA_SLOPE, everywhere),
}


@pytest.mark.parametrize("name", CASES)
def test_distance_to_f64(name: str, tmp_path: Path) -> None:
    function, operands, is_tail = CASES[name]
    program = gradc.jit(lambda *operands: function(*operands), name="tried")
    found = in_f32_alone(program, tmp_path, *operands)
    wide = [x.astype(np.float64) for x in operands]
    with np.errstate(all="ignore"):
        expected = np.asarray(program(*wide))
        narrow = expected.astype(np.float32)
        size = np.maximum(np.abs(expected), FLOOR)
        bound = np.where(is_tail(*wide), (32 + 2 * np.abs(np.log(size))) * size, 32) * UNIT
        errors = np.abs(found - expected) / bound
    same = (found == narrow) | (np.isnan(found) & np.isnan(narrow))
    errors = np.where(same, 0, np.where(np.isnan(errors), np.inf, errors))
    worst = np.argmax(errors)
    assert errors[worst] <= 1, ([x[worst] for x in operands], found[worst], expected[worst])


@pytest.mark.parametrize("name", ["gammainc", "gammaincc"])
def test_some_against_mpmath(name: str, tmp_path: Path) -> None:
    function = getattr(scipy.special, name)
    meshes = np.meshgrid([0.3, 1.7, 4.0, 12.5, 40.0], [0.2, 0.9, 2.5, 30.0])
    operands = [mesh.ravel().astype(np.float32) for mesh in meshes]
    found = in_f32_alone(gradc.jit(lambda *operands: function(*operands), name="tried"), tmp_path, *operands)
    for got, *numbers in zip(found, *operands, strict=True):
        a, x = [mpmath.mpf(float(number)) for number in numbers]
        with mpmath.workdps(40):
            ends = (0, x) if name == "gammainc" else (x, mpmath.inf)
            wanted = mpmath.gammainc(a, *ends, regularized=True)
            size = max(wanted, FLOOR)
            assert abs(mpmath.mpf(float(got)) - wanted) <= (32 - 2 * mpmath.log(size)) * size * UNIT, numbers


@pytest.mark.parametrize("name", ["stdtr", "chdtr"])
def test_distributions(name: str, tmp_path: Path) -> None:
    """What is computed in f32 before, on every machine, is not counted."""
    function = getattr(scipy.special, name)
    operands = {
        "stdtr": (sizes(0.5, 1e5), over(-9, 9)),
    }.get(name, (over(0.5, 50), over(0.1, 80)))
    given = [x.astype(np.float32) for x in operands]
    program = gradc.jit(lambda *operands: function(*operands), name="tried")
    found = in_f32_alone(program, tmp_path, *given)
    np.testing.assert_allclose(found, program(*given), rtol=0, atol=32 * UNIT)
