"""Indexing by integer arrays: gather, and its write, scatter. Indices are data: bounds are checked when they run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradc.errors import DerivativeError, DtypeError, IndexBoundsError, ShapeError
from gradc.ir.aval import Aval, Dim, shape_text
from gradc.ir.graph import Value
from gradc.ir.op import BatchContext, Op, VjpContext, register
from gradc.ops.elementwise import equal, select
from gradc.ops.shape import broadcast, inverse_permutation, iota, reshaped, spread_over_batch, transpose


def gathered_shape(shape: tuple[Dim, ...], index: tuple[Dim, ...], axes: tuple[int, ...]) -> tuple[Dim, ...]:
    """NumPy's rule: the index axes stand where adjacent ``axes`` stood, else in front."""
    place = index_position(axes)
    rest = [d for a, d in enumerate(shape) if a not in axes]
    return (*rest[:place], *index, *rest[place:])


def index_position(axes: tuple[int, ...]) -> int:
    """The axis of the result at which the index axes begin."""
    adjacent = all(b == a + 1 for a, b in itertools.pairwise(axes))
    return axes[0] if adjacent else 0


def _check(name: str, x: Aval, indices: tuple[Aval, ...], axes: tuple[int, ...]) -> tuple[Dim, ...]:
    """The common shape of the indices. Raises ShapeError, DtypeError."""
    if not axes or list(axes) != sorted(set(axes)) or axes[-1] >= x.ndim or len(axes) != len(indices):
        raise ShapeError(f"{name}: axes {axes} do not fit {x} with {len(indices)} index arrays")
    for index in indices:
        if index.dtype.kind not in "iu":
            raise DtypeError(f"{name}: the index {index} is not of an integer dtype")
        if index.shape != indices[0].shape:
            raise ShapeError(f"{name}: index arrays {indices[0]} and {index} differ in shape")
    return indices[0].shape


def _infer_gather(x: Aval, *indices: Aval, axes: tuple[int, ...]) -> Aval:
    return x.with_shape(gathered_shape(x.shape, _check("gather", x, indices, axes), axes))


def _infer_scatter(base: Aval, value: Aval, *indices: Aval, axes: tuple[int, ...], mode: str) -> Aval:
    shape = gathered_shape(base.shape, _check("scatter", base, indices, axes), axes)
    if value.shape != shape:
        raise ShapeError(f"scatter: {value} does not have the shape {shape_text(shape)} of the place it is written to")
    if value.dtype != base.dtype:
        raise DtypeError(f"scatter: {value} cannot be written into {base} without a conversion")
    return base.with_shape(base.shape)


def _subscript(shape: tuple[int, ...], indices: Sequence[np.ndarray], axes: tuple[int, ...]) -> tuple[Any, ...]:
    for index, axis in zip(indices, axes, strict=True):
        index = np.asarray(index)
        outside = (index < -shape[axis]) | (index >= shape[axis])
        if outside.any():
            raise IndexBoundsError(
                f"index {index[outside].flat[0]} is out of bounds for axis {axis} with size {shape[axis]}"
            )
    by_axis = dict(zip(axes, indices, strict=True))
    return tuple(by_axis.get(a, slice(None)) for a in range(len(shape)))


def _evaluate_gather(x: np.ndarray, *indices: np.ndarray, axes: tuple[int, ...]) -> Any:
    return x[_subscript(x.shape, indices, axes)]


def _evaluate_scatter(base: Any, value: Any, *indices: Any, axes: tuple[int, ...], mode: str) -> Any:
    result = np.array(base)
    where = _subscript(result.shape, indices, axes)
    if mode == "add":
        np.add.at(result, where, value)
    else:
        result[where] = value
    return result


def subscript_text(axes: tuple[int, ...], first_operand: int, rank: int) -> str:
    """The subscript with placeholders of the index operands: ``:, {1}``."""
    parts = [":"] * rank
    for k, axis in enumerate(axes):
        parts[axis] = f"{{{first_operand + k}}}"
    return ", ".join(parts[: axes[-1] + 1])


def _gather_vjp(context: VjpContext) -> Sequence[Any]:
    x, *indices = context.operands
    empty = x.builder.full(0, x.aval.with_dtype(context.ct.aval.dtype))
    axes = context.params["axes"]
    return [scatter(empty, context.ct, *indices, axes=axes, mode="add")] + [None] * len(indices)


def _scatter_vjp(context: VjpContext) -> Sequence[Any]:
    base, value, *indices = context.operands
    axes, mode = context.params["axes"], context.params["mode"]
    ct = context.ct
    by_base = ct
    by_value = gather(ct, *indices, axes=axes)
    if mode == "set":
        hole = ct.builder.full(0, value.aval.with_dtype(ct.aval.dtype))
        by_base = scatter(ct, hole, *indices, axes=axes, mode="set")
        by_value = scatter_survivors(by_value, base.aval, indices, axes)
    return [by_base, by_value] + [None] * len(indices)


