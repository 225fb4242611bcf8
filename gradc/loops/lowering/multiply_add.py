"""Which products and sums become fused multiply-adds, rounded once: one rule, for every backend that has loops.

A product of floats that is used once, as a term of a sum or a difference, is fused with it where the other term adds up
no product. So equal products are rounded alike and cancel: ``x*x - y*y`` is 0 at x = y, so is ``(x*x + z) - y*y`` where
z is 0, and ``a*b - c*d`` is the same number whether or not ``a*b`` is returned as well. A product by 2, 4, 8, ... is
exact: fusing it would change nothing, and it is not counted as a product.

What a value adds up are the terms of what it sums, negates, moves, selects from, or divides; a contraction adds up
products, and the result of a function such as exp is a term of its own. The rule looks at the graph alone, so that
neither names nor the loops that are shared decide.
"""

from __future__ import annotations

import math
from typing import Any, Final

from gradc.ir.aval import Aval
from gradc.ir.graph import CONSTANT, INPUT, Builder, Graph, Node, Value, rebuild
from gradc.ir.op import Op
from gradc.loops.language.builder import ExpressionBuilder
from gradc.loops.language.expressions import Constant, Expression, constant
from gradc.loops.lowering.plan import is_move
from gradc.ops.elementwise import add, mul, sub

_PASSES_ON: Final = frozenset((
    "add", "sub", "neg", "abs", "maximum", "minimum", "select", "convert", "require",
    "reduce_sum", "reduce_max", "reduce_min", "concatenate", "update_slice", "scatter", "gather",
))  # fmt: skip
"""Ops whose results have the terms of their operands."""

_PRODUCTS: Final = ("mul", "pow", "multiply_add")
"""Elementwise ops whose results have products among their terms."""


def _fused(b: ExpressionBuilder, x: Any, y: Any, z: Any, *, subtracts: str) -> Expression:
    if subtracts == "product":
        x = _negative(b, x)
    return b.fma(x, y, _negative(b, z) if subtracts == "term" else z)


def _negative(b: ExpressionBuilder, x: Expression) -> Expression:
    return constant(-x.value, x.dtype) if isinstance(x, Constant) else b.neg(x)


def _infer(x: Aval, y: Aval, z: Aval, *, subtracts: str) -> Aval:
    return z


def _evaluate(x: Any, y: Any, z: Any, *, subtracts: str) -> Any:
    return z - x * y if subtracts == "product" else x * y - z if subtracts == "term" else x * y + z


multiply_add = Op("multiply_add", _infer, _evaluate, loops=_fused, elementwise=True)
"""``x*y + z`` rounded once; ``subtracts`` is ``product`` for ``z - x*y``, ``term`` for ``x*y - z``, or empty."""


def with_multiply_adds(graph: Graph) -> Graph:
    """The graph with the products that are fused; the graph itself where there are none."""
    found = _found(graph)
    if not found:
        return graph

    def rewrite(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
        # A node takes the place of a node, so that all keep their ids.
        place = len(builder.nodes)
        if op not in (add, sub) or place not in found:
            return None
        product, term = found[place]
        x, y = (builder.value(i) for i in graph.nodes[product].operands)
        subtracts = "" if op is add else "product" if ids[1] == product else "term"
        return multiply_add(x, y, builder.value(term), subtracts=subtracts)

    return rebuild(graph, rewrite)


def _found(graph: Graph) -> dict[int, tuple[int, int]]:
    """The sums and differences that are fused: the product and the other term of each."""
    nodes = graph.nodes
    uses = [0] * len(nodes)
    for i in (*graph.outputs, *(i for node in nodes for i in node.operands)):
        uses[i] += 1
    exact = [_is_exact(graph, node) for node in nodes]
    products: list[bool] = []
    for node in nodes:
        products.append(_has_products(node, exact[node.id], products))
    found: dict[int, tuple[int, int]] = {}
    for node in nodes:
        if node.op not in (add, sub) or node.aval.dtype.kind != "f":
            continue
        left, right = node.operands
        for product, term in ((right, left), (left, right)):
            fits = nodes[product].op is mul and uses[product] == 1 and not exact[product]
            if fits and not products[term]:
                found[node.id] = product, term
                break
    return found


def _is_exact(graph: Graph, node: Node) -> bool:
    """Whether a product by a power of two, none below 1."""
    if node.op is not mul or node.aval.dtype.kind != "f":
        return False
    numbers = [number for i in node.operands if (number := _number(graph, i)) is not None]
    return any(abs(number) >= 1 and abs(math.frexp(number)[0]) == 0.5 for number in numbers)


def _number(graph: Graph, i: int) -> float | None:
    """The one number that a value is everywhere."""
    node = graph.nodes[i]
    while node.op.name == "broadcast_to":
        node = graph.nodes[node.operands[0]]
    if node.op is not CONSTANT or node.params["value"].size != 1:
        return None
    return float(node.params["value"].reshape(()))


def _has_products(node: Node, exact: bool, products: list[bool]) -> bool:
    """Whether a value has products among its terms; ``products`` tells it of its operands."""
    if node.op in (INPUT, CONSTANT) or node.aval.dtype.kind != "f":
        return False
    own = [products[i] for i in node.operands]
    if node.op.name in _PASSES_ON or is_move(node.op) or exact:
        return any(own)
    if node.op.name == "div":
        return own[0]
    return node.op.name in _PRODUCTS if node.op.elementwise else True
