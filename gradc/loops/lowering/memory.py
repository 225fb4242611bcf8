"""The buffers of a loop program: inputs, results, scratch and constants, made from the plan as they are asked for."""

from __future__ import annotations

import numpy as np

from gradc.ir.graph import CONSTANT
from gradc.loops.language.program import Buffer, Expression, b, size
from gradc.loops.lowering.names import Names
from gradc.loops.lowering.plan import Plan, Stage
from gradc.loops.lowering.storage import Storage, Storages
from gradc.ops.shape import dim_value


class Memory:
    """Which buffer holds which node."""

    def __init__(self, plan: Plan, storages: Storages, names: Names) -> None:
        self.plan = plan
        self.storages = storages
        self.names = names
        self._inputs = {node: self._input(node) for node in plan.graph.inputs}
        self._outputs = [self._output(k) for k in range(len(plan.results))]
        self._arrays: dict[Storage, Buffer] = {}
        for storage in (*storages.of.values(), *storages.partial.values()):
            self._array(storage)
        self._constants: dict[int, Buffer] = {}
        self._literals: dict[int, Expression | None] = {}

    def buffers(self) -> tuple[Buffer, ...]:
        """All buffers that were asked for, and every input and output."""
        scratch = [buffer for storage, buffer in self._arrays.items() if storage.output is None]
        return (*self._inputs.values(), *self._outputs, *scratch, *self._constants.values())

    def literal(self, node: int) -> Expression | None:
        """The one number that a constant node holds everywhere; None for other nodes."""
        if node >= len(self.plan.graph.nodes):
            return None
        if node not in self._literals:
            self._literals[node] = self._uniform(node)
        return self._literals[node]

    def bounds(self, node: int) -> tuple[int, int] | None:
        """The smallest and the largest element of a constant of integers; None for other nodes."""
        if node >= len(self.plan.graph.nodes) or self.plan.graph.nodes[node].op is not CONSTANT:
            return None
        value = self._value(node)
        return (int(value.min()), int(value.max())) if value.size and value.dtype.kind in "iu" else None

    def buffer_of(self, node: int) -> Buffer | None:
        """The array of a node; None for a value that has none."""
        if node in self._inputs:
            return self._inputs[node]
        storage = self.storages.of.get(node)
        if storage is not None:
            return self._array(storage)
        origin = self.plan.origin(node)
        if origin.op is CONSTANT:
            return self._constant(node)
        return None

    def axes_of(self, node: int) -> tuple[int, ...]:
        """The axes of a node that its array has."""
        storage = self.storages.of.get(node)
        return storage.axes if storage is not None else tuple(range(self.plan.origin(node).aval.ndim))

    def partial_of(self, stage: Stage) -> Buffer:
        """The array of a reduction's partial results."""
        return self._array(self.storages.partial[stage])

    def _input(self, node: int) -> Buffer:
        described = self.plan.graph.nodes[node]
        name = str(described.params["name"])
        made = self.names.buffer(name or "x")
        return Buffer(
            made, described.aval.dtype, described.aval.shape, "input", comment="" if made == name else _line(name)
        )

    def _output(self, position: int) -> Buffer:
        graph = self.plan.graph
        node = graph.nodes[graph.outputs[position]]
        given = graph.output_names[position]
        own = self.names.of(node.id)
        wanted = own if own and given == f"out{position}" else given
        return Buffer(self.names.buffer(wanted or f"out{position}"), node.aval.dtype, node.aval.shape, "output")

    def _array(self, storage: Storage) -> Buffer:
        if storage.output is not None:
            return self._outputs[storage.output]
        if storage not in self._arrays:
            user = self.names.of_array(storage.node)
            wanted = f"{user}_partial" if storage.is_partial and user else user
            op = self.plan.origin(storage.node).op.name
            name = self.names.buffer(wanted or ("partial" if storage.is_partial else f"{op}_{storage.node}"))
            comment = self.names.told(storage.node)
            self._arrays[storage] = Buffer(name, storage.dtype, storage.shape, "arena", storage.offset, comment=comment)
        return self._arrays[storage]

    def _constant(self, node: int) -> Buffer:
        if node not in self._constants:
            value = self._value(node)
            wanted = self.names.of(node) or f"c{len(self._constants) + 1}"
            self._constants[node] = Buffer(
                self.names.buffer(wanted), value.dtype, value.shape, "constant", data=value.tobytes()
            )
        return self._constants[node]

    def _value(self, node: int) -> np.ndarray:
        described = self.plan.graph.nodes[node]
        return np.asarray(described.op.evaluate(**described.params))

    def _uniform(self, node: int) -> Expression | None:
        described = self.plan.graph.nodes[node]
        if described.op is dim_value:
            return b.convert(size(described.params["dim"]), described.aval.dtype)
        if described.op is not CONSTANT:
            return None
        value = self._value(node)
        if value.size == 0 or value.tobytes() != value.reshape(-1)[:1].tobytes() * value.size:
            return None
        return b.constant(value.reshape(-1)[0], value.dtype)


def _line(text: str) -> str:
    return " ".join(text.split())
