"""A graph that is put in order when somebody asks for it, and is known by its digest before."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from gradc.ir.digest import graph_digest
from gradc.ir.graph import Graph


class Draft:
    """``make`` gives the graph, ``digest`` what stands for it: equal where the graphs are, whoever made them alike."""

    def __init__(self, make: Callable[[], Graph], digest: Callable[[], str]) -> None:
        self._make = make
        self._digest = digest

    @cached_property
    def graph(self) -> Graph:
        """The graph."""
        return self._make()

    @cached_property
    def digest(self) -> str:
        """64 hexadecimal digits."""
        return self._digest()


def draft_of(graph: Graph) -> Draft:
    """The draft of a graph that is in order."""
    return Draft(lambda: graph, lambda: graph_digest(graph))
