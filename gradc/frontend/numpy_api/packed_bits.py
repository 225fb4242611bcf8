"""Bits packed into bytes, and taken out of them, over Values."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradc.errors import DtypeError, TraceError
from gradc.frontend.numpy_api.axes import one_axis, require_size
from gradc.frontend.numpy_api.notation import composed


def _weights(name: str, bitorder: Any) -> np.ndarray:
    if bitorder not in ("big", "little"):
        raise TraceError(f"{name}: bitorder={bitorder!r} is neither 'big' nor 'little'")
    weights = 1 << np.arange(8)
    return weights[::-1] if bitorder == "big" else weights


def _last(name: str, a: Any, axis: Any) -> tuple[Any, int, int]:
    """The axis of bits last, which one it was, and its length; all elements as one axis for None."""
    x, place = (np.ravel(a), 0) if axis is None else (a, one_axis(name, axis, a.ndim, str(a.value.aval)))
    return np.moveaxis(x, place, -1), place, require_size(name, x.shape[place], "its bits are counted")


def _padded(x: Any, more: int) -> Any:
    return np.concatenate([x, np.zeros((*x.shape[:-1], more), x.dtype)], axis=-1) if more else x


@composed(np.packbits, arrays=("a",))
def packbits(a: Any, axis: Any = None, bitorder: Any = "big") -> Any:
    """Whether elements are not 0 as the bits of bytes, eight in each, the last one filled up with 0."""
    if a.dtype.kind not in "iub":
        raise DtypeError(f"np.packbits: {a.value.aval} is neither of integers nor of booleans", as_numpy=True)
    weights = _weights("np.packbits", bitorder)
    x, place, size = _last("np.packbits", a, axis)
    bits = _padded((x != 0).astype(np.int64), -size % 8).reshape((*x.shape[:-1], -(-size // 8), 8))
    return np.moveaxis(np.sum(bits * weights, axis=-1).astype(np.uint8), -1, place)


@composed(np.unpackbits, arrays=("a",))
def unpackbits(a: Any, axis: Any = None, count: Any = None, bitorder: Any = "big") -> Any:
    """The bits of bytes, each as a byte; of those along the axis so many as ``count``, or all but so many."""
    if a.dtype != np.uint8:
        raise DtypeError(f"np.unpackbits: {a.value.aval} is not of dtype uint8", as_numpy=True)
    weights = _weights("np.unpackbits", bitorder)
    x, place, size = _last("np.unpackbits", a, axis)
    found = (x[..., None].astype(np.int64) // weights % 2).astype(np.uint8).reshape((*x.shape[:-1], 8 * size))
    number = 8 * size if count is None else operator.index(count)
    number = number + 8 * size if number < 0 else number
    if number < 0:
        raise TraceError(f"np.unpackbits: count={count} takes more than the {8 * size} bits along the axis")
    return np.moveaxis(_padded(found[..., :number], max(number - 8 * size, 0)), -1, place)
