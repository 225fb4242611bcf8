"""Comments of generated lines: the user's line, the chain rule, and the laws that made the code differ."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Sequence

from gradc.backends.numpy.naming import identifier
from gradc.ir.graph import Graph
from gradc.ir.node import Node

LONGEST = 44
MOST_LAWS = 2
MOST_VISITED = 40


class Comments:
    """What stands behind each line. It holds text from outside: ``printable`` comes before it is written."""

    def __init__(self, graph: Graph, backward: Collection[int], paths: Sequence[str]) -> None:
        self._graph = graph
        self._loss = loss_name(graph)
        self._named = dict(zip(graph.inputs, paths, strict=True)) | dict(graph.names)
        self._backward = backward
        self._primal_of = {ct: primal for primal, ct in graph.cotangents.items() if primal in self._named}
        self._laws: dict[int, tuple[str, ...]] = {}
        self._remarks: dict[int, str] = {}
        self._written_out: set[int] = set()
        for fired in graph.fired:
            if not fired.law and fired.after:
                self._remarks[fired.result] = fired.after
            elif not fired.law:
                self._written_out.add(fired.result)
            elif fired.law not in self._laws.get(fired.result, ()):
                self._laws[fired.result] = (*self._laws.get(fired.result, ()), fired.law)

    def of(self, node: Node) -> str:
        """The comment of the line that computes ``node``: ``net.py:11 [bce-of-sigmoid]``."""
        told = self._chain_rule(node) if node.id in self._backward else self._source(node)
        most = 1 if node.id in self._written_out else MOST_LAWS
        laws = [f"[{law}]" for law in self._laws.get(node.id, ())[:most]]
        return " ".join([told, *laws] if told else laws)

    def _source(self, node: Node) -> str:
        if node.id in self._remarks:
            return self._remarks[node.id]
        origins = self._graph.origins.get(node.id, ())
        if not origins:
            return ""
        place, text = str(origins[0]), _formula(origins[0].text)
        if node.id in self._written_out and 0 < len(text) <= LONGEST - len(place):
            return f"{place}: {text}"
        return place

    def _chain_rule(self, node: Node) -> str:
        """``dL/da1 * da1/dz1`` where the named value z1 reaches the result through the named value a1 alone."""
        primal = self._primal_of.get(node.id)
        if primal is None:
            return ""
        users = self._named_users(primal)
        if len(users) != 1:
            return f"through {', '.join(users)}" if users and len(users) <= 4 else ""
        q, (r,) = self._named[primal], users
        if q == r:
            return ""
        return f"d{self._loss}/d{r} * d{r}/d{q}"

    def _named_users(self, primal: int) -> list[str]:
        """The named values next to ``primal`` on its way to the result."""
        graph, found, seen = self._graph, dict[str, None](), {primal}
        stack = [primal]
        while stack and len(seen) < MOST_VISITED:
            for user in graph.consumers[stack.pop()]:
                if user in seen or user in self._backward:
                    continue
                seen.add(user)
                if user in graph.names and user in graph.cotangents:
                    found[graph.names[user]] = None
                else:
                    stack.append(user)
        return [] if stack else list(found)


def loss_name(graph: Graph) -> str:
    """What the first primal result is called: the user's name for it, L for a number, ``result`` for an array."""
    if not graph.outputs or graph.outputs[0] in graph.cotangents.values():
        return "L"
    first = graph.nodes[graph.outputs[0]]
    default = "L" if first.aval.is_float and not first.aval.shape else "result"
    return identifier(graph.names.get(first.id, default))


def _formula(line: str) -> str:
    """What a line of the user's assigns or returns; nothing where it does neither, or is a part of that."""
    try:
        (statement,) = ast.parse(line.strip()).body
    except (SyntaxError, ValueError):
        return ""
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.Return) or statement.value is None:
        return ""
    return ast.get_source_segment(line.strip(), statement.value) or ""


def printable(text: str) -> str:
    """One line, without control characters: nothing from outside ends a comment."""
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()
