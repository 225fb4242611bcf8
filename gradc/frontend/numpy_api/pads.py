"""Borders: ``np.pad`` in all its modes, over Values."""

from __future__ import annotations

import operator
from typing import Any, Final

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import require_size
from gradc.frontend.numpy_api.notation import Array, composed, lifted
from gradc.frontend.numpy_api.promote import converted
from gradc.ops import shape as shapes
from gradc.ops.shape import broadcast

_MODES: Final = {
    "constant": {"constant_values"}, "edge": set[str](), "empty": set[str](), "linear_ramp": {"end_values"},
    "maximum": {"stat_length"}, "mean": {"stat_length"}, "median": {"stat_length"}, "minimum": {"stat_length"},
    "reflect": {"reflect_type"}, "symmetric": {"reflect_type"}, "wrap": set[str](),
}  # fmt: skip
"""The modes, and the keywords of each."""


@composed(np.pad, arrays=("array",))
def pad(
    array: Any,
    pad_width: Any,
    mode: Any = "constant",
    *,
    constant_values: Any = 0,
    end_values: Any = 0,
    stat_length: Any = None,
    reflect_type: Any = "even",
) -> Any:
    """The array with borders, axis after axis, in NumPy's modes; ``empty`` gives zeros."""
    if mode not in _MODES:
        raise TraceError(f"np.pad: mode={mode!r} is none of {', '.join(_MODES)}")
    keywords = {"constant_values": 0, "end_values": 0, "stat_length": None, "reflect_type": "even"}
    given = (constant_values, end_values, stat_length, reflect_type)
    for (name, default), value in zip(keywords.items(), given, strict=True):
        if name not in _MODES[mode] and value is not default and not _same(value, default):
            raise TraceError(f"np.pad: mode={mode!r} takes no {name}=")
    widths = _widths(array, pad_width)
    if mode in ("constant", "empty"):
        return _filled(array, widths, _pairs(array, constant_values if mode == "constant" else 0))
    lengths = _pairs(array, stat_length) if stat_length is not None else [(None, None)] * array.ndim
    ends = _pairs(array, end_values)
    for axis, width in enumerate(widths):
        if width == (0, 0):
            continue
        size = require_size("np.pad", array.shape[axis], "its ends are repeated")
        if size == 0:
            raise ShapeError(f"np.pad: {array.value.aval} has no element along axis {axis} to pad with mode={mode!r}")
        if mode in ("edge", "wrap", "reflect", "symmetric"):
            array = _repeated(array, axis, width, mode, reflect_type)
        else:
            array = _continued(array, axis, width, mode, lengths[axis], ends[axis])
    return array


def _same(value: Any, default: Any) -> bool:
    return type(value) in (int, str) and value == default


def _widths(array: Any, pad_width: Any) -> list[tuple[int, int]]:
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(k, pad_width.get(k - array.ndim, (0, 0))) for k in range(array.ndim)]
        pad_width = [(w, w) if isinstance(w, int) else tuple(w) for w in pad_width]
    widths = np.asarray(pad_width)
    if widths.dtype.kind not in "iu" or (widths < 0).any():
        raise ShapeError(f"np.pad: pad_width {pad_width!r} is not made of non-negative ints")
    try:
        spread = np.broadcast_to(widths, (array.ndim, 2))
    except ValueError:
        raise ShapeError(f"np.pad: pad_width {pad_width!r} does not fit the axes of {array.value.aval}") from None
    return [(int(before), int(after)) for before, after in spread]


def _pairs(array: Any, values: Any) -> list[tuple[Any, Any]]:
    """A value for either side of each axis, of numbers or traced ones."""
    if isinstance(values, (list, tuple)):
        rows = [v if isinstance(v, (list, tuple)) else (v,) for v in values]
        if not any(isinstance(v, (list, tuple)) for v in values):
            rows = [tuple(values)]
        rows = rows * array.ndim if len(rows) == 1 else rows
        pairs = [tuple(row) * (2 if len(row) == 1 else 1) for row in rows]
    else:
        pairs = (
            [(v[0], v[-1]) for v in np.broadcast_to(values, (array.ndim, 2))]
            if _is_plain(values)
            else [(values, values)] * array.ndim
        )
    if len(pairs) != array.ndim or any(len(pair) != 2 for pair in pairs):
        raise ShapeError(f"np.pad: {values!r} does not give a value for either side of the axes of {array.value.aval}")
    return [(a, b) for a, b in pairs]


