"""``np.r_`` and ``np.c_`` with traced arrays: what stands in their place while a function is traced."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.frontend.lines import refuse
from gradc.frontend.session import current_session, holds_traced, is_traced


class Concatenator:
    """Passes on to NumPy's object unless something in the brackets is traced."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def __getitem__(self, key: Any) -> Any:
        items = key if isinstance(key, tuple) else (key,)
        if current_session() is None or not any(_holds_traced(item) for item in items):
            return self.original[key]
        axis, ndmin, trans1d = self.original.axis, self.original.ndmin, self.original.trans1d
        if isinstance(items[0], str):
            axis, ndmin, trans1d = _directive(items[0], ndmin, trans1d)
            items = items[1:]
        if any(isinstance(item, str) for item in items):
            raise refuse("np.r_: special directives must be the first entry")
        parts = [_part(item, ndmin, trans1d) for item in items]
        dtype = np.result_type(*[_known_as(item) for item in items])
        return np.concatenate([part.astype(dtype) for part in parts], axis=axis)

    def __len__(self) -> int:
        return len(self.original)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


def _holds_traced(item: Any) -> bool:
    return holds_traced([item.start, item.stop, item.step]) if isinstance(item, slice) else holds_traced(item)


def _directive(text: str, ndmin: int, trans1d: int) -> tuple[int, int, int]:
    """``"axis"``, ``"axis,ndmin"`` or ``"axis,ndmin,trans1d"``."""
    try:
        numbers = [int(word) for word in text.split(",")]
    except ValueError:
        raise refuse(f"np.r_: the directive {text!r} makes a matrix; write numbers, as in '0,2'") from None
    given = (*numbers, ndmin, trans1d) if len(numbers) == 1 else (*numbers, trans1d)
    return given[0], given[1], given[2]


def _part(item: Any, ndmin: int, trans1d: int) -> Any:
    """An entry as an array of at least ``ndmin`` axes; those of an array that has fewer go where ``trans1d`` says."""
    if isinstance(item, slice):
        vector = _range(item)
        wide = np.reshape(vector, (1,) * max(ndmin - 1, 0) + np.shape(vector))
        return np.swapaxes(wide, -1, trans1d) if ndmin > 1 and trans1d != -1 else wide
    array: Any = item if is_traced(item) else np.asarray(item) if not holds_traced(item) else np.stack(item)
    depth = np.ndim(array)
    wide = np.reshape(array, (1,) * (ndmin - depth) + np.shape(array))
    if depth == 0 or trans1d == -1 or depth >= ndmin:
        return wide
    new = ndmin - depth
    place = trans1d + new + 1 if trans1d < 0 else trans1d
    axes = list(range(ndmin))
    return np.transpose(wide, axes[:place] + axes[new:] + axes[place:new])


def _range(item: slice) -> Any:
    start = 0 if item.start is None else item.start
    if isinstance(item.step, complex):
        return np.linspace(start, item.stop, int(abs(item.step)))
    return np.arange(start, item.stop, 1 if item.step is None else item.step)


def _known_as(item: Any) -> Any:
    """What an entry is in NumPy's promotion: numbers are weak."""
    if isinstance(item, slice):
        return _range(item).dtype
    if is_traced(item) or isinstance(item, (int, float, complex)):
        return item
    return np.asarray(item) if not holds_traced(item) else np.stack(item)
