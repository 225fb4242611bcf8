"""A body that computes into arrays that nothing reads any more, with ``out=``, instead of making new ones.

Each value of several elements gets a line of its own. An array is free once everything that reads it, or a view of it,
is written; the next value of its dtype and shape goes there. Names stay those of the values, so that the mathematics
reads as before; ``out=`` tells the memory. Results and arguments are never overwritten.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from gradc.backends.numpy.body import Body
from gradc.backends.numpy.expressions import Expression
from gradc.backends.numpy.naming import Names
from gradc.backends.numpy.overwriting import is_view
from gradc.backends.numpy.updates import UPDATES
from gradc.ir.aval import Dim
from gradc.ir.graph import Graph
from gradc.ir.node import Node

_OPERATORS: Final[dict[type[ast.AST], str]] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.FloorDiv: "floor_divide",
    ast.Mod: "remainder", ast.MatMult: "matmul", ast.BitAnd: "bitwise_and", ast.BitOr: "bitwise_or",
    ast.BitXor: "bitwise_xor", ast.USub: "negative", ast.Invert: "invert", ast.Lt: "less", ast.LtE: "less_equal",
    ast.Gt: "greater", ast.GtE: "greater_equal", ast.Eq: "equal", ast.NotEq: "not_equal",
}  # fmt: skip
_TAKE_OUT: Final = frozenset({"einsum", "outer", "sum", "prod", "max", "min", "cumsum", "cumprod", "take"})
"""Functions of NumPy that are no ufuncs and compute into ``out=`` what they return without it.

``**`` is none: its shortcuts for squares and roots round otherwise than ``np.power``.
"""

Slot = tuple[np.dtype, tuple[Dim, ...]]


class MemoryBody(Body):
    """Writes the statements of a graph so that memory is used again."""

    def __init__(self, graph: Graph, names: Names, inputs: Sequence[str], paths: Sequence[str]) -> None:
        super().__init__(graph, names, inputs, paths)
        self._free: defaultdict[Slot, list[str]] = defaultdict(list)
        self._arrays: dict[int, tuple[str, Slot]] = {}
        self._sources = self._read()
        self._left = [0] * len(self.nodes)
        for node in self.nodes:
            if not self._is_alias(node):
                for source in self._sources[node.id]:
                    self._left[source] += 1
        self._kept = set(self._outputs)
        for node in self.nodes:
            is_written = node.op.name in UPDATES and node.aval.shape
            if is_written:
                self._kept.add(node.id)
            if is_written or (node.id in self._outputs and self._is_alias(node)):
                self._kept |= self._sources[node.id]

    def bind(self, node: Node, expression: Expression, name: str = "") -> Expression:
        """Give a value a line, computed into a free array where there is one."""
        if node.id in self.bound or name or self._is_alias(node):
            return super().bind(node, expression, name)
        slot = (node.aval.dtype, expression.shape)
        finished = self._finished(node)
        free = self._free[slot]
        taken = next((text for text, own in finished if own == slot), "") if node.op.elementwise else ""
        taken = taken or (free[-1] if free else "")
        into = _computed_into(expression.tree, taken) if taken and expression.shape else None
        if into is None:
            taken = ""
        elif taken in free:
            free.remove(taken)
        for text, own in finished:
            if text != taken:
                self._free[own].append(text)
        bound = super().bind(node, expression if into is None else replace(expression, tree=into))
        if expression.fresh and expression.shape:
            self._arrays[node.id] = (bound.text, slot)
        return bound

    def _finished(self, node: Node) -> list[tuple[str, Slot]]:
        """The arrays that nothing reads after ``node``, each by its name and what fits there."""
        found = []
        for source in sorted(self._sources[node.id]):
            self._left[source] -= 1
            if not self._left[source] and source not in self._kept and source in self._arrays:
                found.append(self._arrays[source])
        return found

    def _read(self) -> list[set[int]]:
        """For each node the nodes whose arrays it reads: its operands, and what those are views of."""
        found: list[set[int]] = []
        for node in self.nodes:
            own: set[int] = set()
            for operand in node.operands:
                if self._is_alias(self.nodes[operand]):
                    own |= found[operand]
                elif self.nodes[operand].aval.shape:
                    own.add(operand)
            found.append(own)
        return found

    def _is_alias(self, node: Node) -> bool:
        """Whether the value may lie in the memory of an operand."""
        return is_view(self._graph, node) or (node.op.name in UPDATES and not node.aval.shape)

    def _deserves_name(self, node: Node, expression: Expression) -> bool:
        """What reads arrays is computed at once, while they hold what it is to read."""
        reads = bool(self._sources[node.id]) and not self._is_alias(node) and not expression.atomic
        if reads and not expression.fresh:
            self._kept |= self._sources[node.id]
        return reads or super()._deserves_name(node, expression)


def _computed_into(tree: ast.expr, out: str) -> ast.expr | None:
    """The expression with its value written into the array ``out``; None where NumPy has no way to say so.

    A part of it goes there too where no other part reads ``out``, and where it has all arrays, and so the shape, of the
    whole.
    """
    parts = _function_and_arguments(tree)
    if parts is None:
        return None
    function, arguments, keywords = parts
    every = _names(tree)
    for position, argument in enumerate(arguments):
        others = {name for other in arguments if other is not argument for name in _names(other)}
        if out not in others and _names(argument) == every:
            arguments[position] = _computed_into(argument, out) or argument
    called = ast.Attribute(ast.Name("np"), function)
    return ast.Call(called, arguments, [*keywords, ast.keyword("out", ast.Name(out))])


def _function_and_arguments(tree: ast.expr) -> tuple[str, list[ast.expr], list[ast.keyword]] | None:
    match tree:
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)], [left, right], []
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)], [operand], []
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)], [left, right], []
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr=function), args=arguments, keywords=keywords):
            if function in _TAKE_OUT or (isinstance(getattr(np, function), np.ufunc) and not keywords):
                return function, list(arguments), list(keywords)
    return None


def _names(tree: ast.expr) -> set[str]:
    return {part.id for part in ast.walk(tree) if isinstance(part, ast.Name) and part.id != "np"}
