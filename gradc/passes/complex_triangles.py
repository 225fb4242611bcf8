"""Schur forms, and equations and roots of triangles, in pairs of real numbers; see ``gradc.ops.schur``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gradc.ir.graph import Value
from gradc.ir.node import Node
from gradc.ops.linalg import stacked, swapped
from gradc.ops.orthogonal import upper_part
from gradc.ops.schur import schur_parts
from gradc.ops.shape import reshaped
from gradc.ops.triangular_equations import root_parts, solution_of, sylvester_parts
from gradc.passes.complex_functions import Pair
from gradc.passes.complex_matrices import part


def _parts(a: Value | Pair) -> list[Value]:
    return [stacked(x) for x in (a if isinstance(a, Pair) else (a,))]


def _nothing(node: Node, a: Value | Pair) -> Pair:
    like = a.re if isinstance(a, Pair) else a
    empty = like.builder.full(0.0, node.aval.with_dtype(like.aval.dtype))
    return Pair(empty, empty)


def schur_form(node: Node, a: Value | Pair) -> Pair:
    """The op ``schur_form``."""
    if 0 in node.aval.shape:
        return _nothing(node, a)
    size, found = int(node.aval.shape[-1]), schur_parts(*_parts(a))
    return Pair(*[reshaped(upper_part(part(found, 1, k * size, size)), node.aval.shape) for k in (0, 1)])


def schur_vectors(node: Node, a: Value | Pair) -> Pair:
    """The op ``schur_vectors``."""
    if 0 in node.aval.shape:
        return _nothing(node, a)
    size, found = int(node.aval.shape[-1]), schur_parts(*_parts(a))
    return Pair(*[reshaped(swapped(part(found, 1, k * size, size)), node.aval.shape) for k in (2, 3)])


def sylvester(node: Node, t: Pair, u: Pair, c: Pair) -> Pair:
    """The op ``sylvester``."""
    if 0 in node.aval.shape:
        return _nothing(node, c)
    given = [x for operand in (t, u, c) for x in _parts(operand)]
    return Pair(*solution_of(sylvester_parts(*given, parts=2, **node.params), node.aval, 2))


def triangular_root(node: Node, t: Pair) -> Pair:
    """The op ``triangular_root``."""
    if 0 in node.aval.shape:
        return _nothing(node, t)
    return Pair(*solution_of(root_parts(*_parts(t)), node.aval, 2))


RULES: Final[dict[str, Callable[..., Value | Pair]]] = {
    rule.__name__: rule for rule in (schur_form, schur_vectors, sylvester, triangular_root)
}
"""What computes each op, by its name."""
