"""The discrete Fourier transform along one axis, forward and inverse, scaled as NumPy's ``norm`` says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from gradc.errors import DtypeError, ShapeError
from gradc.ir.aval import Aval, Dim, SymbolicDim
from gradc.ir.graph import Value
from gradc.ir.op import BatchContext, Context, JvpContext, Op, VjpContext, register
from gradc.ops.reduce import spread, total

NORMS: Final = ("backward", "ortho", "forward")
"""Which direction divides by the length: the inverse, both by its root, the forward one."""


def scale_of(length: int, inverse: bool, norm: str) -> float:
    """What a transform is multiplied by."""
    if norm == "ortho":
        return 1 / math.sqrt(length)
    return 1 / length if inverse == (norm == "backward") else 1.0


def _infer(x: Aval, *, axis: int, inverse: bool, norm: str) -> Aval:
    if not 0 <= axis < x.ndim:
        raise ShapeError(f"fft: {x} has no axis {axis}")
    if x.dtype.kind != "c":
        raise DtypeError(f"fft: {x} is not complex")
    if x.shape[axis] == 0:
        raise ShapeError(f"fft: {x} has no elements along axis {axis} to transform")
    return Aval(x.shape, x.dtype)


def _evaluate(x: Any, *, axis: int, inverse: bool, norm: str) -> Any:
    transform: Any = np.fft.ifft if inverse else np.fft.fft
    return transform(x, axis=axis, norm=norm).astype(x.dtype, copy=False)


def _numpy(params: dict[str, Any], result: Aval, x: Aval) -> str:
    axis = "" if params["axis"] == x.ndim - 1 else f", axis={params['axis']}"
    norm = "" if params["norm"] == "backward" else f', norm="{params["norm"]}"'
    return f"np.fft.{'ifft' if params['inverse'] else 'fft'}({{0}}{axis}{norm})"


def _vjp(context: VjpContext) -> Sequence[Any]:
    """The matrix of the transform is symmetric: its own transpose."""
    return [fft(context.ct, **context.params)]


def _jvp(context: JvpContext) -> Value | None:
    (tangent,) = context.tangents
    assert tangent is not None
    return fft(tangent, **context.params)


def _along_axis(mask: Value, context: Context) -> Value:
    """Every element is in every sum: where any along the axis is alive."""
    axes = (context.params["axis"],)
    return spread(total(mask, axes=axes, keepdims=True), mask.aval.shape, axes)


def _batch(c: BatchContext) -> Value:
    return fft(c.operands[0], **{**c.params, "axis": c.params["axis"] + len(c.lead)})


def _flops(result: Aval, x: Aval, **params: Any) -> Dim:
    """The 5 n log2(n) that transforms are counted with."""
    length = x.shape[params["axis"]]
    return x.size * 5 * (1 if isinstance(length, SymbolicDim) else max(int(length).bit_length() - 1, 1))


fft: Op = register(
    Op(
        "fft",
        _infer,
        _evaluate,
        _numpy,
        vjp=_vjp,
        jvp=_jvp,
        live=lambda mask, context: [_along_axis(mask, context)],
        reach=lambda mask, k, context: _along_axis(mask, context),
        batch=_batch,
        flops=_flops,
        latex=r"\mathcal{{F}} {0}",
    )
)
