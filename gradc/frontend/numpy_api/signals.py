"""Filters and trends of ``scipy.signal``, over Values."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import one_axis, require_size
from gradc.frontend.numpy_api.choices import known
from gradc.frontend.numpy_api.notation import composed

_MOST_STEPS: Final = 4096


def _coefficients(name: str, x: Any, kind: Any) -> list[Any]:
    flat = np.atleast_1d(x)
    if flat.ndim != 1:
        raise ShapeError(f"scipy.signal.lfilter: {name}= is {x.value.aval} and must have one axis")
    return [flat[k].astype(kind) for k in range(require_size("scipy.signal.lfilter", flat.shape[0], "it is a filter"))]


@composed("scipy.signal:lfilter", arrays=("b", "a", "x", "zi"))
def lfilter(b: Any, a: Any, x: Any, axis: Any = -1, zi: Any = None) -> Any:
    """``a[0] y[n] = b[0] x[n] + b[1] x[n-1] + ... - a[1] y[n-1] - ...`` along an axis; with ``zi`` the delays as well.

    With the delays of the transposed direct form II, as SciPy. Without feedback it is a sum of shifted arrays.
    """
    place = one_axis("scipy.signal.lfilter", axis, x.ndim, str(x.value.aval))
    kind = np.result_type(b.dtype, a.dtype, x.dtype, np.float32)
    forward, back = _coefficients("b", b, kind), _coefficients("a", a, kind)
    first, count = back[0], max(len(forward), len(back))
    forward, back = [c / first for c in forward], [c / first for c in back[1:]]
    rows = np.moveaxis(x.astype(kind), place, 0)
    if not back and zi is None:
        return np.moveaxis(_shifted_sum(forward, rows), 0, place)
    steps = require_size("scipy.signal.lfilter", rows.shape[0], "it is gone through step by step")
    if steps > _MOST_STEPS:
        raise TraceError(
            f"scipy.signal.lfilter: {steps} steps are more than the {_MOST_STEPS} that are written out; filter blocks, "
            "each with the zi= that the one before returned"
        )
    zero: Any = np.zeros((), kind)
    forward += [zero] * (count - len(forward))
    back += [zero] * (count - 1 - len(back))
    delays = _delays(zi, rows, count - 1, place, kind)
    out = []
    for n in range(steps):
        y = forward[0] * rows[n] + delays[0] if delays else forward[0] * rows[n]
        following = [*delays[1:], zero]
        delays = [forward[k + 1] * rows[n] + following[k] - back[k] * y for k in range(count - 1)]
        out.append(y)
    found = np.moveaxis(np.stack(out), 0, place) if out else x.astype(kind)
    if zi is None:
        return found
    return found, np.moveaxis(np.stack(delays), 0, place) if delays else zi


def _shifted_sum(forward: list[Any], rows: Any) -> Any:
    total = forward[0] * rows
    length = require_size("scipy.signal.lfilter", rows.shape[0], "it is shifted")
    for k, coefficient in enumerate(forward[1:], 1):
        if k < length:
            before = [(k, 0), *[(0, 0)] * (rows.ndim - 1)]
            total = total + coefficient * np.pad(rows[: length - k], before)
    return total


def _delays(zi: Any, rows: Any, count: int, place: int, kind: Any) -> list[Any]:
    """What stands in the delays at first, as arrays of the shape of a row."""
    shape = rows.shape[1:]
    if zi is None:
        return [np.zeros(shape, kind)] * count
    moved = np.moveaxis(zi, place, 0) if zi.ndim == rows.ndim else zi
    if moved.ndim != rows.ndim or moved.shape[0] != count:
        raise ShapeError(f"scipy.signal.lfilter: zi= is {zi.value.aval} and needs {count} delays for each row")
    return [np.broadcast_to(moved[k].astype(kind), shape) for k in range(count)]


# Trends.


@composed("scipy.signal:detrend", arrays=("data",))
def detrend(data: Any, axis: Any = -1, type: Any = "linear", bp: Any = 0, overwrite_data: Any = False) -> Any:
    """Without the line of least squares of each piece between the places ``bp``, or without the mean.

    ``overwrite_data`` changes no result.
    """
    name = "scipy.signal.detrend"
    x = data if data.dtype.char in "fdFD" else data.astype(np.float64)
    if type in ("constant", "c"):
        return x - np.mean(x, axis=axis, keepdims=True)
    if type not in ("linear", "l"):
        raise TraceError(f"{name}: type={type!r} is neither 'linear' nor 'constant'")
    place = one_axis(name, axis, x.ndim, str(x.value.aval))
    rows = np.moveaxis(x, place, 0)
    length = require_size(name, rows.shape[0], "a line is laid through it")
    ends = sorted({0, length, *np.atleast_1d(known(name, "bp=", bp)).tolist()})
    if ends[0] < 0 or ends[-1] > length:
        raise ShapeError(f"{name}: the places bp={bp!r} are not all within the {length} elements along the axis")
    pieces = [_without_line(rows[first:last]) for first, last in pairwise(ends)]
    return np.moveaxis(np.concatenate(pieces), 0, place) if pieces else x


def _without_line(rows: Any) -> Any:
    """What is left of rows without a line along the first axis, by the formulas of a slope about the mean."""
    count = int(rows.shape[0])
    steps = (np.arange(count) - (count - 1) / 2).reshape(-1, *(1,) * (rows.ndim - 1))
    steps = steps.astype(np.finfo(rows.dtype).dtype)
    apart = rows - np.mean(rows, axis=0, keepdims=True)
    if count == 1:
        return apart
    return apart - steps * (np.sum(steps * apart, axis=0, keepdims=True) / float(np.sum(steps * steps)))
