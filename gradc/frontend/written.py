"""What a trace wrote down: nodes as they were made, put in order when somebody asks for the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from gradc import config
from gradc.frontend.names import Call, Recorder
from gradc.ir.digest import digest_of, graph_digest
from gradc.ir.draft import Draft
from gradc.ir.graph import Builder, Graph, Value


class Ordered(NamedTuple):
    """The graph, and what is told of it by its node ids (see ``Trace``)."""

    graph: Graph
    constants: Mapping[int, str]
    inner_names: Mapping[int, str]
    calls: tuple[Call, ...]


class Parts(NamedTuple):
    """What a trace leaves: ``constants`` are nodes of arrays from outside, by the user's names."""

    builder: Builder
    recorder: Recorder
    constants: Mapping[int, str]
    outputs: Sequence[Value]
    output_names: Sequence[str]


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
        """The graph and what is told of it. Threads that ask at once each put it in order."""
        parts = self._parts
        if parts is not None:
            if config.cache_dir.value:
                self.digest()
            builder, recorder, constants, outputs, output_names = parts
            order = builder.kept(outputs)
            image = {old: new for new, old in enumerate(order)}
            self._ordered = Ordered(
                builder.freeze(outputs, output_names, order),
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
                nodes, tables = parts.builder.nodes, parts.builder.tables
                outputs = [value.id for value in parts.outputs]
                self._digest = digest_of(nodes, outputs, parts.output_names, tables.names, tables.origins, {})
        return self._digest


def written_of(graph: Graph) -> Written:
    """A graph of whose trace nothing else is known."""
    return Written(None, Ordered(graph, {}, {}, ()))