def scatter_survivors(ct: Value, base: Aval, indices: Sequence[Value], axes: tuple[int, ...]) -> Value:
    """``ct`` where the written element survived: of repeated indices only the last write is seen.

    Each write carries its number; what can be read back under its own number survived.
    """
    builder = ct.builder
    if ct.aval.is_symbolic:
        raise DerivativeError(
            f"scatter: the derivative of a write of {ct.aval} at indices that are data needs fixed sizes; "
            "accumulate with += instead, or compile with fixed sizes"
        )
    sizes = [int(d) for d in ct.aval.shape]
    numbers = builder.constant(np.arange(math.prod(sizes), dtype=np.int64).reshape(sizes))
    start = builder.full(-1, base.with_dtype(np.int64))
    written = scatter(start, numbers, *indices, axes=axes, mode="set")
    survived = equal(gather(written, *indices, axes=axes), numbers)
    return select(survived, ct, builder.full(0, ct.aval))


@dataclass(frozen=True)
class _BatchedPlaces:
    """Where a batch of gathers or scatters reads or writes, in an array that may have the batch axes in front.

    ``axes`` and ``indices`` are those of the one gather for all. ``order`` are the axes of its result in the order of
    the batch axes, then the axes of a single result.
    """

    axes: tuple[int, ...]
    indices: tuple[Value, ...]
    order: tuple[int, ...]


def _batched_places(c: BatchContext, first_index: int, *, in_array: bool) -> _BatchedPlaces:
    """``in_array`` says whether the array has the batch axes; the indices from operand ``first_index`` on may."""
    axes, lead = c.params["axes"], len(c.lead)
    ndim, index = c.avals[0].ndim, c.avals[first_index].ndim
    own = c.operands[first_index:]
    with_indices = any(c.batched[first_index:])
    if with_indices:
        own = tuple(spread_over_batch(c)[first_index:])
    shift = lead if in_array else 0
    moved = tuple(a + shift for a in axes)
    if in_array and with_indices:
        shape = (*c.lead, *c.avals[first_index].shape)
        counters = [_counter(own[0], shape, axis) for axis in range(lead)]
        own, moved = (*counters, *own), (*range(lead), *moved)
    single = _labels([("rest", a) for a in range(ndim)], axes, [("index", k) for k in range(index)])
    batch: list[tuple[str, int]] = [("batch", k) for k in range(lead)]
    array = [*(batch if in_array else []), *(("rest", a) for a in range(ndim))]
    places = [*(batch if with_indices else []), *(("index", k) for k in range(index))]
    found = _labels(array, moved, places)
    return _BatchedPlaces(moved, own, tuple(found.index(label) for label in [*batch, *single]))


def _labels(array: list[Any], axes: tuple[int, ...], places: list[Any]) -> list[Any]:
    """What the axes of a gather's result are, for an array and index arrays with labelled axes."""
    place = index_position(axes)
    rest = [label for a, label in enumerate(array) if a not in axes]
    return [*rest[:place], *places, *rest[place:]]


def _counter(like: Value, shape: tuple[Dim, ...], axis: int) -> Value:
    """The numbers from 0 on along one axis of a shape."""
    numbers = like.builder.apply(iota, dim=shape[axis], dtype=np.dtype(np.int64))
    return broadcast(reshaped(numbers, tuple(d if a == axis else 1 for a, d in enumerate(shape))), shape)


def _batch_gather(c: BatchContext) -> Value:
    places = _batched_places(c, 1, in_array=c.batched[0])
    found = gather(c.operands[0], *places.indices, axes=places.axes)
    return _ordered(found, places.order)


def _batch_scatter(c: BatchContext) -> Value:
    base, value = spread_over_batch(c)[:2]
    places = _batched_places(c, 2, in_array=True)
    written = _ordered(value, inverse_permutation(places.order))
    return scatter(base, written, *places.indices, axes=places.axes, mode=c.params["mode"])


def _ordered(x: Value, order: tuple[int, ...]) -> Value:
    return x if order == tuple(range(len(order))) else transpose(x, axes=order)


gather: Op = register(
    Op(
        "gather",
        _infer_gather,
        _evaluate_gather,
        lambda params, result, x, *indices: f"{{0}}[{subscript_text(params['axes'], 1, x.ndim)}]",
        vjp=_gather_vjp,
        linear=True,
        batch=_batch_gather,
    )
)
scatter: Op = register(
    Op(
        "scatter",
        _infer_scatter,
        _evaluate_scatter,
        vjp=_scatter_vjp,
        linear=True,
        batch=_batch_scatter,
        flops=lambda result, base, value, *indices, **params: value.size if params["mode"] == "add" else 0,
    )
)
