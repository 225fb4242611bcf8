"""Rematerialization: which values are computed again where they are used, and which are kept, by a minimum cut.

A consumer far from where its values were made, as the reverse sweep is from the forward one, may have a value in two
ways: from an array, which costs writing and reading it, or by computing it again, which costs its operations and needs
its operands in turn. Each value is an edge ``made -> had`` with the cost of the array. ``there -> made`` has the cost
of the operations, and ``had -> made`` leads from an operand to what is computed of it, at no limit. The cheapest way to
have what is wanted is the minimum cut between ``there`` and the wanted (R. Bodik and T. Lengauer, and in frameworks of
today the partitioners of joint graphs). Of several such cuts it is the one that computes least again.

networkx has flows too, but importing it takes longer than most compilations.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

_UNLIMITED: Final = 1 << 60


class Quantity(NamedTuple):
    """A value that a consumer may want.

    operands  what it is computed of, by name
    compute   the cost of computing it again; None where that cannot be done
    keep      the cost of having it from an array, 0 where it is there anyway; None where there can be none
    """

    operands: tuple[int, ...]
    compute: int | None
    keep: int | None


def recomputed(values: Mapping[int, Quantity], wanted: Iterable[int]) -> frozenset[int]:
    """The values to compute again so that the wanted ones are had at the least cost. Costs are integers of one unit.

    Raises ValueError where a wanted value can neither be computed nor be kept.
    """
    network = _Network(2 * len(values) + 2)
    place = {name: 2 * k for k, name in enumerate(values)}
    there, sink = 2 * len(values), 2 * len(values) + 1
    for name, value in values.items():
        made, had = place[name], place[name] + 1
        network.connect(there, made, _UNLIMITED if value.compute is None else value.compute)
        network.connect(made, had, _UNLIMITED if value.keep is None else value.keep)
        for operand in value.operands:
            network.connect(place[operand] + 1, made, _UNLIMITED)
    for name in wanted:
        network.connect(place[name] + 1, sink, _UNLIMITED)
    if network.saturate(there, sink) >= _UNLIMITED:
        raise ValueError("a wanted value can neither be computed nor be kept")
    late = network.leading_to(sink)
    return frozenset(name for name in values if place[name] in late)


class _Network:
    """A flow network: edges come in pairs, the second one back, with what may still flow along each."""

    def __init__(self, nodes: int) -> None:
        self.edges: list[list[int]] = [[] for _ in range(nodes)]
        self.head: list[int] = []
        self.left: list[int] = []

    def connect(self, tail: int, head: int, capacity: int) -> None:
        for start, end, flow in ((tail, head, capacity), (head, tail, 0)):
            self.edges[start].append(len(self.head))
            self.head.append(end)
            self.left.append(flow)

    def saturate(self, source: int, sink: int) -> int:
        """Send as much as flows, along shortest paths (Edmonds and Karp), and say how much that is."""
        total = 0
        while total < _UNLIMITED:
            path = self._path(source, sink)
            if not path:
                break
            flow = min(self.left[edge] for edge in path)
            for edge in path:
                self.left[edge] -= flow
                self.left[edge ^ 1] += flow
            total += flow
        return total

    def leading_to(self, sink: int) -> set[int]:
        """The nodes from which more could still flow into the sink."""
        found, queue = {sink}, [sink]
        while queue:
            for edge in self.edges[queue.pop()]:
                if self.left[edge ^ 1] and self.head[edge] not in found:
                    found.add(self.head[edge])
                    queue.append(self.head[edge])
        return found

    def _path(self, source: int, sink: int) -> list[int]:
        """The edges of a shortest path along which something may flow; none where there is no such path."""
        came: dict[int, int] = {source: -1}
        queue = deque((source,))
        while queue and sink not in came:
            for edge in self.edges[queue.popleft()]:
                if self.left[edge] and self.head[edge] not in came:
                    came[self.head[edge]] = edge
                    queue.append(self.head[edge])
        path: list[int] = []
        node = sink
        while came.get(node, -1) >= 0:
            path.append(came[node])
            node = self.head[came[node] ^ 1]
        return path
