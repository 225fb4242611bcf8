"""Which elements of a result depend on which elements of an input: the pattern of a sparse Jacobian, from the graph.

For each op the pattern says which elements of an operand an element of the result is made of: one of them for
elementwise ops and for those that move elements, a row for reductions, the terms of a contraction except those with a
constant 0. Of an op that is not known here every element depends on all. So a pattern has every element that may
differ from 0, and maybe more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from gradc.errors import DerivativeError
from gradc.ir.aval import Aval
from gradc.ir.graph import CONSTANT, INPUT, Graph, Node
from gradc.ops.contraction import contract
from gradc.ops.elementwise import add
from gradc.ops.index import gather, scatter
from gradc.ops.reduce import log_softmax, logsumexp, reduce_max, reduce_min, reduce_prod, reduce_sum, softmax
from gradc.ops.regions import call, stop_gradient
from gradc.ops.shape import broadcast_to, concatenate, reshape, update_slice

Links = tuple[np.ndarray, np.ndarray]
"""Pairs of elements, counted row by row: of the result, and of the operand that they are made of."""

_MOST_TERMS: Final = 1 << 22
"""Of a contraction with more terms every element of the result counts as made of all."""
_MOST_ELEMENTS: Final = 1 << 25
"""A pattern with more elements is not one of a sparse matrix."""
_REDUCTIONS: Final = (reduce_sum, reduce_prod, reduce_max, reduce_min, logsumexp)


class Pattern(NamedTuple):
    """Elements that may differ from 0, each once, by rows and in a row by columns."""

    rows: np.ndarray
    columns: np.ndarray
    shape: tuple[int, int]


def pattern_of(graph: Graph, position: int) -> list[Pattern]:
    """For each output the pattern of its Jacobian by an input, both as flat arrays.

    Raises DerivativeError for symbolic sizes.
    """
    if graph.symbols:
        raise DerivativeError(
            f"a sparse derivative needs fixed sizes, and {', '.join(graph.symbols)} is symbolic; compile for one size"
        )
    target = graph.inputs[position]
    count = _size(graph.nodes[target].aval)
    known = {target: Pattern(np.arange(count), np.arange(count), (count, count))}
    for node in graph.nodes:
        if node.op is INPUT or node.aval.dtype.kind not in "fc" or node.op is stop_gradient:
            continue
        moving = [k for k, i in enumerate(node.operands) if i in known]
        if moving:
            parts = [_passed(graph, node, k, known[node.operands[k]]) for k in moving]
            known[node.id] = _united(parts)
    nothing = np.zeros(0, np.int64)
    return [known.get(i, Pattern(nothing, nothing, (_size(graph.nodes[i].aval), count))) for i in graph.outputs]


def _size(aval: Aval) -> int:
    return math.prod(int(d) for d in aval.shape)


def _passed(graph: Graph, node: Node, k: int, pattern: Pattern) -> Pattern:
    """What a result has of the pattern of operand k."""
    size, links = _size(node.aval), _links(graph, node, k)
    if links is not None:
        return _linked(pattern, *links, size)
    columns = np.unique(pattern.columns)
    if size * len(columns) > _MOST_ELEMENTS:
        raise DerivativeError(
            f"{node.op.name} links each of {size} elements to {len(columns)}, and the derivative is not sparse; "
            "leave out sparse=True"
        )
    return Pattern(np.repeat(np.arange(size), len(columns)), np.tile(columns, size), (size, pattern.shape[1]))


def _linked(pattern: Pattern, results: np.ndarray, operands: np.ndarray, size: int) -> Pattern:
    """The pattern of a result whose elements are made of rows of a pattern."""
    starts = np.searchsorted(pattern.rows, np.arange(pattern.shape[0] + 1))
    counts = starts[operands + 1] - starts[operands]
    ends = np.cumsum(counts)
    places = np.arange(counts.sum()) + np.repeat(starts[operands] - (ends - counts), counts)
    return _sorted(np.repeat(results, counts), pattern.columns[places], (size, pattern.shape[1]))


def _united(patterns: Sequence[Pattern]) -> Pattern:
    if len(patterns) == 1:
        return patterns[0]
    rows, columns = (np.concatenate([p[k] for p in patterns]) for k in (0, 1))
    return _sorted(rows, columns, patterns[0].shape)


def _sorted(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> Pattern:
    keys = np.unique(rows * max(shape[1], 1) + columns)
    return Pattern(keys // max(shape[1], 1), keys % max(shape[1], 1), shape)


def _links(graph: Graph, node: Node, k: int) -> Links | None:
    """Which elements of operand k the elements of the result are made of; None for all of them."""
    avals = [graph.nodes[i].aval for i in node.operands]
    rule = _RULES.get(node.op.name)
    if rule is not None:
        return rule(graph, node, k)
    if node.op.elementwise:
        every = np.arange(_size(node.aval))
        return every, every
    if node.op.loops is not None and len(avals) == 1:
        return np.arange(_size(node.aval)), np.ravel(node.op.evaluate(_numbers(avals[0]), **node.params))
    return None


def _numbers(aval: Aval, first: int = 0) -> np.ndarray:
    """The elements of an array, numbered."""
    return np.arange(first, first + _size(aval)).reshape([int(d) for d in aval.shape])


def _reduction(graph: Graph, node: Node, k: int) -> Links:
    x = graph.nodes[node.operands[0]].aval
    shape = [1 if a in node.params["axes"] else int(d) for a, d in enumerate(x.shape)]
    results = np.arange(math.prod(shape)).reshape(shape)
    return np.ravel(np.broadcast_to(results, [int(d) for d in x.shape])), np.arange(_size(x))


def _softmax(graph: Graph, node: Node, k: int) -> Links:
    """Every element along the axes depends on all of them."""
    groups, elements = _reduction(graph, node, k)
    order = np.argsort(groups, kind="stable")
    count = len(groups) // max(len(np.unique(groups)), 1)
    members = elements[order].reshape(-1, max(count, 1))
    return np.ravel(np.repeat(members, count, axis=1)), np.ravel(np.tile(members, (1, count)))


def _joined(graph: Graph, node: Node, k: int) -> Links:
    """Ops that put elements of operands in places: the op itself on numbered elements tells which."""
    avals = [graph.nodes[i].aval for i in node.operands]
    starts = np.cumsum([0, *(_size(a) for a in avals)])
    numbered = [_numbers(a, int(start)) for a, start in zip(avals, starts, strict=False)]
    return _placed(np.asarray(node.op.evaluate(*numbered, **node.params)), starts, k)


def _placed(numbers: np.ndarray, starts: np.ndarray, k: int) -> Links:
    flat = np.ravel(numbers)
    results = np.flatnonzero((flat >= starts[k]) & (flat < starts[k + 1]))
    return results, flat[results] - starts[k]


def _updated(graph: Graph, node: Node, k: int) -> Links | None:
    """A write: elements of the base that stay, and those of the value in their places; added, both."""
    indices = [_constant(graph, i) for i in node.operands[2:]]
    if any(index is None for index in indices):
        return None
    base, value = (graph.nodes[i].aval for i in node.operands[:2])
    if node.params["mode"] == "set":
        starts = np.array([0, _size(base), _size(base) + _size(value)])
        written = node.op.evaluate(_numbers(base), _numbers(value, _size(base)), *indices, **node.params)
        return _placed(np.asarray(written), starts, k)
    every = np.arange(_size(base))
    if k == 0:
        return every, every
    shape = [int(d) for d in value.shape]
    if node.op is scatter:
        places = gather.evaluate(_numbers(base), *indices, axes=node.params["axes"])
    else:
        marked = update_slice.evaluate(
            np.full([int(d) for d in base.shape], -1), _numbers(value), **{**node.params, "mode": "set"}
        )
        places = np.empty(_size(value), np.int64)
        flat = np.ravel(marked)
        places[flat[flat >= 0]] = np.flatnonzero(flat >= 0)
    return np.ravel(np.reshape(places, shape)), np.arange(_size(value))


def _gathered(graph: Graph, node: Node, k: int) -> Links | None:
    indices = [_constant(graph, i) for i in node.operands[1:]]
    if any(index is None for index in indices):
        return None
    numbers = _numbers(graph.nodes[node.operands[0]].aval)
    return np.arange(_size(node.aval)), np.ravel(gather.evaluate(numbers, *indices, **node.params))


def _contracted(graph: Graph, node: Node, k: int) -> Links | None:
    """The terms of each sum, but for those with a constant 0."""
    letters = [node.params["lhs"], node.params["rhs"]]
    shapes = [graph.nodes[i].aval.shape for i in node.operands]
    sizes = {c: int(d) for own, shape in zip(letters, shapes, strict=True) for c, d in zip(own, shape, strict=True)}
    if math.prod(sizes.values()) > _MOST_TERMS:
        return None
    every = node.params["out"] + "".join(sorted(set(sizes) - set(node.params["out"])))
    full = [sizes[c] for c in every]
    other = _constant(graph, node.operands[1 - k])
    kept = np.ones(full, bool) if other is None else np.broadcast_to(_spread(other != 0, letters[1 - k], every), full)
    results, operands = (
        np.broadcast_to(
            _spread(np.arange(math.prod(sizes[c] for c in own)).reshape([sizes[c] for c in own]), own, every), full
        )
        for own in (node.params["out"], letters[k])
    )
    return results[kept], operands[kept]


def _called(graph: Graph, node: Node, k: int) -> Links | None:
    """The pattern of the body, unless its derivative is another one."""
    if node.params["rule"] is not None:
        return None
    pattern = pattern_of(node.params["body"], k)[node.params["index"]]
    return pattern.rows, pattern.columns


def _spread(x: np.ndarray, own: str, every: str) -> np.ndarray:
    """An array with an axis for each letter of ``every``, of size 1 where it has none."""
    moved = np.transpose(x, sorted(range(len(own)), key=lambda a: every.index(own[a])))
    sizes = dict(zip(sorted(own, key=every.index), moved.shape, strict=True))
    return moved.reshape([sizes.get(c, 1) for c in every])


def _constant(graph: Graph, node_id: int) -> np.ndarray | None:
    """The array of a value that is constant."""
    node = graph.nodes[node_id]
    if node.op is CONSTANT:
        value: np.ndarray = node.params["value"]
        return value
    if node.op is broadcast_to:
        inner = _constant(graph, node.operands[0])
        return None if inner is None else np.broadcast_to(inner, [int(d) for d in node.aval.shape])
    if node.op in (add, reshape):  # as the places of many windows are
        operands = [_constant(graph, i) for i in node.operands]
        return None if any(x is None for x in operands) else np.asarray(node.op.evaluate(*operands, **node.params))
    return None


_RULES: Final[dict[str, Callable[[Graph, Node, int], Links | None]]] = {
    **{op.name: _reduction for op in _REDUCTIONS},
    softmax.name: _softmax,
    log_softmax.name: _softmax,
    concatenate.name: _joined,
    update_slice.name: _updated,
    scatter.name: _updated,
    gather.name: _gathered,
    contract.name: _contracted,
    call.name: _called,
}
