"""The statements of a kernel: which values get a name, in which order, with which comment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gradc.backends.numpy.closed_forms import Form
from gradc.backends.numpy.comments import Comments, loss_name
from gradc.backends.numpy.constants import MOST_LITERALS, array_text, embedded_text
from gradc.backends.numpy.decompositions import shared_parts
from gradc.backends.numpy.expressions import Expression, filled, variable
from gradc.backends.numpy.naming import Names
from gradc.backends.numpy.operations import expression_of
from gradc.backends.numpy.overwriting import VIEWS, is_small_view, is_view, readers_to_bind
from gradc.backends.numpy.sections import backward_nodes
from gradc.backends.numpy.shapes import exact, owned
from gradc.backends.numpy.updates import UPDATES, update
from gradc.ir.graph import CONSTANT, Graph
from gradc.ir.node import Node

WIDEST = 80
"""Columns of an expression beyond which its widest part gets a line of its own."""

WIDEST_RESULT = 24
"""Columns of a result beyond which it gets a line of its own, before the ``return``."""

CHEAP = frozenset({"abs", "neg", "eq", "ne", "lt", "le", "gt", "ge", "logical_not"})
"""Ops of names and numbers that read better repeated, once, than named."""


@dataclass(frozen=True, slots=True)
class Line:
    """A statement and its comment. A comment alone is a separator."""

    code: str
    comment: str = ""


class Body:
    """Writes the statements of a graph, each node once, in time linear in the graph.

    A value that is used once and has no name of the user's is written into the expression that uses it, while that
    stays short. The forward pass comes first, then everything that depends on a cotangent.
    """

    def __init__(self, graph: Graph, names: Names, inputs: Sequence[str], paths: Sequence[str]) -> None:
        self.nodes = graph.nodes
        self.lines: list[Line] = []
        self.constants: list[tuple[str, str]] = []
        self.uses = _uses(graph)
        self._graph = graph
        self._names = names
        self._backward = backward_nodes(graph)
        self._comments = Comments(graph, self._backward, paths)
        self.bound: set[int] = set(graph.inputs)
        self._private: set[int] = set()
        self._result = graph.outputs[0] if graph.outputs else -1
        self._outputs = frozenset(graph.outputs)
        self.values: list[Expression | None] = [None] * len(graph.nodes)
        self._locals: dict[int, str] = {}
        for node, name in zip(graph.inputs, inputs, strict=True):
            self.values[node] = variable(name, graph.nodes[node].aval.shape)
            self._locals[node] = name
        names.reserve(graph.names.values())
        self._primals = _primals(graph)
        self._parts = shared_parts(graph)
        self._wholes: dict[tuple[str, int], Expression] = {}

    def write(self) -> list[Expression]:
        """Write all statements; gives the expressions of the outputs."""
        backward = self._backward
        forward = [node for node in self.nodes if node.id not in backward]
        self._write_all(forward)
        if backward:
            before = len(self.lines)
            self._write_all([node for node in self.nodes if node.id in backward])
            if len(self.lines) > before:
                separator = [Line(""), Line("", f"Backward: d_q is d{loss_name(self._graph)}/dq.")] if before else []
                self.lines[before:before] = separator
        return [self.value(i) for i in self._graph.outputs]

    def value(self, node: int) -> Expression:
        """The expression of a node that was written already."""
        expression = self.values[node]
        assert expression is not None, f"node {node} is used before it is written"
        return expression

    def operand(self, node: Node, position: int) -> Expression:
        """An operand of ``node`` as it stands."""
        return self.value(node.operands[position])

    def constant(self, node: Node, form: Form | None) -> Expression:
        """The name of a constant array; its text stands below the function."""
        default = form.name if form else "CONSTANT"
        name = self._names.take(self._graph.names.get(node.id, default).upper(), default)
        value = node.params["value"]
        text = form.text if form else array_text(value) if value.size <= MOST_LITERALS else embedded_text(name, value)
        self.constants.append((name, text))
        return variable(name, node.aval.shape)

    def statement(self, code: str, node: Node) -> None:
        """Write a line that computes ``node``."""
        self.lines.append(Line(code, self._comments.of(node)))

    def bind(self, node: Node, expression: Expression, name: str = "") -> Expression:
        """Give the value of ``node`` a line and a name; one that is given gets no comment, for more lines follow."""
        if name:
            self.lines.append(Line(f"{name} = {expression.text}"))
        else:
            name = self.name_for(node)
            self.statement(f"{name} = {expression.text}", node)
        bound = variable(name, expression.shape)
        self.values[node.id] = bound
        self.bound.add(node.id)
        if expression.fresh and expression.shape == node.aval.shape:
            self._private.add(node.id)
        return bound

    def may_overwrite(self, node: int, update: Node) -> bool:
        """Whether ``update`` may write into the array of ``node`` itself. What reads the old contents is bound."""
        if node not in self._private:
            return False
        for reader in self._graph.consumers[node]:
            if self.values[reader] is None and is_small_view(self._graph, reader, node):
                self.values[reader] = self._short(self.nodes[reader])
        readers = readers_to_bind(self._graph, self, node, update)
        for bound in map(self.nodes.__getitem__, readers or ()):
            value = self.value(bound.id)
            copied = bound.aval.shape and is_view(self._graph, bound)
            self.bind(bound, owned(value, bound.aval) if copied else value)
        return readers is not None

    def chain_name(self, node: Node) -> str:
        """The name for a row of writes into one array, of which ``node`` is the first: the last one's name."""
        last = node
        while self.uses[last.id] == 1 and last.id not in self._graph.names and self._graph.consumers[last.id]:
            (user,) = self._graph.consumers[last.id]
            if self.nodes[user].op.name not in UPDATES or self.nodes[user].operands[0] != last.id:
                break
            last = self.nodes[user]
        return self.name_for(last)

    def name_for(self, node: Node) -> str:
        """The local name of a node: the user's, ``d_`` and the name of its primal, L for the result, else ``t1``."""
        if node.id in self._locals:
            return self._locals[node.id]
        if node.id in self._graph.names:
            name = self._names.take_reserved(self._graph.names[node.id])
        elif node.id in self._primals:
            name = self._names.take(f"d_{self._primal_name(node.id)}")
        elif node.id == self._result and node.id not in self._backward:
            name = self._names.take(loss_name(self._graph))
        else:
            name = self._names.numbered("t")
        self._locals[node.id] = name
        return name

    def _primal_name(self, node: int) -> str:
        primal = self._primals[node]
        return self._locals.get(primal) or self._graph.names.get(primal, "t")

    def _write_all(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            if self.values[node.id] is not None:
                continue  # an input, or a view that was read before its array was overwritten
            if node.op.name in UPDATES and node.aval.shape:
                self.values[node.id] = update(self, node)
                self._private.add(node.id)
                self.bound.add(node.id)
                continue
            expression = self._part(node) if node.id in self._parts else self._short(node)
            self.values[node.id] = expression
            if self._deserves_name(node, expression):
                self.bind(node, expression)

    def _part(self, node: Node) -> Expression:
        """A part of a decomposition, which gets a line of its own before the first of its parts."""
        whole, call, part = self._parts[node.id]
        key = (call, node.operands[0])
        if key not in self._wholes:
            operand = exact(self.operand(node, 0), self.nodes[node.operands[0]].aval)
            name = self._names.take(whole)
            self.statement(f"{name} = {filled(call, [operand]).text}", node)
            self._wholes[key] = variable(name, ())
        return filled(part, [self._wholes[key]], node.aval.shape)

    def _short(self, node: Node) -> Expression:
        """The expression of a node, with its widest operands bound until it is short."""
        expression = expression_of(self, node)
        while expression.width > WIDEST:
            wide = [i for i in node.operands if not self.value(i).atomic and self.nodes[i].op is not CONSTANT]
            if not wide:
                break
            widest = self.nodes[max(wide, key=lambda i: self.value(i).width)]
            self.bind(widest, self.value(widest.id))
            expression = expression_of(self, node)
        return expression

    def _deserves_name(self, node: Node, expression: Expression) -> bool:
        if expression.atomic:
            return False
        if node.id in self._graph.names or (node.id == self._result and node.id not in self._backward):
            return True
        if node.id in self._outputs and expression.width > WIDEST_RESULT:
            return True
        uses = self.uses[node.id]
        if uses < 2:
            return False
        simple = all(self.value(i).atomic for i in node.operands)
        return not (simple and (node.op.name in VIEWS or (node.op.name in CHEAP and uses == 2)))


def _uses(graph: Graph) -> list[int]:
    """How often each node's value is written where it is used."""
    uses = [0] * len(graph.nodes)
    for node in graph.nodes:
        for operand in node.operands:
            uses[operand] += 1
    for output in graph.outputs:
        uses[output] += 1
    return uses


def _primals(graph: Graph) -> Mapping[int, int]:
    """For each node that is the cotangent of a named value or an input: of which, the first of them."""
    found: dict[int, int] = {}
    inputs = set(graph.inputs)
    for primal, ct in graph.cotangents.items():
        if primal in graph.names or primal in inputs:
            found.setdefault(ct, primal)
    return found
