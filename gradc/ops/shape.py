"""Ops that move elements without computing: broadcast, reshape, transpose, slices and their writes, concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradc.errors import DtypeError, ShapeError
from gradc.ir.aval import Aval, Dim, SymbolicDim, broadcast_shapes, shape_text, size_of
from gradc.ir.graph import Value
from gradc.ir.op import BatchContext, Op, VjpContext, register
from gradc.ops.reduce import total

Shape = tuple[Dim, ...]


# broadcast_to


def _infer_broadcast(x: Aval, *, shape: Shape) -> Aval:
    if len(shape) < x.ndim or broadcast_shapes(x.shape, shape) != shape:
        raise ShapeError(f"broadcast_to: {x} does not broadcast to {shape_text(shape)}")
    return Aval(shape, x.dtype, x.weak)


def broadcast_axes(source: Shape, target: Shape) -> tuple[int, ...]:
    """The axes of ``target`` along which an array of shape ``source`` was repeated."""
    lead = len(target) - len(source)
    return tuple(range(lead)) + tuple(
        axis for axis in range(lead, len(target)) if source[axis - lead] == 1 and target[axis] != 1
    )


def _broadcast_vjp(context: VjpContext) -> Sequence[Any]:
    source = context.operands[0].aval.shape
    ct = context.ct
    axes = broadcast_axes(source, ct.aval.shape)
    return [reshaped(total(ct, axes=axes, keepdims=False), source) if axes else ct]


def reshaped(x: Value, shape: Shape) -> Value:
    """``x`` in another shape; ``x`` itself where it has it already."""
    return x if x.aval.shape == shape else reshape(x, shape=shape)


def broadcast(x: Value, shape: Shape) -> Value:
    """``x`` broadcast to ``shape``; ``x`` itself where it has it already."""
    return x if x.aval.shape == shape else broadcast_to(x, shape=shape)


def _broadcast_source(index: tuple[Any, ...], x: Aval, *, shape: Shape) -> tuple[Any, ...]:
    return tuple(0 if d == 1 else i for i, d in zip(index[len(shape) - x.ndim :], x.shape, strict=True))


def spread_over_batch(c: BatchContext) -> list[Value]:
    """The operands of a batched op, those without batch axes repeated along them."""
    return [
        x if batched else broadcast(x, (*c.lead, *aval.shape))
        for x, batched, aval in zip(c.operands, c.batched, c.avals, strict=True)
    ]


def _batch_broadcast(c: BatchContext) -> Value:
    shape, (x,) = c.params["shape"], c.avals
    ones = (1,) * (len(shape) - x.ndim)
    return broadcast(reshaped(c.operands[0], (*c.lead, *ones, *x.shape)), (*c.lead, *shape))


broadcast_to: Op = register(
    Op(
        "broadcast_to",
        _infer_broadcast,
        lambda x, shape: np.broadcast_to(x, shape),
        lambda params, result, x: f"np.broadcast_to({{0}}, {shape_text(params['shape'])})",
        loops=_broadcast_source,
        vjp=_broadcast_vjp,
        linear=True,
        batch=_batch_broadcast,
    )
)


# reshape


def _infer_reshape(x: Aval, *, shape: Shape) -> Aval:
    if x.size != size_of(shape):
        raise ShapeError(f"reshape: {x} has {x.size} elements and {shape_text(shape)} has {size_of(shape)}")
    return Aval(shape, x.dtype, x.weak)


def _reshape_source(index: tuple[Any, ...], x: Aval, *, shape: Shape) -> tuple[Any, ...]:
    """The element's place counted row by row, taken apart again for the shape of ``x``."""
    flat: Any = 0
    for i, d in zip(index, shape, strict=True):
        flat = flat * d + i
    source: list[Any] = []
    for d in reversed(x.shape):
        source.append(flat % d)
        flat = flat // d
    return tuple(reversed(source))


reshape: Op = register(
    Op(
        "reshape",
        _infer_reshape,
        lambda x, shape: np.reshape(x, shape),
        lambda params, result, x: f"{{0}}.reshape({shape_text(params['shape'])})",
        loops=_reshape_source,
        vjp=lambda c: [reshaped(c.ct, c.operands[0].aval.shape)],
        linear=True,
        batch=lambda c: reshaped(c.operands[0], (*c.lead, *c.params["shape"])),
    )
)


# transpose


def _infer_transpose(x: Aval, *, axes: tuple[int, ...]) -> Aval:
    if sorted(axes) != list(range(x.ndim)):
        raise ShapeError(f"transpose: axes {axes} are not a permutation of the axes of {x}")
    return x.with_shape(tuple(x.shape[a] for a in axes))


