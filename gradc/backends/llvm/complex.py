"""Complex arrays at the boundary of a kernel that computes in pairs of real numbers: the same memory, read as parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradc.backends.llvm.jit import Entry
from gradc.ir.aval import Aval
from gradc.ops.complex import real_dtype


class ComplexEntry:
    """Calls an entry with complex arrays as arrays of their parts, and gives complex results."""

    def __init__(self, entry: Entry, outputs: Sequence[Aval]) -> None:
        self.of_parts = entry
        """The entry that takes and gives arrays of parts."""
        self._outputs = [aval.dtype for aval in outputs]
        self.uses_threads = entry.uses_threads

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the kernel; a result in place of an input is that very array."""
        results = self.of_parts([_as_parts(array) for array in inputs])
        made = [r.view(d)[..., 0] if d.kind == "c" else r for r, d in zip(results, self._outputs, strict=True)]
        for result, place in self.of_parts.places.items():
            made[result] = inputs[place]
        return made


def in_complex(entry: Entry, outputs: Sequence[Aval]) -> ComplexEntry:
    """The entry for complex arrays; ``outputs`` are the results as the caller knows them."""
    return ComplexEntry(entry, outputs)


def _as_parts(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "c":
        return array
    return array.reshape((*array.shape, 1)).view(real_dtype(array.dtype))
