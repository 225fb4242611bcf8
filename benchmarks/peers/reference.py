"""What every tool is held against: value and gradient in double precision, and the work that they take.

The gradient is that of gradc's reference backend, which evaluates the graph node by node in NumPy; along random
directions it is held against differences of the plain NumPy function, so that it does not vouch for itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import gradc
from gradc.ir.graph import Graph
from peers.adapters import numpy_names
from peers.workloads import Workload, in_double, leaves, mapped

DEAR = frozenset({
    "exp", "log", "log1p", "expm1", "tanh", "sin", "cos", "erf", "pow", "logistic", "softplus", "logistic_bce",
    "softmax", "logsumexp",
})  # fmt: skip
STEP = 1e-5
AGREEMENT = 2e-4
"""Central differences are exact to about ``STEP ** 2``, where no kink lies within a step: most directions meet some."""


def make_reference(workload: Workload, path: Path) -> dict[str, float]:
    """Write value and gradient to ``path``; the flops, calls of functions and bytes of one evaluation.

    Raises RuntimeError where the gradient and differences of the function disagree.
    """
    told = path.with_suffix(".json")
    if path.exists() and told.exists():
        return json.loads(told.read_text(encoding="utf-8"))  # type: ignore[no-any-return]
    space = numpy_names()

    def plain(parameters: Any, *data: Any) -> Any:
        return workload.loss(space, parameters, *data)

    arguments = workload.inputs()
    doubles = in_double(arguments)
    value, gradient = gradc.value_and_grad(plain, backend="reference")(*doubles)
    _check_along_directions(plain, doubles, gradient)
    arrays = {f"gradient{k}": np.asarray(g) for k, g in enumerate(leaves(gradient))}
    np.savez(path, value=float(value), **arrays)
    work = _work(gradc.value_and_grad(plain).compile(*arguments).graph)
    told.write_text(json.dumps(work), encoding="utf-8")
    return work


def _check_along_directions(plain: Any, arguments: tuple[Any, ...], gradient: Any) -> None:
    rng = np.random.default_rng(0)
    parameters, *data = arguments
    for _ in range(3):
        direction = mapped(lambda a: rng.normal(size=np.shape(a)), parameters)
        slope = sum(float(np.sum(g * d)) for g, d in zip(leaves(gradient), leaves(direction), strict=True))
        length = sum(float(np.sum(d * d)) for d in leaves(direction)) ** 0.5
        ahead, behind = (_moved(parameters, direction, side * STEP / length) for side in (1.0, -1.0))
        difference = (float(plain(ahead, *data)) - float(plain(behind, *data))) / (2.0 * STEP / length)
        size = sum(float(np.sum(g * g)) for g in leaves(gradient)) ** 0.5
        if not abs(difference - slope) <= AGREEMENT * size:
            raise RuntimeError(f"the reference's slope {slope} and the difference {difference} disagree")


def _moved(parameters: Any, direction: Any, step: float) -> Any:
    steps = iter(leaves(direction))
    return mapped(lambda a: a + step * next(steps), parameters)


def _work(graph: Graph) -> dict[str, float]:
    """Flops, elements of transcendental functions, and bytes of arguments and results."""
    flops = functions = 0
    for node in graph.nodes:
        if node.operands:
            operands = [graph.nodes[k].aval for k in node.operands]
            flops += int(node.op.cost(node.aval, *operands, **node.params).flops)
        if node.op.name in DEAR:
            functions += int(max(graph.nodes[k].aval.size for k in node.operands))
    avals = (*graph.input_avals, *graph.output_avals)
    return {"flops": flops, "functions": functions, "bytes": sum(int(a.size) * a.dtype.itemsize for a in avals)}
