"""Control: a recurrence as one node.

``scan`` repeats a step ``count`` times. It stands only in graphs that ``gradc.passes.roll`` made of unrolled ones, so
it is no op of ``.gir`` and not in the registry. The step is a closed graph:

    body inputs     the states, a row of each array of rows, and what is the same in every step
    body outputs    the next states, and the rows that the step emits
    operands        the first states, the arrays of rows ``[count, ...]``, what is the same in every step

The result is one flat array: the last states one after the other, then the emitted rows step by step. All of it has
one dtype. With ``backwards`` the steps run from the last row to the first, in the places of reading and emitting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from gradc.errors import DerivativeError, ShapeError
from gradc.ir.aval import Aval, Dim
from gradc.ir.graph import CONSTANT, INPUT, Graph, Node, Value
from gradc.ir.op import Op, VjpContext
from gradc.ops.shape import reshaped, slice_


class Pullback(NamedTuple):
    """The step of the reverse pass, and how its operands and results belong to those of the forward scan.

    Its states are the cotangents of the forward ``states``, then those of the ``fixed`` operands, which add up. It
    reads rows: the cotangents of the ``emitted`` rows, the ``saved`` rows that the forward scan emitted for it, and
    the forward scan's own rows ``read``. What is the same in every step are the forward scan's ``kept`` operands. It
    emits the cotangents of the forward ``rows``.
    """

    body: Graph
    states: tuple[int, ...]
    fixed: tuple[int, ...]
    emitted: tuple[int, ...]
    saved: tuple[int, ...]
    read: tuple[int, ...]
    kept: tuple[int, ...]
    rows: tuple[int, ...]


class Layout(NamedTuple):
    """Where the parts of a scan's result lie: offsets in the block of states and in the row that a step emits."""

    states: tuple[int, ...]
    state_size: int
    emitted: tuple[int, ...]
    row_size: int


def layout(body: Graph, states: int) -> Layout:
    """The layout of the result of a scan with this body."""
    sizes = [math.prod(fixed_sizes(aval)) for aval in body.output_avals]
    starts = [sum(sizes[:k]) for k in range(states)]
    rows = [sum(sizes[states:k]) for k in range(states, len(sizes))]
    return Layout(tuple(starts), sum(sizes[:states]), tuple(rows), sum(sizes[states:]))


def fixed_sizes(aval: Aval) -> tuple[int, ...]:
    """The shape of an aval whose sizes are numbers."""
    return tuple(int(d) for d in aval.shape)


class Parts(NamedTuple):
    """Takes the parts out of a flat array that is the result of a scan, or the cotangent of one."""

    body: Graph
    states: int
    steps: int

    def state(self, flat: Value, position: int) -> Value:
        """The last value of a state."""
        start = layout(self.body, self.states).states[position]
        aval = self.body.output_avals[position]
        return reshaped(slice_(flat, starts=(start,), sizes=(aval.size,), steps=(1,)), aval.shape)

    def rows(self, flat: Value, position: int) -> Value:
        """The rows ``[count, ...]`` of an emitted value."""
        places = layout(self.body, self.states)
        aval = self.body.output_avals[self.states + position]
        block = slice_(flat, starts=(places.state_size,), sizes=(self.steps * places.row_size,), steps=(1,))
        table = reshaped(block, (self.steps, places.row_size))
        start = places.emitted[position]
        columns = slice_(table, starts=(0, start), sizes=(self.steps, aval.size), steps=(1, 1))
        return reshaped(columns, (self.steps, *aval.shape))


def _infer(
    *avals: Aval, body: Graph, states: int, rows: int, count: int, backwards: bool, pullback: Pullback | None
) -> Aval:
    expected = [
        Aval((count, *a.shape), a.dtype, a.weak) if states <= k < states + rows else a
        for k, a in enumerate(body.input_avals)
    ]
    if [(a.shape, a.dtype) for a in avals] != [(a.shape, a.dtype) for a in expected]:
        raise ShapeError(f"scan: the step takes {', '.join(map(str, expected))}, got {', '.join(map(str, avals))}")
    places = layout(body, states)
    return Aval((places.state_size + count * places.row_size,), body.output_avals[0].dtype)


