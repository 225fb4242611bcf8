"""The functions that NumPy lacks, as saved modules carry them: how exact they are, whose numbers they have."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

import numpy as np
import pytest

from gradc.backends.math import coefficients, gamma_coefficients
from tests.backends.llvm import math_samples

WITHIN_ULP = {"erf": 2.0, "erfc": 4.0}


def text_of(name: str) -> str:
    return (resources.files("gradc.templates") / "numpy" / "helpers" / f"_{name}.py.j2").read_text(encoding="utf-8")


def helper(name: str) -> Callable[..., np.ndarray]:
    namespace: dict[str, Callable[..., np.ndarray]] = {"np": np}  # type: ignore[dict-item]
    exec(text_of(name), namespace)  # noqa: S102 - a helper of ours
    return namespace[f"_{name}"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", WITHIN_ULP)
def test_errors_are_at_most_those_that_the_helper_says(name: str, dtype: type) -> None:
    assert f"within {WITHIN_ULP[name]:.0f} ULP" in text_of(name)
    arguments = math_samples.samples(name, np.dtype(dtype), 100)
    with np.errstate(all="ignore"):
        result = helper(name)(*arguments)
    assert result.dtype == dtype
    errors = math_samples.ulps(name, arguments, result)
    assert errors.max() <= WITHIN_ULP[name], [a[np.argmax(errors)] for a in arguments]


@pytest.mark.parametrize("name", ["gammaln", "digamma"])
def test_the_gamma_family_is_right_to_14_digits_of_the_larger_of_itself_and_1(name: str) -> None:
    assert "within 1e-14 of itself or of 1" in text_of(name)
    (x,) = math_samples.samples(name, np.dtype(np.float64), 100)
    with np.errstate(all="ignore"):
        result, expected = helper(name)(x), math_samples.NUMPY[name](x)
    finite = np.isfinite(expected) & np.isfinite(x)
    np.testing.assert_array_equal(result[~finite], expected[~finite])
    for at, value in zip(x[finite], result[finite], strict=True):
        with math_samples.mp.workprec(math_samples.PRECISION):
            exact = math_samples.EXACT[name](math_samples.mp.mpf(float(at)))
            assert abs(value - exact) <= 1e-14 * max(1, abs(exact)), at


def test_the_coefficients_are_those_of_the_fits() -> None:
    tables = {
        "erfc": (coefficients.ERFC, coefficients.ERF_NEAR),
        "gammaln": (gamma_coefficients.GAMMALN, gamma_coefficients.STIRLING),
        "digamma": (gamma_coefficients.DIGAMMA, gamma_coefficients.DIGAMMA_SERIES),
    }
    for name, found in tables.items():
        text = text_of(name)
        assert [number for table in found for number in table["f64"] if f" {number!r}," not in text] == []
