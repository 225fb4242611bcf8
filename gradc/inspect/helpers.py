"""The user's own functions in a graph: which of them is a function that mathematics has a name for.

A call is a unit where its body has one of the written-out ``FORMS``, or where it bears the name of a smooth function
and has its values: ``def sigmoid(z)`` may be written as stably as its author likes. The body of any other call is told
like code in line, with the names that stand in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from gradc.frontend.names import Call
from gradc.inspect.expression import Apply, Expr, Symbol
from gradc.inspect.functions import DERIVATIVES
from gradc.inspect.reading import Sizes, Unit, expression_of
from gradc.inspect.recognise import recognised
from gradc.ir.aval import Aval
from gradc.ir.graph import INPUT, Graph
from gradc.ir.op import REGISTRY

_BY_NAME: Final[Mapping[str, str]] = {
    "logsumexp": "logsumexp",
    "log_softmax": "log_softmax",
    "softmax": "softmax",
    "softplus": "softplus",
    "sigmoid": "logistic",
    "logistic": "logistic",
    "expit": "logistic",
    "tanh": "tanh",
}
"""What a helper may be, by a word in its name."""

_LARGEST_BODY: Final = 64
_ROUNDING: Final = 1e-11


@dataclass(frozen=True)
class Helpers:
    """``units`` and ``lines`` by the node of a call's result; ``names`` of nodes inside the calls that are told."""

    units: Mapping[int, Unit] = field(default_factory=dict)
    lines: Mapping[int, str] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)


def helpers_of(graph: Graph, calls: Sequence[Call], inner_names: Mapping[int, str]) -> Helpers:
    """What is known of the calls of a trace."""
    units: dict[int, Unit] = {}
    lines: dict[int, str] = {}
    inside: set[int] = set()
    for call in calls:
        if len(call.results) != 1:
            continue
        result = call.results[0]
        if call.origin:
            lines.setdefault(result, str(call.origin[-1]))
        unit = _unit(graph, call)
        if unit is not None:
            units.setdefault(result, unit)
            inside.update(range(*call.nodes))
    return Helpers(units, lines, {i: name for i, name in inner_names.items() if i not in inside})


def _unit(graph: Graph, call: Call) -> Unit | None:
    arguments = [i for i in call.arguments if i < call.results[0]]
    if len(arguments) != 1 or call.nodes[1] - call.nodes[0] > _LARGEST_BODY:
        return None
    argument, result = arguments[0], call.results[0]
    read = _read_body(graph, argument, result)
    hole = Symbol("u", graph.nodes[argument].aval.shape, "pattern")
    if isinstance(read, Apply) and read.args == (hole,) and read.function in DERIVATIVES:
        return Unit(call.function, read.function, argument)
    candidate = next((function for word, function in _BY_NAME.items() if word in call.function.lower()), None)
    if candidate is None:
        return None
    values = _values(graph, argument, result)
    if values is None:
        return None
    given, wanted = values
    for params in _choices(candidate, graph.nodes[argument].aval):
        with np.errstate(all="ignore"):
            found = np.asarray(REGISTRY[candidate].evaluate(given, **params))
        if found.shape == wanted.shape and np.allclose(found, wanted, rtol=_ROUNDING, atol=_ROUNDING):
            return Unit(call.function, candidate, argument, tuple(sorted(params.items())))
    return None


def _body(graph: Graph, argument: int, result: int) -> list[int] | None:
    """The nodes between the argument and the result, in order; None where another input comes in."""
    needed: set[int] = set()
    waiting = [result]
    while waiting:
        node = waiting.pop()
        if node == argument or node in needed:
            continue
        if graph.nodes[node].op is INPUT or len(needed) > _LARGEST_BODY:
            return None
        needed.add(node)
        waiting += graph.nodes[node].operands
    return sorted(needed)


def _read_body(graph: Graph, argument: int, result: int) -> Expr | None:
    body = _body(graph, argument, result)
    if body is None:
        return None
    readings: dict[int, Expr] = {argument: Symbol("u", graph.nodes[argument].aval.shape, "pattern")}
    for i in body:
        node = graph.nodes[i]
        readings[i] = recognised(expression_of(node, [readings[k] for k in node.operands], graph.nodes, Sizes()))
    return readings[result]


def _values(graph: Graph, argument: int, result: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The result at numbers on both sides of 0; None where the body depends on more than the argument."""
    body = _body(graph, argument, result)
    aval = graph.nodes[argument].aval
    if body is None or aval.dtype.kind != "f" or any(graph.nodes[i].aval.is_symbolic for i in (*body, argument)):
        return None
    shape = tuple(int(d) for d in aval.shape)
    sample = np.sin(np.arange(1.0, 1.0 + max(1, int(np.prod(shape, dtype=int))))) * 2.5
    given = sample[: int(np.prod(shape, dtype=int))].reshape(shape).astype(aval.dtype)
    values: dict[int, Any] = {argument: given}
    with np.errstate(all="ignore"):
        for i in body:
            node = graph.nodes[i]
            values[i] = node.op.evaluate(*[values[k] for k in node.operands], **node.params)
    return given, np.asarray(values[result])


def _choices(function: str, aval: Aval) -> Iterator[dict[str, Any]]:
    """The params that a function may have been meant with."""
    axes: list[tuple[int, ...]] = [(axis,) for axis in range(aval.ndim)]
    if aval.ndim > 1:
        axes.append(tuple(range(aval.ndim)))
    if function in ("softmax", "log_softmax"):
        yield from ({"axes": a} for a in axes)
    elif function == "logsumexp":
        yield from ({"axes": a, "keepdims": keep} for a in axes for keep in (False, True))
    else:
        yield {}
