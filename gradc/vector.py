"""Nested parameters as one vector, for optimizers that know vectors alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradc.errors import ArgumentError
from gradc.frontend import tree as trees
from gradc.ir.aval import aval_of


def flatten(tree: Any) -> tuple[np.ndarray, Callable[[Any], Any]]:
    """``(vector, unflatten)``: the numbers of a pytree in one vector, and the way back.

        x0, unflatten = gradc.flatten(w)
        best = scipy.optimize.minimize(gradc.value_and_grad(lambda x: loss(unflatten(x), data)), x0, jac=True)

    The vector has the widest dtype of the leaves. ``unflatten`` takes a vector of its length, also while it is traced,
    and gives a tree of the same structure, shapes and dtypes; arrays of the vector's dtype are views of it. Raises
    ArgumentError for leaves that are not floating-point numbers, and for a vector of another length.
    """
    leaves, structure = trees.flatten(tree)
    arrays = [_floats(leaf, path) for leaf, path in zip(leaves, structure.paths("tree"), strict=True)]
    total = sum(array.size for array in arrays)
    wide = np.result_type(*[array.dtype for array in arrays]) if arrays else np.dtype(float)
    vector = np.concatenate([np.zeros(0, wide), *[array.reshape(-1) for array in arrays]])

    def unflatten(vector: Any) -> Any:
        if np.shape(vector) != (total,):
            raise ArgumentError(f"the vector has the shape {np.shape(vector)} and the parameters are {total} numbers")
        parts = []
        start = 0
        for array in arrays:
            part = vector[start : start + array.size].reshape(array.shape)
            parts.append(part if part.dtype == array.dtype else part.astype(array.dtype))
            start += array.size
        return structure.unflatten(parts)

    return vector, unflatten


def _floats(leaf: Any, path: str) -> np.ndarray:
    array = np.asarray(leaf)
    if array.dtype.kind != "f":
        what = aval_of(array) if array.dtype.kind in "iubc" else f"a {type(leaf).__name__}"
        raise ArgumentError(f"{path} is {what} and a vector of parameters has floats; keep it apart from them")
    return array
