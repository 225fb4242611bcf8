"""What a trace wrote down: nodes as they were made, put in order when somebody asks for the graph."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from gradc import config
from gradc.frontend.names import Call
from gradc.frontend.tape import Tape
from gradc.frontend.tree import TreeDef
from gradc.ir.digest import digest_of, graph_digest
from gradc.ir.draft import Draft
from gradc.ir.graph import Graph, Value

_ORDERING: Final = threading.RLock()
"""Held while a tape becomes nodes, by one of the threads that ask at once."""


class Ordered(NamedTuple):
    """The graph, and what is told of it by its node ids (see ``Trace``)."""

    graph: Graph
    constants: Mapping[int, str]
    inner_names: Mapping[int, str]
    calls: tuple[Call, ...]


class Parts(NamedTuple):
    """What a trace leaves: ``constants`` are nodes of arrays from outside, by the user's names.

    ``results`` are numbers of traced values: the leaves of ``out_tree``, and more with names of their own.
    """

    tape: Tape
    constants: Mapping[int, str]
    results: Sequence[int]
    out_tree: TreeDef
    more_names: Sequence[str]


class Written:
    """The nodes of a trace that has ended. Once they are in order nothing else is kept of them."""

    def __init__(self, parts: Parts | None, ordered: Ordered | None = None) -> None:
        self._parts = parts
        self._ordered = ordered
        self._digest = ""

    @property
    def draft(self) -> Draft:
        """The graph, to be put in order."""
        return Draft(lambda: self.ordered().graph, self.digest)

    def ordered(self) -> Ordered:
        """The graph and what is told of it."""
        with _ORDERING:
            return self._put_in_order()

    def _put_in_order(self) -> Ordered:
        parts = self._parts
        if parts is not None:
            if config.cache_dir.value:
                self.digest()
            tape, constants, results, out_tree, more_names = parts
            tape.settle()
            builder, recorder = tape.builder, tape.recorder
            builder.rest()
            outputs = [Value(builder, tape.image[number]) for number in results]
            names = builder.tables.names
            for node, (depth, name) in recorder.names.items():
                if depth == 0:
                    names.setdefault(node, name)
            order = builder.kept(outputs)
            image = {old: new for new, old in enumerate(order)}
            self._ordered = Ordered(
                builder.freeze(outputs, [*_output_names(out_tree, outputs, names), *more_names], order),
                MappingProxyType({image[i]: name for i, name in constants.items() if i in image}),
                MappingProxyType({image[i]: n for i, (depth, n) in recorder.names.items() if depth and i in image}),
                recorder.helper_calls(image, {v.id for v in outputs}),
            )
            self._parts = None
        assert self._ordered is not None
        return self._ordered

    def digest(self) -> str:
        """The digest of all that was written, used or not."""
        parts = self._parts
        if not self._digest:
            if parts is None:
                self._digest = graph_digest(self.ordered().graph)
            else:
                tape, _, results, out_tree, more_names = parts
                self._digest = digest_of(
                    tape.builder.nodes,
                    tape.builder.tables,
                    (tape.told(), tape.recorder.standing(), out_tree.paths("result"), list(more_names)),
                    (tape.entries, tape.image, results),
                )
        return self._digest


def written_of(graph: Graph) -> Written:
    """A graph of whose trace nothing else is known."""
    return Written(None, Ordered(graph, {}, {}, ()))


def _output_names(out_tree: TreeDef, values: Sequence[Value], names: Mapping[int, str]) -> list[str]:
    """What the results are called: the user's variable for a single one, else the path in the returned tree."""
    paths = out_tree.paths("result")
    return [names.get(v.id, path) if out_tree.is_leaf else path for v, path in zip(values, paths, strict=False)]
