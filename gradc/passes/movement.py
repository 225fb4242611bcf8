"""Canonical forms of what moves elements: part 5 to 7 of ``canonicalize.py``, under its licence and measure.

Chains of movements of one kind become one movement, movements that change nothing go, and arithmetic on repeated
elements is done before they are repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.ir.aval import Dim, SymbolicDim
from gradc.ir.graph import Builder, Node, Value
from gradc.ir.op import REGISTRY, Op
from gradc.ops.elementwise import convert
from gradc.ops.reduce import reduce_sum, reduced_shape
from gradc.ops.shape import broadcast, broadcast_to, concatenate, reshape, reshaped, slice_, transpose, update_slice
from gradc.passes.pattern import ANY, holds
from gradc.passes.rewrite import REAL, Law, only_for, procedure

Params = dict[str, Any]
Ids = tuple[int, ...]


def _operand(builder: Builder, ids: Ids) -> tuple[Value, Value | None]:
    """The operand and, where it is a movement, what it moves."""
    x = Value(builder, ids[0])
    inner = x.node.operands
    return x, Value(builder, inner[0]) if inner else None


@procedure("same-shape", "x moved to where it is -> x", "broadcast_to reshape")
def _same_shape(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    x = Value(builder, ids[0])
    return x if x.aval.shape == params["shape"] else None


@procedure("broadcast-twice", "broadcast(broadcast(x)) -> broadcast(x)", "broadcast_to", "broadcast_to constant")
def _broadcast_twice(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    x, inner = _operand(builder, ids)
    return broadcast_to(inner, **params) if inner is not None and x.node.op is broadcast_to else None


@procedure("reshape-twice", "reshape(reshape(x)) -> reshape(x)", "reshape", "reshape")
def _reshape_twice(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    inner = Value(builder, builder.nodes[ids[0]].operands[0])
    return reshaped(inner, params["shape"])


@procedure("leading-ones", "broadcast(reshape(x, (1, ..., *x.shape))) -> broadcast(x)", "broadcast_to", "reshape")
def _leading_ones(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    x, inner = _operand(builder, ids)
    assert inner is not None
    lead = x.aval.ndim - inner.aval.ndim
    if lead < 0 or x.aval.shape != (1,) * lead + inner.aval.shape:
        return None
    return broadcast_to(inner, **params)


@procedure(
    "moved-scalar",
    "a movement of broadcast(number) -> broadcast(number)",
    "reshape transpose slice",
    "broadcast_to constant",
)
def _moved_scalar(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    x, inner = _operand(builder, ids)
    if x.node.op is not broadcast_to or inner is None or inner.aval.shape != ():
        return None
    shape = op.infer(x.aval, **params).shape
    return broadcast_to(inner, shape=shape) if shape else inner


@procedure("transpose-identity", "transpose(x, (0, 1, ...)) -> x", "transpose")
def _transpose_identity(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    axes = params["axes"]
    return Value(builder, ids[0]) if axes == tuple(range(len(axes))) else None


@procedure("transpose-twice", "transpose(transpose(x)) -> transpose(x)", "transpose", "transpose")
def _transpose_twice(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    node = builder.nodes[ids[0]]
    inner = node.params["axes"]
    return transpose(Value(builder, node.operands[0]), axes=tuple(inner[a] for a in params["axes"]))


@procedure("whole-slice", "x[:] -> x", "slice")
def _whole_slice(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    x = Value(builder, ids[0])
    whole = params["sizes"] == x.aval.shape and all(step == 1 for step in params["steps"])
    return x if whole and all(start == 0 for start in params["starts"]) else None


@procedure("slice-twice", "x[a:b][c:d] -> x[e:f]", "slice", "slice")
def _slice_twice(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    node = builder.nodes[ids[0]]
    inner = node.params
    starts: list[Dim] = [
        start + step * offset
        for start, step, offset in zip(inner["starts"], inner["steps"], params["starts"], strict=True)
    ]
    steps = tuple(s * t for s, t in zip(inner["steps"], params["steps"], strict=True))
    return slice_(Value(builder, node.operands[0]), starts=tuple(starts), sizes=params["sizes"], steps=steps)


@procedure("slices-side-by-side", "concatenate(x[a:b], x[b:c]) -> x[a:c]", "concatenate")
def _slices_side_by_side(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    axis = params["axis"]

    def part(node: Node) -> tuple[int, Params] | None:
        return (node.operands[0], node.params) if node.op is slice_ and node.params["steps"][axis] == 1 else None

    values = _joined(builder, ids, part, axis)
    if values is None:
        return None
    made = [x if own is None else slice_(x, **own) for x, own in values]
    return made[0] if len(made) == 1 else concatenate(*made, axis=axis)


@procedure("rows-side-by-side", "concatenate(reshape(x[a:b]), reshape(x[b:c])) -> reshape(x[a:c])", "concatenate")
def _rows_side_by_side(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    """Elements of rows that follow on each other do so too, in whatever shape they are joined along the first axis."""
    if params["axis"] != 0:
        return None

    def part(node: Node) -> tuple[int, Params] | None:
        inner = builder.nodes[node.operands[0]] if node.op is reshape else node
        rows = inner is not node and inner.op is slice_ and inner.aval.ndim and inner.params["steps"][0] == 1
        return (inner.operands[0], inner.params) if rows else None

    values = _joined(builder, ids, part, 0)
    if values is None:
        return None
    rest = builder.nodes[ids[0]].aval.shape[1:]
    count = math.prod(rest)
    if not isinstance(count, int) or not count:
        return None
    made = [x if own is None else reshaped(slice_(x, **own), (_size(x, own) // count, *rest)) for x, own in values]
    return made[0] if len(made) == 1 else concatenate(*made, axis=0)


def _size(x: Value, own: Params) -> Dim:
    return x.aval.with_shape(own["sizes"]).size


def _joined(
    builder: Builder, ids: Ids, part: Callable[[Node], tuple[int, Params] | None], axis: int
) -> list[tuple[Value, Params | None]] | None:
    """Operands that are parts of arrays, those that follow on each other as one; None where none does."""
    joined: list[tuple[int, Params | None]] = []
    for i in ids:
        source, own = part(builder.nodes[i]) or (i, None)
        before, last = joined[-1] if joined else (-1, None)
        if own is not None and last is not None and before == source and _follows(last, own, axis):
            sizes = list(last["sizes"])
            sizes[axis] = sizes[axis] + own["sizes"][axis]
            joined[-1] = (source, {**last, "sizes": tuple(sizes)})
        else:
            joined.append((source, own))
    return [(Value(builder, i), own) for i, own in joined] if len(joined) < len(ids) else None


def _follows(first: Params, second: Params, axis: int) -> bool:
    """Whether a slice begins where another of the same array ends, and is as that one in the other axes."""
    for a, (start, size) in enumerate(zip(first["starts"], first["sizes"], strict=True)):
        if second["starts"][a] != (start + size if a == axis else start):
            return False
        if a != axis and second["sizes"][a] != size:
            return False
    return bool(first["steps"] == second["steps"])


def _holds_all(wide: np.dtype, narrow: np.dtype) -> bool:
    """Whether every number of ``narrow`` is one of ``wide``, so that a conversion through it loses nothing."""
    if wide == narrow or narrow.kind == "b":
        return True
    if narrow.kind in "iu" and wide.kind in "fc":
        digits = np.finfo(wide).nmant + 1
        return np.iinfo(narrow).bits - (narrow.kind == "i") <= digits
    return bool(np.can_cast(narrow, wide, "safe"))


@procedure("convert-identity", "convert(x) to the dtype of x -> x", "convert")
def _convert_identity(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    x = Value(builder, ids[0])
    return x if x.aval.dtype == params["dtype"] else None


@procedure("convert-twice", "convert(convert(x)) -> convert(x) where the first loses nothing", "convert", "convert")
def _convert_twice(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    node = builder.nodes[ids[0]]
    inner = Value(builder, node.operands[0])
    source, through, target = inner.aval.dtype, node.aval.dtype, params["dtype"]
    if not _holds_all(through, source) or (
        through.kind in "fc" and target.kind in "iub" and source.kind != target.kind
    ):
        return None
    return convert(inner, dtype=target)


@procedure("negative-converted", "convert(-x) -> -convert(x) between floats", "convert", "neg")
def _negative_converted(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    inner = Value(builder, builder.nodes[ids[0]].operands[0])
    return -convert(inner, **params) if inner.aval.is_float and params["dtype"].kind in "fc" else None


@procedure("gather-all", "x[arange(len(x))] -> x", "gather", ANY, "constant")
def _gather_all(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    x = Value(builder, ids[0])
    index = builder.nodes[ids[1]].params.get("value")
    if len(ids) != 2 or index is None or index.ndim != 1 or x.aval.shape[params["axes"][0]] != index.size:
        return None
    return x if np.array_equal(index, np.arange(index.size)) else None


@procedure(
    "added-to-slice", "x with x[s] + v, or x[s] - v, written at s -> x with v, or -v, added at s",
    "update_slice", ANY, "add sub",
)  # fmt: skip
def _added_to_slice(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    written = builder.nodes[ids[1]]
    if params["mode"] != "set" or written.aval.dtype.kind == "b":
        return None
    for k in (0, 1) if written.op.name == "add" else (0,):
        part, value = builder.nodes[written.operands[k]], Value(builder, written.operands[1 - k])
        if part.op is not slice_ or part.operands[0] != ids[0] or written.aval != value.aval:
            continue
        if part.params["starts"] == params["starts"] and part.params["steps"] == params["steps"]:
            added = value if written.op.name == "add" else -value
            return builder.apply_ids(op, (ids[0], added.id), {**params, "mode": "add"})
    return None


@procedure(
    "added-to-zeros", "(zeros with a at s) + (zeros with b at t) -> (zeros with a at s) with b added at t",
    "add sub", "update_slice", "update_slice",
)  # fmt: skip
def _added_to_zeros(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    left, right = (builder.nodes[k] for k in ids)
    base = left
    while base.op is update_slice:
        base = builder.nodes[base.operands[0]]
    zeros = builder.value(right.operands[0])
    if left.aval.dtype.kind == "b" or any(builder.scalar(x) != 0 for x in (builder.value(base.id), zeros)):
        return None
    value = builder.value(right.operands[1])
    added = value if op.name == "add" else -value
    return builder.apply_ids(update_slice, (left.id, added.id), {**right.params, "mode": "add"})


MOVEMENT: Final = (
    *_same_shape, *_broadcast_twice, *_reshape_twice, *_leading_ones, *_moved_scalar, *_transpose_identity,
    *_transpose_twice, *_whole_slice, *_slice_twice, *_slices_side_by_side,
    *_rows_side_by_side, *only_for(REAL, _added_to_slice, _added_to_zeros), *_gather_all,
    *_convert_identity, *_convert_twice, *_negative_converted,
)  # fmt: skip

# Arithmetic before broadcasts.

_REPEATS = "broadcast_to constant"
_ELEMENTWISE = " ".join(op.name for op in REGISTRY.values() if op.elementwise)


@procedure("broadcast-last", "f(broadcast(a), broadcast(b)) -> broadcast(f(a, b))", _ELEMENTWISE, *[_REPEATS] * 3)
def _broadcast_last(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    """The elementwise op on what was repeated alike; scalars join in at any shape."""
    sources = []
    for node_id in ids:
        node = builder.nodes[node_id]
        if node.op is not broadcast_to:
            return None
        sources.append(Value(builder, node.operands[0]))
    shape = max((s.aval.shape for s in sources), key=len)
    if any(s.aval.shape not in ((), shape) for s in sources):
        return None
    inner = [s if s.aval.shape == shape else broadcast_to(s, shape=shape) for s in sources]
    return broadcast_to(builder.apply(op, *inner, **params), shape=builder.nodes[ids[0]].aval.shape)


# Reductions.


@procedure("sum-of-negative", "sum(-x) -> -sum(x)", "reduce_sum", "neg")
def _sum_of_negative(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    return -op(Value(builder, builder.nodes[ids[0]].operands[0]), **params)


_REDUCTIONS = "reduce_sum reduce_prod reduce_max reduce_min reduce_any reduce_all"


@procedure("nothing-to-reduce", "a reduction over axes of length 1 -> reshape", _REDUCTIONS)
def _nothing_to_reduce(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    x = Value(builder, ids[0])
    axes = params["axes"]
    if any(x.aval.shape[a] != 1 for a in axes):
        return None
    return reshaped(x, reduced_shape(x.aval.shape, axes, params["keepdims"]))


@procedure("repeated-terms", "sum(broadcast(number)) -> n * number", "reduce_sum", _REPEATS)
def _repeated_terms(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    x, inner = _operand(builder, ids)
    if x.node.op is not broadcast_to or inner is None or inner.aval.shape != () or not params["axes"]:
        return None
    if x.aval.dtype.kind == "c":
        return None  # a complex product makes NaN of infinities, where a sum does not
    count = 1
    for axis in params["axes"]:
        length = x.aval.shape[axis]
        if isinstance(length, SymbolicDim) or length == 0:
            return None
        count *= length
    shape = reduced_shape(x.aval.shape, params["axes"], params["keepdims"])
    if x.aval.dtype.kind in "fc" and count > 2 ** np.finfo(x.aval.dtype).nmant:
        return None
    number = np.array(count).astype(inner.aval.dtype)  # integers wrap around, as their sum does
    product = inner * builder.constant(number)
    return broadcast_to(product, shape=shape) if shape else product


@procedure(
    "repeated-choices", "max(broadcast(number)) -> number", "reduce_max reduce_min reduce_any reduce_all", _REPEATS
)
def _repeated_choices(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    x, inner = _operand(builder, ids)
    if x.node.op is not broadcast_to or inner is None or inner.aval.shape != ():
        return None
    if any(isinstance(x.aval.shape[a], SymbolicDim) or x.aval.shape[a] == 0 for a in params["axes"]):
        return None
    shape = reduced_shape(x.aval.shape, params["axes"], params["keepdims"])
    return broadcast_to(inner, shape=shape) if shape else inner


@procedure("product-with-ones", "ones @ x -> broadcast(sum(x))", "contract", ANY, ANY)
def _product_with_ones(builder: Builder, op: Op, ids: Ids, params: Params) -> Value | None:
    """Letters that only the ones have are repeated in the result; each letter that is summed stands in both."""
    for k, letters in ((1, params["rhs"]), (0, params["lhs"])):
        if not holds(builder, ids[1 - k], 1):
            continue
        x, out = Value(builder, ids[k]), params["out"]
        summed = tuple(a for a, letter in enumerate(letters) if letter not in out)
        kept = [letter for letter in letters if letter in out]
        total = reduce_sum(x, axes=summed, keepdims=False) if summed else x
        order = tuple(kept.index(letter) for letter in out if letter in kept)
        sizes = dict(zip(letters, x.aval.shape, strict=True))
        shape = op.infer(*[builder.nodes[i].aval for i in ids], **params).shape
        ones = tuple(sizes[letter] if letter in kept else 1 for letter in out)
        return broadcast(reshaped(transpose(total, axes=order), ones), shape)
    return None


REDUCTIONS: Final = (
    *_nothing_to_reduce, *only_for(REAL, _sum_of_negative), *_repeated_terms, *_repeated_choices, *_product_with_ones,
)  # fmt: skip

MOVEMENTS: Final[tuple[Law, ...]] = (*MOVEMENT, *_broadcast_last, *REDUCTIONS)
