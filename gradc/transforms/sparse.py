"""Sparse Jacobians: columns that share no row are computed together, and rows that share no column.

The pattern comes from the graph. Columns (or rows) that meet are neighbours in a graph that networkx colours; those of
one colour have one seed, so there are as many seeds as colours. (Curtis, Powell and Reid, On the estimation of sparse
Jacobian matrices, 1974; Coleman and More, Estimation of sparse Jacobian matrices and graph coloring problems, 1983.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from gradc.ir.aval import Aval
from gradc.ir.graph import Builder, Graph, Rewrite, Value
from gradc.ops.index import gather
from gradc.ops.shape import reshaped
from gradc.transforms.adjoint import adjoint
from gradc.transforms.batching import replay_batched
from gradc.transforms.pattern import Pattern, pattern_of
from gradc.transforms.pushforward import TANGENT_PREFIX, pushforward

_LARGE: Final = 64
"""Among fewer columns that meet colours are looked for in any case."""


class Block(NamedTuple):
    """The Jacobian of one output by one input: a pattern in compressed columns, and the colours of its seeds.

    ``order`` sorts the pattern by columns. ``forward`` says whether columns are coloured, for tangents, or rows.
    """

    pattern: Pattern
    order: np.ndarray
    colours: np.ndarray
    forward: bool

    @property
    def indices(self) -> np.ndarray:
        """The row of each element, column by column."""
        found: np.ndarray = self.pattern.rows[self.order]
        return found

    @property
    def starts(self) -> np.ndarray:
        """Where each column starts, and where the last one ends."""
        return np.searchsorted(self.pattern.columns[self.order], np.arange(self.pattern.shape[1] + 1))


def sparse_jacobian(graph: Graph, wrt: Sequence[int], *, primals: int, rewrite: Rewrite | None = None) -> Graph:
    """The blocks of a Jacobian in compressed columns, then the other outputs.

    A block is four outputs: the elements that may differ from 0 column by column, their rows, the places where columns
    start, and the shape. Inputs and outputs count as flat arrays. Raises DerivativeError for symbolic sizes.
    """
    builder = Builder(rewrite)
    inputs = [builder.input(graph.nodes[i].params["name"], graph.nodes[i].aval) for i in graph.inputs]
    names, outputs = [], []
    patterns = {k: pattern_of(graph, k) for k in wrt}
    for j in range(primals):
        for k in wrt:
            block = coloured(patterns[k][j])
            outputs += [_elements(graph, builder, inputs, j, k, block), *_described(builder, block)]
            of = f"d_{graph.output_names[j]} d_{graph.input_names[k]}"
            names += [f"{of} {part}" for part in ("data", "indices", "indptr", "shape")]
    rest = graph.replay(builder, inputs)[primals:]
    return builder.freeze([*outputs, *rest], [*names, *graph.output_names[primals:]])


def coloured(pattern: Pattern) -> Block:
    """Colours for the side that needs fewer: no fewer than the most elements of a row, or of a column."""
    per_row, per_column = (np.bincount(pattern[k], minlength=1).max(initial=0) for k in (0, 1))
    forward = bool(per_row <= per_column)
    order = np.lexsort((pattern.rows, pattern.columns))
    if forward:
        colours = _colours(pattern.rows, pattern.columns, pattern.shape[1])
    else:
        colours = _colours(pattern.columns[order], pattern.rows[order], pattern.shape[0])
    return Block(pattern, order, colours, forward)


def _colours(groups: np.ndarray, members: np.ndarray, count: int) -> np.ndarray:
    """A colour for each of ``count`` members, so that those of one group differ; ``groups`` is sorted."""
    import networkx

    largest = int(np.bincount(groups, minlength=1).max())
    if largest > _LARGE and 2 * largest > count:
        return np.arange(count)  # half as many colours at best

    graph: networkx.Graph[int] = networkx.Graph()
    graph.add_nodes_from(range(count))
    for together in np.split(members, np.flatnonzero(np.diff(groups)) + 1):
        listed = together.tolist()
        graph.add_edges_from((a, b) for k, a in enumerate(listed) for b in listed[:k])
    found = networkx.greedy_color(graph, strategy="largest_first")
    return np.array([found[k] for k in range(count)], np.int64)


def _elements(
    graph: Graph, builder: Builder, inputs: Sequence[Value], output: int, position: int, block: Block
) -> Value:
    """The elements of a block, column by column."""
    inner = Builder(builder.rewrite)
    own = [inner.input(graph.nodes[i].params["name"], graph.nodes[i].aval) for i in graph.inputs]
    value, target = graph.replay(inner, own)[output], own[position]
    if block.forward:
        seed = inner.input(f"{TANGENT_PREFIX}{graph.input_names[position]}", target.aval)
        (found,) = pushforward(inner, [value], [target], [seed])
        result = value.aval
    else:
        seed = inner.input(f"ct_{graph.output_names[output]}", value.aval)
        (found,) = adjoint(inner, [value], [seed], [target])
        result = target.aval
    count = len(block.pattern.rows)
    if found is None or not count:
        return builder.full(0, Aval((count,), value.aval.dtype))
    colours = int(block.colours.max()) + 1
    chosen = block.colours == np.arange(colours)[:, None]
    seeds = builder.constant(chosen.reshape(colours, *map(int, seed.aval.shape)).astype(seed.aval.dtype))
    flags = [False] * len(inputs) + [True]
    ((table, is_batched),) = replay_batched(inner.freeze([found]), builder, [*inputs, seeds], flags, (colours,))
    assert is_batched
    rows, columns = block.pattern.rows[block.order], block.pattern.columns[block.order]
    seeded, other = (columns, rows) if block.forward else (rows, columns)
    flat = reshaped(table, (colours * int(result.size),))
    places = builder.constant(block.colours[seeded] * int(result.size) + other)
    return gather(flat, places, axes=(0,))


def _described(builder: Builder, block: Block) -> list[Value]:
    return [builder.constant(np.asarray(x, np.int64)) for x in (block.indices, block.starts, block.pattern.shape)]
