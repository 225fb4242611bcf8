"""Patterns of Jacobians: exactly the elements that an op links, and colours that keep apart what meets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gradc.errors import DerivativeError
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Value
from gradc.ops.contraction import contract
from gradc.ops.cumulative import cumsum
from gradc.ops.elementwise import exp, greater, select
from gradc.ops.index import gather, scatter
from gradc.ops.linalg import cholesky
from gradc.ops.reduce import log_softmax, reduce_max, reduce_sum, softmax
from gradc.ops.regions import stop_gradient
from gradc.ops.shape import broadcast_to, concatenate, reshape, slice_, transpose, update_slice
from gradc.transforms.pattern import Pattern, pattern_of
from gradc.transforms.sparse import coloured

DENSE = np.ones((6, 6), int)
EYE = np.eye(6, dtype=int)
BLOCKS = np.kron(np.eye(2, dtype=int), np.ones((3, 3), int))
"""Elements of one row of the 2 by 3 matrix."""


def constant(x: Value, value: object) -> Value:
    return x.builder.constant(np.asarray(value))


def zeros(x: Value, text: str) -> Value:
    return x.builder.full(0.0, aval(text))


LINKS: dict[str, tuple[Callable[[Value], Value], np.ndarray]] = {
    "elementwise": (lambda x: exp(x) * x, EYE),
    "select": (lambda x: select(greater(x, zeros(x, "f64[2,3]")), x, zeros(x, "f64[2,3]")), EYE),
    "stopped": (lambda x: stop_gradient(x) * x, EYE),
    "only stopped": (lambda x: stop_gradient(x), 0 * EYE),
    "transpose": (lambda x: transpose(x, axes=(1, 0)), EYE[[0, 3, 1, 4, 2, 5]]),
    "reshape": (lambda x: reshape(x, shape=(3, 2)), EYE),
    "slice": (lambda x: slice_(x, starts=(0, 2), sizes=(2, 2), steps=(1, -1)), EYE[[2, 1, 5, 4]]),
    "broadcast": (lambda x: broadcast_to(x, shape=(2, 2, 3)), np.concatenate([EYE, EYE])),
    "sum": (lambda x: reduce_sum(x, axes=(1,), keepdims=False), BLOCKS[[0, 3]]),
    "largest": (lambda x: reduce_max(x, axes=(0,), keepdims=True), EYE[:3] + EYE[3:]),
    "softmax": (lambda x: softmax(x, axes=(1,)), BLOCKS),
    "log_softmax": (lambda x: log_softmax(x, axes=(1,)), BLOCKS),
    "softmax of columns": (lambda x: softmax(x, axes=(0,)), np.tile(np.eye(3, dtype=int), (2, 2))),
    "concatenate": (lambda x: concatenate(x, zeros(x, "f64[1,3]"), x, axis=0), np.r_[EYE, 0 * EYE[:3], EYE]),
    "gather": (lambda x: gather(x, constant(x, [1, 1]), axes=(0,)), EYE[[3, 4, 5, 3, 4, 5]]),
    "gather at data": (
        lambda x: gather(x, x.builder.input("k", aval("i64[1]")), axes=(0,)),
        DENSE[:3],
    ),
    "written": (
        lambda x: update_slice(
            x, slice_(x, starts=(0, 0), sizes=(1, 3), steps=(1, 1)), starts=(1, 0), steps=(1, 1), mode="set"
        ),
        EYE[[0, 1, 2, 0, 1, 2]],
    ),
    "added": (
        lambda x: update_slice(
            x, slice_(x, starts=(0, 0), sizes=(1, 2), steps=(1, 1)), starts=(1, 1), steps=(1, 1), mode="add"
        ),
        EYE + np.pad(EYE[:2], ((4, 0), (0, 0))),
    ),
    "scattered": (
        lambda x: scatter(zeros(x, "f64[3,3]"), x, constant(x, [2, 2]), axes=(0,), mode="add"),
        np.r_[0 * EYE, EYE[:3] + EYE[3:]],
    ),
    "matrix": (lambda x: contract(x, constant(x, np.ones((3, 2))), lhs="ij", rhs="jk", out="ik"), BLOCKS[[0, 0, 3, 3]]),
    "matrix with zeros": (
        lambda x: contract(constant(x, [[1.0, 0.0], [0.0, 2.0]]), x, lhs="ij", rhs="jk", out="ik"),
        EYE,
    ),
    "sums so far are not known": (lambda x: cumsum(x, axis=1, reverse=False), DENSE),
    "two ways": (lambda x: x + broadcast_to(reduce_sum(x, axes=(1,), keepdims=True), shape=(2, 3)), BLOCKS),
}


def matrix(pattern: Pattern) -> np.ndarray:
    found = np.zeros(pattern.shape, int)
    np.add.at(found, (pattern.rows, pattern.columns), 1)
    return found


@pytest.mark.parametrize(("function", "expected"), LINKS.values(), ids=LINKS.keys())
def test_what_each_op_links(function: Callable[[Value], Value], expected: np.ndarray) -> None:
    builder = Builder()
    x = builder.input("x", aval("f64[2,3]"))
    (pattern,) = pattern_of(builder.freeze([function(x)]), 0)
    np.testing.assert_array_equal(matrix(pattern), expected)


def test_an_op_that_is_not_known_links_all() -> None:
    builder = Builder()
    a = builder.input("a", aval("f64[2,2]"))
    (pattern,) = pattern_of(builder.freeze([cholesky(a)]), 0)
    np.testing.assert_array_equal(matrix(pattern), np.ones((4, 4)))


def test_what_is_not_sparse_is_refused() -> None:
    builder = Builder()
    x = builder.input("x", aval("f64[10000]"))
    graph = builder.freeze([cumsum(x, axis=0, reverse=False)])
    with pytest.raises(DerivativeError) as caught:
        pattern_of(graph, 0)
    assert str(caught.value) == (
        "cumsum links each of 10000 elements to 10000, and the derivative is not sparse; leave out sparse=True"
    )


def test_a_group_of_most_members_needs_no_search() -> None:
    dense = np.zeros((101, 100), bool)
    dense[0] = dense[:, 0] = True
    block = coloured(of(dense))
    np.testing.assert_array_equal(block.colours, np.arange(100))


def test_symbolic_sizes_have_no_pattern() -> None:
    builder = Builder()
    x = builder.input("x", aval("f64[n]"))
    with pytest.raises(
        DerivativeError, match="a sparse derivative needs fixed sizes, and n is symbolic; compile for one"
    ):
        pattern_of(builder.freeze([exp(x)]), 0)


def of(dense: np.ndarray) -> Pattern:
    rows, columns = np.nonzero(dense)
    return Pattern(rows, columns, dense.shape)


@pytest.mark.parametrize(
    ("dense", "colours", "forward"),
    [
        (np.eye(7), 1, True),
        (np.eye(7) + np.eye(7, k=1) + np.eye(7, k=-1), 3, True),
        (np.eye(7) + np.pad(np.ones((1, 7)), ((0, 6), (0, 0))) + np.pad(np.ones((7, 1)), ((0, 0), (0, 6))), 7, True),
        (np.r_[np.ones((1, 7)), np.eye(7)], 2, False),
        (np.c_[np.ones((7, 1)), np.eye(7)], 2, True),
        (np.zeros((3, 4)), 1, True),
    ],
    ids=["diagonal", "tridiagonal", "arrow", "full row", "full column", "nothing"],
)
def test_colours(dense: np.ndarray, colours: int, forward: bool) -> None:
    block = coloured(of(dense))
    assert (len(set(block.colours.tolist())), block.forward) == (colours, forward)
    side = dense if forward else dense.T
    for colour in set(block.colours.tolist()):
        assert np.all(np.count_nonzero(side[:, block.colours == colour], axis=1) <= 1)


@pytest.mark.parametrize("seed", range(5))
def test_colours_of_random_patterns(seed: int) -> None:
    dense = np.random.default_rng(seed).uniform(size=(12, 15)) < 0.2
    block = coloured(of(dense))
    side = dense if block.forward else dense.T
    for colour in set(block.colours.tolist()):
        assert np.all(np.count_nonzero(side[:, block.colours == colour], axis=1) <= 1)
    rebuilt = np.zeros(dense.shape, bool)
    for column in range(15):
        rebuilt[block.indices[block.starts[column] : block.starts[column + 1]], column] = True
    np.testing.assert_array_equal(rebuilt, dense)
