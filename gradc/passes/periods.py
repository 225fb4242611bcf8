"""Finding recurrences that were unrolled: stretches of a graph in which the same nodes come again and again.

The nodes stand in the order in which they were made, but for constants, for what only moves inputs, which are leaves,
made where they are first used, and for the rows of recurrences that are rolled already, which a gradient reads in the
other direction. A stretch of ``count`` steps of ``period`` nodes is one where node j of every
step has the same op, params and aval, and where each of its operands is one of

    the same node in every step, made before the stretch
    node i of the same step, or of a fixed number of steps before (for the first steps: whatever was there instead)
    in every step another leaf, or another row of a recurrence before the stretch

Candidates for the period are the distances at which nodes with the same history come again; each is checked exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from gradc.ir.aval import Dim
from gradc.ir.graph import CONSTANT, INPUT, Graph, Node
from gradc.ops.control import scan
from gradc.ops.shape import slice_

LEAST_COUNT: Final = 8
"""Fewer steps than this stay as they are."""
LEAST_SAVED: Final = 1000
"""A stretch is worth rolling where it has this many nodes more than one step,"""
OF_ARRAYS: Final = 8
"""each node on arrays counted this often in steps with contractions: they are loops of their own in any case, and take
LLVM as long as so many nodes of scalars,"""
LEAST_HEAVY: Final = 32
"""or this many where nothing is lost by computing each step by itself,"""
HEAVY: Final = 1_000_000
"""since the contractions of one take this many floating-point operations."""

LEAST_TOGETHER: Final = 100
"""What each of several stretches has to save where one reads what another made, as a gradient does: all together save
LEAST_SAVED then, and half of the graph."""

_CANDIDATES: Final = 12
_MOST_OPERANDS: Final = 8
_FARTHEST: Final = 3
"""How many steps back an operand may lie."""
_ROUNDS: Final = 3


class Fixed(NamedTuple):
    """An operand that is the same node in every step."""

    node: int


class Within(NamedTuple):
    """An operand that is a node of the same step."""

    place: int


class Before(NamedTuple):
    """An operand that is a node of the step ``lag`` steps before; ``first`` stands for it in the first ``lag``."""

    place: int
    lag: int
    first: tuple[int, ...]


class Varying(NamedTuple):
    """An operand that is another leaf in every step."""

    nodes: tuple[int, ...]


Operand = Fixed | Within | Before | Varying


@dataclass(frozen=True, slots=True)
class Stretch:
    """``nodes[k, j]`` is node j of step k, ``before`` are the nodes before, ``operands[j]`` tells what operands are."""

    nodes: np.ndarray
    before: frozenset[int]
    operands: tuple[tuple[Operand, ...], ...]

    @property
    def count(self) -> int:
        return int(self.nodes.shape[0])

    @property
    def period(self) -> int:
        return int(self.nodes.shape[1])


def leaves(graph: Graph) -> bytearray:
    """Which nodes are inputs, constants, or only move the elements of such."""
    found = bytearray(len(graph.nodes))
    for node in graph.nodes:
        moves = len(node.operands) == 1 and _moves(node)
        found[node.id] = node.op is INPUT or node.op is CONSTANT or (moves and found[node.operands[0]])
    return found


def arrays_behind(graph: Graph) -> list[int]:
    """For each node that only moves the result of a recurrence that was rolled, or rows of some other array of which
    many are read, that node; -1 for others."""
    slices = Counter(node.operands[0] for node in graph.nodes if node.op is slice_)
    is_leaf = leaves(graph)
    found = [-1] * len(graph.nodes)
    for node in graph.nodes:
        if len(node.operands) == 1 and _moves(node) and not is_leaf[node.id]:
            below = node.operands[0]
            starts = graph.nodes[below].op is scan or (node.op is slice_ and slices[below] >= LEAST_COUNT)
            found[node.id] = below if starts and found[below] < 0 else found[below]
    return found


def _moves(node: Node) -> bool:
    return node.op.loops is not None and not node.op.elementwise


def longest_stretch(graph: Graph, saved: int | None = None) -> Stretch | None:
    """The longest recurrence in a graph that is worth rolling: that saves LEAST_SAVED nodes, or so many."""
    saved = LEAST_SAVED if saved is None else saved
    flops = sum(flops_of(graph))
    least = min(saved, LEAST_HEAVY) if flops >= LEAST_COUNT * HEAVY else saved // OF_ARRAYS if flops else saved
    return _Finder(graph, saved).run() if len(graph.nodes) >= least else None


def flops_of(graph: Graph) -> list[int]:
    """The floating-point operations of each node's contraction: 0 for other nodes, and for symbolic sizes."""
    found = []
    for node in graph.nodes:
        flops: Dim = 0
        if node.op.name == "contract":
            flops = node.op.cost(node.aval, *[graph.nodes[i].aval for i in node.operands], **node.params).flops
        found.append(flops if isinstance(flops, int) else 0)
    return found


