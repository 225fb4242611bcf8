"""The graph of a computation: nodes in creation order, hash-consed while it grows, frozen when kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gradc.errors import GradcError, ShapeError
from gradc.ir.aval import Aval, SymbolicDim, aval_of, size_of
from gradc.ir.node import CONSTANT, INPUT, Fired, Node, Origin, Params, Tables, new_node, node_key
from gradc.ir.op import REGISTRY, Op

if TYPE_CHECKING:
    import networkx

__all__ = ["CONSTANT", "INPUT", "Builder", "Fired", "Graph", "Node", "Origin", "Rewrite", "Value", "rebuild"]

Rewrite = Callable[["Builder", Op, tuple[int, ...], dict[str, Any]], "Value | None"]
"""Tried before a node is made; a Value it returns stands for the node."""


_ADDRESSES = 2**63
"""The number of places in memory that an index of NumPy's can tell apart."""


class Value:
    """A handle of a node in a builder, with arithmetic, so that rules read like mathematics.

    Numbers on either side become constants of the value's dtype and shape. Operands must agree in shape and
    dtype: broadcasting and conversion are explicit.
    """

    __slots__ = ("builder", "id")

    def __init__(self, builder: Builder, node: int) -> None:
        self.builder = builder
        self.id = node

    @property
    def node(self) -> Node:
        return self.builder.nodes[self.id]

    @property
    def aval(self) -> Aval:
        return self.builder.nodes[self.id].aval

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Value) and self.builder is other.builder and self.id == other.id

    def __hash__(self) -> int:
        return hash((id(self.builder), self.id))

    def __repr__(self) -> str:
        return f"<%{self.id} {self.node.op.name}: {self.aval}>"

    def _binary(self, name: str, other: Value | float, *, swapped: bool = False) -> Value:
        if not isinstance(other, Value):
            other = self.builder.full(other, self.aval)
        pair = (other, self) if swapped else (self, other)
        return self.builder.apply(REGISTRY[name], *pair)

    def __add__(self, other: Value | float) -> Value:
        return self._binary("add", other)

    def __radd__(self, other: float) -> Value:
        return self._binary("add", other, swapped=True)

    def __sub__(self, other: Value | float) -> Value:
        return self._binary("sub", other)

    def __rsub__(self, other: float) -> Value:
        return self._binary("sub", other, swapped=True)

    def __mul__(self, other: Value | float) -> Value:
        return self._binary("mul", other)

    def __rmul__(self, other: float) -> Value:
        return self._binary("mul", other, swapped=True)

    def __truediv__(self, other: Value | float) -> Value:
        return self._binary("div", other)

    def __rtruediv__(self, other: float) -> Value:
        return self._binary("div", other, swapped=True)

    def __neg__(self) -> Value:
        return self.builder.apply(REGISTRY["neg"], self)


