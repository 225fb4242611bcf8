"""Where the math functions are tried, and how far a result is from the exact one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.special
from mpmath import mp

Arrays = tuple[np.ndarray, ...]

SAME_NAME = (
    "exp", "expm1", "log", "log1p", "log2", "log10", "exp2", "tanh", "sinh", "cosh", "sin", "cos", "tan",
    "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "cbrt", "arctan2", "fmod", "hypot",
)  # fmt: skip
"""Those that NumPy has under the name they have here."""

EXACT: dict[str, Callable[..., Any]] = {
    **{name: getattr(mp, name.replace("arc", "a")) for name in SAME_NAME if hasattr(mp, name.replace("arc", "a"))},
    "fmod": lambda x, y: mp.mpf(math.fmod(float(x), float(y))),  # exact, in C too
    "exp_unit": mp.exp,
    "log1p_unit": mp.log1p,
    "log2": lambda x: mp.log(x, 2),
    "exp2": lambda x: mp.mpf(2) ** x,
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "erf": mp.erf,
    "erfc": mp.erfc,
    "gammaln": lambda x: mp.re(mp.loggamma(x)),
    "digamma": mp.digamma,
    "pow": mp.power,
}
TERMS: dict[str, Callable[[Any], Any]] = {
    "gammaln": lambda x: max(1, mp.loggamma(-x)),
    "digamma": lambda x: max(1, mp.digamma(1 - x)),
}
"""For negative arguments results are differences of terms of this size: the larger of both sets the unit."""


def _lgamma(x: float) -> float:
    """C's: Python raises an error at the poles and where the result is too large."""
    if (x <= 0 and x == np.floor(x)) or x > 2.559983327851638e305:
        return math.inf
    return math.lgamma(x)


NUMPY: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in SAME_NAME},
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
    "erfc": np.vectorize(math.erfc, otypes=[np.float64]),
    "gammaln": np.vectorize(_lgamma, otypes=[np.float64]),
    "digamma": scipy.special.digamma,
    "exp_unit": np.exp,
    "log1p_unit": np.log1p,
    "pow": np.power,
}
PRECISION = 200


def special_values(dtype: np.dtype) -> np.ndarray:
    """Zeros, infinities, NaN, subnormals, the ends of the range, and what stands beside round numbers."""
    limits = np.finfo(dtype)
    edges = [0.0, limits.smallest_subnormal, limits.smallest_normal, limits.max, np.inf, limits.eps, limits.eps / 2]
    edges += [0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 7.0, 2.0**limits.nmant, 2.0 ** (limits.nmant + 1)]
    edges += [np.log(limits.max), np.log(limits.smallest_normal), np.log(limits.smallest_subnormal), 0.6, np.pi / 4]
    values = np.array(edges, dtype)
    with np.errstate(all="ignore"):
        beside = np.concatenate([values, np.nextafter(values, dtype.type(0)), np.nextafter(values, dtype.type(np.inf))])
    return np.concatenate([beside, -beside, np.array([np.nan], dtype)])


def samples(name: str, dtype: np.dtype, count: int, seed: int = 0) -> Arrays:
    """About ``count`` points in each stratum of a function's arguments, and the special values."""
    random = np.random.default_rng([seed, dtype.itemsize])
    return tuple(
        np.ascontiguousarray(np.concatenate([*parts]), dtype)
        for parts in zip(_special(name, dtype), *_strata(name, dtype, random, count), strict=True)
    )


def _special(name: str, dtype: np.dtype) -> Arrays:
    values = special_values(dtype)
    if name == "exp_unit":
        return (values[~(values > 0)],)
    if name == "log1p_unit":
        return (values[~(values < 0) & ~(values > 1)],)
    if name in ("arctan2", "fmod", "hypot"):
        return tuple(np.ascontiguousarray(side) for side in np.array(list(itertools.product(values, values)), dtype).T)
    if name != "pow":
        return (values,)
    ends = np.array([0.0, np.finfo(dtype).smallest_subnormal, 0.5, 1.0, 2.0, 3.0, 2.5, np.finfo(dtype).max, np.inf])
    few = np.concatenate([ends, -ends, [np.nan, 2.0**24 + 1, 2.0**53 - 1, 2.0**53, -(2.0**52 + 1), 2.0**70]])
    pairs = [
        *itertools.product(few, few),
        *itertools.product(values, [-2.0, 0.5, 3.0]),
        *itertools.product(few, values),
    ]
    return tuple(np.ascontiguousarray(side) for side in np.array(pairs, dtype).T)


