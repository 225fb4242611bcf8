"""QR, eigenvalues, singular values and their vectors, told in what ``gradc.loops.algebra`` computes.

Values whose vectors are asked for too come of the same iteration; those that stand alone of one without vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gradc.ir.aval import Aval
from gradc.ir.graph import Builder, Graph, Value, rebuild
from gradc.ir.op import Op
from gradc.loops.algebra.orthogonal import complement_rule, q_rule, r_rule
from gradc.loops.algebra.singular import (
    left_vectors_rule,
    pseudo_inverse_rule,
    right_vectors_rule,
    singular_values_rule,
)
from gradc.loops.algebra.spectra import eigenvalues_rule, eigenvectors_rule
from gradc.loops.algebra.triangular_equations import root_rule, sylvester_rule

_Rule = Callable[[tuple[Value, ...], dict[str, Any], Aval], Value | None]

_VECTORS: Final[dict[str, tuple[str, ...]]] = {
    "eigenvalues": ("eigenvectors",),
    "singular_values": ("left_vectors", "right_vectors", "pseudo_inverse"),
    "eigenvalues_of_parts": ("eigenvectors_of_parts",),
    "singular_values_of_parts": ("left_vectors_of_parts", "right_vectors_of_parts"),
}
"""What takes the vectors that go with values."""

_OF_BOTH: Final[dict[str, _Rule]] = {
    "qr_q": q_rule,
    "qr_r": r_rule,
    "qr_complement": complement_rule,
    "eigenvalues": eigenvalues_rule,
    "eigenvectors": eigenvectors_rule,
    "singular_values": singular_values_rule,
    "left_vectors": left_vectors_rule,
    "right_vectors": right_vectors_rule,
}
"""The rules of real matrices, and of complex ones given in their parts."""

_RULES: Final[dict[str, _Rule]] = {
    **_OF_BOTH,
    **{f"{name}_of_parts": rule for name, rule in _OF_BOTH.items()},
    "pseudo_inverse": pseudo_inverse_rule,
    "sylvester": sylvester_rule,
    "triangular_root": root_rule,
}


def with_decompositions_told(graph: Graph) -> Graph:
    """The same function without these ops; the graph itself where it has none."""
    nodes = graph.nodes
    if not any(node.op.name in _RULES for node in nodes):
        return graph
    taken = {(node.op.name, node.operands) for node in nodes if node.op.name in _RULES}
    # Nodes are made again one by one, in their order.
    alone = iter(
        [
            not any((vectors, node.operands) in taken for vectors in _VECTORS[node.op.name])
            for node in nodes
            if node.op.name in _VECTORS
        ]
    )

    def rewrite(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
        rule = _RULES.get(op.name)
        if rule is None:
            return None
        told = {**params, "alone": next(alone)} if op.name in _VECTORS else params
        result = op.infer(*[builder.nodes[i].aval for i in ids], **params)
        return rule(tuple(builder.value(i) for i in ids), told, result)

    return rebuild(graph, rewrite)
