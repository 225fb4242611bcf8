"""Decompositions of complex matrices, as those of their parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gradc.ir.graph import Value
from gradc.ir.node import Node
from gradc.ir.op import Op
from gradc.ops import complex_factors
from gradc.ops import elementwise as ops
from gradc.ops.linalg import swapped
from gradc.ops.shape import broadcast, reshaped
from gradc.ops.spectra import as_columns
from gradc.passes.complex_columns import fixed, times
from gradc.passes.complex_functions import Pair, number
from gradc.passes.complex_matrices import conjugate, part


def _told(op: Op) -> Callable[[Node, Pair], Value | Pair]:
    """The rule of an op: its result is real, or a pair that stands along the first axis."""

    def rule(node: Node, a: Pair) -> Value | Pair:
        found = op(*fixed(node, a)[0])
        if node.aval.dtype.kind != "c":
            return reshaped(found, node.aval.shape)
        return Pair(*[reshaped(part(found, 0, k, 1), node.aval.shape) for k in (0, 1)])

    return rule


def _pseudo_inverse(node: Node, a: Pair) -> Pair:
    """``V @ inverse(S) @ U.H``, where small singular values count as 0."""
    if 0 in node.aval.shape:
        zero = a.re.builder.full(0.0, a.re.aval.with_shape(node.aval.shape))
        return Pair(zero, zero)
    matrices, (_, rows, columns) = fixed(node, a)
    is_wide = rows < columns
    if is_wide:
        matrices = Pair(swapped(matrices.re), -swapped(matrices.im))
    s = complex_factors.singular_values(*matrices)
    left, right = (
        Pair(*[reshaped(part(found, 0, k, 1), found.aval.shape[1:]) for k in (0, 1)])
        for found in (complex_factors.left_vectors(*matrices), complex_factors.right_vectors(*matrices))
    )
    largest = broadcast(part(s, 1, 0, 1) * node.params["rtol"], s.aval.shape)
    large, zero, one = ops.greater(s, largest), number(s, 0.0), number(s, 1.0)
    inverted = as_columns(ops.select(large, one / ops.select(large, s, one), zero), right.re.aval.shape)
    scaled = Pair(right.re * inverted, right.im * inverted)
    re, im = (
        times(left, conjugate(scaled), "bik,bjk->bij") if is_wide else times(scaled, conjugate(left), "bik,bjk->bij")
    )
    return Pair(reshaped(re, node.aval.shape), reshaped(im, node.aval.shape))


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
} | {"pseudo_inverse": _pseudo_inverse}
"""What computes each op, by its name."""