def inverse_permutation(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes ``axes``."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


def behind(count: int, axes: Sequence[int]) -> tuple[int, ...]:
    """A permutation of axes that stand behind ``count`` others, which stay."""
    return (*range(count), *(a + count for a in axes))


def _numpy_transpose(params: dict[str, Any], result: Aval, x: Aval) -> str:
    axes = params["axes"]
    return "{0}.T" if axes == tuple(reversed(range(len(axes)))) else f"{{0}}.transpose({axes})"


transpose: Op = register(
    Op(
        "transpose",
        _infer_transpose,
        lambda x, axes: np.transpose(x, axes),
        _numpy_transpose,
        loops=lambda index, x, axes: tuple(index[k] for k in inverse_permutation(axes)),
        vjp=lambda c: [transpose(c.ct, axes=inverse_permutation(c.params["axes"]))],
        linear=True,
        batch=lambda c: transpose(c.operands[0], axes=behind(len(c.lead), c.params["axes"])),
        latex=r"{0}^{{\mathsf T}}",
    )
)


# slice and update_slice. Element k of an axis is start + k * step; steps may be negative.


def _check_slice(name: str, x: Aval, starts: Shape, sizes: Shape, steps: tuple[int, ...]) -> None:
    if not len(starts) == len(sizes) == len(steps) == x.ndim:
        raise ShapeError(f"{name}: {x} needs one start, size and step for each axis")
    for axis, (start, size, step, length) in enumerate(zip(starts, sizes, steps, x.shape, strict=True)):
        if step == 0:
            raise ShapeError(f"{name}: the step of axis {axis} is 0")
        if isinstance(start, SymbolicDim) or isinstance(size, SymbolicDim) or isinstance(length, SymbolicDim):
            continue
        last = start + (size - 1) * step
        if size < 0 or (size > 0 and not (0 <= start < length and 0 <= last < length)):
            raise ShapeError(f"{name}: {size} elements from {start} by {step} leave axis {axis} of {x}")


def _infer_slice(x: Aval, *, starts: Shape, sizes: Shape, steps: tuple[int, ...]) -> Aval:
    _check_slice("slice", x, starts, sizes, steps)
    return x.with_shape(sizes)


def slice_objects(starts: Sequence[Any], sizes: Sequence[Any], steps: Sequence[int]) -> tuple[slice, ...]:
    """Python's slices for given starts, sizes and steps."""
    made = []
    for start, size, step in zip(starts, sizes, steps, strict=True):
        stop = start + size * step
        made.append(slice(start, stop if stop >= 0 else None, step) if size else slice(0, 0))
    return tuple(made)


def _slice_vjp(context: VjpContext) -> Sequence[Any]:
    x, ct = context.operands[0].aval, context.ct
    empty = ct.builder.full(0, x.with_dtype(ct.aval.dtype))
    return [update_slice(empty, ct, starts=context.params["starts"], steps=context.params["steps"], mode="set")]


def _evaluate_slice(x: Any, *, starts: Any, sizes: Any, steps: Any) -> Any:
    return x[slice_objects(starts, sizes, steps)]


def slice_text(starts: Shape, sizes: Shape, steps: tuple[int, ...], shape: Shape) -> str:
    """A subscript that reads as a person would write it: ``1:, :3, ::-1``."""
    parts = []
    for start, size, step, length in zip(starts, sizes, steps, shape, strict=True):
        stop: Any = start + size * step
        if size == 0:
            parts.append("0:0")
            continue
        head = "" if start == (0 if step > 0 else length - 1) else str(start)
        if step > 0:
            tail = (
                ""
                if stop == length or (isinstance(stop, int) and isinstance(length, int) and stop >= length)
                else str(stop)
            )
        else:
            tail = "" if isinstance(stop, int) and stop < 0 else str(stop)
        parts.append(f"{head}:{tail}" + (f":{step}" if step != 1 else ""))
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts)


def _batch_slice(c: BatchContext) -> Value:
    starts, sizes, steps = (c.params[k] for k in ("starts", "sizes", "steps"))
    count = len(c.lead)
    return slice_(c.operands[0], starts=(0,) * count + starts, sizes=(*c.lead, *sizes), steps=(1,) * count + steps)


slice_: Op = register(
    Op(
        "slice",
        _infer_slice,
        _evaluate_slice,
        lambda params, result, x: f"{{0}}[{slice_text(params['starts'], params['sizes'], params['steps'], x.shape)}]",
        loops=lambda index, x, starts, sizes, steps: tuple(
            start + i * step for start, i, step in zip(starts, index, steps, strict=True)
        ),
        vjp=_slice_vjp,
        linear=True,
        batch=_batch_slice,
    )
)


def _infer_update(base: Aval, value: Aval, *, starts: Shape, steps: tuple[int, ...], mode: str) -> Aval:
    _check_slice("update_slice", base, starts, value.shape, steps)
    if base.dtype != value.dtype:
        raise DtypeError(f"update_slice: {value} cannot be written into {base} without a conversion")
    return base.with_shape(base.shape)


