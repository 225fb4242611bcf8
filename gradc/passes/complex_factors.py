"""Decompositions of complex matrices, as those of their parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gradc.ir.graph import Value
from gradc.ir.node import Node
from gradc.ir.op import Op
from gradc.ops import complex_factors
from gradc.ops.shape import reshaped
from gradc.passes.complex_columns import fixed
from gradc.passes.complex_functions import Pair
from gradc.passes.complex_matrices import part


def _told(op: Op) -> Callable[[Node, Pair], Value | Pair]:
    """The rule of an op: its result is real, or a pair that stands along the first axis."""

    def rule(node: Node, a: Pair) -> Value | Pair:
        found = op(*fixed(node, a)[0])
        if node.aval.dtype.kind != "c":
            return reshaped(found, node.aval.shape)
        return Pair(*[reshaped(part(found, 0, k, 1), node.aval.shape) for k in (0, 1)])

    return rule


RULES: Final[dict[str, Callable[..., Value | Pair]]] = {
    op.name.removesuffix("_of_parts"): _told(op)
    for op in (
        complex_factors.qr_q,
        complex_factors.qr_r,
        complex_factors.qr_complement,
        complex_factors.eigenvalues,
        complex_factors.eigenvectors,
        complex_factors.singular_values,
        complex_factors.left_vectors,
        complex_factors.right_vectors,
    )
}
"""What computes each op, by its name."""
