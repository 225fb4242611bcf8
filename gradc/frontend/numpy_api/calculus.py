"""Differences, slopes, integrals and interpolation of NumPy, over Values; and functions told in elementary ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import one_axis, require_size
from gradc.frontend.numpy_api.notation import composed
from gradc.frontend.numpy_api.ordering import searchsorted
from gradc.frontend.numpy_api.promote import marker, operand_dtype


def _cut(axis: int, part: slice | int) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, part)


# Differences.


@composed(np.ediff1d, arrays=("ary", "to_end", "to_begin"))
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences of neighbours of all elements, with numbers before and behind."""
    flat: Any = np.ravel(ary)
    for end in (to_end, to_begin):
        if end is not None and not np.can_cast(end.dtype, flat.dtype, "same_kind"):
            raise TraceError(f"np.ediff1d: {end.value.aval} does not go into {flat.value.aval}; convert it first")
    parts: list[Any] = [np.ravel(to_begin).astype(flat.dtype)] if to_begin is not None else []
    parts.append(np.diff(flat))
    parts += [np.ravel(to_end).astype(flat.dtype)] if to_end is not None else []
    return np.concatenate(parts)


@composed(np.gradient, arrays=("f", "varargs"))
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: Any = 1) -> Any:
    """Central differences inside and one-sided ones at the ends, of order ``edge_order``, along each axis.

    Spacings are numbers or the coordinates of an axis; unequal ones weigh the two sides.
    """
    listed = range(f.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = [one_axis("np.gradient", k, f.ndim, str(f.value.aval)) for k in listed]
    if edge_order not in (1, 2):
        raise TraceError(f"np.gradient: edge_order={edge_order!r} is neither 1 nor 2")
    if len(varargs) not in (0, 1, len(axes)) or (len(varargs) == 1 and varargs[0].ndim and len(axes) != 1):
        raise ShapeError(f"np.gradient: {len(varargs)} spacings for {len(axes)} axes")
    spacings: Any = varargs * len(axes) if len(varargs) == 1 else varargs or (None,) * len(axes)
    x = f if f.dtype.kind in "fc" else f.astype(np.float64)
    slopes = [_slope(x, place, space, edge_order).astype(x.dtype) for place, space in zip(axes, spacings, strict=True)]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _slope(f: Any, axis: int, spacing: Any, edge_order: int) -> Any:
    size = require_size("np.gradient", f.shape[axis], "neighbours are counted along it")
    if size < edge_order + 1:
        raise ShapeError(f"np.gradient: {f.value.aval} has fewer than {edge_order + 1} elements along axis {axis}")
    if spacing is not None and spacing.ndim > 1:
        raise ShapeError(f"np.gradient: the spacing {spacing.value.aval} must be a number or have one axis")
    steps: Any = spacing if spacing is not None else f.dtype.type(1)
    if spacing is not None and spacing.ndim == 1:
        if spacing.shape[0] != size:
            raise ShapeError(
                f"np.gradient: {spacing.value.aval} are not the coordinates of axis {axis} of {f.value.aval}"
            )
        return _uneven_slope(f, axis, np.diff(spacing if spacing.is_float else spacing.astype(np.float64)), edge_order)
    at = [f[_cut(axis, slice(k, k + 1))] for k in (0, 1, 2, -3, -2) if -size <= k < size]
    first, second, last, before = at[0], at[1], f[_cut(axis, slice(-1, None))], at[-1]
    inner = (f[_cut(axis, slice(2, None))] - f[_cut(axis, slice(None, -2))]) / (2.0 * steps)
    if edge_order == 1:
        ends = (second - first) / steps, (last - before) / steps
    else:
        third, earlier = at[2], at[-2]
        ends = (
            -1.5 / steps * first + 2.0 / steps * second + -0.5 / steps * third,
            0.5 / steps * earlier + -2.0 / steps * before + 1.5 / steps * last,
        )
    return np.concatenate([ends[0], inner, ends[1]], axis=axis)


def _uneven_slope(f: Any, axis: int, h: Any, edge_order: int) -> Any:
    """With the parabola through three neighbours."""

    def along(x: Any) -> Any:
        return x.reshape((*(1,) * axis, x.shape[0], *(1,) * (f.ndim - axis - 1)))

    def at(part: slice) -> Any:
        return f[_cut(axis, part)]

    a, b = along(h[:-1]), along(h[1:])
    inner = (
        -b / (a * (a + b)) * at(slice(None, -2))
        + (b - a) / (a * b) * at(slice(1, -1))
        + a / (b * (a + b)) * at(slice(2, None))
    )
    if edge_order == 1:
        ends = (at(slice(1, 2)) - at(slice(0, 1))) / h[0], (at(slice(-1, None)) - at(slice(-2, -1))) / h[-1]
    else:
        first, second, last, before = h[0], h[1], h[-1], h[-2]
        ends = (
            -(2.0 * first + second) / (first * (first + second)) * at(slice(0, 1))
            + (first + second) / (first * second) * at(slice(1, 2))
            - first / (second * (first + second)) * at(slice(2, 3)),
            last / (before * (before + last)) * at(slice(-3, -2))
            - (last + before) / (before * last) * at(slice(-2, -1))
            + (2.0 * last + before) / (last * (before + last)) * at(slice(-1, None)),
        )
    return np.concatenate([ends[0], inner, ends[1]], axis=axis)


@composed(np.unwrap, arrays=("p", "discont"))
def unwrap(p: Any, discont: Any = None, axis: Any = -1, *, period: Any = 2 * math.pi) -> Any:
    """Angles without the jumps of a period between neighbours."""
    place = one_axis("np.unwrap", axis, p.ndim, str(p.value.aval))
    x = p if p.is_float else p.astype(np.float64)
    jump = np.diff(x, axis=place)
    half = x.dtype.type(period / 2)
    wrapped = (jump + half) % x.dtype.type(period) - half
    wrapped = np.where((wrapped == -half) & (jump > 0), half, wrapped)
    correction = np.where(np.abs(jump) < (half if discont is None else discont), x.dtype.type(0), wrapped - jump)
    rest = x[_cut(place, slice(1, None))] + np.cumsum(correction, axis=place)
    return np.concatenate([x[_cut(place, slice(0, 1))], rest], axis=place)


# Integrals and interpolation.


@composed(np.trapezoid, arrays=("y", "x", "dx"))
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Any:
    """The integral of the lines between samples along an axis, at ``x`` or with spacing ``dx``."""
    place = one_axis("np.trapezoid", axis, y.ndim, str(y.value.aval))
    steps: Any = dx
    if x is not None:
        steps = np.diff(x) if x.ndim == 1 else np.diff(x, axis=place)
        if x.ndim == 1:
            steps = steps.reshape((*(1,) * place, steps.shape[0], *(1,) * (y.ndim - place - 1)))
    heights = y[_cut(place, slice(1, None))] + y[_cut(place, slice(None, -1))]
    return np.sum(steps * heights / 2.0, axis=place)


@composed(np.interp, arrays=("x", "xp", "fp", "left", "right"))
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """The lines between the points ``(xp, fp)``, ``xp`` ascending; beyond them ``left`` and ``right``."""
    if xp.ndim != 1 or xp.shape != fp.shape:
        raise ShapeError(f"np.interp: the points {xp.value.aval} and {fp.value.aval} must be vectors of one length")
    size = require_size("np.interp", xp.shape[0], "its intervals are counted")
    if size == 0:
        raise ShapeError("np.interp: there are no points")
    x, xp = x.astype(np.float64), xp.astype(np.float64)
    kind = np.result_type(np.float64, fp.dtype)
    fp = fp.astype(kind)
    if period is not None:
        width = abs(float(period))
        x, xp = x % width, xp % width
        order = np.argsort(xp)
        xp, fp = xp[order], fp[order]
        xp, fp = np.concatenate([xp[-1:] - width, xp, xp[:1] + width]), np.concatenate([fp[-1:], fp, fp[:1]])
        left = right = None
        size += 2
    below = fp[0] if left is None else left.astype(kind)
    above = fp[-1] if right is None else right.astype(kind)
    if size == 1:
        inside = np.broadcast_to(fp[0], x.shape)
    else:
        at = np.clip(searchsorted(xp, x, "right") - 1, 0, size - 2)
        start, value = xp[at], fp[at]
        run = xp[at + 1] - start
        slope = (fp[at + 1] - value) / np.where(run == 0, 1.0, run)
        inside = np.where((x == start) | (run == 0), value, slope * (x - start) + value)
    found = np.where(x < xp[0], below, np.where(x > xp[-1], above, np.where(x == xp[-1], fp[-1], inside)))
    return np.where(np.isnan(x), x, found)


# Functions told in elementary ones.


@composed(np.sinc, arrays=("x",))
def sinc(x: Any) -> Any:
    """``sin(pi x) / (pi x)``; near 0 its series, whose derivatives are right at 0 as well."""
    kind = x.dtype if x.dtype.kind in "fc" else np.dtype(np.float64)
    angle = x.astype(kind) * kind.type(math.pi)
    near = np.abs(angle) < 1.0
    square = np.where(near, angle * angle, kind.type(0))
    series: Any = kind.type((-1) ** 12 / math.factorial(25))
    for k in range(11, -1, -1):
        series = series * square + kind.type((-1) ** k / math.factorial(2 * k + 1))
    apart = np.where(near, kind.type(1), angle)
    return np.where(near, series, np.sin(apart) / apart)


@composed(np.logaddexp2, arrays=("x1", "x2"), keeps_weak=True)
def logaddexp2(x1: Any, x2: Any) -> Any:
    """``log2(2**x1 + 2**x2)``."""
    dtype = operand_dtype(np.logaddexp2, marker(x1.value), marker(x2.value))
    two = dtype.type(math.log(2))
    return np.logaddexp(x1.astype(dtype) * two, x2.astype(dtype) * two) / two
