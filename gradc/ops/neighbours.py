"""Elements beside others along an axis, of any size, 0 and symbolic ones among them."""

from __future__ import annotations

from gradc.ir.graph import Value
from gradc.ir.op import REGISTRY


def exclusive(x: Value, axis: int, fill: float, *, reverse: bool = False) -> Value:
    """The element before each along an axis, with ``reverse`` that behind it; ``fill`` where there is none."""
    shape = x.aval.shape
    end = x.builder.full(fill, x.aval.with_shape(tuple(1 if k == axis else d for k, d in enumerate(shape))))
    joined = REGISTRY["concatenate"](*((x, end) if reverse else (end, x)), axis=axis)
    starts = tuple(int(reverse and k == axis) for k in range(len(shape)))
    return REGISTRY["slice"](joined, starts=starts, sizes=shape, steps=(1,) * len(shape))


def turned(x: Value, axis: int) -> Value:
    """The elements along an axis from the last on."""
    shape = x.aval.shape
    starts = tuple(d - 1 if k == axis else 0 for k, d in enumerate(shape))
    steps = tuple(-1 if k == axis else 1 for k in range(len(shape)))
    return REGISTRY["slice"](x, starts=starts, sizes=shape, steps=steps)