def _strata(name: str, dtype: np.dtype, random: np.random.Generator, count: int) -> Iterator[Arrays]:
    limits = np.finfo(dtype)
    top, bottom = float(np.log(limits.max)), float(np.log(limits.smallest_subnormal))
    smallest, largest = float(np.log2(limits.smallest_subnormal)), float(limits.maxexp)

    def between(low: float, high: float) -> Arrays:
        return (random.uniform(low, high, count),)

    def magnitudes(low: float, high: float) -> np.ndarray:
        return np.ldexp(random.uniform(1, 2, count), random.integers(int(low), int(high), count))

    def signed(low: float, high: float) -> Arrays:
        return (magnitudes(low, high) * random.choice([-1.0, 1.0], count),)

    match name:
        case "exp" | "expm1":
            yield from (between(bottom - 1, top + 1), between(-1, 1), between(bottom, bottom + 40), signed(smallest, 0))
            yield from (between(0.2, 0.6), between(-0.8, -0.2))
        case "exp_unit":
            yield from (
                between(bottom - 1, 0),
                between(-1, 0),
                between(bottom, bottom + 40),
                (-magnitudes(smallest, 0),),
            )
            yield from (between(-0.8, -0.2), (-magnitudes(5, largest),))
        case "log":
            yield from (between(0.5, 2), between(0.95, 1.05), (magnitudes(smallest, largest),), between(1.2, 1.8))
        case "log1p":
            yield from (between(-1, 1), between(-0.05, 0.05), between(0, 5), signed(smallest, 0))
            yield from ((magnitudes(0, largest),), between(0.2, 0.9), (np.ldexp(between(1, 2)[0], -20) - 1,))
        case "log1p_unit":
            yield from (between(0, 1), between(0.2, 0.3), between(0.6, 1), (magnitudes(smallest, -1),))
        case "erf":
            yield from (between(-1.2, 1.2), between(-6, 6), between(0.9, 1.3), signed(smallest, 0))
        case "pow":
            positive, negative = magnitudes(smallest, largest), -magnitudes(-5, 5)
            yield positive, random.uniform(bottom, top, count) / np.abs(np.log(positive))
            yield random.uniform(0.5, 2, count), random.uniform(-1000, 1000, count)
            yield random.uniform(0, 10, count), random.uniform(-5, 5, count)
            yield 1 + random.uniform(-1, 1, count) * 2.0**-12, random.uniform(bottom, top, count) * 2.0**11
            yield negative, random.integers(-30, 30, count).astype(np.float64)
            yield positive, random.integers(-4, 5, count) / 2
        case "sin" | "cos":
            multiples = np.round(10.0 ** random.uniform(0, 8, count)) * (np.pi / 2)
            yield from (between(-1, 1), between(-10, 10), between(-(2.0**20), 2.0**20), signed(smallest, largest))
            yield from ((multiples,), signed(20, 60), (np.array(hard_angles(limits)),))
        case "tan":
            yield from _strata("sin", dtype, random, count)
        case "tanh":
            yield from (between(-2, 2), between(-25, 25), between(0.5, 0.8), signed(smallest, 0))
        case "sinh" | "cosh":
            yield from (between(-2, 2), between(-25, 25), between(-top - 1, top + 1), signed(smallest, 0))
            yield from (between(0.9, 1.2), between(top - 0.1, top + 0.8))
        case "exp2":
            yield from (between(smallest - 1, largest + 1), between(-1, 1), between(smallest, smallest + 60))
            yield from (signed(smallest, 0), between(-0.6, 0.6))
        case "log2" | "log10":
            yield from _strata("log", dtype, random, count)
            base = 2.0 if name == "log2" else 10.0
            yield (base ** np.round(random.uniform(-30, 30, count)),)
        case "cbrt":
            yield from (signed(smallest, largest), between(-2, 2), (np.round(between(0, 200)[0]) ** 3,))
        case "arcsin" | "arccos":
            yield from (between(-1, 1), between(0.45, 0.55), signed(smallest, 0), (1 - magnitudes(-25, 0) / 2,))
            yield from (between(-1.1, -0.9), between(-0.55, -0.45))
        case "arctan" | "arcsinh":
            yield from (between(-1, 1), between(-10, 10), between(0.45, 0.55), signed(smallest, largest))
            yield from (between(1.9, 2.1), between(0.4, 0.6), signed(-5, 5))
        case "arccosh":
            yield from (between(1, 2), between(1, 10), (1 + magnitudes(-25, 0),), (magnitudes(0, largest),))
            yield from (between(0, 1.1), between(1, 1.3))
        case "arctanh":
            yield from (between(-1, 1), between(-0.25, 0.25), signed(smallest, 0), (1 - magnitudes(-25, 0) / 2,))
            yield from (between(0.15, 0.5), between(-1.1, -0.9))
        case "erfc":
            yield from (between(-1.2, 1.2), between(-7, 0), between(0, 11), between(0, 28), signed(smallest, 0))
            yield from (between(9.1, 10.2), between(26.3, 27.3))
        case "gammaln" | "digamma":
            yield from (between(0, 3), between(1, 2), between(2, 20), (magnitudes(smallest, largest),))
            yield from (between(0.9, 1.1), between(1.9, 2.1), between(1.4, 1.5), (magnitudes(2, 30),))
            yield from (between(-0.5, 0.1), between(-5, 0), between(-50, 0), (-magnitudes(smallest, 45),))
            yield (np.round(between(-20, 0)[0]) + magnitudes(-20, -3),)
        case "fmod":
            x, y = signed(smallest, largest)[0], between(-2, 2)[0]
            yield from ((x, signed(smallest, largest)[0]), (x, y), (y, random.uniform(-2, 2, count)))
            yield from ((y * 1e6, random.uniform(-2, 2, count)), (np.round(1e3 * y), np.round(between(1, 9)[0])))
            yield np.round(30 * y) * 0.1, np.full(count, 0.1)
        case "arctan2" | "hypot":
            x, y = signed(smallest, largest)[0], between(-2, 2)[0]
            yield from ((signed(-3, 3)[0], signed(-3, 3)[0]), (signed(smallest, largest)[0], x))
            yield from ((y, random.uniform(-2, 2, count)), (x * random.uniform(0.2, 5, count) * 0.1, x))
            yield from ((0.5 * y * random.uniform(0.9, 1.1, count), y), (y * random.uniform(0.9, 1.1, count) * 2, y))


