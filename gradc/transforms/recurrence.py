"""The derivative of a step: the step that runs forward and saves what its reverse needs, and the reverse step.

Both are cut out of one graph, the step with its adjoint. What the reverse step needs of the forward one is read again
where it is an operand, computed again where that takes a few cheap operations on what is there, and saved otherwise:
the forward scan emits it as a row. The cotangent of an operand that is the same in every step adds up in a state, one
contribution after the other, as in the adjoint of the unrolled steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gradc.errors import DerivativeError
from gradc.ir.graph import CONSTANT, INPUT, Builder, Graph, Node, Rewrite, Value
from gradc.ops.control import Pullback
from gradc.transforms.adjoint import adjoint

Simplify = Callable[[Graph], Graph]

_CHEAP: Final = frozenset({
    "add", "sub", "mul", "neg", "abs", "sign", "select", "maximum", "minimum", "convert", "eq", "ne", "lt", "le", "gt",
    "ge", "logical_and", "logical_or", "logical_xor", "logical_not", "isfinite", "isnan", "concatenate",
})  # fmt: skip
_DEEPEST: Final = 2
"""A value that is this many cheap operations away from what is there is computed again."""


def with_pullback(
    body: Graph,
    states: int,
    rows: int,
    active: Sequence[bool],
    pulled: Sequence[bool],
    rewrite: Rewrite,
    simplify: Simplify,
) -> tuple[Graph, Pullback] | None:
    """The body that saves what its pullback needs, and the pullback.

    ``body`` takes the states, a row of each array of rows and what is fixed; ``active`` says of which inputs a
    cotangent is wanted, ``pulled`` which emitted values have one. None where the step is not differentiated as a step:
    for an op without a derivative, where a branch that was not taken reaches from one step into another, so that the
    adjoint has to know of it, and where cotangents are of several dtypes, which one array of results cannot hold.
    """
    joint = _Joint(body, states, rows, active, pulled)
    try:
        graph = simplify(joint.graph(rewrite))
    except DerivativeError:
        return None
    if len({aval.dtype for aval in graph.output_avals}) > 1:
        return None
    return _Cut(graph, joint).run(simplify)


@dataclass
class _Joint:
    """The step and its adjoint in one graph, and what its inputs and outputs are."""

    body: Graph
    states: int
    rows: int
    active: Sequence[bool]
    pulled: Sequence[bool]
    active_states: tuple[int, ...] = ()
    active_rows: tuple[int, ...] = ()
    active_fixed: tuple[int, ...] = ()
    emitted: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        body, first_fixed = self.body, self.states + self.rows
        wanted = [k for k, flag in enumerate(self.active) if flag]
        depends = {body.inputs[k] for k in wanted}
        for node in body.nodes:
            if any(i in depends for i in node.operands):
                depends.add(node.id)
        emitted = body.outputs[self.states :]
        self.active_states = tuple(k for k in wanted if k < self.states)
        self.emitted = tuple(k for k, node in enumerate(emitted) if node in depends and self.pulled[k])
        pulled = {*(body.outputs[k] for k in self.active_states), *(emitted[k] for k in self.emitted)}
        for node in reversed(body.nodes):
            if node.id in pulled:
                pulled.update(node.operands)
        having = [k for k in wanted if body.inputs[k] in pulled]
        self.active_rows = tuple(k - self.states for k in having if self.states <= k < first_fixed)
        self.active_fixed = tuple(k - first_fixed for k in having if k >= first_fixed)

    def graph(self, rewrite: Rewrite) -> Graph:
        """Inputs: those of the body, the cotangents of its active results, the sums of active fixed operands so far.

        Outputs: those of the body, then the cotangents of active states, the sums, the cotangents of active rows.
        """
        body, builder = self.body, Builder(rewrite)
        inputs = [builder.input(body.nodes[i].params["name"], body.nodes[i].aval) for i in body.inputs]
        results = body.replay(builder, inputs)
        fixed = [inputs[self.states + self.rows + k] for k in self.active_fixed]
        pulled = [*(results[k] for k in self.active_states), *(results[self.states + k] for k in self.emitted), *fixed]
        cts = [builder.input(f"ct {k}", value.aval) for k, value in enumerate(pulled)]
        targets = [
            *(inputs[k] for k in self.active_states), *fixed, *(inputs[self.states + k] for k in self.active_rows)
        ]  # fmt: skip
        found = adjoint(builder, pulled, cts, targets, masked=False)
        cotangents = [builder.full(0, t.aval) if f is None else f for f, t in zip(found, targets, strict=True)]
        return builder.freeze([*results, *cotangents], [f"out{k}" for k in range(len(results) + len(cotangents))])


class _Cut:
    """Cuts a joint graph in two."""

    def __init__(self, graph: Graph, joint: _Joint) -> None:
        self.graph = graph
        self.joint = joint
        self.given = len(joint.body.inputs)
        self.backward = bytearray(len(graph.nodes))
        self.constant = bytearray(len(graph.nodes))
        for node in graph.nodes:
            late = node.op is INPUT and node.params["index"] >= self.given
            self.backward[node.id] = late or any(self.backward[i] for i in node.operands)
            self.constant[node.id] = node.op is not INPUT and all(self.constant[i] for i in node.operands)
        self.depth: dict[int, int] = {}
        self.saved: dict[int, None] = {}

    def run(self, simplify: Simplify) -> tuple[Graph, Pullback]:
        graph, joint = self.graph, self.joint
        count = len(joint.body.outputs)
        for node in graph.nodes:
            if self.backward[node.id]:
                for operand in node.operands:
                    self._need(operand)
        for output in graph.outputs[count:]:
            self._need(output)
        results = list(graph.outputs[:count])
        places = []
        for node_id in self.saved:
            if node_id not in results[joint.states :]:
                results.append(node_id)
            places.append(results.index(node_id, joint.states) - joint.states)
        reverse = _Reverse(self, places)
        return simplify(self._forward(results)), reverse.pullback(simplify)

    def _need(self, node_id: int) -> None:
        """Make a forward value available to the reverse step."""
        if not self.backward[node_id]:
            self._height(node_id)

    def _height(self, node_id: int) -> int:
        """How many cheap operations a forward value is away from what the reverse step has; it is saved if too many."""
        known = self.depth.get(node_id)
        if known is not None:
            return known
        node = self.graph.nodes[node_id]
        self.depth[node_id] = height = self._computed(node)
        return height

    def _computed(self, node: Node) -> int:
        if self.constant[node.id] or self._is_operand(node):
            return 0
        moves = node.op.loops is not None and not node.op.elementwise
        other = node.aval.dtype != self.graph.nodes[self.graph.outputs[0]].aval.dtype
        if other or moves or (node.op.name in _CHEAP and self._is_near(node)):
            return max(self._height(i) for i in node.operands) + (not moves)
        self.saved[node.id] = None
        return 0

    def _is_near(self, node: Node) -> bool:
        """Whether few cheap operations lead to the value from operands, saved values and what would be saved."""
        level = {node.id}
        for _ in range(_DEEPEST):
            below = {i for n in level for i in self.graph.nodes[n].operands}
            level = {i for i in below if not self._is_there(i)}
            if not level:
                return True
        return False

    def _is_there(self, node_id: int) -> bool:
        node = self.graph.nodes[node_id]
        return bool(self.constant[node_id]) or node_id in self.saved or self._is_operand(node)

    def _is_operand(self, node: Node) -> bool:
        """Whether the reverse scan can have it as an operand: a row, or what is the same in every step."""
        return node.op is INPUT and self.joint.states <= node.params["index"] < self.given

    def _forward(self, results: Sequence[int]) -> Graph:
        graph, builder = self.graph, Builder()
        image: dict[int, Value] = {}
        for i in graph.inputs[: self.given]:
            image[i] = builder.input(graph.nodes[i].params["name"], graph.nodes[i].aval)
        for node in graph.nodes:
            if node.op is not INPUT and not self.backward[node.id]:
                image[node.id] = _copied(builder, graph, node, image)
        return builder.freeze([image[i] for i in results], [f"out{k}" for k in range(len(results))])


@dataclass
class _Reverse:
    """Writes the reverse step of a cut; ``places`` are those of the saved values among the emitted rows."""

    cut: _Cut
    places: Sequence[int]
    builder: Builder = field(default_factory=Builder)
    image: dict[int, Value] = field(default_factory=dict)

    def pullback(self, simplify: Simplify) -> Pullback:
        cut, joint, graph = self.cut, self.cut.joint, self.cut.graph
        late = graph.inputs[cut.given :]
        states, emitted = len(joint.active_states), len(joint.emitted)
        needed = self._needed()
        first_fixed = joint.states + joint.rows
        read = [k for k in range(joint.rows) if graph.inputs[joint.states + k] in needed]
        kept = [k for k in range(first_fixed, cut.given) if graph.inputs[k] in needed]
        self._inputs([*late[:states], *late[states + emitted :]])
        self._inputs(late[states : states + emitted])
        self._inputs(list(cut.saved))
        self._inputs([graph.inputs[joint.states + k] for k in read])
        self._inputs([graph.inputs[k] for k in kept])
        for node in graph.nodes:
            if node.id in needed and node.id not in self.image:
                self.image[node.id] = _copied(self.builder, graph, node, self.image)
        outputs = [self.image[i] for i in graph.outputs[len(joint.body.outputs) :]]
        body = simplify(self.builder.freeze(outputs, [f"out{k}" for k in range(len(outputs))]))
        return Pullback(
            body, joint.active_states, joint.active_fixed, joint.emitted, tuple(self.places), tuple(read),
            tuple(k - first_fixed for k in kept), joint.active_rows,
        )  # fmt: skip

    def _inputs(self, nodes: Sequence[int]) -> None:
        graph, builder = self.cut.graph, self.builder
        for i in nodes:
            name = graph.names.get(i, "value")
            self.image[i] = builder.input(f"{name} {len(builder.inputs)}", graph.nodes[i].aval)

    def _needed(self) -> set[int]:
        """The nodes of the reverse step: down from the cotangents to saved values and inputs."""
        graph = self.cut.graph
        needed = set(graph.outputs[len(self.cut.joint.body.outputs) :])
        for node in reversed(graph.nodes):
            if node.id in needed and node.id not in self.cut.saved:
                needed.update(node.operands)
        return needed


def _copied(builder: Builder, graph: Graph, node: Node, image: dict[int, Value]) -> Value:
    builder.origin = graph.origins.get(node.id, ())
    value = builder.apply_ids(node.op, tuple([image[i].id for i in node.operands]), node.params)
    if node.op is not CONSTANT and node.id in graph.names:
        builder.name(value, graph.names[node.id])
    return value