class Builder:
    """A list of nodes that grows; equal nodes are one node.

    ``rewrite`` is tried on every node before it is made (canonicalization and folding at construction);
    without it the graph is kept as written. ``origin`` is attached to the nodes made while it is set.
    """

    def __init__(self, rewrite: Rewrite | None = None) -> None:
        self.nodes: list[Node] = []
        self.inputs: list[int] = []
        self.tables = Tables.empty()
        self.rewrite = rewrite
        self.origin: tuple[Origin, ...] = ()
        self.fired: list[Fired] = []
        self._constant: list[bool] = []
        self._known: dict[tuple[Any, ...], int] = {}
        self._once: dict[tuple[Any, ...], Value] = {}
        self._avals: dict[Aval, Aval] = {}

    def value(self, node: int) -> Value:
        """The handle of a node."""
        return Value(self, node)

    def input(self, name: str, aval: Aval) -> Value:
        """A new input; ``name`` is the user's path of it, ``w['hidden']``."""
        aval = self.interned(aval)
        value = self._append(INPUT, (), {"index": len(self.inputs), "name": name, "aval": aval}, aval, False)
        self.inputs.append(value.id)
        return value

    def constant(self, value: Any, *, weak: bool = False) -> Value:
        """A constant array or number, copied. Python numbers become 0-d arrays of their NumPy dtype."""
        aval_of(value)
        array = np.array(value)
        array.setflags(write=False)
        return self.apply(CONSTANT, value=array, weak=weak)

    def full(self, value: float, like: Aval) -> Value:
        """A number, converted to the dtype of ``like`` and broadcast to its shape."""
        key = (repr(value), like.dtype, like.shape)
        known = self._once.get(key)
        if known is None:
            known = self.constant(np.asarray(value, like.dtype))
            if like.shape:
                known = self.apply(REGISTRY["broadcast_to"], known, shape=like.shape)
            self._once[key] = known
        return known

    def once(self, key: tuple[Any, ...], make: Callable[[], Value]) -> Value:
        """What ``make`` gave when it was first asked for under ``key``."""
        known = self._once.get(key)
        if known is None:
            known = self._once[key] = make()
        elif self.origin:
            self.note(known.id)
        return known

    def apply(self, op: Op, *operands: Value, **params: Any) -> Value:
        """Apply ``op``; the node may exist already, or a rewrite may give another one."""
        for operand in operands:
            if operand.builder is not self:
                raise GradcError(f"{op.name}: an operand belongs to another graph")
        return self.apply_ids(op, tuple([v.id for v in operands]), params)

    def apply_ids(self, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value:
        """``apply`` for ids of this builder's nodes."""
        if params and type(params) is not Params:
            params = Params(params)
        key = node_key(op, ids, params)
        found = self._known.get(key)
        if found is not None:
            self.note(found)
            return Value(self, found)
        if self.rewrite is not None:
            better = self.rewrite(self, op, ids, params)
            if better is not None:
                self._known[key] = better.id
                return better
        nodes = self.nodes
        aval = self.interned(op.infer(*[nodes[i].aval for i in ids], **params))
        constant = True
        for i in ids:
            if not self._constant[i]:
                constant = False
                break
        value = self._append(op, ids, params, aval, constant)
        self._known[key] = value.id
        return value

    def again(self, op: Op, params: dict[str, Any], ids: tuple[int, ...], aval: Aval) -> int:
        """The id of ``op`` on operands for which the abstract value is known; nothing is rewritten."""
        key = node_key(op, ids, params)
        found = self._known.get(key)
        if found is not None:
            self.note(found)
            return found
        constant = all(self._constant[i] for i in ids)
        index = self._known[key] = self._append(op, ids, params, aval, constant).id
        return index

    def interned(self, aval: Aval) -> Aval:
        """The one object that stands for all equal abstract values among the nodes.

        Raises ShapeError for an array of more bytes than there are addresses: NumPy has none either.
        """
        known = self._avals.get(aval)
        if known is not None:
            return known
        size = size_of(aval.shape)
        if isinstance(size, int) and size * aval.dtype.itemsize >= _ADDRESSES:
            raise ShapeError(f"{aval} has more bytes than a machine has addresses; make arrays of fewer elements")
        self._avals[aval] = aval
        return aval

    def is_constant(self, value: Value) -> bool:
        """Whether the value depends on no input."""
        return self._constant[value.id]

    def scalar(self, value: Value) -> np.generic | None:
        """The one number that a constant holds everywhere, seen through broadcasts; None where there is none."""
        node = self.nodes[value.id]
        while node.op.name == "broadcast_to":
            node = self.nodes[node.operands[0]]
        if node.op is not CONSTANT or node.params["value"].size != 1:
            return None
        return node.params["value"].reshape(())[()]  # type: ignore[no-any-return]

    def name(self, value: Value, name: str) -> None:
        """Give a value the user's name; the first name stays."""
        self.tables.names.setdefault(value.id, name)

    def kept(self, outputs: Sequence[Value]) -> list[int]:
        """The ids that ``freeze`` keeps, in their new order: the inputs, then what the outputs need."""
        nodes = self.nodes
        needed = bytearray(len(nodes))
        for value in outputs:
            needed[value.id] = 1
        for i in range(len(nodes) - 1, -1, -1):
            if needed[i]:
                for operand in nodes[i].operands:
                    needed[operand] = 1
        return [*self.inputs, *(i for i in range(len(nodes)) if needed[i] and nodes[i].op is not INPUT)]

    def rest(self) -> None:
        """Let go of what is needed for new nodes alone: there will be none."""
        self.rewrite = None
        for table in (self._known, self._once, self._avals):
            table.clear()

    def freeze(
        self, outputs: Sequence[Value], output_names: Sequence[str] = (), order: Sequence[int] | None = None
    ) -> Graph:
        """The finished graph of the nodes that the outputs need, and all inputs; ``order`` is what ``kept`` gave."""
        return _pruned(self, outputs, tuple(output_names), self.kept(outputs) if order is None else order)

    def _append(self, op: Op, ids: tuple[int, ...], params: dict[str, Any], aval: Aval, constant: bool) -> Value:
        index = len(self.nodes)
        self.nodes.append(new_node(index, op, ids, params, aval))
        self._constant.append(constant)
        if self.origin:
            self.tables.origins[index] = self.origin
        return Value(self, index)

    def note(self, node: int) -> None:
        """Unite the origins of a node that is met again."""
        if self.origin and self.nodes[node].op is not INPUT:
            known = self.tables.origins.get(node)
            if known is None:
                self.tables.origins[node] = self.origin
            elif known is not self.origin and len(known) < 8:
                self.tables.origins[node] = known + tuple(o for o in self.origin if o not in known)


@dataclass(frozen=True, eq=False)
class Graph:
    """A closed computation: inputs to outputs. Node ids are their positions; operands come first.

    ``names``, ``origins`` and ``cotangents`` (primal node to the node of its cotangent) are tables over ids;
    ``output_names`` are the user's paths of the results; ``fired`` is the log of laws, newest last.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    output_names: tuple[str, ...]
    names: Mapping[int, str]
    origins: Mapping[int, tuple[Origin, ...]]
    cotangents: Mapping[int, int]
    fired: tuple[Fired, ...] = ()

    @property
    def input_avals(self) -> tuple[Aval, ...]:
        return tuple(self.nodes[i].aval for i in self.inputs)

    @property
    def output_avals(self) -> tuple[Aval, ...]:
        return tuple(self.nodes[i].aval for i in self.outputs)

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(self.nodes[i].params["name"] for i in self.inputs)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbolic sizes of the inputs, sorted."""
        found: set[str] = set()
        for aval in self.input_avals:
            for dim in aval.shape:
                if isinstance(dim, SymbolicDim):
                    found |= dim.symbols
        return tuple(sorted(found))

    @cached_property
    def consumers(self) -> tuple[tuple[int, ...], ...]:
        """For each node the ids of the nodes that use it, each once, in order."""
        users: list[list[int]] = [[] for _ in self.nodes]
        for node in self.nodes:
            for operand in dict.fromkeys(node.operands):
                users[operand].append(node.id)
        return tuple(map(tuple, users))

    @cached_property
    def digraph(self) -> networkx.DiGraph[int]:
        """The graph as a networkx DiGraph, edges from operand to user; every node carries ``node``, ``op``,
        ``operands`` (ordered, so that ``x * x`` needs no second edge), ``aval`` and ``name``."""
        import networkx

        graph: networkx.DiGraph[int] = networkx.DiGraph()
        graph.add_nodes_from(
            (
                n.id,
                {
                    "node": n,
                    "op": n.op.name,
                    "operands": n.operands,
                    "aval": str(n.aval),
                    "name": self.names.get(n.id, ""),
                },
            )
            for n in self.nodes
        )
        graph.add_edges_from((operand, n.id) for n in self.nodes for operand in n.operands)
        networkx.freeze(graph)
        return graph

    def replay(self, builder: Builder, inputs: Iterable[Value]) -> list[Value]:
        """Make the outputs again in another builder, from given input values; names and origins come along."""
        values = self.replay_all(builder, inputs)
        return [values[i] for i in self.outputs]

    def replay_all(self, builder: Builder, inputs: Iterable[Value]) -> list[Value]:
        """Like ``replay``, giving the new value of every node."""
        image: list[Value] = [None] * len(self.nodes)  # type: ignore[list-item]
        for node_id, value in zip(self.inputs, inputs, strict=True):
            image[node_id] = value
        outer = builder.origin
        names, origins = self.names, self.origins
        for node in self.nodes:
            if node.op is INPUT:
                continue
            builder.origin = origins.get(node.id, outer)
            new = builder.apply_ids(node.op, tuple([image[i].id for i in node.operands]), node.params)
            image[node.id] = new
            name = names.get(node.id)
            if name is not None:
                builder.tables.names.setdefault(new.id, name)
        builder.origin = outer
        return image

    def __str__(self) -> str:
        from gradc.ir.text import print_graph

        return print_graph(self)

    def __repr__(self) -> str:
        return f"<Graph: {len(self.inputs)} inputs, {len(self.nodes)} nodes, {len(self.outputs)} outputs>"


def rebuild(graph: Graph, rewrite: Rewrite | None) -> Graph:
    """The same function, its nodes passed through ``rewrite``; the input graph itself where nothing changed."""
    builder = Builder(rewrite)
    inputs = [builder.input(graph.nodes[i].params["name"], graph.nodes[i].aval) for i in graph.inputs]
    image = graph.replay_all(builder, inputs)
    for primal, ct in graph.cotangents.items():
        builder.tables.cotangents.setdefault(image[primal].id, image[ct].id)
    earlier = [f._replace(result=image[f.result].id) if f.result >= 0 else f for f in graph.fired]
    builder.fired = [*earlier, *builder.fired]
    return builder.freeze([image[i] for i in graph.outputs], graph.output_names)


def _pruned(builder: Builder, outputs: Sequence[Value], output_names: tuple[str, ...], order: Sequence[int]) -> Graph:
    nodes, tables = builder.nodes, builder.tables
    image = {old: new for new, old in enumerate(order)}
    kept = tuple(
        new_node(new, n.op, tuple([image[i] for i in n.operands]), n.params, n.aval)
        for new, n in enumerate(nodes[old] for old in order)
    )
    return Graph(
        nodes=kept,
        inputs=tuple(range(len(builder.inputs))),
        outputs=tuple(image[v.id] for v in outputs),
        output_names=output_names or tuple(f"out{k}" for k in range(len(outputs))),
        names={image[i]: name for i, name in tables.names.items() if i in image},
        origins={image[i]: o for i, o in tables.origins.items() if i in image},
        cotangents={image[p]: image[c] for p, c in tables.cotangents.items() if p in image and c in image},
        fired=tuple(f._replace(result=image.get(f.result, -1)) for f in builder.fired),
    )
