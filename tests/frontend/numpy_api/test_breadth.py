"""Every function of NumPy and SciPy that is known, called as a program calls it: one row each, in ``calls.txt``.

The value is NumPy's on every backend. First derivatives are those that central differences of the plain function
give, extrapolated to step 0 (Richardson), second ones those of the first derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.signal
import scipy.special
import scipy.stats

import gradc

BACKENDS = ("numpy", "llvm", "reference")
STEP = 1e-3
ROWS = [line for line in (Path(__file__).parent / "calls.txt").read_text().splitlines() if not line.startswith("#")]
SPECIAL = (Path(__file__).parent / "specials.txt").read_text().splitlines()
KINKED: Final = frozenset({"np.round(x, 1)", "x.round(2)"})
"""Steps so close to each other that differences see them."""

_DRAW: Final = np.random.default_rng(20)


def _floats(*shape: int) -> np.ndarray:
    """Numbers between -2 and 2, no two of which are closer than 1e-2."""
    size = int(np.prod(shape))
    steps = _DRAW.permutation(size) * (4.0 / max(size, 1)) - 1.96
    return (steps + _DRAW.uniform(0.2, 0.8, size) * min(0.02, 4.0 / max(size, 1))).reshape(shape)


ARRAYS: Final[dict[str, Any]] = {
    "e": np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.5, 1e300, -5e-324, 2.0, np.nan]),
    "x": _floats(3, 4),
    "y": _floats(3, 4),
    "v": _floats(5),
    "w": _floats(5),
    "u": _floats(3),
    "r": np.sort(_floats(6)),
    "p": np.abs(_floats(3, 4)) + 0.3,
    "q": (_floats(5) + 2.1) / 4.3,
    "s": _floats(3, 3) + 2 * np.eye(3),
    "t": _floats(2, 3, 4),
    "c": np.asarray(0.7),
    "o": _floats(1),
    "z": np.zeros(0),
    "f": _floats(3, 4).astype(np.float32),
    "k": _DRAW.integers(-9, 10, (3, 4)),
    "n": _DRAW.permutation(5),
    "j": _DRAW.integers(0, 3, 5),
    "b": _DRAW.uniform(size=(3, 4)) < 0.5,
    "g": _DRAW.uniform(size=5) < 0.5,
}
"""x, y, t floats; v, w, u, r (sorted), q (in 0 to 1) vectors; p positive; s square; c a number; o, z of one and of no
elements; f in f32; k, n, j integers; b, g masks."""

SPACE: Final = {"np": np, "scipy": scipy}


def function_of(row: str) -> tuple[Callable[..., Any], list[str]]:
    """The row as a function, and the letters that are its parameters."""
    names = [n for n in _names(compile(row, row, "eval")) if n in ARRAYS]
    letters = list(dict.fromkeys(names))
    made: Callable[..., Any] = eval(f"lambda {', '.join(letters)}: {row}", dict(SPACE))  # noqa: S307 - rows of this repository
    return made, letters


def _names(code: Any) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            yield from _names(constant)


def arrays_of(letters: list[str]) -> list[np.ndarray]:
    return [np.array(ARRAYS[letter]) for letter in letters]


def flat(result: Any) -> list[np.ndarray]:
    if isinstance(result, (tuple, list)):
        return [part for item in result for part in flat(item)]
    return [np.asarray(result)]


def plain(row: str) -> list[np.ndarray]:
    function, letters = function_of(row)
    with np.errstate(all="ignore"):
        return flat(function(*arrays_of(letters)))


def extrapolated(function: Callable[[float], np.ndarray]) -> np.ndarray:
    """The derivative at 0, with an error of the sixth power of the step."""
    slopes = [(function(h) - function(-h)) / (2 * h) for h in (STEP, STEP / 2, STEP / 4)]
    second = [(4 * b - a) / 3 for a, b in pairwise(slopes)]
    return np.asarray((16 * second[1] - second[0]) / 15)


class Derivatives:
    """The sum of a row's floats, each with a weight, as a function of its float arguments."""

    def __init__(self, row: str) -> None:
        self.function, self.letters = function_of(row)
        self.inputs = arrays_of(self.letters)
        self.wrt = [k for k, x in enumerate(self.inputs) if x.dtype == np.float64]
        rng = np.random.default_rng(4)
        self.weights = [rng.normal(size=part.shape) for part in plain(row) if part.dtype == np.float64]
        self.directions = [rng.normal(size=self.inputs[k].shape) for k in self.wrt]

    @property
    def is_smooth(self) -> bool:
        """Whether there is a number that depends on numbers."""
        return bool(self.weights and self.wrt)

    def total(self, *inputs: Any) -> Any:
        """The weighted sum."""
        parts = self.function(*inputs)
        parts = list(self._parts(parts))
        terms = [(w * part).sum() for w, part in zip(self.weights, parts, strict=True)]
        return sum(terms[1:], terms[0])

    def _parts(self, result: Any) -> Any:
        if isinstance(result, (tuple, list)):
            for item in result:
                yield from self._parts(item)
        elif np.result_type(result) == np.float64:
            yield result

    def both(self, *inputs: Any) -> Any:
        """The gradient, and the gradient of its inner product with the directions."""
        gradient = gradc.grad(self.total, wrt=self.wrt)

        def along(*given: Any) -> Any:
            cts = gradient(*given)
            return sum((ct * d).sum() for ct, d in zip(cts, self.directions, strict=True))

        return gradient(*inputs), gradc.grad(along, wrt=self.wrt)(*inputs)

    def moved(self, t: float) -> list[np.ndarray]:
        """The arguments a step along the directions."""
        inputs = [np.array(x) for x in self.inputs]
        for k, d in zip(self.wrt, self.directions, strict=True):
            inputs[k] = np.asarray(inputs[k] + t * d)
        return inputs

    def compiled(self, backend: str) -> Callable[..., list[np.ndarray]]:
        """``both`` on a backend."""
        names = ", ".join(self.letters)
        made = eval(f"lambda {names}: both({names})", {"both": self.both})  # noqa: S307 - rows of this repository
        run = gradc.jit(made, backend=backend)
        return lambda *inputs: flat(run(*inputs))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", [*ROWS, *SPECIAL])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_value(row: str, backend: str) -> None:
    function, letters = function_of(row)
    actual, expected = flat(gradc.jit(function, backend=backend)(*arrays_of(letters))), plain(row)
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        assert (a.dtype, a.shape) == (e.dtype, e.shape)
        if e.dtype.kind != "f":
            np.testing.assert_array_equal(a, e)
            continue
        unit = float(np.finfo(e.dtype).eps)
        largest = float(np.max(np.abs(e), initial=0.0, where=np.isfinite(e)))
        np.testing.assert_allclose(a, e, rtol=64 * unit, atol=64 * unit * largest)


@pytest.mark.parametrize("row", [row for row in ROWS if row not in KINKED])
def test_derivatives(row: str) -> None:
    case = Derivatives(row)
    if not case.is_smooth:
        return  # it is all integers or bools, and has no derivative
    run = case.compiled("numpy")
    count = len(case.wrt)
    found = run(*case.inputs)
    first = sum(np.sum(ct * d) for ct, d in zip(found[:count], case.directions, strict=True))
    with np.errstate(all="ignore"):
        expected = extrapolated(lambda t: case.total(*case.moved(t)))
    scale = 1.0 + sum(np.sum(np.abs(ct * d)) for ct, d in zip(found[:count], case.directions, strict=True))
    np.testing.assert_allclose(first, expected, rtol=0, atol=1e-8 * scale)
    slopes = [extrapolated(lambda t, k=k: run(*case.moved(t))[k]) for k in range(count)]
    for got, wanted in zip(found[count:], slopes, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-7 * (scale + float(np.max(np.abs(wanted), initial=0))))
    for backend in ("llvm", "reference"):
        for got, wanted in zip(case.compiled(backend)(*case.inputs), found, strict=True):
            largest = scale + float(np.max(np.abs(wanted), initial=0))
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12 * largest)
