"""Norms against NumPy's."""

import numpy as np
import pytest

from gradc.errors import TraceError

INF = float("inf")


@pytest.mark.parametrize("keepdims", [False, True])
def test_norms(keepdims, agrees, sample):
    for order in (None, 1, 2, INF, -INF):
        agrees(np.linalg.norm, sample(4), order, keepdims=keepdims, ulp=4)
        agrees(np.linalg.norm, sample(2, 3, 4, dtype="f4"), order, axis=1, keepdims=keepdims, ulp=4)
    for order in (None, "fro", 1, -1, INF, -INF):
        for axis in ((0, 1), (2, 0), (-1, 1)):
            agrees(np.linalg.norm, sample(2, 3, 4), order, axis, keepdims, ulp=4)
        agrees(np.linalg.norm, sample(3, 4), order, keepdims=keepdims, ulp=4)
    agrees(np.linalg.norm, sample(2, 3, 4), keepdims=keepdims, ulp=4)
    agrees(np.linalg.norm, sample(3, 4, dtype=int), axis=0, keepdims=keepdims, ulp=4)


def test_wrong_axes(agrees, sample):
    agrees(np.linalg.norm, sample(2, 3, 4), 1)
    agrees(np.linalg.norm, sample(2, 3), axis=(0, 0))
    agrees(np.linalg.norm, sample(2, 3), axis=2)


@pytest.mark.parametrize(("order", "axis"), [(3, 0), (0, 0), ("nuc", None), (2, None)])
def test_other_orders_are_refused(order, axis, traced, sample):
    with pytest.raises(TraceError, match=r"np\.linalg\.norm: ord="):
        traced(np.linalg.norm, sample(3, 4), order, axis)


@pytest.mark.parametrize("order", [None, 1, INF, "fro"])
def test_gradients(order, gradient_agrees, sample):
    gradient_agrees(lambda bench, x: bench.call(np.linalg.norm, x, order, (0, 1)), sample(3, 4))
