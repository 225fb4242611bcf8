"""The stages that work on whole arrays: contractions, scans, factors and systems; and the functions that they call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradc.loops.language.program import Buffer, Expression, Function, Statement, b
from gradc.loops.lowering.calls import Read, Whole
from gradc.loops.lowering.contraction import contraction_call, masked_call
from gradc.loops.lowering.elements import Elements
from gradc.loops.lowering.masked import masked_contraction
from gradc.loops.lowering.plan import Stage
from gradc.loops.lowering.rows import is_row, rows_of
from gradc.loops.lowering.scan import Scans, Source
from gradc.ops.control import scan


class Wholes:
    """Writes them, and keeps the internal functions of a kernel."""

    def __init__(self, elements: Elements, scans: Scans) -> None:
        self.elements = elements
        self.plan = elements.plan
        self.nodes = elements.plan.graph.nodes
        self.memory = elements.memory
        self.names = elements.names
        self.scans = scans
        self._functions: dict[str, Function] = {}

    def functions(self) -> tuple[Function, ...]:
        """The internal functions, each before those that call it; those of one name are one."""
        return tuple({f.name: f for f in (*self.scans.functions, *self._functions.values())}.values())

    def statements(self, stage: Stage) -> Sequence[Statement]:
        """What computes the value of a stage."""
        node = self.nodes[stage.node]
        if node.op.name == "contract":
            return [contraction_call(node, self.plan.graph, stage.views, self.memory.buffer_of)]
        if node.op.name == "masked_contract":
            call, mask = masked_call(node, self.plan.graph, stage.views, self.memory.buffer_of)
            return masked_contraction(call, mask, lambda word: self.names.partial(stage, word), self.names.loop)
        out = self._present(stage.node)
        if node.op is scan:
            return self.scans.statements(node, self._sources(stage), out)
        return Whole(
            node,
            out,
            [self._reader(stage, k) for k in range(len(node.operands))],
            self.nodes[node.operands[0]].aval.shape,
            [buffer for source, _ in stage.views if (buffer := self.memory.buffer_of(source)) is not None],
            (self.names.loop(0), self.names.loop(1), self.names.loop(2), self.names.loop(3)),
            lambda message: self.elements.code_of(message, stage),
            self.names.scalar,
            self._function,
        ).statements()

    def _present(self, node: int) -> Buffer:
        buffer = self.memory.buffer_of(node)
        assert buffer is not None, "what is computed or used as a whole has an array"
        return buffer

    def _sources(self, stage: Stage) -> list[Source]:
        """Where the operands of a scan stand."""
        node = self.nodes[stage.node]
        sources = []
        for position, (source, index) in enumerate(stage.views):
            shape = self.nodes[node.operands[position]].aval.shape
            place = rows_of(index, self.plan.origin(source).aval.shape, shape, by_row=is_row(node, position))
            assert place is not None, "the plan gives an array to an operand whose rows are scattered"
            sources.append(Source(self._present(source), *place))
        return sources

    def _function(self, name: str, make: Callable[[str], Function]) -> str:
        """The internal function of this name, made where the kernel has none yet."""
        if name not in self._functions:
            self._functions[name] = make(name)
        return name

    def _reader(self, stage: Stage, operand: int) -> Read:
        """The elements of an operand, by their index."""
        node, index = stage.views[operand]
        shape = self.nodes[self.nodes[stage.node].operands[operand]].aval.shape
        buffer = self._present(node)

        def read(*place: Expression) -> Expression:
            long = [i for i, length in zip(place, shape, strict=True) if length != 1]
            return b.load(buffer, self.elements.where(stage, node, index, dict(enumerate(long))))

        return read