def _evaluate(
    *arrays: Any, body: Graph, states: int, rows: int, count: int, backwards: bool, pullback: Pullback | None
) -> np.ndarray:
    places = layout(body, states)
    state, fixed = list(arrays[:states]), arrays[states + rows :]
    emitted = np.empty((count, places.row_size), body.output_avals[0].dtype)
    for step in range(count):
        row = count - 1 - step if backwards else step
        results = run_graph(body, [*state, *(array[row] for array in arrays[states : states + rows]), *fixed])
        state = results[:states]
        emitted[row] = np.concatenate([np.ravel(r) for r in results[states:]] or [np.empty(0, emitted.dtype)])
    return np.concatenate([*(np.ravel(s) for s in state), emitted.reshape(-1)]).astype(emitted.dtype, copy=False)


def run_graph(body: Graph, inputs: Sequence[Any]) -> list[Any]:
    """The results of a graph, node by node."""
    values: list[Any] = []
    for node in body.nodes:
        if node.op is INPUT:
            values.append(inputs[node.params["index"]])
        else:
            values.append(node.op.evaluate(*[values[i] for i in node.operands], **node.params))
    return [values[i] for i in body.outputs]


def _vjp(context: VjpContext) -> list[Value | None]:
    params, operands, ct = context.params, context.operands, context.ct
    pullback: Pullback | None = params["pullback"]
    if pullback is None:
        raise DerivativeError("scan has no derivative: its step was made without one")
    first_row, first_fixed = params["states"], params["states"] + params["rows"]
    forward = Parts(params["body"], params["states"], params["count"])
    firsts = [forward.state(ct, k) for k in pullback.states]
    firsts += [ct.builder.full(0, operands[first_fixed + k].aval) for k in pullback.fixed]
    tables = [forward.rows(ct, k) for k in pullback.emitted]
    tables += [forward.rows(context.result, k) for k in pullback.saved]
    tables += [operands[first_row + k] for k in pullback.read]
    kept = [operands[first_fixed + k] for k in pullback.kept]
    pulled = scan(
        *firsts, *tables, *kept,
        body=pullback.body, states=len(firsts), rows=len(tables), count=forward.steps,
        backwards=not params["backwards"], pullback=None,
    )  # fmt: skip
    backward = Parts(pullback.body, len(firsts), forward.steps)
    cts: list[Value | None] = [None] * len(operands)
    places = [*pullback.states, *(first_fixed + k for k in pullback.fixed)]
    for position, place in enumerate(places):
        cts[place] = backward.state(pulled, position)
    for position, k in enumerate(pullback.rows):
        cts[first_row + k] = backward.rows(pulled, position)
    return cts


def pulled_operands(node: Node) -> list[int]:
    """The operands of a scan that its result gives a cotangent."""
    pullback: Pullback | None = node.params["pullback"]
    if pullback is None:
        return []
    first_row = node.params["states"]
    first_fixed = first_row + node.params["rows"]
    places = [*pullback.states, *(first_row + k for k in pullback.rows), *(first_fixed + k for k in pullback.fixed)]
    return [node.operands[place] for place in places]


def _flops(
    result: Aval, *avals: Aval, body: Graph, states: int, rows: int, count: int, backwards: bool, pullback: Any
) -> Dim:
    total: Dim = 0
    for node in body.nodes:
        if node.op not in (INPUT, CONSTANT):
            total = total + node.op.cost(node.aval, *[body.nodes[i].aval for i in node.operands], **node.params).flops
    return total * count


scan: Final[Op] = Op("scan", _infer, _evaluate, vjp=_vjp, flops=_flops)