def _is_plain(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.ndim > 0


def _filled(array: Any, widths: list[tuple[int, int]], values: list[tuple[Any, Any]]) -> Any:
    """Borders of numbers, those of later axes over those of earlier ones."""
    shape = tuple(b + d + a for (b, a), d in zip(widths, array.shape, strict=True))
    plain = {type(v) in (int, float, bool) and v == values[0][0] for pair in values for v in pair} if values else {True}
    if plain == {True}:
        number = converted(lifted(array.value.builder, values[0][0] if values else 0), array.dtype)
        border = broadcast(number, shape)
        placed = shapes.update_slice(
            border,
            array.value,
            starts=tuple(before for before, _ in widths),
            steps=(1,) * array.ndim,
            mode="set",
        )
        return Array(placed)
    for axis, ((before, after), pair) in enumerate(zip(widths, values, strict=True)):
        sides = [
            Array(broadcast(converted(lifted(array.value.builder, v), array.dtype), _with(array, axis, width)))
            for v, width in zip(pair, (before, after), strict=True)
        ]
        array = np.concatenate([sides[0], array, sides[1]], axis=axis)
    return array


def _with(array: Any, axis: int, size: int) -> tuple[Any, ...]:
    return tuple(size if k == axis else d for k, d in enumerate(array.shape))


def _repeated(array: Any, axis: int, width: tuple[int, int], mode: str, reflect_type: Any) -> Any:
    """Elements of the array again: its ends, its other end, or its mirror image."""
    if reflect_type not in ("even", "odd"):
        raise TraceError(f"np.pad: reflect_type={reflect_type!r} is neither 'even' nor 'odd'")
    size, (before, after) = int(array.shape[axis]), width
    if reflect_type == "odd" and mode in ("reflect", "symmetric"):
        return _odd(array, axis, width, mode)
    at = np.arange(-before, size + after)
    if mode == "edge" or (mode == "reflect" and size == 1):
        at = np.clip(at, 0, size - 1)
    elif mode == "wrap":
        at = at % size
    else:
        period = 2 * size - 2 if mode == "reflect" else 2 * size
        at = at % period
        at = np.where(at < size, at, (period if mode == "reflect" else period - 1) - at)
    return np.take(array, at, axis=axis)


def _odd(array: Any, axis: int, width: tuple[int, int], mode: str) -> Any:
    """The mirror image turned about the end, as often as it is needed."""
    before, after = width
    while before or after:
        size = int(array.shape[axis])
        most = max(size - 1, 1) if mode == "reflect" and size > 1 else size
        skip = 1 if mode == "reflect" and size > 1 else 0
        first, last = min(before, most), min(after, most)
        low, high = (np.take(array, [k], axis=axis) for k in (0, size - 1))
        left = 2 * low - np.take(array, np.arange(skip + first - 1, skip - 1, -1), axis=axis) if first else None
        right = (
            2 * high - np.take(array, np.arange(size - 1 - skip, size - 1 - skip - last, -1), axis=axis)
            if last
            else None
        )
        array = np.concatenate([x for x in (left, array, right) if x is not None], axis=axis)
        before, after = before - first, after - last
    return array


def _continued(
    array: Any, axis: int, width: tuple[int, int], mode: str, lengths: tuple[Any, Any], ends: tuple[Any, Any]
) -> Any:
    """A ramp to a number, or what an extremum, mean or median of the elements at that end gives."""
    size = int(array.shape[axis])
    sides: list[Any] = []
    for place, (count, length, end) in enumerate(zip(width, lengths, ends, strict=True)):
        if not count:
            sides.append(None)
        elif mode == "linear_ramp":
            sides.append(_ramp(array, axis, count, end, place == 1))
        else:
            near = min(size if length is None else operator.index(length), size)
            part = np.take(array, np.arange(near) if place == 0 else np.arange(size - near, size), axis=axis)
            found = _STATISTICS[mode](part, axis=axis, keepdims=True)
            if array.dtype.kind in "iu" and mode in ("mean", "median"):
                found = np.rint(found)
            sides.append(np.broadcast_to(found.astype(array.dtype), _with(array, axis, count)))
    return np.concatenate([x for x in (sides[0], array, sides[1]) if x is not None], axis=axis)


_STATISTICS: Final[dict[str, Any]] = {
    "maximum": np.max, "minimum": np.min, "mean": np.mean, "median": np.median,
}  # fmt: skip


def _ramp(array: Any, axis: int, count: int, end: Any, behind: bool) -> Any:
    """Equal steps from ``end``, which stands outermost, to the edge of the array."""
    edge = np.take(array, [int(array.shape[axis]) - 1 if behind else 0], axis=axis)
    along = tuple(count if k == axis else 1 for k in range(array.ndim))
    steps = np.arange(count, dtype=np.float64).reshape(along)
    kind = np.result_type(array.dtype, np.float64)
    start = Array(lifted(array.value.builder, end)).astype(kind)
    ramp = start + steps * ((edge.astype(kind) - start) / float(count))
    ramp = np.floor(ramp).astype(array.dtype) if array.dtype.kind in "iu" else ramp.astype(array.dtype)
    return np.flip(ramp, axis) if behind else ramp
