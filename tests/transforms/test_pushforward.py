"""The pushforward: branches that were not taken, kinks as in reverse mode, names, and recurrences kept in order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gradc.backends.reference import evaluate
from gradc.ir.aval import aval, aval_of
from gradc.ir.graph import Builder, Value
from gradc.ops.contraction import contract, masked_contract
from gradc.ops.cumulative import cumprod, cumsum
from gradc.ops.elementwise import (
    absolute,
    convert,
    exp,
    greater,
    log,
    logical_not,
    maximum,
    minimum,
    power,
    select,
    sqrt,
    tanh,
)
from gradc.ops.index import gather, scatter
from gradc.ops.linalg import cholesky, triangular_solve
from gradc.ops.reduce import log_softmax, logsumexp, reduce_max, reduce_prod, reduce_sum, softmax
from gradc.ops.shape import broadcast_to, concatenate, reshape, slice_, transpose, update_slice
from gradc.transforms.adjoint import adjoint
from gradc.transforms.derivative import differentiate
from gradc.transforms.pushforward import pushforward

Function = Callable[..., Value]


def zero(x: Value) -> Value:
    return x.builder.full(0.0, x.aval)


def tangent(function: Function, *arrays: np.ndarray, along: tuple[np.ndarray, ...] = (), order: int = 1) -> np.ndarray:
    """The derivative of a function along ``along`` (all ones by default), taken ``order`` times."""
    builder = Builder()
    inputs = [builder.input(f"x{k}", aval_of(a)) for k, a in enumerate(arrays)]
    directions = [builder.constant(d) for d in along or [np.ones_like(a) for a in arrays]]
    value = function(*inputs)
    for _ in range(order):
        (found,) = pushforward(builder, [value], inputs, directions)
        assert found is not None
        value = found
    return evaluate(builder.freeze([value]), list(arrays))[0]


def positive(x: Value) -> Value:
    return greater(x, zero(x))


def where_log(x: Value) -> Value:
    return select(positive(x), log(x), zero(x))


def where_sqrt_chain(x: Value) -> Value:
    return select(positive(x), x * sqrt(x) + log(x) * x, zero(x))


def where_power(x: Value) -> Value:
    return select(positive(x), power(x, x.builder.full(-1.5, x.aval)), zero(x))


X = np.array([0.0, 2.0, -1.0])


@pytest.mark.parametrize(
    ("function", "slopes"),
    [
        (where_log, (lambda x: 1 / x, lambda x: -1 / x**2, lambda x: 2 / x**3)),
        (where_sqrt_chain, (lambda x: 1.5 * np.sqrt(x) + np.log(x) + 1, lambda x: 0.75 / np.sqrt(x) + 1 / x)),
        (where_power, (lambda x: -1.5 * x**-2.5, lambda x: 3.75 * x**-3.5)),
    ],
)
def test_a_branch_not_taken_has_tangent_zero_at_every_order(function: Function, slopes: tuple[Function, ...]) -> None:
    for order, slope in enumerate(slopes, 1):
        found = tangent(function, X, order=order)
        np.testing.assert_allclose(found, [0.0, slope(2.0), 0.0], rtol=1e-14)


def test_a_branch_not_taken_contributes_nothing_however_large_its_factor() -> None:
    """The tangent of the constant branch meets an infinite factor, and is 0."""

    def function(x: Value) -> Value:
        guarded = select(positive(x), x, x.builder.full(3.0, x.aval))
        return guarded * x.builder.constant(np.array([np.inf, 5.0, np.inf]))

    np.testing.assert_array_equal(tangent(function, X), [0.0, 5.0, 0.0])


def movements(x: Value) -> Value:
    """Every op that moves elements, on a value of which two elements are dead."""
    guarded = select(positive(x), x * x, zero(x))
    wide = broadcast_to(reshape(guarded, shape=(1, 3)), shape=(2, 3))
    turned = slice_(transpose(wide, axes=(1, 0)), starts=(0, 0), sizes=(3, 1), steps=(1, 1))
    joined = concatenate(reshape(turned, shape=(3,)), guarded, axis=0)
    picked = gather(joined, x.builder.constant(np.array([0, 1, 5, 4])), axes=(0,))
    base = x.builder.full(1.0, picked.aval)
    written = update_slice(base, picked, starts=(0,), steps=(1,), mode="set")
    more = update_slice(written, guarded, starts=(1,), steps=(1,), mode="add")
    added = scatter(more, guarded, x.builder.constant(np.array([0, 0, 1])), axes=(0,), mode="add")
    return convert(added, dtype=np.dtype(np.float64))


def test_masks_move_with_the_elements() -> None:
    """What a living element reaches is computed with an infinite factor, what none reaches is an exact 0."""

    def function(x: Value) -> Value:
        value = movements(x)
        return value * x.builder.full(np.inf, value.aval)

    # movements is [g0, g1, g2, g1] + [0, g0, g1, g2] + [g0 + g1, g2, 0, 0], of which g1 alone is alive
    np.testing.assert_array_equal(tangent(function, X), [np.inf, np.inf, np.inf, np.inf])
    np.testing.assert_array_equal(tangent(function, np.array([0.0, 0.0, 2.0])), [0.0, np.inf, np.inf, np.inf])
    np.testing.assert_array_equal(tangent(function, np.array([2.0, 0.0, 0.0])), [np.inf, np.inf, 0.0, 0.0])


REDUCTIONS = {
    "sum": lambda x: reduce_sum(x, axes=(1,), keepdims=False),
    "max": lambda x: reduce_max(x, axes=(1,), keepdims=False),
    "prod": lambda x: reduce_prod(x, axes=(1,), keepdims=False),
    "logsumexp": lambda x: logsumexp(x, axes=(1,), keepdims=False),
    "softmax": lambda x: reduce_sum(softmax(x, axes=(1,)) * x, axes=(1,), keepdims=False),
    "log_softmax": lambda x: -reduce_sum(log_softmax(x, axes=(1,)) * x, axes=(1,), keepdims=False),
    "sums so far": lambda x: slice_(cumsum(x, axis=1, reverse=True), starts=(0, 0), sizes=(2, 1), steps=(1, 1)),
    "products so far": lambda x: slice_(cumprod(x, axis=1), starts=(0, 1), sizes=(2, 1), steps=(1, 1)),
    "contract": lambda x: contract(x, x.builder.constant(np.ones(2)), lhs="ij", rhs="j", out="i"),
    "second operand": lambda x: contract(x.builder.constant(np.ones(2)), x, lhs="j", rhs="ij", out="i"),
    "masked": lambda x: masked_contract(
        x, x.builder.constant(np.ones((2, 2), bool)), x.builder.constant(np.ones(2)), lhs="ij", rhs="j", out="i"
    ),
    "doubly masked": lambda x: masked_contract(
        x.builder.constant(np.ones(2)), x.builder.constant(np.ones(2, bool)), x, lhs="j", rhs="ij", out="i"
    ),
}


@pytest.mark.parametrize("reduction", REDUCTIONS.values(), ids=REDUCTIONS.keys())
def test_a_row_of_dead_elements_is_dead(reduction: Function) -> None:
    x = np.array([[0.0, -1.0], [2.0, 3.0]])

    def function(x: Value) -> Value:
        guarded = select(positive(x), x, x.builder.full(1.0, x.aval))
        row = reduction(guarded)
        return row * row.builder.full(np.inf, row.aval)

    found = tangent(function, x, along=(np.array([[1.0, 1.0], [1.0, 2.0]]),))
    assert found[0] == 0.0
    assert found[1] == np.inf


def test_matrices_of_a_stack_are_apart() -> None:
    def function(a: Value) -> Value:
        spread = broadcast_to(a, shape=(2, 2, 2))
        first = a.builder.constant(np.array([True, False]).reshape(2, 1, 1).repeat(2, 1).repeat(2, 2))
        eye = a.builder.constant(np.stack([np.eye(2)] * 2))
        factor = cholesky(select(first, spread, eye))
        solved = triangular_solve(factor, eye, transposed=False)
        return solved * a.builder.full(np.inf, solved.aval)

    found = tangent(function, np.array([[4.0, 1.0], [1.0, 3.0]]))
    np.testing.assert_array_equal(found[1], np.zeros((2, 2)))
    assert np.isinf(found[0, 0, 0])


KINKS = {
    "maximum": (lambda x, y: maximum(x, y), 2),
    "minimum": (lambda x, y: minimum(x, y), 2),
    "relu": (lambda x: maximum(x, zero(x)), 1),
    "abs": (absolute, 1),
    "max": (lambda x: reduce_max(x, axes=(0,), keepdims=False), 1),
}


@pytest.mark.parametrize(("function", "count"), KINKS.values(), ids=KINKS.keys())
def test_kinks_are_those_of_reverse_mode(function: Function, count: int) -> None:
    at = [np.array([0.0, 1.0, 1.0, -2.0]), np.array([0.0, 1.0, 3.0, -2.0])][:count]
    rng = np.random.default_rng(0)
    along = tuple(rng.normal(size=4) for _ in at)
    pushed = tangent(function, *at, along=along)
    ct = rng.normal(size=pushed.shape)
    builder = Builder()
    inputs = [builder.input(f"x{k}", aval("f64[4]")) for k in range(count)]
    pulled = adjoint(builder, [function(*inputs)], [builder.constant(ct)], inputs)
    graph = builder.freeze([p for p in pulled if p is not None])
    backward = sum(np.sum(p * t) for p, t in zip(evaluate(graph, at), along, strict=True))
    assert backward == pytest.approx(np.sum(pushed * ct), rel=1e-14)


def test_a_value_that_does_not_move_has_no_tangent() -> None:
    builder = Builder()
    x, y = (builder.input(name, aval("f64[2]")) for name in "xy")
    assert pushforward(builder, [exp(y), x], [x], [builder.constant(np.ones(2))])[0] is None


def test_tangents_are_named_after_their_values() -> None:
    builder = Builder()
    x = builder.input("x", aval("f64[2]"))
    z = x * x
    builder.name(z, "z")
    graph = builder.freeze([tanh(z)], ["out"])
    pushed = differentiate(graph, "jvp", (0,), primals=1)
    assert pushed.input_names == ("x", "t_x")
    assert pushed.output_names == ("out", "t_out")
    assert sorted(pushed.names.values()) == ["t_out", "t_z", "z"]


def test_each_tangent_stands_behind_its_value() -> None:
    """So the steps of an unrolled recurrence are found again, with their tangents."""
    builder = Builder()
    value = builder.input("x", aval("f64[]"))
    for _ in range(3):
        value = tanh(exp(value))
    pushed = differentiate(builder.freeze([value]), "jvp", (0,), primals=1)
    ops = [node.op.name for node in pushed.nodes if node.op.name in ("exp", "tanh", "sub")]
    assert ops == ["exp", "tanh", "sub"] * 3


def test_masks_of_conditions_on_conditions() -> None:
    def function(x: Value) -> Value:
        inner = select(positive(x), log(x), x)
        outer = select(logical_not(positive(x)), zero(x), inner)
        return outer * x.builder.constant(np.array([np.inf, 1.0, np.inf]))

    np.testing.assert_array_equal(tangent(function, X), [0.0, 0.5, 0.0])
