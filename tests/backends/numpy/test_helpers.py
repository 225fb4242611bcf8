"""The functions that NumPy lacks, as saved modules carry them: how exact they are, whose numbers they have."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

import numpy as np
import pytest

from gradc.backends.llvm.math import coefficients
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


def test_the_coefficients_are_those_of_the_fits() -> None:
    text = text_of("erfc")
    for number in (*coefficients.ERFC["f64"], *coefficients.ERF_NEAR["f64"]):
        assert f" {number!r}," in text
