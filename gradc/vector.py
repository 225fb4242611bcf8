"""Nested parameters as one vector, for optimizers that know vectors alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradc.errors import ArgumentError
from gradc.frontend import tree as trees
from gradc.frontend.session import is_traced
from gradc.ir.aval import aval_of


def flatten(tree: Any) -> tuple[np.ndarray, Callable[[Any], Any]]:
    """``(vector, unflatten)``: the numbers of a pytree in one vector, and the way back.

        x0, unflatten = gradc.flatten(w)
        best = scipy.optimize.minimize(gradc.value_and_grad(lambda x: loss(unflatten(x), data)), x0, jac=True)

    The vector has the widest dtype of the leaves; of complex ones it has the real parts and then the imaginary ones.
    ``unflatten`` takes a vector of its length, also while it is traced, and gives a tree of the same structure, shapes
    and dtypes; arrays of the vector's dtype are views of it. Traced leaves give a traced vector. Raises ArgumentError
    for leaves that are no floating-point numbers, real or complex, and for a vector of another length.
    """
    leaves, structure = trees.flatten(tree)
    arrays = [_floats(leaf, path) for leaf, path in zip(leaves, structure.paths("tree"), strict=True)]
    parts = [part for array in arrays for part in _parts(array)]
    total = sum(part.size for part in parts)
    wide = np.result_type(*[part.dtype for part in parts]) if parts else np.dtype(float)
    vector = np.concatenate([np.zeros(0, wide), *[part.reshape(-1) for part in parts]])
    kinds = [(array.shape, array.size, array.dtype) for array in arrays]

    def unflatten(vector: Any) -> Any:
        if np.shape(vector) != (total,):
            raise ArgumentError(f"the vector has the shape {np.shape(vector)} and the parameters are {total} numbers")
        found = []
        start = 0
        for shape, size, dtype in kinds:
            count = 2 if dtype.kind == "c" else 1
            parts = [vector[start + k * size : start + (k + 1) * size].reshape(shape) for k in range(count)]
            part = parts[0] if count == 1 else _complex(*parts)
            found.append(part if part.dtype == dtype else part.astype(dtype))
            start += count * size
        return structure.unflatten(found)

    return vector, unflatten


def _floats(leaf: Any, path: str) -> Any:
    array: Any = leaf if is_traced(leaf) else np.asarray(leaf)
    if array.dtype.kind not in "fc":
        what = aval_of(array) if array.dtype.kind in "iub" else f"a {type(leaf).__name__}"
        raise ArgumentError(f"{path} is {what} and a vector of parameters has floats; keep it apart from them")
    return array


def _parts(array: Any) -> list[Any]:
    return [array.real, array.imag] if array.dtype.kind == "c" else [array]


def _complex(real: Any, imag: Any) -> Any:
    """The complex numbers of two parts; of plain ones infinities are kept."""
    if is_traced(real):
        return real + 1j * imag
    made = np.zeros_like(real, dtype=np.result_type(real.dtype, np.complex64))
    made.real = real
    made.imag = imag
    return made