class _Finder:
    def __init__(self, graph: Graph, saved: int) -> None:
        self.graph = graph
        self.saved = saved
        leaf, self.behind = leaves(graph), arrays_behind(graph)
        self.order = self._ordered([n for n in graph.nodes if not leaf[n.id] and self.behind[n.id] < 0])
        self.place = np.full(len(graph.nodes) + 1, -1, np.int64)
        """Where in ``order`` a node stands; -1 for leaves, and at the end for no node."""
        self.place[self.order] = np.arange(len(self.order))
        self.work = np.array(flops_of(graph), np.int64)[self.order]
        self.is_array = np.array([node.aval.size != 1 for node in graph.nodes])[self.order]
        self.tokens = self._tokens()
        self.crossing = self._crossing()

    def _ordered(self, nodes: Sequence[Node]) -> np.ndarray:
        """Ids in the order in which nodes were made, but for sums of two of them, which follow the later one.

        So what steps contribute to one sum is added up in the steps, though a gradient adds it up at the end.
        """
        key: dict[int, int] = {}
        for node in nodes:
            terms = [key[i] for i in node.operands if i in key]
            key[node.id] = max(terms) if node.op.name == "add" and len(terms) == 2 else node.id
        return np.array(sorted(key, key=lambda i: (key[i], i)), np.int64)

    def _tokens(self) -> np.ndarray:
        """Equal numbers for nodes of the same op, params and aval."""
        known: dict[Any, int] = {}
        tokens = []
        for i in self.order.tolist():
            node = self.graph.nodes[i]
            key = (node.op.name, node.aval, len(node.operands), getattr(node.params, "key", None) or repr(node.params))
            tokens.append(known.setdefault(key, len(known)))
        return np.array(tokens, np.int64)

    def _crossing(self) -> np.ndarray:
        """How many values live across each place of the order: made before it, used from it on."""
        size = len(self.order)
        last = np.arange(size)
        for i in self.order.tolist():
            for operand in self.graph.nodes[i].operands:
                at = self.place[operand]
                if at >= 0:
                    last[at] = self.place[i]
        for output in self.graph.outputs:
            if self.place[output] >= 0:
                last[self.place[output]] = size
        change = np.zeros(size + 2, np.int64)
        np.add.at(change, np.arange(size) + 1, 1)
        np.add.at(change, last + 1, -1)
        return np.cumsum(change)[:-1]

    def run(self) -> Stretch | None:
        for period, start, stop in self._candidates():
            found = self._fitted(period, start, stop)
            if found is not None:
                return found
        return None

    def _candidates(self) -> Iterator[tuple[int, int, int]]:
        """Periods and the stretches where the tokens repeat by them: long ones first, of these short periods."""
        found = []
        for period in self._distances():
            same = np.concatenate([[False], self.tokens[period:] == self.tokens[:-period], [False]])
            edges = np.flatnonzero(same[1:] != same[:-1])
            starts, stops = edges[::2], edges[1::2]
            if not len(starts):
                continue
            longest = int(np.argmax(stops - starts))
            start, stop = int(starts[longest]), int(stops[longest]) + period
            if self._is_worth((stop - start) // period, period, start):
                found.append((period, start, stop))
        most = max((stop - start for _, start, stop in found), default=0)
        found.sort(key=lambda c: (c[2] - c[1] < 0.9 * most, c[0]))
        yield from found

    def _distances(self) -> list[int]:
        """The most frequent distances between a node and the last one before with the same history."""
        words = self._histories()
        order = np.argsort(words, kind="stable")
        again = words[order][1:] == words[order][:-1]
        distances = np.diff(order)[again]
        counts = np.bincount(distances[distances <= len(words) // LEAST_COUNT], minlength=1)
        ranked = np.argsort(-counts * np.arange(len(counts)), kind="stable")[:_CANDIDATES]
        return [int(d) for d in ranked if d > 0 and counts[d] > 0]

    def _histories(self) -> np.ndarray:
        """A number for each node that tells it and the nodes some steps above it (by hash: a guess, checked later)."""
        columns = []
        for slot in range(_MOST_OPERANDS):
            ids = [
                node[slot] if len(node) > slot else -1 for node in (self.graph.nodes[i].operands for i in self.order)
            ]
            columns.append(self.place[np.array(ids, np.int64)])
            if max(ids) < 0:
                break
        own = (self.tokens.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        words = own
        for _ in range(_ROUNDS):
            mixed = own
            for column in columns:
                above = np.where(column >= 0, words[column], np.uint64(7))
                mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) + above
            words = mixed
        return words

    def _is_worth(self, count: int, period: int, start: int) -> bool:
        work = int(self.work[start : start + period].sum())
        least = min(self.saved, LEAST_HEAVY) if work >= HEAVY else self.saved
        weight = period
        if work and self.saved >= LEAST_SAVED:
            weight += (OF_ARRAYS - 1) * int(self.is_array[start : start + period].sum())
        return count >= LEAST_COUNT and (count - 1) * weight >= least

    # One candidate, exactly.

    def _fitted(self, period: int, start: int, stop: int) -> Stretch | None:
        """The stretch of that period inside of ``start`` to ``stop``, from where fewest values cross into a step."""
        steps = (stop - start) // period
        middle = start + period * (steps // 2)
        start += int(np.argmin(self.crossing[middle : middle + period]))
        count = (stop - start) // period
        while self._is_worth(count, period, start):
            nodes = self.order[start : start + count * period].reshape(count, period)
            checked = _Check(self, nodes, start)
            operands = checked.run()
            if operands is not None:
                return Stretch(nodes, frozenset(self.order[:start].tolist()), operands)
            if checked.hopeless:
                return None
            start += checked.skip * period
            count = min(count - checked.skip, checked.stop - checked.skip)
        return None


class _Check:
    """Tells what the operands of a stretch are. Where that fails, ``skip`` steps at its begin and those from ``stop``
    on are to blame, or it is ``hopeless``."""

    def __init__(self, finder: _Finder, nodes: np.ndarray, start: int) -> None:
        self.finder = finder
        self.nodes = nodes
        self.start = start
        self.count, self.period = nodes.shape
        self.skip = 0
        self.stop = self.count
        self.hopeless = False
        self.firsts: dict[tuple[int, int], int] = {}

    def run(self) -> tuple[tuple[Operand, ...], ...] | None:
        all_nodes = self.finder.graph.nodes
        told = []
        for place in range(self.period):
            operands = np.array([all_nodes[i].operands for i in self.nodes[:, place].tolist()], np.int64)
            columns = [self._operand(place, column) for column in operands.reshape(self.count, -1).T]
            if self.skip or self.stop < self.count or self.hopeless:
                return None
            told.append(tuple(c for c in columns if c is not None))
        return tuple(told)

    def _operand(self, place: int, ids: np.ndarray) -> Operand | None:
        at = self.finder.place[ids]
        if (ids == ids[0]).all():
            self.hopeless |= not self._is_made(int(ids[0]))
            if at[0] < self.start:
                return Fixed(int(ids[0]))
            self.skip = max(self.skip, (int(at[0]) - self.start) // self.period + 1)
            return None
        if (at < 0).all():
            behind = np.array([self.finder.behind[i] for i in ids.tolist()])
            of_one = behind == behind[self.count // 2]
            if behind[self.count // 2] >= 0 and not of_one.all():  # in some steps at the ends no row of that recurrence
                self._trim(~of_one)
                return None
            alike = len({self._kind(i) for i in ids.tolist()}) == 1
            self.hopeless |= not (alike and all(map(self._is_made, ids.tolist())))
            return Varying(tuple(ids.tolist()))
        return self._relative(place, ids, at)

    def _trim(self, odd: np.ndarray) -> None:
        """Leave out the steps at the ends up to those that are odd."""
        middle, where = self.count // 2, np.flatnonzero(odd)
        self.skip = max(self.skip, int(where[where < middle].max(initial=-1)) + 1)
        self.stop = min(self.stop, int(where[where > middle].min(initial=self.count)))

    def _is_made(self, node: int) -> bool:
        """Whether a leaf or a row can be made before the stretch: leaves anywhere, rows after their recurrence."""
        return bool(self.finder.place[self.finder.behind[node]] < self.start)

    def _kind(self, node: int) -> tuple[Any, ...]:
        aval = self.finder.graph.nodes[node].aval
        return aval.shape, aval.dtype

    def _relative(self, place: int, ids: np.ndarray, at: np.ndarray) -> Operand | None:
        """An operand at the same distance in every step, once the recurrence is on its way."""
        middle = self.count // 2
        if at[middle] < 0:  # a leaf or a row, but in some steps at the ends
            self._trim(at >= 0)
            return None
        here = self.start + place + self.period * np.arange(self.count)
        distance = here - at
        regular = (at >= 0) & (distance == distance[middle])
        odd = np.flatnonzero(~regular)
        first = int(odd[odd < middle].max(initial=-1)) + 1
        self.stop = min(self.stop, int(odd[odd > middle].min(initial=self.count)))
        steps, source = divmod(place - int(distance[middle]), self.period)
        lag = -steps
        if lag > _FARTHEST or lag < 0:
            self.hopeless = True
            return None
        self.skip = max(self.skip, first - lag)
        firsts = tuple(ids[:lag].tolist())
        for k, node in enumerate(firsts):
            before = self.finder.place[node] < self.start and self._is_made(node)
            stands = before and self._kind(node) == self._kind(int(ids[-1]))
            if not stands or self.firsts.setdefault((source, lag - k), node) != node:
                self.skip = max(self.skip, k + 1)
        return Before(source, lag, firsts) if lag else Within(source)
