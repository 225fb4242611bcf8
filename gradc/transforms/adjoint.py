"""The adjoint of a graph: reverse mode, graph to graph.

A cotangent is a pair (value, mask). Where the mask is False the element belongs to a branch that was not taken:
its value is an exact 0 and whatever it is multiplied with contributes an exact 0 again, be it inf or NaN. So the
select stands outside each partial, ``where(mask, ct * d, 0)``, never inside, and no pass moves it. A mask of None
means that every element is alive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from gradc.errors import DerivativeError
from gradc.ir.graph import Builder, Node, Value
from gradc.ir.op import RealLinear, Taken, VjpContext
from gradc.ops.contraction import contract, doubly_masked_vjp, masked_contract, masked_contract_vjp
from gradc.ops.elementwise import convert, logical_and, logical_or, select
from gradc.ops.index import gather, scatter
from gradc.ops.regions import call, recompute, stop_gradient
from gradc.ops.shape import slice_, update_slice
from gradc.transforms.cover import cover, is_full
from gradc.transforms.steep import may_be_infinite, may_lose_zeros


class Cotangent(NamedTuple):
    """A contribution to the cotangent of a value; ``mask`` None means that every element is alive.

    A mask that is not ``strict`` ends at contractions (``gradc.ir.op.Taken``).
    """

    value: Value
    mask: Value | None
    strict: bool = True


def adjoint(
    builder: Builder, outputs: Sequence[Value], cts: Sequence[Value], wrt: Sequence[Value], *, masked: bool = True
) -> list[Value | None]:
    """The cotangents of ``wrt`` for given cotangents of ``outputs``, appended to the builder.

    ``cts[k]`` has the shape and dtype of ``outputs[k]``. The result has None where an output does not depend on a
    value. The cotangent of every primal value on the way is entered in the builder's table. Raises DerivativeError
    for an op without a derivative, and without ``masked`` where elements of a result would belong to a branch that was
    not taken, so that whoever goes on with it has to know. A mask that is not strict ends there.
    """
    seeds = [Cotangent(ct, None) for ct in cts]
    found = _swept(builder, outputs, seeds, wrt)
    for target, ct in zip(wrt, found, strict=True):
        if ct is not None and ct.mask is not None and ct.strict and not masked:
            line = line_of(builder, builder.nodes[target.id])
            raise DerivativeError("a cotangent is of a branch that is not always taken", line=line)
    return [None if ct is None else ct.value for ct in found]


def _swept(
    builder: Builder, outputs: Sequence[Value], seeds: Sequence[Cotangent], wrt: Sequence[Value]
) -> list[Cotangent | None]:
    """The cotangents of ``wrt`` with their masks, for those of ``outputs``."""
    count = max([v.id for v in outputs], default=-1) + 1
    active = _active(builder, {v.id for v in wrt}, count)
    pending: dict[int, list[Cotangent]] = {}
    for output, seed in zip(outputs, seeds, strict=True):
        if active[output.id]:
            pending.setdefault(output.id, []).append(seed)
    wanted = {v.id for v in wrt}
    found: dict[int, Cotangent] = {}
    outer = builder.origin
    for index in range(count - 1, -1, -1):
        contributions = pending.pop(index, None)
        if contributions is None:
            continue
        node = builder.nodes[index]
        builder.origin = builder.tables.origins.get(index, outer)
        total = _accumulated(contributions)
        builder.tables.cotangents.setdefault(index, total.value.id)
        if index in wanted:
            found[index] = total
        for operand, contribution in _together(_pulled(builder, node, total, active)):
            pending.setdefault(operand, []).append(contribution)
    builder.origin = outer
    return [found.get(v.id) for v in wrt]


def _together(pulled: list[tuple[int, Cotangent]]) -> list[tuple[int, Cotangent]]:
    """The contributions of one node, those to one operand (of ``x * x``) added up, before others come to them."""
    found: dict[int, list[Cotangent]] = {}
    for operand, contribution in pulled:
        found.setdefault(operand, []).append(contribution)
    return [(operand, _accumulated(contributions)) for operand, contributions in found.items()]


def _active(builder: Builder, wrt: set[int], count: int) -> bytearray:
    """Which of the first nodes are differentiable and depend on ``wrt``, not through a gradient that is stopped."""
    active = bytearray(count)
    for node in builder.nodes[:count]:
        if node.id in wrt or (any(active[i] for i in node.operands) and node.op is not stop_gradient):
            active[node.id] = node.aval.dtype.kind in "fc"
    return active


def _accumulated(contributions: list[Cotangent]) -> Cotangent:
    """The sum of contributions, alive where any of them is. Writes into zeros become writes into the sum."""
    dense = [c for c in contributions if not _is_sparse(c.value)]
    sparse = [c for c in contributions if _is_sparse(c.value)]
    ordered = dense + sparse
    value = ordered[0].value
    for contribution in ordered[1:]:
        value = _added(value, contribution.value)
    masks = [c.mask for c in ordered if c.mask is not None]
    if len(masks) < len(ordered) or cover(masks):
        return Cotangent(value, None)
    return Cotangent(value, reduce(_either, masks), any(c.strict for c in ordered))


def _either(mask: Value, more: Value) -> Value:
    """Where one of two masks is True. A region that is added to a mask is written into it."""
    node = more.node
    if not _is_sparse(more) or not is_full(more.builder.value(node.operands[1]), True):
        return logical_or(mask, more)
    operands = [more.builder.value(i) for i in node.operands[1:]]
    return more.builder.apply(node.op, mask, *operands, **{**node.params, "mode": "set"})


def _is_sparse(value: Value) -> bool:
    node = value.node
    return node.op in (update_slice, scatter) and value.builder.scalar(value.builder.value(node.operands[0])) == 0


def _added(total: Value, value: Value) -> Value:
    if not _is_sparse(value):
        return total + value
    node = value.node
    operands = [value.builder.value(i) for i in node.operands[1:]]
    return value.builder.apply(node.op, total, *operands, **{**node.params, "mode": "add"})


def _pulled(builder: Builder, node: Node, ct: Cotangent, active: bytearray) -> list[tuple[int, Cotangent]]:
    """The contributions of one node to the cotangents of its operands."""
    wanted = tuple([bool(active[i]) for i in node.operands])
    if not any(wanted):
        return []
    operands = tuple([builder.value(i) for i in node.operands])
    constant = tuple([builder.is_constant(v) for v in operands])
    if ct.mask is None and leaves_out(node):
        ct = Cotangent(ct.value, builder.full(True, node.aval.with_dtype(np.dtype(bool))), strict=False)
    context = VjpContext(operands, builder.value(node.id), node.params, wanted, constant, ct.value)
    if node.op is call and node.params["rule"] is None:
        pulled = _through_again(builder, node, operands, ct, wanted)
    elif node.op.partials is not None:
        pulled = _through_partials(context, node.op.partials(context), ct)
    elif node.op.vjp is None:
        raise DerivativeError(
            f"{node.op.name} has no derivative, and the result depends on it", line=line_of(builder, node)
        )
    elif ct.mask is None or node.op is select:
        pulled = [None if c is None else met(c, ct.mask, ct.strict) for c in node.op.vjp(context)]
    elif ends_masks(node) and not ct.strict:
        pulled = [None if c is None else met(c, None) for c in node.op.vjp(context)]
    else:
        pulled = _through_masked(builder, node, context, ct, ct.mask)
    return [(i, c) for i, c, use in zip(node.operands, pulled, wanted, strict=True) if c is not None and use]


def _through_again(
    builder: Builder, node: Node, operands: Sequence[Value], ct: Cotangent, wanted: Sequence[bool]
) -> list[Cotangent | None]:
    """Through a body that is computed once more, from its operands: nothing in it is kept for the reverse pass."""
    again = [recompute(x) for x in operands]
    result = node.params["body"].replay(builder, again)[node.params["index"]]
    targets = dict.fromkeys(x for x, use in zip(again, wanted, strict=True) if use)
    found = dict(zip(targets, _swept(builder, [result], [ct], list(targets)), strict=True))
    return [found.pop(x, None) for x in again]  # an operand that comes twice has one cotangent


def _through_partials(context: VjpContext, partials: Sequence[Any], ct: Cotangent) -> list[Cotangent | None]:
    pulled: list[Cotangent | None] = []
    for partial, wanted in zip(partials, context.active, strict=True):
        if partial is None or not wanted:
            pulled.append(None)
        elif isinstance(partial, int):
            pulled.append(ct._replace(value=ct.value if partial == 1 else -ct.value))
        elif isinstance(partial, RealLinear):
            pulled.append(ct._replace(value=strong(ct.mask, partial.back(ct.value))))
        elif isinstance(partial, Value):
            pulled.append(ct._replace(value=times(ct.value, partial, ct.mask, ct.strict)))
        else:
            pulled.append(through(partial, ct.value, ct.mask, ct.strict))
    return pulled


def _through_masked(
    builder: Builder, node: Node, context: VjpContext, ct: Cotangent, mask: Value
) -> list[Cotangent | None]:
    """The vjp of an op that mixes elements, where some of the results are not alive."""
    rule = node.op.vjp
    assert rule is not None
    if node.op is contract:
        cts = masked_contract_vjp(context, mask)
    elif node.op is masked_contract:
        cts = doubly_masked_vjp(context, mask)
    else:
        cts = rule(context)
    pulled: list[Cotangent | None] = []
    for c, m in zip(cts, _live(node, context, mask), strict=True):
        found = None if c is None else met(c, m, ct.strict)
        pulled.append(found if found is None or keeps_zeros(node) else found._replace(value=strong(m, found.value)))
    return pulled


def ends_masks(node: Node) -> bool:
    """Whether a mask that is not strict ends at the op: contractions, and ops that cannot say what they mix."""
    op = node.op
    return op in (contract, masked_contract) or not (op.elementwise or op.linear or op.live is not None)


def leaves_out(node: Node) -> bool:
    """Whether the op may leave elements of an operand out: it reads some of them, or writes over some."""
    return node.op in (slice_, gather) or (node.op in (update_slice, scatter) and node.params["mode"] == "set")


def keeps_zeros(node: Node) -> bool:
    """Whether a sum of what is 0 outside of a mask is 0 where no living element reaches, without a select."""
    return node.op.linear or node.op in (contract, masked_contract)


def _live(node: Node, context: VjpContext, mask: Value) -> Sequence[Value | None]:
    """Which elements of each operand a living element of the result depends upon."""
    if node.op is convert:
        return [mask]
    if node.op.linear and node.op.vjp is not None:
        return [m.mask if isinstance(m, Taken) else m for m in node.op.vjp(replace(context, ct=mask))]
    if node.op.live is None:
        raise DerivativeError(f"{node.op.name} has no rule for the branches that were not taken")
    return node.op.live(mask, context)


def strong(mask: Value | None, value: Value) -> Value:
    """``value`` where the mask is True, an exact 0 elsewhere."""
    return value if mask is None else select(mask, value, value.builder.full(0.0, value.aval))


def times(ct: Value, slope: Value, mask: Value | None, strict: bool) -> Value:
    """A cotangent, or a tangent, times a slope: an exact 0 where the mask is False.

    It is one anyway where the slope is finite, unless the mask is ``strict``, which hides inputs that are infinite too.
    """
    product = ct * slope
    return strong(mask, product) if mask is None or strict or may_be_infinite(slope) else product


def through(rule: Callable[[Value], Value | Taken], ct: Value, mask: Value | None, strict: bool) -> Cotangent:
    """The same for a rule that makes the product."""
    before = len(ct.builder.nodes)
    found = met(rule(ct), mask, strict)
    needed = mask is None or strict or may_lose_zeros(found.value, ct, before)
    return found._replace(value=strong(mask, found.value)) if needed else found


def met(contribution: Value | Taken, mask: Value | None, strict: bool = True) -> Cotangent:
    """What a rule gives for a cotangent of a mask: what it took meets what is alive."""
    if not isinstance(contribution, Taken):
        return Cotangent(contribution, mask, strict)
    if mask is None:
        return Cotangent(contribution.value, contribution.mask, contribution.strict)
    return Cotangent(contribution.value, logical_and(contribution.mask, mask), strict or contribution.strict)


def line_of(builder: Builder, node: Node) -> str:
    origins = builder.tables.origins.get(node.id, ())
    return f"{origins[0]}: {origins[0].text}" if origins else ""
