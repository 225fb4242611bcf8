"""Writes into arrays. A base that nothing else needs is written in place; another one is copied first."""

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
    def may_overwrite(self, node: int) -> bool: ...


def update(body: Writer, node: Node) -> Expression:
    """Write the statements of an ``update_slice`` or a ``scatter``; gives the name of the array written to."""
    base = body.nodes[node.operands[0]]
    target = body.operand(node, 0)
    if not body.may_overwrite(base.id):
        target = body.bind(node, owned(target, base.aval), body.chain_name(node))
    body.statement(_write(body, node, target), node)
    return target


def _write(body: Writer, node: Node, target: Expression) -> str:
    value = body.operand(node, 1)
    adds = node.params["mode"] == "add"
    sign = "+=" if adds else "="
    if node.op.name == "update_slice":
        shape = body.nodes[node.operands[1]].aval.shape
        text = slice_text(node.params["starts"], shape, node.params["steps"], node.aval.shape)
        template = f"{{0}}[{text or '...'}]"
        return f"{filled(template, [target]).text} {sign} {value.text}"
    indices = [index_operand(body, node, k) for k in range(2, len(node.operands))]
    parts = subscripts(node.aval.ndim, node.params["axes"], 1)
    if adds and body.nodes[node.operands[2]].aval.shape:
        where = ["slice(None)" if p == ":" else p for p in parts]
        index = where[0] if len(where) == 1 else f"({', '.join(where)})"
        template = f"np.add.at({{0}}, {index}, {{{len(indices) + 1}}})"
        return filled(template, [target, *indices, value]).text
    template = f"{{0}}[{', '.join(parts)}]"
    return f"{filled(template, [target, *indices]).text} {sign} {value.text}"
