"""The adjoint of a graph: reverse mode, graph to graph.

A cotangent is a pair (value, mask). Where the mask is False the element belongs to a branch that was not taken:
its value is an exact 0 and whatever it is multiplied with contributes an exact 0 again, be it inf or NaN. So the
select stands outside each partial, ``where(mask, ct * d, 0)``, never inside, and no pass moves it. A mask of None
means that every element is alive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from gradc.errors import DerivativeError
from gradc.ir.graph import Builder, Node, Value
from gradc.ir.op import RealLinear, VjpContext
from gradc.ops.contraction import contract, doubly_masked_vjp, masked_contract, masked_contract_vjp
from gradc.ops.elementwise import convert, logical_and, logical_or, select
from gradc.ops.index import scatter
from gradc.ops.regions import call, recompute
from gradc.ops.shape import update_slice


class Cotangent(NamedTuple):
    """A contribution to the cotangent of a value; ``mask`` None means that every element is alive."""

    value: Value
    mask: Value | None


def adjoint(
    builder: Builder, outputs: Sequence[Value], cts: Sequence[Value], wrt: Sequence[Value], *, masked: bool = True
) -> list[Value | None]:
    """The cotangents of ``wrt`` for given cotangents of ``outputs``, appended to the builder.

    ``cts[k]`` has the shape and dtype of ``outputs[k]``. The result has None where an output does not depend on a
    value. The cotangent of every primal value on the way is entered in the builder's table. Raises DerivativeError
    for an op without a derivative, and without ``masked`` where elements of a result would belong to a branch that was
    not taken, so that whoever goes on with it has to know.
    """
    seeds = [Cotangent(ct, None) for ct in cts]
    found = _swept(builder, outputs, seeds, wrt)
    for target, ct in zip(wrt, found, strict=True):
        if ct is not None and ct.mask is not None and not masked:
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
        for operand, contribution in _pulled(builder, node, total, active):
            pending.setdefault(operand, []).append(contribution)
    builder.origin = outer
    return [found.get(v.id) for v in wrt]


def _active(builder: Builder, wrt: set[int], count: int) -> bytearray:
    """Which of the first nodes are differentiable and depend on ``wrt``."""
    active = bytearray(count)
    for node in builder.nodes[:count]:
        if node.id in wrt or any(active[i] for i in node.operands):
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
    mask = ordered[0].mask
    for contribution in ordered[1:]:
        mask = None if mask is None or contribution.mask is None else logical_or(mask, contribution.mask)
    return Cotangent(value, mask)


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
        pulled = [_as_pair(c, ct.mask) for c in node.op.vjp(context)]
    else:
        pulled = _through_masked(builder, node, context, ct.value, ct.mask)
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
            pulled.append(Cotangent(ct.value if partial == 1 else -ct.value, ct.mask))
        else:
            if isinstance(partial, RealLinear):
                product = partial.back(ct.value)
            elif isinstance(partial, Value):
                product = ct.value * partial
            else:
                product = partial(ct.value)
            pulled.append(Cotangent(strong(ct.mask, product), ct.mask))
    return pulled


def _through_masked(
    builder: Builder, node: Node, context: VjpContext, value: Value, mask: Value
) -> list[Cotangent | None]:
    """The vjp of an op that mixes elements, where some of the results are not alive."""
    rule = node.op.vjp
    assert rule is not None
    if node.op is contract:
        cts = masked_contract_vjp(context, mask)
    elif node.op is masked_contract:
        cts = doubly_masked_vjp(context, mask)
    else:
        cts = [_as_pair(c, None) for c in rule(context)]
        cts = [c.value if c is not None else None for c in cts]
    masks = _live(node, context, mask)
    return [
        None if c is None else Cotangent(c if keeps_zeros(node) else strong(m, c), m)
        for c, m in zip(cts, masks, strict=True)
    ]


def keeps_zeros(node: Node) -> bool:
    """Whether a sum of what is 0 outside of a mask is 0 where no living element reaches, without a select."""
    return node.op.linear or node.op in (contract, masked_contract)


def _live(node: Node, context: VjpContext, mask: Value) -> Sequence[Value | None]:
    """Which elements of each operand a living element of the result depends upon."""
    if node.op is convert:
        return [mask]
    if node.op.linear and node.op.vjp is not None:
        return node.op.vjp(replace(context, ct=mask))
    if node.op.live is None:
        raise DerivativeError(f"{node.op.name} has no rule for the branches that were not taken")
    return node.op.live(mask, context)


def strong(mask: Value | None, value: Value) -> Value:
    """``value`` where the mask is True, an exact 0 elsewhere."""
    return value if mask is None else select(mask, value, value.builder.full(0.0, value.aval))


def _as_pair(contribution: Any, mask: Value | None) -> Cotangent | None:
    """A rule gives a value, or a value and the mask of what it kept, which meets the mask that is there."""
    if contribution is None:
        return None
    if not isinstance(contribution, tuple):
        return Cotangent(contribution, mask)
    value, kept = contribution
    return Cotangent(value, kept if mask is None else logical_and(kept, mask))


def line_of(builder: Builder, node: Node) -> str:
    origins = builder.tables.origins.get(node.id, ())
    return f"{origins[0]}: {origins[0].text}" if origins else ""
