"""What is planned before statements are written: stages, and how they hang together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gradc.ir.aval import Dim
from gradc.ir.graph import Graph, Node
from gradc.ir.op import Op
from gradc.loops.lowering.indexing import AnyIndex, Indices, axis

Order = tuple[int, int]
"""The rank of a stage: its node, and the number of the part."""
StageKind = Literal["map", "reduce", "write", "call"]
Element = tuple[int, Indices]
"""An element of a node's value: the node and an index over the axes of a stage."""


@dataclass(frozen=True, slots=True)
class Member:
    """A node computed at an index, from elements found at other nodes."""

    node: int
    index: Indices
    operands: tuple[Element, ...]


@dataclass(eq=False, slots=True)
class Stage:
    """Loops that compute or write one value, of node ``node``.

    order     its rank
    kind      ``map`` stores an element for each iteration, ``reduce`` combines terms, ``write`` puts a part into place
              (of ``update_slice``, ``scatter``, ``concatenate``), ``call`` works on whole arrays: a contraction, or
              loops of its own (``gradc.loops.triangular``)
    extents   the lengths of its loops, in order; axes of one element have no loop
    source    the element that an iteration stores or combines
    place     where in the array of ``node`` it goes
    reduced   reduce: the axes that are combined
    combine   reduce, write: the primitive that combines; empty to overwrite
    members   what an iteration computes, in order
    views     call: the arrays of the operands, as elements over the operands' own axes
    reads     elements of other stages' nodes that an iteration needs; None stands for the whole array
    """

    node: int
    order: Order
    kind: StageKind
    extents: tuple[Dim, ...] = ()
    source: Element | None = None
    place: Indices = ()
    reduced: frozenset[int] = frozenset()
    combine: str = ""
    members: list[Member] = field(default_factory=list)
    views: list[Element] = field(default_factory=list)
    reads: list[tuple[int, Indices | None]] = field(default_factory=list)

    @property
    def defines_value(self) -> bool:
        """Whether it makes all of the node's value, element by element."""
        return self.kind in ("map", "reduce")

    @property
    def kept_inside(self) -> list[int]:
        """The loops of a reduction that are inside its first reduced one and not summed over."""
        return [a for a in range(min(self.reduced), len(self.extents)) if a not in self.reduced]


Demands = dict[tuple[Stage, Indices | None], None]
"""The places that use a node, in order: the stage and the index there; None stands for the whole array."""


@dataclass(frozen=True, slots=True)
class Guest:
    """Where a node lives that is a part of a concatenation ``host``: from ``start`` on in the array of its home."""

    host: int
    start: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages of a graph in an order that can be run.

    ``makers`` are the stages that write each node's array. ``home[n]`` is the node in whose array node n lives: a
    write whose base is not needed afterwards works in the array of the base, and one of the ``guests`` is a part of it.
    ``results[k]`` is the node of output k. ``doubles`` is whether sums and products of small floats keep double
    precision.
    """

    graph: Graph
    stages: tuple[Stage, ...]
    makers: dict[int, list[Stage]]
    home: dict[int, int]
    results: tuple[int, ...]
    guests: dict[int, Guest] = field(default_factory=dict)
    doubles: bool = True

    def origin(self, node: int) -> Node:
        """The node of the graph that a planned node is, or is a copy of."""
        nodes = self.graph.nodes
        return nodes[node] if node < len(nodes) else nodes[self.graph.outputs[node - len(nodes)]]

    def at_home(self, node: int, index: Indices) -> Element:
        """An element of a node as one of the node in whose array it lives."""
        guest = self.guests.get(node)
        if guest is not None:
            index = tuple(i + start for i, start in zip(index, guest.start, strict=True))
        return self.home.get(node, node), index


def identity(shape: tuple[Dim, ...]) -> tuple[Indices, tuple[Dim, ...]]:
    """The index of an array's own elements, and the lengths of the loops over them."""
    indices: list[AnyIndex] = []
    extents: list[Dim] = []
    for length in shape:
        indices.append(axis(len(extents), length))
        if length != 1:
            extents.append(length)
    return tuple(indices), tuple(extents)


def is_move(op: Op) -> bool:
    """Whether an op only moves elements: its element rule maps an index of the result to one of the operand."""
    return op.loops is not None and not op.elementwise
