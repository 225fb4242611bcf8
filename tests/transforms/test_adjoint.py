"""The adjoint: branches that were not taken, kinks, sums of contributions, and derivatives of derivatives."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest

import gradc
from gradc.backends.reference import evaluate
from gradc.errors import DerivativeError
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Value
from gradc.ops.contraction import contract, masked_contract
from gradc.ops.elementwise import (
    absolute,
    convert,
    greater,
    log,
    logical_not,
    maximum,
    minimum,
    power,
    select,
    sqrt,
)
from gradc.ops.index import gather, scatter
from gradc.ops.reduce import logsumexp, reduce_max, reduce_prod, reduce_sum, softmax
from gradc.ops.shape import broadcast_to, concatenate, reshape, slice_, transpose, update_slice
from gradc.transforms.adjoint import adjoint
from gradc.transforms.derivative import differentiate


def total(value: Value) -> Value:
    return reduce_sum(value, axes=tuple(range(value.aval.ndim)), keepdims=False)


def derivatives(function: Callable[..., Value], *arrays: np.ndarray, order: int = 1) -> list[np.ndarray]:
    """The gradients of the sum of a function's elements; of the sum of its gradient's elements at order 2."""
    builder = Builder()
    inputs = [builder.input(f"x{k}", aval(f"f64[{','.join(map(str, a.shape))}]")) for k, a in enumerate(arrays)]
    value = total(function(*inputs))
    for _ in range(order - 1):
        found = adjoint(builder, [value], [builder.constant(1.0)], inputs)
        sums = [total(g) for g in found if g is not None]
        value = sums[0]
        for more in sums[1:]:
            value = value + more
    found = adjoint(builder, [value], [builder.constant(1.0)], inputs)
    zeros = [builder.full(0, x.aval) if g is None else g for g, x in zip(found, inputs, strict=True)]
    return evaluate(builder.freeze(zeros), list(arrays))


def zero(x: Value) -> Value:
    return x.builder.full(0.0, x.aval)


X = np.array([0.0, 2.0, -1.0])


def where_log(x: Value) -> Value:
    return select(greater(x, zero(x)), log(x), zero(x))


def where_sqrt_chain(x: Value) -> Value:
    return select(greater(x, zero(x)), x * sqrt(x) + log(x) * x, zero(x))


def where_power(x: Value) -> Value:
    return select(greater(x, zero(x)), power(x, x.builder.full(-1.5, x.aval)), zero(x))


@pytest.mark.parametrize(
    ("function", "first", "second"),
    [
        (where_log, lambda x: 1 / x, lambda x: -1 / x**2),
        (where_sqrt_chain, lambda x: 1.5 * np.sqrt(x) + np.log(x) + 1, lambda x: 0.75 / np.sqrt(x) + 1 / x),
        (where_power, lambda x: -1.5 * x**-2.5, lambda x: 3.75 * x**-3.5),
    ],
)
def test_a_branch_not_taken_contributes_an_exact_zero(function, first, second) -> None:
    for order, expected in ((1, first), (2, second)):
        (found,) = derivatives(function, X, order=order)
        np.testing.assert_allclose(found, [0.0, expected(2.0), 0.0], rtol=1e-14)


def test_a_mask_crosses_reductions_broadcasts_reshapes_and_slices() -> None:
    def function(x: Value) -> Value:
        row = reshape(x, shape=(1, 3))
        roots = sqrt(broadcast_to(row, shape=(2, 3)))  # the slope at 0 is infinite
        turned = transpose(slice_(roots, starts=(0, 0), sizes=(2, 2), steps=(1, 1)), axes=(1, 0))
        summed = reduce_sum(turned, axes=(1,), keepdims=False)
        return select(greater(summed, zero(summed)), summed, zero(summed))

    np.testing.assert_allclose(derivatives(function, np.array([0.0, 4.0, 9.0]))[0], [0.0, 2 * 0.25, 0.0])


def test_a_mask_crosses_gather_scatter_concatenate_and_updates() -> None:
    def function(x: Value) -> Value:
        index = x.builder.constant(np.array([0, 1, 1]))
        picked = gather(log(x), index, axes=(0,))
        joined = concatenate(picked, log(x), axis=0)
        base = x.builder.full(0.0, joined.aval)
        written = update_slice(base, joined, starts=(0,), steps=(1,), mode="set")
        more = scatter(written, log(x), index, axes=(0,), mode="add")
        alive = greater(more, x.builder.full(-1e300, more.aval))
        return select(alive, more, zero(more))

    # log(x0), log(x1), log(x1), log(x0), log(x1), log(x2), then x0 added at 0, x1 and x2 at 1: dead where x0 stands
    (found,) = derivatives(function, np.array([0.0, 2.0, 5.0]))
    np.testing.assert_allclose(found, [0.0, 4 / 2.0, 2 / 5.0])


def test_a_mask_crosses_a_contraction_against_infinities() -> None:
    h = np.array([[1.0, np.inf], [2.0, 3.0]])

    def function(w: Value, x: Value) -> Value:
        z = contract(w, x, lhs="ij", rhs="jk", out="ik")
        dead = greater(z, w.builder.full(1e300, z.aval))
        return select(dead, zero(z), z)

    by_w, by_x = derivatives(function, np.ones((1, 2)), h)
    # z = [3, inf]: the second is not taken and contributes nothing, though it met an infinity
    np.testing.assert_array_equal(by_w, [[1.0, 2.0]])
    np.testing.assert_array_equal(by_x, [[1.0, 0.0], [1.0, 0.0]])


def test_a_finite_constant_needs_no_masked_contraction() -> None:
    def ops(matrix: np.ndarray) -> set[str]:
        builder = Builder()
        x = builder.input("x", aval("f64[2]"))
        z = contract(builder.constant(matrix), x, lhs="ij", rhs="j", out="i")
        value = total(select(greater(z, zero(z)), z, zero(z)))
        (found,) = adjoint(builder, [value], [builder.constant(1.0)], [x])
        assert found is not None
        return {node.op.name for node in builder.freeze([found]).nodes}

    assert "masked_contract" not in ops(np.ones((2, 2)))
    assert "masked_contract" in ops(np.array([[1.0, np.inf], [1.0, 1.0]]))


def test_second_order_through_a_masked_contraction() -> None:
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(3, 4)), rng.normal(size=(4, 2))

    def function(w: Value, x: Value) -> Value:
        z = contract(w, x, lhs="ij", rhs="jk", out="ik")
        return select(greater(z, zero(z)), z * z * z, zero(z))

    def summed(w: np.ndarray, x: np.ndarray) -> float:
        by_w, by_x = derivatives(function, w, x)
        return float(by_w.sum() + by_x.sum())

    by_w, _ = derivatives(function, w, x, order=2)
    step = 1e-6
    for i, j in np.ndindex(*w.shape):
        shift = np.zeros_like(w)
        shift[i, j] = step
        assert by_w[i, j] == pytest.approx((summed(w + shift, x) - summed(w - shift, x)) / (2 * step), rel=1e-6)


def test_masked_contract_with_a_mask_on_its_result() -> None:
    def function(a: Value, b: Value) -> Value:
        mask = greater(a, zero(a))
        z = masked_contract(a, mask, b, lhs="ij", rhs="jk", out="ik")
        return select(greater(z, zero(z)), z * z, zero(z))

    a, b = np.array([[1.0, -2.0], [3.0, 0.5]]), np.array([[1.0], [2.0]])
    by_a, by_b = derivatives(function, a, b)
    z = np.array([[1.0], [4.0]])
    np.testing.assert_allclose(by_a, np.where(a > 0, (2 * z) @ b.T, 0))
    np.testing.assert_allclose(by_b, np.where(a > 0, a, 0).T @ (2 * z))


def test_kinks_against_a_constant_and_between_variables() -> None:
    at = np.array([0.0, 1.0, -1.0])
    for op, taken in ((maximum, [0.0, 1.0, 0.0]), (minimum, [0.0, 0.0, 1.0])):
        (found,) = derivatives(lambda x, op=op: op(x, zero(x)), at)
        np.testing.assert_array_equal(found, taken)
        by_x, by_y = derivatives(op, at, np.zeros(3))
        np.testing.assert_array_equal(by_x, np.where(at == 0, 0.5, taken))
        np.testing.assert_array_equal(by_x + by_y, 1.0)
    np.testing.assert_array_equal(derivatives(absolute, at)[0], [0.0, 1.0, -1.0])


def test_ties_of_a_reduction_share_evenly() -> None:
    (found,) = derivatives(lambda x: reduce_max(x, axes=(0,), keepdims=False), np.array([3.0, 1.0, 3.0]))
    np.testing.assert_array_equal(found, [0.5, 0.0, 0.5])


@pytest.mark.parametrize("values", [[2.0, 3.0, 5.0, 7.0, 11.0], [0.0, 3.0, 5.0], [0.0, 3.0, 0.0], [4.0], []])
def test_a_product_has_exact_derivatives_at_zeros(values: Sequence[float]) -> None:
    x = np.array(values)
    others = [np.prod(np.delete(x, k)) for k in range(x.size)]
    (found,) = derivatives(lambda x: reduce_prod(x, axes=(0,), keepdims=False), x)
    np.testing.assert_array_equal(found, others)
    pairs = [sum(np.prod(np.delete(x, [j, k])) for j in range(x.size) if j != k) for k in range(x.size)]
    (second,) = derivatives(lambda x: reduce_prod(x, axes=(0,), keepdims=False), x, order=2)
    np.testing.assert_allclose(second, pairs, rtol=1e-14)


def test_a_product_over_inner_axes() -> None:
    x = np.random.default_rng(1).normal(size=(2, 3, 4))
    (found,) = derivatives(lambda x: reduce_prod(x, axes=(0, 2), keepdims=True), x)
    np.testing.assert_allclose(found, np.prod(x, axis=(0, 2), keepdims=True) / x, rtol=1e-12)


def test_powers_at_zero() -> None:
    for exponent, expected in ((0.0, 0.0), (1.0, 1.0), (2.0, 0.0), (3.0, 0.0)):
        (found,) = derivatives(lambda x, c=exponent: power(x, x.builder.full(c, x.aval)), np.zeros(1))
        assert found[0] == expected
    by_x, by_y = derivatives(power, np.zeros(2), np.array([2.0, 0.0]))
    np.testing.assert_array_equal(by_x, [0.0, 0.0])
    np.testing.assert_array_equal(by_y, [0.0, 0.0])


def test_writes_into_zeros_become_writes_into_the_sum() -> None:
    builder = Builder()
    x = builder.input("x", aval("f64[100]"))
    parts = [slice_(x, starts=(k,), sizes=(1,), steps=(1,)) for k in range(100)]
    value = parts[0]
    for part in parts[1:]:
        value = value + part * part
    (found,) = adjoint(builder, [total(value)], [builder.constant(1.0)], [x])
    graph = builder.freeze([found])
    writes = [n for n in graph.nodes if n.op is update_slice]
    assert len(writes) == 100
    assert sum(n.params["mode"] == "add" for n in writes) == 99
    at = np.arange(100.0)
    np.testing.assert_array_equal(evaluate(graph, [at])[0], np.where(at == 0, 1.0, 2 * at))


def test_the_last_of_repeated_writes_receives_the_cotangent() -> None:
    def function(value: Value) -> Value:
        index = value.builder.constant(np.array([1, 1, 0]))
        base = value.builder.full(0.0, aval("f64[2]"))
        return scatter(base, value, index, axes=(0,), mode="set")

    np.testing.assert_array_equal(derivatives(function, np.array([1.0, 2.0, 3.0]))[0], [0.0, 1.0, 1.0])


def test_softmax_and_logsumexp_under_a_mask() -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0]])

    def function(x: Value) -> Value:
        p = softmax(x, axes=(1,))
        picked = select(greater(x, x.builder.full(2.5, x.aval)), p * p, zero(x))
        row = logsumexp(x, axes=(1,), keepdims=True)
        return picked + broadcast_to(select(greater(row, x.builder.full(3.0, row.aval)), row, zero(row)), shape=(2, 2))

    (found,) = derivatives(function, x)
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    expected = p * (2 * p - (2 * p * p).sum(1, keepdims=True)) + 2 * p
    np.testing.assert_allclose(found, np.where(x > 2.5, expected, 0.0), rtol=1e-13)


def test_conversions_carry_cotangents_and_masks() -> None:
    def function(x: Value) -> Value:
        narrow = convert(log(x), dtype=np.dtype(np.float32))
        dead = logical_not(greater(narrow, zero(narrow)))
        return select(dead, zero(narrow), narrow)

    np.testing.assert_allclose(derivatives(function, np.array([0.0, 2.0]))[0], [0.0, 0.5], rtol=1e-6)


def test_unused_inputs_have_gradient_zero() -> None:
    builder = Builder()
    x = builder.input("x", aval("f64[2]"))
    builder.input("y", aval("f64[]"))
    graph = builder.freeze([total(x * x)])
    gradient = differentiate(graph, "grad", (0, 1), primals=1)
    assert gradient.output_names == ("d_x", "d_y")
    np.testing.assert_array_equal(evaluate(gradient, [np.array([1.0, 2.0]), np.array(3.0)])[0], [2.0, 4.0])
    assert evaluate(gradient, [np.array([1.0, 2.0]), np.array(3.0)])[1] == 0.0


def test_a_gradient_needs_one_scalar() -> None:
    builder = Builder()
    x = builder.input("x", aval("f64[2]"))
    graph = builder.freeze([x * x])
    with pytest.raises(DerivativeError, match=r"one scalar floating-point result and the function gives f64\[2\]"):
        differentiate(graph, "grad", (0,), primals=1)
    pulled = differentiate(graph, "vjp", (0,), primals=1)
    assert pulled.input_names == ("x", "ct_out0")
    at = [np.array([1.0, 2.0]), np.array([10.0, 1.0])]
    np.testing.assert_array_equal(evaluate(pulled, at)[0], [20.0, 4.0])


def test_the_part_of_a_number_is_all_of_it() -> None:
    """An array of no axes has one part, which is read with no index at all."""
    (gradient,) = derivatives(lambda x: slice_(log(x), starts=(), sizes=(), steps=()), np.array(2.0))
    np.testing.assert_array_equal(gradient, 0.5)


def test_the_contributions_of_one_operation_are_added_up_before_others_come() -> None:
    """What ``x * x`` contributes twice is twice one product, not added to the rest two times."""
    x = np.array([0.5, -1.5, 2.0])

    def loss(x):
        residual = x[1:] - x[:-1] * x[:-1]
        return np.sum(residual * residual + (1 - x[:-1]) ** 2)

    kernel = gradc.grad(loss).compile(x)
    assert not re.search(r"\b(t\d+)\b \+ \1\b", kernel.numpy_source)
    residual = x[1:] - x[:-1] ** 2
    expected = np.append(-4 * residual * x[:-1] - 2 * (1 - x[:-1]), 0)
    expected[1:] += 2 * residual
    np.testing.assert_allclose(kernel(x), expected, rtol=1e-15)
