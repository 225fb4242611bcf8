"""Cross entropies as people write them: no digit is lost, and the gradient is that of a textbook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import gradc

RNG = np.random.default_rng(0)
LABELS = np.array([2, 0, 4, 4])


def shifted(z: Any) -> Any:
    below = z - np.max(z, axis=-1, keepdims=True)
    return below - np.log(np.sum(np.exp(below), axis=-1, keepdims=True))


FORMS: dict[str, Callable[[Any], Any]] = {
    "shifted": shifted,
    "logsumexp": lambda z: z - scipy.special.logsumexp(z, axis=-1, keepdims=True),
    "log of softmax": lambda z: np.log(scipy.special.softmax(z, axis=-1)),
    "log_softmax": lambda z: scipy.special.log_softmax(z, axis=-1),
}


def loss(log_softmax: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def cross_entropy(z: Any, labels: Any) -> Any:
        return -np.mean(log_softmax(z)[np.arange(len(z)), labels])

    return cross_entropy


@pytest.mark.parametrize("backend", ["llvm", "numpy", "reference"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_large_logits_keep_their_digits(form: Callable[[Any], Any], backend: Any) -> None:
    z = (1000.0 + RNG.normal(size=(4, 5))).astype(np.float32)
    exact = scipy.special.log_softmax(z.astype(np.float64), axis=-1)
    np.testing.assert_allclose(gradc.jit(form, backend=backend)(z), exact, atol=3e-7)


@pytest.mark.parametrize("backend", ["llvm", "numpy", "reference"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_gradient_is_softmax_less_the_label(form: Callable[[Any], Any], backend: Any) -> None:
    z = RNG.normal(size=(4, 5))
    value, slope = gradc.value_and_grad(loss(form), backend=backend)(z, LABELS)
    np.testing.assert_allclose(value, loss(form)(z, LABELS), rtol=1e-14)
    np.testing.assert_allclose(slope, (scipy.special.softmax(z, axis=-1) - np.eye(5)[LABELS]) / 4, rtol=1e-13)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_one_maximum_and_one_exponential(form: Callable[[Any], Any]) -> None:
    kernel = gradc.value_and_grad(loss(form)).compile(RNG.normal(size=(4, 5)), LABELS)
    text, *_ = kernel.numpy_source.partition("def _arguments")
    assert text.count("np.max(") == text.count("np.exp(") == text.count("np.add.at(") == 1
    assert "== largest" not in text


@pytest.mark.parametrize("backend", ["llvm", "numpy", "reference"])
def test_a_label_out_of_bounds_is_told(backend: Any) -> None:
    with pytest.raises(IndexError, match="index 5 is out of bounds for axis 1 with size 5"):
        gradc.grad(loss(shifted), backend=backend)(RNG.normal(size=(4, 5)), np.array([0, 5, 1, 2]))


@pytest.mark.parametrize("backend", ["llvm", "numpy", "reference"])
def test_rows_that_are_picked_twice_or_never(backend: Any) -> None:
    """Their cotangents add up; a row that is not picked has the slope 0, whatever stands in it."""
    z = RNG.normal(size=(5, 4))
    z[3], z[4, 1] = np.nan, np.inf
    rows, columns = np.array([0, 2, 2, 0]), np.array([1, 1, 3, 1])
    expected = np.zeros(z.shape)
    for row, column in zip(rows, columns, strict=True):
        expected[row] += scipy.special.softmax(z[row]) / 4
        expected[row, column] -= 0.25
    found = gradc.grad(lambda z: -np.mean(shifted(z)[rows, columns]), backend=backend)(z)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
