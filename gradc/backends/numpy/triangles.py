"""Triangles and diagonals of matrices as NumPy tells them: ``np.tril``, ``np.triu``, ``np.diag``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradc.backends.numpy.closed_forms import Band, band
from gradc.backends.numpy.constants import uniform
from gradc.ir.node import Node

_SAME_ZEROS = frozenset({"conj", "neg", "convert", "real", "broadcast_to"})
"""Ops of one matrix that keep its zeros where they are."""


def is_lower(nodes: Sequence[Node], node_id: int) -> bool:
    """Whether NumPy's value of a node is known to be 0 above the diagonal of its last two axes."""
    return _is_triangle(nodes, nodes[node_id], lower=True)


def _is_triangle(nodes: Sequence[Node], node: Node, *, lower: bool) -> bool:
    name = node.op.name
    if name in _SAME_ZEROS and nodes[node.operands[0]].aval.ndim > 1:
        return _is_triangle(nodes, nodes[node.operands[0]], lower=lower)
    if name == "transpose":
        operand = nodes[node.operands[0]]
        return is_swap(node) and _is_triangle(nodes, operand, lower=not lower)
    if name == "select":
        found = triangle_taken(nodes, node)
        return (
            found is not None
            and found[1] == ("tril" if lower else "triu")
            and (found[2] <= 0 if lower else found[2] >= 0)
        )
    return name == ("cholesky" if lower else "qr_r")


def is_swap(node: Node) -> bool:
    """Whether a transpose exchanges the last two axes alone."""
    rank = node.aval.ndim
    return tuple(node.params["axes"]) == (*range(rank - 2), rank - 1, rank - 2)


def triangle_taken(nodes: Sequence[Node], node: Node) -> tuple[int, str, int] | None:
    """What a select takes a triangle of, ``tril`` or ``triu``, and its diagonal; None where it selects otherwise."""
    found = _band_of(nodes, nodes[node.operands[0]])
    if found is None or not found.lower:
        return None
    one, other = node.operands[1:]
    kept, lost, lower = (one, other, True) if _is_zero(nodes, other) else (other, one, False)
    if not _is_zero(nodes, lost):
        return None
    lower = lower != found.negated
    return kept, "tril" if lower else "triu", found.k if lower else found.k + 1


def _band_of(nodes: Sequence[Node], mask: Node) -> Band | None:
    """The band of a constant mask of the last two axes."""
    shape = mask.aval.shape
    while mask.op.name == "broadcast_to":
        mask = nodes[mask.operands[0]]
    if mask.op.name != "constant" or mask.aval.ndim != 2 or not mask.aval.size or mask.aval.shape != shape[-2:]:
        return None
    return band(mask.params["value"])


def _is_zero(nodes: Sequence[Node], node_id: int) -> bool:
    """Whether a value is 0 everywhere, none of them negative."""
    node = nodes[node_id]
    while node.op.name == "broadcast_to":
        node = nodes[node.operands[0]]
    number = uniform(np.asarray(node.params["value"])) if node.op.name == "constant" else None
    return number is not None and not any(number.tobytes())


def diagonal_read(nodes: Sequence[Node], node: Node) -> tuple[int, int] | None:
    """The matrix of which a slice of its elements in a row is a whole diagonal, and which; None for another slice."""
    flat = nodes[node.operands[0]]
    if flat.op.name != "reshape" or flat.aval.ndim != 1:
        return None
    matrix = nodes[flat.operands[0]].aval
    if matrix.ndim != 2 or matrix.is_symbolic:
        return None
    rows, columns = (int(d) for d in matrix.shape)
    (start,), (size,), (step,) = (node.params[word] for word in ("starts", "sizes", "steps"))
    if step != columns + 1 or start >= rows * columns:
        return None
    k = start if start < columns else -(start // columns)
    is_whole = start in (k, -k * columns) and size == min(rows + min(k, 0), columns - max(k, 0))
    return (flat.operands[0], k) if is_whole else None
