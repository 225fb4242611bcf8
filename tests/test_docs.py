"""What the docs say of kinks, ties, branches and targets, on every backend; and the names that they list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gradc

DOCS = Path(__file__).parents[1] / "docs"
BACKENDS = ("llvm", "numpy", "reference")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


KINKS = {
    "maximum with a constant": (lambda x: np.maximum(x, 2.0), 2.0, 0.0),
    "minimum with a constant": (lambda x: np.minimum(x, 2.0), 2.0, 0.0),
    "relu": (lambda x: np.maximum(x, 0), 0.0, 0.0),
    "clip at the lower edge": (lambda x: np.clip(x, 1.0, 2.0), 1.0, 0.0),
    "clip at the upper edge": (lambda x: np.clip(x, 1.0, 2.0), 2.0, 0.0),
    "clip inside": (lambda x: np.clip(x, 1.0, 2.0), 1.5, 1.0),
    "abs": (lambda x: np.abs(x), 0.0, 0.0),
    "sign": (lambda x: np.sign(x), 3.0, 0.0),
    "comparison": (lambda x: (x > 1.0) * 2.0, 3.0, 0.0),
    "floor_divide": (lambda x: np.floor_divide(x, 2.0), 3.0, 0.0),
}


@pytest.mark.parametrize(("function", "at", "slope"), KINKS.values(), ids=KINKS.keys())
def test_kinks(backend: str, function: object, at: float, slope: float) -> None:
    assert gradc.grad(function, backend=backend)(at) == slope


@pytest.mark.parametrize("extreme", [np.maximum, np.minimum])
def test_a_tie_between_variables_is_shared(backend: str, extreme: np.ufunc) -> None:
    slopes = gradc.grad(lambda x, y: extreme(x, y), wrt=("x", "y"), backend=backend)(3.0, 3.0)
    assert slopes == (0.5, 0.5)


@pytest.mark.parametrize(("extreme", "expected"), [(np.max, [0, 0.5, 0.5]), (np.min, [1, 0, 0])])
def test_extreme_elements_share(backend: str, extreme: object, expected: list[float]) -> None:
    slopes = gradc.grad(lambda x: extreme(x), backend=backend)(np.array([1.0, 4.0, 4.0]))
    assert slopes.tolist() == expected


def test_a_branch_not_taken_is_an_exact_zero_at_every_order(backend: str) -> None:
    def guarded(x):
        return np.where(x > 0, np.log(x), 0)

    first = gradc.grad(guarded, backend=backend)
    second = gradc.grad(lambda x: first(x), backend=backend)
    assert (first(0.0), second(0.0)) == (0.0, 0.0)
    assert (first(2.0), second(2.0)) == (0.5, -0.25)


def test_a_nan_in_the_branch_that_is_taken_stays(backend: str) -> None:
    assert np.isnan(gradc.grad(lambda x: np.where(x < 1, x * np.nan, 0), backend=backend)(0.0))


def test_what_can_be_differentiated(backend: str) -> None:
    assert gradc.grad(lambda n: n * n, backend=backend)(3) == 6.0
    unused = gradc.grad(lambda x, y: y * 1.0, backend=backend)
    assert unused(np.ones(2), 1.0).tolist() == [0.0, 0.0]
    with pytest.raises(gradc.errors.DerivativeError, match="x is i64"):
        gradc.grad(lambda x: np.sum(x) * 1.0, backend=backend)(np.arange(3))
    with pytest.raises(gradc.errors.DerivativeError, match="one scalar floating-point result"):
        gradc.grad(lambda x: x, backend=backend)(np.ones(3))


@pytest.mark.parametrize(("level", "value"), [("off", np.nan), ("safe", np.nan), ("aggressive", 1.0)])
def test_the_levels_of_stability(backend: str, level: str, value: float) -> None:
    with np.errstate(all="ignore"):
        found = gradc.jit(lambda x: x / x, backend=backend, stabilize=level)(0.0)
    np.testing.assert_equal(float(found), value)


def test_a_stable_form_is_finite_where_the_formula_is_not(backend: str) -> None:
    def softplus(x):
        return np.log(1 + np.exp(x))

    assert gradc.value_and_grad(softplus, backend=backend)(1000.0) == (1000.0, 1.0)
    written = gradc.jit(softplus, backend=backend, stabilize="off")
    with np.errstate(all="ignore"):
        assert written(1000.0) == np.inf
