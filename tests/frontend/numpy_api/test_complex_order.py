"""Complex numbers in NumPy's order: sorts, extremes and their places, with NaN, infinities and ties; derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import ShapeError

BACKENDS = ("numpy", "llvm", "reference")
PARTS = (0.0, -0.0, 1.0, -2.0, np.inf, -np.inf, np.nan)
GRID = np.array([complex(a, b) for a in PARTS for b in PARTS])
WHOLE = GRID[~np.isnan(GRID)]
MASK = np.array([[True], [False], [True], [True]])
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sort": np.sort,
    "sort, first axis": lambda z: np.sort(z, axis=0),
    "sort, all": lambda z: np.sort(z, axis=None),
    "sort_complex": lambda z: np.sort_complex(z),
    "argsort": lambda z: np.argsort(z, kind="stable"),
    "argsort, method": lambda z: z.argsort(axis=0, kind="stable"),
    "partition": lambda z: np.sort(np.partition(z, 1)),
    "max": np.max,
    "min": np.min,
    "max, first axis": lambda z: np.max(z, axis=0),
    "min, axes": lambda z: np.min(z, axis=(1, 0)),
    "max, kept": lambda z: np.max(z, axis=1, keepdims=True),
    "max, method": lambda z: z.max(axis=1),
    "max, no axes": lambda z: np.max(z, axis=()),
    "amin": lambda z: np.amin(z, axis=-1),
    "max, initial": lambda z: np.max(z, initial=1 + 5j),
    "min, initial and where": lambda z: np.min(z, axis=0, initial=9, where=MASK),
    "argmax": np.argmax,
    "argmin": lambda z: np.argmin(z, axis=1),
    "ptp": lambda z: np.ptp(z, axis=1),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name: str, backend: Any) -> None:
    """Those of NumPy, by part, with many ties."""
    function = FUNCTIONS[name]
    compiled = gradc.jit(function, backend=backend)
    rng = np.random.default_rng(2)
    for grid in (GRID, WHOLE, WHOLE[np.isfinite(WHOLE)]) * 8:
        z = rng.choice(grid, (4, 6))
        with np.errstate(all="ignore"):
            expected = function(z)
        found = compiled(z)
        assert found.dtype == expected.dtype
        for part in (np.real, np.imag):
            np.testing.assert_array_equal(part(found), part(expected))


@pytest.mark.parametrize("backend", BACKENDS)
def test_keys(backend: Any) -> None:
    keys = np.random.default_rng(3).choice(WHOLE, (2, 9))
    found = gradc.jit(lambda k: np.lexsort((k[0], k[1])), backend=backend)(keys)
    np.testing.assert_array_equal(found, np.lexsort((keys[0], keys[1])))


@pytest.mark.parametrize(
    ("dtype", "expected"), [("i1", "c8"), ("u2", "c8"), ("i4", "c16"), ("f4", "c16"), ("?", "c16")]
)
def test_real_numbers_become_complex(dtype: str, expected: str) -> None:
    x = np.array([3, 1, 0]).astype(dtype)
    found = gradc.jit(lambda x: np.sort_complex(x))(x)
    assert found.dtype == np.sort_complex(x).dtype == expected
    np.testing.assert_array_equal(found, np.sort_complex(x))


@pytest.mark.parametrize("backend", BACKENDS)
class TestDerivatives:
    """They go to the places that elements come from; of equal ones to the first."""

    def test_sorts(self, backend: Any) -> None:
        z, w = np.random.default_rng(4).normal(size=(2, 2, 5)) @ np.diag([1, 1j, 1, 1, 1])
        gradient = gradc.grad(lambda z: np.sum(w * np.sort(z)).real, backend=backend)(z)
        expected = np.empty_like(z)
        np.put_along_axis(expected, np.argsort(z), w, axis=-1)
        np.testing.assert_array_equal(gradient, expected)

    def test_extremes(self, backend: Any) -> None:
        z = np.array([1 + 2j, 3 - 1j, 3 + 1j, 3 + 1j])
        for function, place in ((np.max, 2), (np.min, 0)):
            gradient = gradc.grad(lambda z, f=function: (f(z) * (2 - 1j)).real, backend=backend)(z)
            np.testing.assert_array_equal(gradient, (2 - 1j) * (np.arange(4) == place))
        moved = gradc.jit(lambda z, t: gradc.jvp(np.max, (z,), (t,))[1], backend=backend)(z, z * 1j)
        assert moved == z[2] * 1j


def test_no_element_is_no_extreme() -> None:
    with pytest.raises(ShapeError, match=r"np.max: c128\[0\] has no element along the axis"):
        gradc.jit(np.max)(np.zeros(0, complex))
