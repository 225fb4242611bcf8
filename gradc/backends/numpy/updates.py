"""Writes into arrays: in place where nothing reads the old contents any more, into a copy otherwise."""

from __future__ import annotations

from typing import Protocol

from gradc.backends.numpy.expressions import Expression, filled
from gradc.backends.numpy.operations import Scope, index_operand, subscripts
from gradc.backends.numpy.shapes import owned
from gradc.ir.node import Node
from gradc.ops.shape import slice_text

UPDATES = frozenset({"update_slice", "scatter"})


class Writer(Scope, Protocol):
    """The body that is being written."""

    def statement(self, code: str, node: Node) -> None: ...
    def bind(self, node: Node, expression: Expression, name: str = "") -> Expression: ...
    def chain_name(self, node: Node) -> str: ...
    def may_overwrite(self, node: int, update: Node) -> bool: ...


def update(body: Writer, node: Node) -> Expression:
    """Write the statements of an ``update_slice`` or a ``scatter``; gives the name of the array written to."""
    base = body.nodes[node.operands[0]]
    in_place = body.may_overwrite(base.id, node)
    target = body.operand(node, 0)
    if not in_place:
        target = body.bind(node, owned(target, base.aval), body.chain_name(node))
    body.statement(_write(body, node, target), node)
    return target


def _write(body: Writer, node: Node, target: Expression) -> str:
    value = body.operand(node, 1)
    adds = node.params["mode"] == "add"
    sign = "+=" if adds else "="
    if node.op.name == "update_slice":
        template = f"{{0}}[{_region(body, node, value)}]"
        return f"{filled(template, [target]).text} {sign} {value.text}"
    indices = [index_operand(body, node, k) for k in range(2, len(node.operands))]
    parts = subscripts(node.aval.ndim, node.params["axes"], 1)
    if adds and body.nodes[node.operands[2]].aval.shape:
        index = (
            parts[0] if len(parts) == 1 else f"np.s_[{', '.join(parts)}]" if ":" in parts else f"({', '.join(parts)})"
        )
        template = f"np.add.at({{0}}, {index}, {{{len(indices) + 1}}})"
        return filled(template, [target, *indices, value]).text
    template = f"{{0}}[{', '.join(parts)}]"
    return f"{filled(template, [target, *indices]).text} {sign} {value.text}"


def _region(body: Writer, node: Node, value: Expression) -> str:
    """The subscript that is written to. Axes of size 1 are picked by their index where the value has none of them."""
    shape = body.nodes[node.operands[1]].aval.shape
    starts, steps = node.params["starts"], node.params["steps"]
    parts = [
        slice_text((start,), (size,), (step,), (length,))
        for start, size, step, length in zip(starts, shape, steps, node.aval.shape, strict=True)
    ]
    picked = tuple(size for size in shape if size != 1)
    pairs = zip(reversed(value.shape), reversed(picked), strict=False)
    if len(value.shape) <= len(picked) and all(own in (1, size) for own, size in pairs):
        parts = [str(start) if size == 1 else part for start, size, part in zip(starts, shape, parts, strict=True)]
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts)
