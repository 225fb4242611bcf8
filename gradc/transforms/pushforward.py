"""The pushforward of a graph: forward mode, graph to graph.

A tangent is a pair (value, mask), as a cotangent in ``adjoint.py`` is: where the mask is False the value is an exact 0,
because it belongs to a branch that was not taken, and contributes an exact 0 to whatever is computed of it. A mask of
None means that every element is alive. A value without a tangent does not depend on what is moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from gradc.errors import DerivativeError
from gradc.ir.graph import INPUT, Builder, Graph, Node, Value
from gradc.ir.op import JvpContext, RealLinear, Taken
from gradc.ops.contraction import contract, doubly_masked_jvp, masked_contract, masked_contract_jvp
from gradc.ops.elementwise import convert, greater, logical_and, logical_not, logical_or, select
from gradc.ops.index import gather, scatter
from gradc.ops.regions import call
from gradc.ops.shape import concatenate, update_slice
from gradc.transforms.adjoint import adjoint, ends_masks, keeps_zeros, line_of, strong, through, times

TANGENT_PREFIX = "t_"
"""Before the name of a value in the name of its tangent: ``t_z1``."""


class Tangent(NamedTuple):
    """The tangent of a value; ``mask`` None means that every element is alive.

    A mask that is not ``strict`` ends at contractions (``gradc.ir.op.Taken``).
    """

    value: Value
    mask: Value | None
    strict: bool = True


def pushforward(
    builder: Builder, outputs: Sequence[Value], wrt: Sequence[Value], tangents: Sequence[Value]
) -> list[Value | None]:
    """The tangents of ``outputs`` for given tangents of ``wrt``, appended to the builder.

    ``tangents[k]`` has the shape and dtype of ``wrt[k]``. The result has None where an output does not depend on any.
    Tangents of named values are named after them. Raises DerivativeError for an op without a derivative.
    """
    known = {x.id: Tangent(t, None) for x, t in zip(wrt, tangents, strict=True)}
    outer = builder.origin
    for index in builder.kept(outputs):
        builder.origin = builder.tables.origins.get(index, outer)
        _push(builder, index, known)
    builder.origin = outer
    return [known[v.id].value if v.id in known else None for v in outputs]


def replay_with_tangents(
    graph: Graph, builder: Builder, inputs: Sequence[Value], wrt: Sequence[Value], tangents: Sequence[Value]
) -> tuple[list[Value], list[Value | None]]:
    """The outputs of ``graph`` made again, and their tangents, each made right after its primal value.

    So the steps of an unrolled recurrence stay one behind the other. The builder has no rewrite.
    """
    known = {x.id: Tangent(t, None) for x, t in zip(wrt, tangents, strict=True)}
    image = dict(zip(graph.inputs, inputs, strict=True))
    outer = builder.origin
    for node in graph.nodes:
        if node.op is INPUT:
            continue
        builder.origin = graph.origins.get(node.id, outer)
        new = image[node.id] = builder.apply_ids(node.op, tuple([image[i].id for i in node.operands]), node.params)
        if node.id in graph.names:
            builder.name(new, graph.names[node.id])
        _push(builder, new.id, known)
    builder.origin = outer
    outputs = [image[i] for i in graph.outputs]
    return outputs, [known[v.id].value if v.id in known else None for v in outputs]


def _push(builder: Builder, index: int, known: dict[int, Tangent]) -> None:
    """Enter the tangent of a node whose operands have theirs."""
    node = builder.nodes[index]
    if index in known or node.aval.dtype.kind not in "fc" or not any(i in known for i in node.operands):
        return
    found = _pushed(builder, node, [known.get(i) for i in node.operands])
    if found is not None:
        known[index] = found
        name = builder.tables.names.get(index)
        if name is not None and found.value.node.op is not INPUT:
            builder.name(found.value, f"{TANGENT_PREFIX}{name}")


def _pushed(builder: Builder, node: Node, tangents: Sequence[Tangent | None]) -> Tangent | None:
    """The tangent of one node."""
    operands = tuple([builder.value(i) for i in node.operands])
    context = JvpContext(
        operands,
        builder.value(node.id),
        node.params,
        tuple([t is not None for t in tangents]),
        tuple([builder.is_constant(v) for v in operands]),
        tuple([None if t is None else t.value for t in tangents]),
    )
    ended = ends_masks(node)
    masks = [None if t is None or (ended and not t.strict) else t.mask for t in tangents]
    strict = any(t.strict for t, mask in zip(tangents, masks, strict=True) if t is not None and mask is not None)
    if node.op is call and node.params["rule"] is None:
        return _through_body(builder, node, operands, tangents)
    if node.op.partials is not None:
        return _through_partials(context, node.op.partials(context), masks, strict)
    value = _changed(builder, node, context, masks)
    if value is None:
        return None
    if node.op is select:
        return Tangent(value, _taken(context, masks))
    if all(m is None for m in masks):
        return Tangent(value, None)
    mask = _reached(node, context, masks)
    return Tangent(value if keeps_zeros(node) else strong(mask, value), mask, strict)


def _through_body(
    builder: Builder, node: Node, operands: Sequence[Value], tangents: Sequence[Tangent | None]
) -> Tangent | None:
    """Through the body of a call that has no rule of its own."""
    result = node.params["body"].replay(builder, operands)[node.params["index"]]
    known = {x.id: t for x, t in zip(operands, tangents, strict=True) if t is not None}
    for index in builder.kept([result]):
        _push(builder, index, known)
    return known.get(result.id)


def _through_partials(
    context: JvpContext,
    partials: Sequence[Value | int | Callable[[Value], Value | Taken] | RealLinear | None],
    masks: Sequence[Value | None],
    strict: bool,
) -> Tangent | None:
    terms: list[Tangent] = []
    for partial, tangent, mask in zip(partials, context.tangents, masks, strict=True):
        if partial is None or tangent is None:
            continue
        if isinstance(partial, int):
            terms.append(Tangent(tangent if partial == 1 else -tangent, mask, strict))
        elif isinstance(partial, RealLinear):
            terms.append(Tangent(strong(mask, partial.forward(tangent)), mask, strict))
        elif isinstance(partial, Value):
            terms.append(Tangent(times(tangent, partial, mask, strict), mask, strict))
        else:
            terms.append(Tangent(*through(partial, tangent, mask, strict)))
    if not terms:
        return None
    total = terms[0]
    for more in terms[1:]:
        whole = total.mask is None or more.mask is None
        mask = None if total.mask is None or more.mask is None else logical_or(total.mask, more.mask)
        total = Tangent(total.value + more.value, mask, not whole and (total.strict or more.strict))
    return total


def _taken(context: JvpContext, masks: Sequence[Value | None]) -> Value | None:
    """Each branch is alive where it was taken, and there as far as its own tangent is."""
    condition, (_, of_a, of_b) = context.operands[0], context.tangents
    if of_a is not None and of_b is not None and masks[1] is None and masks[2] is None:
        return None
    branches = [(condition, of_a, masks[1]), (logical_not(condition), of_b, masks[2])]
    parts = [taken if alive is None else logical_and(taken, alive) for taken, t, alive in branches if t is not None]
    return parts[0] if len(parts) == 1 else logical_or(*parts)


def _changed(builder: Builder, node: Node, context: JvpContext, masks: Sequence[Value | None]) -> Value | None:
    op = node.op
    if op.linear:
        operands = [
            x if x.aval.dtype.kind not in "fc" else builder.full(0, x.aval) if t is None else t
            for x, t in zip(context.operands, context.tangents, strict=True)
        ]
        return op(*operands, **node.params)
    if op is contract:
        return masked_contract_jvp(context, masks)
    if op is masked_contract:
        return doubly_masked_jvp(context, masks)
    if op.jvp is not None:
        return op.jvp(context)
    if op.vjp is None:
        raise DerivativeError(f"{op.name} has no derivative, and the result depends on it", line=line_of(builder, node))
    return by_transposing(builder, context)


def by_transposing(builder: Builder, context: JvpContext) -> Value | None:
    """The jvp of an op by its vjp alone: a vjp is linear in the cotangent, and its own vjp by that is the jvp.

    The cotangent is a value that nothing needs in the end.
    """
    result = context.result
    ct = builder.input("cotangent", result.aval)
    builder.inputs.pop()
    targets = [x for x, t in zip(context.operands, context.tangents, strict=True) if t is not None]
    tangents = [t for t in context.tangents if t is not None]
    pulled = adjoint(builder, [result], [ct], targets)
    pairs = [(p, t) for p, t in zip(pulled, tangents, strict=True) if p is not None]
    if not pairs:
        return None
    (found,) = adjoint(builder, [p for p, _ in pairs], [t for _, t in pairs], [ct])
    return found


def _reached(node: Node, context: JvpContext, masks: Sequence[Value | None]) -> Value | None:
    """Which elements of the result depend upon a living element of an operand; None where all may."""
    if node.op.linear and node.op.reach is None:
        return _moved(node, context, masks)
    found: Value | None = None
    for k, (tangent, mask) in enumerate(zip(context.tangents, masks, strict=True)):
        if tangent is None:
            continue
        if mask is None or node.op.reach is None:
            return None
        reached = node.op.reach(mask, k, context)
        found = reached if found is None else logical_or(found, reached)
    return found


_MOVERS: Final = (concatenate, gather, scatter, update_slice)


def _moved(node: Node, context: JvpContext, masks: Sequence[Value | None]) -> Value | None:
    """The masks through an op that moves elements."""
    op, builder = node.op, context.result.builder
    flags = [
        x if x.aval.dtype.kind not in "fc"
        else mask if mask is not None
        else builder.full(tangent is not None, x.aval.with_dtype(np.dtype(bool)))
        for x, tangent, mask in zip(context.operands, context.tangents, masks, strict=True)
    ]  # fmt: skip
    if op is convert:
        return flags[0]
    if op.loops is None and op not in _MOVERS:
        return None
    if op in (update_slice, scatter) and node.params["mode"] == "add":
        base, value, *indices = flags
        counts = [convert(x, dtype=np.dtype(np.int64)) for x in (base, value)]
        added = op(*counts, *indices, **node.params)
        return greater(added, builder.full(0, added.aval))
    return op(*flags, **node.params)
