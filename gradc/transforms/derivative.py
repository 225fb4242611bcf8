"""Graphs of derivatives: from a function's graph to the graph of its value and its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, get_args

from gradc.errors import DerivativeError
from gradc.ir.graph import Builder, Graph, Rewrite, Value
from gradc.transforms.adjoint import adjoint
from gradc.transforms.jacobian import jacobian
from gradc.transforms.pushforward import TANGENT_PREFIX, pushforward, replay_with_tangents
from gradc.transforms.sparse import sparse_jacobian

Derivative = Literal[
    "value", "grad", "value_and_grad", "vjp", "jvp", "jacobian", "hessian", "sparse_jacobian", "sparse_hessian"
]
DERIVATIVES: Final[tuple[Derivative, ...]] = get_args(Derivative)
ALL_ELEMENTS: Final[tuple[Derivative, ...]] = ("jacobian", "hessian", "sparse_jacobian", "sparse_hessian")
"""The derivatives by each element of an input."""
FORWARD: Final[tuple[Derivative, ...]] = ("jvp", "jacobian")
"""The derivatives whose steps may run along with those of the function."""


def differentiate(
    graph: Graph, derivative: Derivative, wrt: Sequence[int], *, primals: int, rewrite: Rewrite | None = None
) -> Graph:
    """The graph of a derivative of ``graph``.

    ``wrt`` are positions of inputs; the first ``primals`` outputs are differentiated, the others are auxiliary.
    ``grad`` gives the cotangents of ``wrt``, then the auxiliary outputs; ``value_and_grad`` all outputs, then the
    cotangents; ``vjp`` takes one more input for each differentiated output, its cotangent, and gives the cotangents
    of ``wrt``; ``jvp`` takes one more input for each of ``wrt``, its tangent, and gives the differentiated outputs,
    their tangents, then the auxiliary outputs. An input that does not reach an output has cotangent 0, an output that
    depends on none of ``wrt`` has tangent 0. ``jacobian`` gives a block for each differentiated output and each of
    ``wrt``, with the axes of both, ``hessian`` one for each pair of ``wrt``; then the auxiliary outputs.
    ``sparse_jacobian`` and ``sparse_hessian`` give these blocks in compressed columns (``sparse.py``).

    Raises DerivativeError where ``grad``, ``value_and_grad`` or ``hessian`` is asked of a result that is not one
    floating-point number, for results that have no cotangent or tangent, and for Jacobians and Hessians of or by
    complex numbers.
    """
    if derivative == "value":
        return graph
    if derivative in ALL_ELEMENTS:
        if derivative.endswith("hessian"):
            graph, primals = differentiate(graph, "grad", wrt, primals=primals, rewrite=rewrite), len(wrt)
        _require_numbers(graph, primals, "derivative", derivative)
        _require_real(graph, wrt, primals)
        blocks = sparse_jacobian if derivative.startswith("sparse") else jacobian
        return blocks(graph, wrt, primals=primals, rewrite=rewrite)
    builder = Builder(rewrite)
    inputs = [builder.input(graph.nodes[i].params["name"], graph.nodes[i].aval) for i in graph.inputs]
    if derivative == "jvp":
        return _pushed(builder, graph, inputs, wrt, primals)
    outputs = graph.replay(builder, inputs)
    differentiated = outputs[:primals]
    cts = _cotangent_inputs(builder, graph, primals) if derivative == "vjp" else [_seed(differentiated, graph)]
    targets = [inputs[i] for i in wrt]
    found = adjoint(builder, differentiated, cts, targets)
    gradients = [builder.full(0, t.aval) if g is None else g for g, t in zip(found, targets, strict=True)]
    names = [f"d_{builder.nodes[t.id].params['name']}" for t in targets]
    if derivative == "value_and_grad":
        return builder.freeze([*outputs, *gradients], [*graph.output_names, *names])
    if derivative == "grad":
        return builder.freeze([*gradients, *outputs[primals:]], [*names, *graph.output_names[primals:]])
    return builder.freeze(gradients, names)


def _pushed(builder: Builder, graph: Graph, inputs: Sequence[Value], wrt: Sequence[int], primals: int) -> Graph:
    _require_numbers(graph, primals, "tangent", "jvp")
    moved = [inputs[i] for i in wrt]
    tangents = [builder.input(f"{TANGENT_PREFIX}{graph.input_names[i]}", inputs[i].aval) for i in wrt]
    if builder.rewrite is None:
        outputs, found = replay_with_tangents(graph, builder, inputs, moved, tangents)
    else:
        outputs = graph.replay(builder, inputs)
        found = pushforward(builder, outputs[:primals], moved, tangents)
    pushed = [builder.full(0, x.aval) if t is None else t for t, x in zip(found[:primals], outputs, strict=False)]
    names = graph.output_names
    of_tangents = [f"{TANGENT_PREFIX}{name}" for name in names[:primals]]
    for value, name in zip(pushed, of_tangents, strict=True):
        builder.name(value, name)
    return builder.freeze(
        [*outputs[:primals], *pushed, *outputs[primals:]], [*names[:primals], *of_tangents, *names[primals:]]
    )


def _seed(differentiated: Sequence[Value], graph: Graph) -> Value:
    """The cotangent 1 of a scalar result."""
    if len(differentiated) != 1 or differentiated[0].aval.shape != () or differentiated[0].aval.dtype.kind != "f":
        listed = ", ".join(str(v.aval) for v in differentiated)
        origins = graph.origins.get(graph.outputs[0], ()) if graph.outputs else ()
        line = f"{origins[0]}: {origins[0].text}" if origins else ""
        if len(differentiated) == 1 and differentiated[0].aval.dtype.kind == "c":
            raise DerivativeError(
                f"the gradient needs a real result and the function gives {listed}; "
                "take its .real or its abs, or use vjp",
                line=line,
            )
        raise DerivativeError(
            f"the gradient needs one scalar floating-point result and the function gives {listed or 'none'}; "
            "reduce it with np.sum or np.mean, return auxiliary values with has_aux=True, or use vjp",
            line=line,
        )
    (value,) = differentiated
    return value.builder.full(1, value.aval)


def _cotangent_inputs(builder: Builder, graph: Graph, primals: int) -> list[Value]:
    _require_numbers(graph, primals, "cotangent", "vjp")
    avals = graph.output_avals[:primals]
    return [builder.input(f"ct_{name}", aval) for name, aval in zip(graph.output_names, avals, strict=False)]


def _require_numbers(graph: Graph, primals: int, what: str, derivative: str) -> None:
    for name, aval in zip(graph.output_names, graph.output_avals[:primals], strict=False):
        if aval.dtype.kind not in "fc":
            raise DerivativeError(
                f"{derivative}: the result {name} is {aval}, which has no {what}; "
                "return auxiliary values with has_aux=True"
            )


def _require_real(graph: Graph, wrt: Sequence[int], primals: int) -> None:
    """A Jacobian of complex numbers would have to be two, by the number and by its conjugate."""
    for what, avals in (("by", [graph.input_avals[i] for i in wrt]), ("of", graph.output_avals[:primals])):
        for aval in avals:
            if aval.dtype.kind == "c":
                raise DerivativeError(
                    f"the Jacobian {what} complex numbers ({aval}) is not one matrix; give the real and the imaginary "
                    "part as arguments and results of their own, or use jvp and vjp"
                )
