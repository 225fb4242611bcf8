"""Basic indexing where all is known: ints and slices on axes of fixed sizes, as they stand in loops over steps."""

from __future__ import annotations

from typing import Any

from gradc.ir.aval import Dim
from gradc.ir.graph import Value
from gradc.ops.shape import reshaped, slice_


def known_item(x: Value, index: Any) -> Value | None:
    """``x[index]``; None where the index, or an axis that it is for, wants more than this knows, errors included."""
    items = index if type(index) is tuple else (index,)
    shape = x.aval.shape
    if len(items) > len(shape):
        return None
    starts: list[Dim] = []
    sizes: list[Dim] = []
    steps: list[int] = []
    kept: list[Dim] = []
    whole = True
    for item, length in zip(items, shape, strict=False):
        if type(length) is not int:
            return None
        if type(item) is int:
            start, size, step = item if item >= 0 else item + length, 1, 1
            if not 0 <= start < length:
                return None
        elif type(item) is slice and _is_plain(item):
            first, last, step = item.indices(length)
            size = len(range(first, last, step))
            start = first if size else 0
            kept.append(size)
        else:
            return None
        starts.append(start)
        sizes.append(size)
        steps.append(step)
        whole = whole and size == length and start == 0 and step == 1
    rest = shape[len(items) :]
    if not whole:
        ends = len(rest)
        x = slice_(x, starts=(*starts, *(0,) * ends), sizes=(*sizes, *rest), steps=(*steps, *(1,) * ends))
    return reshaped(x, (*kept, *rest))


def _is_plain(item: slice) -> bool:
    parts = (item.start, item.stop, item.step)
    return item.step != 0 and all(part is None or type(part) is int for part in parts)
