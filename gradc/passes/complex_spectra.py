"""Eigenvalues and eigenvectors of matrices of any kind in pairs of real numbers; see ``gradc.ops.general_spectra``."""

from __future__ import annotations

from gradc.ir.graph import Graph, Value
from gradc.ir.node import Node
from gradc.ops.general_spectra import general_eigenvectors, general_spectrum
from gradc.ops.linalg import stacked, swapped
from gradc.ops.shape import reshaped, slice_
from gradc.passes.complex_functions import Pair


def _spectrum(a: Value | Pair, *, vectors: bool) -> tuple[Value, int, int]:
    """What the loops make of the matrices, their size, and how many parts they have."""
    given = [stacked(x) for x in (a if isinstance(a, Pair) else (a,))]
    return general_spectrum(*given, vectors=vectors), int(given[0].aval.shape[-1]), len(given)


def _rows(x: Value, start: int, count: int) -> Value:
    batch, _, columns = x.aval.shape
    return slice_(x, starts=(0, start, 0), sizes=(batch, count, columns), steps=(1, 1, 1))


def _nothing(node: Node, a: Value | Pair) -> Pair:
    like = a.re if isinstance(a, Pair) else a
    empty = like.builder.full(0.0, node.aval.with_dtype(like.aval.dtype))
    return Pair(empty, empty)


def values_of(graph: Graph, node: Node, a: Value | Pair) -> Pair:
    """The op ``general_eigenvalues``: beside vectors of the same matrices where the graph has them, too."""
    if 0 in node.aval.shape:
        return _nothing(node, a)
    beside = any(x.op is general_eigenvectors and x.operands == node.operands for x in graph.nodes)
    found, size, parts = _spectrum(a, vectors=beside)
    last = size * parts * (3 if beside else 1)
    return Pair(*[reshaped(_rows(found, last + part, 1), node.aval.shape) for part in (0, 1)])


def vectors_of(node: Node, a: Value | Pair) -> Pair:
    """The op ``general_eigenvectors``."""
    if 0 in node.aval.shape:
        return _nothing(node, a)
    found, size, parts = _spectrum(a, vectors=True)
    starts = (size, 2 * size) if parts == 1 else (0, size)
    return Pair(*[reshaped(swapped(_rows(found, start, size)), node.aval.shape) for start in starts])
