"""What only transforms see: a value whose derivative is stopped, a call with a rule of its own, a call to run again.

``call`` is a function kept as one node while graphs are differentiated, as a closed graph in its params. It is taken
apart when nothing is differentiated any more (``gradc.passes.release``), so that no backend meets it; as ``scan`` it is
no op of ``.gir`` and not in the registry. A function with several results is several nodes, one for each ``index``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from gradc.ir.aval import Aval, Dim
from gradc.ir.graph import CONSTANT, INPUT, Graph, Value
from gradc.ir.op import JvpContext, Op, VjpContext, register
from gradc.ops.control import run_graph
from gradc.ops.elementwise import elementwise
from gradc.ops.reduce import reduce_any
from gradc.ops.shape import broadcast

stop_gradient = elementwise(
    "stop_gradient",
    np.positive,
    "+{0}",
    lambda c: [None],
    kinds="fciu",
    loops=lambda b, x: x,
    flops=lambda result, *avals: 0,
    latex="{0}",
    text="{0}",
)
"""The value itself, with derivative 0."""

recompute: Op = register(
    Op(
        "recompute",
        lambda x: x,
        lambda x: x,
        "{0}",
        loops=lambda index, x: index,
        vjp=lambda c: [c.ct],
        linear=True,
        batch=lambda c: recompute(c.operands[0]),
        latex="{0}",
        text="{0}",
    )
)
"""The value itself under another name: what is computed of it is not merged with what was computed before."""


class Rule(NamedTuple):
    """The derivative of a function as its author gives it.

    ``places`` are the operands of floating point. The pushforward takes their tangents, the results and the operands to
    the tangents of the results; pullback k takes the cotangent of result k, the results and the operands to the
    cotangents at ``places``, and is None for a result that has none.
    """

    places: tuple[int, ...]
    pushforward: Graph
    pullbacks: tuple[Graph | None, ...]


def _infer(*avals: Aval, body: Graph, index: int, name: str, rule: Rule | None) -> Aval:
    return body.output_avals[index]


def _evaluate(*arrays: Any, body: Graph, index: int, name: str, rule: Rule | None) -> Any:
    return run_graph(body, arrays)[index]


def _results(operands: Sequence[Value], params: dict[str, Any]) -> list[Value]:
    """All results of the function of which a call gives one."""
    return [call(*operands, **{**params, "index": k}) for k in range(len(params["body"].outputs))]


def _vjp(context: VjpContext) -> Sequence[Value | None]:
    rule: Rule = context.params["rule"]
    pullback = rule.pullbacks[context.params["index"]]
    cts: list[Value | None] = [None] * len(context.operands)
    if pullback is not None:
        results = _results(context.operands, context.params)
        found = pullback.replay(context.ct.builder, [context.ct, *results, *context.operands])
        for place, ct in zip(rule.places, found, strict=True):
            cts[place] = ct
    return cts


def _jvp(context: JvpContext) -> Value | None:
    rule: Rule = context.params["rule"]
    builder = context.result.builder
    tangents = [context.tangents[k] or builder.full(0, context.operands[k].aval) for k in rule.places]
    results = _results(context.operands, context.params)
    found = rule.pushforward.replay(builder, [*tangents, *results, *context.operands])
    return found[int(context.params["index"])]


def _anywhere(mask: Value, like: Aval) -> Value:
    """Whether any element is alive, for every element: what a function does with its elements is not known."""
    axes = tuple(range(mask.aval.ndim))
    return broadcast(reduce_any(mask, axes=axes, keepdims=False) if axes else mask, like.shape)


def _flops(result: Aval, *avals: Aval, body: Graph, **params: Any) -> Dim:
    total: Dim = 0
    for node in body.nodes:
        if node.op not in (INPUT, CONSTANT):
            total = total + node.op.cost(node.aval, *[body.nodes[i].aval for i in node.operands], **node.params).flops
    return total


def _written(form: str) -> Any:
    """The call as a formula: its name around the places of its operands."""

    def text(params: dict[str, Any]) -> str:
        places = ", ".join(f"{{{k}}}" for k in range(len(params["body"].inputs)))
        return form.format(name=params["name"], places=places)

    return text


call: Final[Op] = Op(
    "call",
    _infer,
    _evaluate,
    vjp=_vjp,
    jvp=_jvp,
    live=lambda mask, c: [_anywhere(mask, x.aval) for x in c.operands],
    reach=lambda mask, k, c: _anywhere(mask, c.result.aval),
    flops=_flops,
    text=_written("{name}({places})"),
    latex=_written(r"\operatorname{{{{{name}}}}}\left({places}\right)"),
)
"""A call; without a ``rule`` its body is differentiated, and computed again for that in reverse mode."""
