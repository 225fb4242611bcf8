"""NumPy's functions that sort and search, over Values.

All orders are stable: of equal elements the first comes first, and NaN stands behind every number. The derivative of
sorted elements goes back to the places that they came from.
"""

from __future__ import annotations

import operator
from typing import Any, Final

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import one_axis, require_size
from gradc.frontend.numpy_api.complex_order import order_of
from gradc.frontend.numpy_api.notation import Array, composed, filled
from gradc.frontend.numpy_api.promote import strong
from gradc.frontend.numpy_api.registry import implements
from gradc.frontend.numpy_api.taking import take_along_axis
from gradc.ir.graph import Value
from gradc.ops import cumulative
from gradc.ops.shape import reshaped


def _along(name: str, a: Value, axis: Any) -> tuple[Value, int]:
    """The array and the axis to sort along; with ``axis=None`` all elements."""
    if axis is None:
        a, axis = reshaped(a, (a.aval.size,)), 0
    place = one_axis(name, axis, a.aval.ndim, str(a.aval))
    require_size(name, a.aval.shape[place], "its elements are put in order")
    return strong(a), place


def _check_kind(name: str, kind: Any, order: Any) -> None:
    """Raises TraceError for fields, which traced arrays do not have, and for sorts that NumPy does not know."""
    if order is not None:
        raise TraceError(f"{name}: order={order!r} names fields, and a traced array has none; leave it out")
    if kind not in (None, "quicksort", "mergesort", "heapsort", "stable", "introselect"):
        raise TraceError(f"{name}: kind={kind!r} is no sort of NumPy; use 'stable'")


def _order(x: Value, axis: int) -> Value:
    return order_of(x, axis) if x.aval.dtype.kind == "c" else cumulative.argsort(x, axis=axis)


@implements(np.argsort, arrays=("a",))
def argsort(a: Value, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Value:
    """The positions of the elements in ascending order along an axis."""
    _check_kind("np.argsort", kind, order)
    return _order(*_along("np.argsort", a, axis))


@implements(np.sort, arrays=("a",))
def sort(a: Value, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Value:
    """The elements in ascending order along an axis."""
    _check_kind("np.sort", kind, order)
    x, place = _along("np.sort", a, axis)
    return take_along_axis(x, _order(x, place), place)


def _check_kth(name: str, a: Value, kth: Any, axis: Any) -> None:
    """Raises ShapeError for a position that the axis does not have."""
    size = a.aval.size if axis is None else a.aval.shape[one_axis(name, axis, a.aval.ndim, str(a.aval))]
    for k in kth if isinstance(kth, (list, tuple, np.ndarray)) else (kth,):
        if isinstance(size, int) and not -size <= operator.index(k) < size:
            raise ShapeError(f"{name}: kth={k} is out of bounds for {a.aval} along axis {axis}")


@implements(np.partition, arrays=("a",))
def partition(a: Value, kth: Any, axis: Any = -1, kind: Any = None, order: Any = None) -> Value:
    """All elements in order, which is one of the partitions about ``kth``."""
    _check_kth("np.partition", a, kth, axis)
    return sort(a, axis, kind, order)


@implements(np.argpartition, arrays=("a",))
def argpartition(a: Value, kth: Any, axis: Any = -1, kind: Any = None, order: Any = None) -> Value:
    """The positions of all elements in order, which is one of the partitions about ``kth``."""
    _check_kth("np.argpartition", a, kth, axis)
    return argsort(a, axis, kind, order)


@composed(np.sort_complex, arrays=("a",))
def sort_complex(a: Any) -> Any:
    """The elements in ascending order along the last axis, as complex numbers; of integers of 8 and 16 bits in c64."""
    ordered = np.sort(a)
    return ordered if a.dtype.kind == "c" else ordered.astype(np.complex64 if a.dtype.char in "bhBH" else np.complex128)


@composed(np.lexsort, sequences=("keys",))
def lexsort(keys: Any, axis: Any = -1) -> Any:
    """The positions of elements in the order of the last key, ties in that of the key before it."""
    listed: list[Any] = (
        [keys[k] for k in range(require_size("np.lexsort", keys.shape[0], "keys are counted"))]
        if isinstance(keys, Array)
        else list(keys)
    )
    if not listed:
        raise ShapeError("np.lexsort: needs at least one key")
    place = one_axis("np.lexsort", axis, listed[0].ndim)
    order = np.argsort(listed[0], axis=place)
    for key in listed[1:]:
        again = np.argsort(np.take_along_axis(key, order, axis=place), axis=place)
        order = np.take_along_axis(order, again, axis=place)
    return order


# Searching.

_COUNTED: Final = 64
"""In a table of so many elements or fewer, all are compared, which has no steps that wait for each other."""


def _not_behind(a: Any, v: Any, strict: bool) -> Any:
    """Whether elements of ``a`` stand before ``v`` in order, or with it where not ``strict``."""
    if not v.is_float and not a.is_float:
        return a < v if strict else a <= v
    ahead = ~np.isnan(a) & np.isnan(v)
    return (a < v) | ahead if strict else (a <= v) | np.isnan(v)


@composed(np.searchsorted, arrays=("a", "v", "sorter"))
def searchsorted(a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    """How many elements of a sorted array stand before each of ``v``, or with ``side="right"`` with it."""
    if side not in ("left", "right"):
        raise TraceError(f"np.searchsorted: side={side!r} is neither 'left' nor 'right'")
    if a.ndim != 1:
        raise ShapeError(f"np.searchsorted: {a.value.aval} must have one axis")
    table = a if sorter is None else a[sorter]
    dtype = np.result_type(table.dtype, v.dtype)
    table, v, strict = table.astype(dtype), v.astype(dtype), side == "left"
    length = table.shape[0]
    if isinstance(length, int) and length > _COUNTED:
        return _bisected(table, length, v, strict)
    return np.sum(_not_behind(table, v[..., None], strict), axis=-1)


def _bisected(table: Any, length: int, v: Any, strict: bool) -> Any:
    """How many elements stand before ``v``: the bits of the number, the highest first."""
    count: Any = filled(v, 0, np.int64)
    for bit in range(length.bit_length() - 1, -1, -1):
        more = count + (1 << bit)
        last = table[np.minimum(more, length) - 1]
        count = np.where((more <= length) & _not_behind(last, v, strict), more, count)
    return count


@composed(np.digitize, arrays=("x", "bins"))
def digitize(x: Any, bins: Any, right: Any = False) -> Any:
    """The number of the bin of each element; ``bins`` ascend or descend, which is seen where they run."""
    if bins.ndim != 1:
        raise ShapeError(f"np.digitize: the bins {bins.value.aval} must have one axis")
    ascending = searchsorted(bins, x, "left" if right else "right")
    if require_size("np.digitize", bins.shape[0], "bins are counted") < 2:
        return ascending
    turned = searchsorted(bins[::-1], x, "right" if right else "left")
    return np.where(bins[-1] >= bins[0], ascending, bins.shape[0] - turned)


@composed(np.isin, arrays=("element", "test_elements"))
def isin(element: Any, test_elements: Any, assume_unique: Any = False, invert: Any = False, *, kind: Any = None) -> Any:
    """Whether each element is one of ``test_elements``."""
    found = np.any(element[..., None] == np.ravel(test_elements), axis=-1)
    return ~found if invert else found