def _evaluate_update(base: Any, value: Any, *, starts: Any, steps: Any, mode: str) -> Any:
    result = np.array(base)
    region = slice_objects(starts, np.shape(value), steps)
    if mode == "add":
        result[region] += value
    else:
        result[region] = value
    return result


def _update_vjp(context: VjpContext) -> Sequence[Any]:
    starts, steps, mode = (context.params[k] for k in ("starts", "steps", "mode"))
    value, ct = context.operands[1].aval, context.ct
    by_base: Value | None = ct
    if mode == "set":
        hole = ct.builder.full(0, value.with_dtype(ct.aval.dtype))
        by_base = update_slice(ct, hole, starts=starts, steps=steps, mode="set") if context.active[0] else None
    by_value = slice_(ct, starts=starts, sizes=value.shape, steps=steps) if context.active[1] else None
    return [by_base, by_value]


def _batch_update(c: BatchContext) -> Value:
    base, value = spread_over_batch(c)
    count = len(c.lead)
    starts, steps = (0,) * count + c.params["starts"], (1,) * count + c.params["steps"]
    return update_slice(base, value, starts=starts, steps=steps, mode=c.params["mode"])


update_slice: Op = register(
    Op("update_slice", _infer_update, _evaluate_update, vjp=_update_vjp, linear=True, batch=_batch_update,
       flops=lambda result, base, value, **p: value.size if p["mode"] == "add" else 0)
)  # fmt: skip


# concatenate


def _infer_concatenate(*avals: Aval, axis: int) -> Aval:
    first = avals[0]
    if not 0 <= axis < first.ndim:
        raise ShapeError(f"concatenate: {first} has no axis {axis}")
    total_size: Dim = 0
    for a in avals:
        if a.shape[:axis] + a.shape[axis + 1 :] != first.shape[:axis] + first.shape[axis + 1 :] or a.ndim != first.ndim:
            raise ShapeError(f"concatenate: {first} and {a} differ outside axis {axis}")
        if a.dtype != first.dtype:
            raise DtypeError(f"concatenate: {first} and {a} differ in dtype")
        total_size = total_size + a.shape[axis]
    return first.with_shape((*first.shape[:axis], total_size, *first.shape[axis + 1 :]))


def _concatenate_vjp(context: VjpContext) -> Sequence[Any]:
    axis, ct = context.params["axis"], context.ct
    cts: list[Value | None] = []
    offset: Dim = 0
    for operand, wanted in zip(context.operands, context.active, strict=True):
        shape = operand.aval.shape
        starts = tuple(offset if a == axis else 0 for a in range(len(shape)))
        cts.append(slice_(ct, starts=starts, sizes=shape, steps=(1,) * len(shape)) if wanted else None)
        offset = offset + shape[axis]
    return cts


def _numpy_concatenate(params: dict[str, Any], result: Aval, *avals: Aval) -> str:
    listed = ", ".join(f"{{{k}}}" for k in range(len(avals)))
    return f"np.concatenate([{listed}], axis={params['axis']})"


concatenate: Op = register(
    Op(
        "concatenate",
        _infer_concatenate,
        lambda *xs, axis: np.concatenate(xs, axis),
        _numpy_concatenate,
        vjp=_concatenate_vjp,
        linear=True,
        batch=lambda c: concatenate(*spread_over_batch(c), axis=c.params["axis"] + len(c.lead)),
    )
)


# dim_value


def _infer_dim_value(*, dim: Dim, dtype: np.dtype, weak: bool = False) -> Aval:
    """``weak`` where the size stands for the Python int that it is in the user's code."""
    return Aval((), dtype, weak)


def _evaluate_dim_value(*, dim: Dim, dtype: np.dtype, weak: bool = False) -> Any:
    if isinstance(dim, SymbolicDim):
        raise ShapeError(f"dim_value: the size {dim} has no number yet")
    return np.asarray(dim, dtype)


dim_value = register(Op("dim_value", _infer_dim_value, _evaluate_dim_value, lambda params, result: f"{params['dim']}"))


# iota


def _infer_iota(*, dim: Dim, dtype: np.dtype) -> Aval:
    return Aval((dim,), dtype)


def _evaluate_iota(*, dim: Dim, dtype: np.dtype) -> Any:
    if isinstance(dim, SymbolicDim):
        raise ShapeError(f"iota: the size {dim} has no number yet")
    return np.arange(dim, dtype=dtype)


def _numpy_iota(params: dict[str, Any], result: Aval) -> str:
    dtype = "" if params["dtype"] == np.int64 else f", dtype=np.{params['dtype'].name}"
    return f"np.arange({params['dim']}{dtype})"


iota = register(Op("iota", _infer_iota, _evaluate_iota, _numpy_iota, text="arange"))
