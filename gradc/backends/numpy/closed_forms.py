"""Constant arrays that NumPy's own functions tell: counts, diagonals, triangles, and sums of counts.

A form is taken only where what it evaluates to has the constant's dtype, shape and bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradc.backends.numpy.expressions import dtype_text, number_text

_DEFAULTS = {"arange": (np.dtype(np.int64), np.dtype(np.float64)), "eye": (np.dtype(np.float64),)}
"""The dtypes that need not be said."""


@dataclass(frozen=True, slots=True)
class Form:
    """An expression, what it evaluates to, and a name for it; ``is_range`` says that it reads well where it is used."""

    text: str
    value: np.ndarray
    name: str = "CONSTANT"
    is_range: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """Where a mask holds: on diagonal ``k``, on and below it (``lower``), or nowhere but there (``negated``)."""

    shape: tuple[int, int]
    k: int
    lower: bool
    negated: bool = False

    @property
    def mask(self) -> np.ndarray:
        rows, columns = self.shape
        found = (np.tri if self.lower else np.eye)(rows, columns, self.k, bool)
        return ~found if self.negated else found

    def text(self, dtype: np.dtype) -> str:
        """An expression for 1 where the mask holds, and 0 elsewhere."""
        rows, columns = self.shape
        parts = [str(rows), *([str(columns)] if columns != rows else []), *([f"k={self.k}"] if self.k else [])]
        parts += [f"dtype={dtype_text(dtype)}"] if dtype not in _DEFAULTS["eye"] else []
        return f"{'~' if self.negated else ''}np.{'tri' if self.lower else 'eye'}({', '.join(parts)})"

    @property
    def name(self) -> str:
        if not self.lower:
            return "OFF_DIAGONAL" if self.negated else "DIAGONAL" if self.k else "IDENTITY"
        return "UPPER" if self.negated else "LOWER"


def closed_form(value: np.ndarray) -> Form | None:
    """A form of the array; None where none is known."""
    if value.size < 2 or value.dtype.kind not in "iubfc":
        return None
    shape = tuple(d for d in value.shape if d != 1)
    array = np.ascontiguousarray(value).reshape(shape)
    found = _range(array) if array.ndim == 1 else _banded(array) or _sum_of_ranges(array) or _diagonal(array)
    if found is None:
        return None
    if shape != value.shape:
        found = Form(f"{found.text}.reshape{value.shape}", found.value.reshape(value.shape), found.name)
    made = found.value
    same = made.dtype == value.dtype and made.shape == value.shape and made.tobytes() == value.tobytes()
    return found if same else None


def band(mask: np.ndarray) -> Band | None:
    """How a mask of two axes is told; None where it is no diagonal and no triangle, or holds everywhere or nowhere."""
    rows, columns = mask.shape
    for negated in (False, True):
        held = ~mask if negated else mask
        row = int(held.any(axis=1).argmax())
        if not held[row].any():
            return None
        first, count = int(held[row].argmax()), int(held[row].sum())
        for found in (
            Band((rows, columns), first - row, False, negated),
            Band((rows, columns), count - 1 - row, True, negated),
        ):
            if np.array_equal(found.mask, mask):
                return found
    return None


def _range(array: np.ndarray) -> Form | None:
    """Numbers in equal steps; floating-point ones where all are integers, so that no step is rounded."""
    if array.dtype.kind not in "iuf" or not (array == np.round(array)).all() or np.abs(array[[0, -1]]).max() > 2**53:
        return None
    first, step = int(array[0]), int(array[1]) - int(array[0])
    stop = first + step * array.size
    if not step or (array.dtype.kind != "f" and not _fits(stop, array.dtype)):
        return None
    numbers = [stop] if (first, step) == (0, 1) else [first, stop] if step == 1 else [first, stop, step]
    is_float = array.dtype.kind == "f"
    listed = ", ".join(f"{n}.0" if is_float and k == 0 else str(n) for k, n in enumerate(numbers))
    dtype = "" if array.dtype in _DEFAULTS["arange"] else f", dtype={dtype_text(array.dtype)}"
    made = np.arange(first, stop, step, dtype=array.dtype)
    return Form(f"np.arange({listed}{dtype})", made, is_range=True)


def _fits(number: int, dtype: np.dtype) -> bool:
    return int(np.iinfo(dtype).min) <= number <= int(np.iinfo(dtype).max)


def _banded(array: np.ndarray) -> Form | None:
    """Two numbers, one on a diagonal or in a triangle."""
    if array.ndim != 2:
        return None
    bits = array.view(f"V{array.dtype.itemsize}")
    corner = bits == bits[0, 0]
    rest = array[~corner]
    if rest.size == 0 or rest.tobytes() != np.broadcast_to(rest[0], rest.shape).tobytes():
        return None
    numbers = (array[0, 0], rest[0])
    found = band(corner)
    if found is None:
        return None
    if numbers[0] == 0 and numbers[1] == 1:
        found = Band(found.shape, found.k, found.lower, not found.negated)
        numbers = numbers[::-1]
    plain = numbers[0] == 1 and numbers[1] == 0 and (array.dtype == bool or not found.negated)
    if plain:
        return Form(found.text(array.dtype), found.mask.astype(array.dtype), found.name)
    texts = [number_text(number) for number in numbers]
    if None in texts or array.dtype == bool:
        return None
    text = f"np.where({found.text(np.dtype(bool))}, {', '.join(map(str, texts))})"
    converted = "" if array.dtype == np.float64 else f".astype({dtype_text(array.dtype)})"
    return Form(f"{text}{converted}", np.where(found.mask, *numbers))


def _diagonal(array: np.ndarray) -> Form | None:
    """Numbers in equal steps on the diagonal."""
    found = _range(np.diag(array)) if array.ndim == 2 and min(array.shape) > 1 else None
    return Form(f"np.diag({found.text})", np.diag(found.value)) if found else None


def _sum_of_ranges(array: np.ndarray) -> Form | None:
    """Integers that count in equal steps along each axis."""
    if array.dtype != np.int64:
        return None
    terms, made = [], np.zeros((1,) * array.ndim, np.int64)
    for axis in range(array.ndim):
        line = array[tuple(slice(None) if a == axis else 0 for a in range(array.ndim))]
        found = _range(line if axis == 0 else line - line[0])
        if found is None:
            return None
        behind = array.ndim - 1 - axis
        made = made + found.value.reshape([-1 if a == axis else 1 for a in range(array.ndim)])
        terms.append(f"{found.text}[:{', None' * behind}]" if behind else found.text)
    return Form(" + ".join(terms), made, "INDICES")
