"""The step of a stretch as a graph of its own: what it reads from outside, and what it hands out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from gradc.ir.graph import CONSTANT, Builder, Graph, Node, Value
from gradc.ops.elementwise import convert
from gradc.ops.shape import broadcast_to
from gradc.passes.periods import Before, Fixed, Operand, Stretch, Varying, Within

_SMALL_CONSTANT: Final = 64


class Body:
    """The body of the step: which nodes of the graph its inputs and outputs stand for.

    ``states`` maps (place, lag) to the node of the first state, None where the body does not read it; ``rows`` the
    leaves of all steps to themselves and the movements above what the rows hold; ``fixed`` are nodes that stay.
    """

    def __init__(self, graph: Graph, stretch: Stretch) -> None:
        self.graph = graph
        self.stretch = stretch
        self.states: dict[tuple[int, int], int | None] = {}
        self.rows: dict[tuple[int, ...], tuple[tuple[int, ...], tuple[Node, ...]]] = {}
        self.fixed: dict[int, None] = {}
        self.emitted: list[int] = []
        for operands in stretch.operands:
            for operand in operands:
                self._enter(operand)

    def _enter(self, operand: Operand) -> None:
        match operand:
            case Before(place=place, lag=lag, first=first):
                for step in range(lag):
                    self.states[place, lag - step] = first[step]
            case Varying(nodes=ids):
                self.rows.setdefault(ids, (ids, self._chain(ids)))
            case Fixed(node=node):
                below = self._below(node)
                if below is not None:
                    self.fixed.setdefault(below)

    def _chain(self, ids: Sequence[int]) -> tuple[Node, ...]:
        """The movements that the leaves of all steps end with alike, last one first."""
        nodes = self.graph.nodes
        chain: list[Node] = []
        level = [nodes[i] for i in ids]
        while level[0].op is not CONSTANT and level[0].operands:
            first = level[0]
            if not all(n.op is first.op and n.params == first.params for n in level):
                break
            below = [nodes[n.operands[0]] for n in level]
            if not _alike(below) or below[0].id == below[-1].id:
                break
            chain.append(first)
            level = below
        return tuple(chain)

    def _below(self, node_id: int) -> int | None:
        """What of a fixed operand comes from outside: the body repeats broadcasts and small constants itself."""
        node = self.graph.nodes[node_id]
        while node.op is broadcast_to:
            node = self.graph.nodes[node.operands[0]]
        return None if _is_small_constant(node) else node.id

    def hand_out(self, place: int, steps: Sequence[int]) -> None:
        """Say that the node is used outside, as it was in these steps."""
        count = self.stretch.count
        if all((place, count - step) in self.states for step in steps):
            return
        if list(steps) == [count - 1]:
            self.states[place, 1] = None
        elif place not in self.emitted:
            self.emitted.append(place)

    def described(self) -> Graph | None:
        """The body as a graph; None where its states and results are not floats of one dtype."""
        nodes, stretch = self.graph.nodes, self.stretch
        builder = Builder()
        used: set[str] = set()
        states = {
            (place, lag): builder.input(self._name(place, used), nodes[int(stretch.nodes[-1, place])].aval)
            for place, lag in self.states
        }
        rows: dict[tuple[int, ...], Value] = {}
        for ids, (_, chain) in self.rows.items():
            below = nodes[chain[-1].operands[0] if chain else ids[0]]
            rows[ids] = builder.input(_unused("row", used), below.aval)
        fixed = {i: builder.input(_unused(self.graph.names.get(i, "fixed"), used), nodes[i].aval) for i in self.fixed}
        for ids, (_, chain) in self.rows.items():
            for node in reversed(chain):
                rows[ids] = builder.apply_ids(node.op, (rows[ids].id,), node.params)
        made: list[Value] = []

        def value(operand: Operand) -> Value:
            match operand:
                case Within(place=place):
                    return made[place]
                case Before(place=place, lag=lag):
                    return states[place, lag]
                case Varying(nodes=ids):
                    return rows[ids]
                case Fixed(node=node):
                    return _again(builder, self.graph, node, fixed)

        for place, operands in enumerate(stretch.operands):
            node = nodes[int(stretch.nodes[-1, place])]
            builder.origin = self.graph.origins.get(node.id, ())
            result = builder.apply_ids(node.op, tuple([value(o).id for o in operands]), node.params)
            made.append(result)
            if node.id in self.graph.names:
                builder.name(result, self.graph.names[node.id])
        following = [made[place] if lag == 1 else states[place, lag - 1] for place, lag in self.states]
        floats = next((v.aval.dtype for v in (*following, *made) if v.aval.dtype.kind == "f"), None)
        if floats is None:
            return None
        outputs = [*following, *(as_row(made[place], floats) for place in self.emitted)]
        dtypes = {v.aval.dtype for v in outputs}
        if len(dtypes) != 1 or dtypes.pop().kind != "f":
            return None
        return builder.freeze(outputs, [_unused("next", used) for _ in outputs])

    def _name(self, place: int, used: set[str]) -> str:
        node = int(self.stretch.nodes[-1, place])
        return _unused(self.graph.names.get(node, "state"), used)


def _again(builder: Builder, graph: Graph, node_id: int, fixed: dict[int, Value]) -> Value:
    """A fixed operand in the body: an input, a constant, or a broadcast of one."""
    if node_id in fixed:
        return fixed[node_id]
    node = graph.nodes[node_id]
    below = tuple([_again(builder, graph, i, fixed).id for i in node.operands])
    return builder.apply_ids(node.op, below, node.params)


def _alike(nodes: Sequence[Node]) -> bool:
    """Whether nodes have one shape and one dtype."""
    return len({(n.aval.shape, n.aval.dtype) for n in nodes}) == 1


def _is_small_constant(node: Node) -> bool:
    return node.op is CONSTANT and node.params["value"].size <= _SMALL_CONSTANT


def as_row(value: Value, dtype: np.dtype) -> Value:
    """A value as it is emitted among floats: conditions are 0 and 1."""
    return convert(value, dtype=dtype) if value.aval.dtype == np.bool_ else value


def _unused(wanted: str, used: set[str]) -> str:
    name, number = wanted, 2
    while name in used:
        name, number = f"{wanted}_{number}", number + 1
    used.add(name)
    return name
