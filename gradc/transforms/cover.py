"""Whether masks that are written out as regions leave an element out.

``log(x)[1:] - log(x)[:-1]`` reads each element of ``log(x)`` in one of two slices. The mask of each is a region that is
True; together they are alive everywhere, and the derivative of ``log`` needs no select. An axis of symbolic length
along which regions are whole has one place here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradc.ir.aval import size_of
from gradc.ir.graph import Value
from gradc.ops.shape import slice_objects, update_slice

# Above, an array of booleans to mark regions in would cost more than the selects that it saves: 16 MB.
_MOST_ELEMENTS = 1 << 24


def cover(masks: Sequence[Value]) -> bool:
    """Whether every element is True in one of ``masks``, as far as their regions tell without data."""
    if any(is_full(mask, True) for mask in masks):
        return True
    aval, regions = masks[0].aval, [mask for mask in masks if mask.node.op is update_slice]
    places = [d if isinstance(d, int) else 1 for d in aval.shape]
    if not regions or int(size_of(tuple(places))) > _MOST_ELEMENTS:
        return False
    marked = np.zeros(places, bool)
    for mask in regions:
        _mark(mask, marked)
    return bool(marked.all())


def _mark(mask: Value, marked: np.ndarray[Any, Any]) -> None:
    """Mark, in place, what is known to be True: a region written into a mask of False is marked in a view."""
    if is_full(mask, True):
        marked[...] = True
        return
    node, builder = mask.node, mask.builder
    if node.op is not update_slice or not is_full(builder.value(node.operands[0]), False):
        return
    written = builder.value(node.operands[1])
    starts, steps = node.params["starts"], node.params["steps"]
    axes = zip(written.aval.shape, mask.aval.shape, starts, steps, strict=True)
    if not all(all(isinstance(d, int) for d in each) or (each[0] == each[1] and each[2] == 0) for each in axes):
        return
    sizes = [d if isinstance(d, int) else 1 for d in written.aval.shape]
    # The ellipsis keeps a single element an array.
    region: tuple[Any, ...] = (*slice_objects(starts, sizes, steps), ...)
    _mark(written, marked[region])


def is_full(mask: Value, number: bool) -> bool:
    """Whether every element is known to be ``number``."""
    found = mask.builder.scalar(mask)
    return found is not None and bool(found == number)
