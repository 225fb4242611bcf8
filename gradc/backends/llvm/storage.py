"""Arrays at the boundary of a kernel that computes in other dtypes: the same memory, read in another way.

A complex number is a pair of real ones, a float16 its bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradc.backends.llvm.jit import Entry
from gradc.ir.aval import Aval
from gradc.ops.complex import real_dtype
from gradc.ops.half import BITS, HALF


class StoredEntry:
    """Calls an entry with arrays as their memory is read there, and gives results of the dtypes outside."""

    def __init__(self, inner: Entry, outputs: Sequence[Aval]) -> None:
        self.inner = inner
        """The entry that takes and gives pairs and bits."""
        self._outputs = [aval.dtype for aval in outputs]
        self.uses_threads = inner.uses_threads

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the kernel; a result in place of an input is that very array."""
        results = self.inner([_stored(array) for array in inputs])
        made = [_read(result, dtype) for result, dtype in zip(results, self._outputs, strict=True)]
        for result, place in self.inner.places.items():
            made[result] = inputs[place]
        return made


def as_stored(entry: Entry, outputs: Sequence[Aval]) -> StoredEntry:
    """The entry for complex and half-precision arrays; ``outputs`` are the results as the caller knows them."""
    return StoredEntry(entry, outputs)


def is_stored_otherwise(aval: Aval) -> bool:
    """Whether a kernel reads such memory in another way."""
    return aval.dtype.kind == "c" or aval.dtype == HALF


def _stored(array: np.ndarray) -> np.ndarray:
    if array.dtype == HALF:
        return array.view(BITS)
    if array.dtype.kind != "c":
        return array
    return array.reshape((*array.shape, 1)).view(real_dtype(array.dtype))


def _read(result: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "c":
        return result.view(dtype)[..., 0]
    return result.view(dtype) if dtype == HALF else result