def hard_angles(limits: np.finfo) -> list[float]:
    """For each exponent a number that is near a multiple of pi / 2, by the continued fraction of their ratio.

    K. C. Ng, Argument Reduction for Huge Arguments: Good to the Last Bit, 1992.
    """
    found = []
    with mp.workprec(2500):
        for exponent in range(-5, int(limits.maxexp) - int(limits.nmant) - 1):
            ratio, before, now = mp.ldexp(2 / mp.pi, exponent), (1, 0), (0, 1)
            while now[1] < 2 ** int(limits.nmant + 1):
                found_now = now[1]
                whole = int(mp.floor(ratio))
                before, now = now, (0, before[1] + whole * now[1])
                if ratio == whole:
                    break
                ratio = 1 / (ratio - whole)
            found.append(float(np.ldexp(float(found_now), exponent)))
    return found


def ulps(name: str, arguments: Arrays, result: np.ndarray) -> np.ndarray:
    """How many units in the last place each result is from the exact value, by mpmath.

    Infinite where NaN, an infinity or the sign of a zero is not what NumPy gives.
    """
    dtype = result.dtype
    with np.errstate(all="ignore"):
        expected = NUMPY[name](*arguments)
    exceptional = ~np.isfinite(np.stack([*arguments, expected])).all(axis=0) | ~np.isfinite(result) | (expected == 0)
    if name == "arctan2":
        exceptional |= (np.stack(arguments) == 0).any(axis=0)  # a number of mpmath has no sign of zero
    same = (result == expected) & (np.signbit(result) == np.signbit(expected)) | np.isnan(result) & np.isnan(expected)
    errors = np.where(same, 0.0, np.inf)
    with mp.workprec(PRECISION):
        for k in np.flatnonzero(~same | ~exceptional):
            finite = all(np.isfinite(a[k]) for a in arguments)
            if finite and not np.isnan(result[k]) and not np.isnan(expected[k]):
                point = [mp.mpf(float(a[k])) for a in arguments]
                term = TERMS[name](point[0]) if name in TERMS and point[0] < 0 else 0
                errors[k] = distance(EXACT[name](*point), result[k], dtype, term)
    return errors


def distance(exact: Any, result: Any, dtype: np.dtype, term: Any = 0) -> float:
    """In units in the last place of the exact result, or of a larger term of it."""
    limits = np.finfo(dtype)
    if mp.isinf(exact) or exact == 0:
        return 0.0 if result == exact else np.inf
    exponent = max(mp.frexp(max(abs(exact), abs(term)))[1] - 1, int(limits.minexp)) - int(limits.nmant)
    overflow = mp.ldexp(1, int(limits.maxexp))
    rounded = mp.mpf(float(result)) if np.isfinite(result) else overflow * (1 if result > 0 else -1)
    return float(abs(rounded - exact) / mp.ldexp(1, exponent)) if abs(exact) < overflow or np.isfinite(result) else 0.0
