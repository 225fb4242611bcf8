"""Distances of ``scipy.spatial.distance`` by metrics that are functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.spatial.distance
from scipy.spatial.distance import cdist, pdist

import gradc
from gradc.errors import TraceError

X = np.random.default_rng(0).normal(size=(4, 3))


def euclidean(u: Any, v: Any) -> Any:
    """Not what its name says."""
    return np.sum(np.abs(u - v) ** 3)


def test_a_function_is_not_known_by_its_name() -> None:
    with pytest.raises(TraceError, match=r"pdist: the metric <function euclidean at .*> is not supported"):
        gradc.jit(lambda x: pdist(x, euclidean))(X)
    with pytest.raises(TraceError, match=r"cdist: the metric <function euclidean at .*> is not supported"):
        gradc.jit(lambda x: cdist(x, x, euclidean))(X)


@pytest.mark.parametrize("name", ["euclidean", "cityblock", "hamming", "cosine"])
def test_functions_of_scipy_are_metrics(name: str) -> None:
    before = getattr(scipy.spatial.distance, name)
    for metric in (lambda: before, lambda: getattr(scipy.spatial.distance, name), lambda: name):
        found = gradc.jit(lambda x, metric=metric: pdist(x, metric()))(X)
        np.testing.assert_allclose(found, pdist(X, name), rtol=1e-14, atol=1e-15)
