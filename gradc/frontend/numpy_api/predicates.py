"""What is asked of numbers one by one: whether they are close, or infinite; and their conversion."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradc.errors import ShapeError
from gradc.frontend.numpy_api import promote
from gradc.frontend.numpy_api.comparisons import everywhere
from gradc.frontend.numpy_api.notation import Array, composed
from gradc.frontend.numpy_api.promote import common_dtype
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.aval import broadcast_shapes
from gradc.ir.graph import Value


@composed(np.isposinf, arrays=("x",))
def isposinf(x: Any) -> Any:
    """Whether each element is plus infinity."""
    return x == math.inf if x.is_float else Array(everywhere(x.value, False))


@composed(np.isneginf, arrays=("x",))
def isneginf(x: Any) -> Any:
    """Whether each element is minus infinity."""
    return x == -math.inf if x.is_float else Array(everywhere(x.value, False))


@composed(np.isclose, arrays=("a", "b"), keeps_weak=True)
def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: Any = False) -> Any:
    """Whether two elements differ by at most ``atol + rtol * |b|``; infinities are close to themselves."""
    dtype = common_dtype(a.value, b.value)
    x, y = a.astype(dtype), b.astype(dtype if dtype.kind in "fc" else np.float64)
    near = (np.abs(x - y) <= atol + rtol * np.abs(y)) & np.isfinite(y) | (x == y)
    return near | (np.isnan(x) & np.isnan(y)) if equal_nan else near


@composed(np.allclose, arrays=("a", "b"), keeps_weak=True)
def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: Any = False) -> Any:
    """Whether all elements are close."""
    return np.all(isclose(a, b, rtol, atol, equal_nan))


@composed(np.array_equal, arrays=("a1", "a2"))
def array_equal(a1: Any, a2: Any, equal_nan: Any = False) -> Any:
    """Whether both arrays have one shape and equal elements."""
    if a1.shape != a2.shape:
        return False
    same = a1 == a2
    return np.all(same | (np.isnan(a1) & np.isnan(a2)) if equal_nan else same)


@composed(np.array_equiv, arrays=("a1", "a2"))
def array_equiv(a1: Any, a2: Any) -> Any:
    """Whether both arrays are equal once they are broadcast together."""
    try:
        broadcast_shapes(a1.shape, a2.shape)
    except ShapeError:
        return False
    return np.all(a1 == a2)


@implements(np.astype, arrays=("x",))
def astype(x: Value, dtype: Any, *, copy: Any = True, device: Any = None) -> Value:
    """The elements in another dtype."""
    return promote.astype(x, dtype)
